// Weft - integration: the default limits on slow and silent clients
// SPDX-License-Identifier: Apache-2.0
//
// First byte 10 s after the accept, the whole header 30 s after its first byte, the body at a
// minimum rate. These tests take the time that the limits take, all at once.

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "integration/patience.h"
#include "integration/raw_socket.h"
#include "integration/workshop.h"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct Victim {
    double seconds = 0;
    std::string answer;
};

// Sends the beginning, then one byte of the drip each second until it is cut or has had enough.
Victim drip(unsigned short port, const std::string &begin, char byte, int limit_s) {
    Victim victim;
    raw::Socket client = raw::Socket::connect(port);
    Clock::time_point start = Clock::now();
    client.send(begin);
    std::thread sender;
    std::atomic<bool> over(false);
    if (byte) {
        sender = std::thread([&]() {
            while (!over && client.send(std::string(1, byte)) && seconds_since(start) < limit_s) {
                for (int i = 0; i < 10 && !over; i++)
                    poll(nullptr, 0, 100); // The slowness itself.
            }
        });
    }
    // The reads of raw::Socket end after 30 s; a slow header may last a little longer.
    while (!client.at_end() && seconds_since(start) < limit_s)
        victim.answer += client.read_some();
    victim.seconds = seconds_since(start);
    over = true;
    if (sender.joinable())
        sender.join();
    return victim;
}

TEST(SlowPeer, DefaultLimits) {
    Workshop workshop;
    ASSERT_TRUE(workshop.start());
    const unsigned short port = workshop.port();
    Victim silent, slow_header, slow_body;
    std::thread threads[] = {
        std::thread([&] { silent = drip(port, "", 0, 60); }),
        std::thread([&] { slow_header = drip(port, "GET / HTTP/1.1\r\nX: ", 'a', 90); }),
        std::thread([&] {
            slow_body = drip(
                port, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", 'b', 120);
        }),
    };
    // A good client is served in the meantime.
    raw::Socket good = raw::Socket::connect(port);
    ASSERT_TRUE(good.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    EXPECT_NE(std::string::npos, good.read_all().find("hello"));
    for (std::thread &thread : threads)
        thread.join();

    EXPECT_GE(silent.seconds, 9.0);
    EXPECT_LT(silent.seconds, 20.0);
    EXPECT_TRUE(silent.answer.empty() || silent.answer.find("HTTP/1.1 408 ") == 0) << silent.answer;
    EXPECT_GE(slow_header.seconds, 29.0);
    EXPECT_LT(slow_header.seconds, 45.0);
    EXPECT_EQ(0u, slow_header.answer.find("HTTP/1.1 408 ")) << slow_header.answer;
    EXPECT_LT(slow_body.seconds, 100.0);
    EXPECT_EQ(0u, slow_body.answer.find("HTTP/1.1 408 ")) << slow_body.answer;
    EXPECT_EQ(1, workshop.requests.load());
    EXPECT_TRUE(eventually([&] { return workshop.server().get_conn_count() == 0; }));
}

} // namespace
