// Weft - workers: the threads that drive pollers, stand by, and watch; and the pool they form
// SPDX-License-Identifier: Apache-2.0
//
// A worker drives a poller, runs queued completions, or stands by; one of those standing by is the
// watch. User code runs on the driver itself. When it stays away too long the watch takes its
// poller over (relay); when it is about to wait for something the kernel knows of, it gives the
// poller away itself. The robbed worker finishes what it was doing and then stands by.
//
// `handle` and what follows needs one of the pool's permits. A driver keeps its permit from item to
// item and lays it down before it sleeps; a robbed worker takes it along. Completions that find no
// permit, or whose service asks for it, wait in the pool's queue; whoever lays a permit down looks
// there.
//
// Locks: `mpoller.lock` guards the lists of the pool. It is a leaf: no other lock is taken under
// it, no user code run.
//
// Always holds:
// - a worker with `out` set let the lease of `poller` out under `epoch`; nobody else can let it out
// under that epoch.
// - a poller that was born has a driver, or stands in the list of orphans and somebody has been
// called.
// - `queued` > 0 and `permits` > 0 at the same time only while somebody is on the way to the queue.
#ifndef WEFT_SRC_KERNEL_WORKER_H
#define WEFT_SRC_KERNEL_WORKER_H

#include <stddef.h>

#include "kernel/poller.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    WORKER_BUFFER = 64 * 1024,
    WORKER_MAX_DEPTH = 32,
    WORKER_BLOCK = 1024,
    WORKER_BLOCK_ROOM = WORKER_BLOCK - offsetof(struct weft_block, bytes),
    WORKER_SPARES = 2 * POLLER_BATCH // what is received ahead and what is put off
};

// How completions of a service or target are run.
enum site_mode {
    SITE_AUTO = 0,   // inline until they prove to be long
    SITE_INLINE = 1, // always on the thread that read the message, when it has a permit
    SITE_QUEUED = 2, // always through the pool's queue
};

// What is known of the callbacks of one service or target; the counters are hints and may lose an
// update.
struct job_site {
    uint32_t mode;    // enum site_mode as asked for by the owner
    uint32_t queued;  // atomic: in SITE_AUTO, whether they are queued now
    uint32_t calls;   // since the last verdict
    uint32_t relays;  // of those, how many lost the poller
    uint32_t mean_ns; // of those timed, moving average
    uint32_t refs;    // atomic: its owner and each connection
};

// One measured call.
struct site_probe {
    struct weft_poller *poller;
    uint64_t begin;       // 0 when it is not timed
    uint64_t end;         // likewise, once the call has returned
    uint64_t preemptions; // before, where they were asked for
    bool asked;
};

struct worker {
    struct mpoller *pool;
    struct weft_poller
        *poller;      // the one it drives; NULL when it drives none or found itself robbed
    uint32_t turn;    // atomic: odd while it may run the program's code, even while it waits
    uint64_t epoch;   // under which it let the lease out
    bool out;         // true exactly when the lease was let out and it has not found itself robbed
    bool permit;      // holds a permit
    bool may_put_off; // the event it works on is one of several, and its callbacks are quick
    uint32_t untimed; // calls of sites to go until one is timed
    // The site whose last timed call was long, or only had lost its processor: its next is timed
    // too.
    const struct job_site *doubt;
    bool permit_owed; // laid its permit down for a known wait
    unsigned waits;   // nested known waits
    uint32_t wake;    // futex word: bumped to call it
    uint32_t robbed;  // atomic: the watch took its poller, and it has not come back since
    struct worker *next_idle;
    struct worker *next; // all workers of the pool
    struct sys_thread thread;
    char *buffer;                            // WORKER_BUFFER bytes to read into
    struct weft_block *spare[WORKER_SPARES]; // empty ones that wait to be used again
    unsigned spares;
};

struct mpoller_stats {
    uint64_t relays;       // pollers taken from stuck workers
    uint64_t false_relays; // of those, from workers that came back at once
    uint64_t spared;       // drivers that looked stuck, but had only lost their processor
    uint64_t given;        // pollers given away before a known wait
    uint64_t refused;      // times no further worker could be made
    uint64_t looks;        // of the watch
    uint64_t queued;       // completions that went through the queue
};

struct mpoller_owner;

enum { PUT_OFF_NS = 100000 };

#define POOL_ENDING (UINT32_C(1) << 31)

struct mpoller {
    struct weft_poller *pollers;
    unsigned count;
    unsigned next; // atomic: round robin for those who drive none

    // The program's own executor for completions, in place of the workers
    // (customize_event_handler).
    void (*schedule)(struct mpoller *pool, struct weft_job *job);
    struct mpoller_owner *owner; // opaque to C

    // atomic: what has not ended (timers, connections, threads that are about to post an order),
    // and POOL_ENDING when somebody waits for that number to become 0
    uint32_t live;
    uint32_t watch_asleep; // atomic: let-go must wake the watch
    bool asymmetric;       // membarrier works: let-go is a plain store
    uint32_t stopping;     // atomic
    uint32_t watch_called; // atomic: the watch must leave its post for want of others
    uint32_t lacking;      // atomic: an orphan waits, and no worker could be made for it
    uint64_t slow_time;    // atomic: when the last batch ended that took long; 0: none has

    int32_t permits;       // atomic; below zero while more callbacks run than are permitted
    uint32_t queued;       // atomic: length of the queue
    int32_t handler_limit; // permits in all
    enum site_mode mode;   // for all sites that leave it to SITE_AUTO
    bool watch_disabled;   // for tests
    // Behind a batch that was fetched so long ago nothing waits for others; tests change it.
    uint64_t put_off_ns;
    uint32_t waiting; // workers in known waits

