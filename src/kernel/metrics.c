// Weft - metrics: the blocks of all threads
// SPDX-License-Identifier: Apache-2.0
#include "kernel/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/atomics.h"

static struct weft_lock lock;        // guards the list, and the taking up of an ended thread
static struct metrics_block *blocks; // of the threads that live
static struct metrics_block rest; // of those that have ended or have no block; added to atomically

static uint64_t *load_page(uint64_t *const *page) {
    uint64_t *slots;
    __atomic_load(page, &slots, __ATOMIC_ACQUIRE);
    return slots;
}

static uint64_t load_slot(const uint64_t *slot) {
    uint64_t value;
    __atomic_load(slot, &value, __ATOMIC_RELAXED);
    return value;
}

static void add_to_rest(uint64_t *to, const uint64_t *from, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (from[i])
            a64_add(&to[i], from[i]);
    }
}

void metrics_take_back(struct metrics_block *block) {
    *sys_metrics() = NULL;
    sys_lock(&lock);
    add_to_rest(rest.slots, block->slots, METRIC_SLOTS);
    for (unsigned i = 0; i < METRIC_PAGES; i++) {
        if (block->pages[i])
            add_to_rest(rest.pages[i], block->pages[i], METRIC_PAGE);
        free(block->pages[i]);
    }
    *block->link = block->next;
    if (block->next)
        block->next->link = block->link;
    sys_unlock(&lock);
    free(block);
}

// Without a block the thread counts in the rest, and tries again the next time.
static struct metrics_block *own_block(void) {
    struct metrics_block *block = *sys_metrics();
    if (block)
        return block;
    int error = errno; // whoever counts expects no change
    block = calloc(1, sizeof *block);
    if (!block || !sys_at_thread_end(block)) {
        free(block);
        errno = error;
        return NULL;
    }
    errno = error;
    sys_lock(&lock);
    block->next = blocks;
    block->link = &blocks;
    if (blocks)
        blocks->link = &block->next;
    blocks = block;
    sys_unlock(&lock);
    return *sys_metrics() = block;
}

void metric_add_slowly(unsigned slot, uint64_t n) {
    struct metrics_block *block = own_block();
    if (block)
        metric_bump(&block->slots[slot], n);
    else
        a64_add(&rest.slots[slot], n);
}

bool metrics_provide(unsigned page) {
    if (page >= METRIC_PAGES)
        return false;
    sys_lock(&lock);
    uint64_t *slots = rest.pages[page];
    if (!slots) {
        slots = calloc(METRIC_PAGE, sizeof *slots);
        __atomic_store(&rest.pages[page], &slots, __ATOMIC_RELEASE);
    }
    sys_unlock(&lock);
    return slots != NULL;
}

void metric_add_far(unsigned slot, uint64_t n) {
    unsigned page = (slot - METRIC_SLOTS) / METRIC_PAGE;
    unsigned index = (slot - METRIC_SLOTS) % METRIC_PAGE;
    struct metrics_block *block = own_block();
    uint64_t *slots = block ? block->pages[page] : NULL;
    if (block && !slots) {
        int error = errno;
        slots = calloc(METRIC_PAGE, sizeof *slots);
        errno = error;
        __atomic_store(&block->pages[page], &slots, __ATOMIC_RELEASE);
    }
    if (slots)
        metric_bump(&slots[index], n);
    else
        a64_add(&load_page(&rest.pages[page])[index], n);
}

static void add_block(unsigned first, const struct metrics_block *block, unsigned count,
                      uint64_t *sums) {
    const uint64_t *slots = block->slots;
    if (first < METRIC_SLOTS) {
        slots += first;
    } else {
        slots = load_page(&block->pages[(first - METRIC_SLOTS) / METRIC_PAGE]);
        if (!slots)
            return;
        slots += (first - METRIC_SLOTS) % METRIC_PAGE;
    }
    for (unsigned i = 0; i < count; i++)
        sums[i] += load_slot(&slots[i]);
}

void metrics_sum(unsigned first, unsigned count, uint64_t *sums) {
    memset(sums, 0, count * sizeof *sums);
    sys_lock(&lock);
    add_block(first, &rest, count, sums);
    for (const struct metrics_block *block = blocks; block; block = block->next)
        add_block(first, block, count, sums);
    sys_unlock(&lock);
}
