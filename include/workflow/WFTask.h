// Weft public header, room: task - the kinds of tasks, and what programs derive from them
// SPDX-License-Identifier: Apache-2.0
//
// What all have in common: start() puts a task into a series of its own, and from then on it
// belongs to itself; dismiss() deletes one that was never started; neither is for a task in a
// series. When it has ended its callback is run, then it is deleted, then the next task of its
// series starts on the same thread. Inside the callback get_state() is one of WFT_STATE_*, and
// get_error() says more; before, they are -1 and 0.
#ifndef WEFT_WFTASK_H
#define WEFT_WFTASK_H

#include <atomic>
#include <errno.h>
#include <functional>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <utility>

#include "CommRequest.h"
#include "CommScheduler.h"
#include "Communicator.h"
#include "ExecRequest.h"
#include "Executor.h"
#include "SleepRequest.h"
#include "WFConnection.h"
#include "WFTaskError.h"
#include "Workflow.h"
#include "detail/task_mark.h"
#include "detail/task_support.h"

namespace wf {
class ConditionalHandle;
class CounterHandle;
class MailboxHandle;

namespace detail {
void limit_session(SeriesWork *series, int ms);
} // namespace detail
} // namespace wf

enum {
    WFT_STATE_UNDEFINED = -1,
    WFT_STATE_SUCCESS = CS_STATE_SUCCESS,
    WFT_STATE_TOREPLY = CS_STATE_TOREPLY,     // of a server task, until it replies
    WFT_STATE_NOREPLY = CS_STATE_TOREPLY + 1, // of a server task that will not
    WFT_STATE_SYS_ERROR = CS_STATE_ERROR,     // the error is an errno
    WFT_STATE_SSL_ERROR = 65,                 // an SSL_get_error() value
    WFT_STATE_DNS_ERROR = 66,                 // an EAI_* code
    WFT_STATE_TASK_ERROR = 67,                // a WFT_ERR_* code
    WFT_STATE_ABORTED = CS_STATE_STOPPED      // the process is ending
};

// A computation: INPUT to OUTPUT, on a thread of an executor. Body and callback run on the same
// thread.
template <class INPUT, class OUTPUT>
class WFThreadTask : public ExecRequest, private wf::detail::TaskMark<wf::detail::TASK_COMPUTE> {
public:
    void start() {
        wf::detail::check_start(this, "WFThreadTask::start()");
        Workflow::start_series_work(this, nullptr);
    }

    void dismiss() {
        wf::detail::check_dismiss(this, "WFThreadTask::dismiss()");
        delete this;
    }

    INPUT *get_input() { return &this->input; }
    OUTPUT *get_output() { return &this->output; }
    const INPUT *get_input() const { return &this->input; }
    const OUTPUT *get_output() const { return &this->output; }

    void *user_data;

    int get_state() const { return this->state; }
    int get_error() const { return this->error; }

    void set_callback(std::function<void(WFThreadTask<INPUT, OUTPUT> *)> cb) {
        this->callback = std::move(cb);
    }

protected:
    SubTask *done() override {
        SeriesWork *series = series_of(this);

        if (this->callback)
            this->callback(this);

        delete this;
        return series->pop();
    }

    INPUT input;
    OUTPUT output;
    std::function<void(WFThreadTask<INPUT, OUTPUT> *)> callback;

public:
    WFThreadTask(ExecQueue *queue_in, Executor *executor_in,
                 std::function<void(WFThreadTask<INPUT, OUTPUT> *)> &&cb)
        : ExecRequest(queue_in, executor_in), user_data(NULL), input(), output(),
          callback(std::move(cb)) {}

protected:
    ~WFThreadTask() override {}
};

// A request and its response over one connection; the base of client and server tasks.
template <class REQ, class RESP>
class WFNetworkTask : public CommRequest {
public:
    void start() {
        wf::detail::check_start(this, "WFNetworkTask::start()");
        Workflow::start_series_work(this, nullptr);
    }

