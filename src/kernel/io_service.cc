// Weft - IOService: the front of file requests; the choice between io_uring and threads
// SPDX-License-Identifier: Apache-2.0
#include "workflow/IOService.h"

#include <algorithm>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/io_lane.h"
#include "kernel/log.h"
#include "kernel/sys_file.h"
#include "workflow/CommScheduler.h"
#include "workflow/detail/container_of.h"

static_assert(sizeof(off_t) == 8, "offsets are 64 bits wide");

IOSession::IOSession()
    : next_(nullptr), prev_(nullptr), lane_(nullptr), poller_(nullptr), service_(nullptr),
      buf_(nullptr), count_(0), offset_(0), res_(0), fd_(-1), op_(0), state_(IOLane::IDLE),
      owed_(0) {}

void IOSession::prep(int op, int fd, void *buf, size_t count, long long offset) {
    this->op_ = static_cast<uint8_t>(op);
    this->fd_ = fd;
    this->buf_ = buf;
    this->count_ = count;
    this->offset_ = offset;
}

void IOSession::prep_pread(int fd, void *buf, size_t count, long long offset) {
    this->prep(IOLane::READ, fd, buf, count, offset);
}

void IOSession::prep_pwrite(int fd, const void *buf, size_t count, long long offset) {
    this->prep(IOLane::WRITE, fd, const_cast<void *>(buf), count, offset);
}

void IOSession::prep_preadv(int fd, const struct iovec *iov, int iovcnt, long long offset) {
    this->prep(IOLane::READV, fd, const_cast<struct iovec *>(iov), static_cast<size_t>(iovcnt),
               offset);
}

void IOSession::prep_pwritev(int fd, const struct iovec *iov, int iovcnt, long long offset) {
    this->prep(IOLane::WRITEV, fd, const_cast<struct iovec *>(iov), static_cast<size_t>(iovcnt),
               offset);
}

void IOSession::prep_fsync(int fd) { this->prep(IOLane::FSYNC, fd, nullptr, 0, 0); }

void IOSession::prep_fdatasync(int fd) { this->prep(IOLane::FDATASYNC, fd, nullptr, 0, 0); }

namespace {

// In in_flight_, which counts sessions, and threads that are about to be done with one.
constexpr uint32_t ENDING = UINT32_C(1) << 31;

enum IOServiceMode mode_of_environment() {
    const char *asked = getenv("WEFT_FILE_IO");
    if (!asked || !*asked)
        return IOM_AUTO;
    if (strcmp(asked, "uring") == 0)
        return IOM_URING;
    if (strcmp(asked, "threads") == 0)
        return IOM_THREADS;
    weft_log(WEFT_LOG_WARN, "WEFT_FILE_IO is neither 'uring' nor 'threads': %s", asked);
    return IOM_AUTO;
}

} // namespace

IOService::IOService()
    : scheduler_(nullptr), max_events_(0), mode_(IOM_AUTO), site_(nullptr), started_(false),
      in_flight_(0), stopping_(true) {}

int IOService::init(CommScheduler *scheduler, int max_events, enum IOServiceMode mode) {
    this->site_ = job_site_create();
    if (!this->site_)
        return -1;
    this->scheduler_ = scheduler;
    this->max_events_ = std::max(max_events, 1);
    this->mode_ = mode;
    this->in_flight_ = 0;
    this->stopping_ = false;
    return 0;
}

void IOService::drain() {
    int cookie = worker_wait_begin();
    this->stopping_ = true;
    uint32_t n = __atomic_fetch_or(&this->in_flight_, ENDING, __ATOMIC_SEQ_CST) | ENDING;
    for (; n != ENDING; n = a32_load(&this->in_flight_))
        sys_futex_wait(&this->in_flight_, n, SYS_FOREVER);
    worker_wait_end(cookie);
}

void IOService::deinit() {
    for (IOLane *lane : this->lanes_)
        delete lane;
    this->lanes_.clear();
    this->started_ = false;
    if (this->site_)
        job_site_unref(this->site_);
    this->site_ = nullptr;
}

// What passes is counted first, so that drain() either is seen here or waits for it.
bool IOService::enter() {
    a32_add(&this->in_flight_, 1);
    if (!this->stopping_ && !this->scheduler_->is_closing())
        return true;
    this->leave();
    errno = ECANCELED;
    return false;
}

// Keeps errno.
void IOService::leave() {
    int error = errno;
    if (a32_sub(&this->in_flight_, 1) == (ENDING | 1))
        sys_futex_wake(&this->in_flight_, INT_MAX);
    errno = error;
}

// As many rings as can be had, up to one for each poller.
void IOService::start_rings(struct mpoller *pool) {
    for (unsigned i = 0; i < pool->count; i++) {
        IOLane *lane =
            io_make_uring_lane(&pool->pollers[i], static_cast<unsigned>(this->max_events_));
        if (!lane)
            return;
        this->lanes_.push_back(lane);
    }
}

