// Weft - WFFacilities: sleeping, files, and waiting for a number of things
// SPDX-License-Identifier: Apache-2.0
#include "workflow/WFFacilities.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel/atomics.h"
#include "workflow/detail/runtime.h"

void WFFacilities::usleep(unsigned int microseconds) {
    WFFacilities::async_usleep(microseconds).get();
}

WFFuture<void> WFFacilities::async_usleep(unsigned int microseconds) {
    auto *promise = new WFPromise<void>();
    WFFuture<void> future = promise->get_future();
    WFTimerTask *timer = WFTaskFactory::create_timer_task(
        microseconds / 1000000, microseconds % 1000000 * 1000L, [promise](WFTimerTask *) {
            promise->set_value();
            delete promise;
        });
    timer->start();
    return future;
}

namespace {

// What the callback of a file task keeps.
template <class TASK, class RES>
std::function<void(TASK *)> keep_retval(WFPromise<RES> *promise) {
    return [promise](TASK *task) {
        promise->set_value(static_cast<RES>(task->get_retval()));
        delete promise;
    };
}

} // namespace

WFFuture<ssize_t> WFFacilities::async_pread(int fd, void *buf, size_t count, off_t offset) {
    auto *promise = new WFPromise<ssize_t>();
    WFFuture<ssize_t> future = promise->get_future();
    WFTaskFactory::create_pread_task(fd, buf, count, offset, keep_retval<WFFileIOTask>(promise))
        ->start();
    return future;
}

WFFuture<ssize_t> WFFacilities::async_pwrite(int fd, const void *buf, size_t count, off_t offset) {
    auto *promise = new WFPromise<ssize_t>();
    WFFuture<ssize_t> future = promise->get_future();
    WFTaskFactory::create_pwrite_task(fd, buf, count, offset, keep_retval<WFFileIOTask>(promise))
        ->start();
    return future;
}

WFFuture<ssize_t> WFFacilities::async_preadv(int fd, const struct iovec *iov, int iovcnt,
                                             off_t offset) {
    auto *promise = new WFPromise<ssize_t>();
    WFFuture<ssize_t> future = promise->get_future();
    WFTaskFactory::create_preadv_task(fd, iov, iovcnt, offset, keep_retval<WFFileVIOTask>(promise))
        ->start();
    return future;
}

WFFuture<ssize_t> WFFacilities::async_pwritev(int fd, const struct iovec *iov, int iovcnt,
                                              off_t offset) {
    auto *promise = new WFPromise<ssize_t>();
    WFFuture<ssize_t> future = promise->get_future();
    WFTaskFactory::create_pwritev_task(fd, iov, iovcnt, offset, keep_retval<WFFileVIOTask>(promise))
        ->start();
    return future;
}

WFFuture<int> WFFacilities::async_fsync(int fd) {
    auto *promise = new WFPromise<int>();
    WFFuture<int> future = promise->get_future();
    WFTaskFactory::create_fsync_task(fd, keep_retval<WFFileSyncTask>(promise))->start();
    return future;
}

WFFuture<int> WFFacilities::async_fdatasync(int fd) {
    auto *promise = new WFPromise<int>();
    WFFuture<int> future = promise->get_future();
    WFTaskFactory::create_fdatasync_task(fd, keep_retval<WFFileSyncTask>(promise))->start();
    return future;
}

// A WaitGroup is one futex word, so that done() is safe in a signal handler. The last done() must
// not touch the object after the word reached 0, since the waiter may be gone by then: it wakes by
// address alone, which is harmless.

void WFFacilities::WaitGroup::add(int n) {
    int32_t before = ai32_add(&this->left, n);
    if (before > 0 && before + n <= 0)
        syscall(SYS_futex, &this->left, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void WFFacilities::WaitGroup::done() { this->add(-1); }

std::future_status WFFacilities::WaitGroup::wait(int timeout) const {
    int32_t now_left = ai32_load(&this->left);
    if (now_left <= 0)
        return std::future_status::ready;
    struct timespec until = {};
    if (timeout >= 0) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += timeout / 1000;
        until.tv_nsec += timeout % 1000 * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000L;
        }
    }
    std::future_status status = std::future_status::ready;
    int cookie = wf::detail::runtime_wait_begin();
    while ((now_left = ai32_load(&this->left)) > 0) {
        // WAIT_BITSET takes an absolute time of the monotonic clock, so interruptions do not
        // prolong the wait.
        long ret = syscall(SYS_futex, &this->left, FUTEX_WAIT_BITSET_PRIVATE, now_left,
                           timeout >= 0 ? &until : nullptr, nullptr, FUTEX_BITSET_MATCH_ANY);
        if (ret < 0 && errno == ETIMEDOUT) {
            status = ai32_load(&this->left) > 0 ? std::future_status::timeout
                                                : std::future_status::ready;
            break;
        }
    }
    wf::detail::runtime_wait_end(cookie);
    return status;
}
