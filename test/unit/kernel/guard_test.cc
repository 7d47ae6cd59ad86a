// Weft - unit tests of the guard: blocks, connections of an address, rates
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/guard.h"

#include <arpa/inet.h>
#include <chrono>
#include <errno.h>
#include <gtest/gtest.h>
#include <limits>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>
#include <thread>

namespace {

using wf::Guard;
using wf::GuardLimits;

// An address as accept() tells it.
struct From {
    explicit From(const char *text) {
        memset(&room, 0, sizeof room);
        if (strchr(text, ':')) {
            auto *in6 = reinterpret_cast<struct sockaddr_in6 *>(&room);
            in6->sin6_family = AF_INET6;
            inet_pton(AF_INET6, text, &in6->sin6_addr);
            len = sizeof *in6;
        } else {
            auto *in = reinterpret_cast<struct sockaddr_in *>(&room);
            in->sin_family = AF_INET;
            inet_pton(AF_INET, text, &in->sin_addr);
            len = sizeof *in;
        }
    }
    const struct sockaddr *addr() const { return reinterpret_cast<const struct sockaddr *>(&room); }
    struct sockaddr_storage room;
    socklen_t len;
};

CommCloseReason come(Guard *guard, const char *from) {
    From f(from);
    bool counted = false;
    CommCloseReason refused = guard->admit(f.addr(), f.len, &counted);
    EXPECT_EQ(counted, refused == CCR_COUNT);
    return refused;
}

void go(Guard *guard, const char *from) {
    From f(from);
    guard->leave(f.addr(), f.len);
}

// Comes and goes.
bool may(Guard *guard, const char *from) {
    if (come(guard, from) != CCR_COUNT)
        return false;
    go(guard, from);
    return true;
}

TEST(GuardBlocks, WithoutAnyEverybodyMayCome) {
    Guard guard;
    EXPECT_TRUE(may(&guard, "192.0.2.1"));
    EXPECT_TRUE(may(&guard, "2001:db8::1"));
    ASSERT_EQ(guard.deny("192.0.2.0/24"), 0);
    EXPECT_FALSE(may(&guard, "192.0.2.1"));
    EXPECT_FALSE(may(&guard, "192.0.2.255"));
    EXPECT_TRUE(may(&guard, "192.0.3.0"));
    EXPECT_EQ(come(&guard, "192.0.2.1"), CCR_REFUSED_ADDRESS);
}

TEST(GuardBlocks, WithOneThatIsAllowedOnlyThose) {
    Guard guard;
    ASSERT_EQ(guard.allow("10.0.0.0/8"), 0);
    ASSERT_EQ(guard.allow("2001:db8::/32"), 0);
    EXPECT_TRUE(may(&guard, "10.255.0.1"));
    EXPECT_TRUE(may(&guard, "2001:db8:ffff::1"));
    EXPECT_FALSE(may(&guard, "11.0.0.1"));
    EXPECT_FALSE(may(&guard, "2001:db9::1"));
    ASSERT_EQ(guard.forget("10.0.0.0/8"), 0);
    EXPECT_FALSE(may(&guard, "10.255.0.1"));
    ASSERT_EQ(guard.forget("2001:db8::/32"), 0);
    EXPECT_TRUE(may(&guard, "11.0.0.1")); // nothing is listed any more
}

TEST(GuardBlocks, TheLongestDecidesAndOfTwoTheDenial) {
    Guard guard;
    ASSERT_EQ(guard.deny("0.0.0.0/0"), 0);
    ASSERT_EQ(guard.allow("10.0.0.0/8"), 0);
    ASSERT_EQ(guard.deny("10.1.0.0/16"), 0);
    ASSERT_EQ(guard.allow("10.1.2.3"), 0);
    EXPECT_FALSE(may(&guard, "9.9.9.9"));
    EXPECT_TRUE(may(&guard, "10.2.0.1"));
    EXPECT_FALSE(may(&guard, "10.1.2.4"));
    EXPECT_TRUE(may(&guard, "10.1.2.3"));
    ASSERT_EQ(guard.deny("10.1.2.3/32"), 0);
    EXPECT_FALSE(may(&guard, "10.1.2.3"));
    EXPECT_FALSE(may(&guard, "2001:db8::1")); // something is allowed, and this is not
}

TEST(GuardBlocks, IPv4InTheShapeOfIPv6IsIPv4) {
    Guard guard;
    ASSERT_EQ(guard.deny("192.0.2.0/24"), 0);
    EXPECT_FALSE(may(&guard, "::ffff:192.0.2.7"));
    ASSERT_EQ(guard.deny("::ffff:198.51.100.0/120"), 0);
    EXPECT_FALSE(may(&guard, "198.51.100.9"));
    ASSERT_EQ(guard.forget("198.51.100.0/24"), 0); // the same block
    EXPECT_TRUE(may(&guard, "198.51.100.9"));
}

TEST(GuardBlocks, ABlockOfIPv6HoldsNoIPv4) {
    Guard guard;
    ASSERT_EQ(guard.allow("::/0"), 0);
    ASSERT_EQ(guard.allow("10.0.0.0/8"), 0);
    EXPECT_TRUE(may(&guard, "10.0.0.1"));
    EXPECT_TRUE(may(&guard, "2001:db8::1"));
    EXPECT_FALSE(may(&guard, "11.0.0.1"));
    EXPECT_EQ(guard.allow("::ffff:1.2.3.4/24"), -1);
    EXPECT_EQ(guard.allow("::ffff:1.2.3.4/95"), -1);
    EXPECT_EQ(guard.allow("::ffff:1.2.3.4/128"), 0);
    EXPECT_TRUE(may(&guard, "1.2.3.4"));
    ASSERT_EQ(guard.set_blocks({}, {"::/0"}), 0);
    EXPECT_TRUE(may(&guard, "11.0.0.1"));
    EXPECT_FALSE(may(&guard, "::1"));
}

TEST(GuardBlocks, WhatIsNoBlockChangesNothing) {
    Guard guard;
    for (const char *text :
         {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/ 8",
          "10.0.0.0/0008", "10.0.0/8", "10.0.0.0.0/8", "2001:db8::/129", "2001:db8::g/32",
          "localhost", " 10.0.0.1", "10.0.0.1 ", "::1%lo"}) {
        errno = 0;
        EXPECT_EQ(guard.allow(text), -1) << text;
        EXPECT_EQ(errno, EINVAL) << text;
        EXPECT_EQ(guard.deny(text), -1) << text;
        EXPECT_EQ(guard.forget(text), -1) << text;
        EXPECT_EQ(errno, EINVAL) << text;
        EXPECT_EQ(guard.set_blocks({"10.0.0.0/8"}, {"10.1.0.0/16", text}), -1) << text;
    }
    EXPECT_EQ(guard.allow(std::string("10.0.0.1\0x", 10)), -1);
    EXPECT_TRUE(may(&guard, "10.1.0.1"));
    EXPECT_EQ(guard.forget("10.0.0.0/8"), -1);
    EXPECT_EQ(errno, ENOENT);
}

TEST(GuardBlocks, BothListsAnewAtOnce) {
    Guard guard;
    ASSERT_EQ(guard.deny("192.0.2.1"), 0);
    ASSERT_EQ(guard.set_blocks({"10.0.0.0/8"}, {"10.1.0.0/16"}), 0);
    EXPECT_FALSE(may(&guard, "192.0.2.2"));
    EXPECT_TRUE(may(&guard, "10.0.0.1"));
    EXPECT_FALSE(may(&guard, "10.1.0.1"));
    ASSERT_EQ(guard.set_blocks({}, {}), 0);
    EXPECT_TRUE(may(&guard, "192.0.2.1"));
}

TEST(GuardAddresses, SoManyAtTheSameTime) {
    Guard guard;
    GuardLimits limits;
    limits.per_address = 2;
    ASSERT_EQ(guard.set_limits(limits), 0);
    EXPECT_EQ(come(&guard, "192.0.2.1"), CCR_COUNT);
    EXPECT_EQ(come(&guard, "192.0.2.1"), CCR_COUNT);
    EXPECT_EQ(come(&guard, "192.0.2.1"), CCR_REFUSED_PER_ADDRESS);
    EXPECT_EQ(come(&guard, "::ffff:192.0.2.1"), CCR_REFUSED_PER_ADDRESS);
    EXPECT_EQ(come(&guard, "192.0.2.2"), CCR_COUNT);
    EXPECT_EQ(guard.get_connection_count(), 3u);
    go(&guard, "192.0.2.1");
    EXPECT_EQ(come(&guard, "192.0.2.1"), CCR_COUNT);
    // Those that are there stay when the limit falls, and count.
    limits.per_address = 1;
    ASSERT_EQ(guard.set_limits(limits), 0);
    go(&guard, "192.0.2.1");
    EXPECT_EQ(come(&guard, "192.0.2.1"), CCR_REFUSED_PER_ADDRESS);
    go(&guard, "192.0.2.1");
    EXPECT_EQ(come(&guard, "192.0.2.1"), CCR_COUNT);
}

TEST(GuardAddresses, ANetworkOfIPv6IsOne) {
    Guard guard;
    GuardLimits limits;
    limits.per_address = 1;
    ASSERT_EQ(guard.set_limits(limits), 0);
    EXPECT_EQ(come(&guard, "2001:db8::1"), CCR_COUNT);
    EXPECT_EQ(come(&guard, "2001:db8::2"), CCR_REFUSED_PER_ADDRESS);
    EXPECT_EQ(come(&guard, "2001:db8:0:1::2"), CCR_COUNT);
    limits.ipv6_bits = 128;
    EXPECT_EQ(guard.set_limits(limits), -1);
    EXPECT_EQ(errno, EBUSY);
    go(&guard, "2001:db8::1");
    go(&guard, "2001:db8:0:1::2");
    ASSERT_EQ(guard.set_limits(limits), 0);
    EXPECT_EQ(come(&guard, "2001:db8::1"), CCR_COUNT);
    EXPECT_EQ(come(&guard, "2001:db8::2"), CCR_COUNT);
}

TEST(GuardAddresses, ThoseThatAreRememberedAreLimited) {
    Guard guard;
    EXPECT_EQ(come(&guard, "10.0.0.1"), CCR_COUNT); // stays
    for (int i = 0; i < 100000; i++) {
        std::string text = "11." + std::to_string(i >> 16) + "." + std::to_string(i >> 8 & 255) +
                           "." + std::to_string(i & 255);
        ASSERT_TRUE(may(&guard, text.c_str()));
    }
    EXPECT_LE(guard.get_address_count(), 65536u);
    GuardLimits limits;
    limits.per_address = 1;
    ASSERT_EQ(guard.set_limits(limits), 0);
    EXPECT_EQ(come(&guard, "10.0.0.1"), CCR_REFUSED_PER_ADDRESS);
    EXPECT_EQ(guard.get_connection_count(), 1u);
}

// More than are remembered: without a limit for each nobody is turned away.
TEST(GuardAddresses, WithoutALimitAnyNumberMayStay) {
    Guard guard;
    size_t counted = 0;
    for (int i = 0; i < 70000; i++) {
        std::string text = "11." + std::to_string(i >> 16) + "." + std::to_string(i >> 8 & 255) +
                           "." + std::to_string(i & 255);
        From from(text.c_str());
        bool one = false;
        ASSERT_EQ(guard.admit(from.addr(), from.len, &one), CCR_COUNT) << i;
        counted += one;
    }
    EXPECT_EQ(guard.get_connection_count(), counted);
    EXPECT_LE(counted, 65536u);
    From stranger("192.0.2.1"); // has no place that it could give back
    guard.leave(stranger.addr(), stranger.len);
    EXPECT_EQ(guard.get_connection_count(), counted);
    GuardLimits limits;
    limits.per_address = 1;
    ASSERT_EQ(guard.set_limits(limits), 0);
    EXPECT_EQ(come(&guard, "192.0.2.1"), CCR_REFUSED_PER_ADDRESS);
}

TEST(GuardRates, ABurstAndThenTheRate) {
    Guard guard;
    GuardLimits limits;
    limits.address_rate = 0.001;
    limits.address_burst = 3;
    ASSERT_EQ(guard.set_limits(limits), 0);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(come(&guard, "192.0.2.1"), CCR_COUNT);
    EXPECT_EQ(come(&guard, "192.0.2.1"), CCR_REFUSED_RATE);
    EXPECT_EQ(come(&guard, "192.0.2.2"), CCR_COUNT);
    limits.address_rate = 0;
    limits.rate = 0.001; // and a burst of one
    ASSERT_EQ(guard.set_limits(limits), 0);
    EXPECT_EQ(come(&guard, "192.0.2.3"), CCR_COUNT);
    EXPECT_EQ(come(&guard, "192.0.2.4"), CCR_REFUSED_RATE);
    EXPECT_EQ(come(&guard, "192.0.2.1"), CCR_REFUSED_RATE);
}

TEST(GuardRates, TimeFillsItAgain) {
    Guard guard;
    GuardLimits limits;
    limits.rate = 100;
    limits.burst = 1;
    ASSERT_EQ(guard.set_limits(limits), 0);
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 6; i++) {
        while (come(&guard, "192.0.2.1") != CCR_COUNT)
            std::this_thread::yield();
    }
    // The first at once, five more at 10 ms each.
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(49));
}

