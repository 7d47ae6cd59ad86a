// Weft - compat: mailboxes, selectors and conditionals, with and without a name
// SPDX-License-Identifier: Apache-2.0
//
// Rows 26 to 29 of the behaviour table.

#include <errno.h>

#include <gtest/gtest.h>

#include <atomic>
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

// What is sent: its address says which it is.
char messages[8];

std::string name_of(void *message) {
    if (!message)
        return "0";
    return std::string(1, static_cast<char>('a' + (static_cast<char *>(message) - messages)));
}

WFMailboxTask *named(const std::string &name, Log *log, const std::string &text) {
    return WFTaskFactory::create_mailbox_task(name, [log, text](WFMailboxTask *task) {
        EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
        log->add(text + name_of(*task->get_mailbox()) + " ");
    });
}

// A task that writes what stands in the buffer.
WFCounterTask *show(Log *log, const std::string &text, void **buffer) {
    return WFTaskFactory::create_counter_task(
        0, [log, text, buffer](WFCounterTask *) { log->add(text + name_of(*buffer) + " "); });
}

// Row 26: sent before the start is kept, of several the latest; the callback runs inside start().
TEST(Mailbox, Row26SentBeforeTheStart) {
    Log log;
    void *box = NULL;
    WFMailboxTask *task = WFTaskFactory::create_mailbox_task(
        &box, [&](WFMailboxTask *t) { log.add(name_of(*t->get_mailbox())); });
    task->send(messages);
    task->send(messages + 1);
    EXPECT_EQ("", log.text());
    task->start();
    EXPECT_EQ("b", log.text());
    EXPECT_EQ(messages + 1, box);
}

// Row 26: without a place for it the message is in user_data.
TEST(Mailbox, Row26UserData) {
    void *seen = NULL;
    WFMailboxTask *task =
        WFTaskFactory::create_mailbox_task([&](WFMailboxTask *t) { seen = t->user_data; });
    task->start();
    task->send(messages + 2);
    EXPECT_EQ(messages + 2, seen);
}

// Row 26: a named send goes to all under the name, oldest first, and is lost where there is none.
TEST(NamedMailbox, Row26ToAll) {
    Log log;
    EXPECT_EQ(0, WFTaskFactory::send_by_name("row26", messages));
    for (const char *text : {"1", "2", "3"})
        named("row26", &log, text)->start();
    named("row26 other", &log, "x")->start();
    EXPECT_EQ(3, WFTaskFactory::send_by_name("row26", messages));
    EXPECT_EQ("1a 2a 3a ", log.text());
    EXPECT_EQ(0, WFTaskFactory::send_by_name("row26", messages));
    EXPECT_EQ(1, WFTaskFactory::send_by_name("row26 other", NULL));
    EXPECT_EQ("1a 2a 3a x0 ", log.text());
}

// Row 26: or to the first max in the order of creation, whatever the order of starts.
TEST(NamedMailbox, Row26FirstMax) {
    Log log;
    std::vector<WFMailboxTask *> tasks;
    for (const char *text : {"1", "2", "3"})
        tasks.push_back(named("row26", &log, text));
    for (size_t i = tasks.size(); i-- > 0;)
        tasks[i]->start();
    EXPECT_EQ(0, WFTaskFactory::send_by_name("row26", messages, 0));
    EXPECT_EQ(2, WFTaskFactory::send_by_name("row26", messages, 2));
    EXPECT_EQ("1a 2a ", log.text());
    EXPECT_EQ(1, WFTaskFactory::send_by_name("row26", messages + 1, 2));
    EXPECT_EQ("1a 2a 3b ", log.text());
}

// Row 26: the form with an array gives the i-th receiver the i-th message.
TEST(NamedMailbox, Row26EachItsOwn) {
    Log log;
    for (const char *text : {"1", "2", "3"})
        named("row26", &log, text)->start();
    char *const each[] = {messages + 3, messages + 4, messages + 5, messages + 6};
    EXPECT_EQ(2, WFTaskFactory::send_by_name("row26", each, 2));
    EXPECT_EQ("1d 2e ", log.text());
    EXPECT_EQ(1, WFTaskFactory::send_by_name("row26", each, 4));
    EXPECT_EQ("1d 2e 3d ", log.text());

    const char *const constants[] = {messages + 7};
    named("row26", &log, "4")->start();
    EXPECT_EQ(1, WFTaskFactory::send_by_name("row26", constants, 1));
    void *untyped[] = {messages};
    named("row26", &log, "5")->start();
    EXPECT_EQ(1, WFTaskFactory::send_by_name("row26", untyped, 1));
    EXPECT_EQ("1d 2e 3d 4h 5a ", log.text());
}

