// Weft - unit tests of WFFuture and WFPromise
// SPDX-License-Identifier: Apache-2.0
#include "workflow/WFFuture.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "task/named.h"
#include "unit/task/task_support.h"

using namespace tasktest;
using std::future_status;

namespace {

TEST(Future, ValueInEitherOrder) {
    WFPromise<int> promise;
    WFFuture<int> future = promise.get_future();
    EXPECT_TRUE(future.valid());
    EXPECT_EQ(future_status::timeout, future.wait_for(std::chrono::milliseconds(1)));
    EXPECT_EQ(future_status::timeout, future.wait_until(std::chrono::steady_clock::now()));
    std::thread setter([&] { promise.set_value(5); });
    EXPECT_EQ(5, future.get());
    setter.join();
    EXPECT_FALSE(future.valid());

    WFPromise<std::unique_ptr<int>> other;
    WFPromise<std::unique_ptr<int>> moved(std::move(other));
    moved.set_value(std::make_unique<int>(3)); // before the future was asked for
    WFFuture<std::unique_ptr<int>> ready = moved.get_future();
    EXPECT_EQ(future_status::ready, ready.wait_for(std::chrono::seconds(0)));
    EXPECT_EQ(3, *ready.get());
}

TEST(Future, VoidAndAssignment) {
    WFFuture<void> future;
    EXPECT_FALSE(future.valid());
    WFPromise<void> promise;
    future = promise.get_future();
    promise.set_value();
    promise = WFPromise<void>(); // the value stays with the future
    future.wait();
    future.get();
    WFFuture<int> wrapped(std::async(std::launch::deferred, [] { return 7; }));
    EXPECT_EQ(7, wrapped.get());
}

// Who waits may destroy the promise as soon as it has the value; ASan and TSan judge.
TEST(Future, PromiseDestroyedByTheWaiter) {
    for (int round = 0; round < 500; round++) {
        auto promise = std::make_unique<WFPromise<int>>();
        WFFuture<int> future = promise->get_future();
        std::thread setter([p = promise.get(), round] { p->set_value(round); });
        EXPECT_EQ(round, future.get());
        promise.reset();
        setter.join();
    }
}

// Row 125: more callbacks wait than there are permits for callbacks, each for a task that needs a
// worker.
TEST(Future, Row125WaitsOnWorkers) {
    constexpr int CALLBACKS = 12;
    Event ended;
    for (int i = 0; i < CALLBACKS; i++) {
        wf::detail::make_timer(scheduler(), 0, 0, [&](WFTimerTask *) {
            WFPromise<int> promise;
            WFFuture<int> future = promise.get_future();
            wf::detail::make_timer(scheduler(), 0, 20 * 1000 * 1000, [&](WFTimerTask *) {
                promise.set_value(1);
            })->start();
            if (future.get() == 1)
                ended.set();
        })->start();
    }
    EXPECT_TRUE(ended.wait(CALLBACKS));
}

} // namespace
