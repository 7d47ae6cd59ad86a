// Weft - hierarchical timer wheel
// SPDX-License-Identifier: Apache-2.0
#include "kernel/wheel.h"

#include <stddef.h>

void wheel_init(struct wheel *wheel, uint64_t now) {
    wheel->tick = now >> WHEEL_SHIFT;
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        wheel->used[level] = 0;
        for (int i = 0; i < WHEEL_SLOTS; i++) {
            struct weft_timer *head = &wheel->slots[level][i];
            head->next = head->prev = head;
        }
    }
}

static int level_of(uint64_t differing_bits) {
    return differing_bits == 0 ? 0 : (63 - __builtin_clzll(differing_bits)) / WHEEL_BITS;
}

void wheel_add(struct wheel *wheel, struct weft_timer *node, uint64_t expire) {
    uint64_t tick = expire >> WHEEL_SHIFT;
    if (tick < wheel->tick)
        tick = wheel->tick;
    int level = level_of(tick ^ wheel->tick);
    unsigned slot = (unsigned)(tick >> (WHEEL_BITS * level)) % WHEEL_SLOTS;
    uint64_t bit = UINT64_C(1) << slot;
    struct weft_timer *head = &wheel->slots[level][slot];

    if (!(wheel->used[level] & bit) || expire < wheel->earliest[level][slot])
        wheel->earliest[level][slot] = expire;
    wheel->used[level] |= bit;
    node->expire = expire;
    node->next = head;
    node->prev = head->prev;
    head->prev->next = node;
    head->prev = node;
}

void wheel_remove(struct wheel *wheel, struct weft_timer *node) {
    struct weft_timer *next = node->next;
    next->prev = node->prev;
    node->prev->next = next;
    if (next->next == next) { // only a list head can be alone: the slot is empty now
        ptrdiff_t i = next - &wheel->slots[0][0];
        wheel->used[i / WHEEL_SLOTS] &= ~(UINT64_C(1) << (i % WHEEL_SLOTS));
    }
    node->next = node->prev = NULL;
}

uint64_t wheel_next(const struct wheel *wheel) {
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        if (wheel->used[level])
            return wheel->earliest[level][__builtin_ctzll(wheel->used[level])];
    }
    return UINT64_MAX;
}

static struct weft_timer *merge(struct weft_timer *a, struct weft_timer *b) {
    struct weft_timer head, *tail = &head;
    while (a && b) {
        struct weft_timer **from = b->expire < a->expire ? &b : &a;
        tail = tail->next = *from;
        *from = (*from)->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

// Stable bottom-up merge sort: pile i holds a sorted run of 2^i nodes.
static struct weft_timer *sort_by_expire(struct weft_timer *list) {
    struct weft_timer *piles[64] = {NULL};
    struct weft_timer *sorted = NULL;
    while (list) {
        struct weft_timer *run = list;
        int i = 0;
        list = list->next;
        run->next = NULL;
        for (; piles[i]; i++) {
            run = merge(piles[i], run);
            piles[i] = NULL;
        }
        piles[i] = run;
    }
    for (int i = 0; i < 64; i++)
        sorted = merge(piles[i], sorted);
    return sorted;
}

// The slots of a level whose time has begun at tick `now`.
static uint64_t begun_slots(const struct wheel *wheel, int level, uint64_t now) {
    int above = WHEEL_BITS * (level + 1);
    if (above < 64 && (now >> above) != (wheel->tick >> above))
        return wheel->used[level];
    unsigned digit = (unsigned)(now >> (WHEEL_BITS * level)) % WHEEL_SLOTS;
    return wheel->used[level] & (UINT64_MAX >> (63 - digit));
}

static struct weft_timer **take_slot(struct weft_timer *head, struct weft_timer **tail) {
    *tail = head->next;
    tail = &head->prev->next;
    head->next = head->prev = head;
    return tail;
}

struct weft_timer *wheel_advance(struct wheel *wheel, uint64_t now) {
    uint64_t tick = now >> WHEEL_SHIFT;
    struct weft_timer *taken = NULL, **tail = &taken;
    struct weft_timer *expired = NULL, **last = &expired;

    if (tick < wheel->tick)
        tick = wheel->tick;
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        uint64_t begun = begun_slots(wheel, level, tick);
        wheel->used[level] &= ~begun;
        for (; begun; begun &= begun - 1)
            tail = take_slot(&wheel->slots[level][__builtin_ctzll(begun)], tail);
    }
    *tail = NULL;
    wheel->tick = tick;
    while (taken) {
        struct weft_timer *node = taken;
        taken = node->next;
        if (node->expire > now) {
            wheel_add(wheel, node, node->expire);
            continue;
        }
        node->prev = NULL;
        *last = node;
        last = &node->next;
    }
    *last = NULL;
    return expired && expired->next ? sort_by_expire(expired) : expired;
}
