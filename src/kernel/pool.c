// Weft - the pool of workers: making them, calling them, the queue, and the way out
// SPDX-License-Identifier: Apache-2.0
#include "kernel/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/log.h"
#include "kernel/metrics.h"

enum { FALSE_RELAY_NS = 100000, REST_LOOK_NS = 1000000 };

// The age of one in so many completions that go through the queue is told: the clock twice and a
// histogram are a fifth of what metrics may cost such a request.
enum { SAMPLED_OF = 8 };

static struct weft_lock pools_lock;
static struct mpoller *pools; // all there are, for those who count; under pools_lock

static void list_pool(struct mpoller *pool) {
    sys_lock(&pools_lock);
    pool->next_pool = pools;
    pools = pool;
    sys_unlock(&pools_lock);
}

static void unlist_pool(struct mpoller *pool) {
    sys_lock(&pools_lock);
    struct mpoller **at = &pools;
    while (*at != pool)
        at = &(*at)->next_pool;
    *at = pool->next_pool;
    sys_unlock(&pools_lock);
}

// While the limit of a pool changes, its permits may be ahead or behind.
uint64_t mpoller_count_held_permits(void) {
    uint64_t held = 0;
    sys_lock(&pools_lock);
    for (struct mpoller *pool = pools; pool; pool = pool->next_pool) {
        sys_lock(&pool->lock);
        int32_t n = pool->handler_limit - ai32_load(&pool->permits);
        sys_unlock(&pool->lock);
        held += n > 0 ? (uint64_t)n : 0;
    }
    sys_unlock(&pools_lock);
    return held;
}

int mpoller_init(struct mpoller *pool, unsigned pollers, unsigned handlers) {
    memset(pool, 0, sizeof *pool);
    if (pollers == 0 || pollers > 1024) {
        errno = EINVAL;
        return -1;
    }
    pool->pollers = calloc(pollers, sizeof *pool->pollers);
    if (!pool->pollers)
        return -1;
    pool->queue_tail = &pool->queue;
    pool->permits = pool->handler_limit = handlers ? (int32_t)handlers : 1;
    pool->asymmetric = sys_membarrier_init();
    pool->put_off_ns = PUT_OFF_NS;
    for (; pool->count < pollers; pool->count++) {
        if (poller_init(&pool->pollers[pool->count], pool, pool->count) == 0)
            continue;
        int error = errno;
        while (pool->count > 0)
            poller_destroy(&pool->pollers[--pool->count]);
        free(pool->pollers);
        errno = error;
        return -1;
    }
    metric_add(METRIC_PERMITS, (uint64_t)pool->handler_limit);
    list_pool(pool);
    return 0;
}

static unsigned worker_limit(const struct mpoller *pool) {
    int32_t handlers = pool->handler_limit > 0 ? pool->handler_limit : 1;
    return (unsigned)handlers + 2 * pool->count + 1 +
           __atomic_load_n(&pool->waiting, __ATOMIC_RELAXED);
}

static int start_worker(struct mpoller *pool) WEFT_TSA(requires_capability(pool->lock)) {
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return -1;
    worker->buffer = malloc(WORKER_BUFFER);
    worker->pool = pool;
    worker->turn = 1;
    if (!worker->buffer || sys_thread_start(&worker->thread, worker_main, worker) < 0) {
        free(worker->buffer);
        free(worker);
        return -1;
    }
    worker->next = pool->all;
    pool->all = worker;
    a32_store(&pool->workers, pool->workers + 1);
    metric_inc(METRIC_WORKERS);
    return 0;
}

// The drivers shall try again to find a worker for the orphans.
static void lack(struct mpoller *pool) {
    if (a32_swap(&pool->lacking, 1))
        return;
    weft_log(WEFT_LOG_ERROR, "no thread can be made to drive a poller: %s", strerror(errno));
    for (unsigned i = 0; i < pool->count; i++)
        poller_wake(&pool->pollers[i]);
}

bool pool_call_worker(struct mpoller *pool) {
    struct worker *worker = pool->idle;
    if (worker) {
        pool->idle = worker->next_idle;
        pool->called++;
        a32_add(&worker->wake, 1);
        sys_futex_wake(&worker->wake, 1);
        return true;
    }
    if (pool->called > 0) // somebody is on the way and will look at everything
        return true;
    errno = EAGAIN; // as the system says when a limit of its own is met
    if (pool->workers < worker_limit(pool) && start_worker(pool) == 0) {
        pool->called++;
        return true;
    }
    pool->stats.refused++;
    metric_inc(METRIC_WORKERS_REFUSED);
    if (!pool->watch) {
        if (pool->orphans)
            lack(pool);
        return false;
    }
    a32_store(&pool->watch_called, 1); // better no watch than no driver
    a32_add(&pool->watch->wake, 1);
    sys_futex_wake(&pool->watch->wake, 1);
    return true;
}