bool IOService::start() {
    if (this->started_.load(std::memory_order_acquire))
        return true;
    std::lock_guard<std::mutex> lock(this->mutex_);
    if (this->started_.load(std::memory_order_relaxed))
        return true;
    enum IOServiceMode mode = this->mode_ == IOM_AUTO ? mode_of_environment() : this->mode_;
    if (mode != IOM_THREADS) {
        this->start_rings(this->scheduler_->get_communicator()->get_pool());
        if (this->lanes_.empty())
            weft_log(mode == IOM_URING ? WEFT_LOG_WARN : WEFT_LOG_INFO,
                     "files are read and written by threads, since io_uring cannot be used: %s",
                     strerror(errno));
    }
    if (this->lanes_.empty()) {
        IOLane *lane = io_make_thread_lane();
        if (!lane) {
            errno = ENOMEM;
            return false;
        }
        this->lanes_.push_back(lane);
    }
    this->started_.store(true, std::memory_order_release);
    return true;
}

const char *IOService::get_backend() const {
    return this->started_.load(std::memory_order_acquire) ? this->lanes_[0]->name() : "";
}

// What can be said at once, so that both ways say it, and at the same time.
int IOService::check(IOSession *session) {
    int flags = sys_file_flags(session->fd_);
    if (flags < 0)
        return -1;
    if (session->op_ == IOLane::FSYNC || session->op_ == IOLane::FDATASYNC)
        return 0;
    bool vectored = session->op_ == IOLane::READV || session->op_ == IOLane::WRITEV;
    bool reads = session->op_ == IOLane::READ || session->op_ == IOLane::READV;
    if ((flags & O_ACCMODE) == (reads ? O_WRONLY : O_RDONLY) || (flags & O_PATH) != 0) {
        errno = EBADF;
        return -1;
    }
    if (session->offset_ < -1 || session->count_ > (vectored ? size_t{IOV_MAX} : SSIZE_MAX)) {
        errno = EINVAL;
        return -1;
    }
    if (vectored && session->count_ > 0 && !session->buf_) {
        errno = EFAULT;
        return -1;
    }
    return 0;
}

int IOService::request(IOSession *session) {
    if (!this->enter())
        return -1;
    struct mpoller *pool = this->scheduler_->get_communicator()->get_pool();
    if (session->prepare() == 0 && check(session) == 0 && mpoller_staff(pool) == 0 &&
        this->start()) {
        session->service_ = this;
        session->poller_ = mpoller_pick(pool);
        IOLane *lane = this->lanes_[session->poller_->index % this->lanes_.size()];
        session->lane_.store(lane, std::memory_order_release);
        // The session's own count, beside the one of this thread: it may be handled before this
        // thread has done with its poller.
        a32_add(&this->in_flight_, 1);
        int ret = lane->submit(session);
        if (ret < 0)
            this->leave();
        this->leave();
        return ret;
    }
    this->leave();
    return -1;
}

int IOService::cancel(IOSession *session) {
    IOLane *lane = session->lane_.load(std::memory_order_acquire);
    if (!lane) {
        errno = ENOENT;
        return -1;
    }
    a32_add(&this->in_flight_, 1); // as in deliver()
    int ret = lane->cancel(session);
    this->leave();
    return ret;
}

// Who drains may end the pool as soon as the session is handled, but this thread, if it is none of
// the pool's, must have done with its poller.
void IOService::deliver(IOSession *session) {
    IOService *service = session->service_;
    a32_add(&service->in_flight_, 1);
    session->msg_.run = arrive;
    poller_do(session->poller_, &session->msg_);
    service->leave();
}

void IOService::arrive(struct weft_msg *msg, struct weft_poller *poller) {
    IOSession *session = WEFT_CONTAINER_OF(msg, IOSession, msg_);
    session->job_.run = run_due;
    poller_ready(poller, &session->job_);
}

// The engine's own executor or the program's: with a permit, and queued if need be.
void IOService::run_due(struct weft_job *job) {
    IOSession *session = WEFT_CONTAINER_OF(job, IOSession, job_);
    job->run = run_handle;
    mpoller_deliver(session->poller_->pool, job, session->service_->site_);
}

void IOService::run_handle(struct weft_job *job) {
    IOSession *session = WEFT_CONTAINER_OF(job, IOSession, job_);
    IOService *service = session->service_;
    struct job_site *site = service->site_;
    long res = session->res_;
    // Those who drain wait for this, and for the callback the joining of the workers: one that
    // calls exit() must not wait for itself.
    service->leave();
    struct site_probe probe;
    job_site_begin(site, &probe);
    session->handle(res < 0 ? IOS_STATE_ERROR : IOS_STATE_SUCCESS,
                    res < 0 ? static_cast<int>(-res) : 0);
    job_site_end(site, &probe);
}