TEST(GuardRates, DatagramsHaveThemButNoPlaces) {
    Guard guard;
    GuardLimits limits;
    limits.per_address = 1;
    limits.address_rate = 0.001;
    limits.address_burst = 5;
    ASSERT_EQ(guard.set_limits(limits), 0);
    From from("192.0.2.1");
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(guard.admit(from.addr(), from.len, nullptr), CCR_COUNT);
    EXPECT_EQ(guard.admit(from.addr(), from.len, nullptr), CCR_REFUSED_RATE);
    EXPECT_EQ(guard.get_connection_count(), 0u);
    ASSERT_EQ(guard.deny("192.0.2.1"), 0);
    EXPECT_EQ(guard.admit(from.addr(), from.len, nullptr), CCR_REFUSED_ADDRESS);
}

TEST(GuardRates, BadOnesAreRefused) {
    Guard guard;
    GuardLimits bad[5];
    bad[0].rate = -1;
    bad[1].address_rate = -0.5;
    bad[2].rate = std::numeric_limits<double>::quiet_NaN();
    bad[3].ipv4_bits = 33;
    bad[4].ipv6_bits = 129;
    for (const GuardLimits &limits : bad) {
        errno = 0;
        EXPECT_EQ(guard.set_limits(limits), -1);
        EXPECT_EQ(errno, EINVAL);
    }
    EXPECT_EQ(guard.get_limits().ipv4_bits, 32u);
    EXPECT_TRUE(may(&guard, "192.0.2.1"));
}

