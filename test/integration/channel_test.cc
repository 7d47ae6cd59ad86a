// Weft - integration: channels of a TcpServer against raw sockets
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <errno.h>
#include <gtest/gtest.h>
#include <memory>
#include <set>
#include <string>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "integration/channel_support.h"
#include "integration/patience.h"
#include "integration/peer.h"

namespace {

using Lines = std::vector<std::string>;

class Channels : public testing::Test {
protected:
    Channels() {
        server_.events().any = [this](wf::Channel &, const CommChannelEvent &event) {
            record_.add(event_name(event));
        };
    }
    void start() {
        port_ = listen_on_free_port(server_);
        ASSERT_NE(port_, 0);
    }
    void TearDown() override {
        gate_.open();
        server_.stop();
        EXPECT_EQ(server_.get_channel_count(), 0u);
        EXPECT_EQ(server_.get_backlog(), 0u);
    }
    void echo() {
        server_.on_message([](wf::Channel &channel, const wf::Frame &frame) {
            EXPECT_EQ(channel.send(frame.bytes, frame.type), 0);
        });
    }
    wf::ChannelPtr only() {
        std::vector<wf::ChannelPtr> all = server_.get_channels();
        return all.size() == 1 ? all[0] : wf::ChannelPtr();
    }
    uint64_t count(CommCloseReason reason) { return server_.get_close_count(reason); }

    wf::TcpServer server_;
    Record record_;
    Gate gate_;
    unsigned short port_ = 0;
};

} // namespace

TEST_F(Channels, EchoesBytes) {
    echo();
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(client.send("hello"));
    EXPECT_EQ(client.read_bytes(5), "hello");
    ASSERT_TRUE(client.send("again"));
    EXPECT_EQ(client.read_bytes(5), "again");
    client.close();
    ASSERT_TRUE(record_.wait("closed " + std::to_string(CCR_PEER_CLOSED)));
    EXPECT_EQ(record_.lines().front(), "established");
    EXPECT_EQ(record_.lines().back(), "closed " + std::to_string(CCR_PEER_CLOSED));
    EXPECT_EQ(record_.count("finished"), 1u);
    EXPECT_EQ(count(CCR_PEER_CLOSED), 1u);
}

TEST_F(Channels, AServerMaySpeakFirst) {
    server_.on_established([](wf::Channel &channel) { channel.send("welcome"); });
    start();
    raw::Socket client = raw::Socket::connect(port_);
    EXPECT_EQ(client.read_bytes(7), "welcome");
}

// Any cut of the bytes gives the same messages, whatever the framing.
TEST_F(Channels, MessagesInAnyCut) {
    server_.set_framing(wf::delimiter_framing());
    echo();
    start();
    const std::string text = "one\r\ntwo\n\nthree\n", answer = "one\ntwo\n\nthree\n";
    for (size_t cut = 0; cut <= text.size(); cut++) {
        raw::Socket client = raw::Socket::connect(port_);
        ASSERT_TRUE(client.send(text.substr(0, cut)));
        ASSERT_TRUE(client.send(text.substr(cut)));
        EXPECT_EQ(client.read_bytes(answer.size()), answer) << cut;
    }
}

TEST_F(Channels, ALastLineWithoutItsEndIsOne) {
    server_.set_framing(wf::delimiter_framing());
    echo();
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(client.send("first\nlast"));
    client.half_close();
    EXPECT_EQ(client.read_all(), "first\nlast\n");
    EXPECT_TRUE(client.at_end());
}

TEST_F(Channels, ACutMessageIsAnError) {
    server_.set_framing(wf::length_framing());
    echo();
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(client.send(std::string("\0\0\0\5hel", 7)));
    client.half_close();
    EXPECT_EQ(client.read_all(), "");
    ASSERT_TRUE(record_.wait("closed " + std::to_string(CCR_BAD_MESSAGE)));
    EXPECT_EQ(record_.count("error " + std::to_string(CCR_BAD_MESSAGE)), 1u); // before the end
}

