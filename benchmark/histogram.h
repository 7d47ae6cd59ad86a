// Weft - a histogram of times, for the benchmark programs
// SPDX-License-Identifier: Apache-2.0
//
// Buckets grow with the value: 64 of them between a power of two and the next, so a percentile is
// right to within 1.6 %. One thread fills a histogram; merge when the threads have ended.
#ifndef WEFT_BENCHMARK_HISTOGRAM_H
#define WEFT_BENCHMARK_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 64 * 40 };

struct histogram {
    uint64_t count;
    int64_t max_ns;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

// Values below 64 have a bucket each; above, the six bits behind the leading one choose.
static inline unsigned histogram_bucket(int64_t ns) {
    uint64_t value = ns > 0 ? (uint64_t)ns : 0;
    unsigned top, bucket;

    if (value < 64) {
        return (unsigned)value;
    }
    top = 63U - (unsigned)__builtin_clzll(value);
    bucket = (top - 5) * 64 + (unsigned)((value >> (top - 6)) & 63);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

// The middle of a bucket, in microseconds.
static inline double histogram_value_us(unsigned bucket) {
    if (bucket < 64) {
        return (double)bucket / 1e3;
    }
    return ((double)((uint64_t)(64 + bucket % 64) << (bucket / 64 - 1)) +
            (double)(1ULL << (bucket / 64 - 1)) / 2) /
           1e3;
}

static inline void histogram_add(struct histogram *h, int64_t ns) {
    h->count++;
    h->bucket[histogram_bucket(ns)]++;
    if (ns > h->max_ns) {
        h->max_ns = ns;
    }
}

static inline void histogram_merge(struct histogram *into, const struct histogram *from) {
    into->count += from->count;
    if (from->max_ns > into->max_ns) {
        into->max_ns = from->max_ns;
    }
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        into->bucket[i] += from->bucket[i];
    }
}

// The value below which the share (0 to 1) of the samples lies, in microseconds; 0 without any.
static inline double histogram_percentile_us(const struct histogram *h, double share) {
    uint64_t rank = (uint64_t)((double)h->count * share), seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen > rank) {
            return histogram_value_us(i);
        }
    }
    return (double)h->max_ns / 1e3;
}

#endif