    void dismiss() {
        wf::detail::check_dismiss(this, "WFNetworkTask::dismiss()");
        delete this;
    }

    // Valid until the callback has returned.
    REQ *get_req() { return &this->req; }
    RESP *get_resp() { return &this->resp; }
    const REQ *get_req() const { return &this->req; }
    const RESP *get_resp() const { return &this->resp; }

    void *user_data;

    int get_state() const { return this->state; }
    int get_error() const { return this->error; }

    // When the error is ETIMEDOUT: TOR_*.
    int get_timeout_reason() const { return this->timeout_reason; }

    // When the state is WFT_STATE_SSL_ERROR: what OpenSSL says about it, in English; else "". And
    // what the handshake came to (wf/tls.h): false when there was none. In the callback, or
    // process.
    const char *get_tls_error() const {
        return this->state == WFT_STATE_SSL_ERROR ? this->CommSession::get_tls_error() : "";
    }
    using CommSession::get_tls_info;

    // Of a client task, before it is started: all of it, from looking up its name to the last
    // byte, retries and redirects too, must end within so many milliseconds from now; else it ends
    // with ETIMEDOUT. get_phase() then tells where it was. -1: none.
    // Of a server task, in process or in a callback of its series: each task that is pushed into
    // its series, and what these run, must end within that time; what does not is cut with
    // ETIMEDOUT, and what comes later is cut at once. The reply itself is not.
    using CommSession::get_phase;
    void set_deadline(int ms) {
        if (this->state == WFT_STATE_TOREPLY)
            wf::detail::limit_session(series_of(this), ms);
        else
            this->CommSession::set_deadline(ms);
    }

    // Of a client task, before its callback: see wf/cancel.h.
    using CommSession::get_cancel_handle;

    // Of a server task that has not replied: `gone` is called, once and on a worker, when the peer
    // has gone. It may run beside the task's own work, which it must not touch but by what is made
    // for that (an atomic flag, a cancel handle). 0, or -1 with ENOENT when it is too late.
    int on_peer_gone(std::function<void()> gone) { return this->watch_peer(std::move(gone)); }

    // Of a client task that was not started, and whose url or transport asks for TLS: the context
    // to use in place of the default one (wf/tls.h). Borrowed until the callback. Connections are
    // shared by those who use the same context.
    virtual void set_ssl_ctx(SSL_CTX *ssl_ctx) { (void)ssl_ctx; }

    // How many tasks were before on this connection. In the callback or process only; else -1,
    // ENOTCONN.
    long long get_task_seq() const {
        if (!this->target) {
            errno = ENOTCONN;
            return -1;
        }
        return this->get_seq();
    }

    // 0, or -1 with ENOTCONN (no peer was reached yet) or ENOBUFS (*addrlen is too small).
    int get_peer_addr(struct sockaddr *addr, socklen_t *addrlen) const;

    // Of a client: in the callback, and when the request is prepared. Of a server: while process
    // runs, and in the callback. Else NULL with ENOTCONN or EPERM.
    virtual WFConnection *get_connection() const = 0;

    // Milliseconds, -1 for no limit. Keep-alive 0 closes the connection; a watch timeout, when not
    // 0, limits the wait for the first byte of the response.
    void set_send_timeout(int timeout) { this->send_timeo = timeout; }
    void set_receive_timeout(int timeout) { this->receive_timeo = timeout; }
    void set_keep_alive(int timeout) { this->keep_alive_timeo = timeout; }
    void set_watch_timeout(int timeout) { this->watch_timeo = timeout; }

    // Of a server task: its connection will be closed instead of answered.
    void noreply() {
        if (this->state == WFT_STATE_TOREPLY)
            this->state = WFT_STATE_NOREPLY;
    }

