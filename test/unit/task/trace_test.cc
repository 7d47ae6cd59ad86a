// Weft - unit tests of the trace hook
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/trace.h"

#include <gtest/gtest.h>

#include <vector>

#include "unit/task/task_support.h"
#include "workflow/WFGraphTask.h"

using namespace tasktest;
using wf::TraceEvent;
using wf::TraceKind;

namespace {

std::vector<TraceEvent> events;
std::string names;

// These tests start everything on their own thread; a worker may still be ending what an earlier
// test began.
thread_local bool tested = false;

void record(const TraceEvent &event) {
    if (!tested || (event.kind != TraceKind::TASK_START && event.kind != TraceKind::TASK_END))
        return;
    events.push_back(event);
    if (event.kind == TraceKind::TASK_START)
        names += dynamic_cast<const Say *>(event.task) ? "S" : "x"; // alive: its type can be asked
}

class Trace : public ::testing::Test {
protected:
    void SetUp() override {
        events.clear();
        names.clear();
        tested = true;
        EXPECT_EQ(nullptr, wf::set_trace_hook(record));
    }
    void TearDown() override { wf::set_trace_hook(nullptr); }
};

TEST_F(Trace, SeriesGivesEachStartWithItsEnd) {
    Log log;
    SubTask *tasks[3] = {new Say(&log, "a"), new WFCounterTask(0, nullptr), new Say(&log, "c")};
    SeriesWork *series = Workflow::create_series_work(tasks[0], tasks[2], nullptr);
    series->push_back(tasks[1]);
    series->start();
    ASSERT_EQ(6u, events.size());
    for (size_t i = 0; i < 6; i++) {
        EXPECT_EQ(i % 2 == 0 ? TraceKind::TASK_START : TraceKind::TASK_END, events[i].kind);
        EXPECT_EQ(tasks[i / 2], events[i].task);
        EXPECT_EQ(series, events[i].series);
        EXPECT_EQ(nullptr, events[i].parallel);
    }
    EXPECT_EQ("SxS", names);
}

// Canceled tasks do not start, and so do not end.
TEST_F(Trace, CanceledTasksAreNotSeen) {
    Log log;
    Workflow::start_series_work(new Call([](SubTask *task) { series_of(task)->cancel(); }),
                                new Say(&log, "never"), nullptr);
    EXPECT_EQ("~never", log.text());
    EXPECT_EQ(2u, events.size());
}

// The branches name their parallel, so that what ran beside what can be drawn.
TEST_F(Trace, BranchesNameTheirParallel) {
    Log log;
    SeriesWork *all[2] = {Workflow::create_series_work(new Say(&log, "a"), nullptr),
                          Workflow::create_series_work(new Say(&log, "b"), nullptr)};
    ParallelWork *parallel = Workflow::create_parallel_work(all, 2, nullptr);
    parallel->start();
    int in_parallel = 0, starts = 0;
    for (const TraceEvent &event : events) {
        in_parallel += event.parallel == parallel;
        starts += event.kind == TraceKind::TASK_START;
    }
    EXPECT_EQ(4, in_parallel);
    EXPECT_EQ(3, starts);
    EXPECT_EQ(6u, events.size());
}

TEST_F(Trace, Off) {
    EXPECT_EQ(record, wf::set_trace_hook(nullptr));
    Log log;
    Workflow::start_series_work(new Say(&log, "a"), nullptr);
    EXPECT_TRUE(events.empty());
}

} // namespace
