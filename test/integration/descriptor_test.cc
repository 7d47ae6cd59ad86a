// Weft - integration: a server without free descriptors
// SPDX-License-Identifier: Apache-2.0
//
// Out of descriptors is a state, not a spin: the surplus of newcomers is closed and does not hang,
// those who are there go on being served, nobody burns CPU, and a second after descriptors have
// come back newcomers are served. That holds, too, after the program itself has taken the
// descriptor by which newcomers are closed.

#include <poll.h>
#include <signal.h>

#include <thread>

#include <gtest/gtest.h>

#include "integration/patience.h"
#include "integration/peer.h"
#include "integration/raw_socket.h"
#include "integration/soak.h"

namespace {

using Clock = std::chrono::steady_clock;

const long kLimit = 64; // Descriptors of the server,
const int kCrowd = 200; // and clients that come at once.
const int kCpuPercent = 5;
const int kWatchedMs = 3000;
const int kRecoveryMs = 1000;

long ms_since(Clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
}

std::string ask(raw::Socket &client, const std::string &path = "/") {
    if (!client.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"))
        return "";
    // The answer is short and leaves in one piece.
    std::string answer = client.read_until("\r\n\r\n");
    size_t body = answer.find("\r\n\r\n");
    return body == std::string::npos ? "" : answer.substr(body + 4);
}

class Descriptors : public ::testing::Test {
protected:
    void SetUp() override {
        peer::Options options;
        options.nofile = kLimit;
        ASSERT_TRUE(server_.start({WEFT_DESCRIPTOR_SERVER}, options));
        std::string line = server_.wait_line("port ");
        ASSERT_NE("", line) << server_.err();
        port_ = static_cast<unsigned short>(strtoul(line.c_str() + 5, nullptr, 10));
        line = server_.wait_line("second ");
        second_ = static_cast<unsigned short>(strtoul(line.c_str() + 7, nullptr, 10));
        first_ = raw::Socket::connect(port_);
        ASSERT_EQ("hello", ask(first_));
    }

    void TearDown() override {
        EXPECT_EQ("hello", ask(first_)) << "a client that was there is served on";
        server_.signal(SIGTERM);
        EXPECT_EQ(0, server_.wait(20000)) << server_.err();
        EXPECT_NE(std::string::npos, server_.out().find("stopped"));
    }

    struct Outcome {
        std::vector<raw::Socket> served; // They stay.
        int closed = 0;
        int hung = 0;
    };

    Outcome crowd(int size) { return crowd(size, port_); }
    // So many clients come at once and ask. Each is served or closed.
    Outcome crowd(int size, unsigned short port) {
        Outcome outcome;
        std::vector<raw::Socket> clients;
        for (int i = 0; i < size; i++) {
            clients.push_back(raw::Socket::connect(port));
            clients.back().send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        Clock::time_point begin = Clock::now();
        for (raw::Socket &client : clients) {
            pollfd item = {client.fd(), POLLIN, 0};
            long left = 10000 - ms_since(begin);
            bool news = poll(&item, 1, left > 0 ? static_cast<int>(left) : 0) == 1;
            std::string answer = news ? client.read_until("hello") : "";
            if (!news)
                outcome.hung++;
            else if (answer.find("hello") != std::string::npos)
                outcome.served.push_back(std::move(client));
            else
                outcome.closed++;
        }
        return outcome;
    }

    // How long it is until a newcomer is served.
    long recovery_ms() {
        Clock::time_point begin = Clock::now();
        EXPECT_TRUE(eventually([&] {
            raw::Socket client = raw::Socket::connect(port_);
            return client.valid() && ask(client) == "hello";
        }));
        return ms_since(begin);
    }

    // One client more: true when it is neither served nor closed.
    bool newcomer_hangs() {
        raw::Socket client = raw::Socket::connect(port_);
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        pollfd item = {client.fd(), POLLIN, 0};
        return poll(&item, 1, 300) == 0;
    }

    void expect_cpu(long before_ms, Clock::time_point begin, const char *when) {
        long cpu = server_.cpu_ms() - before_ms;
        long passed = ms_since(begin);
        tell(std::to_string(cpu) + " ms of CPU in " + std::to_string(passed) + " ms, " + when);
        EXPECT_LT(cpu * 100, passed * kCpuPercent) << when;
    }

    peer::Process server_;
    unsigned short port_ = 0, second_ = 0;
    raw::Socket first_;
};

TEST_F(Descriptors, SurplusIsClosedAndNobodySpins) {
    long cpu = server_.cpu_ms();
    Clock::time_point begin = Clock::now();
    Outcome outcome = crowd(kCrowd);
    tell(std::to_string(outcome.served.size()) + " served, " + std::to_string(outcome.closed) +
         " closed, " + std::to_string(outcome.hung) + " hung, in " +
         std::to_string(ms_since(begin)) + " ms");
    EXPECT_GT(outcome.served.size(), 20u);
    EXPECT_LT(outcome.served.size(), static_cast<size_t>(kLimit));
    EXPECT_EQ(0, outcome.hung);
    EXPECT_EQ(kCrowd, static_cast<int>(outcome.served.size()) + outcome.closed);
    EXPECT_EQ("hello", ask(first_));
    // Those who were closed come again, and again.
    int surplus = outcome.closed;
    for (int times = 1; ms_since(begin) < kWatchedMs; times++) {
        Outcome again = crowd(surplus);
        EXPECT_EQ(surplus, again.closed);
        EXPECT_TRUE(eventually(
            [&] { return ms_since(begin) >= std::min(times * kWatchedMs / 4, kWatchedMs); }));
    }
    expect_cpu(cpu, begin, "while the surplus came again");
    EXPECT_EQ("hello", ask(first_));
    for (raw::Socket &client : outcome.served)
        EXPECT_EQ("hello", ask(client));
    outcome.served.clear();
    long recovery = recovery_ms();
    tell("served again after " + std::to_string(recovery) + " ms");
    EXPECT_LT(recovery, kRecoveryMs);
}

TEST_F(Descriptors, LosesItsReserveAndGetsItBack) {
    // The program takes all, and in the end what the server keeps for closing newcomers: it has to
    // let go of that for a moment, each time. Then they can only wait, and go on waiting.
    ASSERT_TRUE(eventually(
        [&] {
            return ask(first_, "/take") == "hello" &&
                   eventually([&] { return newcomer_hangs(); }, 60000) &&
                   ask(first_, "/enough") == "hello" && newcomer_hangs() && newcomer_hangs();
        },
        60000));
    std::vector<raw::Socket> waiting;
    for (int i = 0; i < 20; i++)
        waiting.push_back(raw::Socket::connect(port_));
    long cpu = server_.cpu_ms();
    Clock::time_point begin = Clock::now();
    EXPECT_TRUE(eventually([&] { return ms_since(begin) >= kWatchedMs; }));
    expect_cpu(cpu, begin, "while newcomers waited");
    waiting.clear();

    // Descriptors come back at the worst moment, when the server has just looked for them.
    raw::Socket newcomer = raw::Socket::connect(port_);
    std::string looked = ask(first_, "/refused");
    EXPECT_TRUE(eventually([&] { return ask(first_, "/refused") != looked; }));
    ASSERT_EQ("hello", ask(first_, "/release"));
    long recovery = recovery_ms();
    tell("served again after " + std::to_string(recovery) + " ms");
    EXPECT_LT(recovery, kRecoveryMs);
    newcomer.close();

    // And the next time newcomers are closed again.
    Outcome outcome = crowd(kCrowd);
    EXPECT_EQ(0, outcome.hung);
    EXPECT_GT(outcome.served.size(), 20u);
    EXPECT_EQ(kCrowd, static_cast<int>(outcome.served.size()) + outcome.closed);
}

TEST_F(Descriptors, SomebodyWhoTakesTheReserveForAMomentLeavesNobodyHanging) {
    // As a log that is opened and closed would, or whoever looks into /proc: it gets what the
    // server gives up to close a newcomer, and gives it back, and the next newcomer must not get
    // it.
    ASSERT_EQ("hello", ask(first_, "/flicker"));
    Outcome outcome = crowd(kCrowd);
    EXPECT_EQ(0, outcome.hung);
    for (int times = 0; times < 10; times++) {
        Outcome again = crowd(kCrowd / 2);
        EXPECT_EQ(0, again.hung);
        EXPECT_EQ(kCrowd / 2, again.closed + static_cast<int>(again.served.size()));
    }
    ASSERT_EQ("hello", ask(first_, "/enough"));
    for (raw::Socket &client : outcome.served)
        EXPECT_EQ("hello", ask(client));
}

TEST_F(Descriptors, WhatOneServerGivesUpForAMomentIsNotTakenByAnother) {
    Outcome all = crowd(kCrowd, port_);
    EXPECT_EQ(0, all.hung);
    auto come_again = [this](unsigned short port) {
        for (int times = 0; times < 100; times++) {
            Outcome again = crowd(kCrowd / 4, port);
            ASSERT_EQ(0, again.hung) << "after " << times;
        }
    };
    std::thread other(come_again, second_);
    come_again(port_);
    other.join();
}

} // namespace
