// Weft - integration: what a server of channels does about hostile peers
// SPDX-License-Identifier: Apache-2.0
//
// With limits that are drawn near. Those with the documented defaults, which take their time, stand
// in channel_defaults_test.cc.
#include <atomic>
#include <chrono>
#include <errno.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "integration/channel_support.h"
#include "integration/patience.h"
#include "workflow/wf/filter.h"
#include "workflow/wf/guard.h"

namespace {

class Limits : public testing::Test {
protected:
    Limits() {
        server_.set_framing(wf::delimiter_framing("\n", 1000));
        server_.events().any = [this](wf::Channel &, const CommChannelEvent &event) {
            record_.add(event_name(event));
        };
        server_.on_message([](wf::Channel &channel, const wf::Frame &frame) {
            channel.send("ok " + std::string(frame.bytes));
        });
    }
    void start() {
        port_ = listen_on_free_port(server_);
        ASSERT_NE(port_, 0);
    }
    void TearDown() override { server_.stop(); }
    static bool is_served(raw::Socket &client) {
        return client.send("x\n") && client.read_bytes(5) == "ok x\n";
    }
    bool is_counted(CommCloseReason reason, uint64_t times = 1) {
        return eventually([&] { return server_.get_close_count(reason) == times; });
    }
    // The server has ended it, and nobody else.
    bool is_cut(raw::Socket &client, CommCloseReason reason) {
        bool closed = client.wait_closed();
        return closed && is_counted(reason);
    }

    wf::TcpServer server_;
    Record record_;
    unsigned short port_ = 0;
};

} // namespace

TEST_F(Limits, ASilentNewcomerIsCut) {
    server_.options().first_byte_timeout = 150;
    start();
    raw::Socket silent = raw::Socket::connect(port_), good = raw::Socket::connect(port_);
    ASSERT_TRUE(is_served(good));
    EXPECT_TRUE(is_cut(silent, CCR_FIRST_BYTE_TIMEOUT));
    EXPECT_TRUE(is_served(good));
    EXPECT_TRUE(record_.wait("error " + std::to_string(CCR_FIRST_BYTE_TIMEOUT)));
}

// Whoever sends a byte now and then must have sent a message some time.
TEST_F(Limits, AFirstMessageThatIsNeverWholeIsCut) {
    server_.options().first_message_timeout = 300;
    server_.options().min_receive_rate = 0;
    start();
    raw::Socket slow = raw::Socket::connect(port_), good = raw::Socket::connect(port_);
    ASSERT_TRUE(is_served(good));
    std::atomic<bool> over{false};
    std::thread dripping([&] {
        while (!over && slow.send("x"))
            poll(nullptr, 0, 20);
    });
    EXPECT_TRUE(is_counted(CCR_FIRST_MESSAGE_TIMEOUT));
    over = true;
    dripping.join();
    EXPECT_TRUE(is_served(good));
}

TEST_F(Limits, AMessageMustBecomeWhole) {
    server_.options().message_timeout = 200;
    start();
    raw::Socket client = raw::Socket::connect(port_), good = raw::Socket::connect(port_);
    ASSERT_TRUE(is_served(client));
    ASSERT_TRUE(is_served(good));
    ASSERT_TRUE(client.send("begun"));
    EXPECT_TRUE(is_cut(client, CCR_MESSAGE_TIMEOUT));
    EXPECT_TRUE(is_served(good)); // between two messages there is no such limit
}

TEST_F(Limits, IdleAndSilentOnesAreCut) {
    server_.options().idle_timeout = 250;
    start();
    raw::Socket idle = raw::Socket::connect(port_);
    ASSERT_TRUE(is_served(idle));
    EXPECT_TRUE(is_cut(idle, CCR_IDLE_TIMEOUT));
    // Traffic keeps it.
    raw::Socket busy = raw::Socket::connect(port_);
    for (int i = 0; i < 20; i++) {
        ASSERT_TRUE(is_served(busy));
        poll(nullptr, 0, 25);
    }
    EXPECT_EQ(server_.get_close_count(CCR_IDLE_TIMEOUT), 1u);
}

