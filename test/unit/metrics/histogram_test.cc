// Weft - histograms: buckets, bounds, percentiles
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <gtest/gtest.h>

#include "kernel/metrics.h"
#include "metrics/registry.h"

namespace {

// Each bucket takes its bound, and what is one larger falls into the next.
TEST(HistogramBuckets, BoundsBelongToTheBucketBelow) {
    for (unsigned shift : {0u, 4u, 10u}) {
        uint64_t before = 0;
        for (unsigned i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
            uint64_t bound = histogram_bound(i, shift);
            ASSERT_GT(bound, before);
            ASSERT_EQ(i, histogram_index(before + 1, shift));
            ASSERT_EQ(i, histogram_index(bound, shift));
            ASSERT_EQ(i + 1, histogram_index(bound + 1, shift));
            if (i >= 4) {
                ASSERT_LE(bound - before, before / 4 + 1) << "steps of at most a quarter";
            }
            before = bound;
        }
    }
    EXPECT_EQ(0u, histogram_index(0, 0));
    EXPECT_EQ(0u, histogram_index(0, 10));
    EXPECT_EQ(HISTOGRAM_BUCKETS - 1u, histogram_index(UINT64_MAX, 0));
    EXPECT_EQ(HISTOGRAM_BUCKETS - 1u, histogram_index(UINT64_MAX, 10));
}

TEST(HistogramBuckets, TimesReachFromAMicrosecondToTwoMinutes) {
    EXPECT_EQ(1024u, histogram_bound(0, HISTOGRAM_TIME_SHIFT));
    EXPECT_EQ(uint64_t{1} << 37, histogram_bound(HISTOGRAM_BUCKETS - 2, HISTOGRAM_TIME_SHIFT));
}

wf::HistogramData fill(std::initializer_list<uint64_t> values, wf::MetricUnit unit) {
    uint64_t slots[HISTOGRAM_SLOTS] = {};
    for (uint64_t value : values) {
        slots[0] += value;
        slots[1 + histogram_index(value, wf::detail::histogram_shift(unit))]++;
    }
    return wf::detail::read_histogram(slots, unit);
}

TEST(HistogramData, CountAndSum) {
    wf::HistogramData none = fill({}, wf::MetricUnit::SECONDS);
    EXPECT_EQ(0u, none.count);
    EXPECT_EQ(0, none.sum);
    EXPECT_EQ(0, none.percentile(0.5));
    wf::HistogramData data = fill({1'000'000, 3'000'000}, wf::MetricUnit::SECONDS);
    EXPECT_EQ(2u, data.count);
    EXPECT_DOUBLE_EQ(0.004, data.sum);
    ASSERT_EQ(size_t{HISTOGRAM_BUCKETS}, data.buckets.size());
    EXPECT_TRUE(std::isinf(data.buckets.back().bound));
    EXPECT_TRUE(data.buckets.back().is_power);
    int powers = 0;
    for (const auto &bucket : data.buckets)
        powers += bucket.is_power ? 1 : 0;
    EXPECT_EQ(29, powers);
}

// Within the bucket that the value is in: a quarter at most.
TEST(HistogramData, Percentiles) {
    uint64_t slots[HISTOGRAM_SLOTS] = {};
    for (uint64_t value = 1; value <= 1000; value++)
        slots[1 + histogram_index(value, 0)]++;
    wf::HistogramData data = wf::detail::read_histogram(slots, wf::MetricUnit::NONE);
    for (double p : {0.01, 0.1, 0.5, 0.9, 0.99, 0.999})
        EXPECT_NEAR(p * 1000, data.percentile(p), p * 1000 / 4 + 1) << p;
    EXPECT_GE(data.percentile(1), 1000);
    EXPECT_LE(data.percentile(1), 1024);
}

TEST(HistogramData, WhatIsBeyondIsAtTheLastBound) {
    wf::HistogramData data = fill({UINT64_MAX / 2}, wf::MetricUnit::BYTES);
    EXPECT_EQ(1u, data.buckets.back().count);
    EXPECT_DOUBLE_EQ(std::ldexp(1, 31), data.percentile(0.5));
}

} // namespace