// Row 26: the name is left when the message was taken, before the start too, and by send().
TEST(NamedMailbox, Row26NameLeavesWithTheMessage) {
    Log log;
    void *box = NULL;
    WFMailboxTask *task = WFTaskFactory::create_mailbox_task(
        "row26", &box, [&](WFMailboxTask *t) { log.add(name_of(*t->get_mailbox())); });
    EXPECT_EQ(1, WFTaskFactory::send_by_name("row26", messages));
    EXPECT_EQ(0, WFTaskFactory::send_by_name("row26", messages + 1));
    EXPECT_EQ("", log.text());
    task->start();
    EXPECT_EQ("a", log.text());
    EXPECT_EQ(messages, box);

    task = named("row26", &log, "-");
    task->send(messages + 2);
    EXPECT_EQ(0, WFTaskFactory::send_by_name("row26", messages));
    task->send(messages + 3); // the latest before the end
    task->start();
    EXPECT_EQ("a-d ", log.text());
}

// Row 26: and with the task.
TEST(NamedMailbox, Row26NameLeavesWithTheTask) {
    WFTaskFactory::create_mailbox_task("row26", nullptr)->dismiss();
    EXPECT_EQ(0, WFTaskFactory::send_by_name("row26", messages));
    SeriesWork *series = Workflow::create_series_work(
        WFTaskFactory::create_counter_task(0, [](WFCounterTask *t) { series_of(t)->cancel(); }),
        nullptr);
    series->push_back(WFTaskFactory::create_mailbox_task("row26", nullptr));
    series->start();
    EXPECT_EQ(0, WFTaskFactory::send_by_name("row26", messages));
}

// Row 26: inside its callback a mailbox may be sent to, in both ways; nothing comes of it.
TEST(NamedMailbox, Row26SentInTheCallback) {
    int calls = 0;
    WFTaskFactory::create_mailbox_task("row26", [&](WFMailboxTask *task) {
        calls++;
        task->send(messages + 1);
        EXPECT_EQ(0, WFTaskFactory::send_by_name("row26", messages + 2));
        EXPECT_EQ(messages, *task->get_mailbox());
    })->start();
    EXPECT_EQ(1, WFTaskFactory::send_by_name("row26", messages));
    EXPECT_EQ(1, calls);
}

// Row 26: what a callback makes under the name is not of this send; what it sends reaches these.
TEST(NamedMailbox, Row26MadeByACallback) {
    Log log;
    WFTaskFactory::create_mailbox_task("row26", [&](WFMailboxTask *) {
        log.add("1 ");
        named("row26", &log, "new")->start();
    })->start();
    WFTaskFactory::create_mailbox_task("row26", [&](WFMailboxTask *) {
        log.add("2 ");
        EXPECT_EQ(1, WFTaskFactory::send_by_name("row26", messages + 1));
    })->start();
    named("row26", &log, "3")->start();
    EXPECT_EQ(3, WFTaskFactory::send_by_name("row26", messages));
    EXPECT_EQ("1 2 newb 3a ", log.text());
}

// Row 26: a callback dismisses a later receiver that was not started, and starts another.
TEST(NamedMailbox, Row26DismissedByAnOlderOne) {
    Log log;
    WFMailboxTask *victim = NULL, *sleeper = NULL;
    WFTaskFactory::create_mailbox_task("row26", [&](WFMailboxTask *) {
        victim->dismiss();
        sleeper->start();
    })->start();
    auto dies = std::make_shared<Obituary>(&log, "gone ");
    victim = WFTaskFactory::create_mailbox_task(
        "row26", [&log, dies](WFMailboxTask *) { log.add("never "); });
    dies.reset();
    sleeper = named("row26", &log, "s");
    EXPECT_EQ(3, WFTaskFactory::send_by_name("row26", messages));
    EXPECT_EQ("gone sa ", log.text());
}