// Heartbeats go out, but do not keep a peer that says nothing.
TEST_F(Limits, HeartbeatsAndTheirAnswers) {
    server_.options().heartbeat = 50;
    server_.options().receive_timeout = 400;
    server_.events().heartbeat = [](wf::Channel &channel) { channel.send("ping"); };
    start();
    raw::Socket dead = raw::Socket::connect(port_), alive = raw::Socket::connect(port_);
    ASSERT_TRUE(is_served(dead));
    std::thread answering([&] {
        for (int i = 0; i < 15; i++) {
            if (alive.read_until("ping\n").empty() || !alive.send("pong\n"))
                break;
        }
    });
    EXPECT_TRUE(is_cut(dead, CCR_SILENT));
    answering.join();
    EXPECT_GE(record_.count("heartbeat"), 15u);
    EXPECT_EQ(server_.get_close_count(CCR_SILENT), 1u);
}

TEST_F(Limits, PausedReadingIsNobodysSilence) {
    server_.options().receive_timeout = 150;
    server_.options().idle_timeout = 150;
    server_.on_message([](wf::Channel &channel, const wf::Frame &) { channel.stop_read(); });
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(client.send("stop\n"));
    ASSERT_TRUE(eventually([this] {
        auto infos = server_.get_channel_infos();
        return infos.size() == 1 && infos[0].read_paused;
    }));
    poll(nullptr, 0, 500);
    std::vector<wf::ChannelPtr> all = server_.get_channels();
    ASSERT_EQ(all.size(), 1u);
    all[0]->start_read();
    EXPECT_TRUE(client.wait_closed());
    EXPECT_TRUE(eventually([this] {
        return server_.get_close_count(CCR_SILENT) + server_.get_close_count(CCR_IDLE_TIMEOUT) == 1;
    }));
}

TEST_F(Limits, TooLongALineIsCut) {
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(client.send(std::string(2000, 'l')));
    EXPECT_TRUE(is_cut(client, CCR_BAD_MESSAGE));
}

// Together they may not have more queued than the server allows: the greatest goes.
TEST_F(Limits, TheGreatestBacklogMakesRoom) {
    server_.set_backlog_limit(32 << 20);
    server_.options().high_water = 0;
    start();
    std::vector<raw::Socket> deaf;
    for (int i = 0; i < 4; i++)
        deaf.push_back(raw::Socket::connect(port_));
    raw::Socket good = raw::Socket::connect(port_);
    ASSERT_TRUE(is_served(good));
    ASSERT_TRUE(eventually([this] { return server_.get_channel_count() == 5; }));
    std::string block(1 << 20, 'd');
    size_t most = 0;
    for (int i = 0; i < 200; i++) {
        for (const wf::ChannelPtr &channel : server_.get_channels()) {
            if (channel->info().messages == 0)
                channel->send_raw(block);
        }
        most = std::max(most, server_.get_backlog());
    }
    EXPECT_LE(most, static_cast<size_t>((32 << 20) + (1 << 20)));
    EXPECT_GE(server_.get_close_count(CCR_BACKLOG_FULL), 1u);
    EXPECT_TRUE(is_served(good));
}

TEST_F(Limits, MakesRoomForNewcomers) {
    struct WFServerParams params = SERVER_PARAMS_DEFAULT;
    params.max_connections = 3;
    wf::TcpServer small(&params);
    small.set_framing(wf::delimiter_framing());
    small.on_message([](wf::Channel &channel, const wf::Frame &) { channel.send("ok x"); });
    unsigned short port = listen_on_free_port(small);
    raw::Socket used = raw::Socket::connect(port);
    ASSERT_TRUE(is_served(used));
    raw::Socket fresh = raw::Socket::connect(port);
    ASSERT_TRUE(eventually([&] { return small.get_channel_count() == 2; }));
    raw::Socket third = raw::Socket::connect(port);
    ASSERT_TRUE(is_served(third));
    raw::Socket fourth = raw::Socket::connect(port);
    ASSERT_TRUE(is_served(fourth));
    EXPECT_TRUE(fresh.wait_closed()); // it had never said anything
    raw::Socket fifth = raw::Socket::connect(port);
    ASSERT_TRUE(is_served(fifth));
    EXPECT_TRUE(used.wait_closed()); // then the one that was idle longest
    EXPECT_TRUE(is_served(third));
    EXPECT_EQ(small.get_close_count(CCR_MADE_ROOM), 2u);
    small.stop();
}

