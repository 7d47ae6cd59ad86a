// Weft public header, room: task - what the task headers share: the word on misuse, a lock of one byte
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_DETAIL_TASK_SUPPORT_H
#define WEFT_DETAIL_TASK_SUPPORT_H

#include <atomic>
#include <stddef.h>

#include "kernel_types.h"

class SubTask;

namespace wf {
namespace detail {

// A program did what no program may do: says what on standard error, and aborts.
[[noreturn]] void misuse(const char *what);

// A task that somebody else owns already must be neither started nor dismissed: end with a message
// that names the call, such as "WFTimerTask::start()". One that is to be dismissed can no more be
// reached by handles then.
void check_start(const SubTask *task, const char *call);
void check_dismiss(SubTask *task, const char *call);

// Memory for the series of a server task, of which each thread keeps some.
void *series_block(size_t size);
void free_series_block(void *block, size_t size);

// A lock of one byte for critical sections of a few instructions that are hardly ever contended:
// letting it go is a plain store. Who waits spins for a moment, then yields.
class WEFT_TSA(capability("mutex")) SpinLock {
public:
    SpinLock() : held_(false) {}

    void lock() WEFT_TSA(acquire_capability()) {
        if (this->held_.exchange(true, std::memory_order_acquire))
            this->wait();
    }

    void unlock() WEFT_TSA(release_capability()) {
        this->held_.store(false, std::memory_order_release);
    }

private:
    void wait();

    std::atomic<bool> held_;
};

} // namespace detail
} // namespace wf

#endif
