// Weft - unit tests of ParallelWork; behaviour rows 7, 8 and 10 to 12
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "unit/task/task_support.h"
#include "workflow/Workflow.h"

using namespace tasktest;

namespace {

// Row 10: in the order of adding, on the starting thread.
TEST(Parallel, Row10IndexOrder) {
    Log log;
    ParallelWork *parallel =
        Workflow::create_parallel_work([&](const ParallelWork *) { log.add("|"); });
    for (int i = 0; i < 9; i++) {
        parallel->add_series(Workflow::create_series_work(
            new Say(&log, std::to_string(i)), [&](const SeriesWork *) { log.add("s"); }));
    }
    parallel->start();
    EXPECT_EQ("0s1s2s3s4s5s6s7s8s|", log.text());
}

// Row 11: the callback is run on the thread that ended last, after the series' own, which are alive
// and tell their contexts; then all are deleted.
TEST(Parallel, Row11Callback) {
    Log log;
    Event ended;
    int contexts[2];
    std::thread::id callback_thread;
    Gate *gates[2] = {new Gate, new Gate};
    SeriesWork *series[2];
    for (int i = 0; i < 2; i++) {
        auto dies = std::make_shared<Obituary>(&log, "-");
        series[i] = Workflow::create_series_work(
            gates[i], [&log, dies](const SeriesWork *s) { log.add(s->is_canceled() ? "c" : "s"); });
        series[i]->set_context(&contexts[i]);
    }
    series[1]->cancel();
    Workflow::start_parallel_work(series, 2, [&](const ParallelWork *parallel) {
        EXPECT_EQ(&contexts[0], parallel->series_at(0)->get_context());
        EXPECT_EQ(&contexts[1], (*parallel)[1].get_context());
        EXPECT_EQ(parallel, parallel->series_at(0)->get_in_parallel());
        EXPECT_TRUE(parallel->series_at(0)->is_finished());
        EXPECT_TRUE(parallel->series_at(1)->is_canceled());
        callback_thread = std::this_thread::get_id();
        log.add("|");
        ended.set();
    });
    gates[1]->open();
    EXPECT_EQ("c", log.text());
    std::thread finisher([&] { gates[0]->open(); });
    std::thread::id finisher_thread = finisher.get_id();
    finisher.join();
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(finisher_thread, callback_thread);
    EXPECT_EQ("cs|--", log.text());
}

// Row 12: nothing to wait for.
TEST(Parallel, Row12Empty) {
    int calls = 0;
    Workflow::create_parallel_work([&](const ParallelWork *) { calls++; })->start();
    Workflow::start_parallel_work(nullptr, 0, [&](const ParallelWork *p) {
        EXPECT_EQ(0u, p->size());
        calls++;
    });
    EXPECT_EQ(2, calls);
}

TEST(Parallel, Accessors) {
    Log log;
    ParallelWork *parallel = Workflow::create_parallel_work(nullptr);
    EXPECT_EQ(parallel->begin(), parallel->end());
    EXPECT_EQ(nullptr, parallel->series_at(0));
    std::vector<SeriesWork *> all;
    for (int i = 0; i < 20; i++) {
        all.push_back(Workflow::create_series_work(new Say(&log, "."), nullptr));
        parallel->add_series(all.back());
    }
    EXPECT_EQ(20u, parallel->size());
    EXPECT_EQ(all, std::vector<SeriesWork *>(parallel->begin(), parallel->end()));
    EXPECT_EQ(all[19], parallel->series_at(19));
    EXPECT_EQ(all[3], &(*parallel)[3]);
    EXPECT_EQ(nullptr, parallel->series_at(20));
    EXPECT_EQ(nullptr, parallel->get_context());
    parallel->set_context(&log);
    parallel->set_callback([&](const ParallelWork *p) { EXPECT_EQ(&log, p->get_context()); });
    parallel->start();
    EXPECT_EQ(std::string(20, '.'), log.text());
}

// In a series of others; nested ones end from the inside out, and their series goes on.
TEST(Parallel, NestedInASeries) {
    Log log;
    ParallelWork *inner =
        Workflow::create_parallel_work([&](const ParallelWork *) { log.add("i"); });
    inner->add_series(Workflow::create_series_work(new Say(&log, "1"), nullptr));
    inner->add_series(Workflow::create_series_work(new Say(&log, "2"), nullptr));
    SeriesWork *branch = Workflow::create_series_work(inner, nullptr);
    branch->push_back(new Say(&log, "b"));
    ParallelWork *outer =
        Workflow::create_parallel_work([&](const ParallelWork *) { log.add("o"); });
    outer->add_series(branch);
    outer->add_series(Workflow::create_series_work(new Say(&log, "3"), nullptr));
    Workflow::start_series_work(outer, new Say(&log, "Z"), nullptr);
    EXPECT_EQ("12ib3oZ", log.text());
}

// Many ending at the same time on several threads: the callback comes once.
TEST(Parallel, ManyThreadsEndIt) {
    constexpr size_t WIDTH = 64, THREADS = 4;
    for (int round = 0; round < 50; round++) {
        Event ended;
        std::vector<Gate *> gates;
        ParallelWork *parallel =
            Workflow::create_parallel_work([&](const ParallelWork *) { ended.set(); });
        for (size_t i = 0; i < WIDTH; i++) {
            gates.push_back(new Gate);
            parallel->add_series(Workflow::create_series_work(gates.back(), nullptr));
        }
        parallel->start();
        std::vector<std::thread> threads;
        for (size_t t = 0; t < THREADS; t++) {
            threads.emplace_back([&, t] {
                for (size_t i = t; i < WIDTH; i += THREADS)
                    gates[i]->open();
            });
        }
        for (std::thread &thread : threads)
            thread.join();
        EXPECT_EQ(1, ended.count());
    }
}

// Row 7: a canceled series deletes a parallel that waits, with all that is in it and no callback.
TEST(Parallel, Row7DeletedByACanceledSeries) {
    Log log;
    ParallelWork *parallel =
        Workflow::create_parallel_work([&](const ParallelWork *) { log.add("never"); });
    parallel->add_series(Workflow::create_series_work(
        new Say(&log, "a"), new Say(&log, "b"), [&](const SeriesWork *) { log.add("never"); }));
    Workflow::start_series_work(new Call([](SubTask *task) { series_of(task)->cancel(); }),
                                parallel, nullptr);
    EXPECT_EQ("~a~b", log.text());
}

// Row 8: dismiss deletes whole trees.
TEST(Parallel, Row8Dismiss) {
    Log log;
    ParallelWork *inner = Workflow::create_parallel_work(nullptr);
    inner->add_series(Workflow::create_series_work(new Say(&log, "i"), nullptr));
    ParallelWork *outer =
        Workflow::create_parallel_work([&](const ParallelWork *) { log.add("never"); });
    outer->add_series(Workflow::create_series_work(inner, new Say(&log, "l"), nullptr));
    outer->add_series(Workflow::create_series_work(new Say(&log, "o"), nullptr));
    outer->dismiss();
    EXPECT_EQ("~i~l~o", log.text());
}

class ParallelDeathTest : public ::testing::Test {
protected:
    void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(ParallelDeathTest, AddedTwice) {
    Log log;
    ParallelWork *parallel = Workflow::create_parallel_work(nullptr);
    ParallelWork *other = Workflow::create_parallel_work(nullptr);
    SeriesWork *series = Workflow::create_series_work(new Say(&log, "a"), nullptr);
    parallel->add_series(series);
    EXPECT_DEATH(parallel->add_series(series), "misuse: ParallelWork::add_series.*added before");
    EXPECT_DEATH(other->add_series(series), "misuse: ParallelWork::add_series.*another parallel");
    EXPECT_DEATH(series->start(), "misuse: SeriesWork::start.*part of a parallel");
    EXPECT_DEATH(series->dismiss(), "misuse: SeriesWork::dismiss.*part of a parallel");
    other->dismiss();
    parallel->dismiss();
}

TEST_F(ParallelDeathTest, StartedOrDismissedTwice) {
    Gate *gate = new Gate;
    Log log;
    SeriesWork *series = Workflow::create_series_work(gate, nullptr);
    ParallelWork *parallel = Workflow::create_parallel_work(&series, 1, nullptr);
    parallel->start();
    EXPECT_DEATH(parallel->start(), "misuse: ParallelWork::start\\(\\)");
    EXPECT_DEATH(parallel->dismiss(), "misuse: ParallelWork::dismiss\\(\\)");
    SeriesWork *late = Workflow::create_series_work(new Say(&log, "late"), nullptr);
    EXPECT_DEATH(parallel->add_series(late), "misuse: ParallelWork::add_series.*that runs");
    late->dismiss();
    gate->open();
    EXPECT_EQ("~late", log.text());
}

} // namespace
