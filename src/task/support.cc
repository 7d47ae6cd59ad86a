// Weft - the word on misuse, and the slow way of the small lock
// SPDX-License-Identifier: Apache-2.0
#include "workflow/detail/task_support.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "workflow/SubTask.h"

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

void check_dismiss(const SubTask *task, const char *call) {
    if (task->get_pointer()) [[unlikely]]
        misused_call(call, "that is in a series: it was started, or is dismissed with its series");
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
