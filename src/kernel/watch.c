// Weft - the watch: sees which drivers are stuck in user code, and takes their pollers
// SPDX-License-Identifier: Apache-2.0
//
// There is no clock on the hot path. The watch compares lease words: OUT under the same epoch at
// two looks running means stuck, unless the system says that the driver only waits for a
// processor. It takes the poller by compare-and-swap and drives it at once, after calling a
// successor. Each look costs some 10 to 20 us of CPU, so the period adapts: short for a while after
// a relay, then one millisecond, then two, then five, and asleep after a second in which nothing
// changed and every lease is HELD. What blocks for less than two looks is not seen, but its driver
// notes that its batch took long, and for a second the watch looks at least every two milliseconds.
//
// Falling asleep: set `watch_asleep`, membarrier, look once more, sleep only if all are still HELD.
// A let-go stores its lease and then reads the flag; the membarrier stands in for the fence it
// leaves out, so one of the two sees the other.
#include <errno.h>
#include <string.h>

#include "kernel/log.h"
#include "kernel/metrics.h"
#include "kernel/pool.h"

enum {
    LOOK_ALERT_NS = 250000,  // for a while after a relay
    ALERT_NS = 100000000,    // how long that is
    LOOK_NS = 1000000,       // until a second after it
    LOOK_CALM_NS = 2000000,  // until ten seconds after it, or one after a batch that took long
    LOOK_QUIET_NS = 5000000, // from then on, and before the first
    CALM_NS = 1000000000,    // nothing has changed for so long: sleep
    SPARE_NS = 20000000,     // the longest that a driver without a processor is spared
};

static const uint64_t QUIET_NS = UINT64_C(10000000000);

void mpoller_wake_watch(struct mpoller *pool) {
    if (!a32_swap(&pool->watch_asleep, 0))
        return;
    sys_lock(&pool->lock);
    if (pool->watch) {
        a32_add(&pool->watch->wake, 1);
        sys_futex_wake(&pool->watch->wake, 1);
    }
    sys_unlock(&pool->lock);
}

static bool all_held(const struct mpoller *pool) {
    for (unsigned i = 0; i < pool->count; i++) {
        if (lease_is_out(__atomic_load_n(&pool->pollers[i].lease, __ATOMIC_SEQ_CST)))
            return false;
    }
    return true;
}

static void sleep_until_let_go(struct worker *worker, uint32_t called) {
    struct mpoller *pool = worker->pool;
    a32_swap(&pool->watch_asleep, 1);
    if (pool->asymmetric)
        sys_membarrier();
    if (all_held(pool))
        sys_futex_wait(&worker->wake, called, SYS_FOREVER);
    a32_store(&pool->watch_asleep, 0);
}

static uint64_t period(struct mpoller *pool, uint64_t now) {
    sys_lock(&pool->lock);
    uint64_t since = pool->relay_time ? now - pool->relay_time : UINT64_MAX;
    sys_unlock(&pool->lock);
    if (since < ALERT_NS)
        return LOOK_ALERT_NS;
    if (since < CALM_NS)
        return LOOK_NS;
    bool calm = since < QUIET_NS || now < a64_load(&pool->slow_time) + CALM_NS;
    return calm ? LOOK_CALM_NS : LOOK_QUIET_NS;
}

// A driver that stays away for two looks sleeps, computes, or was merely descheduled. Only the last
// is spared: whoever takes its poller would have to wait for a processor like itself. Needs the
// lock, and the lease still OUT under the epoch that was seen: so the driver cannot be gone.
static bool is_stuck(struct mpoller *pool, struct weft_poller *poller)
    WEFT_TSA(requires_capability(pool->lock)) {
    struct sys_activity activity;
    uint64_t now = sys_now();
    if (!sys_thread_look(&poller->driver->thread, &activity) || activity.asleep)
        return true;
    if (!poller->spared) {
        poller->spared = now;
        poller->spared_cpu = activity.cpu_ns;
        pool->stats.spared++;
        metric_inc(METRIC_RELAYS_SPARED);
        return false;
    }
    uint64_t passed = now - poller->spared;
    return activity.cpu_ns - poller->spared_cpu >= passed / 4 || passed > SPARE_NS;
}

static bool take_over(struct worker *worker, struct weft_poller *poller, uint64_t word) {
    struct mpoller *pool = worker->pool;
    // Under the lock, so that the robbed worker cannot have left before it is told.
    sys_lock(&pool->lock);
    bool taken = a64_load(&poller->lease) == word && is_stuck(pool, poller) &&
                 a64_cas(&poller->lease, word, lease_word((word >> 1) + 1, false));
    if (taken) {
        worker_turn(worker); // no longer at rest, from the moment it has the poller
        a32_store(&poller->driver->robbed, 1);
        pool->stats.relays++;
        metric_inc(METRIC_RELAYS);
        pool->relay_time = sys_now();
        pool->watch = NULL;
        if (!pool_call_worker(pool)) // drive all the same: who comes back first becomes the watch
            weft_log(WEFT_LOG_WARN, "a callback blocks, and no further thread can be made: %s",
                     strerror(errno));
    }
    sys_unlock(&pool->lock);
    return taken;
}

// One look at all leases. Returns the poller taken over, and whether anything moved.
static struct weft_poller *look(struct worker *worker, bool *moved) {
    struct mpoller *pool = worker->pool;
    *moved = false;
    for (unsigned i = 0; i < pool->count; i++) {
        struct weft_poller *poller = &pool->pollers[i];
        uint64_t word = a64_load(&poller->lease);
        bool same = word == poller->seen_lease;
        if (!same || lease_is_out(word))
            *moved = true;
        if (!same)
            poller->spared = 0;
        else if (lease_is_out(word) && take_over(worker, poller, word))
            return poller;
        poller->seen_lease = word;
    }
    return NULL;
}

struct weft_poller *watch_run(struct worker *worker) {
    struct mpoller *pool = worker->pool;
    uint64_t changed = sys_now();
    for (unsigned i = 0; i < pool->count; i++)
        pool->pollers[i].seen_lease = UINT64_MAX;
    for (;;) {
        uint32_t called = a32_load(&worker->wake);
        bool moved;
        if (a32_load(&pool->stopping) || a32_load(&pool->watch_called))
            return NULL;
        sys_futex_wait(&worker->wake, called, period(pool, sys_now()));
        struct weft_poller *taken = look(worker, &moved);
        if (taken)
            return taken;
        uint64_t now = sys_now();
        __atomic_fetch_add(&pool->stats.looks, 1, __ATOMIC_RELAXED);
        metric_inc(METRIC_WATCH_LOOKS);
        if (moved)
            changed = now;
        else if (now - changed > CALM_NS)
            sleep_until_let_go(worker, called);
    }
}
