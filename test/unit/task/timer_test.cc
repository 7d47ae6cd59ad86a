// Weft - unit tests of timers; behaviour rows 40 to 45
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "task/named.h"
#include "unit/task/task_support.h"

using namespace tasktest;
using wf::detail::make_canceled_timer;
using wf::detail::make_timer;
using wf::detail::NamedTimers;
using wf::detail::TimerCallback;

namespace {

using Clock = std::chrono::steady_clock;

// What a callback saw.
struct Seen {
    Event event;
    int state = -1;
    int error = -1;
    bool on_worker = false;

    TimerCallback callback() {
        return [this](WFTimerTask *task) {
            state = task->get_state();
            error = task->get_error();
            on_worker = scheduler()->is_handler_thread() != 0;
            event.set();
        };
    }
};

// Row 40: on a worker, not early, SUCCESS.
TEST(Timer, Row40Fires) {
    Seen seen;
    Clock::time_point begin = Clock::now();
    make_timer(scheduler(), 0, 20 * 1000 * 1000, seen.callback())->start();
    ASSERT_TRUE(seen.event.wait());
    EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(20));
    EXPECT_EQ(WFT_STATE_SUCCESS, seen.state);
    EXPECT_EQ(0, seen.error);
    EXPECT_TRUE(seen.on_worker);
}

// Row 41: SYS_ERROR/ECANCELED on a worker; counted once.
TEST(NamedTimer, Row41Cancel) {
    Seen seen;
    NamedTimers::create(scheduler(), "t", 3600, 0, seen.callback())->start();
    EXPECT_EQ(1, NamedTimers::cancel("t", SIZE_MAX));
    EXPECT_EQ(0, NamedTimers::cancel("t", SIZE_MAX));
    ASSERT_TRUE(seen.event.wait());
    EXPECT_EQ(WFT_STATE_SYS_ERROR, seen.state);
    EXPECT_EQ(ECANCELED, seen.error);
    EXPECT_TRUE(seen.on_worker);
}

// Row 41: a cancel before the start is counted then, and takes effect at the start.
TEST(NamedTimer, Row41CancelBeforeStart) {
    Seen seen;
    WFTimerTask *timer = NamedTimers::create(scheduler(), "t", 3600, 0, seen.callback());
    EXPECT_EQ(1, NamedTimers::cancel("t", SIZE_MAX));
    EXPECT_EQ(0, seen.event.count());
    EXPECT_EQ(0, NamedTimers::cancel("t", SIZE_MAX));
    timer->start();
    ASSERT_TRUE(seen.event.wait());
    EXPECT_EQ(WFT_STATE_SYS_ERROR, seen.state);
    EXPECT_EQ(ECANCELED, seen.error);
    EXPECT_TRUE(seen.on_worker);
}

// Row 41: at most so many, the oldest first.
TEST(NamedTimer, Row41Max) {
    Log log;
    Event event;
    for (int i = 0; i < 4; i++) {
        NamedTimers::create(scheduler(), "t", 3600, 0, [&, i](WFTimerTask *) {
            log.add(std::to_string(i));
            event.set();
        })->start();
    }
    EXPECT_EQ(0, NamedTimers::cancel("t", 0));
    EXPECT_EQ(1, NamedTimers::cancel("t", 1));
    ASSERT_TRUE(event.wait(1));
    EXPECT_EQ("0", log.text());
    EXPECT_EQ(3, NamedTimers::cancel("t", 10));
    ASSERT_TRUE(event.wait(4));
}

// Row 42: however a cancel meets the expiry, there is one callback, and ECANCELED exactly for those
// that were counted.
TEST(NamedTimer, Row42CancelMeetsExpiry) {
    constexpr int ROUNDS = 2000;
    int counted = 0;
    std::atomic<int> calls{0}, canceled{0};
    Event event;
    for (int i = 0; i < ROUNDS; i++) {
        NamedTimers::create(scheduler(), "t", 0, i % 5 * 20000, [&](WFTimerTask *task) {
            calls++;
            if (task->get_state() == WFT_STATE_SYS_ERROR && task->get_error() == ECANCELED)
                canceled++;
            event.set();
        })->start();
        counted += NamedTimers::cancel("t", SIZE_MAX);
        ASSERT_TRUE(event.wait(i + 1));
    }
    EXPECT_EQ(ROUNDS, calls.load());
    EXPECT_EQ(counted, canceled.load());
}

