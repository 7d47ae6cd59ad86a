// Weft - poller: one event source with its timers, descriptors, inbox and ready list
// SPDX-License-Identifier: Apache-2.0
#include "kernel/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/poller_backend.h"
#include "kernel/pool.h"
#include "util/sanitized.h"

#define WAKE_EVENT UINT64_MAX

// A timer fires behind the events that came before it, so that a machine that was kept from running
// does not take what has long arrived for late. Batches that are full mean that more events may
// wait; so many of them may go before the timers.
enum { FULL_BATCHES = 16 };

// How often a driver tries to find a worker for a poller that has none.
enum { RETRY_NS = 100000000 };

// Behind so many events others are ready most likely: all that waiting takes is spared then, at the
// price of one look in vain where they are not.
enum { BUSY_BATCH = 4 };

// Behind a batch that took so long something has most likely blocked, though too short to be found.
enum { SLOW_BATCH_NS = 1000000 };

int poller_init(struct weft_poller *poller, struct mpoller *pool, unsigned index) {
    memset(poller, 0, sizeof *poller);
    poller->pool = pool;
    poller->index = index;
    poller->slot_free = POLLER_NO_SLOT;
    poller->ready_tail = &poller->ready;
    poller->now = sys_now();
    wheel_init(&poller->wheel, poller->now);
    poller->backend = &poller_epoll;
    if (poller->backend->init(poller) < 0)
        return -1;
    poller->wakefd = sys_eventfd();
    // Edge-triggered: every signal is one event, and the counter need never be read.
    if (poller->wakefd >= 0 &&
        poller->backend->add(poller, poller->wakefd, EPOLLIN | EPOLLET, WAKE_EVENT) == 0)
        return 0;
    int error = errno;
    if (poller->wakefd >= 0)
        sys_close(poller->wakefd);
    poller->backend->destroy(poller);
    errno = error;
    return -1;
}

void poller_destroy(struct weft_poller *poller) {
    sys_close(poller->wakefd);
    poller->backend->destroy(poller);
    free(poller->slots);
}

void poller_wake(struct weft_poller *poller) {
    if (a32_load(&poller->asleep) && a32_cas(&poller->asleep, 1, 0))
        sys_eventfd_signal(poller->wakefd);
}

static void post(struct weft_poller *poller, struct weft_msg *msg) {
    // The order may be the last thing the pool has to do, and the pool then gone before we have
    // looked whether its driver sleeps: so the look is waited for, too.
    struct mpoller *pool = poller->pool;
    mpoller_enter(pool);
    struct weft_msg *head = __atomic_load_n(&poller->inbox, __ATOMIC_RELAXED);
    do
        msg->next = head;
    while (!__atomic_compare_exchange_n(&poller->inbox, &head, msg, true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED));
    // From here on the message may have run and be gone. A driver publishes its sleep before it
    // looks at the inbox a last time, so either it sees the message or we see its sleep.
    poller_wake(poller);
    if (!a32_load(&poller->born))
        mpoller_birth(poller);
    mpoller_leave(pool);
}

void poller_do(struct weft_poller *poller, struct weft_msg *msg) {
    struct worker *worker = sys_self();
    if (worker && worker->poller == poller) {
        if (!worker->out) { // already inside the poller: the driver itself, or an order that gives
                            // another
            msg->run(msg, poller);
            return;
        }
        if (lease_take_back(worker, poller)) {
            msg->run(msg, poller);
            lease_let_out(worker, poller, worker->epoch);
            return;
        }
    }
    post(poller, msg);
}

static int grow_slots(struct weft_poller *poller) {
    int32_t old = poller->slot_count, count = old ? old * 2 : 64;
    struct poll_slot *slots = realloc(poller->slots, (size_t)count * sizeof *slots);
    if (!slots)
        return -1;
    poller->slots = slots;
    poller->slot_count = count;
    for (int32_t i = count - 1; i >= old; i--) {
        slots[i] =
            (struct poll_slot){.node = NULL, .generation = 0, .next_free = poller->slot_free};
        poller->slot_free = i;
    }
    return 0;
}