TEST_F(Channels, LongMessagesGrowWithWhatCame) {
    server_.set_framing(wf::length_framing());
    echo();
    start();
    std::string body(3 << 20, 'x');
    for (size_t i = 0; i < body.size(); i++)
        body[i] = static_cast<char>(i * 7 + i / 1000);
    std::string head = {0, static_cast<char>(body.size() >> 16), 0, 0};
    raw::Socket client = raw::Socket::connect(port_);
    std::thread sender([&] { EXPECT_TRUE(client.send(head + body)); });
    EXPECT_EQ(client.read_bytes(head.size() + body.size()), head + body);
    sender.join();
    // And one that is longer than it may be.
    raw::Socket bad = raw::Socket::connect(port_);
    ASSERT_TRUE(bad.send(std::string("\x7f\xff\xff\xff", 4)));
    EXPECT_TRUE(bad.wait_closed());
    EXPECT_TRUE(record_.wait("closed " + std::to_string(CCR_BAD_MESSAGE)));
}

TEST_F(Channels, TypesOfTlv) {
    server_.set_framing(wf::tlv_framing());
    server_.on_message([](wf::Channel &channel, const wf::Frame &frame) {
        EXPECT_EQ(channel.send(frame.bytes, frame.type + 1), 0);
        EXPECT_EQ(channel.send("x", 1 << 16), -1); // a type of two bytes
        EXPECT_EQ(errno, EINVAL);
    });
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(client.send(std::string("\0\7\0\0\0\3abc", 9)));
    EXPECT_EQ(client.read_bytes(9), std::string("\0\10\0\0\0\3abc", 9));
}

// What is sent from many threads arrives whole, and in the order of each.
TEST_F(Channels, SendsOfManyThreadsStayWhole) {
    server_.set_framing(wf::delimiter_framing());
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(record_.wait("established"));
    wf::ChannelPtr channel = only();
    ASSERT_TRUE(channel);
    constexpr int THREADS = 4, LINES = 3000;
    std::vector<std::thread> threads;
    for (int t = 0; t < THREADS; t++) {
        threads.emplace_back([&channel, t] {
            for (int i = 0; i < LINES; i++) {
                std::string line = std::to_string(t) + " " + std::to_string(i);
                line.append(static_cast<size_t>(i % 50) * 120, '.'); // some are kept, not copied
                EXPECT_EQ(i % 2 ? channel->send(std::move(line)) : channel->send(line), 0);
            }
        });
    }
    std::vector<int> next(THREADS, 0);
    std::string left;
    for (int lines = 0; lines < THREADS * LINES;) {
        std::string some = client.read_some();
        ASSERT_FALSE(some.empty());
        left += some;
        size_t at;
        while ((at = left.find('\n')) != std::string::npos) {
            int t = left[0] - '0', i = atoi(left.c_str() + 2);
            ASSERT_EQ(next[static_cast<size_t>(t)]++, i);
            left.erase(0, at + 1);
            lines++;
        }
    }
    for (std::thread &thread : threads)
        thread.join();
}

TEST_F(Channels, BorrowedBytesAreGivenBackOnce) {
    std::atomic<int> back{0};
    std::string bytes(8 << 20, 'b');
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(record_.wait("established"));
    wf::ChannelPtr channel = only();
    for (int i = 0; i < 8; i++)
        ASSERT_EQ(channel->send_borrowed(bytes, [&back] { back++; }), 0);
    EXPECT_LT(back.load(), 8);
    EXPECT_EQ(client.read_bytes(9 << 20).substr(0, 8 << 20), bytes);
    client.close(); // the rest is dropped, and given back, too
    ASSERT_TRUE(record_.wait("established"));
    EXPECT_TRUE(eventually([&back] { return back == 8; }));
    EXPECT_EQ(channel->send_borrowed(bytes, [&back] { back++; }), -1);
    EXPECT_EQ(back.load(), 9);
}

