// Weft - unit tests of the recorder: what tasks leave in a timeline
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "integration/timelines.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFGraphTask.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/timeline.h"
#include "workflow/wf/trace.h"

namespace {

using wf::Timeline;
using wf::TimelineRecorder;
using wf::TimelineSeries;
using wf::TimelineTask;

class Recorder : public testing::Test {
protected:
    void SetUp() override { ASSERT_EQ(0, recorder.start()); }

    // Runs a series to its end.
    void run(SubTask *first, std::function<void(SeriesWork *)> change = nullptr) {
        WFFacilities::WaitGroup ended(1);
        SeriesWork *series =
            Workflow::create_series_work(first, [&](const SeriesWork *) { ended.done(); });
        if (change)
            change(series);
        series->start();
        ended.wait();
    }

    // When the last series is over: its callback, which the test waits for, comes before that.
    Timeline finish() {
        wait_for_series(recorder);
        recorder.stop();
        return recorder.get();
    }

    const TimelineTask &task(const Timeline &timeline, const std::string &label) {
        for (const TimelineTask &one : timeline.tasks) {
            if (one.label == label)
                return one;
        }
        ADD_FAILURE() << "no task is called " << label;
        static const TimelineTask none;
        return none;
    }
    const TimelineSeries &series(const Timeline &timeline, const std::string &label) {
        for (const TimelineSeries &one : timeline.series) {
            if (one.label == label)
                return one;
        }
        ADD_FAILURE() << "no series is called " << label;
        static const TimelineSeries none;
        return none;
    }

    SubTask *named(SubTask *made, const char *name) {
        wf::name_task(made, name);
        return made;
    }
    SubTask *nap(const char *name) {
        return named(WFTaskFactory::create_timer_task(0, 1000000, nullptr), name);
    }