    // Of a server task that has not replied: writes bytes at once, without waiting. The number
    // written, or -1 with EAGAIN (the socket is full) or ENOENT (too late).
    virtual int push(const void *buf, size_t size) {
        if (this->state != WFT_STATE_TOREPLY && this->state != WFT_STATE_NOREPLY) {
            errno = ENOENT;
            return -1;
        }
        return this->scheduler->push(buf, size, this);
    }

    // False before anything was connected. Of a server task that has not replied: whether the peer
    // is gone.
    bool closed() const {
        if (this->state == WFT_STATE_TOREPLY || this->state == WFT_STATE_NOREPLY)
            return !this->target->has_idle_conn();
        return this->state != WFT_STATE_UNDEFINED;
    }

    // Called just before the request, or a server's response, is encoded; the connection is known
    // then.
    void set_prepare(std::function<void(WFNetworkTask<REQ, RESP> *)> prep) {
        this->prepare = std::move(prep);
    }

    // Of a server task: called when the response was sent, or could not be.
    void set_callback(std::function<void(WFNetworkTask<REQ, RESP> *)> cb) {
        this->callback = std::move(cb);
    }

protected:
    int send_timeout() override { return this->send_timeo; }
    int receive_timeout() override { return this->receive_timeo; }
    int keep_alive_timeout() override { return this->keep_alive_timeo; }
    int first_timeout() override { return this->watch_timeo; }

    int send_timeo;
    int receive_timeo;
    int keep_alive_timeo;
    int watch_timeo;
    REQ req;
    RESP resp;
    std::function<void(WFNetworkTask<REQ, RESP> *)> prepare;
    std::function<void(WFNetworkTask<REQ, RESP> *)> callback;

    WFNetworkTask(CommSchedObject *object_in, CommScheduler *scheduler_in,
                  std::function<void(WFNetworkTask<REQ, RESP> *)> &&cb)
        : CommRequest(object_in, scheduler_in), user_data(NULL), send_timeo(-1), receive_timeo(-1),
          keep_alive_timeo(0), watch_timeo(0), callback(std::move(cb)) {}

    ~WFNetworkTask() override {}
};

// A wait for time. Its callback runs on a thread of the engine.
class WFTimerTask : public SleepRequest, private wf::detail::TaskMark<wf::detail::TASK_TIMER> {
public:
    void start() {
        wf::detail::check_start(this, "WFTimerTask::start()");
        Workflow::start_series_work(this, nullptr);
    }

    void dismiss() {
        wf::detail::check_dismiss(this, "WFTimerTask::dismiss()");
        delete this;
    }

    void *user_data;

    int get_state() const { return this->state; }
    int get_error() const { return this->error; }

    void set_callback(std::function<void(WFTimerTask *)> cb) { this->callback = std::move(cb); }

protected:
    SubTask *done() override;

    std::function<void(WFTimerTask *)> callback;

public:
    WFTimerTask(CommScheduler *scheduler_in, std::function<void(WFTimerTask *)> cb)
        : SleepRequest(scheduler_in), user_data(NULL), callback(std::move(cb)) {}

protected:
    ~WFTimerTask() override {}
};

// A task that ends when it is dispatched, and has no callback. The base of what needs no engine to
// run it.
class WFGenericTask : public SubTask {
public:
    void start() {
        wf::detail::check_start(this, "start()");
        Workflow::start_series_work(this, nullptr);
    }

    void dismiss() {
        wf::detail::check_dismiss(this, "dismiss()");
        delete this;
    }

    void *user_data;

    int get_state() const { return this->state; }
    int get_error() const { return this->error; }

protected:
    void dispatch() override { this->subtask_done(); }

    SubTask *done() override {
        SeriesWork *series = series_of(this);
        delete this;
        return series->pop();
    }

    int state;
    int error;

public:
    WFGenericTask() : user_data(NULL), state(WFT_STATE_UNDEFINED), error(0) {}

protected:
    ~WFGenericTask() override {}
};

