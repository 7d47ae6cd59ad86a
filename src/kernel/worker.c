// Weft - workers: driving a poller, running queued completions, standing by
// SPDX-License-Identifier: Apache-2.0
#include "kernel/worker.h"

#include <stdlib.h>

#include "kernel/metrics.h"
#include "kernel/pool.h"
#include "util/sanitized.h"

// A callback above this mean time, or one relay in ten calls, sends a site's completions to the
// queue; well below it they come back.
enum {
    SITE_LONG_NS = 50000,
    SITE_SHORT_NS = 35000,
    SITE_QUICK_NS = 25000, // with what it sends at once; up to here its batch may wait for it
    SITE_CLIP_NS = 200000,
    SITE_SAMPLE = 64,
    SITE_RELAYS = 8,
};

static bool take_permit(struct worker *worker) {
    if (worker->permit)
        return true;
    for (;;) {
        int32_t n = ai32_load(&worker->pool->permits);
        if (n <= 0)
            return false;
        if (ai32_cas(&worker->pool->permits, n, n - 1))
            return worker->permit = true;
    }
}

static void lay_down_permit(struct worker *worker) {
    if (!worker->permit)
        return;
    worker->permit = false;
    ai32_add(&worker->pool->permits, 1);
}

static void run_event(struct worker *worker, struct weft_poller *poller) {
    uint32_t events;
    struct pollable *node = poller_take_event(poller, &events);
    if (!node)
        return;
    pollable_ref(node);
    worker->may_put_off = poller->batch_count > 1;
    lease_let_out(worker, poller, lease_next_epoch(poller));
    sys_point(SYS_POINT_LEASE);
    node->ops->event(node, events);
    worker->may_put_off = false;
    pollable_unref(node);
    sys_point(SYS_POINT_LEASE);
    if (worker->poller == poller)
        lease_take_back(worker, poller);
}

static void run_job(struct worker *worker, struct weft_poller *poller, struct weft_job *job) {
    lease_let_out(worker, poller, lease_next_epoch(poller));
    sys_point(SYS_POINT_LEASE);
    job->run(job);
    sys_point(SYS_POINT_LEASE);
    if (worker->poller == poller)
        lease_take_back(worker, poller);
}

static bool must_flush(const struct weft_poller *poller) {
    return poller->put_off_count > 0 && (poller->batch_next >= poller->batch_count ||
                                         sys_now() - poller->now > poller->pool->put_off_ns);
}

// Before sleeping: gives the permit up, and takes one queued completion if that was what it waited
// for.
static struct weft_job *before_sleep(struct worker *worker) {
    for (;;) {
        lay_down_permit(worker);
        // Read after the permit was laid down: whoever queued while we held it has called nobody.
        if (a32_load(&worker->pool->queued) == 0 || !take_permit(worker))
            return NULL;
        struct weft_job *job = pool_take_queued(worker->pool);
        if (job)
            return job;
    }
}

// The loop: the next item of the batch, else of the ready list, else fetch. Ends when the poller
// was taken from the worker, or when the pool stops and the poller has nothing left.
static void drive(struct worker *worker, struct weft_poller *poller) {
    worker->poller = poller;
    poller->driver = worker;
    poller_flush(poller); // what a robbed driver has left
    while (worker->poller == poller) {
        struct weft_job *job;
        if (must_flush(poller)) {
            poller_flush(poller);
        } else if (poller->batch_next < poller->batch_count) {
            run_event(worker, poller);
        } else if ((job = poller_take_ready(poller)) != NULL) {
            run_job(worker, poller, job);
        } else if (poller->ready_count == 0 && (job = before_sleep(worker)) != NULL) {
            run_job(worker, poller, job);
        } else {
            poller_fetch(poller);
            if (a32_load(&poller->pool->stopping) && poller_is_empty(poller))
                break;
        }
    }
    worker->poller = NULL;
    worker->out = false;
}

static void run_queued(struct worker *worker) {
    struct weft_job *job;
    while (take_permit(worker) && (job = pool_take_queued(worker->pool)) != NULL)
        job->run(job);
    lay_down_permit(worker);
}

static void judge_relay(struct worker *worker) {
    if (a32_load(&worker->robbed)) {
        a32_store(&worker->robbed, 0);
        pool_judge_relay(worker->pool);
    }
}

void worker_main(struct worker *worker) {
    struct mpoller *pool = worker->pool;
    struct weft_poller *poller;

    sys_set_self(worker);
    pool_arrive(pool);
    for (;;) {
        // First look around: it was called for something, and must call others for what it does not
        // take.
        enum duty duty = pool_stand_by(worker, &poller);
        if (duty == DUTY_LEAVE)
            break;
        if (duty == DUTY_DRIVE)
            drive(worker, poller);
        judge_relay(worker);
        if (a32_load(&pool->queued))
            run_queued(worker);
        lay_down_permit(worker);
    }
    sys_set_self(NULL);
}

