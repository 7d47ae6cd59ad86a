// Weft - compat: counters
// SPDX-License-Identifier: Apache-2.0
//
// Rows 20 to 25 of the behaviour table.

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <vector>

#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "support.h"

using compat::Event;
using compat::Log;

namespace {

// Row 20: counting before the start counts; the callback runs inside start() then.
TEST(Counter, Row20CountedBeforeStart) {
    int calls = 0;
    WFCounterTask *counter = WFTaskFactory::create_counter_task(2, [&](WFCounterTask *task) {
        EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
        EXPECT_EQ(0, task->get_error());
        calls++;
    });
    counter->count();
    counter->count();
    EXPECT_EQ(0, calls);
    counter->start();
    EXPECT_EQ(1, calls);
}

// Row 20: otherwise it runs inside the last count(), on that thread.
TEST(Counter, Row20RunsOnTheThreadOfTheLastCount) {
    std::thread::id ran_on;
    WFCounterTask *counter = WFTaskFactory::create_counter_task(
        3, [&](WFCounterTask *) { ran_on = std::this_thread::get_id(); });
    counter->start();
    counter->count();
    counter->count();
    EXPECT_EQ(std::thread::id(), ran_on);
    std::thread last([&]() { counter->count(); });
    std::thread::id expected = last.get_id();
    last.join();
    EXPECT_EQ(expected, ran_on);
}

// Row 20: target 0 completes inside start().
TEST(Counter, Row20TargetZero) {
    bool ran = false;
    WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { ran = true; })->start();
    EXPECT_TRUE(ran);
}

// Row 20: many threads count, one callback.
TEST(Counter, Row20ManyThreads) {
    const unsigned kThreads = 8;
    const unsigned kEach = 1000;
    std::atomic<int> calls(0);
    WFCounterTask *counter =
        WFTaskFactory::create_counter_task(kThreads * kEach, [&](WFCounterTask *) { calls++; });
    counter->start();
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; i++) {
        threads.emplace_back([counter]() {
            for (unsigned k = 0; k < kEach; k++)
                counter->count();
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(1, calls.load());
}

// Row 21: the name is gone when the target is reached, even before the start.
TEST(Counter, Row21NameLeavesWhenReached) {
    int calls = 0;
    WFCounterTask *counter =
        WFTaskFactory::create_counter_task("row21", 1, [&](WFCounterTask *) { calls++; });
    EXPECT_EQ(1, WFTaskFactory::count_by_name("row21"));
    EXPECT_EQ(0, calls);
    EXPECT_EQ(0, WFTaskFactory::count_by_name("row21"));
    counter->start();
    EXPECT_EQ(1, calls);
}

// Row 22: the oldest first, the surplus flows on, the rest is discarded.
TEST(Counter, Row22SurplusFlowsToTheNext) {
    Log log;
    auto named = [&](const char *text) {
        return WFTaskFactory::create_counter_task("row22", 2,
                                                  [&log, text](WFCounterTask *) { log.add(text); });
    };
    named("a")->start();
    named("b")->start();
    EXPECT_EQ(1, WFTaskFactory::count_by_name("row22", 3));
    EXPECT_EQ("a", log.text());
    EXPECT_EQ(1, WFTaskFactory::count_by_name("row22", 5));
    EXPECT_EQ("ab", log.text());
    EXPECT_EQ(0, WFTaskFactory::count_by_name("row22"));
}

TEST(Counter, Row22OneCallCompletesSeveral) {
    int calls = 0;
    for (int i = 0; i < 3; i++)
        WFTaskFactory::create_counter_task("row22b", 2, [&](WFCounterTask *) { calls++; })->start();
    EXPECT_EQ(0, WFTaskFactory::count_by_name("row22b", 0));
    EXPECT_EQ(0, WFTaskFactory::count_by_name("row22b"));
    EXPECT_EQ(3, WFTaskFactory::count_by_name("row22b", 100));
    EXPECT_EQ(3, calls);
    EXPECT_EQ(0, WFTaskFactory::count_by_name("no such counter", 3));
}

// Row 23: inside the callback of a named counter, counting it again is harmless.
TEST(Counter, Row23CountingInsideTheCallback) {
    int calls = 0;
    WFCounterTask *counter =
        WFTaskFactory::create_counter_task("row23", 1, [&](WFCounterTask *task) {
            calls++;
            task->count();
            WFTaskFactory::count_by_name("row23");
            WFTaskFactory::count_by_name("row23", 10);
        });
    counter->start();
    EXPECT_EQ(1, WFTaskFactory::count_by_name("row23"));
    EXPECT_EQ(1, calls);
}

// Row 24: count() on a named counter is for that one alone.
TEST(Counter, Row24CountOnTheObject) {
    Log log;
    WFCounterTask *a =
        WFTaskFactory::create_counter_task("row24", 1, [&](WFCounterTask *) { log.add("a"); });
    WFCounterTask *b =
        WFTaskFactory::create_counter_task("row24", 1, [&](WFCounterTask *) { log.add("b"); });
    a->start();
    b->start();
    b->count();
    EXPECT_EQ("b", log.text());
    EXPECT_EQ(1, WFTaskFactory::count_by_name("row24"));
    EXPECT_EQ("ba", log.text());
    EXPECT_EQ(0, WFTaskFactory::count_by_name("row24"));
}

// Row 25: a counter that is thrown away takes its name along.
TEST(Counter, Row25DismissRemovesTheName) {
    WFTaskFactory::create_counter_task("row25", 1, nullptr)->dismiss();
    EXPECT_EQ(0, WFTaskFactory::count_by_name("row25"));
    SeriesWork *series = Workflow::create_series_work(
        WFTaskFactory::create_counter_task(0, [](WFCounterTask *t) { series_of(t)->cancel(); }),
        nullptr);
    series->push_back(WFTaskFactory::create_counter_task("row25", 1, nullptr));
    series->start();
    EXPECT_EQ(0, WFTaskFactory::count_by_name("row25"));
}

// A user's counter, as the old base class allows.
class LoudCounter : public WFCounterTask {
public:
    LoudCounter(unsigned target, Log *log, std::function<void(WFCounterTask *)> &&done)
        : WFCounterTask(target, std::move(done)), log_(log) {}

    void count() override {
        log_->add("+");
        WFCounterTask::count();
    }

private:
    Log *log_;
};

TEST(Counter, Subclass) {
    Log log;
    LoudCounter *counter = new LoudCounter(2, &log, [&](WFCounterTask *) { log.add("|"); });
    counter->start();
    static_cast<WFCounterTask *>(counter)->count();
    static_cast<WFCounterTask *>(counter)->count();
    EXPECT_EQ("++|", log.text());
}

} // namespace