static uint64_t event_name(const struct weft_poller *poller, int32_t slot) {
    return (uint64_t)poller->slots[slot].generation << 32 | (uint32_t)slot;
}

int poller_register(struct weft_poller *poller, struct pollable *node, uint32_t events) {
    if (poller->slot_free == POLLER_NO_SLOT && grow_slots(poller) < 0)
        return -1;
    int32_t slot = poller->slot_free;
    if (poller->backend->add(poller, node->fd, events, event_name(poller, slot)) < 0)
        return -1;
    poller->slot_free = poller->slots[slot].next_free;
    poller->slots[slot].node = node;
    poller->slots[slot].beside = 0;
    node->slot = slot;
    pollable_ref(node);
    return 0;
}

int poller_modify(struct weft_poller *poller, struct pollable *node, uint32_t events) {
    return poller->backend->modify(poller, node->fd, events, event_name(poller, node->slot));
}

void poller_unregister(struct weft_poller *poller, struct pollable *node, bool keep) {
    struct poll_slot *slot = &poller->slots[node->slot];
    if (keep)
        poller->backend->remove(poller, node->fd);
    slot->generation++;
    slot->node = NULL;
    slot->next_free = poller->slot_free;
    poller->slot_free = node->slot;
    node->slot = POLLER_NO_SLOT;
}

struct weft_job *poller_take_ready(struct weft_poller *poller) {
    struct weft_job *job = poller->ready;
    if (!job || poller->ready_quota == 0)
        return NULL;
    poller->ready_quota--;
    poller->ready_count--;
    poller->ready = job->next;
    if (!poller->ready)
        poller->ready_tail = &poller->ready;
    return job;
}

// NULL when the event is stale, or not of a descriptor.
static struct poll_slot *find_slot(const struct weft_poller *poller, uint64_t name) {
    if (name == WAKE_EVENT)
        return NULL;
    struct poll_slot *slot = &poller->slots[(uint32_t)name];
    return slot->generation == (uint32_t)(name >> 32) && slot->node ? slot : NULL;
}

enum { LINE = 64 };

// A load, though its value is of no use: where the page is not at hand a prefetch does nothing.
static void touch(const void *object, int bytes) {
    const char *at = object, *last = at + bytes - 1; // it need not begin with a line
    for (; at < last; at += LINE)
        (void)__atomic_load_n(at, __ATOMIC_RELAXED);
    (void)__atomic_load_n(last, __ATOMIC_RELAXED);
}

static void *const *beside_of(const struct poll_slot *slot) {
    return (void *const *)slot->node + slot->beside;
}

static void note_beside(struct poll_slot *slot, void *const *beside) {
    intptr_t words = beside - (void *const *)slot->node;
    slot->beside = words == (int32_t)words ? (int32_t)words : 0;
}

// Of connections by the thousand, the objects of each are out of the cache when its event is due.
// Those of a whole batch are fetched at once, so that one waits for memory while the others do
// (ADR 16).
static void fetch_batch(const struct weft_poller *poller) {
    const struct poll_slot *slots[POLLER_BATCH];
    int count = 0;
    for (int i = 0; i < poller->batch_count; i++) {
        const struct poll_slot *slot = find_slot(poller, poller->batch[i].data.u64);
        if (!slot || !slot->beside)
            continue;
        slots[count++] = slot;
        touch(slot->node, POLLER_NODE_BYTES);
        touch(beside_of(slot), POLLER_BESIDE_BYTES);
    }
    for (int i = 0; i < count; i++) {
        const char *further = *beside_of(slots[i]);
        touch(further, 1);
        __builtin_prefetch(further + LINE);
    }
}

struct pollable *poller_take_event(struct weft_poller *poller, uint32_t *events) {
    const struct epoll_event *event = &poller->batch[poller->batch_next++];
    *events = event->events;
    const struct poll_slot *slot = find_slot(poller, event->data.u64);
    return slot ? slot->node : NULL;
}

// Whom the poller receives for. NULL: leaves it to the event.
static struct pollable *find_reader(struct weft_poller *poller, const struct epoll_event *event) {
    struct poll_slot *slot = find_slot(poller, event->data.u64);
    if (!slot || !slot->node->ops->stream)
        return NULL;
    void *const *beside = slot->node->ops->stream->ahead(slot->node, event->events);
    if (!beside)
        return NULL;
    note_beside(slot, beside);
    return slot->node;
}