TEST_F(Channels, MarksAlternate) {
    server_.options().high_water = 1 << 20;
    server_.options().low_water = 1 << 10;
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(record_.wait("established"));
    wf::ChannelPtr channel = only();
    std::string block(64 << 10, 'm');
    size_t sent = 0;
    for (int round = 0; round < 3; round++) {
        size_t high = record_.count("high water");
        while (record_.count("high water") == high) {
            ASSERT_EQ(channel->send(block), 0);
            sent += block.size();
        }
        EXPECT_EQ(record_.count("low water"), high);
        while (sent > 0) {
            std::string some = client.read_some();
            ASSERT_FALSE(some.empty());
            sent -= some.size();
        }
        EXPECT_TRUE(eventually([&] { return record_.count("low water") == high + 1; }));
    }
    EXPECT_EQ(record_.count("high water"), 3u);
}

// What is queued still arrives, then the end; what the peer says meanwhile is heard.
TEST_F(Channels, ShutdownLosesNothing) {
    std::atomic<size_t> heard{0};
    server_.on_message(
        [&heard](wf::Channel &, const wf::Frame &frame) { heard += frame.bytes.size(); });
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(record_.wait("established"));
    wf::ChannelPtr channel = only();
    std::string block(16 << 20, 'q');
    ASSERT_EQ(channel->send(block), 0);
    channel->shutdown();
    EXPECT_EQ(channel->send("late"), -1);
    EXPECT_EQ(errno, ENOTCONN);
    EXPECT_EQ(channel->get_state(), CCS_DISCONNECTING);
    ASSERT_TRUE(client.send("still here"));
    EXPECT_EQ(client.read_all(), block);
    EXPECT_TRUE(client.at_end());
    ASSERT_TRUE(client.send("and more"));
    EXPECT_TRUE(eventually([&heard] { return heard == 18; }));
    client.half_close();
    ASSERT_TRUE(record_.wait("closed " + std::to_string(CCR_FINISHED)));
}

TEST_F(Channels, ShutdownDoesNotWaitForEver) {
    server_.options().finish_timeout = 200;
    server_.on_established([](wf::Channel &channel) { channel.shutdown(); });
    start();
    raw::Socket client = raw::Socket::connect(port_);
    EXPECT_EQ(client.read_all(), "");
    ASSERT_TRUE(record_.wait("closed " + std::to_string(CCR_FINISH_TIMEOUT)));
}

TEST_F(Channels, CloseNowAndLater) {
    server_.set_framing(wf::delimiter_framing());
    server_.on_message([](wf::Channel &channel, const wf::Frame &frame) {
        if (frame.bytes == "now")
            channel.close();
        else if (frame.bytes == "reset")
            channel.reset();
        else
            channel.close_after(100);
    });
    start();
    for (const char *how : {"now", "reset", "later"}) {
        raw::Socket client = raw::Socket::connect(port_);
        ASSERT_TRUE(client.send(std::string(how) + "\n"));
        EXPECT_EQ(client.read_all(), "");
        EXPECT_EQ(client.was_reset(), std::string(how) == "reset") << how;
    }
    EXPECT_TRUE(eventually([this] { return count(CCR_CLOSED) == 2 && count(CCR_RESET) == 1; }));
}

TEST_F(Channels, NothingIsHandedOutWhilePaused) {
    server_.set_framing(wf::delimiter_framing());
    Record messages;
    server_.on_message([&](wf::Channel &channel, const wf::Frame &frame) {
        messages.add(std::string(frame.bytes));
        if (frame.bytes == "stop")
            channel.stop_read();
    });
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(client.send("a\nstop\nb\nc\n"));
    ASSERT_TRUE(messages.wait(2));
    wf::ChannelPtr channel = only();
    ASSERT_TRUE(client.send("d\n"));
    // Another channel makes its way meanwhile.
    raw::Socket other = raw::Socket::connect(port_);
    ASSERT_TRUE(other.send("other\n"));
    ASSERT_TRUE(messages.wait("other"));
    EXPECT_EQ(messages.lines(), (Lines{"a", "stop", "other"}));
    EXPECT_TRUE(channel->info().read_paused);
    channel->start_read();
    ASSERT_TRUE(messages.wait(6));
    EXPECT_EQ(messages.lines(), (Lines{"a", "stop", "other", "b", "c", "d"}));
}

