// Weft - compat: timers
// SPDX-License-Identifier: Apache-2.0
//
// Rows 40 to 45 of the behaviour table. Row 46 is in go_test.cc.

#include <errno.h>

#include <gtest/gtest.h>

#include <atomic>

#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "support.h"

using compat::Clock;
using compat::Event;
using compat::ms_since;

namespace {

const long kMs = 1000 * 1000;

// Row 40: on a handler, SUCCESS/0, not early.
TEST(Timer, Row40FiresOnAHandler) {
    Event done;
    bool on_handler = false;
    int state = -1;
    int error = -1;
    Clock::time_point begin = Clock::now();
    double took = 0;
    WFTimerTask *timer = WFTaskFactory::create_timer_task(0, 50 * kMs, [&](WFTimerTask *task) {
        took = ms_since(begin);
        state = task->get_state();
        error = task->get_error();
        on_handler = WFGlobal::get_scheduler()->is_handler_thread() != 0;
        done.set();
    });
    timer->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(WFT_STATE_SUCCESS, state);
    EXPECT_EQ(0, error);
    EXPECT_TRUE(on_handler);
    EXPECT_GE(took, 50.0);
    EXPECT_FALSE(WFGlobal::get_scheduler()->is_handler_thread());
}

// The deprecated form that is used everywhere.
TEST(Timer, MicrosecondForm) {
    Event done;
    Clock::time_point begin = Clock::now();
    WFTaskFactory::create_timer_task(30 * 1000, [&](WFTimerTask *) { done.set(); })->start();
    ASSERT_TRUE(done.wait());
    EXPECT_GE(ms_since(begin), 30.0);
}

// Timers started in one order and due in another fire when due.
TEST(Timer, FireInTheOrderOfTheirTimes) {
    Event done;
    compat::Log log;
    const int delays[] = {90, 30, 60};
    for (int delay : delays) {
        WFTaskFactory::create_timer_task(0, delay * kMs, [&log, &done, delay](WFTimerTask *) {
            log.add(std::to_string(delay) + " ");
            done.set();
        })->start();
    }
    ASSERT_TRUE(done.wait(3));
    EXPECT_EQ("30 60 90 ", log.text());
}

// Row 41: cancel of a named timer: SYS_ERROR/ECANCELED soon, on a handler; 1, then 0.
TEST(Timer, Row41CancelByName) {
    Event done;
    int state = -1;
    int error = -1;
    bool on_handler = false;
    WFTaskFactory::create_timer_task("row41", 3600, 0, [&](WFTimerTask *task) {
        state = task->get_state();
        error = task->get_error();
        on_handler = WFGlobal::get_scheduler()->is_handler_thread() != 0;
        done.set();
    })->start();
    EXPECT_EQ(1, WFTaskFactory::cancel_by_name("row41"));
    EXPECT_EQ(0, WFTaskFactory::cancel_by_name("row41"));
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(WFT_STATE_SYS_ERROR, state);
    EXPECT_EQ(ECANCELED, error);
    EXPECT_TRUE(on_handler);
}

// Row 41: a cancel before the start is remembered and takes effect after it.
TEST(Timer, Row41CancelBeforeStart) {
    Event done;
    int error = -1;
    WFTimerTask *timer =
        WFTaskFactory::create_timer_task("row41b", 3600, 0, [&](WFTimerTask *task) {
            error = task->get_error();
            done.set();
        });
    EXPECT_EQ(1, WFTaskFactory::cancel_by_name("row41b"));
    EXPECT_EQ(0, done.count());
    timer->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(ECANCELED, error);
}

// Row 41: max limits, the oldest first.
TEST(Timer, Row41MaxOldestFirst) {
    Event done;
    compat::Log log;
    for (int i = 0; i < 4; i++) {
        WFTaskFactory::create_timer_task("row41c", 3600, 0, [&log, &done, i](WFTimerTask *task) {
            EXPECT_EQ(ECANCELED, task->get_error());
            log.add(std::to_string(i));
            done.set();
        })->start();
    }
    EXPECT_EQ(0, WFTaskFactory::cancel_by_name("row41c", 0));
    EXPECT_EQ(1, WFTaskFactory::cancel_by_name("row41c", 1));
    ASSERT_TRUE(done.wait(1));
    EXPECT_EQ("0", log.text());
    EXPECT_EQ(1, WFTaskFactory::cancel_by_name("row41c", 1));
    ASSERT_TRUE(done.wait(2));
    EXPECT_EQ("01", log.text());
    EXPECT_EQ(2, WFTaskFactory::cancel_by_name("row41c", 10));
    ASSERT_TRUE(done.wait(4));
    EXPECT_EQ(0, WFTaskFactory::cancel_by_name("row41c"));
}

// Row 42: a cancel that races with the expiry: one callback each, and as many ECANCELED as the
// counts that cancel returned.
TEST(Timer, Row42CancelRacingWithExpiry) {
    const int kRounds = 300;
    int promised = 0;
    std::atomic<int> canceled(0);
    std::atomic<int> calls(0);
    Event done;
    for (int i = 0; i < kRounds; i++) {
        long nsec = (i % 7) * 20 * 1000;
        WFTaskFactory::create_timer_task("row42", 0, nsec, [&](WFTimerTask *task) {
            calls++;
            if (task->get_state() == WFT_STATE_SYS_ERROR && task->get_error() == ECANCELED)
                canceled++;
            done.set();
        })->start();
        promised += WFTaskFactory::cancel_by_name("row42");
        ASSERT_TRUE(done.wait(i + 1));
    }
    EXPECT_EQ(kRounds, calls.load());
    EXPECT_EQ(promised, canceled.load());
}

// Row 43: create_timer_task(cb) means "run this on a handler": ECANCELED.
TEST(Timer, Row43JumpToAHandler) {
    Event done;
    int state = -1;
    int error = -1;
    bool on_handler = false;
    WFTaskFactory::create_timer_task([&](WFTimerTask *task) {
        state = task->get_state();
        error = task->get_error();
        on_handler = WFGlobal::get_scheduler()->is_handler_thread() != 0;
        done.set();
    })->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(WFT_STATE_SYS_ERROR, state);
    EXPECT_EQ(ECANCELED, error);
    EXPECT_TRUE(on_handler);
}

// Row 44: bad nanoseconds end inside start(), on the caller.
TEST(Timer, Row44BadNanoseconds) {
    const long bad[] = {-1, 1000 * 1000 * 1000};
    for (long nsec : bad) {
        int state = -1;
        int error = -1;
        std::thread::id ran_on;
        WFTaskFactory::create_timer_task(0, nsec, [&](WFTimerTask *task) {
            state = task->get_state();
            error = task->get_error();
            ran_on = std::this_thread::get_id();
        })->start();
        EXPECT_EQ(std::this_thread::get_id(), ran_on) << nsec;
        EXPECT_EQ(WFT_STATE_SYS_ERROR, state) << nsec;
        EXPECT_EQ(EINVAL, error) << nsec;
    }
}

// Row 45: negative seconds never fire by themselves.
TEST(Timer, Row45NegativeSeconds) {
    Event done;
    Event other;
    int error = -1;
    WFTaskFactory::create_timer_task("row45", -1, 0, [&](WFTimerTask *task) {
        error = task->get_error();
        done.set();
    })->start();
    WFTaskFactory::create_timer_task(0, 50 * kMs, [&](WFTimerTask *) { other.set(); })->start();
    ASSERT_TRUE(other.wait());
    EXPECT_EQ(0, done.count());
    EXPECT_EQ(1, WFTaskFactory::cancel_by_name("row45"));
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(ECANCELED, error);
}

// A name leaves the table when its timer has fired.
TEST(Timer, FiredTimerHasNoName) {
    Event done;
    WFTaskFactory::create_timer_task("fired", 0, 0, [&](WFTimerTask *) {
        EXPECT_EQ(0, WFTaskFactory::cancel_by_name("fired"));
        done.set();
    })->start();
    ASSERT_TRUE(done.wait());
}

// A dismissed named timer leaves the table as well.
TEST(Timer, DismissedTimerHasNoName) {
    WFTaskFactory::create_timer_task("dismissed", 1, 0, nullptr)->dismiss();
    EXPECT_EQ(0, WFTaskFactory::cancel_by_name("dismissed"));
}

} // namespace
