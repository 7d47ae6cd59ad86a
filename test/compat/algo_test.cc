// Weft - compat: WFAlgoTaskFactory, sorting and other algorithms as tasks
// SPDX-License-Identifier: Apache-2.0
//
// Row 50 of the behaviour table, and the list of the factory's functions.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "workflow/WFAlgoTaskFactory.h"

#include "support.h"

using compat::Event;
using compat::Log;

namespace {

// Starts the task that make(callback) makes, and waits for it. The callback sees the task first.
template <class TASK>
void run(TASK *task, std::function<void(TASK *)> look = nullptr) {
    Event ended;
    task->set_callback([&](TASK *t) {
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
        EXPECT_EQ(0, t->get_error());
        if (look)
            look(t);
        ended.set();
    });
    task->start();
    ASSERT_TRUE(ended.wait());
}

std::vector<int> random_numbers(size_t n, int distinct) {
    std::mt19937 generator(static_cast<unsigned>(n) * 31 + static_cast<unsigned>(distinct));
    std::vector<int> numbers(n);
    for (int &number : numbers)
        number = static_cast<int>(generator() % static_cast<unsigned>(distinct));
    return numbers;
}

// Orders that are known to be hard for somebody.
std::vector<std::vector<int>> hard_orders(size_t n) {
    std::vector<std::vector<int>> all;
    std::vector<int> rising(n);
    std::iota(rising.begin(), rising.end(), 0);
    all.push_back(rising);
    all.emplace_back(rising.rbegin(), rising.rend());
    all.emplace_back(n, 7);
    std::vector<int> organ(rising);
    for (size_t i = 0; i < n; i++)
        organ[i] = static_cast<int>(std::min(i, n - i));
    all.push_back(organ);
    std::vector<int> saw(rising);
    for (int &number : saw)
        number %= 1000;
    all.push_back(saw);
    std::vector<int> nearly(rising);
    if (n > 1)
        std::swap(nearly.front(), nearly.back());
    all.push_back(nearly);
    std::vector<int> few_low(n, 9); // nearly all are the greatest
    for (size_t i = 0; i < n; i += 100)
        few_low[i] = 3;
    all.push_back(few_low);
    all.push_back(random_numbers(n, 2));
    all.push_back(random_numbers(n, 100));
    all.push_back(random_numbers(n, 1 << 30));
    return all;
}

TEST(Algo, Sort) {
    std::vector<int> numbers = random_numbers(1000, 500), expected = numbers;
    std::sort(expected.begin(), expected.end());
    int *first = numbers.data(), *last = first + numbers.size();
    run<WFSortTask<int>>(WFAlgoTaskFactory::create_sort_task("q", first, last, nullptr),
                         [&](WFSortTask<int> *task) {
                             EXPECT_EQ(first, task->get_output()->first);
                             EXPECT_EQ(last, task->get_output()->last);
                             EXPECT_EQ(first, task->get_input()->first);
                         });
    EXPECT_EQ(expected, numbers);
    run(WFAlgoTaskFactory::create_sort_task("q", first, last, std::greater<int>(), nullptr));
    EXPECT_TRUE(std::is_sorted(numbers.rbegin(), numbers.rend()));
}

// The callback may be given to the factory, as a lambda or as a std::function.
TEST(Algo, CallbackOfTheFactory) {
    int numbers[] = {2, 1};
    Event ended;
    WFAlgoTaskFactory::create_sort_task("q", numbers, numbers + 2, [&](WFSortTask<int> *) {
        ended.set();
    })->start();
    ASSERT_TRUE(ended.wait());
    sort_callback_t<int> callback = [&](WFSortTask<int> *) { ended.set(); };
    WFAlgoTaskFactory::create_psort_task("q", numbers, numbers + 2, std::less<int>(), callback)
        ->start();
    ASSERT_TRUE(ended.wait(2));
    EXPECT_EQ(1, numbers[0]);
}

// Of no elements, of one, of some, and of so many that the work is shared.
TEST(Algo, PsortOrders) {
    for (int count : {0, 1, 2, 3, 31, 100, 4095, 4097, 200000}) {
        size_t n = static_cast<size_t>(count);
        for (std::vector<int> numbers : hard_orders(n)) {
            std::vector<int> expected = numbers;
            std::sort(expected.begin(), expected.end());
            int *first = numbers.data(), *last = first + n;
            run<WFSortTask<int>>(WFAlgoTaskFactory::create_psort_task("q", first, last, nullptr),
                                 [&](WFSortTask<int> *task) {
                                     EXPECT_EQ(first, task->get_input()->first);
                                     EXPECT_EQ(last, task->get_input()->last);
                                     EXPECT_EQ(first, task->get_output()->first);
                                     EXPECT_EQ(last, task->get_output()->last);
                                 });
            ASSERT_EQ(expected, numbers) << n;
        }
    }
}

TEST(Algo, PsortCompare) {
    std::vector<int> numbers = random_numbers(100000, 1000);
    std::function<bool(int, int)> by_last_digit = [](int a, int b) { return a % 10 < b % 10; };
    run(WFAlgoTaskFactory::create_psort_task("q", numbers.data(), numbers.data() + numbers.size(),
                                             by_last_digit, nullptr));
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end(), by_last_digit));
}