// Ends when it was started and counted `target` times, on the thread that does the last of these.
class WFCounterTask : public WFGenericTask, private wf::detail::TaskMark<wf::detail::TASK_COUNTER> {
public:
    // From any thread, before the start too.
    virtual void count() {
        if (--this->value == 0) {
            this->state = WFT_STATE_SUCCESS;
            this->subtask_done();
        }
    }

    void set_callback(std::function<void(WFCounterTask *)> cb) { this->callback = std::move(cb); }

protected:
    void dispatch() override;
    SubTask *done() override;
    int cut_short(int cut_with) override;
    int describe_wait(char *text, size_t size) const override;
    // count(), but for the end: true when the caller is to end the counter.
    virtual bool count_down();
    friend class wf::CounterHandle;

    std::atomic<unsigned int> value; // what is still to be counted; the dispatch counts once
    std::function<void(WFCounterTask *)> callback;

public:
    WFCounterTask(unsigned int target_value, std::function<void(WFCounterTask *)> &&cb)
        : value(target_value + 1), callback(std::move(cb)) {}

protected:
    ~WFCounterTask() override {}
};

// Ends when it was started and sent a message.
class WFMailboxTask : public WFGenericTask, private wf::detail::TaskMark<wf::detail::TASK_MAILBOX> {
public:
    // From any thread, before the start too. Of several before the end the latest stays.
    virtual void send(void *msg);

    // Where the message is.
    void **get_mailbox() const { return this->mailbox; }

    void set_callback(std::function<void(WFMailboxTask *)> cb) { this->callback = std::move(cb); }

protected:
    void dispatch() override;
    SubTask *done() override;
    int cut_short(int cut_with) override;
    // send(), but for the end: true when the caller is to end the task. *taken: whether this is its
    // message.
    virtual bool deliver(void *msg, bool *taken);
    friend class wf::MailboxHandle;

    void **mailbox;
    std::atomic<int> flag; // bits: dispatched, sent
    std::function<void(WFMailboxTask *)> callback;

public:
    WFMailboxTask(void **mailbox_in, std::function<void(WFMailboxTask *)> &&cb)
        : mailbox(mailbox_in), flag(0), callback(std::move(cb)) {}

    WFMailboxTask(std::function<void(WFMailboxTask *)> &&cb)
        : mailbox(&this->user_data), flag(0), callback(std::move(cb)) {}

protected:
    ~WFMailboxTask() override {}
};

// Ends with the first of several messages. Exactly `candidates` messages must be submitted, NULL
// for those who have none; when all are NULL the end is SYS_ERROR, ENOMSG.
class WFSelectorTask : public WFGenericTask,
                       private wf::detail::TaskMark<wf::detail::TASK_SELECTOR> {
public:
    // From any thread, before the start too. 1 when this message was taken, else 0. The task may be
    // gone after the last.
    virtual int submit(void *msg);

    void *get_message() const {
        void *msg = this->message.load(std::memory_order_acquire);
        return msg == this ? NULL : msg;
    }

    void set_callback(std::function<void(WFSelectorTask *)> cb) { this->callback = std::move(cb); }

protected:
    void dispatch() override;
    SubTask *done() override;
    int cut_short(int cut_with) override;

    std::atomic<void *> message; // the task itself: it was cut, and takes none
    std::atomic<int> flag;       // bits: dispatched, decided
    std::atomic<size_t> nleft;   // submissions to come
    std::function<void(WFSelectorTask *)> callback;

private:
    void decide(int how);
    void unref();

    std::atomic<size_t> refs_; // the task itself and each candidate

public:
    WFSelectorTask(size_t candidates, std::function<void(WFSelectorTask *)> &&cb);

protected:
    ~WFSelectorTask() override {}
};

