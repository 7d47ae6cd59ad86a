// Weft - the executor: order, fairness, growth, known waits, and the end
// SPDX-License-Identifier: Apache-2.0
#include "kernel_support.h"

#include "workflow/ExecRequest.h"

namespace {

using namespace kt;

class Work : public ExecSession {
public:
    Work(std::function<void()> run, std::function<void(int)> ended)
        : run_(std::move(run)), ended_(std::move(ended)) {}

private:
    void execute() override { run_(); }
    void handle(int state, int) override {
        auto ended = std::move(ended_);
        delete this;
        if (ended)
            ended(state);
    }
    std::function<void()> run_;
    std::function<void(int)> ended_;
};

class ExecutorTest : public testing::Test {
protected:
    void start(size_t threads) {
        ASSERT_EQ(executor.init(threads), 0);
        ASSERT_EQ(queue.init(), 0);
    }
    void TearDown() override { executor.deinit(); } // a second time does no harm
    void run(std::function<void()> f, ExecQueue *where = nullptr,
             std::function<void(int)> ended = nullptr) {
        ASSERT_EQ(
            executor.request(new Work(std::move(f), std::move(ended)), where ? where : &queue), 0);
    }
    Executor executor;
    ExecQueue queue;
};

TEST_F(ExecutorTest, NeedsAThread) {
    errno = 0;
    EXPECT_EQ(executor.init(0), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST_F(ExecutorTest, OneQueueIsFirstInFirstOut) {
    start(1);
    std::vector<int> order;
    Latch done(100);
    for (int i = 0; i < 100; i++)
        run([&, i] { order.push_back(i); }, nullptr,
            [&](int state) {
                EXPECT_EQ(state, ES_STATE_FINISHED);
                done.down();
            });
    ASSERT_TRUE(done.wait());
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(order[static_cast<size_t>(i)], i);
    executor.deinit();
}

// Busy queues share the threads equally, whatever their backlogs.
TEST_F(ExecutorTest, QueuesTakeTurns) {
    start(1);
    ExecQueue other;
    other.init();
    std::string order;
    Latch go, done(40);
    run([&] { EXPECT_TRUE(go.wait()); });
    for (int i = 0; i < 30; i++)
        run([&] { order += 'a'; }, &queue, [&](int) { done.down(); });
    for (int i = 0; i < 10; i++)
        run([&] { order += 'b'; }, &other, [&](int) { done.down(); });
    go.down();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(std::count(order.begin(), order.begin() + 20, 'b'), 10) << order;
    executor.deinit();
}

// Both must run at the same time. The idle thread that the first one woke is no thread for the
// second.
TEST_F(ExecutorTest, ASecondSessionDoesNotWaitForTheOneAnIdleThreadWasWokenFor) {
    start(2);
    for (int round = 0; round < 200; round++) {
        ExecQueue fresh;
        fresh.init();
        Latch both(2), done(2);
        for (int i = 0; i < 2; i++)
            run(
                [&] {
                    both.down();
                    EXPECT_TRUE(both.wait(std::chrono::seconds(3)));
                },
                &fresh, [&](int) { done.down(); });
        ASSERT_TRUE(done.wait());
        if (HasFailure())
            break;
        executor.decrease_thread(); // back to one idle thread
        executor.increase_thread();
    }
    executor.deinit();
}

// Higher ones first, whatever came first; equals by turns.
TEST_F(ExecutorTest, PrioritiesGoFirst) {
    start(1);
    ExecQueue high, higher;
    high.init();
    higher.init();
    std::string order;
    Latch go, begun, done(12);
    run([&] {
        begun.down();
        EXPECT_TRUE(go.wait());
    });
    ASSERT_TRUE(begun.wait());
    executor.set_queue_priority(&high, 1);
    for (int i = 0; i < 3; i++)
        run([&] { order += 'a'; }, &queue, [&](int) { done.down(); });
    for (int i = 0; i < 3; i++)
        run([&] { order += 'b'; }, &high, [&](int) { done.down(); });
    for (int i = 0; i < 3; i++)
        run([&] { order += 'c'; }, &higher, [&](int) { done.down(); });
    executor.set_queue_priority(&higher, 2); // while it stands in line
    ExecQueue low;
    low.init();
    executor.set_queue_priority(&low, -1);
    for (int i = 0; i < 3; i++)
        run([&] { order += 'd'; }, &low, [&](int) { done.down(); });
    go.down();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(order, "cccbbbaaaddd");
    executor.deinit();
}

TEST_F(ExecutorTest, EqualsOfAPriorityTakeTurns) {
    start(1);
    ExecQueue first, second;
    first.init();
    second.init();
    executor.set_queue_priority(&first, 5);
    executor.set_queue_priority(&second, 5);
    std::string order;
    Latch go, begun, done(9);
    run([&] {
        begun.down();
        EXPECT_TRUE(go.wait());
    });
    ASSERT_TRUE(begun.wait());
    for (int i = 0; i < 3; i++)
        run([&] { order += 'x'; }, &queue, [&](int) { done.down(); });
    for (int i = 0; i < 3; i++)
        run([&] { order += 'a'; }, &first, [&](int) { done.down(); });
    for (int i = 0; i < 3; i++)
        run([&] { order += 'b'; }, &second, [&](int) { done.down(); });
    go.down();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(order, "abababxxx");
    executor.deinit();
}

// Two of four threads at most: the third does not begin although threads are free, which the other
// queue shows by using them.
TEST_F(ExecutorTest, ALimitedQueueLeavesThreadsFree) {
    start(4);
    ExecQueue other;
    other.init();
    executor.set_queue_limit(&queue, 2);
    Latch two(2), go, others(2), let_others, done(8);
    std::atomic<int> running{0}, peak{0};
    for (int i = 0; i < 6; i++)
        run(
            [&] {
                int now = ++running;
                for (int seen = peak; now > seen && !peak.compare_exchange_weak(seen, now);) {}
                two.down();
                EXPECT_TRUE(go.wait());
                running--;
            },
            &queue, [&](int) { done.down(); });
    ASSERT_TRUE(two.wait());
    for (int i = 0; i < 2; i++)
        run(
            [&] {
                others.down();
                EXPECT_TRUE(let_others.wait());
            },
            &other, [&](int) { done.down(); });
    EXPECT_TRUE(others.wait()) << "two threads are free for it";
    EXPECT_EQ(running, 2);
    let_others.down();
    go.down();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(peak, 2);
    executor.deinit();
}

// The callback of a session runs on while the next one of its queue begins.
TEST_F(ExecutorTest, ALimitEndsWithTheBody) {
    start(2);
    executor.set_queue_limit(&queue, 1);
    Latch second, done(2);
    run([] {}, &queue,
        [&](int) {
            EXPECT_TRUE(second.wait());
            done.down();
        });
    run([&] { second.down(); }, &queue, [&](int) { done.down(); });
    EXPECT_TRUE(done.wait());
    executor.deinit();
}

TEST_F(ExecutorTest, ALimitThatIsTakenAwayLetsThemAllGo) {
    start(4);
    executor.set_queue_limit(&queue, 1);
    Latch first, all(4), done(4);
    for (int i = 0; i < 4; i++)
        run(
            [&] {
                first.down();
                all.down();
                EXPECT_TRUE(all.wait());
            },
            &queue, [&](int) { done.down(); });
    ASSERT_TRUE(first.wait());
    executor.set_queue_limit(&queue, 0);
    EXPECT_TRUE(done.wait());
    executor.deinit();
}

// At the end those held back by a limit are canceled like all others.
TEST_F(ExecutorTest, HeldOnesAreCanceledAtTheEnd) {
    start(2);
    executor.set_queue_limit(&queue, 1);
    Latch begun, canceled(3);
    int finished = 0;
    for (int i = 0; i < 4; i++)
        run(
            [&] {
                begun.down();
                EXPECT_TRUE(canceled.wait());
            },
            &queue,
            [&](int state) {
                if (state == ES_STATE_CANCELED)
                    canceled.down();
                else
                    finished++;
            });
    ASSERT_TRUE(begun.wait());
    executor.deinit();
    EXPECT_TRUE(canceled.is_open());
    EXPECT_EQ(finished, 1);
}

TEST_F(ExecutorTest, AKnownWaitMakesItGrow) {
    start(1);
    Latch inner, outer;
    run(
        [&] {
            run([&] { inner.down(); });
            EXPECT_TRUE(inner.known_wait());
        },
        nullptr, [&](int) { outer.down(); });
    EXPECT_TRUE(outer.wait());
    executor.deinit();
}

TEST_F(ExecutorTest, ManyNestedKnownWaits) {
    start(2);
    Latch done;
    std::function<void(int)> nest = [&](int depth) {
        if (depth == 0)
            return;
        Latch inner;
        run([&, depth] { nest(depth - 1); }, nullptr, [&](int) { inner.down(); });
        EXPECT_TRUE(inner.known_wait());
    };
    run([&] { nest(30); }, nullptr, [&](int) { done.down(); });
    EXPECT_TRUE(done.wait());
    executor.deinit();
}

TEST_F(ExecutorTest, IncreaseLetsWaitingWorkBegin) {
    start(1);
    Latch go, second, done(2);
    run([&] { EXPECT_TRUE(go.wait()); }, nullptr, [&](int) { done.down(); });
    run([&] { second.down(); }, nullptr, [&](int) { done.down(); });
    EXPECT_EQ(executor.increase_thread(), 0);
    EXPECT_TRUE(second.wait());
    go.down();
    EXPECT_TRUE(done.wait());
    EXPECT_EQ(executor.decrease_thread(), 0);
    errno = 0;
    EXPECT_EQ(executor.decrease_thread(), -1);
    EXPECT_EQ(errno, EINVAL);
    executor.deinit();
}

// What has not begun is cancelled, also when a thread becomes free while that is done.
TEST_F(ExecutorTest, TheEndCancelsWhatHasNotBegun) {
    start(2);
    constexpr int QUEUED = 200;
    Latch inside(2), go;
    std::atomic<int> ran{0}, cancelled{0}, finished{0};
    for (int i = 0; i < 2; i++)
        run(
            [&] {
                inside.down();
                EXPECT_TRUE(go.wait());
            },
            nullptr, [&](int state) { finished += state == ES_STATE_FINISHED; });
    ASSERT_TRUE(inside.wait());
    for (int i = 0; i < QUEUED; i++)
        run([&] { ran++; }, nullptr,
            [&](int state) {
                cancelled += state == ES_STATE_CANCELED;
                go.down();
                std::this_thread::yield();
            });
    executor.deinit();
    EXPECT_EQ(finished, 2);
    EXPECT_EQ(ran, 0);
    EXPECT_EQ(cancelled, QUEUED);
    errno = 0;
    Work *late = new Work([] {}, nullptr);
    EXPECT_EQ(executor.request(late, &queue), -1);
    EXPECT_EQ(errno, ECANCELED);
    delete late;
}

class Computation : public ExecRequest {
public:
    Computation(ExecQueue *q, Executor *e, Latch *done) : ExecRequest(q, e), done_(done) {}

private:
    void execute() override { ran_ = true; }
    SubTask *done() override {
        EXPECT_TRUE(ran_);
        EXPECT_EQ(this->state, ES_STATE_FINISHED);
        Latch *done = done_;
        delete this;
        done->down();
        return nullptr;
    }
    Latch *done_;
    bool ran_ = false;
};

TEST_F(ExecutorTest, ATaskOfIt) {
    start(4);
    Latch done(1000);
    for (int i = 0; i < 1000; i++)
        (new Computation(&queue, &executor, &done))->dispatch();
    EXPECT_TRUE(done.wait());
    executor.deinit();
}

} // namespace
