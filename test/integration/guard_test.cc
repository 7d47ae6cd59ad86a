// Weft - integration: servers with a guard or a filter, and peers that those turn away
// SPDX-License-Identifier: Apache-2.0
//
// Peers come from several addresses of the loopback network, which are all ours.
#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "integration/certificates.h"
#include "integration/patience.h"
#include "integration/raw_socket.h"
#include "workflow/ProtocolMessage.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/filter.h"
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

// One more than may be in hand is answered at once, while the others wait for a slow back end.
TEST(Overload, WhatIsTooMuchIsSaidAtOnce) {
    std::mutex mutex;
    std::vector<WFCounterTask *> held;
    WFHttpServer server([&](WFHttpTask *task) {
        task->get_resp()->append_output_body("hello");
        if (std::string(task->get_req()->get_request_uri()) != "/slow")
            return;
        WFCounterTask *gate = WFTaskFactory::create_counter_task(1, nullptr);
        series_of(task)->push_back(gate);
        std::lock_guard<std::mutex> lock(mutex);
        held.push_back(gate);
    });
    server.set_max_requests(2);
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    ASSERT_EQ(server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len), 0);
    unsigned short port = ntohs(addr.sin_port);
    auto ask = [port](const char *path) {
        raw::Socket client = raw::Socket::connect(port);
        client.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n");
        return client;
    };
    auto count_held = [&] {
        std::lock_guard<std::mutex> lock(mutex);
        return held.size();
    };
    raw::Socket one = ask("/slow"), two = ask("/slow");
    ASSERT_TRUE(eventually([&] { return count_held() == 2; }));
    for (int i = 0; i < 10; i++) {
        std::string answer = ask("/quick").read_all();
        EXPECT_EQ(answer.find("HTTP/1.1 503 "), 0u) << answer;
        EXPECT_NE(answer.find("Connection: close"), std::string::npos);
    }
    EXPECT_TRUE(eventually([&] { return server.get_close_count(CCR_OVERLOADED) == 10; }));
    one.reset(); // a client that gives up frees nothing: its request is still worked on
    EXPECT_TRUE(eventually([&] { return server.get_close_count(CCR_PEER_RESET) == 1; }));
    EXPECT_EQ(ask("/quick").read_all().find("HTTP/1.1 503 "), 0u);
    server.set_max_requests(3);
    EXPECT_NE(ask("/quick").read_until("hello").find("200 OK"), std::string::npos);
    for (WFCounterTask *gate : held)
        gate->count();
    EXPECT_NE(two.read_until("hello").find("200 OK"), std::string::npos);
    server.set_max_requests(1);
    // The place is free once the task is gone, which is behind its answer.
    EXPECT_TRUE(eventually(
        [&] { return ask("/quick").read_until("hello").find("200 OK") != std::string::npos; }));
    server.stop();
}

namespace {

// Answers with the address it believes its peer to have.
class Proxied : public testing::Test {
protected:
    Proxied()
        : filter_(std::make_shared<wf::ProxyProtocol>()), server_([](WFHttpTask *task) {
              sockaddr_storage addr = {};
              socklen_t len = sizeof addr;
              char text[INET6_ADDRSTRLEN] = "none";
              task->get_peer_addr(reinterpret_cast<sockaddr *>(&addr), &len);
              if (addr.ss_family == AF_INET)
                  inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in *>(&addr)->sin_addr, text,
                            sizeof text);
              else
                  inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6 *>(&addr)->sin6_addr, text,
                            sizeof text);
              task->get_resp()->append_output_body("from " + std::string(text) + ".");
          }) {
        server_.set_filter(filter_);
    }
    void TearDown() override { server_.stop(); }
    bool start(const Certificate *certificate = nullptr) {
        int ret = certificate ? server_.start("127.0.0.1", 0, certificate->cert.c_str(),
                                              certificate->key.c_str())
                              : server_.start("127.0.0.1", 0);
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        if (ret != 0 || server_.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len) != 0)
            return false;
        port_ = ntohs(addr.sin_port);
        return true;
    }
    std::string ask(const std::string &bytes) {
        raw::Socket client = raw::Socket::connect(port_);
        client.send(bytes);
        return client.read_until(".");
    }
    std::string url(const char *scheme) {
        return std::string(scheme) + "://localhost:" + std::to_string(port_) + "/";
    }

    std::shared_ptr<wf::ProxyProtocol> filter_;
    WFHttpServer server_;
    unsigned short port_ = 0;
};

const std::string HEADER = "PROXY TCP4 198.51.100.7 10.0.0.1 56324 443\r\n";

} // namespace

TEST_F(Proxied, TheAddressIsTheHeaders) {
    ASSERT_TRUE(start());
    EXPECT_NE(std::string::npos, ask(HEADER + ASK).find("from 198.51.100.7."));
    EXPECT_NE(std::string::npos,
              ask("PROXY TCP6 2001:db8::7 ::1 1 2\r\n" + std::string(ASK)).find("2001:db8::7."));
    EXPECT_NE(std::string::npos, ask("PROXY UNKNOWN\r\n" + std::string(ASK)).find("127.0.0.1."));
    EXPECT_EQ(ask(ASK), ""); // none
    EXPECT_EQ(ask("PROXY TCP4 nobody\r\n" + std::string(ASK)), "");
    EXPECT_EQ(server_.get_close_count(CCR_REFUSED_FILTER), 2u);
}

