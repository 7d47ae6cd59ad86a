// Weft - compat: ParallelWork as old programs use it
// SPDX-License-Identifier: Apache-2.0
//
// Rows 8 and 10 to 12 of the behaviour table; each test names its row.

#include "workflow/Workflow.h"

#include <gtest/gtest.h>

#include <memory>

#include "workflow/WFGraphTask.h"
#include "workflow/WFTaskFactory.h"

#include "support.h"

using compat::Event;
using compat::Log;
using compat::Obituary;

namespace {

WFCounterTask *say(Log *log, const std::string &text) {
    return WFTaskFactory::create_counter_task(0, [log, text](WFCounterTask *) { log->add(text); });
}

// Row 8: dismiss deletes whole trees and runs no callback. The leak checker watches too.
TEST(Parallel, Row8DismissDeletesWholeTrees) {
    Log log;
    auto dies = std::make_shared<Obituary>(&log, "x");
    {
        auto never = [&log, dies](const void *) { log.add("never"); };
        WFGraphTask *graph = WFTaskFactory::create_graph_task(never);
        WFGraphNode &a = graph->create_graph_node(WFTaskFactory::create_timer_task(1, 0, never));
        WFGraphNode &b = graph->create_graph_node(WFTaskFactory::create_empty_task());
        // clang-format off
        a-->b;
        // clang-format on

        ParallelWork *parallel = Workflow::create_parallel_work(never);
        SubTask *tasks[] = {
            WFTaskFactory::create_http_task("http://127.0.0.1:1/", 1, 1, never),
            WFTaskFactory::create_timer_task(1, 0, never),
            WFTaskFactory::create_timer_task("row8", 1, 0, never),
            WFTaskFactory::create_counter_task("", 1, never),
            WFTaskFactory::create_counter_task("row8", 1, never),
            WFTaskFactory::create_go_task("row8", [&log, dies]() { log.add("never"); }),
            WFThreadTaskFactory<int, int>::create_thread_task(
                "row8", [](int *, int *) {}, never),
            WFTaskFactory::create_dynamic_task([](WFDynamicTask *) -> SubTask * { return NULL; }),
            WFTaskFactory::create_empty_task(),
            graph,
        };
        for (SubTask *task : tasks)
            parallel->add_series(Workflow::create_series_work(task, never));
        parallel->dismiss();
    }
    EXPECT_EQ("", log.text());
    dies.reset();
    EXPECT_EQ("x", log.text()) << "somebody still holds a callback";
    EXPECT_EQ(0, WFTaskFactory::count_by_name("row8"));
    EXPECT_EQ(0, WFTaskFactory::cancel_by_name("row8"));
}

// Row 10: series are dispatched in index order on the starting thread.
TEST(Parallel, Row10IndexOrder) {
    Log log;
    ParallelWork *parallel =
        Workflow::create_parallel_work([&](const ParallelWork *) { log.add("|"); });
    for (int i = 0; i < 5; i++) {
        parallel->add_series(Workflow::create_series_work(
            say(&log, std::to_string(i)), [&](const SeriesWork *) { log.add("s"); }));
    }
    parallel->start();
    EXPECT_EQ("0s1s2s3s4s|", log.text());
    EXPECT_TRUE(log.one_thread());
}

// Row 11: the callback runs on the thread that finished last, after all sub-series callbacks,
// while the sub-series objects are alive; they are deleted right after.
TEST(Parallel, Row11CallbackSeesTheSubSeries) {
    Log log;
    Event done;
    int contexts[2] = {10, 11};
    int series_callbacks = 0;
    std::thread::id last_thread;
    std::thread::id callback_thread;
    WFCounterTask *slow = WFTaskFactory::create_counter_task(1, nullptr);
    SeriesWork *series[2] = {
        Workflow::create_series_work(slow,
                                     [&](const SeriesWork *) {
                                         series_callbacks++;
                                         last_thread = std::this_thread::get_id();
                                     }),
        Workflow::create_series_work(say(&log, "quick"),
                                     [&](const SeriesWork *) { series_callbacks++; }),
    };
    series[0]->set_context(&contexts[0]);
    series[1]->set_context(&contexts[1]);
    Workflow::start_parallel_work(series, 2, [&](const ParallelWork *parallel) {
        callback_thread = std::this_thread::get_id();
        EXPECT_EQ(2, series_callbacks);
        EXPECT_EQ(&contexts[0], parallel->series_at(0)->get_context());
        EXPECT_EQ(&contexts[1], (*parallel)[1].get_context());
        EXPECT_FALSE(parallel->series_at(0)->is_canceled());
        EXPECT_EQ(parallel, parallel->series_at(0)->get_in_parallel());
        done.set();
    });
    EXPECT_EQ(0, done.count());
    std::thread finisher([&]() { slow->count(); });
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(finisher.get_id(), callback_thread);
    EXPECT_EQ(last_thread, callback_thread);
    finisher.join();
}

// Row 12: a parallel of nothing completes inside start().
TEST(Parallel, Row12Empty) {
    bool called = false;
    ParallelWork *parallel = Workflow::create_parallel_work([&](const ParallelWork *p) {
        EXPECT_EQ(0u, p->size());
        called = true;
    });
    parallel->start();
    EXPECT_TRUE(called);
    called = false;
    Workflow::start_parallel_work(nullptr, 0, [&](const ParallelWork *) { called = true; });
    EXPECT_TRUE(called);
}

// The accessors of the old interface.
TEST(Parallel, Accessors) {
    Log log;
    ParallelWork *parallel = Workflow::create_parallel_work(nullptr);
    SeriesWork *a = Workflow::create_series_work(say(&log, "a"), nullptr);
    SeriesWork *b = Workflow::create_series_work(say(&log, "b"), nullptr);
    parallel->add_series(a);
    parallel->add_series(b);
    parallel->set_context(&log);
    EXPECT_EQ(&log, parallel->get_context());
    EXPECT_EQ(2u, parallel->size());
    EXPECT_EQ(a, parallel->series_at(0));
    EXPECT_EQ(b, &(*parallel)[1]);
    EXPECT_EQ(nullptr, parallel->series_at(2));
    size_t n = 0;
    for (SeriesWork *const *at = parallel->begin(); at != parallel->end(); ++at)
        EXPECT_EQ(n++ ? b : a, *at);
    EXPECT_EQ(2u, n);
    parallel->set_callback([&](const ParallelWork *p) {
        EXPECT_EQ(&log, p->get_context());
        log.add("|");
    });
    parallel->start();
    EXPECT_EQ("ab|", log.text());
}

// Many series make the parallel grow; nested parallels finish from the inside out.
TEST(Parallel, ManyAndNested) {
    Event done;
    int ended = 0;
    ParallelWork *outer = Workflow::create_parallel_work([&](const ParallelWork *) { done.set(); });
    for (int i = 0; i < 100; i++) {
        ParallelWork *inner = Workflow::create_parallel_work([&](const ParallelWork *p) {
            EXPECT_EQ(10u, p->size());
            ended++;
        });
        for (int k = 0; k < 10; k++) {
            inner->add_series(
                Workflow::create_series_work(WFTaskFactory::create_empty_task(), nullptr));
        }
        outer->add_series(Workflow::create_series_work(inner, nullptr));
    }
    outer->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(100, ended);
}

// Timers of one parallel run side by side: the whole takes about the longest, not the sum.
TEST(Parallel, TimersOverlap) {
    Event done;
    compat::Clock::time_point begin = compat::Clock::now();
    ParallelWork *all = Workflow::create_parallel_work([&](const ParallelWork *) { done.set(); });
    for (int i = 0; i < 20; i++) {
        WFTimerTask *timer = WFTaskFactory::create_timer_task(0, 200 * 1000 * 1000, nullptr);
        all->add_series(Workflow::create_series_work(timer, nullptr));
    }
    all->start();
    ASSERT_TRUE(done.wait());
    EXPECT_GE(compat::ms_since(begin), 199.0);
    EXPECT_LT(compat::ms_since(begin), 2000.0); // One after another would take 4 seconds.
}

} // namespace
