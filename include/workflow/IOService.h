// Weft public header, room: kernel - IOService: reads, writes and syncs of files that block no thread of the engine
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_IOSERVICE_H
#define WEFT_IOSERVICE_H

#include <atomic>
#include <mutex>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <vector>

#include "detail/kernel_types.h"

#define IOS_STATE_SUCCESS 0
#define IOS_STATE_ERROR   1
#define IOS_STATE_STOPPED 2

class CommScheduler;
class IOLane;
class IOService;
struct job_site;

// One request to a file.
class IOSession {
private:
    // Says what is wanted, by exactly one of the prep_ functions; -1 with errno: nothing. Called by
    // IOService::request(), on its thread.
    virtual int prepare() = 0;
    // The end, once, on a worker: IOS_STATE_SUCCESS, or IOS_STATE_ERROR with an errno.
    virtual void handle(int state, int error) = 0;

protected:
    // Buffers and vectors are borrowed until the end. An offset of -1 is the descriptor's own
    // position, which then moves; other negative ones are EINVAL. Pipes and sockets have none.
    void prep_pread(int fd, void *buf, size_t count, long long offset);
    void prep_pwrite(int fd, const void *buf, size_t count, long long offset);
    void prep_preadv(int fd, const struct iovec *iov, int iovcnt, long long offset);
    void prep_pwritev(int fd, const struct iovec *iov, int iovcnt, long long offset);
    void prep_fsync(int fd);
    void prep_fdatasync(int fd);

    // In handle(): what the system answered, a number of bytes or 0; or an errno, negative.
    long get_res() const { return this->res_; }

public:
    IOSession();
    virtual ~IOSession() {}

private:
    void prep(int op, int fd, void *buf, size_t count, long long offset);

    union {
        struct weft_msg msg_; // on the way to the poller
        struct weft_job job_; // and from there on
    };
    IOSession *next_, *prev_; // in a list of its lane
    std::atomic<IOLane *> lane_;
    struct weft_poller *poller_; // where it will be handled
    IOService *service_;
    void *buf_;
    size_t count_; // bytes, or vectors
    long long offset_;
    long res_;
    int fd_;
    uint8_t op_;
    uint8_t state_; // see kernel/io_lane.h; under the lane's lock, like the next
    uint8_t owed_;
    friend class IOLane;
    friend class IOService;
    friend class IOThreadLane;
    friend class IOUringLane;
};

// By what the requests are done. AUTO: by io_uring where the system has it, else by threads; the
// environment variable WEFT_FILE_IO (uring or threads) overrides AUTO.
enum IOServiceMode { IOM_AUTO = 0, IOM_URING = 1, IOM_THREADS = 2 };

// Files for the workers of one scheduler. Nothing is opened and no thread started before the first
// request. All functions but init() and deinit() may be called on any thread.
class IOService {
public:
    // The scheduler must have been initialized, and is borrowed until deinit(). Of the io_uring of
    // each poller, max_events requests are in the system's hands at a time; further ones wait here.
    int init(CommScheduler *scheduler, int max_events, enum IOServiceMode mode = IOM_AUTO);
    // The gate: refuses requests from here on (ECANCELED), and returns when all that were made have
    // come to the call of handle(). To be called while the scheduler still runs; it then must be
    // deinitialized before deinit() is called.
    void drain();
    void deinit();

    // 0: handle() will be called. -1 with errno: it will not: EBADF (also when the descriptor is
    // not open for that), EINVAL, what prepare() said, or what kept the first thread from starting.
    int request(IOSession *session);
    // Of a session that was requested and not yet handled; may be called until handle() has
    // returned. 0: it ends with ECANCELED; or the system has been asked, and it does so unless it
    // was about to end anyhow. -1, ENOENT: too late, or a thread is at it already.
    int cancel(IOSession *session);

    // "io_uring", "threads", or "" before the first request.
    const char *get_backend() const;

    IOService();

private:
    bool enter();
    void leave();
    bool start();
    void start_rings(struct mpoller *pool);
    static int check(IOSession *session);
    static void arrive(struct weft_msg *msg, struct weft_poller *poller);
    static void run_due(struct weft_job *job);
    static void run_handle(struct weft_job *job);
    // The result is fixed: sends it to its poller.
    static void deliver(IOSession *session);

    CommScheduler *scheduler_;
    int max_events_;
    enum IOServiceMode mode_;
    struct job_site *site_;
    std::mutex mutex_; // for the start
    std::atomic<bool> started_;
    std::vector<IOLane *> lanes_; // owned; constant once started
    uint32_t in_flight_;          // atomic; the highest bit: somebody waits for 0
    std::atomic<bool> stopping_;
    friend class IOLane;
    friend class IOThreadLane;
    friend class IOUringLane;

    IOService(const IOService &);
    IOService &operator=(const IOService &);
};

#endif
