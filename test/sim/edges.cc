// Weft - functions of the kernel that the linker leads through here: counting state edges, and planting faults
// SPDX-License-Identifier: Apache-2.0
//
// The linker's --wrap turns calls from one file of the kernel to a function of another to
// __wrap_<name>; the function itself is __real_<name>. So the kernel needs no hooks for its tests.
#include <stdio.h>

#include "kernel/entry.h"
#include "kernel/pool.h"
#include "program.h"

namespace sim {

EdgeCounts *edges;

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
                   from < CommConnEntry::S_ACCEPTED ? "client" : "server",
                   CommConnEntry::state_name(one), CommConnEntry::state_name(other));
        }
    }
    printf("sim: %d of %d legal edges crossed\n", legal - never, legal);
}

} // namespace sim

using sim::world;

#define SET_STATE   _ZN13CommConnEntry9set_stateENS_5StateE
#define BEGIN_CLOSE _ZN13CommConnEntry11begin_closeENS_5StateE
#define RECEIVE     _ZN13CommConnEntry7receiveEPcPm
#define SAVE_INPUT  _ZN13CommConnEntry10save_inputEPKcm
#define PASTE(a, b) a##b
#define NAME(a, b)  PASTE(a, b)
#define REAL(name)  NAME(__real_, name)
#define WRAP(name)  NAME(__wrap_, name)

extern "C" {

void REAL(SET_STATE)(CommConnEntry *entry, CommConnEntry::State next);
void WRAP(SET_STATE)(CommConnEntry *entry, CommConnEntry::State next);
void REAL(BEGIN_CLOSE)(CommConnEntry *entry, CommConnEntry::State closing);
void WRAP(BEGIN_CLOSE)(CommConnEntry *entry, CommConnEntry::State closing);
IoResult REAL(RECEIVE)(CommConnEntry *entry, char *buf, size_t *size);
IoResult WRAP(RECEIVE)(CommConnEntry *entry, char *buf, size_t *size);
bool REAL(SAVE_INPUT)(CommConnEntry *entry, const char *bytes, size_t size);
bool WRAP(SAVE_INPUT)(CommConnEntry *entry, const char *bytes, size_t size);
int __real_poller_modify(struct weft_poller *poller, struct pollable *node, uint32_t events);
int __wrap_poller_modify(struct weft_poller *poller, struct pollable *node, uint32_t events);
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

void __wrap_pool_call_for_queue(struct mpoller *pool) {
    // Planted: whoever lays a permit down does not look whether completions wait for one.
    if (!world->planted(sim::SKIP_QUEUE))
        __real_pool_call_for_queue(pool);
}

bool WRAP(SAVE_INPUT)(CommConnEntry *entry, const char *bytes, size_t size) {
    // Planted: what came behind a request is forgotten.
    return world->planted(sim::LOSE_INPUT) || REAL(SAVE_INPUT)(entry, bytes, size);
}

void __wrap_mpoller_stop(struct mpoller *pool) {
    sim::check_pool_at_stop(pool);
    __real_mpoller_stop(pool);
}

} // extern "C"
