// Weft - what the tests of the room task share
// SPDX-License-Identifier: Apache-2.0
#include "unit/task/task_support.h"

#include <stdlib.h>

#include <chrono>

#include "kernel/defer.h"
#include "workflow/detail/runtime.h"

// The engine's part, as far as this room uses it.
namespace wf::detail {

int runtime_wait_begin() { return kernel_wait_begin(); }
void runtime_wait_end(int cookie) { kernel_wait_end(cookie); }
// No test here sets a deadline, or asks for a queue by its name.
CommScheduler *runtime_scheduler() { abort(); }
Executor *runtime_compute_executor() { abort(); }
ExecQueue *runtime_exec_queue(const char *) { abort(); }

} // namespace wf::detail

namespace tasktest {

void Event::set() {
    std::lock_guard lock(mutex_);
    count_++;
    condition_.notify_all();
}

bool Event::wait(int count) {
    std::unique_lock lock(mutex_);
    return condition_.wait_for(lock, std::chrono::seconds(30), [&] { return count_ >= count; });
}

int Event::count() {
    std::lock_guard lock(mutex_);
    return count_;
}

void Log::add(const std::string &text) {
    std::lock_guard lock(mutex_);
    text_ += text;
}

std::string Log::text() {
    std::lock_guard lock(mutex_);
    return text_;
}

Say::~Say() {
    if (!ended_)
        log_->add("~" + name_);
}

SubTask *Say::done() {
    SeriesWork *series = series_of(this);
    log_->add(name_);
    ended_ = true;
    delete this;
    return series->pop();
}

SubTask *Call::done() {
    SeriesWork *series = series_of(this);
    call_(this);
    delete this;
    return series->pop();
}

void Gate::dispatch() {
    if (dispatched_)
        dispatched_->set();
}

SubTask *Gate::done() {
    SeriesWork *series = series_of(this);
    delete this;
    return series->pop();
}

namespace {

struct Engine {
    CommScheduler scheduler;

    Engine() {
        if (scheduler.init(2, 4) < 0)
            abort();
    }

    ~Engine() {
        kernel_set_defer(nullptr);
        scheduler.deinit();
    }
};

} // namespace

CommScheduler *scheduler() {
    static Engine engine;
    static bool hooked = [] {
        kernel_set_defer([](struct weft_job *job) {
            scheduler()->get_communicator()->defer(job);
            return true;
        });
        return true;
    }();
    (void)hooked;
    return &engine.scheduler;
}

Compute::Compute(size_t threads) {
    if (executor.init(threads) < 0 || queue.init() < 0)
        abort();
}

Compute::~Compute() {
    executor.deinit();
    queue.deinit();
}

} // namespace tasktest
