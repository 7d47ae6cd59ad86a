// Weft - compat: go tasks, timed go tasks, thread tasks, own queues and executors
// SPDX-License-Identifier: Apache-2.0
//
// Rows 46, 50 and 51 of the behaviour table; Executor.h, ExecRequest.h.

#include <errno.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <atomic>
#include <functional>

#include "workflow/ExecRequest.h"
#include "workflow/Executor.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"
#include "workflow/wf/compute.h"

#include "support.h"

using compat::Event;
using compat::Log;

namespace {

const long kMs = 1000 * 1000;

// Row 50: body and callback run on the same compute thread, which is no handler.
TEST(Go, Row50BodyAndCallbackOnOneThread) {
    Event done;
    Log log;
    bool on_handler = true;
    WFGoTask *task = WFTaskFactory::create_go_task(
        "row50",
        [&](int a, const std::string &b) {
            EXPECT_EQ(5, a);
            EXPECT_EQ("text", b);
            log.add("body ");
        },
        5, std::string("text"));
    task->set_callback([&](WFGoTask *t) {
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
        EXPECT_EQ(0, t->get_error());
        on_handler = WFGlobal::get_scheduler()->is_handler_thread() != 0;
        log.add("callback");
        done.set();
    });
    task->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ("body callback", log.text());
    EXPECT_TRUE(log.one_thread());
    EXPECT_FALSE(on_handler);
}

// Arguments follow std::bind: references need std::ref.
TEST(Go, ArgumentsAreBound) {
    Event done;
    int out = 0;
    WFGoTask *task = WFTaskFactory::create_go_task(
        "bind", [](int in, int &result) { result = in * 2; }, 21, std::ref(out));
    task->set_callback([&](WFGoTask *) { done.set(); });
    task->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(42, out);
}

// Row 51: nullptr as the function is allowed until reset_go_task sets one, which may capture
// the task itself.
TEST(Go, Row51ResetGoTask) {
    Event done;
    int value = 0;
    WFGoTask *task = WFTaskFactory::create_go_task("row51", nullptr);
    WFTaskFactory::reset_go_task(
        task,
        [task, &value](int n) {
            task->user_data = &value;
            value = n;
        },
        3);
    task->set_callback([&](WFGoTask *t) {
        EXPECT_EQ(&value, t->user_data);
        done.set();
    });
    task->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(3, value);
    WFTaskFactory::create_go_task("row51", nullptr)->dismiss();
}

// Row 46: a timed go task ends at its limit with ETIMEDOUT, the function runs on, unseen.
TEST(Go, Row46TimeLimit) {
    Event ended;
    Event release;
    Event body_over;
    std::atomic<int> calls(0);
    int state = -1;
    int error = -1;
    WFGoTask *task = WFTaskFactory::create_timedgo_task(0, 50 * kMs, "row46", [&]() {
        release.wait();
        body_over.set();
    });
    task->set_callback([&](WFGoTask *t) {
        calls++;
        state = t->get_state();
        error = t->get_error();
        ended.set();
    });
    task->start();
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(0, body_over.count());
    EXPECT_EQ(WFT_STATE_SYS_ERROR, state);
    EXPECT_EQ(ETIMEDOUT, error);
    release.set();
    ASSERT_TRUE(body_over.wait());
    EXPECT_EQ(1, calls.load());
}

// Row 46: one that is quick enough ends as usual.
TEST(Go, Row46InTime) {
    Event ended;
    int state = -1;
    WFGoTask *task = WFTaskFactory::create_timedgo_task(30, 0, "row46", []() {});
    task->set_callback([&](WFGoTask *t) {
        state = t->get_state();
        ended.set();
    });
    task->start();
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(WFT_STATE_SUCCESS, state);
}

struct Sum {
    int a;
    int b;
};

typedef WFThreadTaskFactory<Sum, int> SumFactory;

TEST(ThreadTask, InputAndOutput) {
    Event done;
    int result = 0;
    WFThreadTask<Sum, int> *task = SumFactory::create_thread_task(
        "sum", [](Sum *in, int *out) { *out = in->a + in->b; },
        [&](WFThreadTask<Sum, int> *t) {
            EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
            result = *t->get_output();
            done.set();
        });
    task->get_input()->a = 3;
    task->get_input()->b = 4;
    task->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(7, result);
}

// Row 46 for thread tasks.
TEST(ThreadTask, Row46TimeLimit) {
    Event ended;
    Event release;
    Event body_over;
    int error = -1;
    WFThreadTask<Sum, int> *task = SumFactory::create_thread_task(
        0, 20 * kMs, "sum",
        [&](Sum *, int *) {
            release.wait();
            body_over.set();
        },
        [&](WFThreadTask<Sum, int> *t) {
            error = t->get_error();
            ended.set();
        });
    task->start();
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(ETIMEDOUT, error);
    release.set();
    ASSERT_TRUE(body_over.wait());
}

// An executor and a queue of the program's own.
TEST(Executor, OwnExecutorAndQueue) {
    Executor executor;
    ExecQueue queue;
    ASSERT_EQ(0, executor.init(1));
    ASSERT_EQ(0, queue.init());
    Event done;
    Log log;
    for (int i = 0; i < 10; i++) {
        WFGoTask *task = WFTaskFactory::create_go_task(
            &queue, &executor, [&log](int n) { log.add(std::to_string(n)); }, i);
        task->set_callback([&](WFGoTask *) { done.set(); });
        task->start();
    }
    ASSERT_TRUE(done.wait(10));
    EXPECT_EQ("0123456789", log.text());
    EXPECT_TRUE(log.one_thread());
    WFThreadTask<Sum, int> *task = SumFactory::create_thread_task(
        &queue, &executor, [](Sum *in, int *out) { *out = in->a * in->b; },
        [&](WFThreadTask<Sum, int> *t) {
            EXPECT_EQ(6, *t->get_output());
            done.set();
        });
    task->get_input()->a = 2;
    task->get_input()->b = 3;
    task->start();
    ASSERT_TRUE(done.wait(11));
    executor.deinit();
    queue.deinit();
}

// Two busy queues share one thread fairly, whatever their backlog.
TEST(Executor, QueuesTakeTurns) {
    Executor executor;
    ExecQueue gate, many, few;
    ASSERT_EQ(0, executor.init(1));
    ASSERT_EQ(0, gate.init());
    ASSERT_EQ(0, many.init());
    ASSERT_EQ(0, few.init());
    Event release;
    Event done;
    Log log;
    auto add = [&](ExecQueue *queue, const char *text) {
        WFGoTask *task =
            WFTaskFactory::create_go_task(queue, &executor, [&log, text]() { log.add(text); });
        task->set_callback([&](WFGoTask *) { done.set(); });
        task->start();
    };
    WFTaskFactory::create_go_task(&gate, &executor, [&]() { release.wait(); })->start();
    for (int i = 0; i < 20; i++)
        add(&many, "m");
    for (int i = 0; i < 2; i++)
        add(&few, "f");
    release.set();
    ASSERT_TRUE(done.wait(22));
    EXPECT_LT(log.text().rfind("f"), 8u) << log.text();
    executor.deinit();
    few.deinit();
    many.deinit();
    gate.deinit();
}

// deinit: what runs finishes, what waits is CANCELED (ABORTED for tasks).
TEST(Executor, DeinitCancelsWhatWaits) {
    Executor executor;
    ExecQueue queue;
    ASSERT_EQ(0, executor.init(1));
    ASSERT_EQ(0, queue.init());
    Event running;
    Event release;
    std::atomic<int> succeeded(0);
    std::atomic<int> aborted(0);
    for (int i = 0; i < 5; i++) {
        WFGoTask *task = WFTaskFactory::create_go_task(&queue, &executor, [&]() {
            running.set();
            release.wait();
        });
        task->set_callback([&](WFGoTask *t) {
            if (t->get_state() == WFT_STATE_SUCCESS)
                succeeded++;
            else if (t->get_state() == WFT_STATE_ABORTED && t->get_error() == 0)
                aborted++;
        });
        task->start();
    }
    ASSERT_TRUE(running.wait());
    // A timer lets the running one go on: sooner or later than deinit begins, both are right.
    WFTaskFactory::create_timer_task(0, 50 * kMs, [&](WFTimerTask *) { release.set(); })->start();
    executor.deinit();
    EXPECT_GE(succeeded.load(), 1);
    EXPECT_EQ(5, succeeded.load() + aborted.load());
    queue.deinit();
}

// A task type of the program's own over ExecRequest, with the protected names it may rely on.
class SquareTask : public ExecRequest {
public:
    SquareTask(ExecQueue *q, Executor *e, int input, std::function<void(SquareTask *)> callback)
        : ExecRequest(q, e), input_(input), callback_(std::move(callback)) {}