static void receive_one(int fd, struct poll_received *into) {
    ssize_t n;
    do
        n = sys_recv(fd, into->block->bytes, into->block->size);
    while (n < 0 && errno == EINTR);
    into->result = n < 0 ? -errno : (int)n;
    if (n > 0) {
        into->block->end = (size_t)n;
        return;
    }
    worker_give_block(into->block);
    into->block = NULL;
}

// Receiving from one connection after the other, and then working on one after the other, takes
// less time than doing both for each, and least when there is nothing in between (ADR 17). It all
// happens inside the poller, so nobody takes it over with bytes in hand that no node knows of.
static void receive_first(struct weft_poller *poller) {
    struct pollable *nodes[POLLER_BATCH];
    struct poll_received into[POLLER_BATCH];
    int count = 0;
    if (poller->batch_count < 2)
        return;
    if (!WEFT_SANITIZED) // to which it looks like a race
        fetch_batch(poller);
    struct weft_block *block = NULL;
    for (int i = 0; i < poller->batch_count; i++) {
        struct epoll_event *event = &poller->batch[i];
        if (!block && !(block = worker_take_block()))
            break;
        if (!(nodes[count] = find_reader(poller, event)))
            continue;
        into[count++] =
            (struct poll_received){.events = event->events, .block = block, .now = poller->now};
        block = NULL;
        event->events = 0;
    }
    worker_give_block(block);
    for (int i = 0; i < count; i++)
        receive_one(nodes[i]->fd, &into[i]);
    // An order that one of them gives runs at once, and may end that one, but none of the others.
    for (int i = 0; i < count; i++)
        nodes[i]->ops->stream->received(nodes[i], &into[i]);
}

bool poller_may_put_off(const struct pollable *node) {
    const struct worker *worker = sys_self();
    return worker && worker->poller == node->poller && worker->may_put_off && worker->out;
}

bool poller_put_off(struct pollable *node) {
    struct worker *worker = sys_self();
    struct weft_poller *poller = node->poller;
    if (!lease_take_back(worker, poller))
        return false;
    bool has_room = poller->put_off_count < POLLER_BATCH && node->slot != POLLER_NO_SLOT;
    if (has_room)
        poller->put_off[poller->put_off_count++] = event_name(poller, node->slot);
    lease_let_out(worker, poller, worker->epoch);
    return has_room;
}

