// Weft - hierarchical timer wheel: a pure structure, given "now" by its caller
// SPDX-License-Identifier: Apache-2.0
//
// Owned by one poller and touched only by the holder of its lease. Ticks are 2^13 ns (8.2 us);
// level n has 64 slots of 64^n ticks. A node stands at the level of the highest 6-bit digit in
// which its tick differs from the wheel's, so all nodes of a level expire before any node of the
// level above. Deadlines stay exact: a tick only says where to look, and a node is handed out when
// its own `expire` is reached, in order of `expire`. Always holds: a slot's bit is set when its
// list is not empty; `earliest` of a slot is no later than any node in it.
#ifndef WEFT_SRC_KERNEL_WHEEL_H
#define WEFT_SRC_KERNEL_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "workflow/detail/kernel_types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WHEEL_SHIFT = 13, WHEEL_BITS = 6, WHEEL_SLOTS = 64, WHEEL_LEVELS = 9 };

struct wheel {
    uint64_t tick; // everything before it was handed out
    uint64_t used[WHEEL_LEVELS];
    uint64_t earliest[WHEEL_LEVELS][WHEEL_SLOTS];
    struct weft_timer slots[WHEEL_LEVELS][WHEEL_SLOTS]; // list heads
};

void wheel_init(struct wheel *wheel, uint64_t now);
// Takes a node that is in no wheel; one that is already late is handed out at the next advance.
void wheel_add(struct wheel *wheel, struct weft_timer *node, uint64_t expire);
void wheel_remove(struct wheel *wheel, struct weft_timer *node);
static inline bool wheel_has(const struct weft_timer *node) { return node->prev != NULL; }
// When advance should be called next: never later than the first deadline; UINT64_MAX when empty.
uint64_t wheel_next(const struct wheel *wheel);
// Moves on to `now` and returns the expired nodes as a list linked by `next`, earliest first, ties
// in order of adding.
struct weft_timer *wheel_advance(struct wheel *wheel, uint64_t now);

#ifdef __cplusplus
}
#endif

#endif
