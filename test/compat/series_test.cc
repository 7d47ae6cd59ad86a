// Weft - compat: SeriesWork and ParallelWork as old programs use them
// SPDX-License-Identifier: Apache-2.0
//
// Rows 1 to 12 and 18 of the behaviour table; each test names its row.

#include "workflow/Workflow.h"

#include <gtest/gtest.h>

#include <memory>

#include "workflow/WFTaskFactory.h"

#include "support.h"

using compat::Event;
using compat::Log;
using compat::Obituary;

namespace {

// A synchronous task that writes its name.
WFCounterTask *say(Log *log, const std::string &text) {
    return WFTaskFactory::create_counter_task(0, [log, text](WFCounterTask *) { log->add(text); });
}

// One that comes back on another thread.
WFGoTask *go_say(Log *log, const std::string &text) {
    return WFTaskFactory::create_go_task("compat", [log, text]() { log->add(text); });
}

// Row 1: start() puts the task in a series of its own.
TEST(Series, Row1StartMakesAnAnonymousSeries) {
    Event done;
    SeriesWork *seen = nullptr;
    WFTimerTask *task = WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *timer) {
        seen = series_of(timer);
        done.set();
    });
    EXPECT_EQ(nullptr, series_of(task));
    task->start();
    ASSERT_TRUE(done.wait());
    EXPECT_NE(nullptr, seen);
}

// Row 2: callback, then the task is deleted, then the next one starts, all on one thread.
TEST(Series, Row2CallbackThenDeleteThenNextOnTheSameThread) {
    Log log;
    Event done;
    auto first_dies = std::make_shared<Obituary>(&log, "-deleted-");
    WFTimerTask *first = WFTaskFactory::create_timer_task(0, 0, nullptr);
    first->set_callback([&log, first_dies](WFTimerTask *) { log.add("callback"); });
    first_dies.reset();
    SubTask *next = WFTaskFactory::create_dynamic_task([&log](WFDynamicTask *) -> SubTask * {
        log.add("dispatched");
        return WFTaskFactory::create_empty_task();
    });
    SeriesWork *series =
        Workflow::create_series_work(first, [&](const SeriesWork *) { done.set(); });
    series->push_back(next);
    series->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ("callback-deleted-dispatched", log.text());
    EXPECT_TRUE(log.one_thread());
}

// Row 2: callbacks of a series never overlap, and each sees what the one before it wrote.
TEST(Series, Row2CallbacksSeeEachOthersWritesAcrossThreads) {
    Event done;
    const int kSteps = 200;
    int plain = 0; // Deliberately neither atomic nor locked: TSan judges.
    SeriesWork *series = Workflow::create_series_work(WFTaskFactory::create_empty_task(),
                                                      [&](const SeriesWork *) { done.set(); });
    for (int i = 0; i < kSteps; i++) {
        if (i % 2 == 0)
            series->push_back(
                WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) { plain++; }));
        else
            series->push_back(WFTaskFactory::create_go_task("compat", [&]() { plain++; }));
    }
    series->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(kSteps, plain);
}

// Row 3: push_front in a callback runs next, several of them last in first out.
TEST(Series, Row3PushOrder) {
    Log log;
    Event done;
    WFCounterTask *a = WFTaskFactory::create_counter_task(0, [&](WFCounterTask *task) {
        log.add("a");
        SeriesWork *series = series_of(task);
        series->push_front(say(&log, "y"));
        series->push_front(say(&log, "x"));
        series->push_back(say(&log, "b"));
        series->push_back(say(&log, "c"));
    });
    Workflow::start_series_work(a, say(&log, "Z"), [&](const SeriesWork *) { done.set(); });
    ASSERT_TRUE(done.wait());
    EXPECT_EQ("axybcZ", log.text());
}

// Row 3: pushing from another thread is legal while the series lives.
TEST(Series, Row3PushFromAnotherThread) {
    Log log;
    Event done;
    WFCounterTask *gate = WFTaskFactory::create_counter_task(1, nullptr);
    SeriesWork *series =
        Workflow::create_series_work(gate, [&](const SeriesWork *) { done.set(); });
    series->start();
    std::thread pusher([&]() {
        series->push_back(say(&log, "1"));
        series->push_back(say(&log, "2"));
        gate->count();
    });
    ASSERT_TRUE(done.wait());
    pusher.join();
    EXPECT_EQ("12", log.text());
}

