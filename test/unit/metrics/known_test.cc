// Weft - the engine's own metrics: names, and what tasks do to them
// SPDX-License-Identifier: Apache-2.0
#include <set>

#include <gtest/gtest.h>

#include "find.h"
#include "kernel/entry.h"
#include "metrics/known.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFTaskFactory.h"

namespace {

TEST(Known, EveryReasonHasAName) {
    std::set<std::string> names;
    for (unsigned reason = 0; reason < CCR_COUNT; reason++)
        names.insert(wf::detail::close_reason_name(reason));
    EXPECT_EQ(size_t{CCR_COUNT}, names.size());
    EXPECT_EQ(0u, names.count("unnamed"));
}

TEST(Known, EveryStateHasASideAndAName) {
    EXPECT_STREQ("client", wf::detail::connection_side(CommConnEntry::CLOSING));
    EXPECT_STREQ("server", wf::detail::connection_side(CommConnEntry::S_ACCEPTED));
    std::set<std::string> names;
    for (unsigned state = 0; state < CommConnEntry::STATE_COUNT; state++)
        names.insert(std::string(wf::detail::connection_side(state)) + " " +
                     CommConnEntry::state_name(static_cast<CommConnEntry::State>(state)));
    EXPECT_EQ(size_t{CommConnEntry::STATE_COUNT}, names.size());
}

// Prometheus wants one group of lines for each name.
TEST(Known, FamiliesAreSortedAndHaveHelp) {
    std::vector<wf::MetricFamily> families = wf::collect();
    std::string before;
    for (const wf::MetricFamily &family : families) {
        EXPECT_LT(before, family.name);
        EXPECT_FALSE(family.help.empty()) << family.name;
        EXPECT_EQ('.', family.help.back()) << family.name;
        EXPECT_FALSE(family.samples.empty()) << family.name;
        bool total =
            family.name.size() > 6 && family.name.compare(family.name.size() - 6, 6, "_total") == 0;
        EXPECT_EQ(family.type == wf::MetricType::COUNTER, total) << family.name;
        before = family.name;
    }
    EXPECT_GT(families.size(), 35u);
}

TEST(Known, TasksAreCountedByKind) {
    double timers = read_value("weft_made_tasks_total", "timer");
    double fired = read_value("weft_timers_total", "fired");
    double computed = read_value("weft_executor_computations_total");
    double compute = read_value("weft_made_tasks_total", "compute");
    WFTimerTask *never = WFTaskFactory::create_timer_task(1, 0, nullptr);
    EXPECT_EQ(timers + 1, read_value("weft_made_tasks_total", "timer"));
    EXPECT_EQ(1, read_value("weft_tasks", "timer"));
    never->dismiss();
    EXPECT_EQ(0, read_value("weft_tasks", "timer"));
    WFFacilities::WaitGroup group(2);
    WFTaskFactory::create_timer_task(0, 1000, [&](WFTimerTask *) { group.done(); })->start();
    auto *go = WFTaskFactory::create_go_task("q", [] {});
    go->set_callback([&](WFGoTask *) { group.done(); });
    go->start();
    group.wait();
    EXPECT_EQ(timers + 2, read_value("weft_made_tasks_total", "timer"));
    EXPECT_EQ(fired + 1, read_value("weft_timers_total", "fired"));
    EXPECT_EQ(compute + 1, read_value("weft_made_tasks_total", "compute"));
    EXPECT_EQ(computed + 1, read_value("weft_executor_computations_total"));
    EXPECT_GE(read_value("weft_workers"), 1);
    EXPECT_GE(read_value("weft_permits"), 1);
    EXPECT_GE(read_value("weft_executor_threads"), 1);
}

TEST(Known, ACanceledTimer) {
    double canceled = read_value("weft_timers_total", "canceled");
    double running = read_value("weft_timers");
    WFFacilities::WaitGroup group(1);
    WFTaskFactory::create_timer_task("metrics test", 3600, 0, [&](WFTimerTask *) {
        group.done();
    })->start();
    EXPECT_EQ(running + 1, read_value("weft_timers"));
    EXPECT_EQ(1, WFTaskFactory::cancel_by_name("metrics test"));
    group.wait();
    EXPECT_EQ(canceled + 1, read_value("weft_timers_total", "canceled"));
    EXPECT_EQ(running, read_value("weft_timers"));
}

} // namespace
