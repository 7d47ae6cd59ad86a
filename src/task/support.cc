// Weft - the word on misuse, and the slow way of the small lock, blocks of series
// SPDX-License-Identifier: Apache-2.0
#include "workflow/detail/task_support.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/metrics.h"
#include "util/block_cache.h"
#include "workflow/SubTask.h"
#include "workflow/detail/task_mark.h"

namespace wf::detail {

void misuse(const char *what) {
    fprintf(stderr, "weft: misuse: %s\n", what);
    abort();
}

namespace {

[[noreturn]] void misused_call(const char *call, const char *why) {
    fprintf(stderr, "weft: misuse: %s of a task %s\n", call, why);
    abort();
}

} // namespace

void check_start(const SubTask *task, const char *call) {
    if (task->get_pointer()) [[unlikely]]
        misused_call(call, "that is in a series already: it was started, or its series starts it");
}

void check_dismiss(SubTask *task, const char *call) {
    if (task->get_pointer()) [[unlikely]]
        misused_call(call, "that is in a series: it was started, or is dismissed with its series");
    task->forget_links();
}

static_assert(int{TASK_KINDS} <= int{METRIC_TASK_KINDS});

void task_made(TaskKind kind) { metric_inc(METRIC_TASKS_MADE + static_cast<unsigned>(kind)); }

void task_gone(TaskKind kind) { metric_inc(METRIC_TASKS_GONE + static_cast<unsigned>(kind)); }

namespace {

struct SeriesBlock : BlockCached<SeriesBlock> {
    alignas(alignof(max_align_t)) char room[160];
};

} // namespace

void *series_block(size_t size) {
    return size <= sizeof(SeriesBlock) ? SeriesBlock::operator new(sizeof(SeriesBlock))
                                       : ::operator new(size);
}

void free_series_block(void *block, size_t size) {
    if (size <= sizeof(SeriesBlock))
        SeriesBlock::operator delete(block, sizeof(SeriesBlock));
    else
        ::operator delete(block);
}

void SpinLock::wait() {
    constexpr int SPINS = 100;
    do {
        // Reading only, until it looks free. Whoever holds it may have lost its processor.
        for (int i = 0; this->held_.load(std::memory_order_relaxed); i++) {
            if (i >= SPINS)
                sched_yield();
        }
    } while (this->held_.exchange(true, std::memory_order_acquire));
}

} // namespace wf::detail