// Row 4: an empty queue ends the series at once; is_finished() turns true before its callback.
TEST(Series, Row4EmptySeriesEndsAtOnce) {
    bool ended = false;
    bool finished_inside = true;
    bool finished_in_callback = false;
    WFCounterTask *task = WFTaskFactory::create_counter_task(
        0, [&](WFCounterTask *t) { finished_inside = series_of(t)->is_finished(); });
    Workflow::start_series_work(task, [&](const SeriesWork *series) {
        finished_in_callback = series->is_finished();
        ended = true;
    });
    EXPECT_TRUE(ended);
    EXPECT_FALSE(finished_inside);
    EXPECT_TRUE(finished_in_callback);
}

// Row 5: the last task waits for the queue, even for tasks pushed by its predecessors.
TEST(Series, Row5LastTaskRunsWhenTheQueueIsEmpty) {
    Log log;
    WFCounterTask *first = WFTaskFactory::create_counter_task(0, [&](WFCounterTask *task) {
        log.add("a");
        series_of(task)->set_last_task(say(&log, "L"));
        WFCounterTask *b = WFTaskFactory::create_counter_task(0, [&](WFCounterTask *inner) {
            log.add("b");
            series_of(inner)->push_back(say(&log, "c"));
        });
        series_of(task)->push_back(b);
    });
    Workflow::start_series_work(first, nullptr);
    EXPECT_EQ("abcL", log.text());
}

// Row 5: the last task is popped once; what it pushes runs after it.
TEST(Series, Row5LastTaskIsPoppedOnce) {
    Log log;
    WFCounterTask *last = WFTaskFactory::create_counter_task(0, [&](WFCounterTask *task) {
        log.add("L");
        EXPECT_EQ(nullptr, series_of(task)->get_last_task());
        series_of(task)->push_back(say(&log, "d"));
    });
    SeriesWork *series = Workflow::create_series_work(say(&log, "a"), last, nullptr);
    EXPECT_EQ(last, series->get_last_task());
    EXPECT_EQ(series, series_of(last));
    series->start();
    EXPECT_EQ("aLd", log.text());
}

// Row 5: unset_last_task() forgets without deleting.
TEST(Series, Row5UnsetLastTaskForgets) {
    Log log;
    WFCounterTask *last = say(&log, "L");
    SeriesWork *series = Workflow::create_series_work(say(&log, "a"), last, nullptr);
    series->unset_last_task();
    EXPECT_EQ(nullptr, series->get_last_task());
    series->push_back(last);
    series->push_back(say(&log, "b"));
    series->start();
    EXPECT_EQ("aLb", log.text());
}

// Row 6: cancel lets the current task go on, deletes the rest and the last task without
// callbacks, and the series callback still runs.
TEST(Series, Row6CancelDeletesWhatWaits) {
    Log log;
    auto queued_dies = std::make_shared<Obituary>(&log, "-queued-");
    auto last_dies = std::make_shared<Obituary>(&log, "-last-");
    bool canceled = false;
    WFCounterTask *current = WFTaskFactory::create_counter_task(0, [&](WFCounterTask *task) {
        series_of(task)->cancel();
        EXPECT_TRUE(series_of(task)->is_canceled());
        log.add("current");
    });
    WFCounterTask *queued = WFTaskFactory::create_counter_task(
        0, [&log, queued_dies](WFCounterTask *) { log.add("never"); });
    WFCounterTask *last = WFTaskFactory::create_counter_task(
        0, [&log, last_dies](WFCounterTask *) { log.add("never"); });
    queued_dies.reset();
    last_dies.reset();
    SeriesWork *series = Workflow::create_series_work(current, last, [&](const SeriesWork *s) {
        canceled = s->is_canceled();
        log.add("|");
    });
    series->push_back(queued);
    series->start();
    EXPECT_TRUE(canceled);
    std::string text = log.text();
    EXPECT_EQ(0u, text.find("current"));
    EXPECT_NE(std::string::npos, text.find("-queued-"));
    EXPECT_NE(std::string::npos, text.find("-last-"));
    EXPECT_EQ(text.size() - 1, text.find("|"));
    EXPECT_EQ(std::string::npos, text.find("never"));
}

