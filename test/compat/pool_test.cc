// Weft - compat: WFResourcePool and WFMessageQueue
// SPDX-License-Identifier: Apache-2.0
//
// Rows 32 and 33 of the behaviour table.

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "workflow/WFAlgoTaskFactory.h"
#include "workflow/WFMessageQueue.h"
#include "workflow/WFResourcePool.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "support.h"

using compat::Event;
using compat::Log;
using compat::Obituary;

namespace {

char things[8];

void *thing(int i) { return &things[i]; }

std::string name_of(void *which) {
    return which ? std::to_string(static_cast<char *>(which) - things) : "N";
}

// A waiter that writes what it was given.
struct Waiter {
    Waiter(Log *log_in, const std::string &text_in) : log(log_in), text(text_in), got(NULL) {}

    WFCounterTask *task() {
        return WFTaskFactory::create_counter_task(
            0, [this](WFCounterTask *) { log->add(text + name_of(got) + " "); });
    }

    Log *log;
    std::string text;
    void *got;
};

void *take(WFResourcePool *pool) {
    void *got = NULL;
    bool ran = false;
    pool->get(WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { ran = true; }), &got)
        ->start();
    EXPECT_TRUE(ran);
    return got;
}

// Row 32: in the order of the array at first, then what was posted last comes first.
TEST(ResourcePool, Row32Order) {
    void *all[] = {thing(0), thing(1), thing(2), thing(3)};
    WFResourcePool pool(all, 4);
    all[0] = NULL; // the array is copied
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(thing(i), take(&pool));
    pool.post(thing(3));
    pool.post(thing(1));
    EXPECT_EQ(thing(1), take(&pool));
    EXPECT_EQ(thing(3), take(&pool));
}

// Row 32: who waits is served in the order of the starts, and gets what is posted straight away.
TEST(ResourcePool, Row32Waiters) {
    Log log;
    WFResourcePool pool(1);
    Waiter a(&log, "a"), b(&log, "b"), c(&log, "c");
    WFConditional *of_a = pool.get(a.task(), &a.got);
    EXPECT_EQ(NULL, take(&pool));
    pool.get(b.task(), &b.got)->start();
    of_a->start();
    pool.get(c.task(), &c.got)->start();
    EXPECT_EQ("", log.text());
    pool.post(thing(5));
    EXPECT_EQ("b5 ", log.text());
    pool.post(thing(6));
    pool.post(thing(7));
    EXPECT_EQ("b5 a6 c7 ", log.text());
    pool.post(thing(5));
    EXPECT_EQ(thing(5), take(&pool));
}

// Row 32: post() runs the waiter on its own thread.
TEST(ResourcePool, Row32OnThePostingThread) {
    std::thread::id ran_on;
    WFResourcePool pool(1);
    take(&pool);
    pool.get(WFTaskFactory::create_counter_task(
                 0, [&](WFCounterTask *) { ran_on = std::this_thread::get_id(); }))
        ->start();
    std::thread thread([&] { pool.post(NULL); });
    std::thread::id expected = thread.get_id();
    thread.join();
    EXPECT_EQ(expected, ran_on);
}

// Row 32: a waiter that is dismissed, or whose series was canceled, takes nothing.
TEST(ResourcePool, Row32NothingIsLost) {
    Log log;
    void *one = thing(1);
    WFResourcePool pool(&one, 1);
    auto dies = std::make_shared<Obituary>(&log, "x ");
    WFConditional *dismissed =
        pool.get(WFTaskFactory::create_counter_task(0, [dies](WFCounterTask *) {}));
    dies.reset();
    dismissed->dismiss();
    EXPECT_EQ("x ", log.text());
    EXPECT_EQ(thing(1), take(&pool));

    Waiter a(&log, "a"), b(&log, "b");
    SeriesWork *canceled = Workflow::create_series_work(
        pool.get(a.task(), &a.got), [&](const SeriesWork *) { log.add("canceled "); });
    canceled->start();
    canceled->cancel();
    pool.get(b.task(), &b.got)->start();
    pool.post(thing(2));
    EXPECT_EQ("x canceled b2 ", log.text());

    canceled = Workflow::create_series_work(pool.get(a.task(), &a.got), nullptr);
    canceled->start();
    canceled->cancel();
    pool.post(thing(3)); // nobody but the canceled one waits
    EXPECT_EQ(thing(3), take(&pool));
    EXPECT_EQ("x canceled b2 ", log.text());
}

// Row 32: a pool of none is one that everybody waits for.
TEST(ResourcePool, Row32Empty) {
    Log log;
    WFResourcePool pool(NULL, 0);
    Waiter a(&log, "a");
    pool.get(a.task(), &a.got)->start();
    pool.post(thing(1));
    EXPECT_EQ("a1 ", log.text());
}