// The same with the cancel on another thread, so that it also meets the start.
TEST(NamedTimer, Row42CancelMeetsStart) {
    constexpr int TIMERS = 2000;
    std::atomic<int> calls{0}, canceled{0};
    std::atomic<bool> stop{false};
    int counted = 0;
    Event event;
    std::thread canceler([&] {
        while (!stop)
            counted += NamedTimers::cancel("s", 1);
    });
    for (int i = 0; i < TIMERS; i++) {
        NamedTimers::create(scheduler(), "s", i % 2, 0, [&](WFTimerTask *task) {
            calls++;
            if (task->get_error() == ECANCELED)
                canceled++;
            event.set();
        })->start();
    }
    ASSERT_TRUE(event.wait(TIMERS));
    stop = true;
    canceler.join();
    EXPECT_EQ(TIMERS, calls.load());
    EXPECT_EQ(counted, canceled.load());
}

// Row 43: canceled from the start, on a worker.
TEST(Timer, Row43Canceled) {
    Seen seen;
    make_canceled_timer(scheduler(), seen.callback())->start();
    ASSERT_TRUE(seen.event.wait());
    EXPECT_EQ(WFT_STATE_SYS_ERROR, seen.state);
    EXPECT_EQ(ECANCELED, seen.error);
    EXPECT_TRUE(seen.on_worker);
}

// Row 44: nanoseconds out of range end inside start().
TEST(Timer, Row44BadNanoseconds) {
    for (long bad : {-1L, 1000000000L}) {
        Seen plain, named;
        make_timer(scheduler(), 0, bad, plain.callback())->start();
        NamedTimers::create(scheduler(), "t", 0, bad, named.callback())->start();
        for (Seen *seen : {&plain, &named}) {
            EXPECT_EQ(1, seen->event.count());
            EXPECT_EQ(WFT_STATE_SYS_ERROR, seen->state);
            EXPECT_EQ(EINVAL, seen->error);
            EXPECT_FALSE(seen->on_worker);
        }
        EXPECT_EQ(0, NamedTimers::cancel("t", 1));
    }
}

// Row 45: negative seconds wait until they are canceled. A later timer has fired meanwhile.
TEST(NamedTimer, Row45NegativeSeconds) {
    Seen forever, other;
    NamedTimers::create(scheduler(), "t", -1, 0, forever.callback())->start();
    make_timer(scheduler(), 0, 10 * 1000 * 1000, other.callback())->start();
    ASSERT_TRUE(other.event.wait());
    EXPECT_EQ(0, forever.event.count());
    EXPECT_EQ(1, NamedTimers::cancel("t", SIZE_MAX));
    ASSERT_TRUE(forever.event.wait());
    EXPECT_EQ(ECANCELED, forever.error);
}

// A name goes when its timer fires, before the callback, and when it is dismissed.
TEST(NamedTimer, NameGoes) {
    Event event;
    NamedTimers::create(scheduler(), "t", 0, 0, [&](WFTimerTask *) {
        EXPECT_EQ(0, NamedTimers::cancel("t", SIZE_MAX));
        event.set();
    })->start();
    ASSERT_TRUE(event.wait());
    NamedTimers::create(scheduler(), "t", 1, 0, nullptr)->dismiss();
    EXPECT_EQ(0, NamedTimers::cancel("t", SIZE_MAX));
}

// A callback that cancels others of its own name.
TEST(NamedTimer, CancelInACallback) {
    Seen other;
    Event event;
    NamedTimers::create(scheduler(), "t", 0, 0, [&](WFTimerTask *) {
        NamedTimers::create(scheduler(), "t", 3600, 0, other.callback())->start();
        EXPECT_EQ(1, NamedTimers::cancel("t", SIZE_MAX));
        event.set();
    })->start();
    ASSERT_TRUE(event.wait());
    ASSERT_TRUE(other.event.wait());
    EXPECT_EQ(ECANCELED, other.error);
}

// A scheduler that ends: timers that wait end as ABORTED, those started later too, on the caller,
// and none keeps a name.
TEST(Timer, EndOfTheScheduler) {
    CommScheduler own;
    ASSERT_EQ(0, own.init(1, 1));
    Seen waiting, named, late, late_named;
    make_timer(&own, 3600, 0, waiting.callback())->start();
    NamedTimers::create(&own, "t", 3600, 0, named.callback())->start();
    WFTimerTask *started_late = make_timer(&own, 0, 0, late.callback());
    WFTimerTask *named_late = NamedTimers::create(&own, "t", 0, 0, late_named.callback());
    own.deinit();
    for (Seen *seen : {&waiting, &named}) {
        ASSERT_TRUE(seen->event.wait());
        EXPECT_EQ(WFT_STATE_ABORTED, seen->state);
        EXPECT_EQ(0, seen->error);
    }
    started_late->start();
    named_late->start();
    for (Seen *seen : {&late, &late_named}) {
        EXPECT_EQ(1, seen->event.count());
        EXPECT_EQ(WFT_STATE_ABORTED, seen->state);
    }
    EXPECT_EQ(0, NamedTimers::cancel("t", SIZE_MAX));
}

} // namespace
