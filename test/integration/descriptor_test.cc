// Weft - integration: a server without free descriptors
// SPDX-License-Identifier: Apache-2.0
//
// Out of descriptors is a state, not a spin: newcomers are closed cleanly, those who are there
// go on being served, nobody burns CPU, and when descriptors come back so do the newcomers.

#include <signal.h>

#include <gtest/gtest.h>

#include "integration/patience.h"
#include "integration/peer.h"
#include "integration/raw_socket.h"

namespace {

const char kGet[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

bool answered(raw::Socket &client) {
    return client.send(kGet) && client.read_until("hello").find("hello") != std::string::npos;
}

class Descriptors : public ::testing::Test {
protected:
    void SetUp() override {
        peer::Options options;
        options.nofile = 64;
        // UBSan's check of vtable pointers opens a pipe to look at memory. Without descriptors it
        // cannot, and takes every object for broken; plain builds do not read this variable.
        ASSERT_TRUE(dir_.write("suppressions", "vptr_check:*\n"));
        options.env["UBSAN_OPTIONS"] = "suppressions=" + dir_.file("suppressions");
        ASSERT_TRUE(server_.start({WEFT_DESCRIPTOR_SERVER}, options));
        std::string line = server_.wait_line("port ");
        ASSERT_NE("", line) << server_.err();
        port_ = static_cast<unsigned short>(strtoul(line.c_str() + 5, nullptr, 10));
    }

    peer::TempDir dir_;
    peer::Process server_;
    unsigned short port_ = 0;
};

TEST_F(Descriptors, StarvedServerGoesOn) {
    raw::Socket first = raw::Socket::connect(port_);
    ASSERT_TRUE(answered(first));

    // Far more clients than descriptors. Each is either served or closed; none hangs. The
    // system itself completes the handshake, so connecting always works.
    std::vector<raw::Socket> served;
    int refused = 0;
    for (int i = 0; i < 150; i++) {
        raw::Socket client = raw::Socket::connect(port_);
        ASSERT_TRUE(client.valid());
        if (served.size() < 200 && refused == 0 && answered(client)) {
            served.push_back(std::move(client));
            continue;
        }
        refused++;
        client.close();
    }
    EXPECT_GT(served.size(), 20u);
    EXPECT_GT(refused, 0);
    EXPECT_TRUE(answered(first)) << "a client that was there is served on";

    // Newcomers that wait in the queue must not make the server spin.
    std::vector<raw::Socket> waiting;
    for (int i = 0; i < 20; i++) {
        waiting.push_back(raw::Socket::connect(port_));
        waiting.back().send(kGet);
    }
    long cpu_before = server_.cpu_ms();
    auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(eventually(
        [&] { return std::chrono::steady_clock::now() - begin > std::chrono::seconds(2); }));
    long cpu = server_.cpu_ms() - cpu_before;
    EXPECT_LT(cpu, 500) << "ms of CPU in two idle seconds";
    EXPECT_TRUE(answered(first));

    // Room again: somebody new is served.
    served.clear();
    waiting.clear();
    EXPECT_TRUE(eventually([&] {
        raw::Socket client = raw::Socket::connect(port_);
        return client.valid() && answered(client);
    }));
    EXPECT_TRUE(answered(first));
    server_.signal(SIGTERM);
    EXPECT_EQ(0, server_.wait(20000)) << server_.err();
    EXPECT_NE(std::string::npos, server_.out().find("stopped"));
}

} // namespace