TEST_F(Limits, TheGuardStandsInFront) {
    auto guard = std::make_shared<wf::Guard>();
    ASSERT_EQ(guard->deny("127.0.0.2"), 0);
    wf::GuardLimits limits;
    limits.per_address = 2;
    ASSERT_EQ(guard->set_limits(limits), 0);
    server_.set_guard(guard);
    start();
    raw::Socket denied = raw::Socket::connect(port_, "127.0.0.2");
    EXPECT_TRUE(denied.wait_closed());
    EXPECT_TRUE(is_counted(CCR_REFUSED_ADDRESS));
    raw::Socket one = raw::Socket::connect(port_, "127.0.0.3");
    raw::Socket two = raw::Socket::connect(port_, "127.0.0.3");
    ASSERT_TRUE(is_served(one));
    ASSERT_TRUE(is_served(two));
    raw::Socket three = raw::Socket::connect(port_, "127.0.0.3");
    EXPECT_TRUE(three.wait_closed());
    EXPECT_TRUE(is_counted(CCR_REFUSED_PER_ADDRESS));
    one.close();
    ASSERT_TRUE(eventually([&] { return guard->get_connection_count() == 1; }));
    raw::Socket four = raw::Socket::connect(port_, "127.0.0.3");
    EXPECT_TRUE(is_served(four));
}

TEST_F(Limits, TheProxyProtocolTellsThePeer) {
    server_.set_filter(std::make_shared<wf::ProxyProtocol>());
    server_.on_message(
        [](wf::Channel &channel, const wf::Frame &) { channel.send(channel.peer_text()); });
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(client.send("PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\nwho\n"));
    EXPECT_EQ(client.read_until("\n"), "192.0.2.7:4711\n");
    raw::Socket bad = raw::Socket::connect(port_);
    ASSERT_TRUE(bad.send("who\n"));
    EXPECT_TRUE(is_cut(bad, CCR_REFUSED_FILTER));
}

namespace {

class Authenticated : public Limits {
protected:
    Authenticated() {
        server_.events().authenticate = [this](wf::Channel &channel, const wf::Frame &frame) {
            std::string word(frame.bytes);
            if (word == "later") {
                std::lock_guard<std::mutex> lock(mutex_);
                waiting_ = wf::ChannelPtr(&channel);
                asked_.add("later");
                return wf::AuthVerdict::LATER;
            }
            if (word == "more")
                return wf::AuthVerdict::MORE;
            if (word == "pass")
                return wf::AuthVerdict::PASS;
            return word == "secret" ? wf::AuthVerdict::ACCEPT : wf::AuthVerdict::REFUSE;
        };
    }
    void TearDown() override {
        waiting_ = wf::ChannelPtr();
        Limits::TearDown();
    }

    std::mutex mutex_;
    wf::ChannelPtr waiting_;
    Record asked_;
};

} // namespace

TEST_F(Authenticated, HoldsMessagesBackUntilItSaysYes) {
    start();
    raw::Socket good = raw::Socket::connect(port_);
    ASSERT_TRUE(good.send("more\nmore\nsecret\nfirst\nsecond\n"));
    EXPECT_EQ(good.read_bytes(19), "ok first\nok second\n");
    raw::Socket pass = raw::Socket::connect(port_);
    ASSERT_TRUE(pass.send("pass\n"));
    EXPECT_EQ(pass.read_bytes(8), "ok pass\n");
    raw::Socket bad = raw::Socket::connect(port_);
    ASSERT_TRUE(bad.send("guess\nfirst\n"));
    EXPECT_TRUE(is_cut(bad, CCR_REFUSED_AUTH));
    EXPECT_TRUE(record_.wait("error " + std::to_string(CCR_REFUSED_AUTH)));
}

TEST_F(Authenticated, MaySayItLaterFromAnyThread) {
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(client.send("later\nfirst\n"));
    ASSERT_TRUE(asked_.wait("later"));
    {
        std::lock_guard<std::mutex> lock(mutex_);
        waiting_->authenticate(true);
        waiting_->authenticate(false); // too late
    }
    EXPECT_EQ(client.read_bytes(9), "ok first\n");
    EXPECT_TRUE(is_served(client));
}

TEST_F(Authenticated, ThatSaysNothingIsANo) {
    server_.events().authentication_timeout = 200;
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(client.send("later\nfirst\n"));
    EXPECT_TRUE(is_cut(client, CCR_AUTH_TIMEOUT));
    raw::Socket good = raw::Socket::connect(port_);
    ASSERT_TRUE(good.send("secret\n"));
    ASSERT_TRUE(is_served(good));
    poll(nullptr, 0, 300); // who was accepted has no such limit any more
    EXPECT_TRUE(is_served(good));
}
