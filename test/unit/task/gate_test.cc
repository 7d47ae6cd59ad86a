// Weft - unit tests of mailbox, selector, conditional, repeater and module; behaviour rows 14, 15 and 26 to 28
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "unit/task/task_support.h"

using namespace tasktest;

namespace {

// Row 26: sent before or after the start; of several before the end the latest stays.
TEST(Mailbox, Row26EitherOrder) {
    int a, b;
    void *box = nullptr;
    void *seen = nullptr;
    WFMailboxTask *task = new WFMailboxTask(&box, [&](WFMailboxTask *t) {
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
        seen = *t->get_mailbox();
    });
    task->send(&a);
    task->send(&b);
    EXPECT_EQ(nullptr, seen);
    task->start();
    EXPECT_EQ(&b, seen);
    EXPECT_EQ(&b, box);

    task = new WFMailboxTask([&](WFMailboxTask *t) { seen = t->user_data; });
    task->start();
    task->send(&a);
    EXPECT_EQ(&a, seen);
}

// Row 27: the first message that is not NULL wins; the task is freed after the last submission.
TEST(Selector, Row27FirstWins) {
    Log log;
    int a, b;
    auto held = std::make_shared<Obituary>(&log, " freed");
    WFSelectorTask *task = new WFSelectorTask(4, [&log, &a, held](WFSelectorTask *t) {
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
        EXPECT_EQ(&a, t->get_message());
        log.add("callback");
    });
    held.reset();
    EXPECT_EQ(0, task->submit(nullptr));
    task->start();
    EXPECT_EQ(1, task->submit(&a));
    EXPECT_EQ("callback", log.text());
    EXPECT_EQ(0, task->submit(&b));
    EXPECT_EQ("callback", log.text());
    EXPECT_EQ(0, task->submit(nullptr));
    EXPECT_EQ("callback freed", log.text());
}

// Row 27: all submitted before the start.
TEST(Selector, Row27BeforeTheStart) {
    int a, calls = 0;
    WFSelectorTask *task = new WFSelectorTask(2, [&](WFSelectorTask *t) {
        EXPECT_EQ(&a, t->get_message());
        calls++;
    });
    EXPECT_EQ(1, task->submit(&a));
    EXPECT_EQ(0, task->submit(&a));
    EXPECT_EQ(0, calls);
    task->start();
    EXPECT_EQ(1, calls);
}

// Row 27: nobody has anything.
TEST(Selector, Row27AllNull) {
    for (int before = 0; before <= 2; before++) {
        int state = -1, error = -1;
        WFSelectorTask *task = new WFSelectorTask(2, [&](WFSelectorTask *t) {
            state = t->get_state();
            error = t->get_error();
        });
        for (int i = 0; i < before; i++)
            task->submit(nullptr);
        task->start();
        for (int i = before; i < 2; i++)
            task->submit(nullptr);
        EXPECT_EQ(WFT_STATE_SYS_ERROR, state);
        EXPECT_EQ(ENOMSG, error);
    }
}

TEST(Selector, Row27ManyThreads) {
    constexpr int THREADS = 4;
    for (int round = 0; round < 200; round++) {
        int messages[THREADS];
        std::atomic<int> taken{0}, calls{0};
        WFSelectorTask *task = new WFSelectorTask(THREADS, [&](WFSelectorTask *) { calls++; });
        std::vector<std::thread> threads;
        for (int i = 0; i < THREADS; i++)
            threads.emplace_back([&, i] { taken += task->submit(i > 1 ? &messages[i] : nullptr); });
        task->start();
        for (std::thread &thread : threads)
            thread.join();
        EXPECT_EQ(1, taken.load());
        EXPECT_EQ(1, calls.load());
    }
}

// Row 28: the task starts when both were there; the message is written before, and it runs right
// behind.
TEST(Conditional, Row28EitherOrder) {
    for (bool signal_first : {true, false}) {
        Log log;
        int message;
        void *buffer = nullptr;
        WFConditional *conditional = new WFConditional(new Call([&](SubTask *) {
                                                           EXPECT_EQ(&message, buffer);
                                                           log.add("task ");
                                                       }),
                                                       &buffer);
        SeriesWork *series = Workflow::create_series_work(conditional, nullptr);
        series->push_back(new Say(&log, "next"));
        if (signal_first)
            conditional->signal(&message);
        EXPECT_EQ("", log.text());
        series->start();
        if (!signal_first)
            conditional->signal(&message);
        EXPECT_EQ("task next", log.text());
    }
}

// One that is never signalled deletes its task.
TEST(Conditional, Dismiss) {
    Log log;
    (new WFConditional(new Say(&log, "a")))->dismiss();
    EXPECT_EQ("~a", log.text());
}

// Row 15: create() before each round; NULL ends it.
TEST(Repeater, Row15Rounds) {
    Log log;
    int left = 3;
    WFRepeaterTask *repeater = new WFRepeaterTask(
        [&](WFRepeaterTask *) -> SubTask * { return left-- > 0 ? new Say(&log, "r") : nullptr; },
        [&](WFRepeaterTask *task) {
            EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
            log.add("|");
        });
    Workflow::start_series_work(repeater, new Say(&log, "Z"), nullptr);
    EXPECT_EQ("rrr|Z", log.text());
}

// Row 14: first the series, then its callback, then the module's, then what follows.
TEST(Module, Row14Order) {
    Log log;
    WFModuleTask *module =
        new WFModuleTask(new Say(&log, "1"), [&](const WFModuleTask *) { log.add("m"); });
    module->sub_series()->push_back(new Say(&log, "2"));
    module->sub_series()->set_callback([&](const SeriesWork *) { log.add("s"); });
    EXPECT_NE(nullptr, module->sub_series()->get_in_parallel());
    Workflow::start_series_work(module, new Say(&log, "Z"), nullptr);
    EXPECT_EQ("12smZ", log.text());
}

// Row 14: one that is not started deletes its tasks; one that is canceled inside ends all the same.
TEST(Module, Row14DismissAndCancel) {
    Log log;
    WFModuleTask *module =
        new WFModuleTask(new Say(&log, "1"), [&](const WFModuleTask *) { log.add("never"); });
    module->sub_series()->push_back(new Say(&log, "2"));
    module->dismiss();
    EXPECT_EQ("~1~2", log.text());

    module = new WFModuleTask(new Call([](SubTask *task) { series_of(task)->cancel(); }),
                              [&](const WFModuleTask *m) {
                                  EXPECT_TRUE(m->sub_series()->is_canceled());
                                  log.add("m");
                              });
    module->sub_series()->push_back(new Say(&log, "3"));
    module->start();
    EXPECT_EQ("~1~2~3m", log.text());
}

// A generic task of the program's own.
class Generic : public WFGenericTask {
public:
    explicit Generic(Log *log) : log_(log) {}

protected:
    SubTask *done() override {
        log_->add("g");
        return this->WFGenericTask::done();
    }

private:
    Log *log_;
};

TEST(Generic, EndsInPlace) {
    Log log;
    (new Generic(&log))->start();
    (new Generic(&log))->dismiss();
    EXPECT_EQ("g", log.text());
}

} // namespace