// Elements that can only be moved.
TEST(Algo, PsortMoveOnly) {
    typedef std::unique_ptr<int> Box;
    std::vector<Box> boxes;
    for (int number : random_numbers(50000, 3000))
        boxes.emplace_back(new int(number));
    auto less = [](const Box &a, const Box &b) { return *a < *b; };
    run(WFAlgoTaskFactory::create_psort_task("q", boxes.data(), boxes.data() + boxes.size(), less,
                                             nullptr));
    EXPECT_TRUE(std::is_sorted(boxes.begin(), boxes.end(), less));
}

// Large elements, and such that own memory.
struct Large {
    int key;
    char room[500];
    bool operator<(const Large &other) const { return key < other.key; }
};

TEST(Algo, PsortLarge) {
    std::vector<Large> all(20000);
    std::vector<int> keys = random_numbers(all.size(), 1 << 20);
    for (size_t i = 0; i < all.size(); i++) {
        all[i].key = keys[i];
        all[i].room[0] = static_cast<char>(keys[i] & 0x7f);
    }
    run(WFAlgoTaskFactory::create_psort_task("q", all.data(), all.data() + all.size(), nullptr));
    EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
    for (const Large &large : all)
        ASSERT_EQ(static_cast<char>(large.key & 0x7f), large.room[0]);

    std::vector<std::string> texts;
    for (int key : keys)
        texts.push_back("a text that is too long to stand in place " + std::to_string(key));
    std::vector<std::string> expected = texts;
    std::sort(expected.begin(), expected.end());
    run(WFAlgoTaskFactory::create_psort_task("q", texts.data(), texts.data() + texts.size(),
                                             nullptr));
    EXPECT_EQ(expected, texts);
}

// A range whose ends are swapped is empty.
TEST(Algo, EndsSwapped) {
    int numbers[] = {3, 1, 2};
    auto look = [&](WFSortTask<int> *task) { EXPECT_EQ(numbers + 3, task->get_output()->last); };
    run<WFSortTask<int>>(WFAlgoTaskFactory::create_psort_task("q", numbers + 3, numbers, nullptr),
                         look);
    run<WFSortTask<int>>(WFAlgoTaskFactory::create_sort_task("q", numbers + 3, numbers, nullptr),
                         look);
    EXPECT_EQ(3, numbers[0]);
}