// Few samples decide, with hysteresis; the counters are hints, so lost updates do no harm.
static void judge_site(struct job_site *site, uint64_t ns, unsigned count, bool relayed) {
    uint32_t calls = __atomic_load_n(&site->calls, __ATOMIC_RELAXED) + count;
    uint32_t relays = __atomic_load_n(&site->relays, __ATOMIC_RELAXED) + (relayed ? 1 : 0);
    uint32_t mean = __atomic_load_n(&site->mean_ns, __ATOMIC_RELAXED);
    if (ns && !relayed) {
        if (ns > SITE_CLIP_NS)
            ns = SITE_CLIP_NS;
        mean = (uint32_t)((mean * UINT64_C(7) + ns) / 8);
        __atomic_store_n(&site->mean_ns, mean, __ATOMIC_RELAXED);
    }
    if (calls >= SITE_SAMPLE || relays >= SITE_RELAYS) {
        if (mean > SITE_LONG_NS || relays * 10 > calls)
            a32_store(&site->queued, 1);
        else if (mean < SITE_SHORT_NS)
            a32_store(&site->queued, 0);
        calls = relays = 0;
    }
    __atomic_store_n(&site->calls, calls, __ATOMIC_RELAXED);
    __atomic_store_n(&site->relays, relays, __ATOMIC_RELAXED);
}

struct job_site *job_site_create(void) {
    struct job_site *site = calloc(1, sizeof *site);
    if (site)
        site->refs = 1;
    return site;
}

void job_site_unref(struct job_site *site) {
    if (a32_sub(&site->refs, 1) == 1)
        free(site);
}

// Slow code follows: nothing that was sent shall wait for it.
static void expect_delay(struct worker *worker) {
    struct weft_poller *poller = worker->poller;
    if (!worker->may_put_off) // then nothing waits: it was flushed, or the event stands alone
        return;
    worker->may_put_off = false;
    if (!poller || !worker->out || !lease_take_back(worker, poller))
        return;
    poller_flush(poller);
    lease_let_out(worker, poller, worker->epoch);
}

// Of each worker's calls one in about SITE_SAMPLE is timed, at irregular distances, and stands for
// all of them; the others leave the site alone, which all pollers share. A thread that lost its
// processor meanwhile would make any call long. Asking the system for that costs two calls, so it
// is done only in doubt: for the site's next call after a long one, which itself does not count.
void job_site_begin(const struct job_site *site, struct site_probe *probe) {
    struct worker *worker = sys_self();
    if (worker && __atomic_load_n(&site->mean_ns, __ATOMIC_RELAXED) > SITE_QUICK_NS)
        expect_delay(worker);
    probe->poller = worker ? worker->poller : NULL;
    probe->begin = probe->end = 0;
    if (!worker || __builtin_expect(worker->untimed-- != 0 && worker->doubt != site, 1))
        return;
    probe->asked = worker->doubt == site;
    probe->preemptions = probe->asked ? sys_preemptions() : 0;
    probe->begin = sys_now();
    worker->untimed = SITE_SAMPLE / 2 + (uint32_t)(probe->begin >> 4) % SITE_SAMPLE;
}

// How long the timed call took; 0 when that tells nothing.
static uint64_t timed(struct worker *worker, const struct job_site *site,
                      struct site_probe *probe) {
    probe->end = sys_now();
    uint64_t ns = probe->end - probe->begin + 1;
    bool doubt = ns > SITE_LONG_NS && (!probe->asked || sys_preemptions() != probe->preemptions);
    worker->doubt = doubt ? site : NULL;
    return doubt ? 0 : ns;
}

void job_site_end(struct job_site *site, struct site_probe *probe) {
    struct worker *worker = sys_self();
    bool relayed = false;
    if (probe->poller && worker) {
        relayed =
            worker->poller != probe->poller ||
            (worker->out && a64_load(&probe->poller->lease) != lease_word(worker->epoch, true));
    }
    if (__builtin_expect(probe->begin == 0 && !relayed, 1))
        return;
    uint64_t ns = worker && probe->begin ? timed(worker, site, probe) : 0;
    judge_site(site, ns, ns ? SITE_SAMPLE : 0, relayed);
}

static bool site_is_queued(const struct mpoller *pool, struct job_site *site) {
    enum site_mode mode = pool->mode;
    if (site && site->mode != SITE_AUTO)
        mode = (enum site_mode)site->mode;
    if (mode != SITE_AUTO)
        return mode == SITE_QUEUED;
    return site && a32_load(&site->queued) != 0;
}

bool mpoller_admits(struct mpoller *pool, struct job_site *site) {
    struct worker *worker = sys_self();
    return !pool->schedule && worker && worker->pool == pool && !site_is_queued(pool, site) &&
           take_permit(worker);
}

void mpoller_deliver(struct mpoller *pool, struct weft_job *job, struct job_site *site) {
    if (pool->schedule) {
        pool->schedule(pool, job);
        return;
    }
    if (!mpoller_admits(pool, site)) {
        pool_queue(pool, job);
        return;
    }
    sys_point(SYS_POINT_USER_CODE);
    job->run(job);
}