// Row 26: senders, receivers and those who dismiss meet; every message that was counted as taken
// by a started task comes out once.
TEST(NamedMailbox, Row26ManyThreads) {
    const int kTasks = 2000;
    std::atomic<int> calls(0), taken(0), dismissed(0);
    std::atomic<bool> made(false);
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; t++) {
        threads.emplace_back([&, t]() {
            while (!made)
                taken += WFTaskFactory::send_by_name("crowd", messages, t == 0 ? (size_t)-1 : 2);
        });
    }
    for (int i = 0; i < kTasks; i++) {
        WFMailboxTask *task =
            WFTaskFactory::create_mailbox_task("crowd", [&](WFMailboxTask *) { calls++; });
        if (i % 3 == 0) {
            task->dismiss();
            dismissed++;
        } else {
            task->start();
        }
    }
    made = true;
    for (std::thread &thread : threads)
        thread.join();
    taken += WFTaskFactory::send_by_name("crowd", messages);
    EXPECT_EQ(kTasks - dismissed, calls);
    EXPECT_LE(calls, taken);
    EXPECT_EQ(0, WFTaskFactory::send_by_name("crowd", messages));
}

// Row 27: the first message that is not NULL wins, at once; the task is freed after the last.
TEST(Selector, Row27FirstWins) {
    Log log;
    auto dies = std::make_shared<Obituary>(&log, "freed");
    WFSelectorTask *task = WFTaskFactory::create_selector_task(3, [&log, dies](WFSelectorTask *t) {
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
        log.add(name_of(t->get_message()) + " ");
    });
    dies.reset();
    task->start();
    EXPECT_EQ(0, task->submit(NULL));
    EXPECT_EQ(1, task->submit(messages));
    EXPECT_EQ("a ", log.text());
    EXPECT_EQ(0, task->submit(messages + 1));
    EXPECT_EQ("a freed", log.text());
}

// Row 27: decided before the start, it ends inside start(); with nothing but NULL it is an error.
TEST(Selector, Row27BeforeTheStart) {
    void *won = NULL;
    WFSelectorTask *task =
        WFTaskFactory::create_selector_task(1, [&](WFSelectorTask *t) { won = t->get_message(); });
    EXPECT_EQ(1, task->submit(messages));
    EXPECT_EQ(NULL, won);
    task->start();
    EXPECT_EQ(messages, won);

    int state = -1, error = -1;
    task = WFTaskFactory::create_selector_task(2, [&](WFSelectorTask *t) {
        state = t->get_state();
        error = t->get_error();
    });
    EXPECT_EQ(0, task->submit(NULL));
    task->start();
    EXPECT_EQ(-1, state);
    EXPECT_EQ(0, task->submit(NULL));
    EXPECT_EQ(WFT_STATE_SYS_ERROR, state);
    EXPECT_EQ(ENOMSG, error);
}

// Row 28: the task runs when its conditional was both started and signalled, right behind it in
// the series, with the message in its place.
TEST(Conditional, Row28EitherOrder) {
    for (bool signal_first : {true, false}) {
        Log log;
        void *buffer = NULL;
        WFConditional *conditional =
            WFTaskFactory::create_conditional(show(&log, "task ", &buffer), &buffer);
        SeriesWork *series = Workflow::create_series_work(conditional, nullptr);
        series->push_back(show(&log, "next ", &buffer));
        if (signal_first)
            conditional->signal(messages);
        EXPECT_EQ("", log.text());
        series->start();
        if (!signal_first)
            conditional->signal(messages);
        EXPECT_EQ("task a next a ", log.text());
    }
}

// Row 28: one that was never signalled deletes its task.
TEST(Conditional, Row28Dismiss) {
    Log log;
    for (bool has_name : {false, true}) {
        auto dies = std::make_shared<Obituary>(&log, "x");
        SubTask *task = WFTaskFactory::create_counter_task(0, [dies](WFCounterTask *) {});
        dies.reset();
        WFConditional *conditional = has_name ? WFTaskFactory::create_conditional("row28", task)
                                              : WFTaskFactory::create_conditional(task);
        conditional->dismiss();
    }
    EXPECT_EQ("xx", log.text());
    EXPECT_EQ(0, WFTaskFactory::signal_by_name("row28", NULL));
}

