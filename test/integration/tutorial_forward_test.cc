// Weft - integration: the port forwarder of the tutorials: all bytes, ends and breaks go on, in bounded memory
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <thread>
#include <vector>

#include "integration/patience.h"
#include "integration/peer.h"
#include "integration/raw_socket.h"
#include "integration/soak.h"
#include "integration/tutorial_server.h"

namespace {

constexpr size_t MANY = 64u << 20;
constexpr size_t BLOCK = 256u << 10;
// The sanitizers keep what was freed.
#ifdef WEFT_UNDER_SANITIZER
constexpr size_t MOST_KIB = 2u << 20;
#else
constexpr size_t MOST_KIB = 48u << 10;
#endif

// The same bytes for the same place, so that one that is missing, doubled or changed is found.
std::string bytes_at(size_t at, size_t size) {
    std::string text(size, '\0');
    for (size_t i = 0; i < size; i++)
        text[i] = static_cast<char>((at + i) * 31 + (at + i) / 4099);
    return text;
}

bool send_many(raw::Socket &socket, size_t size, std::atomic<size_t> *sent = nullptr) {
    for (size_t at = 0; at < size; at += BLOCK) {
        if (!socket.send(bytes_at(at, BLOCK)))
            return false;
        if (sent)
            *sent += BLOCK;
    }
    return true;
}

// Until there are so many, and maybe some more. Returns how many good ones have come.
size_t read_many(raw::Socket &socket, size_t size, size_t at = 0) {
    while (at < size) {
        std::string some = socket.read_some();
        if (some.empty() || some != bytes_at(at, some.size()))
            break;
        at += some.size();
    }
    return at;
}

class Forwarder : public testing::Test {
protected:
    Forwarder() : server_({"port_forwarder", "0", "127.0.0.1", std::to_string(target_.port())}) {}
    void SetUp() override {
        ASSERT_NE(server_.port(), 0);
        this->join();
    }
    // A new pair: `near` has connected, `far` was connected to.
    void join() {
        near_ = raw::Socket::connect(server_.port());
        far_ = target_.accept();
        ASSERT_TRUE(near_.valid() && far_.valid());
    }
    // A number of /proc/PID/status, in KiB.
    size_t memory(const char *name) {
        std::string path = "/proc/" + std::to_string(server_.process().pid()) + "/status";
        FILE *file = fopen(path.c_str(), "r");
        std::string text;
        char line[256];
        while (file && fgets(line, sizeof line, file))
            text += line;
        if (file)
            fclose(file);
        size_t at = text.find(name);
        return at == std::string::npos ? SIZE_MAX
                                       : strtoul(text.c_str() + at + strlen(name) + 1, nullptr, 10);
    }
    void expect_little_memory() {
        EXPECT_LT(memory("VmHWM"), MOST_KIB);
        EXPECT_GT(memory("VmRSS"), 0u);
    }

    raw::Listener target_;
    TutorialServer server_;
    raw::Socket near_, far_;
};

} // namespace

TEST_F(Forwarder, BothDirectionsAtOnce) {
    std::thread up([this] { EXPECT_TRUE(send_many(near_, MANY)); });
    std::thread down([this] { EXPECT_TRUE(send_many(far_, MANY)); });
    std::thread at_far([this] { EXPECT_EQ(read_many(far_, MANY), MANY); });
    EXPECT_EQ(read_many(near_, MANY), MANY);
    for (std::thread *thread : {&up, &down, &at_far})
        thread->join();
    expect_little_memory();
    server_.expect_clean_end(); // with an open connection
}

// A reader that pauses stops the writer, and nobody keeps what is between them.
TEST_F(Forwarder, AReaderThatPauses) {
    for (raw::Socket *reader : {&far_, &near_}) {
        raw::Socket *writer = reader == &far_ ? &near_ : &far_;
        std::atomic<size_t> sent{0};
        std::thread thread([&] { EXPECT_TRUE(send_many(*writer, MANY, &sent)); });
        size_t at = 0;
        for (size_t part = 1; part <= 4; part++) {
            for (size_t before = SIZE_MAX; before != sent;) { // until nothing moves any more
                before = sent;
                eventually([&] { return sent != before; }, 200);
            }
            EXPECT_LT(part == 1 ? sent.load() : 0, MANY);
            at = read_many(*reader, part * MANY / 4, at);
            EXPECT_GE(at, part * MANY / 4);
        }
        thread.join();
        EXPECT_EQ(at, MANY);
        expect_little_memory();
    }
}