TEST(GuardAddresses, AUnixSocketHasNone) {
    Guard guard;
    GuardLimits limits;
    limits.per_address = 1;
    limits.rate = 0.001;
    limits.burst = 2;
    ASSERT_EQ(guard.set_limits(limits), 0);
    ASSERT_EQ(guard.allow("10.0.0.0/8"), 0);
    struct sockaddr_un un = {};
    un.sun_family = AF_UNIX;
    auto *addr = reinterpret_cast<struct sockaddr *>(&un);
    bool counted = false;
    EXPECT_EQ(guard.admit(addr, sizeof un, &counted), CCR_COUNT);
    EXPECT_FALSE(counted);
    EXPECT_EQ(guard.admit(addr, sizeof(sa_family_t), &counted), CCR_COUNT);
    EXPECT_EQ(guard.admit(addr, sizeof un, &counted), CCR_REFUSED_RATE);
    guard.leave(addr, sizeof un);
    EXPECT_EQ(guard.get_connection_count(), 0u);
}

// Lists and limits change while others come and go; what is counted comes out even.
TEST(GuardThreads, AllOfItAtOnce) {
    Guard guard;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&guard, t] {
            std::string own = "192.0.2." + std::to_string(t % 2);
            for (int i = 0; i < 2000; i++) {
                if (may(&guard, own.c_str()) && i % 100 == 0)
                    guard.set_blocks({}, {"192.0.2." + std::to_string(i % 3)});
                if (i % 150 == 0) {
                    GuardLimits limits;
                    limits.per_address = static_cast<size_t>(i % 4);
                    guard.set_limits(limits);
                    guard.set_blocks({}, {});
                }
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(guard.get_connection_count(), 0u);
}

} // namespace
