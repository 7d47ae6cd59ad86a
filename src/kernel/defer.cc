// Weft - where to go on when a stack has become too deep, and what a known wait gives away
// SPDX-License-Identifier: Apache-2.0
#include "kernel/defer.h"

#include "kernel/worker.h"
#include "workflow/Executor.h"

namespace {

bool (*defer_hook)(struct weft_job *job);

constexpr int WAIT_WORKER = 1;
constexpr int WAIT_EXECUTOR = 2;

} // namespace

void kernel_set_defer(bool (*defer)(struct weft_job *job)) {
    __atomic_store_n(&defer_hook, defer, __ATOMIC_RELEASE);
}

bool kernel_defer(struct weft_job *job) {
    struct worker *self = sys_self();
    if (self) {
        mpoller_defer(self->pool, job);
        return true;
    }
    bool (*hook)(struct weft_job *) = __atomic_load_n(&defer_hook, __ATOMIC_ACQUIRE);
    return hook && hook(job);
}

int kernel_wait_begin() {
    if (worker_wait_begin())
        return WAIT_WORKER;
    return Executor::wait_begin() ? WAIT_EXECUTOR : 0;
}

void kernel_wait_end(int cookie) {
    if (cookie == WAIT_WORKER)
        worker_wait_end(1);
    else if (cookie == WAIT_EXECUTOR)
        Executor::wait_end(1);
}