// Starts another task when it was started itself and signalled: that task runs right behind it in
// its series.
class WFConditional : public WFGenericTask,
                      private wf::detail::TaskMark<wf::detail::TASK_CONDITIONAL> {
public:
    // Writes the message to the buffer and lets the task go. From any thread, before the start too.
    // tidy: allow signal - a name of the old interface, not the system's function
    virtual void signal(void *msg);

protected:
    void dispatch() override;
    SubTask *done() override;
    // The task behind it is deleted then.
    int cut_short(int cut_with) override;
    // signal(), but for the end: true when the caller is to end the conditional. *taken: whether
    // this is its signal.
    virtual bool deliver(void *msg, bool *taken);
    friend class wf::ConditionalHandle;

    std::atomic<int> flag; // bits: dispatched, signalled
    SubTask *task;         // NULL when handed over
    void **msgbuf;

public:
    WFConditional(SubTask *task_in, void **msgbuf_in) : flag(0), task(task_in), msgbuf(msgbuf_in) {}
    WFConditional(SubTask *task_in) : flag(0), task(task_in), msgbuf(&this->user_data) {}

protected:
    ~WFConditional() override;
};

// A function to run on a thread of an executor; the callback follows on the same thread.
class WFGoTask : public ExecRequest, private wf::detail::TaskMark<wf::detail::TASK_COMPUTE> {
public:
    void start() {
        wf::detail::check_start(this, "WFGoTask::start()");
        Workflow::start_series_work(this, nullptr);
    }

    void dismiss() {
        wf::detail::check_dismiss(this, "WFGoTask::dismiss()");
        delete this;
    }

    void *user_data;

    int get_state() const { return this->state; }
    int get_error() const { return this->error; }

    void set_callback(std::function<void(WFGoTask *)> cb) { this->callback = std::move(cb); }

protected:
    SubTask *done() override;

    std::function<void(WFGoTask *)> callback;

public:
    WFGoTask(ExecQueue *queue_in, Executor *executor_in)
        : ExecRequest(queue_in, executor_in), user_data(NULL) {}

protected:
    ~WFGoTask() override {}
};

// Runs the tasks that create() makes, one after another, until it makes none.
class WFRepeaterTask : public WFGenericTask {
public:
    void set_create(std::function<SubTask *(WFRepeaterTask *)> create_in) {
        this->create = std::move(create_in);
    }

    void set_callback(std::function<void(WFRepeaterTask *)> cb) { this->callback = std::move(cb); }

protected:
    void dispatch() override;
    SubTask *done() override;
    bool refuse(int cut_with) override;

    std::function<SubTask *(WFRepeaterTask *)> create;
    std::function<void(WFRepeaterTask *)> callback;

public:
    WFRepeaterTask(std::function<SubTask *(WFRepeaterTask *)> &&create_in,
                   std::function<void(WFRepeaterTask *)> &&cb)
        : create(std::move(create_in)), callback(std::move(cb)) {}

protected:
    ~WFRepeaterTask() override {}
};

// A series as one task.
class WFModuleTask : public ParallelTask,
                     protected SeriesWork,
                     private wf::detail::TaskMark<wf::detail::TASK_MODULE> {
public:
    void start() {
        wf::detail::check_start(this, "WFModuleTask::start()");
        Workflow::start_series_work(this, nullptr);
    }

    void dismiss() {
        wf::detail::check_dismiss(this, "WFModuleTask::dismiss()");
        delete this;
    }

    // Valid until the callback has returned. Its own callback is run before the module's.
    SeriesWork *sub_series() { return this; }
    const SeriesWork *sub_series() const { return this; }

    void *user_data;

    void set_callback(std::function<void(const WFModuleTask *)> cb) {
        this->callback = std::move(cb);
    }

    void dispatch() override;

protected:
    SubTask *done() override;

    SubTask *first;
    std::function<void(const WFModuleTask *)> callback;

public:
    WFModuleTask(SubTask *first_in, std::function<void(const WFModuleTask *)> &&cb)
        : ParallelTask(&this->first, 1), SeriesWork(first_in, nullptr), user_data(NULL),
          first(first_in), callback(std::move(cb)) {
        this->set_in_parallel(this);
    }

protected:
    ~WFModuleTask() override;
};

#include "detail/file_task.h"
#include "detail/network_task.h"

#endif
