// Weft - the event back end of a poller, as a small table
// SPDX-License-Identifier: Apache-2.0
//
// Events are told and asked for in the words of epoll(7), and are edge-triggered. `name` comes back
// with each event of the descriptor. All functions but init and destroy are called by the holder of
// the poller's lease.
#ifndef WEFT_SRC_KERNEL_POLLER_BACKEND_H
#define WEFT_SRC_KERNEL_POLLER_BACKEND_H

#include "kernel/poller.h"

struct poller_backend {
    int (*init)(struct weft_poller *poller); // -1 with errno
    void (*destroy)(struct weft_poller *poller);
    int (*add)(struct weft_poller *poller, int fd, uint32_t events, uint64_t name);
    int (*modify)(struct weft_poller *poller, int fd, uint32_t events, uint64_t name);
    // A descriptor that is closed needs no removing.
    void (*remove)(struct weft_poller *poller, int fd);
    // Fills poller->batch, waiting at most `timeout` ns; returns how many, -1 when interrupted.
    int (*wait)(struct weft_poller *poller, uint64_t timeout);
};

extern const struct poller_backend poller_epoll;

#endif