TEST_F(Proxied, TheHeaderMayComeInPieces) {
    ASSERT_TRUE(start());
    raw::Socket client = raw::Socket::connect(port_);
    for (char byte : HEADER)
        ASSERT_TRUE(client.send(std::string(1, byte)));
    for (int i = 0; i < 3; i++) { // once for the connection, and not for each request
        ASSERT_TRUE(client.send(ASK));
        EXPECT_NE(std::string::npos, client.read_until(".").find("from 198.51.100.7."));
    }
}

TEST_F(Proxied, OneThatEndsInTheHeaderIsClosed) {
    ASSERT_TRUE(start());
    raw::Socket half = raw::Socket::connect(port_);
    ASSERT_TRUE(half.send(HEADER.substr(0, 20)));
    half.half_close();
    EXPECT_TRUE(half.wait_closed());
    raw::Socket silent = raw::Socket::connect(port_);
    silent.half_close();
    EXPECT_TRUE(silent.wait_closed());
    EXPECT_TRUE(eventually([this] { return server_.get_conn_count() == 0; }));
    EXPECT_NE(std::string::npos, ask(HEADER + ASK).find("198.51.100.7"));
}

// Whose header is not complete has asked nothing: it is no reason to wait.
TEST_F(Proxied, TheEndOfTheServerDoesNotWaitForHeaders) {
    ASSERT_TRUE(start());
    std::vector<raw::Socket> waiting;
    for (int i = 0; i < 20; i++) {
        waiting.push_back(raw::Socket::connect(port_));
        ASSERT_TRUE(waiting.back().send(HEADER.substr(0, static_cast<size_t>(i))));
    }
    EXPECT_TRUE(eventually([this] { return server_.get_conn_count() == 20; }));
    auto begin = std::chrono::steady_clock::now();
    server_.stop();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
    EXPECT_EQ(server_.get_close_count(CCR_DRAINED), 20u);
}

TEST_F(Proxied, AGuardIsAskedAboutTheHeadersAddress) {
    auto guard = std::make_shared<wf::Guard>();
    wf::GuardLimits limits;
    limits.per_address = 1;
    ASSERT_EQ(guard->set_limits(limits), 0);
    ASSERT_EQ(guard->deny("203.0.113.0/24"), 0);
    server_.set_guard(guard);
    ASSERT_TRUE(start());
    EXPECT_EQ(ask("PROXY TCP4 203.0.113.5 10.0.0.1 1 2\r\n" + std::string(ASK)), "");
    EXPECT_EQ(server_.get_close_count(CCR_REFUSED_ADDRESS), 1u);
    raw::Socket one = raw::Socket::connect(port_);
    ASSERT_TRUE(one.send(HEADER + ASK));
    EXPECT_NE(std::string::npos, one.read_until(".").find("198.51.100.7"));
    EXPECT_EQ(ask(HEADER + ASK), "");
    EXPECT_EQ(server_.get_close_count(CCR_REFUSED_PER_ADDRESS), 1u);
    EXPECT_NE(std::string::npos,
              ask("PROXY TCP4 198.51.100.8 10.0.0.1 1 2\r\n" + std::string(ASK)).find(".8."));
    one.close();
    EXPECT_TRUE(eventually([&] { return guard->get_connection_count() == 0; }));
    EXPECT_NE(std::string::npos, ask(HEADER + ASK).find("198.51.100.7"));
    server_.stop();
    EXPECT_EQ(guard->get_connection_count(), 0u);
}

TEST_F(Proxied, OnlyTrustedProxiesAreHeard) {
    ASSERT_EQ(filter_->trust("127.0.0.2"), 0);
    ASSERT_TRUE(start());
    EXPECT_EQ(ask(HEADER + ASK), "");
    raw::Socket proxy = raw::Socket::connect(port_, "127.0.0.2");
    ASSERT_TRUE(proxy.send(HEADER + ASK));
    EXPECT_NE(std::string::npos, proxy.read_until(".").find("198.51.100.7"));
}

// A real client that speaks it, in the clear and in front of TLS.
TEST_F(Proxied, CurlSpeaksIt) {
    ASSERT_TRUE(start());
    peer::Result result = peer::run({"curl", "-sS", "--haproxy-protocol", url("http")});
    EXPECT_EQ(result.out, "from 127.0.0.1.") << result.err;
    result = peer::run({"curl", "-sS", url("http")});
    EXPECT_NE(result.status, 0);
}

TEST_F(Proxied, CurlSpeaksItBeforeTls) {
    Certificate own = Authority::common().make("proxied");
    ASSERT_TRUE(start(&own));
    for (int i = 0; i < 3; i++) {
        peer::Result result = peer::run({"curl", "-sS", "--cacert", Authority::common().file(),
                                         "--haproxy-protocol", url("https")});
        EXPECT_EQ(result.out, "from 127.0.0.1.") << result.err;
    }
}
