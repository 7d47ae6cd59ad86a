// Weft - the connection machines: keep-alive, pipelining, and what must not close a healthy connection
// SPDX-License-Identifier: Apache-2.0
#include "kernel_support.h"

namespace {

using namespace kt;

class Connection : public testing::TestWithParam<int> {
protected:
    Connection() : engine(static_cast<enum CommHandlerMode>(GetParam()), 1) {}
    Engine engine;
};

TEST_P(Connection, AKeptConnectionIsUsedAgain) {
    for (int i = 0; i < 20; i++) {
        Latch done;
        engine.send("x", [&](Request *r) {
            EXPECT_EQ(r->seq(), i);
            done.down();
        });
        ASSERT_TRUE(done.wait());
    }
}

// The callback of an answer asks again: on the same connection, whatever the size of the answer.
// With one poller the answer is all there when it is read, so one read takes just as much as there
// is.
TEST_P(Connection, AnAnswerThatFillsTheReadBufferLeavesTheConnectionUsable) {
    for (size_t size : {size_t(100), size_t(WORKER_BUFFER) - 4, size_t(WORKER_BUFFER)}) {
        Target target;
        ASSERT_EQ(target.start(engine.service.address()), 0);
        engine.service.process = [&](Served *s) { s->answer(std::string(size, 'a')); };
        constexpr size_t ROUNDS = 10;
        Latch done(static_cast<int>(ROUNDS));
        std::vector<long long> seqs;
        Request::Callback callback = [&](Request *r) {
            EXPECT_EQ(r->get_state(), CS_STATE_SUCCESS);
            seqs.push_back(r->seq());
            // Counted here and not by the latch: the next one may end before this one counts down.
            if (seqs.size() < ROUNDS)
                engine.send("again", callback, &target);
            done.down();
        };
        engine.send("first", callback, &target);
        ASSERT_TRUE(done.wait());
        for (size_t i = 0; i < ROUNDS; i++)
            ASSERT_EQ(seqs[i], static_cast<long long>(i))
                << "on a new connection, after an answer of " << size;
        target.deinit();
    }
}

TEST_P(Connection, PipelinedRequestsAreAnsweredInOrder) {
    Peer peer;
    ASSERT_TRUE(peer.connect(engine.service.port()));
    std::string all;
    for (int i = 0; i < 50; i++)
        all += Message::frame("request " + std::to_string(i));
    ASSERT_TRUE(peer.send(all));
    peer.finish();
    for (int i = 0; i < 50; i++)
        ASSERT_EQ(peer.frame(), "request " + std::to_string(i));
    EXPECT_TRUE(peer.at_end());
}

// The time for a block passes while the program is inside append(). The message is complete when it
// comes back, so the deadline has lost its meaning: the connection is kept, and its answers are
// sent.
TEST_P(Connection, ADeadlineThatPassesWhileAppendBlocksIsForgotten) {
    Service slow;
    ASSERT_EQ(slow.bind(&engine.sched, 20), 0);
    Latch inside, release;
    std::atomic<bool> first{true};
    slow.prepare = [&](Served *s) {
        if (!first.exchange(false))
            return;
        s->request.on_append = [&](Message &m) {
            if (m.pieces < 2)
                return;
            inside.down();
            EXPECT_TRUE(release.wait());
        };
    };
    Peer peer;
    ASSERT_TRUE(peer.connect(slow.port()));
    ASSERT_TRUE(peer.send(Message::frame("abc").substr(0, 5)));
    while (first)
        std::this_thread::yield();
    ASSERT_TRUE(peer.send(Message::frame("abc").substr(5)));
    ASSERT_TRUE(inside.wait());
    Latch later;
    engine.after(60000000,
                 [&](Timer *) { later.down(); }); // on the same poller, after that deadline
    ASSERT_TRUE(later.wait());
    release.down();
    EXPECT_EQ(peer.frame(), "abc");
    // Another connection goes round the poller, so whatever was still to be done to this one has
    // been done.
    EXPECT_EQ(engine.ask("x"), "x");
    ASSERT_TRUE(peer.send_frame("second"));
    EXPECT_EQ(peer.frame(), "second");
    EXPECT_EQ(slow.get_close_count(CCR_IDLE_TIMEOUT), 0u);
    peer.close();
    EXPECT_TRUE(slow.unbind_and_wait());
    slow.deinit();
}

TEST_P(Connection, MakingRoomTakesTheOldestFreshOneFirstThenTheLongestIdle) {
    Service small;
    CommServiceLimits limits = *small.get_limits();
    limits.max_connections = 3;
    small.set_limits(&limits);
    ASSERT_EQ(small.bind(&engine.sched), 0);
    auto use = [](Peer &peer) {
        EXPECT_TRUE(peer.send_frame("x"));
        EXPECT_EQ(peer.frame(), "x");
    };
    Peer a, b, fresh;
    ASSERT_TRUE(a.connect(small.port()));
    use(a);
    ASSERT_TRUE(b.connect(small.port()));
    use(b);
    use(a); // so b is the longest idle
    ASSERT_TRUE(fresh.connect(small.port()));
    Peer c, d;
    ASSERT_TRUE(c.connect(small.port()));
    use(c);
    EXPECT_TRUE(fresh.at_end());
    use(a);
    use(b);
    use(a);
    use(c); // now b again
    ASSERT_TRUE(d.connect(small.port()));
    use(d);
    EXPECT_TRUE(b.at_end());
    use(a);
    use(c);
    EXPECT_TRUE(small.unbind_and_wait());
    small.deinit();
}

INSTANTIATE_TEST_SUITE_P(Modes, Connection, testing::Values(CHM_INLINE, CHM_QUEUED, CHM_AUTO),
                         [](const testing::TestParamInfo<int> &row) {
                             return mode_name(row.param);
                         });

} // namespace