    TimelineRecorder recorder;
};

TEST_F(Recorder, OneRecordsAtATime) {
    TimelineRecorder second;
    EXPECT_EQ(-1, second.start());
    EXPECT_EQ(EBUSY, errno);
    EXPECT_EQ(0u, second.get().tasks.size());
    recorder.stop();
    EXPECT_EQ(0, second.start());
    recorder.stop(); // it is not its own
    run(nap("a"));
    EXPECT_EQ(1u, second.get().tasks.size());
    EXPECT_EQ(0u, recorder.get().tasks.size());
}

TEST_F(Recorder, StandsStillWhenStopped) {
    run(nap("a"));
    finish();
    run(nap("b"));
    Timeline timeline = recorder.get();
    EXPECT_EQ(1u, timeline.tasks.size());
    EXPECT_EQ(timeline.length, recorder.get().length);
    EXPECT_EQ(0, recorder.start());
    EXPECT_EQ(0u, recorder.get().tasks.size());
}

TEST_F(Recorder, ASeriesInItsOrder) {
    run(nap("a"), [&](SeriesWork *series) {
        wf::name_series(series, "the series");
        *series << named(WFTaskFactory::create_counter_task(0, nullptr), "b")
                << named(WFTaskFactory::create_go_task("recorder", [] {}), "c");
    });
    Timeline timeline = finish();
    ASSERT_EQ(1u, timeline.series.size());
    ASSERT_EQ(3u, timeline.tasks.size());
    const TimelineSeries &one = timeline.series[0];
    EXPECT_EQ("the series", one.label);
    EXPECT_EQ((std::vector<uint64_t>{1, 2, 3}), one.tasks);
    EXPECT_LE(one.created, one.begin);
    EXPECT_LT(one.begin, one.end);
    EXPECT_LE(one.end, timeline.length);
    EXPECT_EQ("Timer", task(timeline, "a").type);
    EXPECT_EQ("Counter", task(timeline, "b").type);
    EXPECT_EQ("Go", task(timeline, "c").type);
    int64_t before = one.begin;
    for (const TimelineTask &it : timeline.tasks) {
        EXPECT_GE(it.created, 0);
        EXPECT_LE(it.created, it.begin);
        EXPECT_LE(before, it.begin);
        EXPECT_LE(it.begin, it.end);
        ASSERT_FALSE(it.phases.empty());
        EXPECT_EQ("callback", it.phases.back().name);
        before = it.end;
    }
    ASSERT_EQ(2u, task(timeline, "c").phases.size());
    EXPECT_EQ("running", task(timeline, "c").phases[0].name);
    EXPECT_GE(task(timeline, "a").end - task(timeline, "a").begin, 1000000);
}

TEST_F(Recorder, NamesOfNothingAndNoNames) {
    wf::name_task(nullptr, "nobody");
    wf::name_series(nullptr, "nobody");
    run(named(WFTaskFactory::create_timer_task(0, 0, nullptr), nullptr),
        [](SeriesWork *series) { wf::name_series(series, nullptr); });
    Timeline timeline = finish();
    ASSERT_EQ(1u, timeline.tasks.size());
    EXPECT_EQ("0.000 ms", timeline.tasks[0].label);
    EXPECT_EQ("0.000 ms", timeline.series[0].label);
}

TEST_F(Recorder, TimersSayHowLong) {
    run(WFTaskFactory::create_timer_task(0, 2500000, nullptr));
    EXPECT_EQ("2.500 ms", finish().tasks.at(0).label);
}

TEST_F(Recorder, AParallelHasItsSeries) {
    ParallelWork *parallel = Workflow::create_parallel_work(nullptr);
    for (const char *name : {"a", "b", "c"})
        parallel->add_series(Workflow::create_series_work(nap(name), nullptr));
    run(named(parallel, "parallel"));
    Timeline timeline = finish();
    ASSERT_EQ(4u, timeline.series.size());
    uint64_t above = task(timeline, "parallel").id;
    for (const char *name : {"a", "b", "c"}) {
        EXPECT_EQ(above, series(timeline, name).parallel);
        EXPECT_LE(task(timeline, "parallel").begin, task(timeline, name).begin);
        EXPECT_GE(task(timeline, "parallel").end, task(timeline, name).end);
    }
    EXPECT_EQ(1u, timeline.roots().size());
    EXPECT_EQ(4u, timeline.part(timeline.roots()[0]).tasks.size());
}

TEST_F(Recorder, AGraphHasItsNodes) {
    WFGraphTask *graph = WFTaskFactory::create_graph_task(nullptr);
    WFGraphNode &a = graph->create_graph_node(nap("a")), &b = graph->create_graph_node(nap("b"));
    a-- > b;
    run(named(graph, "graph"));
    Timeline timeline = finish();
    uint64_t above = task(timeline, "graph").id;
    for (const char *name : {"a", "b"}) {
        const TimelineSeries &one = timeline.series[task(timeline, name).series - 1];
        EXPECT_EQ(above, one.parallel);
        ASSERT_EQ(2u, one.tasks.size());
        EXPECT_EQ("GraphNode", timeline.tasks[one.tasks[0] - 1].type);
    }
    const TimelineTask &node =
        timeline.tasks[timeline.series[task(timeline, "b").series - 1].tasks[0] - 1];
    EXPECT_GE(node.phases.back().begin, task(timeline, "a").phases.back().begin);
    EXPECT_EQ(1u, timeline.roots().size());
}

// What a callback or a computation starts belongs to their series.
TEST_F(Recorder, WhatCodeStartsHasAnOrigin) {
    WFFacilities::WaitGroup ended(2);
    auto start = [&](const char *name) {
        Workflow::start_series_work(nap(name), [&](const SeriesWork *) { ended.done(); });
    };
    run(named(WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) { start("x"); }), "a"),
        [&](SeriesWork *all) {
            all->push_back(
                named(WFTaskFactory::create_go_task("recorder", [&] { start("y"); }), "b"));
        });
    ended.wait();
    Timeline timeline = finish();
    ASSERT_EQ(3u, timeline.series.size());
    EXPECT_EQ(series(timeline, "a").id, series(timeline, "x").origin);
    EXPECT_EQ(series(timeline, "a").id, series(timeline, "y").origin);
    EXPECT_EQ(0u, series(timeline, "a").origin);
    EXPECT_EQ(1u, timeline.roots().size());
}