static ssize_t send_one(int fd, const struct weft_block *block) {
    struct iovec vector = {.iov_base = (char *)block->bytes + block->begin,
                           .iov_len = block->end - block->begin};
    ssize_t n;
    do
        n = sys_sendv(fd, &vector, 1);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

// Sends for those of the names that need not be waited for, or for all. Returns how many names are
// left, which stand in front then.
static int flush_names(struct weft_poller *poller, uint64_t *names, int name_count, bool patient) {
    struct pollable *nodes[POLLER_BATCH];
    struct weft_block *blocks[POLLER_BATCH];
    ssize_t sent[POLLER_BATCH];
    int count = 0, left = 0;
    for (int i = 0; i < name_count; i++) {
        const struct poll_slot *slot = find_slot(poller, names[i]);
        if (!slot)
            continue;
        if (!slot->node->ops->stream->flush(slot->node, patient, &blocks[count]))
            names[left++] = names[i];
        else if (blocks[count])
            nodes[count++] = slot->node;
    }
    for (int i = 0; i < count; i++)
        sent[i] = send_one(nodes[i]->fd, blocks[i]);
    // As in receive_first().
    for (int i = 0; i < count; i++)
        nodes[i]->ops->stream->flushed(nodes[i], blocks[i], sent[i]);
    return left;
}

// Sending, too, is cheapest one behind the other with nothing in between.
void poller_flush(struct weft_poller *poller) {
    uint64_t names[POLLER_BATCH];
    int count = poller->put_off_count;
    memcpy(names, poller->put_off, (size_t)count * sizeof *names);
    poller->put_off_count = 0;
    count = flush_names(poller, names, count, false);
    if (count > 0)
        flush_names(poller, names, count, true);
}

static void drain_inbox(struct weft_poller *poller) {
    if (!__atomic_load_n(&poller->inbox, __ATOMIC_SEQ_CST))
        return;
    struct weft_msg *newest = __atomic_exchange_n(&poller->inbox, NULL, __ATOMIC_SEQ_CST);
    struct weft_msg *oldest = NULL;
    while (newest) {
        struct weft_msg *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct weft_msg *msg = oldest;
        oldest = msg->next;
        msg->run(msg, poller);
    }
}

static void fire_timers(struct weft_poller *poller, uint64_t until) {
    if (wheel_next(&poller->wheel) > until)
        return;
    struct weft_timer *timer = wheel_advance(&poller->wheel, until);
    while (timer) {
        struct weft_poll_timer *t = (struct weft_poll_timer *)timer;
        timer = timer->next;
        t->msg.run(&t->msg, poller);
    }
}

void poller_close(struct weft_poller *poller) {
    poller->closing = true;
    for (int32_t i = 0; i < poller->slot_count; i++) {
        struct pollable *node = poller->slots[i].node;
        if (node)
            node->ops->abort(node);
    }
    fire_timers(poller, UINT64_MAX);
    wheel_init(&poller->wheel, poller->now);
}

// What the last batch has brought about ended by `end`. A poller's first look may seem late, too,
// which does no harm.
static void judge_batch(struct weft_poller *poller, uint64_t end) {
    if (end - poller->now > SLOW_BATCH_NS)
        a64_store(&poller->pool->slow_time, end);
}

// How long to wait; publishes it first and then looks at the inbox again, so that no message is
// slept over, nor the end.
static uint64_t wait_time(struct weft_poller *poller) {
    if (poller->ready_count)
        return 0;
    uint64_t until = wheel_next(&poller->wheel);
    if (until <= poller->now)
        return 0;
    a32_swap(&poller->asleep, 1);
    if (__atomic_load_n(&poller->inbox, __ATOMIC_SEQ_CST) ||
        __atomic_load_n(&poller->pool->stopping, __ATOMIC_SEQ_CST)) {
        a32_store(&poller->asleep, 0);
        return 0;
    }
    // Read after the sleep was published, so that whoever begins to lack wakes us, or is seen here.
    if (a32_load(&poller->pool->lacking) && until > poller->retry_at)
        until = poller->retry_at;
    uint64_t now = sys_now(); // `poller->now` may be old by all that ran since
    judge_batch(poller, now);
    if (until == UINT64_MAX)
        return SYS_FOREVER;
    return until > now ? until - now : 0;
}

void poller_fetch(struct weft_poller *poller) {
    if (a32_load(&poller->pool->lacking) && poller->now >= poller->retry_at) {
        poller->retry_at = poller->now + RETRY_NS;
        pool_retry(poller->pool);
    }
    if (poller->batch_count < POLLER_BATCH || ++poller->full_batches >= FULL_BATCHES) {
        poller->full_batches = 0;
        fire_timers(poller, poller->now); // all that was reported by then is done
    }
    uint64_t timeout = poller->batch_count >= BUSY_BATCH ? 0 : wait_time(poller);
    struct worker *self = sys_self();
    if (timeout)
        worker_turn(self);
    int n = poller->backend->wait(poller, timeout);
    if (timeout)
        worker_turn(self); // before an order is taken out of the inbox: see all_rest()
    if (__atomic_load_n(&poller->asleep, __ATOMIC_RELAXED))
        a32_store(&poller->asleep, 0);
    uint64_t now = sys_now();
    if (!timeout) // else it was judged before the wait
        judge_batch(poller, now);
    poller->now = now;
    poller->batch_next = 0;
    poller->batch_count = n > 0 ? n : 0; // an interrupted wait is an empty one
    if (poller->batch_count == POLLER_BATCH)
        a32_store(&poller->full_looks, a32_load(&poller->full_looks) + 1);
    if (n <= 0)
        fire_timers(poller, poller->now);
    drain_inbox(poller);
    receive_first(poller);
    poller->ready_quota = poller->ready_count;
}
