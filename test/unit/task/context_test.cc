// Weft - unit tests of contexts: typed objects that series and tasks own
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/context.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "unit/task/task_support.h"
#include "workflow/WFGraphTask.h"

using namespace tasktest;

namespace {

// Contexts of several types, each of which writes to a log when it dies.
template <int N>
struct Thing {
    Thing(Log *log_in, std::string name_in) : log(log_in), name(std::move(name_in)) {}
    ~Thing() { log->add("~" + name); }
    Thing(const Thing &) = delete;
    Thing &operator=(const Thing &) = delete;

    Log *log;
    std::string name;
};

using First = Thing<1>;
using Second = Thing<2>;

// The callback of the series may still use it; then it goes.
TEST(Context, OfASeriesOutlivesItsCallback) {
    Log log;
    SeriesWork *series = Workflow::create_series_work(
        new Call([&](SubTask *task) { log.add(wf::find_context<First>(*series_of(task))->name); }),
        [&](const SeriesWork *ended) { log.add("|" + wf::find_context<First>(*ended)->name); });
    First &made = wf::emplace_context<First>(*series, &log, "x");
    EXPECT_EQ(&made, wf::find_context<First>(*series));
    series->start();
    EXPECT_EQ("x|x~x", log.text());
}

TEST(Context, OfATaskOutlivesItsCallback) {
    Log log;
    SubTask *task = new Call([&](SubTask *self) { log.add(wf::find_context<First>(*self)->name); });
    wf::emplace_context<First>(*task, &log, "x");
    Workflow::start_series_work(task, new Say(&log, "b"), nullptr);
    EXPECT_EQ("x~xb", log.text());
}

// Its callback may make one as well.
TEST(Context, MadeInACallback) {
    Log log;
    SubTask *task = new Call([&](SubTask *self) {
        EXPECT_EQ(nullptr, wf::find_context<First>(*self));
        wf::emplace_context<First>(*self, &log, "t");
        wf::emplace_context<First>(*series_of(self), &log, "s");
    });
    Workflow::start_series_work(task, new Say(&log, "b"), nullptr);
    EXPECT_EQ("~tb~s", log.text());
}

TEST(Context, DismissedSeries) {
    Log log;
    SubTask *task = new Say(&log, "a");
    SeriesWork *series =
        Workflow::create_series_work(task, [&](const SeriesWork *) { log.add("never"); });
    wf::emplace_context<First>(*series, &log, "s");
    wf::emplace_context<First>(*task, &log, "t");
    series->dismiss();
    EXPECT_EQ("~a~t~s", log.text());
}

TEST(Context, DismissedTask) {
    Log log;
    WFCounterTask *task = new WFCounterTask(1, nullptr);
    wf::emplace_context<First>(*task, &log, "t");
    task->dismiss();
    EXPECT_EQ("~t", log.text());
}

// Those that wait go without a callback, their contexts with them.
TEST(Context, CanceledSeries) {
    Log log;
    SeriesWork *series =
        Workflow::create_series_work(new Call([&](SubTask *task) { series_of(task)->cancel(); }),
                                     [&](const SeriesWork *) { log.add("|"); });
    SubTask *waits = new Say(&log, "b");
    wf::emplace_context<First>(*waits, &log, "t");
    wf::emplace_context<First>(*series, &log, "s");
    series->push_back(waits);
    series->start();
    EXPECT_EQ("~b~t|~s", log.text());
}

// The old one goes when the new one is there, which may be made out of it.
TEST(Context, Replaced) {
    Log log;
    WFCounterTask *task = new WFCounterTask(1, nullptr);
    First &old = wf::emplace_context<First>(*task, &log, "x");
    First &made = wf::emplace_context<First>(*task, old.log, old.name + "y");
    EXPECT_EQ("~x", log.text());
    EXPECT_EQ(&made, wf::find_context<First>(*task));
    EXPECT_EQ("xy", made.name);
    task->dismiss();
    EXPECT_EQ("~x~xy", log.text());
}

// The latest goes first; one that was removed goes then.
TEST(Context, SeveralTypes) {
    Log log;
    SeriesWork *series = Workflow::create_series_work(new Say(&log, "a"), nullptr);
    wf::emplace_context<First>(*series, &log, "1");
    wf::emplace_context<Second>(*series, &log, "2");
    wf::emplace_context<Thing<3>>(*series, &log, "3");
    EXPECT_EQ("1", wf::find_context<First>(*series)->name);
    EXPECT_EQ("2", wf::find_context<Second>(*series)->name);
    EXPECT_EQ(nullptr, wf::find_context<Thing<4>>(*series));
    EXPECT_TRUE(wf::remove_context<Second>(*series));
    EXPECT_EQ("~2", log.text());
    EXPECT_FALSE(wf::remove_context<Second>(*series));
    EXPECT_EQ(nullptr, wf::find_context<Second>(*series));
    EXPECT_EQ("3", wf::find_context<Thing<3>>(*series)->name);
    series->start();
    EXPECT_EQ("~2a~3~1", log.text());
}

// One that goes finds those that are still there, and itself no more.
TEST(Context, FoundByAnotherThatGoes) {
    struct Curious {
        explicit Curious(SubTask *task_in, std::string *seen_in) : task(task_in), seen(seen_in) {}
        ~Curious() {
            *seen += wf::find_context<Curious>(*task) ? "itself " : "";
            *seen += wf::find_context<First>(*task)->name;
        }
        SubTask *task;
        std::string *seen;
    };
    Log log;
    std::string seen;
    WFCounterTask *task = new WFCounterTask(1, nullptr);
    wf::emplace_context<First>(*task, &log, "x");
    wf::emplace_context<Curious>(*task, task, &seen);
    task->dismiss();
    EXPECT_EQ("x", seen);
    EXPECT_EQ("~x", log.text());
}

// Aggregates, what can only be moved, and what wants more than the usual alignment.
TEST(Context, TypesOfAllKinds) {
    struct Pair {
        int a;
        std::string b;
    };
    struct alignas(128) Wide {
        char room[128];
    };
    struct Base {
        int number = 5;
    };
    struct Derived : Base {};
    WFCounterTask *task = new WFCounterTask(1, nullptr);
    EXPECT_EQ("two", wf::emplace_context<Pair>(*task, 1, "two").b);
    wf::emplace_context<std::unique_ptr<int>>(*task, std::make_unique<int>(3));
    EXPECT_EQ(3, **wf::find_context<std::unique_ptr<int>>(*task));
    Wide &wide = wf::emplace_context<Wide>(*task);
    EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(&wide) % 128);
    wf::emplace_context<Derived>(*task);
    EXPECT_EQ(nullptr, wf::find_context<Base>(*task));
    wf::emplace_context<std::vector<int>>(*task, 3u, 7);
    EXPECT_EQ(3u, wf::find_context<std::vector<int>>(*task)->size());
    task->dismiss();
}

