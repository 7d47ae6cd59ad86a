// Weft - timers of the kernel: firing, cancelling in every state, refusing, and the end
// SPDX-License-Identifier: Apache-2.0
#include "kernel_support.h"

#include <random>

namespace {

using namespace kt;

class SleepTest : public testing::TestWithParam<int> {
protected:
    void SetUp() override {
        ASSERT_EQ(sched.init(static_cast<size_t>(GetParam()), 8), 0);
        running = true;
    }
    void TearDown() override { end(); }
    void end() {
        if (running)
            sched.deinit();
        running = false;
    }
    CommScheduler sched;
    bool running = false;
};

TEST_P(SleepTest, FiresNotBeforeItsTime) {
    Latch done(50);
    for (int i = 0; i < 50; i++) {
        uint64_t begin = sys_now();
        uint64_t ns = static_cast<uint64_t>(i) * 300000;
        (new Timer(&sched, static_cast<long long>(ns), [&, begin, ns](Timer *t) {
            EXPECT_EQ(t->get_state(), SS_STATE_COMPLETE);
            EXPECT_EQ(t->get_error(), 0);
            EXPECT_GE(sys_now() - begin, ns);
            done.down();
        }))->dispatch();
    }
    EXPECT_TRUE(done.wait());
}

TEST_P(SleepTest, RefusesNanosecondsOutOfRange) {
    for (long nsec : {-1L, 1000000000L}) {
        bool called = false;
        Timer *t = new Timer(&sched, 0, [&](Timer *self) {
            EXPECT_EQ(self->get_state(), SS_STATE_ERROR);
            EXPECT_EQ(self->get_error(), EINVAL);
            called = true;
        });
        t->value.tv_nsec = nsec;
        t->dispatch();
        EXPECT_TRUE(called);
    }
}

TEST_P(SleepTest, OneWithoutATimeFiresOnlyWhenCancelled) {
    Latch done;
    Timer *t = new Timer(&sched, -1, [&](Timer *self) {
        EXPECT_EQ(self->get_state(), SS_STATE_ERROR);
        EXPECT_EQ(self->get_error(), ECANCELED);
        done.down();
    });
    t->dispatch();
    Latch later;
    (new Timer(&sched, 2000000, [&](Timer *) { later.down(); }))->dispatch();
    ASSERT_TRUE(later.wait());
    EXPECT_FALSE(done.is_open());
    EXPECT_EQ(t->cancel_now(), 0);
    EXPECT_TRUE(done.wait());
}

TEST_P(SleepTest, ASecondCancelFindsNothing) {
    Latch done;
    HeldPollers held(sched.get_communicator()->get_pool());
    Timer *t = new Timer(&sched, 3600 * 1000000000ll, [&](Timer *self) {
        EXPECT_EQ(self->get_error(), ECANCELED);
        done.down();
    });
    t->dispatch();
    EXPECT_EQ(t->cancel_now(), 0); // while the order to arm it is on its way
    errno = 0;
    EXPECT_EQ(t->cancel_now(), -1);
    EXPECT_EQ(errno, ENOENT);
    held.release();
    EXPECT_TRUE(done.wait());
}

TEST_P(SleepTest, CancelFromACallback) {
    Latch done(2);
    Timer *far = new Timer(&sched, 3600 * 1000000000ll, [&](Timer *self) {
        EXPECT_EQ(self->get_error(), ECANCELED);
        done.down();
    });
    far->dispatch();
    (new Timer(&sched, 1000000, [&](Timer *self) {
        EXPECT_EQ(self->cancel_now(), -1); // its own handle() has begun
        EXPECT_EQ(far->cancel_now(), 0);
        done.down();
    }))->dispatch();
    EXPECT_TRUE(done.wait());
}

// A timer that can outlive its end, so that many threads may try to cancel it.
struct Shared {
    std::mutex mutex; // held by whoever cancels, and by the callback before the timer goes
    Timer *timer = nullptr;
    bool cancelled = false;
};

// Whoever was told that the cancel succeeded sees ECANCELED, and nobody else does; each ends
// exactly once.
TEST_P(SleepTest, TenThousandTimersCancelledAtRandom) {
    constexpr int TIMERS = 10000, THREADS = 3;
    std::vector<Shared> timers(TIMERS);
    Latch done(TIMERS);
    std::atomic<int> ended{0}, wrong{0}, cancels{0};
    std::mt19937 draw(7);
    std::atomic<int> started{0};
    std::vector<std::thread> threads;
    for (int n = 0; n < THREADS; n++)
        threads.emplace_back([&, n] {
            std::mt19937 own(static_cast<unsigned>(n));
            while (ended < TIMERS) {
                int count = started;
                if (count == 0)
                    continue;
                Shared &s = timers[own() % static_cast<unsigned>(count)];
                std::lock_guard<std::mutex> guard(s.mutex);
                if (s.timer && s.timer->cancel_now() == 0) {
                    s.cancelled = true;
                    cancels++;
                }
            }
        });
    for (Shared &s : timers) {
        Timer *t = new Timer(&sched, static_cast<long long>(draw() % 20000000), [&](Timer *self) {
            {
                std::lock_guard<std::mutex> guard(s.mutex);
                s.timer = nullptr;
                if ((self->get_error() == ECANCELED) != s.cancelled)
                    wrong++;
            }
            ended++;
            done.down(); // the last thing: behind it all of this may be gone
        });
        {
            std::lock_guard<std::mutex> guard(s.mutex);
            s.timer = t;
            t->dispatch();
        }
        started++;
    }
    EXPECT_TRUE(done.wait());
    ended = TIMERS;
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_GT(cancels, 0);
}

// A cancel in the moment of firing: the timer is due just when another thread comes to cancel it.
TEST_P(SleepTest, CancelInTheMomentOfFiring) {
    constexpr int ROUNDS = 3000;
    int won = 0;
    for (int i = 0; i < ROUNDS; i++) {
        Latch done;
        std::atomic<bool> cancelled{false}, decided{false};
        std::atomic<int> error{-1};
        Timer *t = new Timer(&sched, 60000 + i % 40 * 1000, [&](Timer *self) {
            error = self->get_error();
            while (!decided) // the timer must stay until the cancel has returned
                std::this_thread::yield();
            done.down();
        });
        uint64_t begin = sys_now();
        t->dispatch();
        while (sys_now() - begin < 60000 + static_cast<uint64_t>(i % 97) * 1000) {}
        cancelled = t->cancel_now() == 0;
        decided = true;
        ASSERT_TRUE(done.wait());
        ASSERT_EQ(error == ECANCELED, cancelled) << "round " << i;
        won += cancelled;
    }
    EXPECT_GT(won, 0);
}

// A timer cancelled on its way to the poller may be gone before the cancel returns.
TEST_P(SleepTest, CancelRightAfterTheStart) {
    constexpr int ROUNDS = 20000;
    Latch done(2 * ROUNDS);
    auto run = [&] {
        for (int i = 0; i < ROUNDS; i++) {
            Timer *t = new Timer(&sched, 3600 * 1000000000ll, [&](Timer *) { done.down(); });
            t->dispatch();
            if (t->cancel_now() < 0)
                ADD_FAILURE() << "nobody else cancels it";
        }
    };
    std::thread other(run);
    run();
    other.join();
    EXPECT_TRUE(done.wait());
}

TEST_P(SleepTest, TheEndDisruptsWhatStillSleeps) {
    std::atomic<int> disrupted{0}, refused{0};
    for (int i = 0; i < 100; i++)
        (new Timer(&sched, i % 2 ? -1 : 3600 * 1000000000ll, [&](Timer *t) {
            disrupted += t->get_state() == SS_STATE_DISRUPTED;
            (new Timer(&sched, 0, [&](Timer *late) {
                refused += late->get_state() == SS_STATE_DISRUPTED;
            }))->dispatch();
        }))->dispatch();
    end();
    EXPECT_EQ(disrupted, 100);
    EXPECT_EQ(refused, 100);
}

INSTANTIATE_TEST_SUITE_P(Pollers, SleepTest, testing::Values(1, 4));

} // namespace
