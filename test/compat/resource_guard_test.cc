// Weft - compat: guards, which let tasks run while they hold a resource
// SPDX-License-Identifier: Apache-2.0
//
// Rows 30 and 31 of the behaviour table.

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "support.h"

using compat::Event;
using compat::Log;
using compat::Obituary;

namespace {

char messages[4];

WFCounterTask *call(std::function<void()> function) {
    return WFTaskFactory::create_counter_task(0, [function](WFCounterTask *) { function(); });
}

// Row 30: three holders, each of which releases: the release wakes the next, but for the last.
TEST(Guard, Row30ThreeHolders) {
    Log log;
    ParallelWork *all = Workflow::create_parallel_work(nullptr);
    for (int i = 0; i < 3; i++) {
        WFCounterTask *counter = WFTaskFactory::create_counter_task(0, [&log, i](WFCounterTask *) {
            log.add(std::to_string(i));
            log.add(WFTaskFactory::release_guard("row30", NULL) == 1 ? "+" : "-");
        });
        all->add_series(
            Workflow::create_series_work(WFTaskFactory::create_guard("row30", counter), nullptr));
    }
    // Held until all of them stand in line.
    WFTaskFactory::create_guard("row30", WFTaskFactory::create_empty_task())->start();
    all->start();
    EXPECT_EQ("", log.text());
    EXPECT_EQ(1, WFTaskFactory::release_guard("row30", NULL));
    EXPECT_EQ("012-++", log.text()); // nested: each wakes the next inside its release
}

// Row 30: the same with releases that are not nested gives 0+1+2-.
TEST(Guard, Row30OneAfterAnother) {
    Log log;
    Event ended;
    WFTaskFactory::create_guard("row30b", WFTaskFactory::create_empty_task())->start();
    for (int i = 0; i < 3; i++) {
        WFTimerTask *timer = WFTaskFactory::create_timer_task(0, 1000, [&, i](WFTimerTask *) {
            std::string text = std::to_string(i);
            // Written before the next is woken: it may run at once on another thread.
            log.add(text + (i < 2 ? "+" : "-"));
            EXPECT_EQ(i < 2 ? 1 : 0, WFTaskFactory::release_guard_safe("row30b", NULL));
            ended.set();
        });
        WFTaskFactory::create_guard("row30b", timer)->start();
    }
    EXPECT_EQ(1, WFTaskFactory::release_guard("row30b", NULL));
    ASSERT_TRUE(ended.wait(3));
    EXPECT_EQ("0+1+2-", log.text());
}

// Row 30: the lock is taken at the start, not when the guard is made; first started, first served.
TEST(Guard, Row30OrderOfStarts) {
    Log log;
    WFConditional *first_made = WFTaskFactory::create_guard("row30", call([&] { log.add("a"); }));
    WFTaskFactory::create_guard("row30", call([&] { log.add("b"); }))->start();
    EXPECT_EQ("b", log.text());
    WFTaskFactory::create_guard("row30", call([&] { log.add("c"); }))->start();
    first_made->start();
    EXPECT_EQ(1, WFTaskFactory::release_guard("row30", NULL));
    EXPECT_EQ(1, WFTaskFactory::release_guard("row30", NULL));
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30", NULL));
    EXPECT_EQ("bca", log.text());
}

// Row 30: a release passes its message on; who finds the resource free gets NULL.
TEST(Guard, Row30Message) {
    std::vector<void *> seen;
    void *first = messages, *second = messages;
    WFTaskFactory::create_guard("row30", call([&] { seen.push_back(first); }), &first)->start();
    WFTaskFactory::create_guard("row30", call([&] { seen.push_back(second); }), &second)->start();
    EXPECT_EQ(1, WFTaskFactory::release_guard("row30", messages + 1));
    EXPECT_EQ((std::vector<void *>{NULL, messages + 1}), seen);
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30", messages + 2));
    WFTaskFactory::create_guard("row30", call([&] { seen.push_back(first); }), &first)->start();
    EXPECT_EQ((std::vector<void *>{NULL, messages + 1, NULL}), seen);
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30", NULL));
}

// Row 30: releasing what nobody holds is harmless, and leaves it free.
TEST(Guard, Row30ReleaseWithoutHolder) {
    Log log;
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30", NULL));
    EXPECT_EQ(0, WFTaskFactory::release_guard_safe("row30", NULL));
    WFTaskFactory::create_guard("row30", call([&] { log.add("a"); }))->start();
    EXPECT_EQ("a", log.text());
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30", NULL));
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30", NULL));
}

// Row 30: resources of different names have nothing to do with each other.
TEST(Guard, Row30Names) {
    Log log;
    WFTaskFactory::create_guard("row30 x", call([&] { log.add("x"); }))->start();
    WFTaskFactory::create_guard("row30 y", call([&] { log.add("y"); }))->start();
    EXPECT_EQ("xy", log.text());
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30 x", NULL));
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30 y", NULL));
}

// Row 30: a guard that is dismissed deletes its task, and holds nothing.
TEST(Guard, Row30Dismiss) {
    Log log;
    auto dies = std::make_shared<Obituary>(&log, "x");
    WFConditional *guard = WFTaskFactory::create_guard(
        "row30", WFTaskFactory::create_counter_task(0, [dies](WFCounterTask *) {}));
    dies.reset();
    guard->dismiss();
    EXPECT_EQ("x", log.text());
    WFTaskFactory::create_guard("row30", call([&] { log.add("a"); }))->start();
    EXPECT_EQ("xa", log.text());
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30", NULL));
}

// Row 30: a guard whose series is canceled while it waits is passed over: the next gets the
// resource and the message, and is the one that the release counts.
TEST(Guard, Row30CanceledInTheLine) {
    Log log;
    void *seen = NULL;
    WFTaskFactory::create_guard("row30", WFTaskFactory::create_empty_task())->start();
    SeriesWork *canceled = Workflow::create_series_work(
        WFTaskFactory::create_guard("row30", call([&] { log.add("never"); })),
        [&](const SeriesWork *series) {
            EXPECT_TRUE(series->is_canceled());
            log.add("canceled ");
        });
    canceled->push_back(call([&] { log.add("never"); }));
    canceled->start();
    WFTaskFactory::create_guard("row30", call([&] { log.add("next"); }), &seen)->start();
    canceled->cancel();
    EXPECT_EQ("", log.text()); // it waits all the same: cancel() does not wake
    EXPECT_EQ(1, WFTaskFactory::release_guard("row30", messages));
    EXPECT_EQ("canceled next", log.text());
    EXPECT_EQ(messages, seen);
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30", NULL));
}

// Row 30: with nobody behind the canceled one the resource is free.
TEST(Guard, Row30CanceledLast) {
    Log log;
    WFTaskFactory::create_guard("row30", WFTaskFactory::create_empty_task())->start();
    SeriesWork *canceled = Workflow::create_series_work(
        WFTaskFactory::create_guard("row30", call([&] { log.add("never"); })),
        [&](const SeriesWork *) { log.add("canceled "); });
    canceled->start();
    canceled->cancel();
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30", NULL));
    EXPECT_EQ("canceled ", log.text());
    WFTaskFactory::create_guard("row30", call([&] { log.add("free"); }))->start();
    EXPECT_EQ("canceled free", log.text());
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30", NULL));
}

// Row 30: signal() does not open a guard.
TEST(Guard, Row30SignalDoesNothing) {
    Log log;
    WFTaskFactory::create_guard("row30", WFTaskFactory::create_empty_task())->start();
    WFConditional *guard = WFTaskFactory::create_guard("row30", call([&] { log.add("a"); }));
    guard->signal(messages);
    guard->start();
    guard->signal(messages);
    EXPECT_EQ("", log.text());
    EXPECT_EQ(1, WFTaskFactory::release_guard("row30", NULL));
    EXPECT_EQ("a", log.text());
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30", NULL));
}

// Row 30: what follows the guarded task in the series runs behind it.
TEST(Guard, Row30InASeries) {
    Log log;
    SeriesWork *series = Workflow::create_series_work(
        WFTaskFactory::create_guard("row30", call([&] { log.add("held "); })),
        [&](const SeriesWork *) { log.add("end"); });
    series->push_back(call([&] {
        log.add("after ");
        EXPECT_EQ(0, WFTaskFactory::release_guard("row30", NULL));
    }));
    series->start();
    EXPECT_EQ("held after end", log.text());
}

// Row 31: release_guard() runs the next on the releasing thread, inside the call.
TEST(Guard, Row31OnTheReleasingThread) {
    std::thread::id ran_on;
    WFTaskFactory::create_guard("row31", WFTaskFactory::create_empty_task())->start();
    WFTaskFactory::create_guard("row31", call([&] { ran_on = std::this_thread::get_id(); }))
        ->start();
    std::thread thread([] { EXPECT_EQ(1, WFTaskFactory::release_guard("row31", NULL)); });
    std::thread::id expected = thread.get_id();
    thread.join();
    EXPECT_EQ(expected, ran_on);
    EXPECT_EQ(0, WFTaskFactory::release_guard("row31", NULL));
}

// Row 31: release_guard_safe() runs it on another: what the caller still has to do comes first
// where the next holder waits for it.
TEST(Guard, Row31Safe) {
    Event released, ran;
    std::thread::id ran_on;
    void *seen = NULL;
    WFTaskFactory::create_guard("row31", WFTaskFactory::create_empty_task())->start();
    WFTaskFactory::create_guard("row31", call([&] {
                                    EXPECT_TRUE(released.wait());
                                    ran_on = std::this_thread::get_id();
                                    ran.set();
                                }),
                                &seen)
        ->start();
    EXPECT_EQ(1, WFTaskFactory::release_guard_safe("row31", messages));
    released.set();
    ASSERT_TRUE(ran.wait());
    EXPECT_NE(std::this_thread::get_id(), ran_on);
    EXPECT_EQ(messages, seen);
    EXPECT_EQ(0, WFTaskFactory::release_guard("row31", NULL));
}

// Row 30: many threads, one holder at a time, nobody forgotten; some are canceled, at any moment.
TEST(Guard, Row30ManyThreads) {
    const int kThreads = 4;
    const int kEach = 300;
    std::atomic<int> inside(0), most(0), ran(0), ended(0);
    Event all;
    auto one = [&](int i) {
        WFGoTask *task = WFTaskFactory::create_go_task("row30", [&] {
            int now = ++inside;
            if (now > most)
                most = now;
            inside--;
        });
        task->set_callback([&, i](WFGoTask *) {
            ran++;
            if (i % 2)
                WFTaskFactory::release_guard("row30c", NULL);
            else
                WFTaskFactory::release_guard_safe("row30c", NULL);
        });
        // The parallel keeps the other series until both have ended.
        SeriesWork *guarded =
            Workflow::create_series_work(WFTaskFactory::create_guard("row30c", task), nullptr);
        SeriesWork *other = Workflow::create_series_work(call([guarded, i] {
                                                             if (i % 3 == 0)
                                                                 guarded->cancel();
                                                         }),
                                                         nullptr);
        SeriesWork *pair[] = {guarded, other};
        Workflow::start_parallel_work(pair, 2, [&](const ParallelWork *) {
            ended++;
            all.set();
        });
    };
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; t++) {
        threads.emplace_back([&] {
            for (int i = 0; i < kEach; i++)
                one(i);
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    ASSERT_TRUE(all.wait(kThreads * kEach));
    EXPECT_EQ(1, most);
    EXPECT_LE(kThreads * kEach * 2 / 3, ran);
    Log log;
    WFTaskFactory::create_guard("row30c", call([&] { log.add("free"); }))->start();
    EXPECT_EQ("free", log.text());
    EXPECT_EQ(0, WFTaskFactory::release_guard("row30c", NULL));
}

// Row 13: a long line in which each releases inside its callback stands on no deep stack: past some
// thirty the rest goes on elsewhere.
TEST(Guard, Row13LongLine) {
    const int kWaiters = 50000;
    Event engine, ended;
    WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) { engine.set(); })->start();
    ASSERT_TRUE(engine.wait()); // what is too deep is for its threads
    std::atomic<int> ran(0);
    WFTaskFactory::create_guard("row13", WFTaskFactory::create_empty_task())->start();
    for (int i = 0; i < kWaiters; i++) {
        WFTaskFactory::create_guard("row13", call([&] {
                                        bool last = ++ran == kWaiters;
                                        WFTaskFactory::release_guard("row13", NULL);
                                        if (last)
                                            ended.set();
                                    }))
            ->start();
    }
    EXPECT_EQ(1, WFTaskFactory::release_guard("row13", NULL));
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(kWaiters, ran);
}

} // namespace
