// Weft - IOUringLane: file requests by io_uring, one ring for each poller
// SPDX-License-Identifier: Apache-2.0
//
// A request does not go to the system by itself: the first one puts a job on the ready list of the
// lane's poller, and that job hands over all that came until then, by one call. It also looks for
// answers at once: what the page cache holds is read within the call. Later answers make the ring's
// descriptor readable, and the poller calls the same function, pump().
//
// The ring belongs to whoever pumps, one thread at a time, always a worker: workers live as long as
// the pool, and the system ends what a thread has asked for when that thread ends. A pump that the
// system holds up loses the poller like any callback that waits; who comes meanwhile leaves word
// (`again_`).
//
// Always holds, under the lock:
// - `unanswered_` is what was put in the ring and not answered, cancels too, and at most `most_`,
//   for which the ring has room: it never overflows.
// - a session's `owed_` counts the answers to come that name it: its own, and that of its cancel.
// It
//   ends when both are here, so the name of one that is gone never reaches the ring.
#include <algorithm>
#include <errno.h>
#include <new>
#include <string.h>

#include "kernel/io_lane.h"
#include "kernel/log.h"
#include "kernel/metrics.h"
#include "kernel/uring.h"
#include "workflow/detail/container_of.h"

namespace {

constexpr unsigned RING_ENTRIES = 128;
// From here on a thread of the system does the copying, not the one that drives a poller.
constexpr size_t COPY_MOST = 128 * 1024;
// One call moves no more than this; larger requests are short ones.
constexpr size_t MOVE_MOST = 0x7ffff000;
constexpr uint64_t CANCEL_MARK = 1; // in the name of an answer: it is the cancel's

} // namespace

class IOUringLane final : public IOLane {
public:
    explicit IOUringLane(struct weft_poller *home);
    int init(unsigned max_events);
    ~IOUringLane() override;

    const char *name() const override { return "io_uring"; }

private:
    int wants_call() override;
    void call() override { poller_do(home_, &flush_msg_); }
    bool interrupt(IOSession *session) override;

    static void event(struct pollable *node, uint32_t events);
    static void release(struct pollable *) {}
    // The ring stays where it is until the pollers are gone: what is under way is waited for.
    static void abort(struct pollable *) {}
    static void flush_ordered(struct weft_msg *msg, struct weft_poller *poller);
    static void flush(struct weft_job *job);

    void pump(bool flushing);
    void fill();
    bool put(IOSession *session);
    bool put_cancel(IOSession *session);
    void reap(IOList *ended);
    bool answered(IOSession *session, bool cancel, int res);
    bool has_work() const { return (queue_.first || asks_.first) && unanswered_ < most_; }

    static const struct pollable_ops OPS;

    struct uring ring_ = {};
    bool made_ = false;
    struct pollable node_ = {};
    struct weft_poller *home_;
    struct weft_msg flush_msg_ = {};
    struct weft_job flush_job_ = {};
    bool registered_ = false;   // written with the poller's lease, under the lock
    bool flush_posted_ = false; // true exactly when the job is on its way
    bool pumping_ = false;
    bool again_ = false; // somebody found it pumping
    unsigned unanswered_ = 0;
    unsigned most_ = 0;
    IOList asks_; // canceled, and the ring not yet told
};

const struct pollable_ops IOUringLane::OPS = {
    .event = event,
    .release = release,
    .abort = abort,
    .stream = nullptr,
};

IOUringLane::IOUringLane(struct weft_poller *home) : home_(home) {
    flush_msg_.run = flush_ordered;
    flush_job_.run = flush;
    node_.ops = &OPS;
    node_.poller = home;
    node_.refs = 1;
    node_.slot = POLLER_NO_SLOT;
}

int IOUringLane::init(unsigned max_events) {
    if (uring_init(&ring_, RING_ENTRIES, max_events) < 0)
        return -1;
    made_ = true;
    node_.fd = ring_.fd;
    most_ = std::min(max_events, ring_.capacity);
    return 0;
}

IOUringLane::~IOUringLane() {
    if (made_)
        uring_destroy(&ring_);
}

int IOUringLane::wants_call() {
    bool posted = flush_posted_;
    flush_posted_ = true;
    return posted ? 0 : 1;
}

bool IOUringLane::interrupt(IOSession *session) {
    append(&asks_, session);
    return true;
}

void IOUringLane::flush_ordered(struct weft_msg *msg, struct weft_poller *poller) {
    IOUringLane *lane = WEFT_CONTAINER_OF(msg, IOUringLane, flush_msg_);
    if (!lane->registered_) {
        bool registered = poller_register(poller, &lane->node_, EPOLLIN | EPOLLET) == 0;
        std::lock_guard<std::mutex> lock(lane->mutex_);
        lane->registered_ = registered;
        if (!registered) // pump() looks again and again meanwhile
            weft_log(WEFT_LOG_ERROR, "cannot watch an io_uring: %s", strerror(errno));
    }
    poller_ready(poller, &lane->flush_job_);
}

void IOUringLane::flush(struct weft_job *job) {
    WEFT_CONTAINER_OF(job, IOUringLane, flush_job_)->pump(true);
}

