// Weft - the client machine against peers that misbehave at every stage, and all its timeouts
// SPDX-License-Identifier: Apache-2.0
#include "kernel_support.h"

namespace {

using namespace kt;

const std::string LARGE(16u << 20, 'L'); // more than any socket takes at once

struct Result {
    int state = -1, error = -1, reason = -1;
    long long seq = -1;
    std::string body;
};

class ClientMachine : public testing::TestWithParam<int> {
protected:
    void SetUp() override {
        ASSERT_EQ(sched.init(1, 8), 0);
        sched.set_handler_mode(static_cast<enum CommHandlerMode>(GetParam()));
    }
    void TearDown() override {
        target.deinit();
        sched.deinit();
    }
    void reach(const Listener &listener, int connecting = -1, int responding = -1) {
        ASSERT_EQ(target.start(listener.address(), 1000, connecting, responding), 0);
    }
    Request *make(const std::string &body = "ask") {
        return new Request(&sched, &target, body, [this](Request *r) {
            result = {r->get_state(), r->get_error(), r->get_reason(), r->seq(), r->response.body};
            ended.down();
        });
    }
    void expect(int state, int error, int reason = TOR_NOT_TIMEOUT) {
        ASSERT_TRUE(ended.wait());
        EXPECT_EQ(result.state, state);
        EXPECT_EQ(result.error, error);
        EXPECT_EQ(result.reason, reason);
        EXPECT_EQ(target.get_cur_load(), 0u);
    }
    CommScheduler sched;
    Target target;
    Latch ended;
    Result result;
};

TEST_P(ClientMachine, Refused) {
    {
        Listener gone;
        reach(gone);
    }
    make()->dispatch();
    expect(CS_STATE_ERROR, ECONNREFUSED);
}

TEST_P(ClientMachine, ConnectTimeout) {
    Listener full(0); // its queue takes one or two, and then nobody answers
    reach(full, 50);
    std::vector<Peer> fillers(8);
    for (Peer &filler : fillers)
        filler.connect_later(full.address());
    make()->dispatch();
    expect(CS_STATE_ERROR, ETIMEDOUT, TOR_CONNECT_TIMEOUT);
}

TEST_P(ClientMachine, FinBeforeTheAnswer) {
    Listener script;
    reach(script);
    make()->dispatch();
    Peer peer = script.accept();
    ASSERT_EQ(peer.frame(), "ask");
    peer.finish();
    expect(CS_STATE_ERROR, ECONNRESET);
    EXPECT_TRUE(peer.at_end());
}

TEST_P(ClientMachine, ResetBeforeTheRequestWasRead) {
    Listener script;
    reach(script);
    make(LARGE)->dispatch();
    script.accept().reset();
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(result.state, CS_STATE_ERROR);
    EXPECT_TRUE(result.error == ECONNRESET || result.error == EPIPE) << result.error;
}

TEST_P(ClientMachine, ResetInTheMiddleOfTheAnswer) {
    Listener script;
    reach(script);
    make()->dispatch();
    Peer peer = script.accept();
    ASSERT_EQ(peer.frame(), "ask");
    ASSERT_TRUE(peer.send(Message::frame("answer").substr(0, 7)));
    peer.reset();
    expect(CS_STATE_ERROR, ECONNRESET);
}

TEST_P(ClientMachine, FinInTheMiddleOfTheAnswer) {
    Listener script;
    reach(script);
    make()->dispatch();
    Peer peer = script.accept();
    ASSERT_EQ(peer.frame(), "ask");
    ASSERT_TRUE(peer.send(Message::frame("answer").substr(0, 7)));
    peer.finish();
    expect(CS_STATE_ERROR, ECONNRESET);
}

TEST_P(ClientMachine, AMessageMayEndWithTheConnection) {
    Listener script;
    reach(script);
    Request *r = make();
    r->response.ends_at_fin = true;
    r->dispatch();
    Peer peer = script.accept();
    ASSERT_EQ(peer.frame(), "ask");
    ASSERT_TRUE(peer.send(Message::frame("answer").substr(0, 7)));
    peer.finish();
    expect(CS_STATE_SUCCESS, 0);
    EXPECT_EQ(result.body, "ans");
}

// The answer comes while the request is still being sent; the connection is not kept.
TEST_P(ClientMachine, EarlyAnswer) {
    Listener script;
    reach(script);
    make(LARGE)->dispatch();
    Peer peer = script.accept();
    ASSERT_TRUE(peer.send_frame("enough"));
    expect(CS_STATE_SUCCESS, 0);
    EXPECT_EQ(result.body, "enough");
    EXPECT_LT(peer.until_end().size(), LARGE.size());
}

TEST_P(ClientMachine, AnEarlyAnswerThatGoesOnUntilTheRequestIsSent) {
    Listener script;
    reach(script);
    make(LARGE)->dispatch();
    Peer peer = script.accept();
    std::string answer = Message::frame("answer");
    ASSERT_TRUE(peer.send(answer.substr(0, 6)));
    EXPECT_EQ(peer.receive(LARGE.size() + 4).size(), LARGE.size() + 4);
    ASSERT_TRUE(peer.send(answer.substr(6)));
    expect(CS_STATE_SUCCESS, 0);
    EXPECT_EQ(result.body, "answer");
}

// What the peer had answered before it hung up is worth more than the failed write.
TEST_P(ClientMachine, AnAnswerBeforeAResetCounts) {
    Listener script;
    reach(script);
    make(LARGE)->dispatch();
    Peer peer = script.accept();
    ASSERT_EQ(peer.receive(100).size(), 100u);
    ASSERT_TRUE(peer.send_frame("go away"));
    peer.close(); // with bytes unread, so a reset follows the answer
    expect(CS_STATE_SUCCESS, 0);
    EXPECT_EQ(result.body, "go away");
}

TEST_P(ClientMachine, WhatAppendRefuses) {
    Listener script;
    reach(script);
    make()->dispatch();
    Peer peer = script.accept();
    ASSERT_TRUE(peer.send("\xff\xff\xff\xff"));
    expect(CS_STATE_ERROR, EBADMSG);
    EXPECT_NE(peer.until_end().size(), 0u);
}

TEST_P(ClientMachine, WhatIsTooLong) {
    Listener script;
    reach(script);
    Request *r = make();
    r->response.limit = 10;
    r->dispatch();
    Peer peer = script.accept();
    ASSERT_TRUE(peer.send_frame("eleven bytes"));
    expect(CS_STATE_ERROR, EMSGSIZE);
}

TEST_P(ClientMachine, WhatEncodeRefuses) {
    Listener script;
    reach(script);
    Request *r = make();
    r->request.encode_error = E2BIG;
    r->dispatch();
    expect(CS_STATE_ERROR, E2BIG);
}

// Bytes that nobody asked for end a parked connection, and so does a FIN: the next request makes a
// new one.
TEST_P(ClientMachine, AParkedConnectionEndsByAnythingThePeerSays) {
    Listener script;
    reach(script);
    for (int way = 0; way < 3; way++) {
        Latch done;
        (new Request(&sched, &target, "ask", [&](Request *r) {
            EXPECT_EQ(r->get_state(), CS_STATE_SUCCESS);
            EXPECT_EQ(r->seq(), 0);
            done.down();
        }))->dispatch();
        Peer peer = script.accept();
        ASSERT_TRUE(peer.is_open());
        ASSERT_EQ(peer.frame(), "ask");
        ASSERT_TRUE(peer.send_frame("answer"));
        ASSERT_TRUE(done.wait());
        if (way == 0)
            ASSERT_TRUE(peer.send("more"));
        else if (way == 1)
            peer.finish();
        EXPECT_TRUE(way == 2 || peer.at_end());
        if (way == 2)
            peer.reset();
    }
}

TEST_P(ClientMachine, TheLatestParkedConnectionIsUsedFirst) {
    Listener script;
    reach(script);
    Latch done(2);
    for (int i = 0; i < 2; i++)
        (new Request(&sched, &target, std::to_string(i), [&](Request *) {
            done.down();
        }))->dispatch();
    Peer a = script.accept(), b = script.accept();
    std::string first = a.frame(), second = b.frame();
    ASSERT_TRUE(a.send_frame("x"));
    while (done.left() > 1)
        std::this_thread::yield();
    ASSERT_TRUE(b.send_frame("x"));
    ASSERT_TRUE(done.wait());
    make("third")->dispatch();
    EXPECT_EQ(b.frame(), "third"); // b was parked after a
    ASSERT_TRUE(b.send_frame("y"));
    expect(CS_STATE_SUCCESS, 0);
    EXPECT_EQ(result.seq, 1);
}

TEST_P(ClientMachine, KeepAliveTimeEndsAParkedConnection) {
    Listener script;
    reach(script);
    Request *r = make();
    r->keep_ms = 30;
    r->dispatch();
    Peer peer = script.accept();
    ASSERT_EQ(peer.frame(), "ask");
    ASSERT_TRUE(peer.send_frame("answer"));
    expect(CS_STATE_SUCCESS, 0);
    EXPECT_TRUE(peer.at_end());
}

TEST_P(ClientMachine, WithoutKeepAliveItCloses) {
    Listener script;
    reach(script);
    Request *r = make();
    r->keep_ms = 0;
    r->dispatch();
    Peer peer = script.accept();
    ASSERT_TRUE(peer.send_frame("answer"));
    expect(CS_STATE_SUCCESS, 0);
    EXPECT_EQ(peer.until_end().size(), 7u);
}

TEST_P(ClientMachine, ResponseTimeout) {
    Listener script;
    reach(script, -1, 40);
    make()->dispatch();
    Peer peer = script.accept();
    expect(CS_STATE_ERROR, ETIMEDOUT, TOR_TRANSMIT_TIMEOUT);
}

TEST_P(ClientMachine, ResponseTimeoutOfABlockedSend) {
    Listener script;
    reach(script, -1, 40);
    make(LARGE)->dispatch();
    Peer peer = script.accept();
    expect(CS_STATE_ERROR, ETIMEDOUT, TOR_TRANSMIT_TIMEOUT);
}

TEST_P(ClientMachine, SendTimeout) {
    Listener script;
    reach(script);
    Request *r = make(LARGE);
    r->send_ms = 40;
    r->dispatch();
    Peer peer = script.accept();
    expect(CS_STATE_ERROR, ETIMEDOUT, TOR_TRANSMIT_TIMEOUT);
}

// The peer says a byte again and again, in time for each block: the whole answer is late all the
// same.
TEST_P(ClientMachine, ReceiveTimeout) {
    Listener script;
    reach(script, -1, 5000);
    Request *r = make();
    r->receive_ms = 60;
    r->dispatch();
    Peer peer = script.accept();
    ASSERT_EQ(peer.frame(), "ask");
    ASSERT_TRUE(peer.send(Message::frame(std::string(100, 'x')).substr(0, 20)));
    expect(CS_STATE_ERROR, ETIMEDOUT, TOR_TRANSMIT_TIMEOUT);
}

TEST_P(ClientMachine, FirstTimeout) {
    Listener script;
    reach(script, -1, 5000);
    Request *r = make();
    r->first_ms = 40;
    r->dispatch();
    Peer peer = script.accept();
    expect(CS_STATE_ERROR, ETIMEDOUT, TOR_TRANSMIT_TIMEOUT);
}

// A first timeout stands in for the block's limit, and the time for the whole begins with the first
// byte.
TEST_P(ClientMachine, FirstTimeoutMayBeLongerThanTheOthers) {
    Listener script;
    reach(script, -1, 200);
    Request *r = make();
    r->first_ms = -1;
    r->receive_ms = 200;
    r->dispatch();
    Peer peer = script.accept();
    ASSERT_EQ(peer.frame(), "ask");
    Latch later;
    (new Timer(&sched, 300000000, [&](Timer *) { later.down(); }))->dispatch();
    ASSERT_TRUE(later.wait());
    EXPECT_FALSE(ended.is_open());
    ASSERT_TRUE(peer.send_frame("answer"));
    expect(CS_STATE_SUCCESS, 0);
}

TEST_P(ClientMachine, TheSameTaskCanBeTriedAgain) {
    Listener script;
    reach(script);
    int tries = 0;
    (new Request(&sched, &target, "ask", [&](Request *r) {
        if (++tries < 5) {
            EXPECT_EQ(r->get_state(), CS_STATE_ERROR);
            r->restart();
            return;
        }
        EXPECT_EQ(r->get_state(), CS_STATE_SUCCESS);
        EXPECT_EQ(r->response.body, "fifth");
        ended.down();
    }))->dispatch();
    for (int i = 0; i < 4; i++) {
        Peer peer = script.accept();
        ASSERT_EQ(peer.frame(), "ask");
    }
    Peer last = script.accept();
    ASSERT_EQ(last.frame(), "ask");
    ASSERT_TRUE(last.send_frame("fifth"));
    EXPECT_TRUE(ended.wait());
}

TEST_P(ClientMachine, PushIsLegalOnlyWhileTheAnswerIsAwaited) {
    Listener script;
    reach(script);
    Request *r = make();
    errno = 0;
    EXPECT_EQ(sched.push("x", 1, r), -1); // not begun
    EXPECT_EQ(errno, ENOENT);
    errno = 0;
    EXPECT_EQ(sched.shutdown(r), -1);
    EXPECT_EQ(errno, EINVAL);
    r->callback = [&](Request *self) {
        errno = 0;
        EXPECT_EQ(sched.push("x", 1, self), -1); // ended
        EXPECT_EQ(errno, ENOENT);
        ended.down();
    };
    r->dispatch();
    Peer peer = script.accept();
    ASSERT_EQ(peer.frame(), "ask");
    while (sched.push("more", 4, r) < 0)
        std::this_thread::yield();
    EXPECT_EQ(peer.receive(4), "more");
    ASSERT_TRUE(peer.send_frame("answer"));
    EXPECT_TRUE(ended.wait());
}

// The connection object goes with the connection, after the last session that used it.
TEST_P(ClientMachine, TheConnectionObjectIsDeletedOnceAfterItsLastSession) {
    struct Witness : CommConnection {
        explicit Witness(std::atomic<int> *n) : count(n) {}
        ~Witness() override { ++*count; }
        std::atomic<int> *count;
    };
    std::atomic<int> deleted{0};
    Listener script;
    reach(script);
    target.on_connection = [&] { return new Witness(&deleted); };
    Request *r = make();
    r->callback = [&](Request *self) {
        EXPECT_NE(self->connection(), nullptr);
        target.deinit(); // ends the parked connection
        EXPECT_TRUE(target.start(script.address()) == 0);
        Latch round;
        (new Timer(&sched, 0, [&](Timer *) { round.down(); }))->dispatch();
        EXPECT_TRUE(round.known_wait());
        EXPECT_EQ(deleted, 0); // this session still holds it
        ended.down();
    };
    r->dispatch();
    Peer peer = script.accept();
    ASSERT_TRUE(peer.send_frame("answer"));
    EXPECT_TRUE(ended.wait());
    EXPECT_EQ(peer.until_end().size(), 7u);
    target.deinit();
    sched.deinit();
    EXPECT_EQ(deleted, 1);
    ASSERT_EQ(sched.init(1, 1), 0);
    ASSERT_EQ(target.start(script.address()), 0);
}

INSTANTIATE_TEST_SUITE_P(Modes, ClientMachine, testing::Values(CHM_INLINE, CHM_QUEUED),
                         [](const testing::TestParamInfo<int> &row) {
                             return mode_name(row.param);
                         });

// A process that was kept from running finds the answers and the passed deadlines together: what
// came in time is in time.
TEST(LateProcess, AnAnswerGoesBeforeATimerThatWasDueLater) {
    constexpr int COUNT = 40;      // more than one batch
    constexpr int LIMIT_MS = 3000; // all of them are waiting well before that
    Engine engine(CHM_INLINE, 1), clock(CHM_INLINE, 1);
    Listener script(COUNT);
    Target t;
    ASSERT_EQ(t.start(script.address(), COUNT, -1, LIMIT_MS), 0);
    Latch done(COUNT), passed;
    for (int i = 0; i < COUNT; i++)
        (new Request(&engine.sched, &t, "x", [&](Request *r) {
            EXPECT_EQ(r->get_state(), CS_STATE_SUCCESS) << r->get_error();
            done.down();
        }))->dispatch();
    std::vector<Peer> peers;
    while (peers.size() < COUNT) {
        peers.push_back(script.accept());
        EXPECT_EQ(peers.back().frame(), "x");
    }
    clock.after((LIMIT_MS + 50) * 1000000LL, [&](Timer *) { passed.down(); });
    HeldPollers held(engine.pool());
    for (Peer &peer : peers)
        EXPECT_TRUE(peer.send_frame("y"));
    EXPECT_TRUE(passed.wait());
    held.release();
    EXPECT_TRUE(done.wait());
    engine.stop();
    t.deinit();
}

} // namespace
