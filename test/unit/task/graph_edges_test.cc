// Weft - unit tests of graphs that decide: conditions, joins, data along edges, growth
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/graph.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "unit/task/task_support.h"
#include "workflow/wf/handle.h"

using namespace tasktest;

namespace {

// A graph whose nodes write to a log; "|" stands for its end.
class GraphEdges : public ::testing::Test {
protected:
    GraphEdges() : graph(new WFGraphTask([this](WFGraphTask *) { log.add("|"); })) {}

    WFGraphNode &say(const char *name) { return graph->create_graph_node(new Say(&log, name)); }
    WFGraphNode &call(std::function<void(SubTask *)> body) {
        return graph->create_graph_node(new Call(std::move(body)));
    }
    std::string run() {
        graph->start();
        return log.text();
    }

    Log log;
    WFGraphTask *graph;
};

std::function<bool()> always(bool taken) {
    return [taken] { return taken; };
}

// What is behind a node that is skipped is skipped too; the graph goes on and ends as ever.
TEST_F(GraphEdges, ConditionsChoose) {
    WFGraphNode &a = say("a"), &b = say("b"), &c = say("c"), &d = say("d");
    wf::connect(a, b, always(true));
    wf::connect(a, c, always(false));
    c.precede(d);
    EXPECT_EQ("ab~c~d|", run());
}

TEST_F(GraphEdges, EmptyConditionIsTrue) {
    WFGraphNode &a = say("a"), &b = say("b");
    wf::connect(a, b, nullptr);
    EXPECT_EQ("ab|", run());
}

// When the whole series has ended, in the order of the edges, before anything behind begins.
TEST_F(GraphEdges, ConditionsAreAskedOnceAtTheEnd) {
    WFGraphNode &a = call([&](SubTask *task) {
        log.add("a");
        series_of(task)->push_back(new Say(&log, "+"));
        series_of(task)->set_callback([&](const SeriesWork *) { log.add("s"); });
    });
    WFGraphNode &b = say("b"), &c = say("c"), &d = say("d");
    wf::connect(a, b, [&] {
        log.add("?");
        return true;
    });
    a.precede(c);
    wf::connect(a, d, [&] {
        log.add("!");
        return false;
    });
    EXPECT_EQ("a+s?!bc~d|", run());
}

// What a condition holds is let go before the nodes behind it begin.
TEST_F(GraphEdges, ConditionsAreLetGo) {
    WFGraphNode &a = say("a"), &b = say("b");
    auto held = std::make_shared<Obituary>(&log, "~held ");
    wf::connect(a, b, [held = std::move(held)] { return true; });
    EXPECT_EQ("a~held b|", run());
}

TEST_F(GraphEdges, AllMustBeTaken) {
    WFGraphNode &a = say("a"), &b = say("b"), &c = say("c");
    wf::connect(a, c, always(false));
    b.precede(c);
    EXPECT_EQ("ab~c|", run());
}

// Taken or not, all edges are waited for.
TEST_F(GraphEdges, AnyIsEnough) {
    WFGraphNode &a = say("a"), &b = say("b"), &c = say("c"), &d = say("d");
    wf::connect(a, c, always(false));
    b.precede(c);
    wf::set_join(c, wf::Join::ANY);
    c.precede(d);
    EXPECT_EQ("abcd|", run());
}

TEST_F(GraphEdges, AnyOfNone) {
    WFGraphNode &a = say("a"), &b = say("b"), &c = say("c"), &d = say("d");
    wf::connect(a, c, always(false));
    wf::connect(b, c, always(false));
    wf::set_join(c, wf::Join::ANY);
    c.precede(d);
    wf::set_join(d, wf::Join::ANY);
    WFGraphNode &e = say("e");
    wf::set_join(e, wf::Join::ANY);
    EXPECT_EQ("ab~c~de|", run());
}

// The two ways meet again.
TEST_F(GraphEdges, Diamond) {
    WFGraphNode &a = say("a"), &left = say("l"), &right = say("r"), &end = say("e");
    wf::connect(a, left, always(false));
    wf::connect(a, right, always(true));
    left.precede(end);
    right.precede(end);
    wf::set_join(end, wf::Join::ANY);
    EXPECT_EQ("a~lre|", run());
}

// The callback of its series tells.
TEST_F(GraphEdges, SkippedSeriesHasItsCallback) {
    SubTask *task = new Say(&log, "b");
    WFGraphNode &a = say("a"), &b = graph->create_graph_node(task);
    series_of(task)->set_callback(
        [&](const SeriesWork *series) { log.add(series->is_canceled() ? "skipped" : "ran"); });
    wf::connect(a, b, always(false));
    EXPECT_EQ("a~bskipped|", run());
}

// A cancel goes on whatever conditions and joins say, and no condition is asked.
TEST_F(GraphEdges, CancelIsStronger) {
    WFGraphNode &a = call([&](SubTask *task) {
        log.add("a");
        series_of(task)->cancel();
    });
    WFGraphNode &b = say("b"), &c = say("c"), &d = say("d");
    wf::connect(a, c, [&] {
        log.add("never");
        return true;
    });
    b.precede(c);
    wf::set_join(c, wf::Join::ANY);
    wf::connect(c, d, [&] {
        log.add("never");
        return true;
    });
    EXPECT_EQ("ab~c~d|", run());
}

TEST_F(GraphEdges, Dismissed) {
    WFGraphNode &a = say("a"), &b = say("b");
    auto held = std::make_shared<Obituary>(&log, "~held");
    wf::connect(a, b, [held] { return true; });
    wf::connect<std::shared_ptr<Obituary>>(a, b).put(held);
    wf::set_prepare(b, [held](SubTask *) {});
    held.reset();
    graph->dismiss();
    EXPECT_EQ("~a~held~b", log.text());
}

TEST_F(GraphEdges, DataIsHandedOn) {
    wf::Edge<std::unique_ptr<std::string>> edge;
    WFGraphNode &a = call([&](SubTask *) {
        EXPECT_EQ(nullptr, edge.get());
        EXPECT_FALSE(edge.take());
        edge.put(std::make_unique<std::string>("first"));
        edge.put(std::make_unique<std::string>("second"));
        EXPECT_EQ("second", **edge.get());
    });
    WFGraphNode &b = call([&](SubTask *) {
        ASSERT_NE(nullptr, edge.get());
        log.add(**edge.get());
        std::optional<std::unique_ptr<std::string>> taken = edge.take();
        ASSERT_TRUE(taken);
        EXPECT_EQ("second", **taken);
        EXPECT_EQ(nullptr, edge.get());
        EXPECT_FALSE(edge.take());
    });
    wf::connect(a, b, edge);
    EXPECT_EQ("second|", run());
}

// Without anything in it the edge is taken all the same; the made edge is the one to use.
TEST_F(GraphEdges, DataMayBeMissing) {
    std::function<void()> look;
    WFGraphNode &a = say("a"), &b = call([&](SubTask *) { look(); });
    wf::Edge<int> edge = wf::connect<int>(a, b);
    look = [&, edge] { log.add(edge.get() ? "something" : "nothing"); };
    EXPECT_EQ("anothing|", run());
}

TEST_F(GraphEdges, TakenIfPut) {
    wf::Edge<int> full, empty, emptied;
    WFGraphNode &a = call([&](SubTask *) {
        full.put(1);
        emptied.put(2);
        emptied.take();
    });
    WFGraphNode &b = say("b"), &c = say("c"), &d = say("d");
    wf::connect_if_put(a, b, full);
    wf::connect_if_put(a, c, empty);
    wf::connect_if_put(a, d, emptied);
    EXPECT_EQ("b~c~d|", run());
    EXPECT_EQ(1, *full.get());
}

// A condition may look at what was put.
TEST_F(GraphEdges, ConditionsSeeTheData) {
    wf::Edge<int> edge;
    WFGraphNode &a = call([&](SubTask *) { edge.put(7); });
    WFGraphNode &b = say("b"), &c = say("c");
    wf::connect(a, b, edge);
    wf::connect(a, c, [edge] { return *edge.get() > 10; });
    EXPECT_EQ("b~c|", run());
}

// With the node's own task, before it and what was pushed in front of it begin.
TEST_F(GraphEdges, PreparedWithTheData) {
    wf::Edge<std::string> edge;
    SubTask *task = new Say(&log, "b");
    WFGraphNode &a = call([&](SubTask *) { edge.put("data "); });
    WFGraphNode &b = graph->create_graph_node(task);
    wf::connect(a, b, edge);
    series_of(task)->push_front(new Say(&log, "front "));
    wf::set_prepare(b, [&](SubTask *prepared) {
        EXPECT_EQ(task, prepared);
        log.add("prepare " + *edge.get());
    });
    EXPECT_EQ("prepare data front b|", run());
}

TEST_F(GraphEdges, NotPreparedWhenItDoesNotRun) {
    WFGraphNode &a = say("a"), &b = say("b"), &c = say("c");
    WFGraphNode &d = call([&](SubTask *task) { series_of(task)->cancel(); });
    wf::connect(a, b, always(false));
    d.precede(c);
    for (WFGraphNode *node : {&b, &c})
        wf::set_prepare(*node, [&](SubTask *) { log.add("never"); });
    EXPECT_EQ("a~b~c|", run());
}

TEST_F(GraphEdges, PrepareMayCancel) {
    WFGraphNode &a = say("a"), &b = say("b"), &c = say("c");
    a.precede(b);
    b.precede(c);
    wf::set_prepare(b, [&](SubTask *task) { series_of(task)->cancel(); });
    EXPECT_EQ("a~b~c|", run());
}

// New nodes begin when the growth ends, inside the callback; what follows them waits for them.
TEST_F(GraphEdges, Grows) {
    WFGraphNode *last = nullptr;
    WFGraphNode &a = call([&](SubTask *task) {
        log.add("a(");
        wf::GraphGrowth growth(task);
        WFGraphNode &x = growth.node(new Say(&log, "x"));
        WFGraphNode &y = growth.node(new Say(&log, "y"));
        growth.node(new Say(&log, "z"));
        y.precede(x);
        growth.self().precede(y);
        x.precede(*last);
        log.add(")");
    });
    WFGraphNode &b = say("b");
    last = &say("c");
    a.precede(b);
    b.precede(*last);
    EXPECT_EQ("a()zyxbc|", run());
}

// The end of the graph waits for what nothing else waits for.
TEST_F(GraphEdges, EndsAfterLateNodes) {
    Event dispatched;
    Gate *gate = new Gate(&dispatched);
    call([&](SubTask *task) { wf::GraphGrowth(task).node(gate); });
    say("b");
    EXPECT_EQ("b", run());
    EXPECT_EQ(1, dispatched.count());
    gate->open();
    EXPECT_EQ("b|", log.text());
}

// With conditions, joins and data; in a callback of what was pushed behind the node's own task.
TEST_F(GraphEdges, GrowsWithAllThereIs) {
    wf::Edge<int> edge;
    WFGraphNode *last = nullptr;
    WFGraphNode &a = call([&](SubTask *first) {
        series_of(first)->push_back(new Call([&](SubTask *task) {
            wf::GraphGrowth growth(task);
            WFGraphNode &x = growth.node(new Call([&](SubTask *) { edge.put(5); }));
            WFGraphNode &y = growth.node(new Say(&log, "y"));
            WFGraphNode &z = growth.node(new Say(&log, "z"));
            wf::connect(growth.self(), x, always(true));
            wf::connect_if_put(x, y, edge);
            wf::connect(x, z, always(false));
            wf::set_prepare(y, [&](SubTask *) { log.add(std::to_string(*edge.get())); });
            z.precede(*last);
            growth.start();
            log.add(".");
        }));
    });
    WFGraphNode &b = say("b");
    last = &say("c");
    wf::set_join(*last, wf::Join::ANY);
    a.precede(b);
    b.precede(*last);
    EXPECT_EQ(".5y~zbc|", run());
}

// Late nodes grow too, each from the one before it; their series do not wait for the end.
TEST_F(GraphEdges, GrowsOnAndOn) {
    constexpr int GENERATIONS = 1000;
    int number = 0;
    std::function<void(SubTask *)> more = [&](SubTask *task) {
        series_of(task)->set_context(&number);
        if (++number == GENERATIONS)
            return;
        wf::GraphGrowth growth(task);
        growth.self().precede(growth.node(new Call(more)));
    };
    scheduler();
    Event ended;
    call(more);
    graph->set_callback([&](WFGraphTask *) { ended.set(); });
    graph->start();
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(GENERATIONS, number);
}

// A cancel of the one whose callback it is reaches those new ones alone that follow it.
TEST_F(GraphEdges, CancelBesideGrowth) {
    WFGraphNode &a = call([&](SubTask *task) {
        wf::GraphGrowth growth(task);
        growth.self().precede(growth.node(new Say(&log, "x")));
        growth.node(new Say(&log, "y"));
        series_of(task)->cancel();
    });
    a.precede(say("b"));
    EXPECT_EQ("y~x~b|", run());
}

// A task that waits until it is cut.
WFCounterTask *waiting(Log *log, const char *name) {
    return new WFCounterTask(1, [log, name](WFCounterTask *task) {
        log->add(std::string(name) + (task->get_error() == ECANCELED ? " cut " : " ended "));
    });
}

// The handle of the graph reaches late nodes like the others: what runs is cut, what waits dropped.
TEST_F(GraphEdges, HandleReachesLateNodes) {
    scheduler();
    Event ended;
    wf::Handle handle = wf::get_handle(graph);
    call([&](SubTask *task) {
        wf::GraphGrowth growth(task);
        WFGraphNode &x = growth.node(waiting(&log, "x"));
        x.precede(growth.node(new Say(&log, "y")));
    });
    graph->set_callback([&](WFGraphTask *) { log.add("|"); });
    Workflow::start_series_work(graph, [&](const SeriesWork *) { ended.set(); });
    EXPECT_EQ("", log.text());
    EXPECT_EQ(0, wf::cancel(handle));
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ("x cut ~y|", log.text());
}

// What is added behind the cut does not begin.
TEST_F(GraphEdges, GrowthBehindACut) {
    scheduler();
    Event ended;
    wf::Handle handle = wf::get_handle(graph);
    graph->create_graph_node(new WFCounterTask(1, [&](WFCounterTask *task) {
        EXPECT_EQ(ECANCELED, task->get_error());
        wf::GraphGrowth growth(task);
        growth.node(new Say(&log, "x")).precede(growth.node(waiting(&log, "y")));
    }));
    Workflow::start_series_work(graph, [&](const SeriesWork *) { ended.set(); });
    EXPECT_EQ(0, wf::cancel(handle));
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ("~x|", log.text());
}

using GraphEdgesDeathTest = GraphEdges;

TEST_F(GraphEdgesDeathTest, MisuseOfEdges) {
    wf::Edge<int> edge;
    WFGraphNode &a = say("a"), &b = call([&](SubTask *) {
        EXPECT_DEATH(edge.put(1), "misuse: wf::Edge::put\\(\\) when the node");
    });
    wf::connect(a, b, edge);
    EXPECT_DEATH(wf::connect(b, a, edge), "misuse: wf::connect\\(\\) with a wf::Edge that is");
    EXPECT_EQ("a|", run());
}

TEST_F(GraphEdgesDeathTest, MisuseOfNodesThatHaveBegun) {
    Gate *gate = new Gate; // it runs beside
    WFGraphNode *self = nullptr, *next = nullptr, *beside = &graph->create_graph_node(gate);
    self = &call([&](SubTask *task) {
        EXPECT_DEATH(wf::connect(*self, *next, nullptr), "from a node that has begun");
        EXPECT_DEATH(wf::set_join(*self, wf::Join::ANY), "misuse: wf::set_join\\(\\)");
        EXPECT_DEATH(wf::set_prepare(*self, nullptr), "misuse: wf::set_prepare\\(\\)");
        wf::GraphGrowth growth(task);
        WFGraphNode &more = growth.node(new Say(&log, "m"));
        EXPECT_DEATH(more.precede(*beside), "neither new nor follows its own");
        EXPECT_DEATH(more.precede(*self), "neither new nor follows its own");
        EXPECT_DEATH(next->precede(more), "from one that is neither new nor its own");
        EXPECT_DEATH(wf::GraphGrowth{task}, "has another one still");
        growth.start();
        EXPECT_DEATH(growth.self(), "behind start");
    });
    next = &say("n");
    self->precede(*next);
    EXPECT_EQ("mn", run());
    gate->open();
    EXPECT_EQ("mn|", log.text());
}

TEST_F(GraphEdgesDeathTest, GrowthOutsideOfACallback) {
    SubTask *alone = new Say(&log, "a"), *later = new Say(&log, "b");
    EXPECT_DEATH(wf::GraphGrowth{alone}, "in no series of a graph's node");
    graph->create_graph_node(later);
    EXPECT_DEATH(wf::GraphGrowth{later}, "a task that does not run");
    delete alone;
    EXPECT_EQ("~ab|", run());
}

} // namespace
