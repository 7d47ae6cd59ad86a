// Weft - integration: servers with a guard, and peers that it turns away
// SPDX-License-Identifier: Apache-2.0
//
// Peers come from several addresses of the loopback network, which are all ours.
#include <arpa/inet.h>
#include <atomic>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "integration/patience.h"
#include "integration/raw_socket.h"
#include "workflow/ProtocolMessage.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/guard.h"

namespace {

const char *const ASK = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

class Guarded : public testing::Test {
protected:
    Guarded()
        : guard_(std::make_shared<wf::Guard>()), server_([this](WFHttpTask *task) {
              requests_++;
              task->get_resp()->append_output_body("hello");
          }) {
        server_.set_guard(guard_);
    }
    void SetUp() override {
        ASSERT_EQ(server_.start("127.0.0.1", 0), 0);
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        ASSERT_EQ(server_.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len), 0);
        port_ = ntohs(addr.sin_port);
    }
    void TearDown() override {
        server_.stop();
        EXPECT_EQ(guard_->get_connection_count(), 0u);
    }

    raw::Socket come(const char *from) { return raw::Socket::connect(port_, from); }
    static bool is_served(raw::Socket *client) {
        return client->send(ASK) && client->read_until("hello").find("200 OK") != std::string::npos;
    }
    bool is_served_once(const char *from) {
        raw::Socket client = this->come(from);
        return is_served(&client);
    }
    // Closed, without a word, and without having been asked anything.
    bool is_turned_away(const char *from) {
        raw::Socket client = this->come(from);
        return client.valid() && client.read_all().empty();
    }
    uint64_t count(CommCloseReason reason) { return server_.get_close_count(reason); }

    std::shared_ptr<wf::Guard> guard_;
    WFHttpServer server_;
    unsigned short port_ = 0;
    std::atomic<int> requests_{0};
};

} // namespace

TEST_F(Guarded, ListsChangeWhileItRuns) {
    EXPECT_TRUE(is_served_once("127.0.0.2"));
    raw::Socket old = come("127.0.0.2");
    ASSERT_TRUE(is_served(&old));
    ASSERT_EQ(guard_->deny("127.0.0.2"), 0);
    EXPECT_TRUE(is_turned_away("127.0.0.2"));
    EXPECT_TRUE(is_served_once("127.0.0.3"));
    EXPECT_TRUE(is_served(&old)); // who is in stays in
    ASSERT_EQ(guard_->set_blocks({"127.0.0.2/31"}, {}), 0);
    EXPECT_TRUE(is_served_once("127.0.0.2"));
    EXPECT_TRUE(is_served_once("127.0.0.3"));
    EXPECT_TRUE(is_turned_away("127.0.0.4"));
    EXPECT_EQ(count(CCR_REFUSED_ADDRESS), 2u);
    EXPECT_EQ(requests_.load(), 6);
}

TEST_F(Guarded, OneAddressHasSoManyPlaces) {
    wf::GuardLimits limits;
    limits.per_address = 3;
    ASSERT_EQ(guard_->set_limits(limits), 0);
    std::vector<raw::Socket> crowd;
    for (int i = 0; i < 3; i++) {
        crowd.push_back(come("127.0.0.2"));
        ASSERT_TRUE(is_served(&crowd.back()));
    }
    for (int i = 0; i < 20; i++)
        EXPECT_TRUE(is_turned_away("127.0.0.2"));
    EXPECT_EQ(count(CCR_REFUSED_PER_ADDRESS), 20u);
    EXPECT_TRUE(is_served_once("127.0.0.3"));
    for (raw::Socket &client : crowd)
        EXPECT_TRUE(is_served(&client));
    crowd.pop_back(); // a place is free as soon as the server has seen the end
    EXPECT_TRUE(eventually([this] { return guard_->get_connection_count() == 2; }));
    EXPECT_TRUE(is_served_once("127.0.0.2"));
}

// Who resets at once gives the place back too.
TEST_F(Guarded, PlacesComeBackWhateverTheEnd) {
    wf::GuardLimits limits;
    limits.per_address = 50;
    ASSERT_EQ(guard_->set_limits(limits), 0);
    for (int i = 0; i < 500; i++) {
        raw::Socket client = come("127.0.0.2");
        if (i % 3 == 0)
            client.send(ASK);
        if (i % 2)
            client.reset();
    }
    EXPECT_TRUE(eventually([this] { return guard_->get_connection_count() == 0; }));
    EXPECT_TRUE(is_served_once("127.0.0.2"));
}

TEST_F(Guarded, NewcomersHaveARate) {
    wf::GuardLimits limits;
    limits.address_rate = 0.001;
    limits.address_burst = 5;
    ASSERT_EQ(guard_->set_limits(limits), 0);
    for (int i = 0; i < 5; i++)
        EXPECT_TRUE(is_served_once("127.0.0.2"));
    EXPECT_TRUE(is_turned_away("127.0.0.2"));
    EXPECT_TRUE(is_served_once("127.0.0.3"));
    limits.address_rate = 0;
    limits.rate = 0.001;
    limits.burst = 2;
    ASSERT_EQ(guard_->set_limits(limits), 0);
    EXPECT_TRUE(is_served_once("127.0.0.4"));
    EXPECT_TRUE(is_served_once("127.0.0.5"));
    EXPECT_TRUE(is_turned_away("127.0.0.6"));
    EXPECT_EQ(count(CCR_REFUSED_RATE), 2u);
}

// One guard for two servers counts for both.
TEST_F(Guarded, TwoServersShareOne) {
    wf::GuardLimits limits;
    limits.per_address = 1;
    ASSERT_EQ(guard_->set_limits(limits), 0);
    WFHttpServer other([](WFHttpTask *task) { task->get_resp()->append_output_body("hello"); });
    other.set_guard(guard_);
    ASSERT_EQ(other.start("127.0.0.1", 0), 0);
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    ASSERT_EQ(other.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len), 0);
    raw::Socket here = come("127.0.0.2");
    ASSERT_TRUE(is_served(&here));
    raw::Socket there = raw::Socket::connect(ntohs(addr.sin_port), "127.0.0.2");
    EXPECT_EQ(there.read_all(), "");
    EXPECT_EQ(other.get_close_count(CCR_REFUSED_PER_ADDRESS), 1u);
    other.stop();
}

// The place is taken until the connection is gone, also when the limit of all makes room.
TEST_F(Guarded, ACrowdFromManyAddresses) {
    wf::GuardLimits limits;
    limits.per_address = 2;
    ASSERT_EQ(guard_->set_limits(limits), 0);
    std::atomic<int> served{0}, refused{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 100; i++) {
                std::string from = "127.0.1." + std::to_string(1 + (i + t) % 3);
                raw::Socket client = come(from.c_str());
                (is_served(&client) ? served : refused)++;
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(served + refused, 400);
    EXPECT_EQ(served, requests_);
    EXPECT_EQ(static_cast<uint64_t>(refused), count(CCR_REFUSED_PER_ADDRESS));
    EXPECT_TRUE(eventually([this] { return guard_->get_connection_count() == 0; }));
}
