// Weft - poller: one event source with its timers, descriptors, inbox and ready list
// SPDX-License-Identifier: Apache-2.0
//
// A poller belongs to the worker that holds its lease: one 64-bit word, an epoch and HELD or OUT.
// The driver lets the lease OUT under a new epoch before it works on an item, and takes it back by
// compare-and-swap afterwards; in between the program's code may run, and if it stays away too long
// another worker takes the poller (worker.h).
//
// Who may touch what:
// - `lease`, `inbox`, `asleep`: any thread, atomically.
// - everything else: only while HELD, by the driver, or inside an order passed to poller_do().
//
// A batch of events is gone through three times: the poller receives from all nodes that have it
// so, then each event is worked on, then what the program sent meanwhile goes out (ADR 17, 18).
//
// Always holds: an event names slot and generation, never a pointer, so an event that outlived its
// descriptor finds nothing. The ready list, the batch and what was put off live here, not with the
// worker, so a relay loses nothing of them.
#ifndef WEFT_SRC_KERNEL_POLLER_H
#define WEFT_SRC_KERNEL_POLLER_H

#include "kernel/atomics.h"
#include "kernel/sys.h"
#include "kernel/wheel.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mpoller;
struct pollable;
struct poller_backend;

enum { POLLER_BATCH = 16, POLLER_NO_SLOT = -1 };

// How much of a node, and of what it has beside it, is fetched ahead: neither may be smaller.
enum { POLLER_NODE_BYTES = 144, POLLER_BESIDE_BYTES = 128 };

// Bytes that were received and not taken yet, or wait to be sent. Memory of malloc().
struct weft_block {
    size_t size; // room for bytes
    size_t begin, end;
    char bytes[1];
};

// What the poller has received for a node.
struct poll_received {
    uint32_t events;          // that were reported
    int result;               // bytes, 0 at the peer's end, or a negative errno
    struct weft_block *block; // what the bytes stand in; NULL if there are none
    uint64_t now;             // when
};

// Of nodes whose bytes the poller moves, on a plain stream socket: it receives for all of a batch
// and then sends for all. Called by the driver inside the poller.
struct pollable_stream {
    // Something happened on several descriptors, and this is one of them: shall the poller receive
    // for it? If so nobody else may until `received`. Before the first is worked on, and never
    // waits. NULL when not, else the head of what `event` touches beside the node: a pointer to a
    // third object, which it touches, too. Both stay where they are as long as the node is
    // registered.
    void *const *(*ahead)(struct pollable *node, uint32_t events);
    // The poller has received for all of them. The block is the node's. What it was told is kept
    // for `event`, which is then called with no events.
    void (*received)(struct pollable *node, const struct poll_received *received);
    // Behind poller_put_off(): what is to be sent now, into `*block`; NULL if there is nothing any
    // more. False when that would have to be waited for, which it may if `patient`.
    bool (*flush)(struct pollable *node, bool patient, struct weft_block **block);
    // Behind each `flush` that gave something: how many bytes of it are sent, or a negative errno.
    // The block is the node's again. Runs none of the program's code.
    void (*flushed)(struct pollable *node, struct weft_block *block, ssize_t sent);
};

struct pollable_ops {
    // Something happened on the descriptor. Called by the driver with the lease OUT and a reference
    // held.
    void (*event)(struct pollable *node, uint32_t events);
    // The last reference is gone: free the object. Any thread; may run the program's deleters.
    void (*release)(struct pollable *node);
    // The pool ends: close this descriptor and end what depends on it. Called by the driver inside
    // an order.
    void (*abort)(struct pollable *node);
    const struct pollable_stream *stream; // NULL: the poller only tells it of events
};

// What the owner of a descriptor embeds. Being registered holds one reference.
struct pollable {
    const struct pollable_ops *ops;
    struct weft_poller *poller; // for life
    uint32_t refs;              // atomic
    int32_t slot;               // POLLER_NO_SLOT exactly when not registered
    int fd;
};

struct poll_slot {
    struct pollable *node; // NULL exactly when it is free
    uint32_t generation;
    union {
        int32_t next_free;
        int32_t beside; // how far from the node that lies, in words; 0: not known
    };
};

struct weft_poller {
    uint64_t lease;
    struct weft_msg *inbox; // pushed by anyone, newest first
    uint32_t asleep;        // the driver is about to sleep, and nobody has signalled it since
    uint32_t born;          // atomic: a driver was called for it
    struct worker *driver;  // who drives it, or did last; with the lease
    uint32_t load;          // atomic: connections dealt to it
    unsigned index;
    struct mpoller *pool;