// Row 6: a cancel of the series leaves a sort that runs alone.
TEST(Algo, PsortInACanceledSeries) {
    std::vector<int> numbers = random_numbers(100000, 1 << 30);
    Event ended;
    SeriesWork *series = NULL;
    std::atomic<bool> canceled(false);
    WFSortTask<int> *task = WFAlgoTaskFactory::create_psort_task(
        "q", numbers.data(), numbers.data() + numbers.size(),
        [&](int a, int b) {
            if (!canceled.exchange(true))
                series->cancel();
            return a < b;
        },
        [&](WFSortTask<int> *t) { EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state()); });
    series = Workflow::create_series_work(task, [&](const SeriesWork *) { ended.set(); });
    series->start();
    ASSERT_TRUE(ended.wait());
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
}

// What a comparator throws ends the task, and nothing else.
TEST(Algo, PsortThrows) {
    std::vector<int> numbers = random_numbers(100000, 1 << 30), before = numbers;
    std::atomic<int> calls(0);
    Event ended;
    WFAlgoTaskFactory::create_psort_task(
        "q", numbers.data(), numbers.data() + numbers.size(),
        [&](int a, int b) {
            if (++calls == 300000)
                throw 1;
            return a < b;
        },
        [&](WFSortTask<int> *t) {
            EXPECT_EQ(WFT_STATE_TASK_ERROR, t->get_state());
            EXPECT_EQ(WFT_ERR_TASK_EXCEPTION, t->get_error());
            ended.set();
        })
        ->start();
    ASSERT_TRUE(ended.wait());
}

TEST(Algo, PsortDismissed) {
    int numbers[] = {2, 1};
    WFAlgoTaskFactory::create_psort_task("q", numbers, numbers + 2, nullptr)->dismiss();
    EXPECT_EQ(2, numbers[0]);
}

// Row 50: body and callback run on the same compute thread.
TEST(Algo, Row50OneThread) {
    std::thread::id sorted_on, called_on;
    int numbers[] = {2, 1};
    Event ended;
    WFAlgoTaskFactory::create_psort_task(
        "q", numbers, numbers + 2,
        [&](int a, int b) {
            sorted_on = std::this_thread::get_id();
            return a < b;
        },
        [&](WFSortTask<int> *) {
            called_on = std::this_thread::get_id();
            ended.set();
        })
        ->start();
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(sorted_on, called_on);
    EXPECT_NE(std::this_thread::get_id(), called_on);
}

TEST(Algo, Merge) {
    int a[] = {1, 4, 6}, b[] = {2, 4, 9, 11}, to[7] = {};
    run<WFMergeTask<int>>(
        WFAlgoTaskFactory::create_merge_task("q", a, a + 3, b, b + 4, to, nullptr),
        [&](WFMergeTask<int> *task) {
            EXPECT_EQ(to, task->get_output()->first);
            EXPECT_EQ(to + 7, task->get_output()->last);
            EXPECT_EQ(b + 4, task->get_input()->last2);
        });
    EXPECT_EQ((std::vector<int>{1, 2, 4, 4, 6, 9, 11}), std::vector<int>(to, to + 7));

    std::reverse(a, a + 3);
    std::reverse(b, b + 4);
    run(WFAlgoTaskFactory::create_merge_task("q", a, a + 3, b, b + 4, to, std::greater<int>(),
                                             nullptr));
    EXPECT_EQ((std::vector<int>{11, 9, 6, 4, 4, 2, 1}), std::vector<int>(to, to + 7));
    run<WFMergeTask<int>>(WFAlgoTaskFactory::create_merge_task("q", a, a, b, b, to, nullptr),
                          [&](WFMergeTask<int> *task) { EXPECT_EQ(to, task->get_output()->last); });
}

TEST(Algo, MergeMoveOnly) {
    typedef std::unique_ptr<int> Box;
    Box a[1], b[1], to[2];
    a[0].reset(new int(2));
    b[0].reset(new int(1));
    run(WFAlgoTaskFactory::create_merge_task(
        "q", a, a + 1, b, b + 1, to, [](const Box &x, const Box &y) { return *x < *y; }, nullptr));
    EXPECT_EQ(1, *to[0]);
    EXPECT_EQ(2, *to[1]);
}