bool mpoller_is_worker(const struct mpoller *pool) {
    const struct worker *worker = sys_self();
    return worker && worker->pool == pool;
}

struct weft_poller *mpoller_pick(struct mpoller *pool) {
    struct worker *worker = sys_self();
    if (worker && worker->pool == pool && worker->poller)
        return worker->poller;
    return &pool->pollers[a32_add(&pool->next, 1) % pool->count];
}

struct weft_poller *mpoller_deal(struct mpoller *pool, struct weft_poller *home) {
    struct weft_poller *least = home;
    uint32_t mine = a32_load(&home->load), fewest = mine;
    for (unsigned i = 0; i < pool->count; i++) {
        uint32_t load = a32_load(&pool->pollers[i].load);
        if (load < fewest) {
            fewest = load;
            least = &pool->pollers[i];
        }
    }
    if (mine <=
        fewest + 1 + fewest / 8) // handing it over costs a message, so only for a clear gain
        least = home;
    a32_add(&least->load, 1);
    return least;
}

void mpoller_leave(struct mpoller *pool) {
    // The last word on the pool: whoever waits may free it at once, so the wake is only an address.
    if (a32_sub(&pool->live, 1) == (POOL_ENDING | 1))
        sys_futex_wake(&pool->live, INT32_MAX);
}

void mpoller_wait_empty(struct mpoller *pool) {
    uint32_t n;
    __atomic_fetch_or(&pool->live, POOL_ENDING, __ATOMIC_SEQ_CST);
    while ((n = a32_load(&pool->live)) != POOL_ENDING)
        sys_futex_wait(&pool->live, n, SYS_FOREVER);
}

// A deferred job reaches a ready list as an order; the job's own node serves as the message.
struct deferred {
    struct weft_msg msg;
    struct weft_job *job;
};

static void deferred_arrive(struct weft_msg *msg, struct weft_poller *poller) {
    struct deferred *d = (struct deferred *)msg;
    poller_ready(poller, d->job);
    free(d);
}

void mpoller_defer(struct mpoller *pool, struct weft_job *job) {
    struct deferred *d = malloc(sizeof *d);
    if (!d) { // without memory for the detour it runs here, at the price of a deeper stack
        metric_inc(METRIC_NO_MEMORY);
        job->run(job);
        return;
    }
    d->msg.run = deferred_arrive;
    d->job = job;
    poller_do(mpoller_pick(pool), &d->msg);
}

char *worker_buffer(void) {
    struct worker *worker = sys_self();
    return worker ? worker->buffer : NULL;
}

struct weft_block *worker_take_block(void) {
    struct worker *worker = sys_self();
    if (worker && worker->spares > 0)
        return worker->spare[--worker->spares];
    struct weft_block *block = malloc(WORKER_BLOCK);
    if (block)
        *block = (struct weft_block){.size = WORKER_BLOCK_ROOM};
    return block;
}

struct weft_block *worker_grow_block(struct weft_block *old, size_t size) {
    if (!old && size <= WORKER_BLOCK_ROOM)
        return worker_take_block();
    struct weft_block *block = realloc(old, WORKER_BLOCK - WORKER_BLOCK_ROOM + size);
    if (!block)
        return NULL;
    block->size = size;
    if (!old)
        block->begin = block->end = 0;
    return block;
}

void worker_give_block(struct weft_block *block) {
    // Under sanitizers no block is kept, so that a use behind its end is found.
    struct worker *worker = WEFT_SANITIZED ? NULL : sys_self();
    if (!block || block->size != WORKER_BLOCK_ROOM || !worker || worker->spares == WORKER_SPARES) {
        free(block);
        return;
    }
    block->begin = block->end = 0;
    worker->spare[worker->spares++] = block;
}

int worker_wait_begin(void) {
    struct worker *worker = sys_self();
    if (!worker)
        return 0;
    if (worker->waits++ > 0)
        return 1;
    a32_add(&worker->pool->waiting, 1);
    metric_inc(METRIC_WAITING_WORKERS);
    struct weft_poller *poller = worker->poller;
    if (poller && worker->out && lease_take_back(worker, poller)) {
        poller_flush(poller); // the wait may be for what it brings about
        worker->poller = NULL;
        pool_give_away(poller);
    }
    if (worker->permit) {
        worker->permit_owed = true;
        lay_down_permit(worker);
        pool_call_for_queue(worker->pool);
    }
    return 1;
}

void worker_wait_end(int cookie) {
    struct worker *worker = sys_self();
    if (!cookie || !worker || --worker->waits > 0)
        return;
    a32_sub(&worker->pool->waiting, 1);
    metric_dec(METRIC_WAITING_WORKERS);
    if (!worker->permit_owed)
        return;
    // The callback goes on at once: permits may fall below zero, and new callbacks wait until they
    // recover.
    worker->permit_owed = false;
    ai32_add(&worker->pool->permits, -1);
    worker->permit = true;
}
