// Weft public header, room: task - bodies of WFNetworkTask, and its two forms: client task and server task
// SPDX-License-Identifier: Apache-2.0
//
// Included by WFTask.h, at its end.
#ifndef WEFT_DETAIL_NETWORK_TASK_H
#define WEFT_DETAIL_NETWORK_TASK_H

#include <errno.h>
#include <functional>
#include <string.h>
#include <sys/socket.h>
#include <utility>

#include "../WFTask.h"

template <class REQ, class RESP>
int WFNetworkTask<REQ, RESP>::get_peer_addr(struct sockaddr *addr, socklen_t *addrlen) const {
    const struct sockaddr *peer;
    socklen_t len;

    if (!this->target) {
        errno = ENOTCONN;
        return -1;
    }

    this->target->get_addr(&peer, &len);
    if (*addrlen < len) {
        errno = ENOBUFS;
        return -1;
    }

    memcpy(addr, peer, len);
    *addrlen = len;
    return 0;
}

// Sends a request to a target of its object, and receives the response.
template <class REQ, class RESP>
class WFClientTask : public WFNetworkTask<REQ, RESP>,
                     private wf::detail::TaskMark<wf::detail::TASK_CLIENT> {
protected:
    CommMessageOut *message_out() override {
        if (this->prepare)
            this->prepare(this);

        return &this->req;
    }

    CommMessageIn *message_in() override { return &this->resp; }

protected:
    WFConnection *get_connection() const override {
        CommConnection *conn = this->target ? this->CommSession::get_connection() : NULL;

        if (!conn)
            errno = ENOTCONN;

        return static_cast<WFConnection *>(conn);
    }

protected:
    SubTask *done() override {
        SeriesWork *series = series_of(this);

        // The kernel tells errors of TLS from those of the system by their sign.
        if (this->state == WFT_STATE_SYS_ERROR && this->error < 0) {
            this->state = WFT_STATE_SSL_ERROR;
            this->error = -this->error;
        }

        if (this->callback)
            this->callback(this);

        delete this;
        return series->pop();
    }

public:
    WFClientTask(CommSchedObject *object_in, CommScheduler *scheduler_in,
                 std::function<void(WFNetworkTask<REQ, RESP> *)> &&cb)
        : WFNetworkTask<REQ, RESP>(object_in, scheduler_in, std::move(cb)) {}

protected:
    ~WFClientTask() override {}
};

// Answers a request. When the request is whole the task makes its series: process(task) runs as its
// first element, then whatever it pushed, and last the task itself, which sends the response. It is
// deleted with its series. A request that never becomes whole ends without any of this.
template <class REQ, class RESP>
class WFServerTask : public WFNetworkTask<REQ, RESP> {
protected:
    CommMessageOut *message_out() override {
        if (this->prepare)
            this->prepare(this);

        return &this->resp;
    }

    CommMessageIn *message_in() override { return &this->req; }
    void handle(int state_in, int error_in) override;

protected:
    WFConnection *get_connection() const override {
        CommConnection *conn = NULL;

        if (!this->processor.task)
            errno = EPERM;
        else if (!(conn = this->CommSession::get_connection()))
            errno = ENOTCONN;

        return static_cast<WFConnection *>(conn);
    }

protected:
    void dispatch() override;
    SubTask *done() override;

    // Runs process(task).
    class Processor : public SubTask {
    public:
        Processor(WFServerTask<REQ, RESP> *task_in,
                  std::function<void(WFNetworkTask<REQ, RESP> *)> &process_in)
            : process(process_in), task(task_in) {}

        void dispatch() override {
            if (this->process) {
                wf::detail::TraceInside inside(this);
                this->process(this->task);
            }

            this->task = NULL;
            this->subtask_done();
        }

        SubTask *done() override { return series_of(this)->pop(); }

        int describe(char *text, size_t size) const override {
            return this->task ? this->task->describe(text, size) : SubTask::describe(text, size);
        }

        std::function<void(WFNetworkTask<REQ, RESP> *)> &process;
        // NULL exactly while get_connection() is closed to the program: from the end of process to
        // the callback.
        WFServerTask<REQ, RESP> *task;
    } processor;

    CommService *const service_;

    // The series of a server task owns it.
    class Series : public SeriesWork {
    public:
        Series(WFServerTask<REQ, RESP> *task_in)
            : SeriesWork(&task_in->processor, nullptr), task(task_in) {
            this->set_last_task(task_in);
        }

        const void *get_server() const override { return this->task->service_; }

        // The task is deleted with the series and not with those that wait. Unanswered, it closes
        // its connection.
        void cancel() override {
            if (this->get_last_task() == this->task)
                this->unset_last_task();

            this->SeriesWork::cancel();
        }

        // The task keeps the service alive, and so it goes last.
        ~Series() override {
            this->callback = nullptr;
            delete this->task;
        }

        // One comes and goes with every request.
        static void *operator new(size_t size) { return wf::detail::series_block(size); }
        static void operator delete(void *block, size_t size) {
            wf::detail::free_series_block(block, size);
        }

        WFServerTask<REQ, RESP> *task;
    };

public:
    // `proc` is kept by reference. With neither service nor scheduler it can be made and deleted,
    // no more.
    WFServerTask(CommService *service, CommScheduler *scheduler_in,
                 std::function<void(WFNetworkTask<REQ, RESP> *)> &proc)
        : WFNetworkTask<REQ, RESP>(NULL, scheduler_in, nullptr), processor(this, proc),
          service_(service) {}

protected:
    ~WFServerTask() override {}
};

template <class REQ, class RESP>
void WFServerTask<REQ, RESP>::handle(int state_in, int error_in) {
    if (state_in == WFT_STATE_TOREPLY) {
        this->state = WFT_STATE_TOREPLY;
        this->target = this->get_target();
        (new Series(this))->start();
    } else if (series_of(this)) {
        this->state = state_in;
        this->error = error_in;
        if (error_in == ETIMEDOUT)
            this->timeout_reason = TOR_TRANSMIT_TIMEOUT;

        this->subtask_done();
    } else {
        delete this; // it never became whole
    }
}

// The last of its series. When the reply was taken the task may be gone.
template <class REQ, class RESP>
void WFServerTask<REQ, RESP>::dispatch() {
    if (this->state == WFT_STATE_TOREPLY) {
        if (this->scheduler->reply(this) >= 0)
            return;

        this->state = WFT_STATE_SYS_ERROR;
        this->error = errno;
    } else {
        this->scheduler->shutdown(this);
    }

    this->subtask_done();
}

template <class REQ, class RESP>
SubTask *WFServerTask<REQ, RESP>::done() {
    SeriesWork *series = series_of(this);

    if (this->state == WFT_STATE_SYS_ERROR && this->error < 0) {
        this->state = WFT_STATE_SSL_ERROR;
        this->error = -this->error;
    }

    this->processor.task = this;
    if (this->callback) {
        const void *before = this->begin_callback();
        this->callback(this);
        this->end_callback(before);
    }

    return series->pop();
}

#endif
