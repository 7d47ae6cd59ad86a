// Weft - compat: graphs and the operators for series and parallels
// SPDX-License-Identifier: Apache-2.0
//
// Row 17 of the behaviour table; WFGraphTask.h, WFOperator.h.

#include "workflow/WFGraphTask.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "workflow/WFOperator.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "support.h"

using compat::Event;
using compat::Log;

namespace {

WFCounterTask *say(Log *log, const std::string &text) {
    return WFTaskFactory::create_counter_task(0, [log, text](WFCounterTask *) { log->add(text); });
}

// Row 17: nodes without edges start in the order they were made.
TEST(Graph, Row17CreationOrder) {
    Log log;
    WFGraphTask *graph = WFTaskFactory::create_graph_task([&](WFGraphTask *task) {
        EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
        log.add("|");
    });
    for (const char *name : {"a", "b", "c"})
        graph->create_graph_node(say(&log, name));
    graph->start();
    EXPECT_EQ("abc|", log.text());
}

// Row 17: all spellings of an edge.
TEST(Graph, Row17Arrows) {
    Log log;
    WFGraphTask *graph = WFTaskFactory::create_graph_task([&](WFGraphTask *) { log.add("|"); });
    WFGraphNode &f = graph->create_graph_node(say(&log, "f"));
    WFGraphNode &e = graph->create_graph_node(say(&log, "e"));
    WFGraphNode &d = graph->create_graph_node(say(&log, "d"));
    WFGraphNode &c = graph->create_graph_node(say(&log, "c"));
    WFGraphNode &b = graph->create_graph_node(say(&log, "b"));
    WFGraphNode &a = graph->create_graph_node(say(&log, "a"));
    // clang-format off
    a-->b-->c;
    d<--c;
    d-->--e;
    // clang-format on
    e.precede(f);
    f.succeed(d);
    graph->start();
    EXPECT_EQ("abcdef|", log.text());
}

// A diamond over threads: the join sees what both arms wrote.
TEST(Graph, Diamond) {
    Event done;
    int left = 0;
    int right = 0;
    int sum = 0;
    WFGraphTask *graph = WFTaskFactory::create_graph_task([&](WFGraphTask *) { done.set(); });
    WFGraphNode &begin = graph->create_graph_node(WFTaskFactory::create_empty_task());
    WFGraphNode &a =
        graph->create_graph_node(WFTaskFactory::create_go_task("graph", [&]() { left = 20; }));
    WFGraphNode &b = graph->create_graph_node(
        WFTaskFactory::create_timer_task(0, 1000 * 1000, [&](WFTimerTask *) { right = 22; }));
    WFGraphNode &join = graph->create_graph_node(
        WFTaskFactory::create_go_task("graph", [&]() { sum = left + right; }));
    // clang-format off
    begin-->a-->join;
    begin-->b-->join;
    // clang-format on
    graph->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(42, sum);
}

// Row 17: a tree of 4,095 nodes.
TEST(Graph, Row17LargeTree) {
    const size_t kNodes = 4095;
    Event done;
    std::atomic<size_t> ran(0);
    std::vector<std::atomic<int>> order(kNodes);
    std::atomic<int> clock(0);
    WFGraphTask *graph = WFTaskFactory::create_graph_task([&](WFGraphTask *) { done.set(); });
    std::vector<WFGraphNode *> nodes;
    for (size_t i = 0; i < kNodes; i++) {
        nodes.push_back(&graph->create_graph_node(
            WFTaskFactory::create_go_task("tree", [&ran, &order, &clock, i]() {
                ran++;
                order[i] = ++clock;
            })));
        if (i > 0)
            nodes[(i - 1) / 2]->precede(*nodes[i]);
    }
    graph->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(kNodes, ran.load());
    for (size_t i = 1; i < kNodes; i++)
        ASSERT_LT(order[(i - 1) / 2].load(), order[i].load());
}

// Row 17: a canceled node cancels what comes behind it; others run; the graph ends in SUCCESS.
TEST(Graph, Row17Cancel) {
    Log log;
    int state = -1;
    WFGraphTask *graph =
        WFTaskFactory::create_graph_task([&](WFGraphTask *task) { state = task->get_state(); });
    WFGraphNode &a =
        graph->create_graph_node(WFTaskFactory::create_counter_task(0, [&](WFCounterTask *task) {
            log.add("a");
            series_of(task)->cancel();
        }));
    WFGraphNode &b = graph->create_graph_node(say(&log, "never"));
    WFGraphNode &c = graph->create_graph_node(say(&log, "never"));
    WFGraphNode &other = graph->create_graph_node(say(&log, "o"));
    // clang-format off
    a-->b-->c;
    // clang-format on
    (void)other;
    graph->start();
    EXPECT_EQ("ao", log.text());
    EXPECT_EQ(WFT_STATE_SUCCESS, state);
}

// A node's callback may push more into the series of the node; successors wait for it.
TEST(Graph, NodeSeriesCanGrow) {
    Log log;
    WFGraphTask *graph = WFTaskFactory::create_graph_task(nullptr);
    WFGraphNode &b = graph->create_graph_node(say(&log, "b"));
    WFGraphNode &a =
        graph->create_graph_node(WFTaskFactory::create_counter_task(0, [&](WFCounterTask *task) {
            log.add("a");
            series_of(task)->push_back(say(&log, "+"));
        }));
    // clang-format off
    a-->b;
    // clang-format on
    graph->start();
    EXPECT_EQ("a+b", log.text());
}

TEST(Graph, Empty) {
    bool called = false;
    WFTaskFactory::create_graph_task([&](WFGraphTask *) { called = true; })->start();
    EXPECT_TRUE(called);
}

TEST(Graph, InASeriesAndNested) {
    Log log;
    WFGraphTask *inner = WFTaskFactory::create_graph_task([&](WFGraphTask *) { log.add("i"); });
    inner->create_graph_node(say(&log, "x"));
    WFGraphTask *outer = WFTaskFactory::create_graph_task([&](WFGraphTask *) { log.add("o"); });
    WFGraphNode &first = outer->create_graph_node(inner);
    WFGraphNode &second = outer->create_graph_node(say(&log, "y"));
    // clang-format off
    first-->second;
    // clang-format on
    SeriesWork *series = Workflow::create_series_work(say(&log, "a"), nullptr);
    series->push_back(outer);
    series->push_back(say(&log, "b"));
    series->start();
    EXPECT_EQ("axiyob", log.text());
}

// WFOperator.h: > is a series.
TEST(Operator, Series) {
    Log log;
    SeriesWork &series = *say(&log, "a") > say(&log, "b") > *say(&log, "c");
    series.set_callback([&](const SeriesWork *) { log.add("|"); });
    series.start();
    EXPECT_EQ("abc|", log.text());
}

TEST(Operator, TaskBeforeSeries) {
    Log log;
    SeriesWork &tail = *say(&log, "b") > say(&log, "c");
    SeriesWork &whole = *say(&log, "a") > tail;
    EXPECT_EQ(&tail, &whole);
    whole.start();
    EXPECT_EQ("abc", log.text());
}

// WFOperator.h: * is a parallel.
TEST(Operator, Parallel) {
    Log log;
    ParallelWork &parallel = *say(&log, "a") * say(&log, "b");
    EXPECT_EQ(2u, parallel.size());
    parallel.set_callback([&](const ParallelWork *) { log.add("|"); });
    parallel.start();
    EXPECT_EQ("ab|", log.text());
}

TEST(Operator, Mixed) {
    Log log;
    SeriesWork &left = *say(&log, "a") > say(&log, "b");
    ParallelWork &parallel = left * say(&log, "c");
    SeriesWork &series = parallel > say(&log, "d");
    series.start();
    EXPECT_EQ("abcd", log.text());
}

} // namespace
