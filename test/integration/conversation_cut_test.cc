// Weft - integration: conversations whose waits are cut, those of clients, and misuse
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <errno.h>
#include <random>

#include "integration/conversation_support.h"
#include "workflow/TLVMessage.h"

using namespace std::chrono_literals;

namespace {

// Says numbered lines, with pauses of random length, and ends.
class Counting {
public:
    explicit Counting(int count) {
        port_ = server_.start([count](Conversation talk) -> Task<void> {
            std::minstd_rand dice(static_cast<unsigned>(talk.channel().get_id()));
            for (int i = 0; i < count; i++) {
                if (dice() % 4 == 0)
                    (void)co_await wf::sleep(std::chrono::microseconds(dice() % 200));
                if (!co_await talk.send(std::to_string(i)))
                    co_return; // the reader counts
            }
        });
    }
    unsigned short port() const { return port_; }

private:
    TalkServer server_;
    unsigned short port_;
};

Task<Conversation> call(unsigned short port) {
    wf::Result<Conversation> talk = co_await wf::dial("127.0.0.1", port, lines());
    EXPECT_TRUE(talk.ok()) << talk.message();
    co_return talk.value;
}

TEST(ConversationCuts, ATimeoutEndsOneWaitOnly) {
    TalkServer server;
    unsigned short port = server.start(echo);
    wf::run([&]() -> Task<void> {
        Conversation talk = co_await call(port);
        wf::Incoming none = co_await wf::with_timeout(2ms, talk.next());
        EXPECT_TRUE(none.is_timeout());
        EXPECT_FALSE(none.is_end());
        EXPECT_THROW((void)*none, wf::Error);
        EXPECT_TRUE((co_await talk.send("x")).ok());
        EXPECT_EQ("x", (co_await wf::with_timeout(30s, talk.next()))->bytes);
    });
}

TEST(ConversationCuts, RandomTimeoutsLoseNothing) {
    Counting server(2000);
    auto read = [&](unsigned seed) -> Task<int> {
        std::minstd_rand dice(seed);
        Conversation talk = co_await call(server.port());
        int seen = 0;
        for (;;) {
            auto limit = std::chrono::microseconds(dice() % 1500);
            wf::Incoming message = co_await wf::with_timeout(limit, talk.next());
            if (message.is_end())
                co_return seen;
            if (message)
                EXPECT_EQ(std::to_string(seen++), message->bytes);
            else
                EXPECT_TRUE(message.is_timeout()) << message.message();
        }
    };
    wf::run([&]() -> Task<void> {
        std::vector<Task<int>> readers;
        for (unsigned i = 0; i < 20; i++)
            readers.push_back(read(i + 1));
        for (int seen : co_await wf::all(std::move(readers)))
            EXPECT_EQ(2000, seen);
    });
}

// The losers of a race keep what they were about to get.
TEST(ConversationCuts, RacesLoseNothing) {
    Counting server(1500);
    auto read = [&]() -> Task<int> {
        std::vector<Conversation> talks;
        talks.reserve(3);
        for (int i = 0; i < 3; i++)
            talks.push_back(co_await call(server.port()));
        std::vector<int> seen(talks.size());
        for (size_t open = talks.size(); open > 0;) {
            std::vector<Task<wf::Incoming>> waits;
            std::vector<size_t> whose;
            for (size_t i = 0; i < talks.size(); i++) {
                if (talks[i]) {
                    waits.push_back(talks[i].next());
                    whose.push_back(i);
                }
            }
            wf::First<wf::Incoming> first = co_await wf::any(std::move(waits));
            size_t at = whose[first.index];
            if (first.value) {
                EXPECT_EQ(std::to_string(seen[at]++), first.value->bytes);
            } else {
                EXPECT_TRUE(first.value.is_end());
                talks[at] = Conversation();
                open--;
            }
        }
        for (int count : seen)
            EXPECT_EQ(1500, count);
        co_return 0;
    };
    wf::run([&]() -> Task<void> {
        std::vector<Task<int>> readers;
        readers.reserve(8);
        for (int i = 0; i < 8; i++)
            readers.push_back(read());
        (void)co_await wf::all(std::move(readers));
    });
}

TEST(ConversationCuts, RacesOfDifferentKinds) {
    TalkServer server;
    unsigned short port = server.start(echo);
    wf::run([&]() -> Task<void> {
        Conversation talk = co_await call(port);
        Conversation other = co_await call(port);
        EXPECT_TRUE((co_await other.send("other")).ok());
        wf::Incoming ready = co_await other.next();
        ready.give_back();
        EXPECT_FALSE(ready.ok());
        EXPECT_TRUE((co_await talk.send("mine")).ok());
        wf::Incoming mine = co_await talk.next();
        mine.give_back();
        // Both have a message when the race begins; what the loser has got goes back. The part
        // within wins only if its timer ends at once.
        auto won = co_await wf::any(wf::any(talk.next(), wf::sleep(1h)), other.next());
        if (won.index() == 0) {
            EXPECT_EQ("mine", std::get<0>(std::get<0>(won))->bytes);
            EXPECT_EQ("other", (co_await other.next())->bytes);
        } else {
            EXPECT_EQ("other", std::get<1>(won)->bytes);
            EXPECT_EQ("mine", (co_await talk.next())->bytes);
        }
        auto later = co_await wf::any(wf::sleep(1ms), talk.next());
        EXPECT_EQ(0u, later.index());
    });
}

TEST(ConversationCuts, ACancelledReaderLeavesAllToTheNext) {
    TalkServer server;
    unsigned short port = server.start(echo);
    wf::run([&]() -> Task<void> {
        Conversation talk = co_await call(port);
        for (int i = 0; i < 300; i++) {
            wf::Latch begun(1), ended(1);
            std::optional<std::string> got;
            wf::Handle handle = wf::spawn([&]() -> Task<void> {
                begun.count_down();
                wf::Incoming message = co_await talk.next();
                if (message)
                    got = message->bytes;
                else
                    EXPECT_TRUE(message.is_canceled());
                ended.count_down();
            });
            std::string line = std::to_string(i);
            EXPECT_TRUE((co_await talk.send(line)).ok());
            (void)wf::cancel(handle);
            (void)co_await ended.wait();
            if (!got)
                got = (co_await talk.next())->bytes;
            EXPECT_EQ(line, *got);
        }
    });
}

// A scope that is cut gives what is there, and waits for nothing.
TEST(ConversationCuts, TheHandleCancelsAConversation) {
    Event heard, ended;
    wf::Handle handle;
    TalkServer server;
    unsigned short port = server.start([&](Conversation talk) -> Task<void> {
        handle = talk.handle();
        heard.set();
        wf::Incoming message = co_await talk.next();
        EXPECT_TRUE(message.is_canceled());
        EXPECT_FALSE(message.is_end());
        EXPECT_TRUE((co_await talk.send("goodbye")).ok());
        ended.set();
    });
    raw::Socket peer = raw::Socket::connect(port);
    ASSERT_TRUE(heard.wait());
    EXPECT_EQ(0, wf::cancel(handle));
    EXPECT_TRUE(ended.wait());
    EXPECT_EQ("goodbye\n", peer.read_until("\n"));
    peer.half_close();
    EXPECT_EQ("", peer.read_all());
}

TEST(ConversationDial, TellsWhyItFails) {
    unsigned short none = raw::refusing_port();
    wf::run([&]() -> Task<void> {
        wf::Result<Conversation> talk = co_await wf::dial("127.0.0.1", none);
        EXPECT_EQ(WFT_STATE_SYS_ERROR, talk.state);
        EXPECT_EQ(ECONNREFUSED, talk.error);
        EXPECT_FALSE(talk.value);
        EXPECT_EQ(EINVAL, (co_await wf::dial("", none)).error);
        wf::DialOptions options;
        options.framing = nullptr;
        EXPECT_EQ(EINVAL, (co_await wf::dial("127.0.0.1", none, options)).error);
    });
}

TEST(ConversationDial, ACutLeavesNothing) {
    raw::Listener silent; // a handshake never ends
    wf::run([&]() -> Task<void> {
        wf::DialOptions options = lines();
        options.tls = true;
        wf::Result<Conversation> talk =
            co_await wf::with_timeout(20ms, wf::dial("127.0.0.1", silent.port(), options));
        EXPECT_TRUE(talk.is_timeout()) << talk.message();
    });
    EXPECT_TRUE(silent.accept().wait_closed());
    Counting server(10);
    wf::run([&]() -> Task<void> { // at any moment
        for (int i = 0; i < 1000; i++) {
            std::chrono::microseconds limit(i % 200 * 2 + i / 5);
            auto talk =
                co_await wf::with_timeout(limit, wf::dial("127.0.0.1", server.port(), lines()));
            EXPECT_TRUE(talk.ok() || talk.is_timeout()) << talk.message();
        }
    });
}

// The last handle ends it, behind what was sent.
TEST(ConversationDial, TheLastHandleEnds) {
    Record record;
    TalkServer server;
    unsigned short port = server.start([&](Conversation talk) -> Task<void> {
        while (wf::Incoming message = co_await talk.next())
            record.add(message->bytes);
        record.add("end");
    });
    wf::run([&]() -> Task<void> {
        Conversation kept;
        {
            Conversation talk = co_await call(port);
            EXPECT_TRUE((co_await talk.send("one")).ok());
            kept = talk;
        }
        EXPECT_TRUE((co_await kept.send("two")).ok());
    });
    EXPECT_TRUE(record.wait("end"));
    EXPECT_EQ((std::vector<std::string>{"one", "two", "end"}), record.lines());
}

// A client that comes back has a new conversation each time; its end waits for their coroutines.
TEST(ConversationClient, ComesBack) {
    std::atomic<int> served{0};
    TalkServer server;
    unsigned short port = server.start([&](Conversation talk) -> Task<void> {
        served++;
        (void)co_await talk.send("welcome");
    });
    Event third;
    std::atomic<int> running{0};
    {
        wf::TcpClient client;
        client.set_framing(wf::delimiter_framing());
        wf::ReconnectPolicy policy;
        policy.enabled = true;
        policy.first_delay = 1;
        client.set_reconnect(policy);
        wf::on_conversation(client, [&](Conversation talk) -> Task<void> {
            running++;
            EXPECT_EQ("welcome", (co_await talk.next())->bytes);
            EXPECT_TRUE((co_await talk.next()).is_end());
            third.set();
            if (third.count() >= 3)
                (void)co_await wait_for_cut(); // until the client goes
            running--;
        });
        ASSERT_EQ(0, client.connect("127.0.0.1", port));
        EXPECT_TRUE(third.wait(3));
    }
    EXPECT_EQ(0, running);
    EXPECT_GE(served, 3);
}

TEST(ConversationClient, ClassesOfMessagesAreNotForCoroutines) {
    wf::TcpServer server;
    server.on_parsed<protocol::TLVRequest>([](wf::Channel &, protocol::TLVRequest &) {});
    wf::on_conversation(server, echo);
    EXPECT_EQ(-1, server.start("127.0.0.1", 0));
    EXPECT_EQ(EINVAL, errno);
}

class ConversationDeathTest : public ::testing::Test {
protected:
    void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(ConversationDeathTest, TwoReaders) {
    EXPECT_DEATH(
        {
            TalkServer server;
            unsigned short port = server.start(echo);
            wf::run([&]() -> Task<void> {
                Conversation talk = co_await call(port);
                (void)co_await wf::all(talk.next(), talk.next());
            });
        },
        "misuse: Conversation::next\\(\\) while another coroutine");
}

} // namespace