// Row 6: cancel is not propagated to the parent of a sub-series.
TEST(Series, Row6CancelStaysInItsSeries) {
    Log log;
    ParallelWork *parallel = Workflow::create_parallel_work([&](const ParallelWork *p) {
        log.add(p->series_at(0)->is_canceled() ? "[c" : "[-");
        log.add(p->series_at(1)->is_canceled() ? "c]" : "-]");
    });
    WFCounterTask *canceling = WFTaskFactory::create_counter_task(
        0, [](WFCounterTask *task) { series_of(task)->cancel(); });
    SeriesWork *first = Workflow::create_series_work(canceling, nullptr);
    first->push_back(say(&log, "never"));
    parallel->add_series(first);
    parallel->add_series(Workflow::create_series_work(say(&log, "other"), nullptr));
    bool parent_canceled = true;
    SeriesWork *series = Workflow::create_series_work(
        parallel, [&](const SeriesWork *s) { parent_canceled = s->is_canceled(); });
    series->start();
    EXPECT_EQ("other[c-]", log.text());
    EXPECT_FALSE(parent_canceled);
}

// Row 7: a canceled series deletes a waiting parallel with all that is inside, callbacks unrun.
TEST(Series, Row7CancelReachesNestedParallels) {
    Log log;
    auto dies = std::make_shared<Obituary>(&log, "-inner-");
    WFCounterTask *inner =
        WFTaskFactory::create_counter_task(0, [&log, dies](WFCounterTask *) { log.add("never"); });
    dies.reset();
    ParallelWork *parallel =
        Workflow::create_parallel_work([&](const ParallelWork *) { log.add("never"); });
    parallel->add_series(
        Workflow::create_series_work(inner, [&](const SeriesWork *) { log.add("never"); }));
    SeriesWork *series = Workflow::create_series_work(
        WFTaskFactory::create_counter_task(0, [](WFCounterTask *t) { series_of(t)->cancel(); }),
        nullptr);
    series->push_back(parallel);
    series->start();
    EXPECT_EQ("-inner-", log.text());
}

// Row 18: a task that has not run has state -1 and error 0.
TEST(Series, Row18StateBeforeStart) {
    WFTimerTask *timer = WFTaskFactory::create_timer_task(0, 0, nullptr);
    EXPECT_EQ(WFT_STATE_UNDEFINED, timer->get_state());
    EXPECT_EQ(-1, timer->get_state());
    EXPECT_EQ(0, timer->get_error());
    timer->dismiss();
    WFGoTask *go = WFTaskFactory::create_go_task("compat", []() {});
    EXPECT_EQ(-1, go->get_state());
    EXPECT_EQ(0, go->get_error());
    go->dismiss();
    WFHttpTask *http = WFTaskFactory::create_http_task("http://127.0.0.1/", 0, 0, nullptr);
    EXPECT_EQ(-1, http->get_state());
    EXPECT_EQ(0, http->get_error());
    http->dismiss();
}

// The context travels with the series; operator<< and operator* read as in old programs.
TEST(Series, ContextAndStreamOperators) {
    Log log;
    int context = 7;
    void *seen = nullptr;
    WFCounterTask *first = WFTaskFactory::create_counter_task(0, [&](WFCounterTask *task) {
        **task << say(&log, "1") << say(&log, "2");
        seen = series_of(task)->get_context();
    });
    SeriesWork *series = Workflow::create_series_work(first, nullptr);
    EXPECT_EQ(nullptr, series->get_context());
    EXPECT_EQ(nullptr, series->get_in_parallel());
    EXPECT_EQ(nullptr, series->get_specific("anything"));
    series->set_context(&context);
    series->set_callback([&](const SeriesWork *s) {
        EXPECT_EQ(&context, s->get_context());
        log.add("|");
    });
    series->start();
    EXPECT_EQ(&context, seen);
    EXPECT_EQ("12|", log.text());
}

// A series that was never started may be thrown away with its tasks; its callback is not run.
TEST(Series, DismissOfASeries) {
    Log log;
    auto dies = std::make_shared<Obituary>(&log, "x");
    WFGoTask *task = WFTaskFactory::create_go_task("compat", [&log, dies]() { log.add("never"); });
    dies.reset();
    SeriesWork *series =
        Workflow::create_series_work(task, [&](const SeriesWork *) { log.add("never"); });
    series->set_last_task(go_say(&log, "never"));
    series->dismiss();
    EXPECT_EQ("x", log.text());
}

} // namespace
