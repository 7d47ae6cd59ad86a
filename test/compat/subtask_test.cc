// Weft - compat: SubTask and ParallelTask subclasses, as coroutine libraries write them
// SPDX-License-Identifier: Apache-2.0
//
// SubTask.h: dispatch(), done(), subtask_done(), the pointer slot, deletion by the series.

#include "workflow/SubTask.h"

#include <gtest/gtest.h>

#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "support.h"

using compat::Event;
using compat::Log;

namespace {

// Ends at once, on the thread that dispatches it.
class InPlace : public SubTask {
public:
    InPlace(Log *log, const std::string &name) : log_(log), name_(name) {}
    ~InPlace() override { log_->add("~" + name_ + " "); }

    void dispatch() override {
        log_->add("dispatch " + name_ + " ");
        this->subtask_done();
    }

private:
    SubTask *done() override {
        SeriesWork *series = series_of(this);
        log_->add("done " + name_ + " ");
        delete this;
        return series->pop();
    }

    Log *log_;
    std::string name_;
};

// Waits for somebody to open it: the form of an awaiter.
class Awaiter : public SubTask {
public:
    explicit Awaiter(Event *dispatched) : dispatched_(dispatched) {}
    void dispatch() override { dispatched_->set(); }
    void open() { this->subtask_done(); }

private:
    SubTask *done() override {
        SeriesWork *series = series_of(this);
        delete this;
        return series->pop();
    }

    Event *dispatched_;
};

TEST(SubTask, RunsInASeries) {
    Log log;
    SeriesWork *series = Workflow::create_series_work(new InPlace(&log, "a"),
                                                      [&](const SeriesWork *) { log.add("|"); });
    series->push_back(new InPlace(&log, "b"));
    series->start();
    EXPECT_EQ("dispatch a done a ~a dispatch b done b ~b |", log.text());
}

// The pointer slot is NULL until the task is put in a series; then it is the series.
TEST(SubTask, PointerIsTheSeries) {
    Log log;
    InPlace *task = new InPlace(&log, "a");
    EXPECT_EQ(nullptr, task->get_pointer());
    SeriesWork *series = Workflow::create_series_work(task, nullptr);
    EXPECT_EQ(series, task->get_pointer());
    EXPECT_EQ(series, series_of(task));
    series->dismiss();
    EXPECT_EQ("~a ", log.text());
}

TEST(SubTask, FinishedFromAnotherThread) {
    Event dispatched;
    Event ended;
    Log log;
    Awaiter *awaiter = new Awaiter(&dispatched);
    SeriesWork *series =
        Workflow::create_series_work(awaiter, [&](const SeriesWork *) { ended.set(); });
    series->push_back(new InPlace(&log, "b"));
    series->start();
    EXPECT_EQ(1, dispatched.count());
    EXPECT_EQ("", log.text());
    std::thread opener([awaiter]() { awaiter->open(); });
    ASSERT_TRUE(ended.wait());
    opener.join();
    EXPECT_EQ("dispatch b done b ~b ", log.text());
    EXPECT_TRUE(log.one_thread());
}

// Inside a parallel the last one to end carries the parent on.
TEST(SubTask, InAParallel) {
    Event dispatched;
    Event ended;
    Log log;
    Awaiter *awaiters[3];
    ParallelWork *parallel = Workflow::create_parallel_work([&](const ParallelWork *p) {
        EXPECT_EQ(3u, p->size());
        ended.set();
    });
    for (Awaiter *&awaiter : awaiters) {
        awaiter = new Awaiter(&dispatched);
        parallel->add_series(Workflow::create_series_work(awaiter, nullptr));
    }
    Workflow::start_series_work(parallel, new InPlace(&log, "after"), nullptr);
    ASSERT_EQ(3, dispatched.count());
    awaiters[1]->open();
    awaiters[0]->open();
    EXPECT_EQ(0, ended.count());
    std::thread last([&]() { awaiters[2]->open(); });
    last.join();
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ("dispatch after done after ~after ", log.text());
}

// A canceled series deletes a user's task by its virtual destructor, without done().
TEST(SubTask, DeletedByACanceledSeries) {
    Log log;
    SeriesWork *series = Workflow::create_series_work(
        WFTaskFactory::create_counter_task(0, [](WFCounterTask *t) { series_of(t)->cancel(); }),
        nullptr);
    series->push_back(new InPlace(&log, "a"));
    series->start();
    EXPECT_EQ("~a ", log.text());
}

// Behaviour table 9.8: done() may pop after `delete this`; the series does not look at the task.
TEST(SubTask, PopAfterDelete) {
    Log log;
    Event ended;
    const int kMany = 1000;
    SeriesWork *series = Workflow::create_series_work(new InPlace(&log, "0"),
                                                      [&](const SeriesWork *) { ended.set(); });
    for (int i = 1; i < kMany; i++)
        series->push_back(new InPlace(&log, "n"));
    series->start();
    ASSERT_TRUE(ended.wait());
}

// A ParallelTask of the program's own over an array it lends.
class Both : public ParallelTask {
public:
    Both(SubTask **tasks, size_t n, Log *log) : ParallelTask(tasks, n), log_(log) {}
    size_t size() const { return this->subtasks_nr; }
    SubTask *at(size_t i) const { return this->subtasks[i]; }

private:
    SubTask *done() override {
        SeriesWork *series = series_of(this);
        log_->add("both ");
        delete this;
        return series->pop();
    }

    Log *log_;
};

// A child that has no series: its done() yields NULL, and the parent goes on.
class Child : public SubTask {
public:
    explicit Child(Log *log) : log_(log) {}
    void dispatch() override { this->subtask_done(); }

private:
    SubTask *done() override {
        log_->add("child ");
        return NULL;
    }

    Log *log_;
};

TEST(ParallelTask, Subclass) {
    Log log;
    Child a(&log);
    Child b(&log);
    SubTask *children[] = {&a, &b};
    Both *both = new Both(children, 2, &log);
    EXPECT_EQ(2u, both->size());
    EXPECT_EQ(&b, both->at(1));
    Workflow::start_series_work(both, [&](const SeriesWork *) { log.add("|"); });
    EXPECT_EQ("child child both |", log.text());
}

TEST(ParallelTask, OfNothing) {
    Log log;
    Both *both = new Both(NULL, 0, &log);
    Workflow::start_series_work(both, [&](const SeriesWork *) { log.add("|"); });
    EXPECT_EQ("both |", log.text());
}

// A generic task of the program's own: dispatch() of the base ends at once.
class Generic : public WFGenericTask {
public:
    explicit Generic(Log *log) : log_(log) {}

private:
    SubTask *done() override {
        log_->add(this->state == WFT_STATE_UNDEFINED ? "undefined " : "ended ");
        return WFGenericTask::done();
    }

    Log *log_;
};

TEST(GenericTask, Subclass) {
    Log log;
    Generic *task = new Generic(&log);
    task->user_data = &log;
    Workflow::start_series_work(task, [&](const SeriesWork *) { log.add("|"); });
    EXPECT_NE(std::string::npos, log.text().find("|"));
}

} // namespace
