// Weft - functions of the kernel that the linker leads through here: counting state edges, and planting faults
// SPDX-License-Identifier: Apache-2.0
//
// The linker's --wrap turns calls from one file of the kernel to a function of another to
// __wrap_<name>; the function itself is __real_<name>. So the kernel needs no hooks for its tests.
#include <stdio.h>

#include "kernel/comm_waiter.h"
#include "kernel/entry.h"
#include "kernel/listener.h"
#include "kernel/pool.h"
#include "kernel/sleep.h"
#include "program.h"

namespace sim {

EdgeCounts *edges;
static_assert(CommConnEntry::STATE_COUNT <= sizeof edges->crossed / sizeof edges->crossed[0]);

void print_edges() {
    int legal = 0, never = 0;
    for (int from = 0; from < CommConnEntry::STATE_COUNT; from++) {
        for (int to = 0; to < CommConnEntry::STATE_COUNT; to++) {
            auto one = static_cast<CommConnEntry::State>(from),
                 other = static_cast<CommConnEntry::State>(to);
            if (!CommConnEntry::is_legal(one, other))
                continue;
            legal++;
            if (edges->crossed[from][to])
                continue;
            never++;
            printf("sim: never crossed: %s %s -> %s\n",
                   from < CommConnEntry::S_ACCEPTED     ? "client"
                   : from < CommConnEntry::C_CONNECTING ? "server"
                                                        : "channel",
                   CommConnEntry::state_name(one), CommConnEntry::state_name(other));
        }
    }
    printf("sim: %d of %d legal edges crossed\n", legal - never, legal);
}

} // namespace sim

using sim::world;

#define SET_STATE    _ZN13CommConnEntry9set_stateENS_5StateE
#define BEGIN_CLOSE  _ZN13CommConnEntry11begin_closeENS_5StateE
#define RECEIVE      _ZN13CommConnEntry7receiveEPcPm
#define SAVE_INPUT   _ZN13CommConnEntry10save_inputEPKcm
#define HANDSHAKE    _ZN13CommConnEntry9handshakeEPFbPS_E
#define DEADLINE     _ZN13CommConnEntry12set_deadlineEm
#define CANCEL       _ZN17CommClientMachine6cancelEP11CommSessioniPP13CommConnEntry
#define GRANT        _ZN10CommWaiter5grantEP10CommTarget
#define UNSLEEP      _ZN9CommSleep6cancelEP12SleepSession
#define RENEW        _ZN12CommListener14renew_interestEv
#define HOLD_ALL     _ZN12CommListener8hold_allEb
#define BEGIN_UNSENT _ZN17CommServerMachine12begin_unsentEP13CommConnEntryi
#define REFUSE       _ZN17CommServerMachine6refuseEP11CommSession
#define ADMIT        _ZN17CommServerMachine5admitEP11CommSession
#define LEAVE        _ZN2wf5Guard5leaveEPK8sockaddrj
#define PASTE(a, b)  a##b
#define NAME(a, b)   PASTE(a, b)
#define REAL(name)   NAME(__real_, name)
#define WRAP(name)   NAME(__wrap_, name)

