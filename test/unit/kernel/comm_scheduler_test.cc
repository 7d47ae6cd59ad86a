// Weft - targets and groups: load, limits, threads that block and tasks that park
// SPDX-License-Identifier: Apache-2.0
#include "kernel_support.h"
#include "workflow/wf/cancel.h"

namespace {

using namespace kt;

// acquire() is private; a request makes the same way. The script never answers until the test says
// so.
class SchedulerTest : public testing::Test {
protected:
    void SetUp() override { ASSERT_EQ(sched.init(2, 8), 0); }
    void TearDown() override { sched.deinit(); }
    Request *make(CommSchedObject *object, Request::Callback callback) {
        return new Request(&sched, object, "x", std::move(callback));
    }
    CommScheduler sched;
    Listener script;
};

TEST_F(SchedulerTest, ATargetNeedsRoomForAConnection) {
    Target t;
    errno = 0;
    EXPECT_EQ(t.start(script.address(), 0), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST_F(SchedulerTest, AFullTargetRefusesWhoDoesNotWait) {
    Target t;
    ASSERT_EQ(t.start(script.address(), 1), 0);
    Latch first, second;
    make(&t, [&](Request *) { first.down(); })->dispatch();
    EXPECT_EQ(t.get_cur_load(), 1u);
    Request *r = make(&t, [&](Request *self) {
        EXPECT_EQ(self->get_state(), CS_STATE_ERROR);
        EXPECT_EQ(self->get_error(), EAGAIN);
        EXPECT_EQ(self->used_target(), nullptr);
        second.down();
    });
    r->set_wait_timeout(0);
    r->dispatch();
    EXPECT_TRUE(second.is_open());
    script.accept().send_frame("y");
    EXPECT_TRUE(first.wait());
    t.deinit();
}

TEST_F(SchedulerTest, AThreadThatBlocksTimesOut) {
    Target t;
    ASSERT_EQ(t.start(script.address(), 1), 0);
    Latch first, second;
    make(&t, [&](Request *) { first.down(); })->dispatch();
    Request *r = make(&t, [&](Request *self) {
        EXPECT_EQ(self->get_error(), ETIMEDOUT);
        EXPECT_EQ(self->get_reason(), TOR_WAIT_TIMEOUT);
        second.down();
    });
    r->set_wait_timeout(20);
    r->dispatch();
    EXPECT_TRUE(second.is_open());
    script.accept().send_frame("y");
    EXPECT_TRUE(first.wait());
    t.deinit();
}

// Before it blocks, while it does, or on the way: it ends at once in any case.
TEST_F(SchedulerTest, ACancelWakesAThreadThatBlocks) {
    Target t;
    CommSchedGroup group;
    ASSERT_EQ(t.start(script.address(), 1), 0);
    ASSERT_EQ(group.init(), 0);
    ASSERT_EQ(group.add(&t), 0);
    Latch first;
    make(&group, [&](Request *) { first.down(); })->dispatch();
    for (int round = 0; round < 200 && !HasFailure(); round++) {
        CommSchedObject *object = &t;
        if (round % 2)
            object = &group;
        Latch begun, done;
        Request *r = make(object, [&](Request *self) {
            EXPECT_EQ(self->get_state(), CS_STATE_ERROR);
            EXPECT_EQ(self->get_error(), ECANCELED);
            done.down();
        });
        r->set_wait_timeout(10000);
        wf::CancelHandle handle = r->get_cancel_handle();
        std::thread thread([&] {
            begun.down();
            r->dispatch();
        });
        ASSERT_TRUE(begun.wait());
        for (int i = 0; i < round % 20; i++)
            std::this_thread::yield();
        auto begin = std::chrono::steady_clock::now();
        EXPECT_EQ(wf::cancel(handle), 0);
        EXPECT_TRUE(done.wait());
        EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(9)) << round;
        thread.join();
    }
    script.accept().send_frame("y");
    EXPECT_TRUE(first.wait());
    EXPECT_EQ(group.remove(&t), 0);
    group.deinit();
    t.deinit();
}

TEST_F(SchedulerTest, ADeadlineWakesAThreadThatBlocks) {
    Target t;
    ASSERT_EQ(t.start(script.address(), 1), 0);
    Latch first, second;
    make(&t, [&](Request *) { first.down(); })->dispatch();
    for (int wait_ms : {-1, 10000}) {
        Request *r = make(&t, [&](Request *self) {
            EXPECT_EQ(self->get_error(), ETIMEDOUT);
            EXPECT_EQ(self->get_reason(), TOR_WAIT_TIMEOUT);
            second.down();
        });
        r->set_wait_timeout(wait_ms);
        r->set_deadline(20);
        r->dispatch();
        EXPECT_TRUE(second.is_open());
    }
    script.accept().send_frame("y");
    EXPECT_TRUE(first.wait());
    t.deinit();
}

// Two slots are released one right after the other, and two threads wait: both must wake.
TEST_F(SchedulerTest, EachReleaseWakesAThreadThatBlocks) {
    constexpr int SLOTS = 4;
    for (bool grouped : {false, true}) {
        Target t;
        CommSchedGroup group;
        ASSERT_EQ(t.start(script.address(), SLOTS), 0);
        ASSERT_EQ(group.init(), 0);
        CommSchedObject *object = &t;
        if (grouped) {
            ASSERT_EQ(group.add(&t), 0);
            object = &group;
        }
        for (int round = 0; round < 50 && !HasFailure(); round++) {
            Latch busy(SLOTS), dispatched(SLOTS), done(SLOTS);
            std::vector<Peer> peers;
            for (int i = 0; i < SLOTS; i++)
                make(object, [&](Request *) { busy.down(); })->dispatch();
            while (peers.size() < SLOTS)
                peers.push_back(script.accept());
            std::vector<std::thread> threads;
            for (int i = 0; i < SLOTS; i++)
                threads.emplace_back([&] {
                    Request *r = make(object, [&](Request *self) {
                        EXPECT_NE(self->get_error(), ETIMEDOUT) << "round " << round;
                        done.down();
                    });
                    r->set_wait_timeout(3000);
                    dispatched.down();
                    r->dispatch();
                });
            ASSERT_TRUE(dispatched.wait());
            for (Peer &peer : peers)
                peer.close();
            ASSERT_TRUE(busy.wait());
            auto begin = std::chrono::steady_clock::now();
            while (!done.is_open())
                script.accept(std::chrono::milliseconds(20)).close();
            for (std::thread &thread : threads)
                thread.join();
            // One that was not woken finds the free slot only when its time is up.
            auto took = std::chrono::steady_clock::now() - begin;
            EXPECT_LT(took, std::chrono::seconds(2)) << "round " << round;
        }
        if (grouped) {
            EXPECT_EQ(group.remove(&t), 0);
        }
        group.deinit();
        t.deinit();
    }
}

TEST_F(SchedulerTest, ParkedTasksGoOnInOrder) {
    Target t;
    ASSERT_EQ(t.start(script.address(), 1), 0);
    std::vector<int> order;
    Latch done(20);
    for (int i = 0; i < 20; i++)
        make(&t, [&, i](Request *r) {
            EXPECT_EQ(r->get_state(), CS_STATE_SUCCESS);
            order.push_back(i);
            done.down();
        })->dispatch();
    Peer peer = script.accept();
    for (int i = 0; i < 20; i++) {
        ASSERT_EQ(peer.frame(), "x") << "request " << i << " came on the kept connection";
        ASSERT_TRUE(peer.send_frame("y"));
    }
    ASSERT_TRUE(done.wait());
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(order[static_cast<size_t>(i)], i);
    EXPECT_EQ(t.get_cur_load(), 0u);
    t.deinit();
}

TEST_F(SchedulerTest, AParkedTaskTimesOut) {
    Target t;
    ASSERT_EQ(t.start(script.address(), 1, 30), 0); // the connect timeout limits the wait
    Latch first, second;
    make(&t, [&](Request *) { first.down(); })->dispatch();
    Peer peer = script.accept();
    ASSERT_EQ(peer.frame(), "x");
    make(&t, [&](Request *self) {
        EXPECT_EQ(self->get_state(), CS_STATE_ERROR);
        EXPECT_EQ(self->get_error(), ETIMEDOUT);
        EXPECT_EQ(self->get_reason(), TOR_WAIT_TIMEOUT);
        second.down();
    })->dispatch();
    EXPECT_TRUE(second.wait());
    EXPECT_FALSE(first.is_open());
    ASSERT_TRUE(peer.send_frame("y"));
    EXPECT_TRUE(first.wait());
    EXPECT_EQ(t.get_cur_load(), 0u);
    t.deinit();
}

TEST_F(SchedulerTest, ParkedTasksEndWithTheEngine) {
    CommScheduler own;
    ASSERT_EQ(own.init(1, 4), 0);
    Target t;
    ASSERT_EQ(t.start(script.address(), 1), 0);
    Latch done(5);
    std::atomic<int> stopped{0};
    for (int i = 0; i < 5; i++)
        (new Request(&own, &t, "x", [&](Request *r) {
            stopped += r->get_state() == CS_STATE_STOPPED;
            done.down();
        }))->dispatch();
    Peer peer = script.accept();
    ASSERT_EQ(peer.frame(), "x");
    own.deinit();
    EXPECT_TRUE(done.is_open());
    EXPECT_EQ(stopped, 5);
    t.deinit();
}

TEST_F(SchedulerTest, AFailedConnectWakesAWaiter) {
    Target t;
    struct sockaddr_in dead;
    {
        Listener closed;
        dead = *closed.address();
    }
    ASSERT_EQ(t.start(&dead, 1), 0);
    Latch done(50);
    for (int i = 0; i < 50; i++)
        make(&t, [&](Request *r) {
            EXPECT_EQ(r->get_state(), CS_STATE_ERROR);
            EXPECT_EQ(r->get_error(), ECONNREFUSED);
            done.down();
        })->dispatch();
    EXPECT_TRUE(done.wait());
    t.deinit();
}

TEST_F(SchedulerTest, AGroupSpreadsItsLoad) {
    Target a, b;
    Listener other;
    CommSchedGroup group;
    ASSERT_EQ(a.start(script.address(), 2), 0);
    ASSERT_EQ(b.start(other.address(), 4), 0);
    ASSERT_EQ(group.init(), 0);
    ASSERT_EQ(group.add(&a), 0);
    ASSERT_EQ(group.add(&b), 0);
    EXPECT_EQ(group.get_max_load(), 6u);
    errno = 0;
    EXPECT_EQ(group.add(&a), -1);
    EXPECT_EQ(errno, EEXIST);
    CommSchedGroup second;
    ASSERT_EQ(second.init(), 0);
    EXPECT_EQ(second.add(&a), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(second.remove(&a), -1);
    EXPECT_EQ(errno, ENOENT);
    Latch done(7);
    for (int i = 0; i < 6; i++)
        make(&group, [&](Request *) { done.down(); })->dispatch();
    EXPECT_EQ(a.get_cur_load(), 2u);
    EXPECT_EQ(b.get_cur_load(), 4u);
    make(&group, [&](Request *) { done.down(); })->dispatch(); // parks
    EXPECT_EQ(group.remove(&a), -1);
    EXPECT_EQ(errno, EBUSY);
    for (int i = 0; i < 2; i++)
        script.accept().send_frame("y");
    for (int i = 0; i < 4; i++)
        other.accept().send_frame("y");
    // The last one reuses a connection or comes on a new one, of either target.
    Peer extra;
    while (done.left() > 1)
        std::this_thread::yield();
    sched.deinit(); // ends the last, so that its target is not in use any more
    b.deinit();
    a.deinit();
    EXPECT_TRUE(done.is_open());
    EXPECT_EQ(group.get_cur_load(), 0u);
    EXPECT_EQ(group.remove(&a), 0);
    EXPECT_EQ(group.remove(&b), 0);
    group.deinit();
    second.deinit();
    ASSERT_EQ(sched.init(1, 1), 0);
}

// A group without members can supply nothing, ever.
TEST_F(SchedulerTest, AnEmptyGroupFailsAtOnce) {
    CommSchedGroup group;
    ASSERT_EQ(group.init(), 0);
    Latch done;
    make(&group, [&](Request *r) {
        EXPECT_EQ(r->get_state(), CS_STATE_ERROR);
        done.down();
    })->dispatch();
    EXPECT_TRUE(done.wait(std::chrono::seconds(2)));
    sched.deinit();
    group.deinit();
    EXPECT_TRUE(done.is_open());
    ASSERT_EQ(sched.init(1, 1), 0);
}

} // namespace