// Each thing to do calls one worker; a worker on its way takes the first thing it finds and calls
// for what is left: orphans, completions beyond the `taken` ones, and the watch.
static void call_for_rest(struct mpoller *pool, uint32_t taken)
    WEFT_TSA(requires_capability(pool->lock)) {
    bool queue = a32_load(&pool->queued) > taken && ai32_load(&pool->permits) > 0;
    if (pool->orphans || queue || (!pool->watch && !pool->watch_disabled))
        pool_call_worker(pool);
}

static void add_orphan(struct mpoller *pool, struct weft_poller *poller)
    WEFT_TSA(requires_capability(pool->lock)) {
    poller->next_orphan = pool->orphans;
    pool->orphans = poller;
    pool_call_worker(pool);
}

void mpoller_birth(struct weft_poller *poller) {
    struct mpoller *pool = poller->pool;
    if (a32_swap(&poller->born, 1))
        return;
    sys_lock(&pool->lock);
    add_orphan(pool, poller);
    // The first driver would have to call the watch before it drives; the caller has time for it.
    if (pool->workers == 1 && !pool->watch_disabled && start_worker(pool) == 0)
        pool->called++;
    sys_unlock(&pool->lock);
}

void pool_give_away(struct weft_poller *poller) {
    struct mpoller *pool = poller->pool;
    sys_lock(&pool->lock);
    pool->stats.given++;
    metric_inc(METRIC_POLLERS_GIVEN);
    add_orphan(pool, poller);
    sys_unlock(&pool->lock);
}

void pool_retry(struct mpoller *pool) {
    sys_lock(&pool->lock);
    if (!pool->orphans || pool_call_worker(pool))
        a32_store(&pool->lacking, 0);
    sys_unlock(&pool->lock);
}

int mpoller_staff(struct mpoller *pool) {
    int ret = 0;
    if (a32_load(&pool->workers) > 0)
        return 0;
    sys_lock(&pool->lock);
    if (pool->workers == 0) {
        ret = start_worker(pool);
        pool->called += ret == 0 ? 1 : 0;
    }
    sys_unlock(&pool->lock);
    return ret;
}

void pool_queue(struct mpoller *pool, struct weft_job *job) {
    job->next = NULL;
    sys_lock(&pool->lock);
    *pool->queue_tail = job;
    pool->queue_tail = &job->next;
    metric_inc(METRIC_QUEUE_IN);
    if (!pool->sampled && pool->stats.queued % SAMPLED_OF == 0) {
        pool->sampled = job;
        pool->sampled_at = sys_now();
    }
    pool->stats.queued++;
    // Counted before the permits are read; whoever lays one down reads the count after.
    a32_add(&pool->queued, 1);
    if (ai32_load(&pool->permits) > 0)
        pool_call_worker(pool);
    sys_unlock(&pool->lock);
}

struct weft_job *pool_take_queued(struct mpoller *pool) {
    sys_lock(&pool->lock);
    struct weft_job *job = pool->queue;
    if (job) {
        pool->queue = job->next;
        if (!pool->queue)
            pool->queue_tail = &pool->queue;
        a32_sub(&pool->queued, 1);
        metric_inc(METRIC_QUEUE_OUT);
        if (job == pool->sampled) {
            pool->sampled = NULL;
            metric_observe(METRIC_QUEUE_TIME, sys_now() - pool->sampled_at);
        }
    }
    sys_unlock(&pool->lock);
    return job;
}

void pool_call_for_queue(struct mpoller *pool) {
    if (a32_load(&pool->queued) == 0)
        return;
    sys_lock(&pool->lock);
    if (a32_load(&pool->queued) > 0)
        pool_call_worker(pool);
    sys_unlock(&pool->lock);
}

void mpoller_add_permits(struct mpoller *pool, int n) {
    sys_lock(&pool->lock);
    pool->handler_limit += n;
    metric_add(METRIC_PERMITS, (uint64_t)n);
    sys_unlock(&pool->lock);
    ai32_add(&pool->permits, n);
    if (n > 0)
        pool_call_for_queue(pool);
}

void pool_judge_relay(struct mpoller *pool) {
    sys_lock(&pool->lock);
    if (sys_now() - pool->relay_time < FALSE_RELAY_NS) {
        pool->stats.false_relays++;
        metric_inc(METRIC_FALSE_RELAYS);
    }
    sys_unlock(&pool->lock);
}

static void wait_idle(struct mpoller *pool, struct worker *worker)
    WEFT_TSA(requires_capability(pool->lock)) {
    uint32_t seen = a32_load(&worker->wake);
    worker->next_idle = pool->idle;
    pool->idle = worker;
    sys_unlock(&pool->lock);
    worker_turn(worker);
    while (a32_load(&worker->wake) == seen)
        sys_futex_wait(&worker->wake, seen, SYS_FOREVER);
    worker_turn(worker);
    sys_lock(&pool->lock);
    if (pool->called > 0)
        pool->called--;
}