// What its series share hangs on the parallel. It goes last of all.
TEST(Context, OfAParallel) {
    Log log;
    ParallelWork *parallel = Workflow::create_parallel_work(
        [&](const ParallelWork *ended) { log.add("|" + wf::find_context<First>(*ended)->name); });
    wf::emplace_context<First>(*parallel, &log, "p");
    for (const char *name : {"a", "b"}) {
        SeriesWork *series = Workflow::create_series_work(
            new Call([&](SubTask *task) {
                log.add(wf::find_context<First>(*series_of(task)->get_in_parallel())->name);
            }),
            nullptr);
        wf::emplace_context<First>(*series, &log, name);
        parallel->add_series(series);
    }
    Workflow::start_series_work(parallel, new Say(&log, "Z"), nullptr);
    EXPECT_EQ("pp|p~a~b~pZ", log.text());
}

TEST(Context, OfADismissedParallel) {
    Log log;
    ParallelWork *parallel = Workflow::create_parallel_work(nullptr);
    wf::emplace_context<First>(*parallel, &log, "p");
    SeriesWork *series = Workflow::create_series_work(new Say(&log, "a"), nullptr);
    wf::emplace_context<First>(*series, &log, "s");
    parallel->add_series(series);
    parallel->dismiss();
    EXPECT_EQ("~a~s~p", log.text());
}