TEST_F(Recorder, WhatIsDismissedLeavesNothing) {
    WFTimerTask *timer = WFTaskFactory::create_timer_task(1, 0, nullptr);
    timer->dismiss();
    Workflow::create_series_work(nap("a"), nullptr)->dismiss();
    run(nap("b"));
    Timeline timeline = finish();
    EXPECT_EQ(1u, timeline.tasks.size());
    EXPECT_EQ(1u, timeline.roots().size());
}

TEST_F(Recorder, ATaskThatWasUnderWayBefore) {
    recorder.stop();
    WFFacilities::WaitGroup ended(1);
    WFCounterTask *counter = WFTaskFactory::create_counter_task(1, nullptr);
    SeriesWork *series =
        Workflow::create_series_work(counter, [&](const SeriesWork *) { ended.done(); });
    *series << nap("late");
    series->start();
    ASSERT_EQ(0, recorder.start());
    counter->count();
    ended.wait();
    Timeline timeline = finish();
    ASSERT_EQ(1u, timeline.series.size());
    EXPECT_EQ(1u, timeline.tasks.size()); // whose name was said too early
    EXPECT_GE(timeline.series[0].begin, 0);
    EXPECT_GE(timeline.series[0].end, timeline.series[0].begin);
}

TEST(RecorderRoom, IsLimited) {
    TimelineRecorder recorder(100);
    ASSERT_EQ(0, recorder.start());
    for (int i = 0; i < 50; i++) {
        WFFacilities::WaitGroup ended(1);
        WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) { ended.done(); })->start();
        ended.wait();
    }
    recorder.stop();
    Timeline timeline = recorder.get();
    EXPECT_LT(timeline.tasks.size(), 50u);
    EXPECT_GT(timeline.tasks.size(), 5u);
    EXPECT_GT(timeline.lost, 100u);
    EXPECT_NE(std::string::npos, timeline.html("x").find("no room"));
}

// Many series on many threads, whose addresses come again: each task is in its own series, in
// order.
TEST_F(Recorder, ThousandsThatFollowEachOther) {
    const int kThreads = 4, kRounds = 500;
    std::vector<std::thread> threads;
    WFFacilities::WaitGroup ended(kThreads * kRounds);
    for (int t = 0; t < kThreads; t++)
        threads.emplace_back([&] {
            for (int i = 0; i < kRounds; i++) {
                SeriesWork *one =
                    Workflow::create_series_work(WFTaskFactory::create_go_task("recorder", [] {}),
                                                 [&](const SeriesWork *) { ended.done(); });
                *one << WFTaskFactory::create_counter_task(0, nullptr)
                     << WFTaskFactory::create_timer_task(0, 0, nullptr);
                one->start();
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    ended.wait();
    Timeline timeline = finish();
    EXPECT_EQ(0u, timeline.lost);
    ASSERT_EQ(static_cast<size_t>(kThreads * kRounds), timeline.series.size());
    for (const TimelineSeries &one : timeline.series) {
        ASSERT_EQ(3u, one.tasks.size());
        int64_t before = one.begin;
        const char *types[] = {"Go", "Counter", "Timer"};
        for (size_t i = 0; i < 3; i++) {
            const TimelineTask &it = timeline.tasks[one.tasks[i] - 1];
            ASSERT_EQ(types[i], it.type);
            ASSERT_LE(before, it.begin);
            ASSERT_LE(it.begin, it.end);
            before = it.end;
        }
        ASSERT_GE(one.end, 0);
    }
}

} // namespace
