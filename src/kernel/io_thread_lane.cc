// Weft - IOThreadLane: file requests by threads of their own, for systems without io_uring
// SPDX-License-Identifier: Apache-2.0
//
// Threads are made while more requests wait than threads are idle, up to THREADS_MOST, and end when
// they have had nothing to do for IDLE_MOST, or with the lane. A request that a thread has begun
// cannot be ended early.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <errno.h>
#include <new>

#include "kernel/io_lane.h"
#include "kernel/metrics.h"
#include "kernel/sys.h"
#include "kernel/sys_file.h"

namespace {

constexpr size_t THREADS_MOST = 16;
constexpr std::chrono::seconds IDLE_MOST{10};

} // namespace

class IOThreadLane final : public IOLane {
public:
    ~IOThreadLane() override;

    const char *name() const override { return "threads"; }

private:
    int wants_call() override;
    void call() override { work_.notify_one(); }
    bool interrupt(IOSession *) override { return false; }

    static void *run_thread(void *lane);
    bool start_thread();
    void work();
    IOSession *wait_for_work(std::unique_lock<std::mutex> *lock);
    static long execute(const IOSession *session);

    std::condition_variable work_;
    std::condition_variable ended_;
    size_t threads_ = 0;
    size_t idle_ = 0;
    bool stopping_ = false;
};

IOThreadLane::~IOThreadLane() {
    std::unique_lock<std::mutex> lock(mutex_);
    stopping_ = true;
    work_.notify_all();
    while (threads_ > 0)
        ended_.wait(lock);
}

int IOThreadLane::wants_call() {
    if (queued_ > idle_ && threads_ < THREADS_MOST && !start_thread() && threads_ == 0)
        return -1;
    return idle_ > 0 ? 1 : 0;
}

void *IOThreadLane::run_thread(void *lane) {
    static_cast<IOThreadLane *>(lane)->work();
    return nullptr;
}

bool IOThreadLane::start_thread() {
    if (sys_helper_start(run_thread, this) < 0)
        return false;
    threads_++;
    metric_inc(METRIC_FILE_THREADS);
    return true;
}

// NULL when this thread shall end.
IOSession *IOThreadLane::wait_for_work(std::unique_lock<std::mutex> *lock) {
    auto until = std::chrono::steady_clock::now() + IDLE_MOST;
    for (;;) {
        IOSession *session = take();
        if (session || stopping_ || std::chrono::steady_clock::now() >= until)
            return session;
        idle_++;
        work_.wait_until(*lock, until);
        idle_--;
    }
}

void IOThreadLane::work() {
    std::unique_lock<std::mutex> lock(mutex_);
    IOSession *session;
    while ((session = wait_for_work(&lock)) != nullptr) {
        lock.unlock();
        long res = execute(session);
        lock.lock();
        end(session, res);
        lock.unlock();
        IOService::deliver(session);
        lock.lock();
    }
    threads_--;
    metric_dec(METRIC_FILE_THREADS);
    // Under the lock: whoever waits may free the lane as soon as it can take the lock.
    ended_.notify_all();
}

long IOThreadLane::execute(const IOSession *session) {
    if (session->op_ == FSYNC || session->op_ == FDATASYNC)
        return sys_file_sync(session->fd_, session->op_ == FDATASYNC) < 0 ? -errno : 0;
    struct iovec one = {session->buf_, session->count_};
    bool vectored = session->op_ == READV || session->op_ == WRITEV;
    const struct iovec *iov = vectored ? static_cast<const struct iovec *>(session->buf_) : &one;
    int count = vectored ? static_cast<int>(session->count_) : 1;
    bool reads = session->op_ == READ || session->op_ == READV;
    auto *transfer = reads ? sys_file_readv : sys_file_writev;
    ssize_t n = transfer(session->fd_, iov, count, session->offset_);
    if (n < 0 && errno == ESPIPE) // a pipe or a socket: it has no offsets
        n = transfer(session->fd_, iov, count, -1);
    return n < 0 ? -errno : n;
}

IOLane *io_make_thread_lane() { return new (std::nothrow) IOThreadLane; }