TEST(Context, OfAGraph) {
    Log log;
    WFGraphTask *graph = new WFGraphTask(
        [&](WFGraphTask *ended) { log.add("|" + wf::find_context<First>(*ended)->name); });
    wf::emplace_context<First>(*graph, &log, "g");
    for (const char *name : {"a", "b"}) {
        graph->create_graph_node(new Call([&log, graph, name](SubTask *task) {
            log.add(wf::find_context<First>(*graph)->name);
            wf::emplace_context<First>(*series_of(task), &log, name);
        }));
    }
    Workflow::start_series_work(graph, new Say(&log, "Z"), nullptr);
    EXPECT_EQ("gg|g~a~b~gZ", log.text());
}

// A module is a task and a series.
TEST(Context, OfAModule) {
    Log log;
    WFModuleTask *module = new WFModuleTask(
        new Call([&](SubTask *task) { log.add(wf::find_context<Second>(*series_of(task))->name); }),
        [&](const WFModuleTask *ended) { log.add("|" + wf::find_context<First>(*ended)->name); });
    wf::emplace_context<First>(*module, &log, "m");
    wf::emplace_context<Second>(*module->sub_series(), &log, "s");
    EXPECT_EQ(nullptr, wf::find_context<Second>(*module));
    wf::emplace_context<Second>(*module, &log, "-");
    EXPECT_TRUE(wf::remove_context<Second>(*module));
    module->start();
    EXPECT_EQ("~-s|m~s~m", log.text());
}

// A task that is a copy of another begins without contexts.
TEST(Context, NotCopied) {
    class Copied : public SubTask {
    public:
        void dispatch() override {}

    private:
        SubTask *done() override { return nullptr; }
    };
    Log log;
    {
        Copied task;
        wf::emplace_context<First>(task, &log, "x");
        Copied copy(task);
        EXPECT_EQ(nullptr, wf::find_context<First>(copy));
        wf::emplace_context<First>(copy, &log, "y");
        copy = task;
        EXPECT_EQ("y", wf::find_context<First>(copy)->name);
    }
    EXPECT_EQ("~y~x", log.text());
}

// Tasks of one series run on several threads, one after another: each sees what the one before it
// left in the context.
TEST(Context, OnSeveralThreads) {
    constexpr int TASKS = 200;
    struct Sum {
        std::vector<int> seen;
    };
    class Go : public WFGoTask {
    public:
        Go(Compute &c, std::function<void(SubTask *)> body)
            : WFGoTask(&c.queue, &c.executor), body_(std::move(body)) {}

    private:
        void execute() override { body_(this); }
        std::function<void(SubTask *)> body_;
    };
    scheduler();
    Compute compute(3);
    Event ended;
    std::vector<int> result, expected;
    auto make = [&](int i) {
        return new Go(compute, [i](SubTask *task) {
            wf::find_context<Sum>(*series_of(task))->seen.push_back(i);
        });
    };
    SeriesWork *series = Workflow::create_series_work(make(0), [&](const SeriesWork *done) {
        result = wf::find_context<Sum>(*done)->seen;
        ended.set();
    });
    wf::emplace_context<Sum>(*series);
    for (int i = 1; i < TASKS; i++)
        series->push_back(make(i));
    series->start();
    ASSERT_TRUE(ended.wait());
    for (int i = 0; i < TASKS; i++)
        expected.push_back(i);
    EXPECT_EQ(expected, result);
}

} // namespace
