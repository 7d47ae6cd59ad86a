// Weft - unit tests of SeriesWork; behaviour rows 1 to 7 and 18
// SPDX-License-Identifier: Apache-2.0
#include "workflow/Workflow.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <vector>

#include "unit/task/task_support.h"

using namespace tasktest;

namespace {

// Row 3: the first, then what was pushed in front, then what was pushed behind, then the last.
TEST(Series, Row3Order) {
    Log log;
    SeriesWork *series =
        Workflow::create_series_work(new Say(&log, "a"), new Say(&log, "Z"), nullptr);
    series->push_back(new Say(&log, "b"));
    series->push_front(new Say(&log, "x"));
    series->push_back(new Say(&log, "c"));
    series->start();
    EXPECT_EQ("axbcZ", log.text());
}

// Row 3: several pushed in front in a callback come out last in, first out.
TEST(Series, Row3FrontInCallback) {
    Log log;
    Workflow::start_series_work(new Call([&](SubTask *task) {
                                    series_of(task)->push_back(new Say(&log, "b"));
                                    series_of(task)->push_front(new Say(&log, "y"));
                                    series_of(task)->push_front(new Say(&log, "x"));
                                }),
                                nullptr);
    EXPECT_EQ("xyb", log.text());
}

// The ring against a deque: tasks push a random number of others to both ends, so that it wraps and
// grows at every place of its head. The model is told of the same pushes and pops.
TEST(Series, RingAgainstModel) {
    std::minstd_rand dice(7);
    for (int round = 0; round < 100; round++) {
        std::deque<int> model;
        std::vector<int> seen, expected;
        int made = 0, limit = static_cast<int>(dice() % 100);
        std::function<void(SubTask *, int)> run;
        auto make = [&](int number) {
            return new Call([&run, number](SubTask *task) { run(task, number); });
        };
        run = [&](SubTask *task, int number) {
            seen.push_back(number);
            for (unsigned n = dice() % 4; n > 0 && made < limit; n--) {
                made++;
                if (dice() % 2 == 0) {
                    series_of(task)->push_back(make(made));
                    model.push_back(made);
                } else {
                    series_of(task)->push_front(make(made));
                    model.push_front(made);
                }
            }
            if (!model.empty()) {
                expected.push_back(model.front());
                model.pop_front();
            }
        };
        Event ended;
        expected.push_back(0);
        Workflow::start_series_work(make(0), [&](const SeriesWork *) { ended.set(); });
        ASSERT_TRUE(ended.wait());
        EXPECT_EQ(expected, seen);
    }
}

// Row 3: any thread may push while the series lives.
TEST(Series, Row3PushFromManyThreads) {
    constexpr int THREADS = 4, EACH = 500;
    scheduler();
    Event ended;
    std::atomic<int> ran{0};
    Gate *gate = new Gate;
    SeriesWork *series =
        Workflow::create_series_work(gate, [&](const SeriesWork *) { ended.set(); });
    series->start();
    std::vector<std::thread> threads;
    for (int i = 0; i < THREADS; i++) {
        threads.emplace_back([&, i] {
            for (int k = 0; k < EACH; k++) {
                SubTask *task = new Call([&](SubTask *) { ran++; });
                if (i % 2 == 0)
                    series->push_back(task);
                else
                    series->push_front(task);
            }
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    gate->open();
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(THREADS * EACH, ran.load());
}

// Row 2: callback, then deletion, then the next task, on the same thread.
TEST(Series, Row2CallbackDeletionNext) {
    Log log;
    auto held = std::make_shared<Obituary>(&log, "deleted ");
    WFCounterTask *first =
        new WFCounterTask(0, [&log, held](WFCounterTask *) { log.add("callback "); });
    held.reset();
    Workflow::start_series_work(first, new Say(&log, "next"), nullptr);
    EXPECT_EQ("callback deleted next", log.text());
}

// Rows 2 and 13: tasks that end in place run in a loop on the thread that started the series,
// however many there are.
TEST(Series, Row13LongSeriesInPlace) {
    constexpr int TASKS = 100000;
    int ran = 0;
    std::thread::id here = std::this_thread::get_id();
    SeriesWork *series = Workflow::create_series_work(new Call([&](SubTask *) { ran++; }), nullptr);
    for (int i = 1; i < TASKS; i++) {
        series->push_back(new Call([&](SubTask *) {
            ran++;
            if (std::this_thread::get_id() != here)
                ADD_FAILURE() << "task " << ran << " runs on another thread";
        }));
    }
    series->start();
    EXPECT_EQ(TASKS, ran);
}

// Row 4: the series ends with its last task: finished, callback, gone.
TEST(Series, Row4EndsWhenEmpty) {
    Log log;
    auto held = std::make_shared<Obituary>(&log, "gone");
    Workflow::start_series_work(
        new Call([&](SubTask *task) { EXPECT_FALSE(series_of(task)->is_finished()); }),
        [&log, held](const SeriesWork *series) {
            EXPECT_TRUE(series->is_finished());
            EXPECT_FALSE(series->is_canceled());
            log.add("callback ");
        });
    held.reset();
    EXPECT_EQ("callback gone", log.text());
}

// Row 5: the last task waits for those pushed while it waits, is bound to the series, and is popped
// once.
TEST(Series, Row5LastTask) {
    Log log;
    SubTask *last = new Call([&](SubTask *task) {
        log.add("L");
        EXPECT_EQ(nullptr, series_of(task)->get_last_task());
        series_of(task)->push_back(new Say(&log, "d"));
    });
    SeriesWork *series = Workflow::create_series_work(
        new Call([&](SubTask *task) { series_of(task)->push_back(new Say(&log, "b")); }), nullptr);
    series->set_last_task(last);
    EXPECT_EQ(last, series->get_last_task());
    EXPECT_EQ(series, series_of(last));
    series->start();
    EXPECT_EQ("bLd", log.text());
}

// Row 5: a last task that is unset is forgotten and not deleted.
TEST(Series, Row5Unset) {
    Log log;
    Say *last = new Say(&log, "L");
    SeriesWork *series = Workflow::create_series_work(new Say(&log, "a"), last, nullptr);
    series->unset_last_task();
    EXPECT_EQ(nullptr, series->get_last_task());
    series->start();
    EXPECT_EQ("a", log.text());
    delete last;
    EXPECT_EQ("a~L", log.text());
}

// Row 6: the task that runs goes on; those that wait are deleted without callbacks, the last one
// too; the series callback is run.
TEST(Series, Row6Cancel) {
    Log log;
    SeriesWork *series =
        Workflow::create_series_work(new Call([&](SubTask *task) {
                                         series_of(task)->cancel();
                                         log.add("ran ");
                                     }),
                                     new Say(&log, "last "), [&](const SeriesWork *s) {
                                         EXPECT_TRUE(s->is_canceled());
                                         log.add("callback");
                                     });
    series->push_back(new Say(&log, "queued "));
    series->start();
    EXPECT_EQ("ran ~queued ~last callback", log.text());
}

// Row 6: what is pushed after the cancel is deleted as well.
TEST(Series, Row6PushAfterCancel) {
    Log log;
    Workflow::start_series_work(new Call([&](SubTask *task) {
                                    series_of(task)->cancel();
                                    series_of(task)->push_front(new Say(&log, "late"));
                                }),
                                nullptr);
    EXPECT_EQ("~late", log.text());
}

// Row 8: dismiss deletes all and runs nothing.
TEST(Series, Row8Dismiss) {
    Log log;
    SeriesWork *series = Workflow::create_series_work(
        new Say(&log, "a"), new Say(&log, "Z"), [&](const SeriesWork *) { log.add("callback"); });
    for (int i = 0; i < 6; i++)
        series->push_back(new Say(&log, std::to_string(i)));
    series->dismiss();
    EXPECT_EQ("~a~0~1~2~3~4~5~Z", log.text());
}

// Row 18, and the series of a task before and after.
TEST(Series, Row18BeforeTheStart) {
    WFCounterTask *task = new WFCounterTask(1, nullptr);
    EXPECT_EQ(-1, task->get_state());
    EXPECT_EQ(0, task->get_error());
    EXPECT_EQ(nullptr, task->user_data);
    EXPECT_EQ(nullptr, series_of(task));
    task->dismiss();
}

// Behaviours 9.8: done() pops after `delete this`. (All tasks of these tests do; here the memory is
// used anew at once.)
TEST(Series, Section9PopAfterDelete) {
    Log log;
    std::vector<std::unique_ptr<char[]>> reused;
    SeriesWork *series = Workflow::create_series_work(new Say(&log, "a"), nullptr);
    for (int i = 0; i < 10; i++) {
        series->push_back(new Call([&](SubTask *) {
            reused.emplace_back(new char[sizeof(Say)]);
            memset(reused.back().get(), 0xff, sizeof(Say));
        }));
        series->push_back(new Say(&log, "b"));
    }
    series->start();
    EXPECT_EQ("a" + std::string(10, 'b'), log.text());
}

TEST(Series, ContextSpecificAndOperators) {
    Log log;
    int context = 0;
    Call *first = new Call([&](SubTask *task) {
        EXPECT_EQ(&context, (**task).get_context());
        **task << new Say(&log, "1") << new Say(&log, "2");
    });
    SeriesWork *series = Workflow::create_series_work(first, nullptr);
    EXPECT_EQ(nullptr, series->get_context());
    EXPECT_EQ(nullptr, series->get_in_parallel());
    EXPECT_EQ(nullptr, series->get_specific("key"));
    series->set_context(&context);
    series->set_callback([&](const SeriesWork *) { log.add("|"); });
    series->start();
    EXPECT_EQ("12|", log.text());
}

class SeriesDeathTest : public ::testing::Test {
protected:
    void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

// Row 1: a task of a series is neither started nor dismissed, and a series is started once.
TEST_F(SeriesDeathTest, Row1StartOfATaskInASeries) {
    WFCounterTask *task = new WFCounterTask(1, nullptr);
    SeriesWork *series = Workflow::create_series_work(task, nullptr);
    EXPECT_DEATH(task->start(), "misuse: start\\(\\) of a task that is in a series");
    EXPECT_DEATH(task->dismiss(), "misuse: dismiss\\(\\) of a task that is in a series");
    series->dismiss();
}

TEST_F(SeriesDeathTest, Row1StartTwiceAndDismissAfterStart) {
    WFCounterTask *task = new WFCounterTask(1, nullptr);
    task->start();
    SeriesWork *series = series_of(task);
    EXPECT_DEATH(task->start(), "misuse: start\\(\\)");
    EXPECT_DEATH(task->dismiss(), "misuse: dismiss\\(\\)");
    EXPECT_DEATH(series->start(), "misuse: SeriesWork::start\\(\\) of a series that was started");
    EXPECT_DEATH(series->dismiss(),
                 "misuse: SeriesWork::dismiss\\(\\) of a series that was started");
    task->count();
}

} // namespace