// The end of one direction goes on, and the other one lives: a question and its answer.
TEST_F(Forwarder, HalfCloseBothWays) {
    for (bool from_near : {true, false}) {
        if (!from_near)
            join();
        raw::Socket &asks = from_near ? near_ : far_, &answers = from_near ? far_ : near_;
        ASSERT_TRUE(asks.send("question"));
        asks.half_close();
        EXPECT_EQ(answers.read_all(), "question");
        EXPECT_TRUE(answers.at_end());
        std::thread thread([&] {
            EXPECT_TRUE(send_many(answers, MANY));
            answers.half_close();
        });
        EXPECT_EQ(read_many(asks, MANY), MANY);
        thread.join();
        EXPECT_EQ(asks.read_all(), "");
        EXPECT_TRUE(asks.at_end());
    }
    expect_little_memory();
    server_.expect_clean_end();
}

// Whoever has closed is gone; what he has sent arrives all the same.
TEST_F(Forwarder, NothingIsLostBehindAClose) {
    for (bool from_near : {true, false}) {
        if (!from_near)
            join();
        raw::Socket &leaves = from_near ? near_ : far_, &stays = from_near ? far_ : near_;
        stays.half_close();
        EXPECT_EQ(leaves.read_all(), "");
        EXPECT_TRUE(leaves.at_end());
        std::thread thread([&] {
            EXPECT_TRUE(send_many(leaves, MANY / 2));
            leaves.close();
        });
        EXPECT_EQ(read_many(stays, MANY / 2), MANY / 2);
        thread.join();
        EXPECT_EQ(stays.read_all(), "");
        EXPECT_TRUE(stays.at_end());
    }
    server_.expect_clean_end();
}

TEST_F(Forwarder, ABreakIsOneOfTheOtherSide) {
    near_.reset();
    EXPECT_TRUE(far_.wait_closed());
    EXPECT_TRUE(far_.was_reset());
    join();
    far_.reset();
    EXPECT_TRUE(near_.wait_closed());
    EXPECT_TRUE(near_.was_reset());
    server_.expect_clean_end();
}

TEST_F(Forwarder, TheTargetMaySpeakFirst) {
    ASSERT_TRUE(far_.send("welcome"));
    EXPECT_EQ(near_.read_bytes(7), "welcome");
    server_.expect_clean_end();
    EXPECT_TRUE(near_.wait_closed());
    EXPECT_TRUE(far_.wait_closed());
}

// The writer is gone and the reader does not read: the program ends all the same.
TEST_F(Forwarder, AnEndDoesNotWaitForAStuckReader) {
    far_.half_close();
    EXPECT_EQ(near_.read_all(), "");
    std::atomic<size_t> sent{0};
    std::thread thread([&] { send_many(near_, MANY, &sent); });
    for (size_t before = SIZE_MAX; before != sent;) {
        before = sent;
        eventually([&] { return sent != before; }, 200);
    }
    server_.expect_clean_end();
    thread.join();
}

TEST(Forwarding, ATargetThatRefuses) {
    TutorialServer server(
        {"port_forwarder", "0", "127.0.0.1", std::to_string(raw::refusing_port())});
    ASSERT_NE(server.port(), 0);
    for (int i = 0; i < 20; i++) {
        raw::Socket near = raw::Socket::connect(server.port());
        near.send("anybody there?");
        EXPECT_TRUE(near.wait_closed());
    }
    server.expect_clean_end();
    EXPECT_NE(server.process().err().find("Connection refused"), std::string::npos);
}

TEST(Forwarding, ATargetThatIsNone) {
    TutorialServer server({"port_forwarder", "0", "no-such-host.invalid", "80"});
    ASSERT_NE(server.port(), 0);
    raw::Socket near = raw::Socket::connect(server.port());
    EXPECT_TRUE(near.wait_closed());
    server.expect_clean_end();
    EXPECT_NE(server.process().err().find("no connection"), std::string::npos);
}

TEST(Forwarding, ManyConnections) {
    constexpr int THREADS = 8, ROUNDS = 50;
    raw::ScriptedServer target(
        [](raw::Socket &socket, int) {
            socket.send(socket.read_until("\n"));
            socket.half_close();
        },
        raw::ScriptedServer::THREADS);
    TutorialServer server({"port_forwarder", "0", "127.0.0.1", std::to_string(target.port())});
    ASSERT_NE(server.port(), 0);
    std::vector<std::thread> threads;
    threads.reserve(THREADS);
    for (int t = 0; t < THREADS; t++) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < ROUNDS; i++) {
                std::string line = std::to_string(t) + " " + std::to_string(i) + "\n";
                raw::Socket near = raw::Socket::connect(server.port());
                EXPECT_TRUE(near.send(line));
                EXPECT_EQ(near.read_all(), line);
            }
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    server.expect_clean_end();
}
