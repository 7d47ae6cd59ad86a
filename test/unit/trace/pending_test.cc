// Weft - unit tests of the watch over series, and of the shutdown that reports them
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/pending.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "workflow/WFFacilities.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/shutdown.h"
#include "workflow/wf/trace.h"

// With a name that a backtrace can tell.
SeriesWork *make_an_order(WFCounterTask *counter);
__attribute__((noinline)) SeriesWork *make_an_order(WFCounterTask *counter) {
    SeriesWork *series = Workflow::create_series_work(counter, nullptr);
    wf::name_series(series, "the order");
    return series;
}

namespace {

using namespace std::chrono_literals;
using wf::PendingSeries;

class Pending : public testing::Test {
protected:
    void SetUp() override { wf::watch_series(); }
    void TearDown() override { wf::watch_series(false); }

    bool contains(const std::string &text, const std::string &part) {
        return text.find(part) != std::string::npos;
    }
    // A worker may still be ending what the test has waited for.
    bool all_gone() {
        for (int i = 0; i < 10000000 && wf::count_pending_series() > 0; i++)
            std::this_thread::yield();
        return wf::count_pending_series() == 0;
    }
};

TEST_F(Pending, WhatHasEndedIsGone) {
    WFFacilities::WaitGroup ended(1);
    Workflow::start_series_work(WFTaskFactory::create_timer_task(0, 0, nullptr),
                                [&](const SeriesWork *) { ended.done(); });
    ended.wait();
    EXPECT_TRUE(all_gone());
    EXPECT_EQ("", wf::describe_pending());
}

TEST_F(Pending, ACounterThatLacksCounts) {
    WFCounterTask *counter = WFTaskFactory::create_counter_task(3, nullptr);
    SeriesWork *series = make_an_order(counter);
    ASSERT_EQ(1u, wf::pending_series().size());
    EXPECT_FALSE(wf::pending_series()[0].started);
    EXPECT_EQ("its start, or to be dismissed", wf::pending_series()[0].waits_for);
    series->start();
    counter->count();
    std::vector<PendingSeries> all = wf::pending_series();
    ASSERT_EQ(1u, all.size());
    EXPECT_TRUE(all[0].started);
    EXPECT_EQ("the order", all[0].name);
    EXPECT_TRUE(contains(all[0].waits_for, "Counter, 2 more to be counted, for 0"))
        << all[0].waits_for;
    // It begins behind the engine's own way, and has the program's function.
    const std::string &made_at = all[0].made_at;
    size_t second_line = made_at.find('\n', made_at.find('\n') + 1);
    EXPECT_TRUE(contains(made_at.substr(0, second_line), "create_series_work")) << made_at;
    EXPECT_TRUE(contains(made_at, "make_an_order")) << made_at;
    EXPECT_FALSE(contains(made_at, "trace_event")) << made_at;
    EXPECT_TRUE(contains(wf::describe_pending(), "\"the order\", waits for: Counter"));
    counter->count();
    counter->count();
    EXPECT_TRUE(all_gone());
}

TEST_F(Pending, NoNames) {
    WFCounterTask *counter = WFTaskFactory::create_counter_task(1, nullptr);
    SeriesWork *series = Workflow::create_series_work(counter, nullptr);
    wf::name_series(series, nullptr);
    series->start();
    wf::name_task(counter, nullptr);
    EXPECT_TRUE(contains(wf::describe_pending(), "waits for: Counter")) << wf::describe_pending();
    counter->count();
    EXPECT_TRUE(all_gone());
}

TEST_F(Pending, ANamedMailbox) {
    Workflow::start_series_work(WFTaskFactory::create_mailbox_task("letters", nullptr), nullptr);
    std::vector<PendingSeries> all = wf::pending_series();
    ASSERT_EQ(1u, all.size());
    EXPECT_TRUE(contains(all[0].waits_for, "Mailbox letters")) << all[0].waits_for;
    WFTaskFactory::send_by_name("letters", nullptr);
    EXPECT_TRUE(all_gone());
}

TEST_F(Pending, APartOfAParallelAndTheParallel) {
    WFCounterTask *counter = WFTaskFactory::create_counter_task(1, nullptr);
    SeriesWork *part = Workflow::create_series_work(counter, nullptr);
    Workflow::start_parallel_work(&part, 1, nullptr);
    std::vector<PendingSeries> all = wf::pending_series();
    ASSERT_EQ(2u, all.size());
    EXPECT_TRUE(contains(all[0].waits_for, "Counter")) << all[0].waits_for;
    EXPECT_TRUE(contains(all[1].waits_for, "Parallel")) << all[1].waits_for;
    counter->count();
    EXPECT_TRUE(all_gone());
}

TEST_F(Pending, WhatIsDismissedIsGone) {
    Workflow::create_series_work(WFTaskFactory::create_timer_task(9, 0, nullptr), nullptr)
        ->dismiss();
    EXPECT_EQ(0u, wf::count_pending_series());
}

TEST_F(Pending, ManyAreCutShort) {
    std::vector<WFCounterTask *> counters;
    for (int i = 0; i < 5; i++) {
        counters.push_back(WFTaskFactory::create_counter_task(1, nullptr));
        counters.back()->start();
    }
    std::string text = wf::describe_pending(2);
    EXPECT_TRUE(contains(text, "and 3 more")) << text;
    for (WFCounterTask *counter : counters)
        counter->count();
    EXPECT_TRUE(all_gone());
}

TEST_F(Pending, OffForgets) {
    WFCounterTask *counter = WFTaskFactory::create_counter_task(1, nullptr);
    counter->start();
    EXPECT_EQ(1u, wf::count_pending_series());
    wf::watch_series(false);
    EXPECT_EQ(0u, wf::count_pending_series());
    wf::watch_series();
    EXPECT_EQ(0u, wf::count_pending_series());
    counter->count();
    EXPECT_EQ(0u, wf::count_pending_series());
}

TEST_F(Pending, ShutdownWaitsForTheLast) {
    WFTaskFactory::create_timer_task(0, 50000000, nullptr)->start();
    wf::ShutdownReport report = wf::shutdown(60s);
    EXPECT_TRUE(report.complete) << report.text;
    EXPECT_EQ(0u, report.tasks);
    EXPECT_EQ("", report.text);
    EXPECT_GE(report.seconds, 0.04);
}

TEST_F(Pending, ShutdownSaysWhatIsLeft) {
    WFCounterTask *counter = WFTaskFactory::create_counter_task("late", 1, nullptr);
    counter->start();
    wf::ShutdownReport report = wf::shutdown(30ms);
    EXPECT_FALSE(report.complete);
    EXPECT_EQ(1u, report.tasks);
    ASSERT_EQ(1u, report.series.size());
    EXPECT_TRUE(contains(report.text, "1 counter")) << report.text;
    EXPECT_TRUE(contains(report.text, ": Counter late, 1 more to be counted")) << report.text;
    WFTaskFactory::count_by_name("late");
    EXPECT_TRUE(wf::shutdown(60s).complete);
}

TEST(Shutdown, WithoutTheWatchCountsTasks) {
    WFCounterTask *counter = WFTaskFactory::create_counter_task(1, nullptr);
    counter->start();
    wf::ShutdownReport report = wf::shutdown(0ms);
    EXPECT_FALSE(report.complete);
    EXPECT_TRUE(report.series.empty());
    EXPECT_EQ("not ended: 1 counter\n", report.text);
    counter->count();
    EXPECT_TRUE(wf::shutdown(60s).complete);
}

TEST(ShutdownDeathTest, InsideACallback) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            WFFacilities::WaitGroup never(1);
            WFTaskFactory::create_timer_task(0, 0, [](WFTimerTask *) {
                wf::shutdown(1s);
            })->start();
            never.wait();
        },
        "wf::shutdown\\(\\) inside a callback");
    EXPECT_DEATH(
        WFTaskFactory::create_counter_task(0, [](WFCounterTask *) { wf::shutdown(1s); })->start(),
        "wf::shutdown\\(\\) inside a callback");
}

} // namespace