class ResourcePoolDeathTest : public ::testing::Test {
protected:
    void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

// Row 32: posting more than was taken cannot be harmless: two tasks would share one resource.
TEST_F(ResourcePoolDeathTest, Row32PostedTooOften) {
    EXPECT_DEATH(
        {
            WFResourcePool pool(1);
            pool.post(NULL);
        },
        "weft: misuse: WFResourcePool::post\\(\\) of more resources than the pool was made with");
}

TEST_F(ResourcePoolDeathTest, WithoutATask) {
    EXPECT_DEATH(
        {
            WFResourcePool pool(1);
            pool.get(NULL);
        },
        "weft: misuse: a guard, or get\\(\\) of a pool or queue, without a task");
}

// A derived pool that gives the smallest first, and looks at the public numbers.
class Smallest : public WFResourcePool {
public:
    Smallest() : WFResourcePool(0) { this->data.value = 3; }

    long value() {
        std::lock_guard<std::mutex> lock(this->data.mutex);
        return this->data.value;
    }

protected:
    void *pop() override {
        void *first = *free_.begin();
        free_.erase(free_.begin());
        return first;
    }
    void push(void *res) override { free_.insert(res); }

private:
    std::set<void *> free_ = {thing(0), thing(1), thing(2)};
};

TEST(ResourcePool, Row32Derived) {
    Log log;
    Smallest pool;
    EXPECT_EQ(3, pool.value());
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(thing(i), take(&pool));
    pool.post(thing(1));
    pool.post(thing(0));
    EXPECT_EQ(2, pool.value());
    EXPECT_EQ(thing(0), take(&pool));
    EXPECT_EQ(thing(1), take(&pool));
    Waiter a(&log, "a");
    pool.get(a.task(), &a.got)->start();
    EXPECT_EQ(-1, pool.value());
    pool.post(thing(2));
    EXPECT_EQ(0, pool.value());
    EXPECT_EQ("a2 ", log.text());
}

// Row 32: never more under way than there are resources, and none is given to two.
TEST(ResourcePool, Row32ManyThreads) {
    const int kTasks = 3000;
    struct Place {
        std::atomic<int> inside;
    };
    Place places[3] = {{{0}}, {{0}}, {{0}}};
    void *all[3] = {&places[0], &places[1], &places[2]};
    WFResourcePool pool(all, 3);
    std::atomic<int> clashes(0);
    Event ended;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; t++) {
        threads.emplace_back([&] {
            for (int i = 0; i < kTasks / 3; i++) {
                WFGoTask *task = WFTaskFactory::create_go_task("row32", nullptr);
                void **place = new void *(NULL);
                WFTaskFactory::reset_go_task(task, [place, &clashes] {
                    Place *mine = static_cast<Place *>(*place);
                    clashes += ++mine->inside != 1;
                    mine->inside--;
                });
                task->set_callback([place, &pool, &ended](WFGoTask *) {
                    void *res = *place;
                    delete place;
                    pool.post(res);
                    ended.set();
                });
                pool.get(task, place)->start();
            }
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    ASSERT_TRUE(ended.wait(kTasks));
    EXPECT_EQ(0, clashes);
}

// Row 33: first in, first out, and no limit.
TEST(MessageQueue, Row33Order) {
    Log log;
    WFMessageQueue queue;
    for (int i = 0; i < 4; i++)
        queue.post(thing(i));
    for (int i = 0; i < 4; i++) {
        Waiter a(&log, "");
        queue.get(a.task(), &a.got)->start();
    }
    EXPECT_EQ("0 1 2 3 ", log.text());
    for (int i = 0; i < 100000; i++)
        queue.post(NULL); // left in it at its end
}

// Row 33: who waits is served in the order of the starts, on the posting thread.
TEST(MessageQueue, Row33Waiters) {
    Log log;
    WFMessageQueue queue;
    Waiter a(&log, "a"), b(&log, "b");
    WFConditional *of_a = queue.get(a.task(), &a.got);
    queue.get(b.task(), &b.got)->start();
    of_a->start();
    queue.post(thing(1));
    queue.post(NULL); // a message like another
    EXPECT_EQ("b1 aN ", log.text());
    queue.post(thing(3));
    EXPECT_EQ("b1 aN ", log.text());

    std::thread::id ran_on;
    WFMessageQueue other;
    WFCounterTask *task = WFTaskFactory::create_counter_task(
        0, [&](WFCounterTask *) { ran_on = std::this_thread::get_id(); });
    other.get(task)->start();
    std::thread thread([&] { other.post(NULL); });
    std::thread::id expected = thread.get_id();
    thread.join();
    EXPECT_EQ(expected, ran_on);
}

// Row 33: a waiter that is dismissed, or whose series was canceled, takes no message.
TEST(MessageQueue, Row33NothingIsLost) {
    Log log;
    WFMessageQueue queue;
    Waiter a(&log, "a"), b(&log, "b");
    queue.get(a.task(), &a.got)->dismiss();
    SeriesWork *canceled = Workflow::create_series_work(queue.get(a.task(), &a.got), nullptr);
    canceled->start();
    canceled->cancel();
    queue.post(thing(1));
    EXPECT_EQ("", log.text());
    queue.get(b.task(), &b.got)->start();
    EXPECT_EQ("b1 ", log.text());
}

// Row 33: a loop of its own: the task that takes a message waits for the next.
TEST(MessageQueue, Row33Consumer) {
    Log log;
    WFMessageQueue queue;
    void *got = NULL;
    std::function<SubTask *(WFRepeaterTask *)> next = [&](WFRepeaterTask *) -> SubTask * {
        if (got == thing(7))
            return NULL;
        return queue.get(
            WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { log.add(name_of(got)); }),
            &got);
    };
    WFTaskFactory::create_repeater_task(next, [&](WFRepeaterTask *) { log.add("|"); })->start();
    for (int i = 3; i < 8; i++)
        queue.post(thing(i));
    EXPECT_EQ("34567|", log.text());
}

// A derived queue that keeps only its entries elsewhere: the last first.
class Stack : public WFMessageQueue {
protected:
    void *pop() override {
        void *msg = stack_.back();
        stack_.pop_back();
        return msg;
    }
    void push(void *msg) override { stack_.push_back(msg); }

private:
    std::vector<void *> stack_;
};

// A derived queue that puts some messages in front, in the base's own list.
class Urgent : public WFMessageQueue {
protected:
    void push(void *msg) override {
        if (msg != thing(7)) {
            WFMessageQueue::push(msg);
            return;
        }
        MessageEntry *entry = new MessageEntry;
        entry->msg = msg;
        list_add(&entry->list, &this->data.msg_list);
    }
};

template <class QUEUE>
std::string drained(QUEUE *queue, std::vector<int> posted) {
    Log log;
    for (int i : posted)
        queue->post(thing(i));
    for (size_t i = 0; i < posted.size(); i++) {
        Waiter a(&log, "");
        queue->get(a.task(), &a.got)->start();
    }
    return log.text();
}

TEST(MessageQueue, Row33Derived) {
    Stack stack;
    EXPECT_EQ("3 2 1 ", drained(&stack, {1, 2, 3}));
    Urgent urgent;
    EXPECT_EQ("7 1 2 ", drained(&urgent, {1, 2, 7}));
}

// Row 33: each message to one.
TEST(MessageQueue, Row33ManyThreads) {
    const int kEach = 2000;
    WFMessageQueue queue;
    std::atomic<long> sum(0);
    Event got_one;
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; t++) {
        threads.emplace_back([&, t] {
            for (long i = 0; i < kEach; i++) {
                if (t == 0) {
                    queue.post(reinterpret_cast<void *>(i));
                    continue;
                }
                void **place = new void *(NULL);
                queue
                    .get(WFTaskFactory::create_counter_task(
                             0,
                             [place, &sum, &got_one](WFCounterTask *) {
                                 sum += reinterpret_cast<long>(*place);
                                 delete place;
                                 got_one.set();
                             }),
                         place)
                    ->start();
            }
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    ASSERT_TRUE(got_one.wait(kEach));
    EXPECT_EQ(kEach * (kEach - 1L) / 2, sum);
}

// Row 8: a parallel of everything that can wait is dismissed: all is deleted, nothing is called,
// and no name, resource or message is missing afterwards.
TEST(Dismiss, Row8EverythingThatWaits) {
    Log log;
    auto dies = std::make_shared<Obituary>(&log, "x");
    auto wrapped = [&log, &dies] {
        auto held = dies;
        return WFTaskFactory::create_counter_task(
            0, [&log, held](WFCounterTask *) { log.add("never"); });
    };
    int numbers[] = {2, 1};
    WFResourcePool pool(1);
    WFMessageQueue queue;
    queue.post(thing(1));
    SubTask *all[] = {
        WFTaskFactory::create_mailbox_task("row8", [dies](WFMailboxTask *) {}),
        WFTaskFactory::create_conditional("row8", wrapped()),
        WFTaskFactory::create_guard("row8", wrapped()),
        WFTaskFactory::create_counter_task("row8", 1, [dies](WFCounterTask *) {}),
        WFTaskFactory::create_selector_task(2, [dies](WFSelectorTask *) {}),
        WFTaskFactory::create_guard("row8", pool.get(wrapped())),
        queue.get(wrapped()),
        WFAlgoTaskFactory::create_psort_task("q", numbers, numbers + 2,
                                             [dies](WFSortTask<int> *) {}),
    };
    dies.reset();
    ParallelWork *parallel = Workflow::create_parallel_work(nullptr);
    for (SubTask *task : all)
        parallel->add_series(Workflow::create_series_work(task, nullptr));
    parallel->dismiss();
    EXPECT_EQ("x", log.text());
    EXPECT_EQ(0, WFTaskFactory::send_by_name("row8", NULL));
    EXPECT_EQ(0, WFTaskFactory::signal_by_name("row8", NULL));
    EXPECT_EQ(0, WFTaskFactory::count_by_name("row8"));
    EXPECT_EQ(0, WFTaskFactory::release_guard("row8", NULL));
    EXPECT_EQ(NULL, take(&pool));
    Waiter a(&log, " got");
    queue.get(a.task(), &a.got)->start();
    EXPECT_EQ("x got1 ", log.text());
}

} // namespace
