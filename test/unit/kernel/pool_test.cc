// Weft - pollers and the pool: the one door, the lease, permits, the program's own executor, and how a site is judged
// SPDX-License-Identifier: Apache-2.0
#include "kernel_support.h"

namespace {

using namespace kt;

TEST(PoolTest, NeedsAPoller) {
    CommScheduler sched;
    errno = 0;
    EXPECT_EQ(sched.init(0, 1), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST(PoolTest, ThreadsAreMadeWhenFirstNeeded) {
    CommScheduler sched;
    ASSERT_EQ(sched.init(4, 20), 0);
    EXPECT_EQ(sched.get_communicator()->get_pool()->workers, 0u);
    sched.deinit();
}

struct Order : weft_msg {
    std::function<void()> work;
};

void run_order(struct weft_msg *msg, struct weft_poller *) { static_cast<Order *>(msg)->work(); }

// On the thread that let the lease out an order runs at once, and the lease goes out again under
// the same epoch.
TEST(PoolTest, TheDoorIsOpenToTheDriverAndALetterBoxToOthers) {
    Engine engine(CHM_INLINE, 1);
    Latch done;
    Order inner;
    inner.run = run_order;
    engine.after(0, [&](Timer *) {
        weft_poller *poller = mpoller_pick(engine.pool());
        uint64_t before = a64_load(&poller->lease);
        EXPECT_TRUE(lease_is_out(before));
        bool ran = false;
        inner.work = [&] {
            ran = true;
            EXPECT_FALSE(lease_is_out(a64_load(&poller->lease)));
        };
        poller_do(poller, &inner);
        if (a64_load(&poller->lease) == before) { // else this thread was relayed meanwhile
            EXPECT_TRUE(ran);
        }
        done.down();
    });
    ASSERT_TRUE(done.wait());
    Latch posted(100);
    std::vector<int> order;
    std::vector<Order> orders(100);
    for (int i = 0; i < 100; i++) {
        orders[static_cast<size_t>(i)].run = run_order;
        orders[static_cast<size_t>(i)].work = [&, i] {
            order.push_back(i);
            posted.down();
        };
        poller_do(&engine.pool()->pollers[0], &orders[static_cast<size_t>(i)]);
    }
    ASSERT_TRUE(posted.wait());
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(order[static_cast<size_t>(i)], i) << "letters of one sender keep their order";
}

// Two permits at most, whatever comes; one more after increase, and one fewer after decrease.
TEST(PoolTest, PermitsBoundTheCallbacks) {
    for (int mode : {CHM_INLINE, CHM_QUEUED}) {
        Engine engine(static_cast<enum CommHandlerMode>(mode), 2, 2);
        std::atomic<int> running{0}, most{0};
        auto measure = [&](int limit) {
            constexpr int N = 12;
            Latch done(N), full(limit);
            most = 0;
            for (int i = 0; i < N; i++)
                engine.after(0, [&](Timer *) {
                    int now = ++running;
                    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {}
                    full.down();
                    EXPECT_TRUE(full.wait()) << "fewer than " << limit << " at the same time";
                    running--;
                    done.down();
                });
            ASSERT_TRUE(done.wait());
            EXPECT_LE(most, limit);
        };
        measure(2);
        EXPECT_EQ(engine.sched.increase_handler_thread(), 0);
        measure(3);
        EXPECT_EQ(engine.sched.decrease_handler_thread(), 0);
        EXPECT_EQ(engine.sched.decrease_handler_thread(), 0);
        measure(1);
    }
}

TEST(PoolTest, AWorkerKnowsThatItIsOne) {
    Engine engine(CHM_AUTO, 2);
    EXPECT_EQ(engine.sched.is_handler_thread(), 0);
    Latch done;
    engine.after(0, [&](Timer *) {
        EXPECT_EQ(engine.sched.is_handler_thread(), 1);
        done.down();
    });
    EXPECT_TRUE(done.wait());
}

class OwnThread : public CommEventHandler {
public:
    OwnThread() : thread_([this] { work(); }) {}
    ~OwnThread() override {
        {
            std::lock_guard<std::mutex> guard(mutex_);
            over_ = true;
        }
        cond_.notify_all();
        thread_.join();
    }
    std::atomic<int> scheduled{0}, waits{0};
    std::thread::id id() const { return thread_.get_id(); }

private:
    void schedule(void (*routine)(void *), void *context) override {
        scheduled++;
        std::lock_guard<std::mutex> guard(mutex_);
        queue_.push_back({routine, context});
        cond_.notify_one();
    }
    void wait() override {
        waits++;
        std::unique_lock<std::mutex> guard(mutex_);
        idle_.wait(guard, [this] { return queue_.empty() && !busy_; });
    }
    void work() {
        std::unique_lock<std::mutex> guard(mutex_);
        for (;;) {
            cond_.wait(guard, [this] { return over_ || !queue_.empty(); });
            if (queue_.empty())
                return;
            auto [routine, context] = queue_.front();
            queue_.erase(queue_.begin());
            busy_ = true;
            guard.unlock();
            routine(context);
            guard.lock();
            busy_ = false;
            idle_.notify_all();
        }
    }
    std::mutex mutex_;
    std::condition_variable cond_, idle_;
    std::vector<std::pair<void (*)(void *), void *>> queue_;
    bool over_ = false, busy_ = false;
    std::thread thread_;
};

TEST(PoolTest, TheProgramsOwnExecutorRunsEveryHandle) {
    OwnThread own;
    {
        Engine engine(CHM_AUTO, 2);
        engine.sched.customize_event_handler(&own);
        std::atomic<int> elsewhere{0};
        engine.service.process = [&](Served *s) {
            elsewhere += std::this_thread::get_id() != own.id();
            s->answer(s->request.body);
        };
        Latch done(20);
        for (int i = 0; i < 10; i++) {
            engine.send("x", [&](Request *r) {
                elsewhere += std::this_thread::get_id() != own.id();
                EXPECT_EQ(r->response.body, "x");
                done.down();
            });
            engine.after(0, [&](Timer *) {
                elsewhere += std::this_thread::get_id() != own.id();
                done.down();
            });
        }
        EXPECT_TRUE(done.wait());
        EXPECT_EQ(elsewhere, 0);
    }
    EXPECT_GE(own.scheduled, 30);
    EXPECT_EQ(own.waits, 1);
}

// Short callbacks run inline; long ones come to be queued; and when they are short again they come
// back.
void turn_to_the_queue_and_back(size_t pollers) {
    Engine engine(CHM_AUTO, pollers);
    std::atomic<bool> slow{false};
    std::atomic<Served *> served{nullptr};
    // The answer is given by the test's own thread: the callback itself is short on every build.
    engine.service.process = [&](Served *s) {
        uint64_t until = sys_now() + 300000;
        while (slow && sys_now() < until) {}
        served = s;
    };
    Peer peer;
    ASSERT_TRUE(peer.connect(engine.service.port()));
    auto queued_of_last = [&](int calls) {
        uint64_t before = engine.stats().queued;
        for (int i = 0; i < calls; i++) {
            EXPECT_TRUE(peer.send_frame(""));
            Served *s;
            while (!(s = served.exchange(nullptr)))
                std::this_thread::yield();
            EXPECT_TRUE(s->answer(""));
            EXPECT_EQ(peer.frame(), "");
        }
        return engine.stats().queued - before;
    };
    auto reaches = [&](bool queued) {
        for (int i = 0; i < 200; i++) {
            if ((queued_of_last(64) > 32) == queued)
                return true;
        }
        return false;
    };
    EXPECT_TRUE(reaches(false));
    slow = true;
    EXPECT_TRUE(reaches(true));
    slow = false;
    EXPECT_TRUE(reaches(false));
}

TEST(PoolTest, ASiteTurnsToTheQueueAndBack) {
    for (size_t pollers : {size_t(1), size_t(2), size_t(8)})
        turn_to_the_queue_and_back(pollers);
}

// What the watch asks about a driver that looks stuck. The system only passes the argument on.
struct Looked : worker {
    Latch go;
    std::atomic<bool> spins{false}, stop{false};
    static void run(struct worker *w) {
        Looked *self = static_cast<Looked *>(w);
        EXPECT_TRUE(self->go.wait());
        self->spins = true;
        while (!self->stop) {}
    }
    template <class T>
    bool eventually(T &&holds) {
        auto end = std::chrono::steady_clock::now() + PATIENCE;
        struct sys_activity now;
        while (std::chrono::steady_clock::now() < end) {
            if (sys_thread_look(&this->thread, &now) && holds(now))
                return true;
            std::this_thread::yield();
        }
        return false;
    }
};

TEST(PoolTest, TheSystemTellsWhetherAThreadSleepsOrRuns) {
    Looked looked;
    ASSERT_EQ(sys_thread_start(&looked.thread, Looked::run, &looked), 0);
    EXPECT_TRUE(looked.eventually([](const sys_activity &a) { return a.asleep; }));
    looked.go.down();
    EXPECT_TRUE(
        looked.eventually([&](const sys_activity &a) { return looked.spins && !a.asleep; }));
    uint64_t used = UINT64_MAX;
    EXPECT_TRUE(looked.eventually([&](const sys_activity &a) {
        used = std::min(used, a.cpu_ns);
        return a.cpu_ns > used + 1000000;
    }));
    looked.stop = true;
    sys_thread_join(looked.thread);
}

TEST(PoolDeathTest, DeinitInACallbackOfItsOwn) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(
        {
            CommScheduler sched;
            if (sched.init(1, 4) < 0)
                exit(0);
            Latch never;
            (new Timer(&sched, 0, [&](Timer *) { sched.deinit(); }))->dispatch();
            exit(never.wait() ? 0 : 1);
        },
        "weft: misuse: deinit");
}

// A single permit: callbacks of network tasks and timers never overlap.
TEST(PoolTest, OneHandlerNeverOverlaps) {
    for (int mode : {CHM_INLINE, CHM_QUEUED}) {
        Engine engine(static_cast<enum CommHandlerMode>(mode), 4, 1);
        std::atomic<int> inside{0}, overlaps{0};
        Latch done(400);
        auto one = [&] {
            overlaps += inside++ != 0;
            std::this_thread::yield();
            inside--;
            done.down();
        };
        for (int i = 0; i < 200; i++) {
            engine.after(i * 1000, [&](Timer *) { one(); });
            engine.send("x", [&](Request *) { one(); });
        }
        EXPECT_TRUE(done.wait());
        EXPECT_EQ(overlaps, 0);
    }
}

} // namespace
