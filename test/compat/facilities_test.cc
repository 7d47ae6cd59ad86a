// Weft - compat: futures, wait groups, sleeping, and waits on handler threads
// SPDX-License-Identifier: Apache-2.0
//
// WFFuture.h, WFFacilities.h, WFGlobal::sync_operation; rows 125 and 20 (wait groups).

#include "workflow/WFFacilities.h"

#include <gtest/gtest.h>

#include <memory>

#include "workflow/WFFuture.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "support.h"

using compat::Clock;
using compat::Event;
using compat::ms_since;

namespace {

TEST(Facilities, Usleep) {
    Clock::time_point begin = Clock::now();
    WFFacilities::usleep(20 * 1000);
    EXPECT_GE(ms_since(begin), 20.0);
    WFFuture<void> future = WFFacilities::async_usleep(10 * 1000);
    EXPECT_TRUE(future.valid());
    future.get();
    EXPECT_GE(ms_since(begin), 30.0);
}

TEST(Facilities, Go) {
    Event done;
    int value = 0;
    WFFacilities::go(
        "facilities",
        [&](int n) {
            value = n;
            done.set();
        },
        9);
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(9, value);
}

TEST(Future, PromiseAndFuture) {
    WFPromise<int> promise;
    WFFuture<int> future = promise.get_future();
    EXPECT_TRUE(future.valid());
    EXPECT_EQ(std::future_status::timeout, future.wait_for(std::chrono::milliseconds(1)));
    EXPECT_EQ(std::future_status::timeout,
              future.wait_until(std::chrono::system_clock::now() + std::chrono::milliseconds(1)));
    WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) { promise.set_value(5); })->start();
    future.wait();
    EXPECT_EQ(5, future.get());
    EXPECT_FALSE(future.valid());
}

TEST(Future, MoveOnlyValuesAndVoid) {
    WFPromise<std::unique_ptr<int>> promise;
    WFFuture<std::unique_ptr<int>> future = promise.get_future();
    WFPromise<std::unique_ptr<int>> moved = std::move(promise);
    moved.set_value(std::unique_ptr<int>(new int(3)));
    EXPECT_EQ(3, *future.get());
    WFPromise<void> nothing;
    WFFuture<void> ready = nothing.get_future();
    nothing.set_value();
    ready.get();
}

TEST(WaitGroup, CountsDown) {
    WFFacilities::WaitGroup group(2);
    EXPECT_EQ(std::future_status::timeout, group.wait(1));
    group.done();
    group.add(1);
    group.done();
    EXPECT_EQ(std::future_status::timeout, group.wait(0));
    WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) { group.done(); })->start();
    group.wait();
    EXPECT_EQ(std::future_status::ready, group.wait(-1));
}

TEST(WaitGroup, ZeroNeverWaits) {
    WFFacilities::WaitGroup zero(0);
    zero.wait();
    EXPECT_EQ(std::future_status::ready, zero.wait(1000));
    WFFacilities::WaitGroup negative(-3);
    negative.wait();
    // One that is thrown away before it is finished does no harm.
    WFFacilities::WaitGroup unfinished(3);
}

// Row 125: 30 timer callbacks wait 200 ms each, with 20 handlers: all finish, side by side.
TEST(WaitGroup, Row125WaitsOnHandlersGrowThePool) {
    Event done;
    Clock::time_point begin = Clock::now();
    for (int i = 0; i < 30; i++) {
        WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
            WFFacilities::WaitGroup group(1);
            WFTaskFactory::create_timer_task(0, 200 * 1000 * 1000, [&](WFTimerTask *) {
                group.done();
            })->start();
            group.wait();
            done.set();
        })->start();
    }
    ASSERT_TRUE(done.wait(30));
    EXPECT_GE(ms_since(begin), 200.0);
    EXPECT_LT(ms_since(begin), 3000.0); // One after another would take 6 seconds.
}

// A callback that waits for a task that ends at once, and one that waits in another wait.
TEST(WaitGroup, WaitInsideCallbacks) {
    Event done;
    WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
        WFPromise<void> promise;
        WFFuture<void> future = promise.get_future();
        WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
            WFFacilities::usleep(1000);
            promise.set_value();
        })->start();
        future.get();
        done.set();
    })->start();
    ASSERT_TRUE(done.wait());
}

// sync_operation brackets: 1 on a handler, 0 elsewhere.
TEST(SyncOperation, Cookies) {
    int outside = WFGlobal::sync_operation_begin();
    EXPECT_EQ(0, outside);
    WFGlobal::sync_operation_end(outside);
    Event done;
    WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
        int cookie = WFGlobal::sync_operation_begin();
        EXPECT_NE(0, cookie);
        WFGlobal::sync_operation_end(cookie);
        done.set();
    })->start();
    ASSERT_TRUE(done.wait());
}

// A promise for one thing that many series deliver: the pattern of old synchronous wrappers.
TEST(Future, SynchronousWrapper) {
    WFFacilities::WaitGroup group(10);
    int values[10] = {};
    for (int i = 0; i < 10; i++) {
        WFGoTask *task = WFTaskFactory::create_go_task("wrap", [&values, i]() { values[i] = i; });
        Workflow::start_series_work(task, [&](const SeriesWork *) { group.done(); });
    }
    group.wait();
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(i, values[i]);
}

} // namespace
