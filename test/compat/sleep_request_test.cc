// Weft - compat: timers of a program's own over SleepRequest, as coroutine libraries write them
// SPDX-License-Identifier: Apache-2.0
//
// SleepRequest.h, CommScheduler::sleep/unsleep: handle() comes exactly once.

#include "workflow/SleepRequest.h"

#include <errno.h>
#include <time.h>

#include <gtest/gtest.h>

#include <functional>
#include <mutex>

#include "workflow/WFGlobal.h"
#include "workflow/Workflow.h"

#include "support.h"

using compat::Event;

namespace {

class Sleeper : public SleepRequest {
public:
    Sleeper(CommScheduler *s, long ms, std::function<void(Sleeper *)> callback)
        : SleepRequest(s), callback_(std::move(callback)), ms_(ms) {}

    int get_state() const { return this->state; }
    int get_error() const { return this->error; }
    // cancel() is protected in the base; such libraries open it.
    int stop() { return this->cancel(); }

protected:
    int duration(struct timespec *value) override {
        value->tv_sec = ms_ < 0 ? -1 : ms_ / 1000;
        value->tv_nsec = ms_ < 0 ? 0 : ms_ % 1000 * 1000000;
        return 0;
    }

    SubTask *done() override {
        SeriesWork *series = series_of(this);
        callback_(this);
        delete this;
        return series->pop();
    }

private:
    std::function<void(Sleeper *)> callback_;
    long ms_;
};

TEST(SleepRequest, Completes) {
    Event done;
    int state = -1;
    compat::Clock::time_point begin = compat::Clock::now();
    Sleeper *task = new Sleeper(WFGlobal::get_scheduler(), 20, [&](Sleeper *t) {
        state = t->get_state();
        EXPECT_EQ(0, t->get_error());
        done.set();
    });
    Workflow::start_series_work(task, nullptr);
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(SS_STATE_COMPLETE, state);
    EXPECT_GE(compat::ms_since(begin), 20.0);
}

TEST(SleepRequest, Canceled) {
    Event done;
    int state = -1;
    int error = -1;
    Sleeper *task = new Sleeper(WFGlobal::get_scheduler(), -1, [&](Sleeper *t) {
        state = t->get_state();
        error = t->get_error();
        done.set();
    });
    Workflow::start_series_work(task, nullptr);
    EXPECT_EQ(0, task->stop());
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(SS_STATE_ERROR, state);
    EXPECT_EQ(ECANCELED, error);
}

// Calls the scheduler itself and overrides handle(): no series and no subtask_done().
class BareSleeper : public SleepRequest {
public:
    explicit BareSleeper(long ms) : SleepRequest(WFGlobal::get_scheduler()), ms_(ms) {}

    int go() { return this->scheduler->sleep(this); }
    int stop() { return this->scheduler->unsleep(this); }

    Event handled;
    int seen_state = -1;
    int seen_error = -1;

protected:
    int duration(struct timespec *value) override {
        value->tv_sec = ms_ / 1000;
        value->tv_nsec = ms_ % 1000 * 1000000;
        return 0;
    }

    void handle(int s, int e) override {
        seen_state = s;
        seen_error = e;
        handled.set();
    }

private:
    SubTask *done() override { return NULL; }

    long ms_;
};

TEST(SleepRequest, StraightToTheScheduler) {
    BareSleeper sleeper(10);
    ASSERT_EQ(0, sleeper.go());
    ASSERT_TRUE(sleeper.handled.wait());
    EXPECT_EQ(SS_STATE_COMPLETE, sleeper.seen_state);

    BareSleeper canceled(3600 * 1000);
    ASSERT_EQ(0, canceled.go());
    ASSERT_EQ(0, canceled.stop());
    ASSERT_TRUE(canceled.handled.wait());
    EXPECT_EQ(SS_STATE_ERROR, canceled.seen_state);
    EXPECT_EQ(ECANCELED, canceled.seen_error);
}

// Many cancels racing with expiry, from two threads: each sleeper is handled exactly once.
TEST(SleepRequest, CancelRace) {
    const int kRounds = 300;
    Event done;
    std::mutex alive;
    for (int i = 0; i < kRounds; i++) {
        Sleeper *task = new Sleeper(WFGlobal::get_scheduler(), i % 3, [&](Sleeper *t) {
            // Until handle() has returned the cancel is legal; the lock makes it so here.
            std::lock_guard<std::mutex> lock(alive);
            EXPECT_TRUE(t->get_state() == SS_STATE_COMPLETE || t->get_error() == ECANCELED);
            done.set();
        });
        {
            std::lock_guard<std::mutex> lock(alive);
            Workflow::start_series_work(task, nullptr);
            if (task->stop() < 0) {
                EXPECT_EQ(ENOENT, errno);
            }
        }
        ASSERT_TRUE(done.wait(i + 1));
    }
    std::lock_guard<std::mutex> lock(alive);
    EXPECT_EQ(kRounds, done.count());
}

// A bad duration ends in place: dispatch() calls handle() with the error.
class BadSleeper : public Sleeper {
public:
    explicit BadSleeper(std::function<void(Sleeper *)> callback)
        : Sleeper(WFGlobal::get_scheduler(), 0, std::move(callback)) {}

protected:
    int duration(struct timespec *value) override {
        value->tv_sec = 0;
        value->tv_nsec = 1000000000;
        return 0;
    }
};

TEST(SleepRequest, BadDuration) {
    int state = -1;
    int error = -1;
    BadSleeper *task = new BadSleeper([&](Sleeper *t) {
        state = t->get_state();
        error = t->get_error();
    });
    Workflow::start_series_work(task, nullptr);
    EXPECT_EQ(SS_STATE_ERROR, state);
    EXPECT_EQ(EINVAL, error);
}

} // namespace
