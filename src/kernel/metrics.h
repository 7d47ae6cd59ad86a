// Weft - metrics: what each thread counts for itself, summed when somebody reads
// SPDX-License-Identifier: Apache-2.0
//
// A thread has one block of counters, made when it first counts, and it alone writes there: a
// relaxed load and a relaxed store, no locked instruction. Readers add all blocks up under a lock.
// When a thread ends, its block is added to the rest, where a thread without memory for a block
// counts too, with atomic additions. Sums wrap, so a gauge is a counter that is also counted down:
// the thread that counts down need not be the one that counted up.
//
// The slots up to METRIC_SLOTS have fixed names, here and in the rooms above, and lie in the block
// itself. What programs define is reserved by pages, which a thread gets when it first counts
// there.
//
// Changes of the state of connections are counted by edge, from and to: one addition says how many
// connections are in each state now, how many ever came there, and from where.
#ifndef WEFT_SRC_KERNEL_METRICS_H
#define WEFT_SRC_KERNEL_METRICS_H

#include "kernel/sys.h"

#ifdef __cplusplus
extern "C" {
#endif

// A histogram: the sum, then the buckets. Each power of two has four buckets of the same width; the
// values are divided by 2^shift first: 10 for nanoseconds, which gives 1 us to 137 s.
enum {
    HISTOGRAM_BUCKETS = 105, // the last has no upper bound
    HISTOGRAM_SLOTS = HISTOGRAM_BUCKETS + 1,
    HISTOGRAM_TIME_SHIFT = 10,
};

enum {
    METRIC_STATES = 32,       // of connections, and one for "none"
    METRIC_REASONS = 64,      // why a server closed one
    METRIC_TASK_KINDS = 16,   // named by the room task
    METRIC_HTTP_CLASSES = 16, // by the first digit of the status; counted by the room factory
    METRIC_SCHEMES = 16,      // of urls of client tasks; named and counted by the room factory
};

enum metric {
    METRIC_RECEIVED_BYTES,
    METRIC_SENT_BYTES,
    METRIC_ACCEPTED,
    METRIC_CONNECT_REFUSED, // a client's connection that could not even begin
    METRIC_SERVER_TLS_FULL,
    METRIC_SERVER_TLS_RESUMED,
    METRIC_SERVER_TLS_FAILED,
    METRIC_CLIENT_TLS_FULL,
    METRIC_CLIENT_TLS_RESUMED,
    METRIC_CLIENT_TLS_FAILED,
    METRIC_CLIENT_OK, // requests of clients, by their end
    METRIC_CLIENT_ERROR,
    METRIC_CLIENT_TIMEOUT,
    METRIC_CLIENT_CANCELED,
    METRIC_CLIENT_STOPPED,
    METRIC_SERVER_FAILED, // answers that could not be sent
    METRIC_TIMERS_STARTED,
    METRIC_TIMERS_FIRED,
    METRIC_TIMERS_CANCELED,
    METRIC_TIMERS_STOPPED,
    METRIC_QUEUE_IN, // completions that waited for a permit
    METRIC_QUEUE_OUT,
    METRIC_RELAYS,
    METRIC_FALSE_RELAYS,
    METRIC_RELAYS_SPARED,
    METRIC_POLLERS_GIVEN,
    METRIC_WORKERS_REFUSED,
    METRIC_WATCH_LOOKS,
    METRIC_WORKERS, // gauge
    METRIC_WAITING_WORKERS,
    METRIC_PERMITS, // gauge: the limit
    METRIC_WAITERS_IN,
    METRIC_WAITERS_OUT,
    METRIC_WAITERS_REFUSED,
    METRIC_EXECUTOR_IN,
    METRIC_EXECUTOR_CANCELED,
    METRIC_EXECUTOR_BEGUN,
    METRIC_EXECUTOR_DONE,
    METRIC_EXECUTOR_THREADS, // gauge
    METRIC_FILES_IN,         // file requests
    METRIC_FILES_CANCELED,   // before they had begun
    METRIC_FILES_BEGUN,
    METRIC_FILES_DONE,
    METRIC_FILE_THREADS, // gauge
    METRIC_DATAGRAMS_DROPPED,
    METRIC_NO_MEMORY,

    METRIC_CLOSES,
    METRIC_TASKS_MADE = METRIC_CLOSES + METRIC_REASONS,
    METRIC_TASKS_GONE = METRIC_TASKS_MADE + METRIC_TASK_KINDS,
    METRIC_HTTP_ANSWERS = METRIC_TASKS_GONE + METRIC_TASK_KINDS,
    METRIC_SCHEME_TASKS_MADE = METRIC_HTTP_ANSWERS + METRIC_HTTP_CLASSES,
    METRIC_SCHEME_TASKS_GONE = METRIC_SCHEME_TASKS_MADE + METRIC_SCHEMES,
    METRIC_SERVER_TIME = METRIC_SCHEME_TASKS_GONE + METRIC_SCHEMES, // histograms
    METRIC_CLIENT_TIME = METRIC_SERVER_TIME + HISTOGRAM_SLOTS,
    METRIC_QUEUE_TIME = METRIC_CLIENT_TIME + HISTOGRAM_SLOTS,
    METRIC_CHANNEL_TIME = METRIC_QUEUE_TIME + HISTOGRAM_SLOTS,
    METRIC_EDGES = METRIC_CHANNEL_TIME + HISTOGRAM_SLOTS,
    METRIC_SLOTS = METRIC_EDGES + METRIC_STATES * METRIC_STATES,
};

enum {
    METRIC_NO_STATE = METRIC_STATES - 1,
    METRIC_PAGE = 512, // slots of a page
    METRIC_PAGES = 128,
};

struct metrics_block {
    uint64_t slots[METRIC_SLOTS];
    uint64_t *pages[METRIC_PAGES];
    struct metrics_block *next, **link; // in the list of all, under its lock
};

// The thread that owns the block ends. Should it count once more, it gets a new one.
void metrics_take_back(struct metrics_block *block);

// The way of a thread that has no block yet: makes one, if it can.
void metric_add_slowly(unsigned slot, uint64_t n);

// The forms with a pointer to the value: in the simulator the others are points.
static inline void metric_bump(uint64_t *slot, uint64_t n) {
    uint64_t value;
    __atomic_load(slot, &value, __ATOMIC_RELAXED);
    value += n;
    __atomic_store(slot, &value, __ATOMIC_RELAXED);
}

static inline void metric_add(unsigned slot, uint64_t n) {
    struct metrics_block *block = *sys_metrics();
    if (__builtin_expect(!block, 0))
        metric_add_slowly(slot, n);
    else
        metric_bump(&block->slots[slot], n);
}

static inline void metric_inc(unsigned slot) { metric_add(slot, 1); }
static inline void metric_dec(unsigned slot) { metric_add(slot, UINT64_MAX); }

static inline void metric_edge(unsigned from, unsigned to) {
    metric_inc(METRIC_EDGES + from * METRIC_STATES + to);
}

// A bucket takes what is above the bound of the one before it, up to its own bound.
static inline unsigned histogram_index(uint64_t value, unsigned shift) {
    uint64_t v = (value - (value != 0)) >> shift;
    if (v < 4)
        return (unsigned)v;
    unsigned log = 63 - (unsigned)__builtin_clzll(v);
    unsigned index = log * 4 + (unsigned)(v >> (log - 2)) - 8;
    return index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1;
}

// Not of the last bucket, which has none.
static inline uint64_t histogram_bound(unsigned index, unsigned shift) {
    uint64_t bound = index + 1;
    if (index >= 4)
        bound = (UINT64_C(5) + index % 4) << (index / 4 - 1);
    return bound << shift;
}

static inline void metric_observe(unsigned first, uint64_t ns) {
    unsigned bucket = first + 1 + histogram_index(ns, HISTOGRAM_TIME_SHIFT);
    struct metrics_block *block = *sys_metrics();
    if (__builtin_expect(!block, 0)) {
        metric_add_slowly(first, ns);
        metric_add_slowly(bucket, 1);
    } else {
        metric_bump(&block->slots[first], ns);
        metric_bump(&block->slots[bucket], 1);
    }
}

// What programs define. Slots are numbered on behind METRIC_SLOTS, by pages; a page must have been
// provided before anybody counts there. False without memory, or when there are too many.
bool metrics_provide(unsigned page);
static inline unsigned metric_slot(unsigned page, unsigned index) {
    return METRIC_SLOTS + page * METRIC_PAGE + index;
}
void metric_add_far(unsigned slot, uint64_t n);

// The sums of `count` slots from `first` on, all of one page or all fixed, at this moment.
void metrics_sum(unsigned first, unsigned count, uint64_t *sums);

#ifdef __cplusplus
}
#endif

#endif
