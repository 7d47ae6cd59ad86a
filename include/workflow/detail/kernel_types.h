// Weft public header, room: kernel - the small C structures that public kernel classes embed
// SPDX-License-Identifier: Apache-2.0
//
// These are parts of other objects, never used alone by programs. They stand here, and not in the
// kernel's private headers, because CommSession and SleepSession contain them by value. They are
// plain C so that the C floor of the kernel works on them directly, and their layout depends on no
// macro.
#ifndef WEFT_DETAIL_KERNEL_TYPES_H
#define WEFT_DETAIL_KERNEL_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Words for clang's thread-safety analysis; other compilers see nothing.
#if defined(__clang__)
#define WEFT_TSA(x) __attribute__((x))
#else
#define WEFT_TSA(x)
#endif

// A lock of four bytes: 0 free, 1 held, 2 held with sleepers. Held for moments, never while user
// code runs.
struct WEFT_TSA(capability("mutex")) weft_lock {
    unsigned word;
};

// A piece of work for a worker: run once, with nothing of a poller in hand. The node belongs to the
// object it is part of; `run` may free it.
struct weft_job {
    struct weft_job *next;
    void (*run)(struct weft_job *job);
};

// An order to a poller: run by its driver while it holds the lease, so it must not call user code
// nor block.
struct weft_poller;
struct weft_msg {
    struct weft_msg *next;
    void (*run)(struct weft_msg *msg, struct weft_poller *poller);
};

// A timer in a wheel. `prev` is NULL exactly when it is in no wheel. `expire` is in nanoseconds of
// the monotonic clock.
struct weft_timer {
    struct weft_timer *next;
    struct weft_timer *prev;
    uint64_t expire;
};

// A timer together with the order that its poller is given when it expires. The same order may also
// be posted.
struct weft_poll_timer {
    struct weft_timer timer;
    struct weft_msg msg;
};

#ifdef __cplusplus
}
#endif

#endif