// Row 29: signal_by_name() is to conditionals what send_by_name() is to mailboxes.
TEST(NamedConditional, Row29SameAsMailboxes) {
    Log log;
    void *buffers[4] = {NULL, NULL, NULL, NULL};
    auto make = [&](int i) {
        return WFTaskFactory::create_conditional(
            "row29", show(&log, std::to_string(i), &buffers[i]), &buffers[i]);
    };
    EXPECT_EQ(0, WFTaskFactory::signal_by_name("row29", messages));
    for (int i = 0; i < 4; i++)
        make(i)->start();
    EXPECT_EQ(1, WFTaskFactory::signal_by_name("row29", messages, 1));
    EXPECT_EQ("0a ", log.text());
    char *const each[] = {messages + 1, messages + 2};
    EXPECT_EQ(2, WFTaskFactory::signal_by_name("row29", each, 2));
    EXPECT_EQ("0a 1b 2c ", log.text());
    WFConditional *early = make(0);
    EXPECT_EQ(2, WFTaskFactory::signal_by_name("row29", messages + 3));
    EXPECT_EQ("0a 1b 2c 3d ", log.text());
    EXPECT_EQ(0, WFTaskFactory::signal_by_name("row29", messages));
    early->start();
    EXPECT_EQ("0a 1b 2c 3d 0d ", log.text());
}

// Row 29: signal() on the object takes it from under its name; once more does nothing.
TEST(NamedConditional, Row29SignalOnTheObject) {
    Log log;
    void *buffer = NULL;
    WFConditional *conditional =
        WFTaskFactory::create_conditional("row29", show(&log, "", &buffer), &buffer);
    conditional->signal(messages);
    EXPECT_EQ(0, WFTaskFactory::signal_by_name("row29", messages + 1));
    conditional->signal(messages + 2);
    conditional->start();
    EXPECT_EQ("c ", log.text());
}

// Row 29: a wrapped task signals the name again, and makes another under it, while a signal is on
// its way.
TEST(NamedConditional, Row29SignalledByAnOlderOne) {
    Log log;
    void *buffer = NULL;
    SubTask *first = WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) {
        WFTaskFactory::create_conditional("row29", show(&log, "new", &buffer), &buffer)->start();
        EXPECT_EQ(1, WFTaskFactory::signal_by_name("row29", messages + 1));
    });
    WFTaskFactory::create_conditional("row29", first)->start();
    WFTaskFactory::create_conditional("row29", show(&log, "2", &buffer))->start();
    EXPECT_EQ(2, WFTaskFactory::signal_by_name("row29", messages));
    EXPECT_EQ("newb 2b ", log.text());
}

class MessageDeathTest : public ::testing::Test {
protected:
    void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

// Row 1: what was started is not dismissed, whatever it waits for.
TEST_F(MessageDeathTest, Row1DismissAfterStart) {
    WFMailboxTask *mailbox = WFTaskFactory::create_mailbox_task("row1", nullptr);
    mailbox->start();
    EXPECT_DEATH(mailbox->dismiss(), "weft: misuse: dismiss\\(\\) of a task that is in a series");
    EXPECT_EQ(1, WFTaskFactory::send_by_name("row1", NULL));

    WFConditional *conditional =
        WFTaskFactory::create_conditional("row1", WFTaskFactory::create_empty_task());
    conditional->start();
    EXPECT_DEATH(conditional->start(), "weft: misuse: start\\(\\) of a task that is in a series");
    EXPECT_DEATH(conditional->dismiss(), "weft: misuse: dismiss\\(\\)");
    EXPECT_EQ(1, WFTaskFactory::signal_by_name("row1", NULL));
}

// Row 9: a series that is on its way, and waits for a message, cannot be started again.
TEST_F(MessageDeathTest, Row9SeriesStartedTwice) {
    SeriesWork *series =
        Workflow::create_series_work(WFTaskFactory::create_mailbox_task("row9", nullptr), nullptr);
    series->start();
    EXPECT_DEATH(series->start(), "weft: misuse: SeriesWork::start\\(\\) of a series that was");
    EXPECT_DEATH(series->dismiss(), "weft: misuse: SeriesWork::dismiss\\(\\) of a series that was");
    EXPECT_EQ(1, WFTaskFactory::send_by_name("row9", NULL));
}

} // namespace
