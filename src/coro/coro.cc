// Weft - coroutines: roots, and what ends them
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/coro.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "workflow/detail/runtime.h"

namespace wf {

std::string Status::message() const { return detail::runtime_error_text(state, error); }

namespace detail {

void no_value(const Status &status) {
    fprintf(stderr, "weft: the value of a result was asked for, but it is: %s\n",
            status.message().c_str());
    abort();
}

void unhandled_in_coroutine() {
    fprintf(stderr, "weft: an exception has left a coroutine that nobody waits for\n");
    abort();
}

// Upwards, so that no limit is over before its time.
int to_ms(std::chrono::nanoseconds time) {
    auto ms = std::chrono::ceil<std::chrono::milliseconds>(time).count();
    return ms <= 0 ? 0 : ms < INT_MAX ? static_cast<int>(ms) : -1;
}

void ThreadWait::set() {
    // Under the lock: whoever waits frees this as soon as it can take it.
    std::lock_guard lock(mutex_);
    done_ = true;
    condition_.notify_all();
}

void ThreadWait::wait() {
    std::unique_lock lock(mutex_);
    if (done_)
        return;
    lock.unlock();
    int cookie = runtime_wait_begin();
    lock.lock();
    condition_.wait(lock, [this] { return done_; });
    lock.unlock();
    runtime_wait_end(cookie);
}

Detached run_detached(CoroScope &, RootScope *root, Task<void> task) {
    co_await std::move(task);
    delete root;
}

} // namespace detail

Handle spawn(Task<void> task) {
    auto *root = new detail::RootScope;
    Handle handle = root->scope.handle();
    detail::run_detached(root->scope, root, std::move(task));
    return handle;
}

} // namespace wf