// What a worker that looks around finds first; false when there is nothing.
static bool find_duty(struct mpoller *pool, struct weft_poller **poller, enum duty *duty)
    WEFT_TSA(requires_capability(pool->lock)) {
    if (pool->orphans) {
        *poller = pool->orphans;
        pool->orphans = (*poller)->next_orphan;
        *duty = DUTY_DRIVE;
        call_for_rest(pool, 0);
        return true;
    }
    if (a32_load(&pool->queued) > 0 && ai32_load(&pool->permits) > 0) {
        *duty = DUTY_QUEUE;
        call_for_rest(pool, 1);
        return true;
    }
    if (a32_load(&pool->stopping)) {
        *duty = DUTY_LEAVE;
        return true;
    }
    return false;
}

void pool_arrive(struct mpoller *pool) {
    sys_lock(&pool->lock);
    if (pool->called > 0)
        pool->called--;
    sys_unlock(&pool->lock);
}

enum duty pool_stand_by(struct worker *worker, struct weft_poller **poller) {
    struct mpoller *pool = worker->pool;
    enum duty duty = DUTY_LEAVE;
    sys_lock(&pool->lock);
    while (!find_duty(pool, poller, &duty)) {
        if (pool->watch || pool->watch_disabled) {
            wait_idle(pool, worker);
            continue;
        }
        pool->watch = worker;
        a32_store(&pool->watch_called, 0);
        sys_unlock(&pool->lock);
        worker_turn(worker);
        *poller = watch_run(worker);
        if (!*poller) // who takes a poller over has turned already
            worker_turn(worker);
        sys_lock(&pool->lock);
        if (pool->watch == worker)
            pool->watch = NULL;
        if (*poller) {
            duty = DUTY_DRIVE;
            call_for_rest(pool, 0);
            break;
        }
    }
    sys_unlock(&pool->lock);
    return duty;
}

static void wake_everybody(struct mpoller *pool) WEFT_TSA(requires_capability(pool->lock)) {
    for (struct worker *w = pool->all; w; w = w->next) {
        a32_add(&w->wake, 1);
        sys_futex_wake(&w->wake, 1);
    }
    pool->idle = NULL;
}

// Nobody is inside the program's code, and nothing is on its way there. True is only worth
// something when two looks in a row find the same sum of turns: then nobody has moved in between.
static bool all_rest(struct mpoller *pool, const struct worker *self, uint64_t *turns) {
    bool rest = mpoller_is_empty(pool) && a32_load(&pool->queued) == 0;
    *turns = 0;
    for (unsigned i = 0; i < pool->count; i++)
        rest = rest && !__atomic_load_n(&pool->pollers[i].inbox, __ATOMIC_SEQ_CST);
    sys_lock(&pool->lock);
    rest = rest && !pool->orphans;
    for (struct worker *w = pool->all; w; w = w->next) {
        uint32_t turn = w == self ? 0 : a32_load(&w->turn);
        rest = rest && turn % 2 == 0;
        *turns += turn;
    }
    sys_unlock(&pool->lock);
    return rest;
}

// A callback may still begin something that ends at once, but needs its poller for that: so the
// drivers stay until all callbacks have returned.
static void wait_rest(struct mpoller *pool, const struct worker *self) {
    uint64_t before = 0, turns;
    uint32_t never = 0;
    for (bool rested = false;;) {
        bool rest = all_rest(pool, self, &turns);
        if (rest && rested && turns == before)
            return;
        rested = rest;
        before = turns;
        if (!rest)
            sys_futex_wait(&never, 0, REST_LOOK_NS);
    }
}

static void free_spares(struct worker *worker) {
    while (worker->spares > 0)
        free(worker->spare[--worker->spares]);
}

void mpoller_stop(struct mpoller *pool) {
    struct worker *self = sys_self();
    if (self && self->pool == pool && self->poller && self->out &&
        lease_take_back(self, self->poller)) {
        struct weft_poller *mine = self->poller;
        self->poller = NULL;
        pool_give_away(mine);
    }
    wait_rest(pool, self);
    a32_swap(&pool->stopping, 1);
    // A driver publishes its sleep before it looks at `stopping` a last time.
    for (unsigned i = 0; i < pool->count; i++)
        poller_wake(&pool->pollers[i]);
    sys_lock(&pool->lock);
    wake_everybody(pool);
    struct worker *worker;
    while ((worker = pool->all) != NULL) {
        pool->all = worker->next;
        sys_unlock(&pool->lock);
        metric_dec(METRIC_WORKERS);
        if (worker == self) {
            sys_thread_detach(worker->thread);
            free_spares(worker);
            sys_set_self(NULL); // what runs on this thread yet, at the exit, is outside of any pool
        } else {
            sys_thread_join(worker->thread);
            free_spares(worker);
            free(worker->buffer);
            free(worker);
        }
        sys_lock(&pool->lock);
    }
    sys_unlock(&pool->lock);
    unlist_pool(pool);
    for (unsigned i = 0; i < pool->count; i++)
        poller_destroy(&pool->pollers[i]);
    free(pool->pollers);
    pool->pollers = NULL;
    metric_add(METRIC_PERMITS, -(uint64_t)pool->handler_limit);
}