void IOUringLane::event(struct pollable *node, uint32_t) {
    WEFT_CONTAINER_OF(node, IOUringLane, node_)->pump(false);
}

bool IOUringLane::put(IOSession *session) {
    struct io_uring_sqe *sqe = uring_get(&ring_);
    if (!sqe)
        return false;
    static constexpr uint8_t OPCODES[] = {IORING_OP_READ,   IORING_OP_WRITE, IORING_OP_READV,
                                          IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FSYNC};
    sqe->opcode = OPCODES[session->op_];
    sqe->fd = session->fd_;
    sqe->user_data = reinterpret_cast<uintptr_t>(session);
    session->owed_ = 1;
    unanswered_++;
    if (session->op_ == FSYNC || session->op_ == FDATASYNC) {
        sqe->fsync_flags = session->op_ == FDATASYNC ? IORING_FSYNC_DATASYNC : 0u;
        return true;
    }
    size_t bytes = session->count_;
    if (session->op_ == READV || session->op_ == WRITEV) {
        const struct iovec *iov = static_cast<const struct iovec *>(session->buf_);
        bytes = 0;
        for (size_t i = 0; i < session->count_ && bytes <= COPY_MOST; i++)
            bytes = iov[i].iov_len > COPY_MOST ? COPY_MOST + 1 : bytes + iov[i].iov_len;
    }
    sqe->addr = reinterpret_cast<uintptr_t>(session->buf_);
    sqe->len = static_cast<uint32_t>(std::min(session->count_, MOVE_MOST));
    sqe->off = static_cast<uint64_t>(session->offset_);
    if (bytes > COPY_MOST)
        sqe->flags = IOSQE_ASYNC;
    return true;
}

bool IOUringLane::put_cancel(IOSession *session) {
    struct io_uring_sqe *sqe = uring_get(&ring_);
    if (!sqe)
        return false;
    uintptr_t named = reinterpret_cast<uintptr_t>(session);
    sqe->opcode = IORING_OP_ASYNC_CANCEL;
    sqe->fd = -1;
    sqe->addr = named;
    sqe->user_data = named | CANCEL_MARK;
    session->owed_++;
    unanswered_++;
    return true;
}

void IOUringLane::fill() {
    IOSession *session;
    while ((session = asks_.first) != nullptr && unanswered_ < most_ && put_cancel(session)) {
        remove(&asks_, session);
        session->state_ = TOLD;
    }
    while (queue_.first && unanswered_ < most_ && put(queue_.first))
        take();
}

// Whether the session has ended by this answer.
bool IOUringLane::answered(IOSession *session, bool cancel, int res) {
    unanswered_--;
    session->owed_--;
    if (!cancel) {
        session->res_ = res;
        if (session->state_ == ASKED)
            remove(&asks_, session); // the ring need not be told any more
        else if (session->state_ == TOLD && res == -EINTR)
            session->res_ = -ECANCELED; // it was stopped in the middle of it
        else if (session->state_ == BEGUN && res == -ESPIPE && session->offset_ != -1) {
            // A socket: it has no offsets.
            session->offset_ = -1;
            session->state_ = QUEUED;
            append(&queue_, session);
            queued_++;
            metric_dec(METRIC_FILES_BEGUN);
            return false;
        }
    }
    if (session->owed_ > 0)
        return false;
    end(session, session->res_);
    return true;
}

void IOUringLane::reap(IOList *ended) {
    const struct io_uring_cqe *cqe;
    while ((cqe = uring_peek(&ring_)) != nullptr) {
        IOSession *session = reinterpret_cast<IOSession *>(cqe->user_data & ~CANCEL_MARK);
        bool cancel = (cqe->user_data & CANCEL_MARK) != 0;
        int res = cqe->res;
        uring_seen(&ring_);
        if (answered(session, cancel, res))
            append(ended, session);
    }
}

void IOUringLane::pump(bool flushing) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (flushing)
        flush_posted_ = false;
    if (pumping_) {
        again_ = true;
        return;
    }
    pumping_ = true;
    again_ = false;
    fill();
    lock.unlock();
    int left = uring_submit(&ring_);
    lock.lock();
    IOList ended;
    reap(&ended);
    pumping_ = false;
    // The system stops behind a request that it refuses, and takes none while it lacks memory.
    bool more = left != 0 || again_ || has_work() || (!registered_ && unanswered_ > 0);
    bool post = more && !flush_posted_;
    flush_posted_ = flush_posted_ || post;
    lock.unlock();
    for (IOSession *session = ended.first, *next; session; session = next) {
        next = session->next_;
        IOService::deliver(session);
    }
    if (post)
        poller_do(home_, &flush_msg_);
}

IOLane *io_make_uring_lane(struct weft_poller *home, unsigned max_events) {
    IOUringLane *lane = new (std::nothrow) IOUringLane(home);
    if (!lane)
        return nullptr;
    if (lane->init(max_events) == 0)
        return lane;
    int error = errno;
    delete lane;
    errno = error;
    return nullptr;
}
