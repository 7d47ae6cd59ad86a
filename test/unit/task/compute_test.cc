// Weft - unit tests of go and thread tasks, a program's own and the factory's; behaviour rows 1, 46, 50 and 51
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "unit/task/task_support.h"
#include "workflow/detail/compute_task.h"

using namespace tasktest;

namespace {

class Go : public WFGoTask {
public:
    Go(Compute &c, std::function<void()> body)
        : WFGoTask(&c.queue, &c.executor), body_(std::move(body)) {}

private:
    void execute() override { body_(); }
    std::function<void()> body_;
};

class Square : public WFThreadTask<int, long> {
public:
    Square(Compute &c, std::function<void(WFThreadTask<int, long> *)> cb)
        : WFThreadTask<int, long>(&c.queue, &c.executor, std::move(cb)) {}

private:
    void execute() override { this->output = static_cast<long>(this->input) * this->input; }
};

// Row 50: body and callback on one thread of the executor.
TEST(Compute, Row50OneThread) {
    Compute compute(2);
    Event ended;
    std::thread::id body, callback;
    Go *go = new Go(compute, [&] { body = std::this_thread::get_id(); });
    EXPECT_EQ(-1, go->get_state());
    go->set_callback([&](WFGoTask *task) {
        EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
        EXPECT_EQ(0, task->get_error());
        callback = std::this_thread::get_id();
        ended.set();
    });
    go->start();
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(body, callback);
    EXPECT_NE(std::this_thread::get_id(), callback);
}

TEST(Compute, InputAndOutput) {
    Compute compute(1);
    Event ended;
    Square *task = new Square(compute, [&](WFThreadTask<int, long> *t) {
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
        EXPECT_EQ(49, *t->get_output());
        ended.set();
    });
    EXPECT_EQ(0, *task->get_input()); // a value, not whatever was there
    EXPECT_EQ(0, *task->get_output());
    *task->get_input() = 7;
    task->start();
    ASSERT_TRUE(ended.wait());
    (new Square(compute, nullptr))->dismiss();
}

// An executor that ends: what runs finishes, what waits is ABORTED.
TEST(Compute, EndOfTheExecutor) {
    std::atomic<int> succeeded{0}, aborted{0};
    {
        Compute compute(1);
        Event running, release;
        for (int i = 0; i < 3; i++) {
            Go *go = new Go(compute, [&] {
                running.set();
                release.wait();
            });
            go->set_callback([&](WFGoTask *task) {
                if (task->get_state() == WFT_STATE_ABORTED && task->get_error() == 0) {
                    if (++aborted == 2)
                        release.set();
                } else if (task->get_state() == WFT_STATE_SUCCESS) {
                    succeeded++;
                }
            });
            go->start();
        }
        ASSERT_TRUE(running.wait());
        compute.executor.deinit();
    }
    EXPECT_EQ(1, succeeded.load());
    EXPECT_EQ(2, aborted.load());
}

using wf::detail::go_function;
using wf::detail::GoTask;
using wf::detail::RoutineTask;
using wf::detail::TimedTask;
using TimedGo = TimedTask<GoTask>;
using TimedSum = TimedTask<RoutineTask<int, int>>;

// Row 51: no function yet, then one that knows its task. Arguments are bound as by std::bind.
TEST(GoTask, Row51FunctionSetLater) {
    Compute compute(1);
    Event ended;
    int value = 0;
    auto add = [&](int n, int &sum) { sum += n; };
    GoTask *task = new GoTask(&compute.queue, &compute.executor, go_function(nullptr, 1));
    task->set_function(go_function(add, 3, std::ref(value)));
    task->set_callback([&](WFGoTask *) { ended.set(); });
    task->start();
    ASSERT_TRUE(ended.wait(1));
    EXPECT_EQ(3, value);
    task = new GoTask(&compute.queue, &compute.executor, go_function(nullptr));
    task->set_callback([&](WFGoTask *t) {
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
        ended.set();
    });
    task->start();
    ASSERT_TRUE(ended.wait(2));
}

// A body that throws ends its task, and the thread goes on.
TEST(GoTask, BodyThatThrows) {
    Compute compute(1);
    Event ended;
    auto expect_exception = [&](int state, int error) {
        EXPECT_EQ(WFT_STATE_TASK_ERROR, state);
        EXPECT_EQ(WFT_ERR_TASK_EXCEPTION, error);
        ended.set();
    };
    // The library itself throws nothing; the standard one does.
    auto body = [] { (void)std::string().at(1); };
    GoTask *go = new GoTask(&compute.queue, &compute.executor, body);
    go->set_callback([&](WFGoTask *t) { expect_exception(t->get_state(), t->get_error()); });
    go->start();
    auto *routine = new RoutineTask<int, int>(
        &compute.queue, &compute.executor, [&](int *, int *) { body(); },
        [&](WFThreadTask<int, int> *t) { expect_exception(t->get_state(), t->get_error()); });
    routine->start();
    auto *timed = new TimedGo(30, 0, scheduler(), &compute.queue, &compute.executor, body);
    timed->set_callback([&](WFGoTask *t) { expect_exception(t->get_state(), t->get_error()); });
    timed->start();
    EXPECT_TRUE(ended.wait(3));
}

// With a limit of so many milliseconds. False when that has passed before the body began, which
// then never does, and says nothing about a body that runs.
bool body_runs_over(long limit) {
    Log log;
    Event ended, release, freed;
    std::atomic<bool> begun{false};
    Compute compute(1);
    auto held = std::shared_ptr<int>(new int, [&](int *p) {
        delete p;
        freed.set();
    });
    auto *task = new TimedGo(0, limit * 1000 * 1000, scheduler(), &compute.queue, &compute.executor,
                             [&, held] {
                                 begun = true;
                                 release.wait();
                                 log.add("body");
                             });
    held.reset();
    task->set_callback([&](WFGoTask *t) {
        EXPECT_EQ(WFT_STATE_SYS_ERROR, t->get_state());
        EXPECT_EQ(ETIMEDOUT, t->get_error());
        EXPECT_TRUE(scheduler()->is_handler_thread());
        log.add("callback ");
        ended.set();
    });
    task->start();
    EXPECT_TRUE(ended.wait());
    bool runs = begun;
    if (runs) {
        EXPECT_EQ(0, freed.count());
    }
    release.set();
    EXPECT_TRUE(freed.wait());
    if (runs) {
        EXPECT_EQ("callback body", log.text());
    }
    return runs;
}

// Row 46: at the limit ETIMEDOUT; the body goes on, and what it holds is freed when it has ended.
TEST(TimedTask, Row46BodyRunsOverTheLimit) {
    long limit = 10;
    while (!body_runs_over(limit) && limit < 60000)
        limit *= 2;
    EXPECT_LT(limit, 60000);
}

// Row 46: the time in the queue counts; a body that has not begun by then is not begun.
TEST(TimedTask, Row46QueueingCounts) {
    Event ended, release;
    bool ran = false;
    {
        Compute compute(1);
        (new GoTask(&compute.queue, &compute.executor, [&] { release.wait(); }))->start();
        auto *task = new TimedSum(
            0, 10 * 1000 * 1000, scheduler(), &compute.queue, &compute.executor,
            [&](int *, int *) { ran = true; },
            [&](WFThreadTask<int, int> *t) {
                EXPECT_EQ(ETIMEDOUT, t->get_error());
                ended.set();
            });
        task->start();
        ASSERT_TRUE(ended.wait());
        release.set();
    }
    EXPECT_FALSE(ran);
}

// Row 46: one that ends in time, with what belongs to it deleted right after its callback.
TEST(TimedTask, Row46InTime) {
    Log log;
    Event ended;
    Compute compute(1);
    auto held = std::make_shared<Obituary>(&log, "deleted ");
    auto *task = new TimedSum(
        3600, 0, scheduler(), &compute.queue, &compute.executor,
        [held](int *in, int *out) { *out = *in + 1; },
        [&](WFThreadTask<int, int> *t) {
            EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
            EXPECT_EQ(5, *t->get_output());
            log.add("callback ");
        });
    held.reset();
    *task->get_input() = 4;
    Workflow::start_series_work(task, new Say(&log, "next"),
                                [&](const SeriesWork *) { ended.set(); });
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ("callback deleted next", log.text());
}

// Limits around the time the body takes: one callback, and nothing leaks or is used after its end.
TEST(TimedTask, Row46LimitMeetsTheEnd) {
    constexpr int TASKS = 1000;
    std::atomic<int> in_time{0}, late{0};
    Event ended;
    {
        Compute compute(2);
        for (int i = 0; i < TASKS; i++) {
            auto *task = new TimedGo(0, i % 50 * 1000, scheduler(), &compute.queue,
                                     &compute.executor, go_function([] {}));
            task->set_callback([&](WFGoTask *t) {
                (t->get_error() == ETIMEDOUT ? late : in_time)++;
                ended.set();
            });
            task->start();
        }
        ASSERT_TRUE(ended.wait(TASKS));
    }
    EXPECT_EQ(TASKS, in_time + late);
}

// A limit that is none ends inside start(); one that is dismissed just goes.
TEST(TimedTask, BadLimitAndDismiss) {
    Compute compute(1);
    int state = -1, error = -1;
    auto *task = new TimedGo(0, -1, scheduler(), &compute.queue, &compute.executor,
                             go_function([] { ADD_FAILURE() << "the body ran"; }));
    task->set_callback([&](WFGoTask *t) {
        state = t->get_state();
        error = t->get_error();
    });
    task->start();
    EXPECT_EQ(WFT_STATE_SYS_ERROR, state);
    EXPECT_EQ(EINVAL, error);
    (new TimedGo(1, 0, scheduler(), &compute.queue, &compute.executor, nullptr))->dismiss();
}

class ComputeDeathTest : public ::testing::Test {
protected:
    void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

// Row 1, for the other kinds.
TEST_F(ComputeDeathTest, Row1StartInASeries) {
    Compute compute(1);
    Go *go = new Go(compute, nullptr);
    SeriesWork *series = Workflow::create_series_work(go, nullptr);
    EXPECT_DEATH(go->start(), "misuse: WFGoTask::start\\(\\)");
    EXPECT_DEATH(go->dismiss(), "misuse: WFGoTask::dismiss\\(\\)");
    series->dismiss();
}

} // namespace
