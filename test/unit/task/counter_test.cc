// Weft - unit tests of counters, with and without a name; behaviour rows 20 to 25
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "task/named.h"
#include "unit/task/task_support.h"

using namespace tasktest;
using wf::detail::NamedCounters;

namespace {

// Row 20: counted and started in either order; the callback is run by the last of these, on its
// thread.
TEST(Counter, Row20EitherOrder) {
    int calls = 0;
    WFCounterTask *counter = new WFCounterTask(2, [&](WFCounterTask *task) {
        EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
        calls++;
    });
    counter->count();
    counter->count();
    EXPECT_EQ(0, calls);
    counter->start();
    EXPECT_EQ(1, calls);

    std::thread::id ran_on, counted_on;
    counter = new WFCounterTask(1, [&](WFCounterTask *) { ran_on = std::this_thread::get_id(); });
    counter->start();
    std::thread thread([&] { counter->count(); });
    counted_on = thread.get_id();
    thread.join();
    EXPECT_EQ(counted_on, ran_on);
}

// Row 20: target 0 ends inside start().
TEST(Counter, Row20TargetZero) {
    int calls = 0;
    (new WFCounterTask(0, [&](WFCounterTask *) { calls++; }))->start();
    NamedCounters::create("zero", 0, [&](WFCounterTask *) { calls++; })->start();
    EXPECT_EQ(2, calls);
    EXPECT_EQ(0, NamedCounters::count("zero", 1));
}

// A count too many, in the callback, does no harm.
TEST(Counter, CountedInTheCallback) {
    int calls = 0;
    (new WFCounterTask(0, [&](WFCounterTask *task) {
        calls++;
        task->count();
    }))->start();
    WFCounterTask *counter = new WFCounterTask(1, [&](WFCounterTask *task) {
        calls++;
        task->count();
    });
    counter->start();
    counter->count();
    EXPECT_EQ(2, calls);
}

TEST(Counter, Row20ManyThreads) {
    for (int round = 0; round < 50; round++) {
        std::atomic<int> calls{0};
        WFCounterTask *counter = new WFCounterTask(400, [&](WFCounterTask *) { calls++; });
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; t++) {
            threads.emplace_back([counter] {
                for (int i = 0; i < 100; i++)
                    counter->count();
            });
        }
        counter->start();
        for (std::thread &thread : threads)
            thread.join();
        EXPECT_EQ(1, calls.load());
    }
}

// Row 21: the name is gone when the target is reached, started or not.
TEST(NamedCounter, Row21NameLeavesWhenReached) {
    int calls = 0;
    WFCounterTask *counter = NamedCounters::create("n", 1, [&](WFCounterTask *) { calls++; });
    EXPECT_EQ(1, NamedCounters::count("n", 1));
    EXPECT_EQ(0, calls);
    EXPECT_EQ(0, NamedCounters::count("n", 1));
    counter->start();
    EXPECT_EQ(1, calls);
}

// Row 22: oldest first, the surplus flows on, the rest is lost, 0 does nothing.
TEST(NamedCounter, Row22Surplus) {
    Log log;
    for (const char *text : {"a", "b"}) {
        NamedCounters::create("n", 2, [&log, text](WFCounterTask *) { log.add(text); })->start();
    }
    EXPECT_EQ(0, NamedCounters::count("n", 0));
    EXPECT_EQ(1, NamedCounters::count("n", 3));
    EXPECT_EQ("a", log.text());
    EXPECT_EQ(1, NamedCounters::count("n", 5));
    EXPECT_EQ("ab", log.text());
    EXPECT_EQ(0, NamedCounters::count("n", 1));
    EXPECT_EQ(0, NamedCounters::count("another", 1));
}

// Row 23: in the callback both ways of counting find nothing to count, in others of the name they
// do.
TEST(NamedCounter, Row23CountedInTheCallback) {
    Log log;
    NamedCounters::create("n", 1, [&](WFCounterTask *task) {
        log.add("a");
        task->count();
        EXPECT_EQ(1, NamedCounters::count("n", 1));
    })->start();
    NamedCounters::create("n", 1, [&](WFCounterTask *) { log.add("b"); })->start();
    EXPECT_EQ(1, NamedCounters::count("n", 1));
    EXPECT_EQ("ab", log.text());
}

// Row 24: count() on the object is for that object alone.
TEST(NamedCounter, Row24CountOnTheObject) {
    Log log;
    WFCounterTask *a = NamedCounters::create("n", 1, [&](WFCounterTask *) { log.add("a"); });
    WFCounterTask *b = NamedCounters::create("n", 2, [&](WFCounterTask *) { log.add("b"); });
    a->start();
    b->start();
    b->count();
    b->count();
    EXPECT_EQ("b", log.text());
    EXPECT_EQ(1, NamedCounters::count("n", 1));
    EXPECT_EQ("ba", log.text());
}

// Row 25: a deleted counter takes its name along; its neighbours stay in order.
TEST(NamedCounter, Row25Dismiss) {
    Log log;
    NamedCounters::create("n", 1, [&](WFCounterTask *) { log.add("a"); })->start();
    WFCounterTask *b = NamedCounters::create("n", 1, nullptr);
    NamedCounters::create("n", 1, [&](WFCounterTask *) { log.add("c"); })->start();
    b->dismiss();
    EXPECT_EQ(2, NamedCounters::count("n", 10));
    EXPECT_EQ("ac", log.text());
    NamedCounters::create("n", 1, nullptr)->dismiss();
    EXPECT_EQ(0, NamedCounters::count("n", 1));
}

// A callback of one dismisses another of the same name while a count is on its way.
TEST(NamedCounter, DismissedByAnOlderOne) {
    WFCounterTask *victim = nullptr;
    NamedCounters::create("n", 1, [&](WFCounterTask *) { victim->dismiss(); })->start();
    victim = NamedCounters::create("n", 1, nullptr);
    EXPECT_EQ(1, NamedCounters::count("n", 2));
}

// Counting by name from several threads loses and doubles nothing.
TEST(NamedCounter, ManyThreads) {
    constexpr int COUNTERS = 100, EACH = 20;
    std::atomic<int> calls{0}, reached{0};
    for (int i = 0; i < COUNTERS; i++)
        NamedCounters::create("many", EACH, [&](WFCounterTask *) { calls++; })->start();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&] {
            for (int i = 0; i < COUNTERS * EACH / 4; i++)
                reached += NamedCounters::count("many", 1);
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(COUNTERS, reached.load());
    EXPECT_EQ(COUNTERS, calls.load());
}

} // namespace