    int output() const { return output_; }
    int get_state() const { return this->state; }
    int get_error() const { return this->error; }
    bool names_are_kept() const { return this->queue == get_queue() && this->executor != NULL; }

private:
    void execute() override { output_ = input_ * input_; }

    SubTask *done() override {
        SeriesWork *series = series_of(this);
        callback_(this);
        delete this;
        return series->pop();
    }

    int input_;
    int output_ = 0;
    std::function<void(SquareTask *)> callback_;
};

TEST(ExecRequest, Subclass) {
    Event done;
    int result = 0;
    SquareTask *task = new SquareTask(WFGlobal::get_exec_queue("square"),
                                      WFGlobal::get_compute_executor(), 12, [&](SquareTask *t) {
                                          EXPECT_EQ(0, t->get_state());
                                          EXPECT_EQ(0, t->get_error());
                                          EXPECT_TRUE(t->names_are_kept());
                                          result = t->output();
                                      });
    EXPECT_EQ(WFGlobal::get_exec_queue("square"), task->get_request_queue());
    Workflow::start_series_work(task, [&](const SeriesWork *) { done.set(); });
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(144, result);
}

// A user's thread task type: WFThreadTask is open for derivation.
class CubeTask : public WFThreadTask<int, int> {
public:
    CubeTask(std::function<void(WFThreadTask<int, int> *)> &&cb)
        : WFThreadTask<int, int>(WFGlobal::get_exec_queue("cube"), WFGlobal::get_compute_executor(),
                                 std::move(cb)) {}

private:
    void execute() override { this->output = this->input * this->input * this->input; }
};

TEST(ThreadTask, Subclass) {
    Event done;
    int result = 0;
    CubeTask *task = new CubeTask([&](WFThreadTask<int, int> *t) {
        result = *t->get_output();
        done.set();
    });
    *task->get_input() = 3;
    task->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(27, result);
}

// wf/compute.h, before the first task of the queue: at most one at a time, so each sees the one
// before it ended.
TEST(Compute, LimitOfAQueueByName) {
    const int COUNT = 50;
    wf::set_queue_limit("limited", 1);
    Event done;
    std::atomic<int> running(0);
    for (int i = 0; i < COUNT; i++) {
        WFGoTask *task = WFTaskFactory::create_go_task("limited", [&]() {
            EXPECT_EQ(1, ++running);
            std::this_thread::yield();
            running--;
        });
        task->set_callback([&](WFGoTask *) { done.set(); });
        task->start();
    }
    ASSERT_TRUE(done.wait(COUNT));
}

// All threads are busy, and more tasks wait than there are threads. These wait for the urgent one,
// which came last: if it were not the first to go, nobody would be left to run it.
TEST(Compute, PriorityOfAQueueByName) {
    const int THREADS = (int)sysconf(_SC_NPROCESSORS_ONLN);
    wf::set_queue_priority("urgent", 1);
    Event busy, go, urgent, done;
    for (int i = 0; i < THREADS; i++)
        WFTaskFactory::create_go_task("blocker", [&]() {
            busy.set();
            EXPECT_TRUE(go.wait());
            done.set();
        })->start();
    ASSERT_TRUE(busy.wait(THREADS));
    for (int i = 0; i < 2 * THREADS; i++)
        WFTaskFactory::create_go_task("plain", [&]() {
            EXPECT_TRUE(urgent.wait());
            done.set();
        })->start();
    WFTaskFactory::create_go_task("urgent", [&]() { urgent.set(); })->start();
    go.set();
    ASSERT_TRUE(done.wait(3 * THREADS));
}

} // namespace
