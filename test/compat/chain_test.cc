// Weft - compat: long chains of synchronous tasks, dynamic tasks
// SPDX-License-Identifier: Apache-2.0
//
// Rows 13 and 16 of the behaviour table.

#include <pthread.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>

#include "workflow/WFFacilities.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "support.h"

using compat::Event;
using compat::Log;

namespace {

const int kMillion = 1000 * 1000;

// How much of the calling thread's stack is in use.
size_t stack_used() {
    void *lowest = nullptr;
    size_t size = 0;
    pthread_attr_t attr;
    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstack(&attr, &lowest, &size);
    pthread_attr_destroy(&attr);
    // Not the address of a local: a sanitizer may keep locals elsewhere.
    return static_cast<size_t>(static_cast<char *>(lowest) + size -
                               static_cast<char *>(__builtin_frame_address(0)));
}

// Row 13: at depth one a callback of a synchronous task has run before start() returns.
TEST(Chain, Row13SynchronousAtDepthOne) {
    bool ran = false;
    WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { ran = true; })->start();
    EXPECT_TRUE(ran);

    Event done;
    bool nested = false;
    WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
        WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { nested = true; })->start();
        EXPECT_TRUE(nested);
        done.set();
    })->start();
    ASSERT_TRUE(done.wait());
}

// Row 13: one series drives a million synchronous tasks in a loop, not by recursion.
TEST(Chain, Row13MillionTasksInOneSeries) {
    int count = 0;
    size_t deepest = 0;
    Event done;
    std::function<void(WFCounterTask *)> step = [&](WFCounterTask *task) {
        if (count % 97 == 0)
            deepest = std::max(deepest, stack_used());
        if (++count < kMillion)
            series_of(task)->push_back(WFTaskFactory::create_counter_task(0, step));
    };
    WFCounterTask *first = WFTaskFactory::create_counter_task(0, step);
    Workflow::start_series_work(first, [&](const SeriesWork *) { done.set(); });
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(kMillion, count);
    EXPECT_LT(deepest, size_t(256 * 1024));
}

// A million tasks, each started from the callback of the one before in a series of its own:
// constant stack here too, and all are run, though most of them elsewhere.
TEST(Chain, Row13MillionSeriesNested) {
    Event done;
    std::atomic<int> count(0);
    std::function<void(WFCounterTask *)> step = [&](WFCounterTask *) {
        if (++count < kMillion)
            WFTaskFactory::create_counter_task(0, step)->start();
        else
            done.set();
    };
    WFTaskFactory::create_counter_task(0, step)->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(kMillion, count.load());
}

// The same, started from a callback on a handler thread.
TEST(Chain, Row13MillionSeriesNestedFromAHandler) {
    Event done;
    std::atomic<int> count(0);
    std::function<void(WFCounterTask *)> step = [&](WFCounterTask *) {
        if (++count < kMillion)
            WFTaskFactory::create_counter_task(0, step)->start();
        else
            done.set();
    };
    WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
        WFTaskFactory::create_counter_task(0, step)->start();
    })->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(kMillion, count.load());
}

// A deep nest that waits inside its callbacks for the next one must not be stranded.
TEST(Chain, Row13NestedStartThatWaits) {
    Event done;
    std::function<void(int)> descend = [&](int depth) {
        if (depth == 0) {
            done.set();
            return;
        }
        WFFacilities::WaitGroup group(1);
        WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) {
            descend(depth - 1);
            group.done();
        })->start();
        group.wait();
    };
    WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) { descend(100); })->start();
    ASSERT_TRUE(done.wait());
}

// Row 13: a client task that fails before it connects does not grow the stack either.
TEST(Chain, Row13FailingClientTasks) {
    Event done;
    int count = 0;
    std::function<void(WFHttpTask *)> step = [&](WFHttpTask *task) {
        EXPECT_EQ(WFT_STATE_TASK_ERROR, task->get_state());
        if (++count < 20000)
            series_of(task)->push_back(WFTaskFactory::create_http_task("bad url", 0, 0, step));
        else
            done.set();
    };
    WFTaskFactory::create_http_task("bad url", 0, 0, step)->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(20000, count);
}

// Row 16: create() is called at dispatch with the dynamic task, its result runs next.
TEST(Chain, Row16DynamicTask) {
    Log log;
    WFDynamicTask *created_for = nullptr;
    WFDynamicTask *dynamic = WFTaskFactory::create_dynamic_task([&](WFDynamicTask *task) {
        created_for = task;
        log.add("create ");
        return WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { log.add("made "); });
    });
    SeriesWork *series = Workflow::create_series_work(
        WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { log.add("first "); }),
        nullptr);
    series->push_back(dynamic);
    series->push_back(
        WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { log.add("after"); }));
    EXPECT_EQ("", log.text());
    series->start();
    EXPECT_EQ("first create made after", log.text());
    EXPECT_EQ(dynamic, created_for);
}

// An empty task does nothing, in place.
TEST(Chain, EmptyTask) {
    Log log;
    WFEmptyTask *empty = WFTaskFactory::create_empty_task();
    Workflow::start_series_work(empty, [&](const SeriesWork *) { log.add("|"); });
    EXPECT_EQ("|", log.text());
}

} // namespace