TEST(Algo, Shuffle) {
    std::vector<int> numbers(1000);
    std::iota(numbers.begin(), numbers.end(), 0);
    std::vector<int> sorted = numbers, once;
    int *first = numbers.data(), *last = first + numbers.size();
    run<WFShuffleTask<int>>(
        WFAlgoTaskFactory::create_shuffle_task("q", first, last, nullptr),
        [&](WFShuffleTask<int> *task) { EXPECT_EQ(last, task->get_output()->last); });
    EXPECT_NE(sorted, numbers);
    once = numbers;
    EXPECT_TRUE(std::is_permutation(once.begin(), once.end(), sorted.begin()));
    numbers = sorted;
    run(WFAlgoTaskFactory::create_shuffle_task("q", first, last, nullptr));
    EXPECT_NE(once, numbers); // another generator

    for (std::vector<int> *to : {&once, &numbers}) {
        *to = sorted;
        run(WFAlgoTaskFactory::create_shuffle_task("q", to->data(), to->data() + to->size(),
                                                   std::mt19937(5), nullptr));
    }
    EXPECT_EQ(once, numbers);
}

TEST(Algo, RemoveAndUnique) {
    int numbers[] = {1, 1, 2, 1, 3, 3, 1};
    run<WFRemoveTask<int>>(
        WFAlgoTaskFactory::create_remove_task("q", numbers, numbers + 7, 3, nullptr),
        [&](WFRemoveTask<int> *task) {
            EXPECT_EQ(numbers + 5, task->get_output()->last);
            EXPECT_EQ(numbers + 7, task->get_input()->last);
            EXPECT_EQ(3, task->get_input()->value);
        });
    EXPECT_EQ((std::vector<int>{1, 1, 2, 1, 1}), std::vector<int>(numbers, numbers + 5));
    run<WFUniqueTask<int>>(
        WFAlgoTaskFactory::create_unique_task("q", numbers, numbers + 5, nullptr),
        [&](WFUniqueTask<int> *task) { EXPECT_EQ(numbers + 3, task->get_output()->last); });
    EXPECT_EQ((std::vector<int>{1, 2, 1}), std::vector<int>(numbers, numbers + 3));
}

TEST(Algo, ReverseAndRotate) {
    std::vector<int> numbers = {1, 2, 3, 4, 5};
    int *first = numbers.data(), *last = first + 5;
    run<WFReverseTask<int>>(
        WFAlgoTaskFactory::create_reverse_task("q", first, last, nullptr),
        [&](WFReverseTask<int> *task) { EXPECT_EQ(last, task->get_output()->last); });
    EXPECT_EQ((std::vector<int>{5, 4, 3, 2, 1}), numbers);
    run<WFRotateTask<int>>(
        WFAlgoTaskFactory::create_rotate_task("q", first, first + 2, last, nullptr),
        [&](WFRotateTask<int> *task) {
            EXPECT_EQ(first, task->get_output()->first);
            EXPECT_EQ(last, task->get_output()->last);
        });
    EXPECT_EQ((std::vector<int>{3, 2, 1, 5, 4}), numbers);
    // A middle that is not inside turns nothing.
    run(WFAlgoTaskFactory::create_rotate_task("q", first, last, last, nullptr));
    run(WFAlgoTaskFactory::create_rotate_task("q", first, first, last, nullptr));
    EXPECT_EQ((std::vector<int>{3, 2, 1, 5, 4}), numbers);
}

// The names that are only declared.
TEST(Algo, Reduce) {
    algorithm::ReduceInput<> pairs;
    pairs.emplace_back("key", "value");
    algorithm::ReduceOutput<std::string, int> sums;
    sums.emplace_back("key", 1);
    EXPECT_EQ("key", pairs[0].first);
}

} // namespace
