// Weft - integration: conversations: messages in order, back-pressure both ways, and their ends
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <errno.h>
#include <stdexcept>
#include <thread>

#include "integration/certificates.h"
#include "integration/conversation_support.h"
#include "workflow/WFHttpServer.h"
#include "workflow/wf/log.h"
#include "workflow/wf/tls.h"
#include "workflow/wf/upgrade.h"

using namespace std::chrono_literals;

namespace {

// Speaks and listens at once, so that neither waits for the other.
Task<int> speak(unsigned short port, int count, wf::DialOptions options) {
    wf::Result<Conversation> dialed = co_await wf::dial("127.0.0.1", port, std::move(options));
    EXPECT_TRUE(dialed.ok()) << dialed.message();
    Conversation talk = dialed.value;
    auto write = [&]() -> Task<int> {
        for (int i = 0; i < count; i++) {
            Status sent = co_await talk.send(std::to_string(i));
            EXPECT_TRUE(sent.ok()) << sent.message();
        }
        talk.end();
        co_return 0;
    };
    auto read = [&]() -> Task<int> {
        int seen = 0;
        wf::Incoming message;
        while ((message = co_await talk.next())) {
            EXPECT_EQ(std::to_string(seen), message->bytes);
            seen++;
        }
        EXPECT_TRUE(message.is_end());
        EXPECT_EQ(EPIPE, message.error) << message.message();
        co_return seen;
    };
    auto [none, seen] = co_await wf::all(write(), read());
    (void)none;
    co_return seen;
}

TEST(Conversations, ThousandsOfMessagesOnManyChannels) {
    TalkServer server;
    unsigned short port = server.start(echo);
    wf::run([&]() -> Task<void> {
        std::vector<Task<int>> clients;
        clients.reserve(50);
        for (int i = 0; i < 50; i++)
            clients.push_back(speak(port, 1000, lines()));
        for (int seen : co_await wf::all(std::move(clients)))
            EXPECT_EQ(1000, seen);
    });
}

TEST(Conversations, TypesComeAlong) {
    TalkServer server;
    server.server.set_framing(wf::tlv_framing());
    unsigned short port = server.start(echo);
    wf::run([&]() -> Task<void> {
        wf::DialOptions options;
        options.framing = wf::tlv_framing();
        wf::Result<Conversation> talk = co_await wf::dial("127.0.0.1", port, options);
        EXPECT_TRUE((co_await talk.get().send("seven", 7)).ok());
        wf::Incoming message = co_await talk.get().next();
        EXPECT_EQ("seven", message->bytes);
        EXPECT_EQ(7u, message->type);
    });
}

// A reader that is away stops the peer: what is kept stays within its bound.
TEST(Conversations, ASlowReaderHoldsAFastPeer) {
    constexpr int LINES = 100000;
    Event begun, go;
    std::atomic<int> seen{0};
    wf::Latch away(1);
    TalkServer server;
    unsigned short port = server.start([&](Conversation talk) -> Task<void> {
        begun.set();
        EXPECT_TRUE((co_await away.wait()).ok());
        while (wf::Incoming message = co_await talk.next()) {
            EXPECT_EQ(std::to_string(seen) + std::string(60, '.'), message->bytes);
            seen++;
        }
    });
    raw::Socket peer = raw::Socket::connect(port);
    std::thread writer([&] {
        std::string text;
        for (int i = 0; i < LINES; i++)
            text += std::to_string(i) + std::string(60, '.') + "\n";
        EXPECT_TRUE(peer.send(text));
        peer.half_close();
    });
    EXPECT_TRUE(begun.wait());
    wf::ChannelPtr channel = server.server.get_channels().at(0);
    EXPECT_TRUE(eventually([&] { return channel->info().read_paused; }));
    EXPECT_LE(channel->info().messages, (64u << 10) / 64);
    EXPECT_LE(channel->info().bytes_received, 1u << 20);
    away.count_down();
    peer.read_all(); // our end, behind the last
    writer.join();
    EXPECT_EQ(LINES, seen);
}

// And a peer that does not read holds a fast writer.
TEST(Conversations, SendWaitsForRoom) {
    constexpr int PIECES = 200;
    const std::string piece(64u << 10, 'x');
    Event full;
    std::atomic<size_t> most{0};
    TalkServer server;
    server.server.set_framing(wf::raw_framing());
    server.server.options().backlog_limit = 0; // however slow this machine is
    unsigned short port = server.start([&](Conversation talk) -> Task<void> {
        while (talk.try_send(piece) == 0)
            most = std::max<size_t>(most, talk.channel().get_queued());
        EXPECT_EQ(EAGAIN, errno);
        full.set();
        for (int i = 0; i < PIECES; i++) {
            EXPECT_TRUE((co_await talk.send(piece)).ok());
            most = std::max<size_t>(most, talk.channel().get_queued());
        }
        EXPECT_TRUE((co_await talk.send("end")).ok());
    });
    raw::Socket peer = raw::Socket::connect(port);
    ASSERT_TRUE(full.wait());
    std::string all = peer.read_all();
    EXPECT_TRUE(peer.at_end());
    EXPECT_GE(all.size(), PIECES * piece.size());
    EXPECT_EQ(all.size() - 3, all.find("end"));
    EXPECT_LE(most, (256u << 10) + piece.size());
    peer.close();
}

TEST(Conversations, AWaitForRoomEndsWithTheChannelOrItsScope) {
    Event waits, ended;
    TalkServer server;
    server.server.set_framing(wf::raw_framing());
    unsigned short port = server.start([&](Conversation talk) -> Task<void> {
        const std::string piece(64u << 10, 'x');
        while (talk.try_send(piece) == 0) {}
        EXPECT_TRUE((co_await wf::with_timeout(5ms, talk.send("late"))).is_timeout());
        waits.set();
        Status status = co_await talk.send("later");
        EXPECT_FALSE(status.ok());
        ended.set();
    });
    raw::Socket peer = raw::Socket::connect(port);
    ASSERT_TRUE(waits.wait());
    peer.reset();
    EXPECT_TRUE(ended.wait());
}

// What was heard can be answered behind the peer's end.
TEST(Conversations, ThePeerEndsBetweenMessages) {
    Record record;
    TalkServer server;
    unsigned short port = server.start([&](Conversation talk) -> Task<void> {
        wf::Incoming message;
        std::vector<std::string> heard;
        while ((message = co_await talk.next()))
            heard.push_back(message->bytes);
        EXPECT_TRUE(message.is_end());
        EXPECT_EQ(EPIPE, message.error);
        EXPECT_EQ(CCR_COUNT, message.reason()); // ours is open yet
        wf::Incoming again = co_await talk.next();
        EXPECT_TRUE(again.is_end());
        for (const std::string &line : heard)
            EXPECT_TRUE((co_await talk.send(line)).ok());
        record.add("done");
    });
    raw::Socket peer = raw::Socket::connect(port);
    ASSERT_TRUE(peer.send("one\ntwo\nthree\n"));
    peer.half_close();
    EXPECT_EQ("one\ntwo\nthree\n", peer.read_all());
    EXPECT_TRUE(peer.at_end());
    EXPECT_TRUE(record.wait("done"));
}

TEST(Conversations, ThePeerEndsInTheMiddleOfAMessage) {
    Event gone, ended;
    TalkServer server;
    server.server.set_framing(wf::length_framing());
    unsigned short port = server.start([&](Conversation talk) -> Task<void> {
        std::stop_token token = co_await wf::stop_token();
        EXPECT_TRUE((co_await wait_for_cut()).is_canceled()); // it is no good order
        EXPECT_TRUE(token.stop_requested());
        wf::Incoming message = co_await talk.next(); // what was kept comes all the same
        EXPECT_EQ("abc", message->bytes);
        message = co_await talk.next();
        EXPECT_TRUE(message.is_end());
        EXPECT_EQ(ECONNRESET, message.error);
        EXPECT_EQ(CCR_BAD_MESSAGE, message.reason());
        EXPECT_EQ(ENOTCONN, (co_await talk.send("x")).error);
        ended.set();
    });
    raw::Socket peer = raw::Socket::connect(port);
    ASSERT_TRUE(peer.send(std::string("\0\0\0\3abc\0\0\0\5de", 13)));
    peer.half_close();
    EXPECT_TRUE(ended.wait());
}

TEST(Conversations, AResetIsTold) {
    Event heard, ended;
    TalkServer server;
    unsigned short port = server.start([&](Conversation talk) -> Task<void> {
        EXPECT_EQ("one", (co_await talk.next())->bytes);
        heard.set();
        wf::Incoming message = co_await talk.next();
        EXPECT_TRUE(message.is_end());
        EXPECT_EQ(ECONNRESET, message.error);
        EXPECT_TRUE((co_await wait_for_cut()).is_canceled());
        ended.set();
    });
    raw::Socket peer = raw::Socket::connect(port);
    ASSERT_TRUE(peer.send("one\n"));
    ASSERT_TRUE(heard.wait());
    peer.reset();
    EXPECT_TRUE(ended.wait());
}

// The last words arrive, whatever the peer still sends.
TEST(Conversations, ACoroutineThatReturnsEarlyEndsInGoodOrder) {
    TalkServer server;
    unsigned short port = server.start(
        [&](Conversation talk) -> Task<void> {
            (void)co_await talk.next();
            (void)co_await talk.send("bye");
        },
        {.unread = 200});
    for (int i = 0; i < 20; i++) {
        raw::Socket peer = raw::Socket::connect(port);
        std::string many;
        for (int line = 0; line < 1000; line++)
            many += "more\n";
        ASSERT_TRUE(peer.send(many));
        EXPECT_EQ("bye\n", peer.read_until("\n"));
        peer.half_close();
        EXPECT_EQ("", peer.read_all());
        EXPECT_TRUE(peer.at_end());
    }
    EXPECT_TRUE(eventually([&] { return server.server.get_close_count(CCR_FINISHED) == 20; }));
}

TEST(Conversations, AnExceptionClosesAndIsLogged) {
    static Record record;
    wf::set_log_hook([](wf::LogLevel, const char *text, void *) { record.add(text); }, nullptr);
    {
        TalkServer server;
        unsigned short port = server.start([&](Conversation talk) -> Task<void> {
            (void)co_await talk.next();
            throw std::runtime_error("thrown");
        });
        raw::Socket peer = raw::Socket::connect(port);
        ASSERT_TRUE(peer.send("x\n"));
        EXPECT_TRUE(peer.wait_closed());
        EXPECT_TRUE(record.wait("the coroutine of a conversation ended by an exception: thrown"));
        EXPECT_TRUE(eventually([&] { return server.server.get_close_count(CCR_CLOSED) == 1; }));
    }
    wf::set_log_hook(nullptr, nullptr);
}

// stop() returns behind the last coroutine, and cuts what they wait for.
TEST(Conversations, TheStopOfTheServerWaits) {
    std::atomic<int> running{0}, canceled{0};
    {
        TalkServer server;
        unsigned short port = server.start([&](Conversation talk) -> Task<void> {
            running++;
            wf::Incoming message = co_await talk.next();
            if (message) { // half of them are busy
                EXPECT_TRUE((co_await wait_for_cut()).is_canceled());
                canceled++;
            } else {
                EXPECT_TRUE(message.is_end());
            }
            (void)co_await wf::compute("conversation", [] {}); // cut, or takes a moment
            running--;
        });
        std::vector<raw::Socket> peers;
        for (int i = 0; i < 20; i++) {
            peers.push_back(raw::Socket::connect(port));
            if (i % 2) {
                ASSERT_TRUE(peers.back().send("x\n"));
            }
        }
        ASSERT_TRUE(eventually([&] { return running == 20; }));
        std::thread closer([&] {
            for (raw::Socket &peer : peers) {
                peer.read_all();
                peer.close();
            }
        });
        server.server.stop();
        EXPECT_EQ(0, running);
        closer.join();
    }
    EXPECT_LE(canceled, 10);
}

TEST(Conversations, AuthenticationComesFirst) {
    TalkServer server;
    server.server.events().authenticate = [](wf::Channel &, const wf::Frame &frame) {
        return frame.bytes == "secret" ? wf::AuthVerdict::ACCEPT : wf::AuthVerdict::REFUSE;
    };
    unsigned short port = server.start(echo);
    raw::Socket good = raw::Socket::connect(port), bad = raw::Socket::connect(port);
    ASSERT_TRUE(good.send("secret\nhello\n"));
    EXPECT_EQ("hello\n", good.read_until("\n"));
    ASSERT_TRUE(bad.send("guess\nhello\n"));
    EXPECT_EQ("", bad.read_all());
    good.close();
}

TEST(Conversations, OverTls) {
    Certificate own = Authority::common().make("conversation");
    Context ctx = trusting(Authority::common().file());
    wf::TcpServer server;
    server.set_framing(wf::delimiter_framing());
    wf::on_conversation(server, echo);
    unsigned short port = listen_on_free_port(server, own.cert.c_str(), own.key.c_str());
    ASSERT_NE(0, port);
    wf::DialOptions options = lines();
    options.tls = true;
    options.tls_ctx = ctx.get();
    EXPECT_EQ(500, wf::run(speak(port, 500, options)));
    wf::run([&]() -> Task<void> { // nobody whom the default trusts
        wf::DialOptions strange = lines();
        strange.tls = true;
        wf::Result<Conversation> talk = co_await wf::dial("127.0.0.1", port, strange);
        EXPECT_EQ(WFT_STATE_SSL_ERROR, talk.state) << talk.message();
    });
    server.stop();
}

TEST(Conversations, OfAnUpgradedRequest) {
    wf::UpgradeEndpoint endpoint;
    endpoint.set_framing(wf::delimiter_framing());
    wf::on_conversation(endpoint, echo);
    WFHttpServer server([&](WFHttpTask *task) { EXPECT_TRUE(endpoint.accept(task, "lines")); });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
    raw::Socket peer = raw::Socket::connect(ntohs(addr.sin_port));
    ASSERT_TRUE(peer.send("GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                          "Upgrade: lines\r\n\r\nfirst\nsec"));
    EXPECT_NE(std::string::npos, peer.read_until("\r\n\r\nfirst\n").find(" 101 "));
    ASSERT_TRUE(peer.send("ond\n"));
    EXPECT_EQ("second\n", peer.read_until("\n"));
    peer.half_close();
    EXPECT_EQ("", peer.read_all());
    server.stop();
    endpoint.wait_conversations();
}

} // namespace