extern "C" {

void REAL(SET_STATE)(CommConnEntry *entry, CommConnEntry::State next);
void WRAP(SET_STATE)(CommConnEntry *entry, CommConnEntry::State next);
void REAL(BEGIN_CLOSE)(CommConnEntry *entry, CommConnEntry::State closing);
void WRAP(BEGIN_CLOSE)(CommConnEntry *entry, CommConnEntry::State closing);
IoResult REAL(RECEIVE)(CommConnEntry *entry, char *buf, size_t *size);
IoResult WRAP(RECEIVE)(CommConnEntry *entry, char *buf, size_t *size);
bool REAL(SAVE_INPUT)(CommConnEntry *entry, const char *bytes, size_t size);
bool WRAP(SAVE_INPUT)(CommConnEntry *entry, const char *bytes, size_t size);
IoResult REAL(HANDSHAKE)(CommConnEntry *entry, bool (*prepare)(CommConnEntry *));
IoResult WRAP(HANDSHAKE)(CommConnEntry *entry, bool (*prepare)(CommConnEntry *));
void REAL(DEADLINE)(CommConnEntry *entry, uint64_t when);
void WRAP(DEADLINE)(CommConnEntry *entry, uint64_t when);
int REAL(CANCEL)(CommSession *session, int error, CommConnEntry **held);
int WRAP(CANCEL)(CommSession *session, int error, CommConnEntry **held);
void REAL(GRANT)(CommWaiter *waiter, CommTarget *target);
void WRAP(GRANT)(CommWaiter *waiter, CommTarget *target);
int REAL(UNSLEEP)(SleepSession *session);
int WRAP(UNSLEEP)(SleepSession *session);
void REAL(RENEW)(CommListener *listener);
void WRAP(RENEW)(CommListener *listener);
void REAL(HOLD_ALL)(CommListener *listener, bool held);
void WRAP(HOLD_ALL)(CommListener *listener, bool held);
void REAL(BEGIN_UNSENT)(CommConnEntry *entry, int send_timeout);
void WRAP(BEGIN_UNSENT)(CommConnEntry *entry, int send_timeout);
int ADMIT(CommSession *session);
int REAL(REFUSE)(CommSession *session);
int WRAP(REFUSE)(CommSession *session);
void REAL(LEAVE)(wf::Guard *guard, const struct sockaddr *addr, socklen_t len);
void WRAP(LEAVE)(wf::Guard *guard, const struct sockaddr *addr, socklen_t len);
int __real_poller_modify(struct weft_poller *poller, struct pollable *node, uint32_t events);
int __wrap_poller_modify(struct weft_poller *poller, struct pollable *node, uint32_t events);
void __real_poller_flush(struct weft_poller *poller);
void __wrap_poller_flush(struct weft_poller *poller);
void __real_pool_call_for_queue(struct mpoller *pool);
void __wrap_pool_call_for_queue(struct mpoller *pool);
void __real_mpoller_stop(struct mpoller *pool);
void __wrap_mpoller_stop(struct mpoller *pool);

// All changes of state but those of begin_close(), which stands beside the setter.
void WRAP(SET_STATE)(CommConnEntry *entry, CommConnEntry::State next) {
    uint8_t from = entry->state;
    world->trace("connection %d: %s -> %s", entry->fd,
                 CommConnEntry::state_name(static_cast<CommConnEntry::State>(from)),
                 CommConnEntry::state_name(next));
    REAL(SET_STATE)(entry, next);
    sim::edges->crossed[from][next]++;
}

void WRAP(BEGIN_CLOSE)(CommConnEntry *entry, CommConnEntry::State closing) {
    uint8_t from = entry->state;
    world->trace("connection %d: %s -> closing", entry->fd,
                 CommConnEntry::state_name(static_cast<CommConnEntry::State>(from)));
    REAL(BEGIN_CLOSE)(entry, closing);
    sim::edges->crossed[from][closing]++;
}

IoResult WRAP(RECEIVE)(CommConnEntry *entry, char *buf, size_t *size) {
    size_t asked = *size;
    IoResult result = REAL(RECEIVE)(entry, buf, size);
    // Planted: a short read is taken for the end of the data, whatever the event said.
    if (world->planted(sim::SHORT_READ) && result == IoResult::DONE && *size < asked)
        entry->readable = false;
    return result;
}

int __wrap_poller_modify(struct weft_poller *poller, struct pollable *node, uint32_t events) {
    // Planted: the back end is not told that writability is of interest now.
    if (world->planted(sim::FORGET_WRITE) && (events & EPOLLOUT))
        return 0;
    return __real_poller_modify(poller, node, events);
}

void __wrap_poller_flush(struct weft_poller *poller) {
    if (poller->put_off_count > 0)
        world->trace("%d connections send what was put off", poller->put_off_count);
    // Planted: one of them is forgotten.
    if (world->planted(sim::FORGET_PUT_OFF) && poller->put_off_count > 1)
        poller->put_off_count--;
    __real_poller_flush(poller);
}

void __wrap_pool_call_for_queue(struct mpoller *pool) {
    // Planted: whoever lays a permit down does not look whether completions wait for one.
    if (!world->planted(sim::SKIP_QUEUE))
        __real_pool_call_for_queue(pool);
}

bool WRAP(SAVE_INPUT)(CommConnEntry *entry, const char *bytes, size_t size) {
    // Planted: what came behind a request is forgotten.
    return world->planted(sim::LOSE_INPUT) || REAL(SAVE_INPUT)(entry, bytes, size);
}

IoResult WRAP(HANDSHAKE)(CommConnEntry *entry, bool (*prepare)(CommConnEntry *)) {
    IoResult result = REAL(HANDSHAKE)(entry, prepare);
    // Planted: what came behind the handshake waits for the next event.
    if (world->planted(sim::DEAF_HANDSHAKE) && result == IoResult::DONE)
        entry->readable = false;
    return result;
}

void WRAP(DEADLINE)(CommConnEntry *entry, uint64_t when) {
    // Planted: now and then the old deadline stays.
    if (!world->planted(sim::LOSE_DEADLINE) || !world->rng.percent(2))
        REAL(DEADLINE)(entry, when);
}

int WRAP(CANCEL)(CommSession *session, int error, CommConnEntry **held) {
    // Planted: a cancel is promised and forgotten.
    if (world->planted(sim::LOSE_CANCEL) && world->rng.percent(5))
        return 0;
    return REAL(CANCEL)(session, error, held);
}

void WRAP(GRANT)(CommWaiter *waiter, CommTarget *target) {
    // Planted: whoever waits for a target is taken for one that does not.
    if (!world->planted(sim::LOSE_GRANT) || !world->rng.percent(5))
        REAL(GRANT)(waiter, target);
}

int WRAP(UNSLEEP)(SleepSession *session) {
    // Planted: a timer that is taken back fires all the same.
    if (world->planted(sim::KEEP_TIMER) && world->rng.percent(5))
        return 0;
    return REAL(UNSLEEP)(session);
}

void WRAP(RENEW)(CommListener *listener) {
    // Planted: nobody asks when a datagram socket has room again.
    if (!world->planted(sim::KEEP_DATAGRAM))
        REAL(RENEW)(listener);
}

void WRAP(HOLD_ALL)(CommListener *listener, bool held) {
    // Planted: a pause has no end.
    REAL(HOLD_ALL)(listener, held || world->planted(sim::KEEP_PAUSE));
}

void WRAP(BEGIN_UNSENT)(CommConnEntry *entry, int send_timeout) {
    REAL(BEGIN_UNSENT)(entry, send_timeout);
    // Planted: nobody looks at what a peer does not take.
    if (world->planted(sim::LOSE_BACKLOG) && entry->output) {
        entry->output->rule = BacklogRule(0, 0);
        REAL(DEADLINE)(entry, entry_min(entry->began, entry->output->block_until));
    }
}

int WRAP(REFUSE)(CommSession *session) {
    // Planted: whoever is refused is let in.
    return world->planted(sim::ADMIT_REFUSED) ? ADMIT(session) : REAL(REFUSE)(session);
}

void WRAP(LEAVE)(wf::Guard *guard, const struct sockaddr *addr, socklen_t len) {
    // Planted: now and then a place is not given back.
    if (!world->planted(sim::LOSE_PLACE) || !world->rng.percent(5))
        REAL(LEAVE)(guard, addr, len);
}

void __wrap_mpoller_stop(struct mpoller *pool) {
    sim::check_pool_at_stop(pool);
    __real_mpoller_stop(pool);
}

} // extern "C"
