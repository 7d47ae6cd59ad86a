// Weft - IOLane: a queue of file requests, and who serves it
// SPDX-License-Identifier: Apache-2.0
//
// A lane is owned by its IOService, from the first request to deinit(). There are two kinds: an
// IOUringLane for each poller, driven by jobs and events of that poller; or one IOThreadLane, whose
// threads do what is asked one by one. Requests and cancels come from any thread. Whoever ends a
// session sends it to a poller, and there a worker calls its handle(), with a permit as any other
// completion.
//
// | state   | what is true                                                                      |
// |---------|-----------------------------------------------------------------------------------|
// | IDLE    | not requested, or handled                                                         |
// | QUEUED  | it stands in the queue of its lane                                                |
// | BEGUN   | the system has it, or a thread is at it                                           |
// | ASKED   | likewise, and it was canceled; it stands in the list of what the ring is to end   |
// | TOLD    | likewise, and the ring was told                                                   |
// | ENDING  | the result is fixed; the session is on its way to handle()                        |
//
// The state changes under the lane's lock only, to ENDING exactly once, so a cancel and a result
// that come together have one winner. The lock is a leaf: under it no other is taken, no code of
// the program run and nothing waited for.
#ifndef WEFT_SRC_KERNEL_IO_LANE_H
#define WEFT_SRC_KERNEL_IO_LANE_H

#include <mutex>

#include "kernel/worker.h"
#include "workflow/IOService.h"

// A list through the sessions' next_ and prev_.
struct IOList {
    IOSession *first = nullptr;
    IOSession *last = nullptr;
};

class IOLane {
public:
    enum Op : uint8_t { READ, WRITE, READV, WRITEV, FSYNC, FDATASYNC };
    enum State : uint8_t { IDLE, QUEUED, BEGUN, ASKED, TOLD, ENDING };

    // -1 with errno when nobody can be had to serve it.
    int submit(IOSession *session);
    int cancel(IOSession *session);

    virtual const char *name() const = 0;
    virtual ~IOLane() = default;

    IOLane(const IOLane &) = delete;
    IOLane &operator=(const IOLane &) = delete;

protected:
    IOLane() = default;

    // Under the lock, after the queue has grown: whether call() is to be called. -1 with errno:
    // nobody serves the queue.
    virtual int wants_call() = 0;
    // Without the lock.
    virtual void call() = 0;
    // Under the lock: asks for the end of a session that has BEGUN. False: it cannot be ended.
    virtual bool interrupt(IOSession *session) = 0;

    static void append(IOList *list, IOSession *session);
    static void remove(IOList *list, IOSession *session);
    // Under the lock: the first of the queue has BEGUN. NULL when it is empty.
    IOSession *take();
    // Under the lock.
    static void end(IOSession *session, long res);

    std::mutex mutex_;
    IOList queue_;
    size_t queued_ = 0;
};

// NULL with errno when this system's io_uring cannot be used.
IOLane *io_make_uring_lane(struct weft_poller *home, unsigned max_events);
IOLane *io_make_thread_lane();

#endif
