// Weft - unit tests of the operators that compose
// SPDX-License-Identifier: Apache-2.0
#include "workflow/WFOperator.h"

#include <gtest/gtest.h>

#include "unit/task/task_support.h"

using namespace tasktest;

namespace {

TEST(Operator, SeriesOfTasks) {
    Log log;
    auto say = [&](const char *name) -> Say * { return new Say(&log, name); };
    SeriesWork &series = *say("a") > say("b") > *say("c");
    series.start();
    (say("d") > *say("e")).start();
    (*say("f") > *say("g")).start();
    EXPECT_EQ("abcdefg", log.text());
}

// A task goes before all of a series, whether by reference or pointer; the series stays the same
// object.
TEST(Operator, TaskBeforeSeries) {
    Log log;
    SeriesWork &tail = *new Say(&log, "b") > new Say(&log, "c");
    SeriesWork &whole = *new Say(&log, "a") > tail;
    EXPECT_EQ(&tail, &whole);
    (new Say(&log, "0") > whole).start();
    EXPECT_EQ("0abc", log.text());
}

// The same inside a parallel, which must begin with the new first task.
TEST(Operator, TaskBeforeSeriesOfAParallel) {
    Log log;
    SeriesWork *series = Workflow::create_series_work(new Say(&log, "b"), nullptr);
    ParallelWork *parallel = Workflow::create_parallel_work(&series, 1, nullptr);
    (void)(*new Say(&log, "a") > *series);
    parallel->start();
    EXPECT_EQ("ab", log.text());
}

// Before what waits, when the series runs already.
TEST(Operator, TaskBeforeRunningSeries) {
    Log log;
    SeriesWork *series = Workflow::create_series_work(
        new Call([&](SubTask *task) { (void)(new Say(&log, "x") > **task); }), nullptr);
    series->push_back(new Say(&log, "b"));
    series->start();
    EXPECT_EQ("xb", log.text());
}

TEST(Operator, Parallels) {
    Log log;
    auto say = [&](const char *name) -> Say * { return new Say(&log, name); };
    auto series = [&](const char *a, const char *b) -> SeriesWork & { return *say(a) > say(b); };
    ParallelWork &two = *say("1") * say("2");
    EXPECT_EQ(2u, two.size());
    ParallelWork &three = two * *say("3");
    EXPECT_EQ(&two, &three);
    ParallelWork &four = series("4", "5") * three;
    EXPECT_EQ(&two, &four);
    ParallelWork &more = *say("6") * four * series("7", "8") * (say("9") * *say("A"));
    EXPECT_EQ(&two, &more);
    EXPECT_EQ(7u, more.size());
    more.start();
    EXPECT_EQ("123456789A", log.text());
    (series("a", "b") * series("c", "d")).start();
    (series("e", "f") * *say("g")).start();
    (say("h") * series("i", "j")).start();
    (*say("k") * *say("l")).start();
    EXPECT_EQ("123456789Aabcdefghijkl", log.text());
}

// A parallel is a task: it stands in a series like any other.
TEST(Operator, Mixed) {
    Log log;
    ParallelWork &parallel = *new Say(&log, "a") * new Say(&log, "b");
    (*new Say(&log, "0") > parallel > new Say(&log, "c")).start();
    EXPECT_EQ("0abc", log.text());
}

} // namespace