// A blocked event holds up its own channel's reading, and neither its sending nor anybody else.
TEST_F(Channels, ABlockedEventHoldsUpItsOwnReadingOnly) {
    server_.set_framing(wf::delimiter_framing());
    Record messages;
    server_.on_message([&](wf::Channel &channel, const wf::Frame &frame) {
        messages.add(std::string(frame.bytes));
        if (frame.bytes == "block")
            gate_.pass();
        channel.send(frame.bytes);
    });
    start();
    raw::Socket blocked = raw::Socket::connect(port_);
    ASSERT_TRUE(blocked.send("block\n"));
    ASSERT_TRUE(messages.wait("block"));
    wf::ChannelPtr channel = only();
    ASSERT_TRUE(channel);
    ASSERT_TRUE(blocked.send("next\n"));
    std::string big(16 << 20, 's');
    EXPECT_EQ(channel->send_raw(big + "\n"), 0);
    EXPECT_EQ(blocked.read_bytes(big.size() + 1), big + "\n");
    for (int i = 0; i < 20; i++) {
        raw::Socket other = raw::Socket::connect(port_);
        ASSERT_TRUE(other.send("other\n"));
        EXPECT_EQ(other.read_bytes(6), "other\n");
    }
    EXPECT_EQ(messages.count("next"), 0u);
    gate_.open();
    EXPECT_EQ(blocked.read_bytes(11), "block\nnext\n");
}

TEST_F(Channels, IdsFindTheirOwnAndNothingElse) {
    echo();
    start();
    std::set<wf::ChannelId> seen;
    wf::ChannelId last = 0;
    for (int i = 0; i < 200; i++) {
        raw::Socket client = raw::Socket::connect(port_);
        ASSERT_TRUE(record_.wait("established"));
        ASSERT_TRUE(eventually([this] { return only() && true; }));
        wf::ChannelId id = only()->get_id();
        EXPECT_TRUE(seen.insert(id).second) << "an id came twice";
        EXPECT_EQ(server_.send(id, "by id"), 0);
        EXPECT_EQ(client.read_bytes(5), "by id");
        EXPECT_EQ(server_.find(last), wf::ChannelPtr());
        EXPECT_EQ(server_.send(last, "stale"), -1);
        EXPECT_EQ(errno, ENOENT);
        EXPECT_EQ(server_.close(id), 0);
        EXPECT_TRUE(client.wait_closed());
        ASSERT_TRUE(eventually([this] { return server_.get_channel_count() == 0; }));
        EXPECT_EQ(server_.close(id), -1);
        last = id;
    }
}

TEST_F(Channels, ListsWhatItHas) {
    server_.set_framing(wf::delimiter_framing());
    echo();
    start();
    std::vector<raw::Socket> clients;
    for (int i = 0; i < 5; i++) {
        clients.push_back(raw::Socket::connect(port_));
        ASSERT_TRUE(clients.back().send("12345\n"));
        ASSERT_EQ(clients.back().read_bytes(6), "12345\n");
    }
    std::vector<wf::ChannelInfo> infos = server_.get_channel_infos();
    ASSERT_EQ(infos.size(), 5u);
    for (const wf::ChannelInfo &info : infos) {
        EXPECT_EQ(info.state, CCS_CONNECTED);
        EXPECT_EQ(info.bytes_received, 6u);
        EXPECT_EQ(info.bytes_sent, 6u);
        EXPECT_EQ(info.messages, 1u);
        EXPECT_EQ(info.queued, 0u);
        EXPECT_GT(info.age_ns, 0u);
        EXPECT_FALSE(info.secure);
        sockaddr_in local;
        memcpy(&local, &info.local, sizeof local);
        EXPECT_EQ(ntohs(local.sin_port), port_);
        EXPECT_EQ(server_.find(info.id)->peer_text().substr(0, 10), "127.0.0.1:");
    }
    EXPECT_EQ(server_.get_channels(2).size(), 2u);
}