    const struct poller_backend *backend; // for life
    int backend_fd;                       // of the back end's own
    int wakefd;
    uint64_t retry_at;   // while the pool lacks workers: when to try again to get one
    uint64_t now;        // when the last batch was fetched
    uint64_t seen_lease; // the watch's last look
    uint64_t spared; // of the watch: since when its driver looks stuck but is not asleep, else 0
    uint64_t spared_cpu; // and the processor time that one had used by then
    int batch_next, batch_count;
    unsigned full_batches; // in a row, since the timers were last looked at
    uint32_t full_looks;   // atomic: how often a batch was full, behind which others may wait
    unsigned ready_quota;  // items of the ready list to run before the next fetch
    unsigned ready_count;
    struct weft_job *ready, **ready_tail;
    struct poll_slot *slots;
    int32_t slot_count, slot_free;
    struct weft_msg close_order;
    bool closing; // the pool ends: timers fire as disrupted
    struct weft_poller *next_orphan;
    struct epoll_event batch[POLLER_BATCH];
    uint64_t put_off[POLLER_BATCH]; // names of nodes, as in events
    int put_off_count;
    struct wheel wheel;
};

int poller_init(struct weft_poller *poller, struct mpoller *pool, unsigned index);
void poller_destroy(struct weft_poller *poller);

static inline void pollable_ref(struct pollable *node) { a32_add(&node->refs, 1); }
static inline void pollable_unref(struct pollable *node) {
    if (a32_sub(&node->refs, 1) == 1)
        node->ops->release(node);
}

// The one door to a poller for code that may run anywhere. `msg` must not be pending already, and
// must stay valid until it has run. On the thread that drives the poller it runs at once, else it
// is posted, and a sleeping poller is woken. (A message that could wait would have to be woken for
// by whoever finds it posted and cannot wait, who does not know whether it has arrived yet.)
void poller_do(struct weft_poller *poller, struct weft_msg *msg);

// Wakes the driver if it sleeps.
void poller_wake(struct weft_poller *poller);

// The rest is for the holder of the lease.
// Registers node->fd and takes a reference. -1 with errno when the system refuses.
int poller_register(struct weft_poller *poller, struct pollable *node, uint32_t events);
int poller_modify(struct weft_poller *poller, struct pollable *node, uint32_t events);
// Forgets the descriptor, but leaves the registration's reference to the caller. The descriptor
// must be closed by the caller, or, if `keep` is true, stays open and is taken out of the event
// back end.
void poller_unregister(struct weft_poller *poller, struct pollable *node, bool keep);
static inline void poller_arm(struct weft_poller *poller, struct weft_poll_timer *timer,
                              uint64_t expire) {
    if (wheel_has(&timer->timer))
        wheel_remove(&poller->wheel, &timer->timer);
    wheel_add(&poller->wheel, &timer->timer, expire);
}
static inline void poller_disarm(struct weft_poller *poller, struct weft_poll_timer *timer) {
    if (wheel_has(&timer->timer))
        wheel_remove(&poller->wheel, &timer->timer);
}
static inline void poller_ready(struct weft_poller *poller, struct weft_job *job) {
    job->next = NULL;
    *poller->ready_tail = job;
    poller->ready_tail = &job->next;
    poller->ready_count++;
}
struct weft_job *poller_take_ready(struct weft_poller *poller);
// Nothing of its own is left to do; what the event back end holds does not count.
static inline bool poller_is_empty(const struct weft_poller *poller) {
    return poller->batch_next >= poller->batch_count && poller->put_off_count == 0 &&
           poller->ready_count == 0 && !__atomic_load_n(&poller->inbox, __ATOMIC_SEQ_CST);
}
// The end: tells all descriptors and fires all timers; whatever comes to this poller afterwards
// must end at once.
void poller_close(struct weft_poller *poller);
// Takes the next event of the batch; NULL when it was stale.
struct pollable *poller_take_event(struct weft_poller *poller, uint32_t *events);
// For code inside `event`, with the lease OUT: whether something of the node is better put off. Not
// on another thread than its driver, in the only event of a batch, nor in callbacks that are not
// quick.
bool poller_may_put_off(const struct pollable *node);
// Then: calls `flush` of the node when all of the batch was worked on, or has taken its time, or
// before code that is slow, or when another takes the poller over. False when one has, or when so
// many nodes wait already.
bool poller_put_off(struct pollable *node);
// The batch was worked on, or has taken its time, or its driver changes.
void poller_flush(struct weft_poller *poller);
// Waits for events, at most until the next timer, and not at all while the ready list has work;
// then runs the orders of expired timers and of the inbox.
void poller_fetch(struct weft_poller *poller);

#ifdef __cplusplus
}
#endif

#endif