    struct weft_lock lock; // guards the rest
    struct weft_job *queue, **queue_tail;
    const struct weft_job *sampled; // the one in the queue whose age will be told, if any
    uint64_t sampled_at;
    struct weft_poller *orphans;
    struct worker *idle;
    struct worker *watch;
    struct worker *all;
    uint32_t workers;    // also read without the lock
    unsigned called;     // workers woken or started that have not yet looked around
    uint64_t relay_time; // of the last relay
    struct mpoller_stats stats;

    struct mpoller *next_pool; // in the list of all, under its lock
};

// Makes a pool. Threads start with the first work. -1 with errno.
int mpoller_init(struct mpoller *pool, unsigned pollers, unsigned handlers);
// Joins all workers: each finishes the user code it is in. No descriptor may be registered any
// more. The worker that calls it is not joined. Then frees the tables.
void mpoller_stop(struct mpoller *pool);

// Makes sure that there is a worker at all. -1 with errno when there is none and none can be made.
int mpoller_staff(struct mpoller *pool);
// The poller for something new: the one this thread drives, else in turn.
struct weft_poller *mpoller_pick(struct mpoller *pool);
// Calls a driver for a poller that has none yet.
void mpoller_birth(struct weft_poller *poller);
void mpoller_wake_watch(struct mpoller *pool);

// Whether this thread may run a completion of `site` now; it then holds a permit.
bool mpoller_admits(struct mpoller *pool, struct job_site *site);
// Runs a completion now if this thread may, else queues it. `site` may be NULL.
void mpoller_deliver(struct mpoller *pool, struct weft_job *job, struct job_site *site);
struct job_site *job_site_create(void);
void job_site_unref(struct job_site *site);
// Brackets the program's code in a job of a site.
void job_site_begin(const struct job_site *site, struct site_probe *probe);
void job_site_end(struct job_site *site, struct site_probe *probe);
// Runs a job later on a worker, without a permit of its own: on the ready list of the driven
// poller, or another's.
void mpoller_defer(struct mpoller *pool, struct weft_job *job);
// Counts in `live` something that is about to begin.
static inline void mpoller_enter(struct mpoller *pool) { a32_add(&pool->live, 1); }
// Something counted in `live` has ended. The pool may be gone when this returns.
void mpoller_leave(struct mpoller *pool);
// Waits until nothing is alive.
void mpoller_wait_empty(struct mpoller *pool);
static inline bool mpoller_is_empty(const struct mpoller *pool) {
    return (a32_load(&pool->live) & ~POOL_ENDING) == 0;
}
// Picks the poller of a new connection: `home` unless it has clearly more than another. Counts it
// there.
struct weft_poller *mpoller_deal(struct mpoller *pool, struct weft_poller *home);
bool mpoller_is_worker(const struct mpoller *pool);
// How many permits of all pools are held now: by callbacks that run, and by drivers between two of
// them. Takes locks: for whoever reads metrics.
uint64_t mpoller_count_held_permits(void);
// Changes the number of permits.
void mpoller_add_permits(struct mpoller *pool, int n);

// Brackets a wait. begin gives the poller and the permit away and answers 1 on a worker of any
// pool, else 0.
int worker_wait_begin(void);
void worker_wait_end(int cookie);

// The buffer of the calling worker, NULL on other threads.
char *worker_buffer(void);
// An empty block, of WORKER_BLOCK bytes in all; NULL without memory. Any thread; a worker keeps
// some of those it gives back, since so many at a time are more than malloc() keeps at hand.
struct weft_block *worker_take_block(void);
// `old` with room for so many bytes, or a new one. NULL without memory, and `old` is as it was.
struct weft_block *worker_grow_block(struct weft_block *old, size_t size);
void worker_give_block(struct weft_block *block); // NULL is no block

static inline void worker_turn(struct worker *worker) {
    a32_store(&worker->turn, worker->turn + 1);
}

static inline uint64_t lease_word(uint64_t epoch, bool out) { return epoch << 1 | (out ? 1 : 0); }
// Only the holder writes the word, so it may read it without order.
static inline uint64_t lease_next_epoch(const struct weft_poller *poller) {
    return (__atomic_load_n(&poller->lease, __ATOMIC_RELAXED) >> 1) + 1;
}
static inline bool lease_is_out(uint64_t word) { return (word & 1) != 0; }

// Lets the poller out of the hand. Everything written to it before is seen by whoever takes it.
static inline void lease_let_out(struct worker *worker, struct weft_poller *poller,
                                 uint64_t epoch) {
    worker->epoch = epoch;
    worker->out = true;
    if (worker->pool->asymmetric)
        a64_store(&poller->lease, lease_word(epoch, true));
    else
        a64_swap(&poller->lease, lease_word(epoch, true));
    if (__builtin_expect(__atomic_load_n(&worker->pool->watch_asleep, __ATOMIC_SEQ_CST) != 0, 0))
        mpoller_wake_watch(worker->pool);
}
// False when another worker has taken the poller meanwhile; the worker then drives none.
static inline bool lease_take_back(struct worker *worker, struct weft_poller *poller) {
    worker->out = false;
    if (a64_cas(&poller->lease, lease_word(worker->epoch, true), lease_word(worker->epoch, false)))
        return true;
    worker->poller = NULL;
    return false;
}

#ifdef __cplusplus
}
#endif

#endif
