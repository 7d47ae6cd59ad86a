// Weft - the blocks of the threads: sums over those that live and those that have ended
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <latch>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernel/metrics.h"

namespace {

constexpr unsigned SLOT = METRIC_DATAGRAMS_DROPPED; // nothing here sends datagrams

uint64_t sum(unsigned slot) {
    uint64_t value;
    metrics_sum(slot, 1, &value);
    return value;
}

TEST(Blocks, EachThreadHasItsOwn) {
    metric_inc(SLOT);
    metrics_block *mine = *sys_metrics();
    ASSERT_NE(nullptr, mine);
    metrics_block *other = nullptr;
    std::thread([&] {
        EXPECT_EQ(nullptr, *sys_metrics());
        metric_inc(SLOT);
        other = *sys_metrics();
    }).join();
    EXPECT_NE(nullptr, other);
    EXPECT_NE(mine, other);
    EXPECT_EQ(mine, *sys_metrics());
}

TEST(Blocks, SumsOverThreadsThatLiveAndThatHaveEnded) {
    constexpr int THREADS = 8;
    constexpr uint64_t TIMES = 1000;
    uint64_t before = sum(SLOT);
    std::latch counted(THREADS), looked(1);
    std::vector<std::thread> threads;
    for (int i = 0; i < THREADS; i++)
        threads.emplace_back([&] {
            for (uint64_t n = 0; n < TIMES; n++)
                metric_inc(SLOT);
            counted.count_down();
            looked.wait();
        });
    counted.wait();
    EXPECT_EQ(before + THREADS * TIMES, sum(SLOT)) << "they live";
    looked.count_down();
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(before + THREADS * TIMES, sum(SLOT)) << "they have ended";
}

TEST(Blocks, WhatOneThreadAddsAnotherMayTakeAway) {
    uint64_t before = sum(SLOT);
    metric_add(SLOT, 5);
    std::thread([] {
        for (int i = 0; i < 7; i++)
            metric_dec(SLOT);
    }).join();
    EXPECT_EQ(-2, static_cast<int64_t>(sum(SLOT) - before));
    metric_add(SLOT, 2);
    EXPECT_EQ(before, sum(SLOT));
}

// Counts once more when its block is gone already.
struct LateCounter {
    ~LateCounter() { metric_inc(SLOT); }
};

TEST(Blocks, AThreadMayCountAtItsVeryEnd) {
    uint64_t before = sum(SLOT);
    std::thread([] {
        thread_local LateCounter late;
        (void)&late;
        metric_inc(SLOT);
    }).join();
    EXPECT_EQ(before + 2, sum(SLOT));
}

TEST(Blocks, AnEndedThreadCountsOnInANewBlock) {
    uint64_t before = sum(SLOT);
    std::thread([] {
        metric_inc(SLOT);
        metrics_block *block = *sys_metrics();
        metrics_take_back(block);
        sys_at_thread_end(nullptr);
        EXPECT_EQ(nullptr, *sys_metrics());
        metric_inc(SLOT);
        EXPECT_NE(nullptr, *sys_metrics());
    }).join();
    EXPECT_EQ(before + 2, sum(SLOT));
}

TEST(Blocks, CountingChangesNoErrno) {
    std::thread([] {
        errno = EBUSY;
        metric_inc(SLOT);
        EXPECT_EQ(EBUSY, errno);
    }).join();
}

TEST(Blocks, PagesAreNumberedBehindTheFixedSlots) {
    EXPECT_EQ(unsigned{METRIC_SLOTS}, metric_slot(0, 0));
    EXPECT_EQ(unsigned{METRIC_SLOTS} + 2 * METRIC_PAGE + 3, metric_slot(2, 3));
    EXPECT_FALSE(metrics_provide(METRIC_PAGES));
    // The last, which no program comes to.
    constexpr unsigned PAGE = METRIC_PAGES - 1;
    ASSERT_TRUE(metrics_provide(PAGE));
    ASSERT_TRUE(metrics_provide(PAGE)) << "it is there already";
    unsigned slot = metric_slot(PAGE, METRIC_PAGE - 1);
    uint64_t before = sum(slot);
    std::thread([&] { metric_add_far(slot, 3); }).join();
    metric_add_far(slot, 4);
    EXPECT_EQ(before + 7, sum(slot));
    EXPECT_EQ(0u, sum(slot - 1));
}

// For ThreadSanitizer above all: readers, and threads that come and go.
TEST(Blocks, ReadWhileThreadsCount) {
    constexpr int THREADS = 4, ROUNDS = 20;
    constexpr uint64_t TIMES = 500;
    uint64_t before = sum(SLOT), last = before;
    std::atomic<int> left{THREADS};
    std::vector<std::thread> threads;
    for (int i = 0; i < THREADS; i++)
        threads.emplace_back([&] {
            for (int round = 0; round < ROUNDS; round++)
                std::thread([] {
                    for (uint64_t n = 0; n < TIMES; n++)
                        metric_inc(SLOT);
                }).join();
            left--;
        });
    while (left > 0) {
        uint64_t now = sum(SLOT);
        EXPECT_GE(now, last) << "what was counted is never missing, not even for a moment";
        last = now;
    }
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(before + THREADS * ROUNDS * TIMES, sum(SLOT));
}

} // namespace
