// Weft - integration: the tutorial on coroutines
// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <gtest/gtest.h>

#include "integration/patience.h"
#include "integration/peer.h"
#include "integration/raw_socket.h"
#include "integration/tutorial_server.h"
#include "workflow/WFHttpServer.h"

namespace {

std::string program() { return std::string(WEFT_TUTORIALS) + "/fan_out"; }

std::string at(unsigned short port) { return "http://127.0.0.1:" + std::to_string(port) + "/"; }

class FanOut : public ::testing::Test {
protected:
    FanOut() : good_([](WFHttpTask *task) { task->get_resp()->append_output_body("x"); }) {}
    void SetUp() override {
        ASSERT_EQ(0, good_.start("127.0.0.1", 0));
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        good_.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
        good_url_ = at(ntohs(addr.sin_port));
        silent_url_ = at(silent_.port());
        refused_url_ = at(raw::refusing_port());
    }
    void TearDown() override {
        good_.stop();
        process_.signal(SIGTERM);
        EXPECT_EQ(0, process_.wait()) << process_.err();
    }
    void start(const std::string &seconds, std::vector<std::string> urls) {
        urls.insert(urls.begin(), {program(), "0", seconds});
        process_.start(urls);
        std::string line = process_.wait_line("listening on port ");
        ASSERT_NE("", line) << process_.err();
        port_ = static_cast<unsigned short>(strtoul(line.c_str() + 18, nullptr, 10));
    }
    std::string ask(const std::string &path) {
        peer::Result result = peer::run({"curl", "-s", at(port_) + path});
        EXPECT_EQ(0, result.status);
        return result.out;
    }

    WFHttpServer good_;
    raw::Listener silent_; // accepts and says nothing
    std::string good_url_, silent_url_, refused_url_;
    peer::Process process_;
    unsigned short port_ = 0;
};

TEST_F(FanOut, TellsOfEach) {
    this->start("5", {good_url_, refused_url_, silent_url_});
    EXPECT_EQ(good_url_ + ": 200\n" + refused_url_ + ": Connection refused\n" + silent_url_ +
                  ": Connection timed out\n",
              this->ask(""));
}

TEST_F(FanOut, TakesTheFirst) {
    this->start("60", {silent_url_, refused_url_, good_url_});
    EXPECT_EQ(good_url_ + ": 200\n", this->ask("first"));
}

TEST_F(FanOut, SaysWhenNoneIsGood) {
    this->start("60", {refused_url_, refused_url_});
    EXPECT_EQ("none of them\n", this->ask("first"));
}

TEST_F(FanOut, LearnsThatTheClientHasGone) {
    this->start("60", {silent_url_});
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    raw::Socket asked = silent_.accept(); // the call is under way
    ASSERT_TRUE(asked.valid());
    client.close();
    EXPECT_NE("", process_.wait_line("/: the client has gone"));
}

TEST(FanOutCommandLine, IsChecked) {
    for (const std::vector<std::string> &line : {std::vector<std::string>{program()},
                                                 {program(), "0", "1"},
                                                 {program(), "x", "1", "http://a/"},
                                                 {program(), "0", "0", "http://a/"}}) {
        peer::Result result = peer::run(line);
        EXPECT_EQ(2, result.status);
        EXPECT_NE(std::string::npos, result.err.find("usage: "));
    }
}

} // namespace
