// Weft - unit tests of graphs; behaviour row 17
// SPDX-License-Identifier: Apache-2.0
#include "workflow/WFGraphTask.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "unit/task/task_support.h"

using namespace tasktest;

namespace {

// Row 17: in the order of creation; SUCCESS in the callback; the series goes on.
TEST(Graph, Row17CreationOrder) {
    Log log;
    WFGraphTask *graph = new WFGraphTask([&](WFGraphTask *task) {
        EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
        log.add("|");
    });
    for (const char *name : {"a", "b", "c"})
        graph->create_graph_node(new Say(&log, name));
    Workflow::start_series_work(graph, new Say(&log, "Z"), nullptr);
    EXPECT_EQ("abc|Z", log.text());
}

// Row 17: every way to write an edge.
TEST(Graph, Row17Arrows) {
    Log log;
    WFGraphTask *graph = new WFGraphTask([&](WFGraphTask *) { log.add("|"); });
    auto node = [&](const char *name) -> WFGraphNode & {
        return graph->create_graph_node(new Say(&log, name));
    };
    WFGraphNode &f = node("f"), &e = node("e"), &d = node("d"), &c = node("c"), &b = node("b"),
                &a = node("a");
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

TEST(Graph, Row17Empty) {
    int calls = 0;
    (new WFGraphTask([&](WFGraphTask *task) {
        EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
        calls++;
    }))->start();
    EXPECT_EQ(1, calls);
}

// Row 17: a canceled node cancels all behind it; the others run, the graph ends in SUCCESS.
TEST(Graph, Row17Cancel) {
    Log log;
    WFGraphTask *graph = new WFGraphTask([&](WFGraphTask *task) {
        EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
        log.add("|");
    });
    WFGraphNode &a = graph->create_graph_node(new Call([&](SubTask *task) {
        log.add("a");
        series_of(task)->cancel();
    }));
    WFGraphNode &b = graph->create_graph_node(new Say(&log, "b"));
    WFGraphNode &c = graph->create_graph_node(new Say(&log, "c"));
    graph->create_graph_node(new Say(&log, "o"));
    a.precede(b);
    b.precede(c);
    graph->start();
    EXPECT_EQ("a~b~co|", log.text());
}

// What a node's task pushes behind itself belongs to the node; the callback of its series is the
// program's to set.
TEST(Graph, NodeSeriesIsTheProgramsToo) {
    Log log;
    WFGraphTask *graph = new WFGraphTask([&](WFGraphTask *) { log.add("|"); });
    WFGraphNode &b = graph->create_graph_node(new Say(&log, "b"));
    WFGraphNode &a = graph->create_graph_node(new Call([&](SubTask *task) {
        SeriesWork *series = series_of(task);
        series->push_back(new Say(&log, "+"));
        series->set_last_task(new Say(&log, "l"));
        series->set_callback([&](const SeriesWork *) { log.add("s"); });
    }));
    a.precede(b);
    graph->start();
    EXPECT_EQ("+lsb|", log.text());
}

// Row 8: nothing leaks and nothing runs.
TEST(Graph, Row8Dismiss) {
    Log log;
    WFGraphTask *graph = new WFGraphTask([&](WFGraphTask *) { log.add("never"); });
    WFGraphNode &a = graph->create_graph_node(new Say(&log, "a"));
    WFGraphNode &b = graph->create_graph_node(new Say(&log, "b"));
    a.precede(b);
    graph->dismiss();
    EXPECT_EQ("~a~b", log.text());
}

// A cancel of the graph's own series waits for the graph, which still has its callback.
TEST(Graph, Row6CancelAroundIt) {
    Log log;
    Event dispatched;
    Gate *gate = new Gate(&dispatched);
    WFGraphTask *graph = new WFGraphTask([&](WFGraphTask *) { log.add("graph "); });
    graph->create_graph_node(gate);
    SeriesWork *series = Workflow::create_series_work(
        graph, new Say(&log, "Z"), [&](const SeriesWork *) { log.add(" series"); });
    series->start();
    ASSERT_EQ(1, dispatched.count());
    series->cancel();
    gate->open();
    EXPECT_EQ("graph ~Z series", log.text());
}

// In a parallel, the graph's place must be kept for the parallel to end.
TEST(Graph, InAParallel) {
    Log log;
    SeriesWork *all[2];
    for (SeriesWork *&series : all) {
        WFGraphTask *graph = new WFGraphTask([&](WFGraphTask *) { log.add("g"); });
        graph->create_graph_node(new Say(&log, "n"));
        series = Workflow::create_series_work(graph, nullptr);
    }
    Workflow::start_parallel_work(all, 2, [&](const ParallelWork *) { log.add("|"); });
    EXPECT_EQ("ngng|", log.text());
}

// Row 17: random graphs over several threads; every node runs once, and after all before it.
TEST(Graph, Row17RandomOnThreads) {
    constexpr size_t NODES = 200;
    std::minstd_rand dice(3);
    Compute compute(3);
    class Go : public WFGoTask {
    public:
        Go(Compute &c, std::function<void()> body)
            : WFGoTask(&c.queue, &c.executor), body_(std::move(body)) {}

    private:
        void execute() override { body_(); }
        std::function<void()> body_;
    };
    scheduler();
    for (int round = 0; round < 20; round++) {
        Event ended;
        std::atomic<int> clock{0};
        std::vector<std::atomic<int>> time(NODES);
        std::vector<std::pair<size_t, size_t>> edges;
        std::vector<WFGraphNode *> nodes;
        WFGraphTask *graph = new WFGraphTask([&](WFGraphTask *) { ended.set(); });
        for (size_t i = 0; i < NODES; i++) {
            nodes.push_back(&graph->create_graph_node(
                new Go(compute, [&time, &clock, i] { time[i] = ++clock; })));
            for (unsigned n = dice() % 4; n > 0 && i > 0; n--) {
                size_t from = dice() % i;
                nodes[from]->precede(*nodes[i]);
                edges.emplace_back(from, i);
            }
        }
        graph->start();
        ASSERT_TRUE(ended.wait());
        EXPECT_EQ(static_cast<int>(NODES), clock.load());
        for (const auto &edge : edges)
            ASSERT_LT(time[edge.first].load(), time[edge.second].load());
    }
}

} // namespace
