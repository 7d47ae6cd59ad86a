// Weft - integration: hostile peers of channels, with the limits as the documentation has them
// SPDX-License-Identifier: Apache-2.0
//
// All at once, since each of them takes its time: about 25 seconds of waiting. With
// WEFT_SOAK_SECONDS the reader that is slower than it may be has its minute, too.
#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

#include "integration/channel_support.h"
#include "integration/patience.h"
#include "integration/soak.h"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

class Defaults : public testing::Test {
protected:
    void start(wf::TcpServer &server) {
        port_ = listen_on_free_port(server);
        ASSERT_NE(port_, 0);
    }
    unsigned short port_ = 0;
};

} // namespace

// 200 that drip, 100 that are silent: all are cut within 35 s, and who is honest notices nothing.
TEST_F(Defaults, SlowlorisAndSilence) {
    wf::TcpServer server;
    server.set_framing(wf::delimiter_framing());
    server.on_message([](wf::Channel &channel, const wf::Frame &) { channel.send("ok"); });
    start(server);
    constexpr int DRIPS = 200, SILENT = 100;
    std::vector<raw::Socket> dripping, silent;
    for (int i = 0; i < DRIPS; i++)
        dripping.push_back(raw::Socket::connect(port_));
    for (int i = 0; i < SILENT; i++)
        silent.push_back(raw::Socket::connect(port_));
    raw::Socket honest = raw::Socket::connect(port_);
    Clock::time_point begin = Clock::now();
    double slowest = 0;
    auto all_cut = [&] {
        return server.get_close_count(CCR_SLOW_RECEIVE) == DRIPS &&
               server.get_close_count(CCR_FIRST_BYTE_TIMEOUT) == SILENT;
    };
    while (!all_cut() && seconds_since(begin) < 60) {
        for (raw::Socket &one : dripping)
            one.send("x"); // 5 bytes a second, where 240 are asked for
        Clock::time_point asked = Clock::now();
        ASSERT_TRUE(honest.send("hello\n"));
        ASSERT_EQ(honest.read_bytes(3), "ok\n");
        slowest = std::max(slowest, seconds_since(asked));
        poll(nullptr, 0, 200);
    }
    EXPECT_TRUE(all_cut());
    EXPECT_LT(seconds_since(begin), 35);
    EXPECT_LT(slowest, 2);
    tell("200 that drip and 100 that are silent were cut within " +
         std::to_string(seconds_since(begin)) + " s; the slowest answer to others took " +
         std::to_string(slowest * 1000) + " ms");
    server.stop();
}

// 50 that never read what they are sent, 100 MB each: cut by the backlog rule, 15 s after
// the system took the last of it. Where
// the sender obeys the marks, memory stays below them; where it does not, below the limit of all.
TEST_F(Defaults, FiftyThatNeverRead) {
    constexpr size_t EACH = 100u << 20, BLOCK = 1u << 20, MARK = 4u << 20;
    wf::TcpServer obeying, pouring;
    obeying.options().high_water = MARK;
    obeying.options().low_water = MARK / 4;
    obeying.on_established([](wf::Channel &channel) {
        for (size_t sent = 0; sent < EACH && channel.get_queued() < MARK; sent += BLOCK)
            channel.send(std::string(BLOCK, 'o'));
    });
    pouring.on_established([](wf::Channel &channel) {
        for (size_t sent = 0; sent < EACH; sent += BLOCK) {
            if (channel.send(std::string(BLOCK, 'p')) < 0)
                break;
        }
    });
    std::vector<raw::Socket> deaf;
    for (wf::TcpServer *server : {&obeying, &pouring}) {
        start(*server);
        for (int i = 0; i < 50; i++) {
            deaf.push_back(raw::Socket::connect(port_));
            ASSERT_TRUE(deaf.back().send("give me all\n"));
        }
    }
    Clock::time_point begin = Clock::now();
    size_t obeyed = 0, poured = 0;
    auto cut = [](const wf::TcpServer &server) {
        return server.get_close_count(CCR_SEND_STALLED) + server.get_close_count(CCR_BACKLOG_FULL);
    };
    while ((cut(obeying) < 50 || cut(pouring) < 50) && seconds_since(begin) < 110) {
        obeyed = std::max(obeyed, obeying.get_backlog());
        poured = std::max(poured, pouring.get_backlog());
        poll(nullptr, 0, 5);
    }
    double took = seconds_since(begin);
    EXPECT_EQ(cut(obeying), 50u);
    EXPECT_EQ(cut(pouring), 50u);
    EXPECT_EQ(obeying.get_close_count(CCR_BACKLOG_FULL), 0u);
    EXPECT_LT(took, 100); // 15 to 25 s where nobody else uses the machine
    EXPECT_LE(obeyed, 50 * (MARK + BLOCK));
    // The default of a server, and what its threads may add before it is seen.
    EXPECT_LE(poured, (256u << 20) + 32 * BLOCK);
    tell("50 that never read: cut after " + std::to_string(took) + " s; queued at most " +
         std::to_string(obeyed >> 20) + " MiB with marks of 4 MiB, " +
         std::to_string(poured >> 20) + " MiB without (" +
         std::to_string(pouring.get_close_count(CCR_BACKLOG_FULL)) +
         " were cut for the limit of all, 256 MiB)");
    obeying.stop();
    pouring.stop();
}

// Who reads 1 KB a second of what it is sent is cut within 65 s.
TEST_F(Defaults, AReaderOfOneKilobyteASecond) {
    if (soak_time(0).count() == 0)
        return; // a minute is too long for every run
    wf::TcpServer server;
    server.on_established([](wf::Channel &channel) { channel.send(std::string(100u << 20, 's')); });
    start(server);
    raw::Socket slow = raw::Socket::connect(port_);
    ASSERT_TRUE(slow.send("give me all\n"));
    std::atomic<bool> over{false};
    std::thread reader([&] {
        char buf[1000];
        fcntl(slow.fd(), F_SETFL, O_NONBLOCK);
        while (!over && (read(slow.fd(), buf, sizeof buf) > 0 || errno == EAGAIN))
            poll(nullptr, 0, 1000);
    });
    // The system hands on what is read in pieces of 64 KB on this device, so that one may seem to
    // stand still as well.
    Clock::time_point begin = Clock::now();
    EXPECT_TRUE(eventually(
        [&] {
            return server.get_close_count(CCR_SLOW_SEND) +
                       server.get_close_count(CCR_SEND_STALLED) ==
                   1;
        },
        90000));
    double took = seconds_since(begin);
    EXPECT_LE(took, 65);
    tell("a reader of 1 KB/s was cut after " + std::to_string(took) + " s");
    over = true;
    reader.join();
    server.stop();
}