// A list that was made of find() has empty places for those that have gone.
TEST_F(Channels, BroadcastsPassOverEmptyPlaces) {
    server_.set_framing(wf::delimiter_framing());
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(eventually([this] { return server_.get_channel_count() == 1; }));
    std::vector<wf::ChannelPtr> some = {server_.find(1), server_.get_channels()[0],
                                        wf::ChannelPtr()};
    EXPECT_EQ(server_.broadcast(some, "some"), 0);
    EXPECT_EQ(client.read_bytes(5), "some\n");
    EXPECT_EQ(server_.broadcast({wf::ChannelPtr()}, "nobody"), 0);
}

// What makes framings answers NULL for those that cannot be.
TEST(ChannelsWithoutFraming, DoNotStart) {
    wf::LengthFraming three;
    three.width = 3;
    wf::TcpServer server;
    server.set_framing(wf::length_framing(three));
    EXPECT_EQ(server.start("127.0.0.1", 0), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(server.broadcast("x"), -1);
    EXPECT_EQ(errno, EINVAL);
    wf::TcpClient client;
    client.set_framing(wf::length_framing(three));
    EXPECT_EQ(client.connect("127.0.0.1", 1), -1);
    EXPECT_EQ(errno, EINVAL);
    server.set_framing(wf::raw_framing());
    EXPECT_EQ(server.start("127.0.0.1", 0), 0);
    server.stop();
}

TEST_F(Channels, BroadcastsKeepTheirOrder) {
    server_.set_framing(wf::delimiter_framing());
    start();
    std::vector<raw::Socket> clients;
    for (int i = 0; i < 200; i++)
        clients.push_back(raw::Socket::connect(port_));
    ASSERT_TRUE(eventually([this] { return server_.get_channel_count() == 200; }));
    std::string all;
    for (int i = 0; i < 100; i++) {
        ASSERT_EQ(server_.broadcast(std::to_string(i)), 0);
        all += std::to_string(i) + "\n";
    }
    std::vector<wf::ChannelPtr> some = server_.get_channels(3);
    ASSERT_EQ(server_.broadcast(some, "some"), 0);
    for (raw::Socket &client : clients)
        EXPECT_EQ(client.read_bytes(all.size()).substr(0, all.size()), all);
    for (const wf::ChannelPtr &channel : some)
        EXPECT_TRUE(eventually([&] { return channel->info().bytes_sent == all.size() + 5; }));
}

TEST_F(Channels, ListeningPausesAndGoesOn) {
    echo();
    start();
    server_.pause_accepting();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(client.send("waits"));
    EXPECT_EQ(server_.get_channel_count(), 0u);
    server_.resume_accepting();
    EXPECT_EQ(client.read_bytes(5), "waits");
}

TEST_F(Channels, AStopLetsWhatWasSentArrive) {
    start();
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(record_.wait("established"));
    std::string block(16 << 20, 'e');
    ASSERT_EQ(only()->send(block), 0);
    std::thread reader([&] {
        EXPECT_EQ(client.read_all(), block);
        client.close();
    });
    server_.stop();
    reader.join();
    EXPECT_EQ(record_.count("closed " + std::to_string(CCR_DRAINED)), 1u);
}

TEST_F(Channels, UnixSockets) {
    peer::TempDir dir;
    std::string path = dir.path() + "/channel";
    echo();
    ASSERT_EQ(server_.start_unix(path.c_str()), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un addr = {};
    addr.sun_family = AF_UNIX;
    memcpy(addr.sun_path, path.c_str(), path.size() + 1);
    ASSERT_EQ(connect(fd, reinterpret_cast<struct sockaddr *>(&addr), sizeof addr), 0);
    raw::Socket client(fd);
    ASSERT_TRUE(client.send("unix"));
    EXPECT_EQ(client.read_bytes(4), "unix");
    EXPECT_EQ(only()->peer_text(), "unix");
}
