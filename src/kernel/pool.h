// Weft - what the files of the worker pool say to each other
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_KERNEL_POOL_H
#define WEFT_SRC_KERNEL_POOL_H

#include "kernel/worker.h"

#ifdef __cplusplus
extern "C" {
#endif

enum duty {
    DUTY_DRIVE, // drive *poller
    DUTY_QUEUE, // look at the queue
    DUTY_LEAVE, // the pool stops and needs this worker no more
};

void worker_main(struct worker *worker);
// A worker that was started begins: it is on the way no more, whatever it does next.
void pool_arrive(struct mpoller *pool);
// Waits until there is something to do: an orphan, a queued completion with a permit to be had, the
// watch, or the end.
enum duty pool_stand_by(struct worker *worker, struct weft_poller **poller);

void pool_queue(struct mpoller *pool, struct weft_job *job);
struct weft_job *pool_take_queued(struct mpoller *pool);
// Somebody laid a permit down and goes away: if completions wait, somebody else must come.
void pool_call_for_queue(struct mpoller *pool);
// For the drivers, while `lacking`: tries again to call a worker for the orphans.
void pool_retry(struct mpoller *pool);
// The caller holds the lease and leaves the poller to the next free worker.
void pool_give_away(struct weft_poller *poller);
// A worker robbed by the watch has come back.
void pool_judge_relay(struct mpoller *pool);
// Wakes or starts a worker; false when none can be had. Needs pool->lock.
bool pool_call_worker(struct mpoller *pool) WEFT_TSA(requires_capability(pool->lock));

// One life as the watch: returns the poller it took over, or NULL when the pool stops.
struct weft_poller *watch_run(struct worker *worker);

#ifdef __cplusplus
}
#endif

#endif
