// Weft public header, room: factory - WFFacilities: waiting, computing and requesting without tasks
// SPDX-License-Identifier: Apache-2.0
//
// Everything here that waits may be called on any thread: on one of the engine's, others take over
// meanwhile.
#ifndef WEFT_WFFACILITIES_H
#define WEFT_WFFACILITIES_H

#include <future>
#include <stdint.h>
#include <string>
#include <utility>

#include "WFFuture.h"
#include "WFTaskFactory.h"

class WFFacilities {
public:
    static void usleep(unsigned int microseconds);
    static WFFuture<void> async_usleep(unsigned int microseconds);

    // Fire and forget: `func` with `args` on a compute thread.
    template <class FUNC, class... ARGS>
    static void go(const std::string &queue_name, FUNC &&func, ARGS &&...args) {
        WFTaskFactory::create_go_task(queue_name, std::forward<FUNC>(func),
                                      std::forward<ARGS>(args)...)
            ->start();
    }

    template <class RESP>
    struct WFNetworkResult {
        RESP resp;
        long long seqid;
        int task_state;
        int task_error;
    };

    // One request, as it stands: nothing is added to it, and no redirect is followed.
    template <class REQ, class RESP>
    static WFNetworkResult<RESP> request(enum TransportType type, const std::string &url, REQ &&req,
                                         int retry_max) {
        return WFFacilities::async_request<REQ, RESP>(type, url, std::forward<REQ>(req), retry_max)
            .get();
    }
    template <class REQ, class RESP>
    static WFFuture<WFNetworkResult<RESP>> async_request(enum TransportType type,
                                                         const std::string &url, REQ &&req,
                                                         int retry_max);

    // File tasks by descriptor, see WFTaskFactory; the value is get_retval(): -1 for any failure.
    static WFFuture<ssize_t> async_pread(int fd, void *buf, size_t count, off_t offset);
    static WFFuture<ssize_t> async_pwrite(int fd, const void *buf, size_t count, off_t offset);
    static WFFuture<ssize_t> async_preadv(int fd, const struct iovec *iov, int iovcnt,
                                          off_t offset);
    static WFFuture<ssize_t> async_pwritev(int fd, const struct iovec *iov, int iovcnt,
                                           off_t offset);
    static WFFuture<int> async_fsync(int fd);
    static WFFuture<int> async_fdatasync(int fd);

    // Counts down from n; wait() returns at 0, and at once for n <= 0. done() may be called in a
    // signal handler.
    class WaitGroup {
    public:
        WaitGroup(int n) : left(n) {}

        // What was not counted down may still be when this object is gone only if nobody does so.
        ~WaitGroup() {}

        void wait() const { (void)this->wait(-1); }
        // At most timeout milliseconds, < 0: without limit.
        std::future_status wait(int timeout) const;
        void add(int n);
        void done();

        WaitGroup(const WaitGroup &) = delete;
        WaitGroup &operator=(const WaitGroup &) = delete;

    private:
        mutable int32_t left;
    };
};

template <class REQ, class RESP>
WFFuture<WFFacilities::WFNetworkResult<RESP>> WFFacilities::async_request(enum TransportType type,
                                                                          const std::string &url,
                                                                          REQ &&req,
                                                                          int retry_max) {
    using Result = WFNetworkResult<RESP>;
    auto *promise = new WFPromise<Result>();
    WFFuture<Result> future = promise->get_future();
    auto *task =
        new WFComplexClientTask<REQ, RESP>(retry_max, [promise](WFNetworkTask<REQ, RESP> *done) {
            Result result;
            result.seqid = done->get_task_seq();
            result.task_state = done->get_state();
            result.task_error = done->get_error();
            if (result.task_state == WFT_STATE_SUCCESS)
                result.resp = std::move(*done->get_resp());
            promise->set_value(std::move(result));
            delete promise;
        });
    ParsedURI uri;

    URIParser::parse(url, uri);
    task->set_transport_type(type);
    task->init(std::move(uri));
    *task->get_req() = std::forward<REQ>(req);
    task->start();
    return future;
}

#endif
