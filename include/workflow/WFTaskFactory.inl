// Weft public header, room: factory - template bodies of WFTaskFactory.h, and WFComplexClientTask
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_WFTASKFACTORY_INL
#define WEFT_WFTASKFACTORY_INL

#include <netdb.h>
#include <new>
#include <stdlib.h>
#include <string.h>

#include "WFNameService.h"
#include "detail/compute_task.h"
#include "detail/runtime.h"
#include "detail/scheme_mark.h"

namespace wf {
namespace detail {

// What of a client task does not depend on its messages: defined in the library.
// Checks the port of a parsed url, or puts its scheme's default there. 0, or a WFT_ERR_* code.
int complete_port(ParsedURI *uri);
// The error of a url that could not be parsed, as state and error.
void parse_failure(const ParsedURI &uri, int *state, int *error);
// Finds the target of a task that was given an address instead of a url. 0, or an errno.
int route_address(enum TransportType type, const struct sockaddr *addr, socklen_t addrlen,
                  const std::string &info, SSL_CTX *ssl_ctx, bool fixed_conn,
                  RouteManager::RouteResult *result);
// Sends a message to each of at most `max` mailboxes, or conditionals, of that name: the i-th gets
// message_at(messages, i). Returns how many.
typedef void *(*MessageAt)(const void *messages, size_t i);
int send_each(const std::string &name, const void *messages, MessageAt message_at, size_t max);
int signal_each(const std::string &name, const void *messages, MessageAt message_at, size_t max);
// Of an array of pointers to T.
template <typename T>
void *message_at(const void *messages, size_t i) {
    return (void *)static_cast<T *const *>(messages)[i];
}
// True on a thread where a failure may be told at once; else the task makes a detour through a
// timer.
bool may_fail_here();

} // namespace detail
} // namespace wf

// A client task with name service, retries and redirects; the base of the clients of all protocols.
//
// Its life: init (a failure is told by the callback) - dispatch: check_request(), route() - then
// for each attempt the session (message_out() and so on) and finish_once(). After an attempt:
// finish_once() returned false with success: once more on the same target (login steps).
// set_redirect() was called: from the routing on, with the retries counted anew.
// WFT_STATE_SYS_ERROR and retries left: from the routing on. Else the callback.
template <class REQ, class RESP, typename CTX = bool>
class WFComplexClientTask : public WFClientTask<REQ, RESP> {
protected:
    using task_callback_t = std::function<void(WFNetworkTask<REQ, RESP> *)>;

public:
    WFComplexClientTask(int retry_max, task_callback_t &&cb)
        : WFClientTask<REQ, RESP>(NULL, wf::detail::runtime_scheduler(), std::move(cb)),
          type_(TT_TCP), ssl_ctx_(NULL), fixed_addr_(false), fixed_conn_(false), redirect_(false),
          ctx_(), retry_max_(retry_max), retry_times_(0), ns_policy_(NULL), router_task_(NULL),
          routing_(false), detoured_(false) {}

    void init(const ParsedURI &uri) {
        this->uri_ = uri;
        this->init_with_uri();
    }
    void init(ParsedURI &&uri) {
        this->uri_ = std::move(uri);
        this->init_with_uri();
    }
    void init(enum TransportType type, const struct sockaddr *addr, socklen_t addrlen,
              const std::string &info);

    void set_transport_type(enum TransportType type) { this->type_ = type; }
    enum TransportType get_transport_type() const { return this->type_; }
    void set_ssl_ctx(SSL_CTX *ssl_ctx) override { this->ssl_ctx_ = ssl_ctx; }
    virtual const ParsedURI *get_current_uri() const { return &this->uri_; }

    // In finish_once() or the callback: the task starts again, at this place.
    void set_redirect(const ParsedURI &uri) {
        this->redirect_ = true;
        this->init(uri);
    }
    void set_redirect(enum TransportType type, const struct sockaddr *addr, socklen_t addrlen,
                      const std::string &info) {
        this->redirect_ = true;
        this->init(type, addr, addrlen, info);
    }

    bool is_fixed_addr() const { return this->fixed_addr_; }
    bool is_fixed_conn() const { return this->fixed_conn_; }
    CTX *get_mutable_ctx() { return &this->ctx_; }

protected:
    virtual bool init_success() { return true; }
    virtual void init_failed() {}
    virtual bool check_request() { return true; }
    virtual WFRouterTask *route();
    virtual bool finish_once() { return true; }

    // Only the first address of a name; only one connection per target and info.
    void set_fixed_addr(int fixed) { this->fixed_addr_ = fixed != 0; }
    void set_fixed_conn(int fixed) { this->fixed_conn_ = fixed != 0; }
    void set_info(const std::string &info) { this->info_ = info; }
    void set_info(const char *info) { this->info_ = info; }

    // A new response in place of the old one, with the same limit and attachment.
    void clear_resp();
    void disable_retry() { this->retry_times_ = this->retry_max_; }

    enum TransportType type_;
    ParsedURI uri_;
    std::string info_;
    SSL_CTX *ssl_ctx_;
    bool fixed_addr_;
    bool fixed_conn_;
    bool redirect_;
    CTX ctx_;
    int retry_max_;
    int retry_times_;
    WFNSPolicy *ns_policy_;
    WFRouterTask *router_task_;
    RouteManager::RouteResult route_result_;
    WFNSTracing tracing_;

    void dispatch() override;
    SubTask *done() override;

private:
    void init_with_uri();
    void reset_route();
    void tell_policy();
    void routed(WFRouterTask *task);
    bool end_if_given_up();
    bool again();
    SubTask *end();

    bool routing_;  // this end of the task only means that the router runs next
    bool detoured_; // a failure on a foreign thread has been brought to a worker
    wf::detail::SchemeMark mark_;
};

template <class REQ, class RESP, typename CTX>
void WFComplexClientTask<REQ, RESP, CTX>::clear_resp() {
    size_t limit = this->resp.get_size_limit();
    protocol::ProtocolMessage::Attachment *attachment = this->resp.get_attachment();

    this->resp.set_attachment(NULL);
    this->resp.~RESP();
    new (&this->resp) RESP();
    this->resp.set_size_limit(limit);
    this->resp.set_attachment(attachment);
}

template <class REQ, class RESP, typename CTX>
void WFComplexClientTask<REQ, RESP, CTX>::reset_route() {
    this->state = WFT_STATE_UNDEFINED;
    this->error = 0;
    this->ns_policy_ = NULL;
    this->route_result_.clear();
    this->target = NULL;
}

template <class REQ, class RESP, typename CTX>
void WFComplexClientTask<REQ, RESP, CTX>::init(enum TransportType type, const struct sockaddr *addr,
                                               socklen_t addrlen, const std::string &info) {
    if (this->redirect_)
        this->reset_route();

    this->type_ = type;
    this->info_ = info;
    this->mark_.set(NULL);
    int failure = wf::detail::route_address(type, addr, addrlen, info, this->ssl_ctx_,
                                            this->fixed_conn_, &this->route_result_);
    if (failure != 0) {
        this->state = WFT_STATE_SYS_ERROR;
        this->error = failure;
        this->init_failed();
    } else if (!this->init_success() && this->state == WFT_STATE_UNDEFINED) {
        this->state = WFT_STATE_SYS_ERROR;
        this->error = EINVAL;
    }
}

template <class REQ, class RESP, typename CTX>
void WFComplexClientTask<REQ, RESP, CTX>::init_with_uri() {
    if (this->redirect_)
        this->reset_route();

    this->mark_.set(this->uri_.scheme);
    if (this->uri_.state != URI_STATE_SUCCESS) {
        wf::detail::parse_failure(this->uri_, &this->state, &this->error);
        this->init_failed();
        return;
    }
    int failure = wf::detail::complete_port(&this->uri_);
    if (failure != 0) {
        this->state = WFT_STATE_TASK_ERROR;
        this->error = failure;
        this->init_failed();
    } else if (!this->init_success() && this->state == WFT_STATE_UNDEFINED) {
        this->state = WFT_STATE_SYS_ERROR;
        this->error = EINVAL;
    }
}

template <class REQ, class RESP, typename CTX>
WFRouterTask *WFComplexClientTask<REQ, RESP, CTX>::route() {
    struct WFNSParams params = {
        this->type_,        this->uri_,        this->info_.c_str(),
        this->ssl_ctx_,     this->fixed_addr_, this->fixed_conn_,
        this->retry_times_, &this->tracing_,   this,
    };
    WFNameService *names = wf::detail::runtime_name_service();

    if (!this->ns_policy_) // a retry stays with it, though it may have written an address into the
                           // uri
        this->ns_policy_ = names->get_policy(this->uri_.host ? this->uri_.host : "");
    return this->ns_policy_->create_router_task(&params,
                                                [this](WFRouterTask *task) { this->routed(task); });
}

template <class REQ, class RESP, typename CTX>
void WFComplexClientTask<REQ, RESP, CTX>::routed(WFRouterTask *task) {
    this->state = task->get_state();
    this->error = task->get_error();
    if (this->state == WFT_STATE_SUCCESS)
        this->route_result_ = *task->get_result();
    else if (this->state == WFT_STATE_UNDEFINED) { // a policy that said nothing
        this->state = WFT_STATE_TASK_ERROR;
        this->error = WFT_ERR_UPSTREAM_UNAVAILABLE;
    }
    this->router_task_ = NULL;
    if (this->state == WFT_STATE_SYS_ERROR && this->error == ETIMEDOUT)
        this->timeout_reason = TOR_WAIT_TIMEOUT; // the deadline, before there was a target
}

// Before there is a connection, or when there will be none: who was given up ends so.
template <class REQ, class RESP, typename CTX>
bool WFComplexClientTask<REQ, RESP, CTX>::end_if_given_up() {
    int reason = this->give_up_reason();
    if (reason == 0)
        return false;
    this->state = WFT_STATE_SYS_ERROR;
    this->error = reason;
    this->timeout_reason = reason == ETIMEDOUT ? TOR_WAIT_TIMEOUT : TOR_NOT_TIMEOUT;
    return true;
}

template <class REQ, class RESP, typename CTX>
void WFComplexClientTask<REQ, RESP, CTX>::dispatch() {
    if (this->detoured_) { // its end is fixed, and comes where a callback may run
        this->subtask_done();
        return;
    }
    this->set_ended(false);
    if (this->state == WFT_STATE_UNDEFINED && this->check_request()) {
        if (!this->route_result_.request_object && !this->end_if_given_up()) {
            SeriesWork *series = series_of(this);
            this->routing_ = true;
            this->router_task_ = this->route();
            series->push_front(this);
            series->push_front(this->router_task_);
            this->subtask_done(); // not the end: the router is next, and then this task again
            return;
        }
        if (this->route_result_.request_object)
            this->state = WFT_STATE_SUCCESS;
    }
    if (this->state == WFT_STATE_SUCCESS) {
        this->set_request_object(this->route_result_.request_object);
        if (this->fixed_conn_)
            this->set_wait_timeout(0);
        this->WFClientTask<REQ, RESP>::dispatch();
        return;
    }
    // Who canceled it was told that it ends so, whatever else went wrong.
    if (int canceled = this->set_ended(true)) {
        this->state = WFT_STATE_SYS_ERROR;
        this->error = canceled;
        this->timeout_reason = canceled == ETIMEDOUT ? TOR_WAIT_TIMEOUT : TOR_NOT_TIMEOUT;
    }
    this->subtask_done();
}

// Whether the attempt that has ended is to be followed by another.
template <class REQ, class RESP, typename CTX>
bool WFComplexClientTask<REQ, RESP, CTX>::again() {
    if (this->redirect_) {
        this->redirect_ = false;
        this->retry_times_ = 0;
        this->clear_resp();
        return true;
    }
    // Below zero it is an error of TLS, which another attempt would only meet again.
    if (this->state != WFT_STATE_SYS_ERROR || this->error < 0 ||
        this->retry_times_ >= this->retry_max_ || !this->route_result_.request_object ||
        this->give_up_reason() != 0)
        return false;

    // An address given instead of a url has no other place to go, so its route is kept.
    RouteManager::RouteResult route = this->route_result_;
    WFNSPolicy *policy = this->ns_policy_;
    this->reset_route();
    this->ns_policy_ = policy;
    if (this->uri_.state != URI_STATE_SUCCESS)
        this->route_result_ = route;
    this->retry_times_++;
    this->clear_resp();
    return true;
}

template <class REQ, class RESP, typename CTX>
SubTask *WFComplexClientTask<REQ, RESP, CTX>::end() {
    SeriesWork *series = series_of(this);

    if (this->tracing_.deleter) {
        this->tracing_.deleter(this->tracing_.data);
        this->tracing_.deleter = NULL;
        this->tracing_.data = NULL;
    }
    if (this->callback) {
        this->callback(this);
        if (this->redirect_) { // asked for in the callback: not the end after all
            this->redirect_ = false;
            this->retry_times_ = 0;
            this->clear_resp();
            return this;
        }
    }
    delete this;
    return series->pop();
}

// How the attempt ended. One that found no route, and no error either, was none.
template <class REQ, class RESP, typename CTX>
void WFComplexClientTask<REQ, RESP, CTX>::tell_policy() {
    if (!this->ns_policy_)
        return;
    if (this->state == WFT_STATE_SYS_ERROR || this->state == WFT_STATE_DNS_ERROR)
        this->ns_policy_->failed(&this->route_result_, &this->tracing_, this->target);
    else if (this->route_result_.request_object)
        this->ns_policy_->success(&this->route_result_, &this->tracing_, this->target);
}

template <class REQ, class RESP, typename CTX>
SubTask *WFComplexClientTask<REQ, RESP, CTX>::done() {
    SeriesWork *series = series_of(this);

    if (this->routing_) {
        this->routing_ = false;
        return series->pop();
    }
    if (this->detoured_)
        return this->end();

    this->tell_policy(); // before a redirect takes the route away
    bool user_request = this->finish_once();
    if (this->state == WFT_STATE_SUCCESS && !user_request && !this->redirect_) {
        this->clear_resp();
        return this;
    }
    if (this->again())
        return this;

    if (this->state == WFT_STATE_SYS_ERROR && this->error < 0) {
        this->state = WFT_STATE_SSL_ERROR;
        this->error = -this->error;
    }
    if (!this->target && !wf::detail::may_fail_here()) {
        // A failure without a connection may have come on the caller's thread: its callback belongs
        // on a worker.
        this->detoured_ = true;
        WFTimerTask *timer = WFTaskFactory::create_timer_task(0, 0, nullptr);
        series->push_front(this);
        series->push_front(timer);
        return series->pop();
    }
    return this->end();
}

// Client tasks of any two message classes.

template <class REQ, class RESP>
WFNetworkTask<REQ, RESP> *WFNetworkTaskFactory<REQ, RESP>::create_client_task(
    enum TransportType type, const std::string &host, unsigned short port, int retry_max,
    std::function<void(T *)> callback) {
    auto *task = new WFComplexClientTask<REQ, RESP>(retry_max, std::move(callback));
    ParsedURI uri;

    uri.scheme = strdup("scheme");
    uri.host = strdup(host.c_str());
    uri.port = strdup(std::to_string(port).c_str());
    if (uri.scheme && uri.host && uri.port) {
        uri.state = URI_STATE_SUCCESS;
    } else {
        uri.state = URI_STATE_ERROR;
        uri.error = ENOMEM;
    }
    task->set_transport_type(type);
    task->init(std::move(uri));
    return task;
}

template <class REQ, class RESP>
WFNetworkTask<REQ, RESP> *WFNetworkTaskFactory<REQ, RESP>::create_client_task(
    enum TransportType type, const std::string &url, int retry_max,
    std::function<void(T *)> callback) {
    auto *task = new WFComplexClientTask<REQ, RESP>(retry_max, std::move(callback));
    ParsedURI uri;

    URIParser::parse(url, uri);
    task->set_transport_type(type);
    task->init(std::move(uri));
    return task;
}

template <class REQ, class RESP>
WFNetworkTask<REQ, RESP> *WFNetworkTaskFactory<REQ, RESP>::create_client_task(
    enum TransportType type, const ParsedURI &uri, int retry_max,
    std::function<void(T *)> callback) {
    auto *task = new WFComplexClientTask<REQ, RESP>(retry_max, std::move(callback));

    task->set_transport_type(type);
    task->init(uri);
    return task;
}

template <class REQ, class RESP>
WFNetworkTask<REQ, RESP> *WFNetworkTaskFactory<REQ, RESP>::create_client_task(
    enum TransportType type, const struct sockaddr *addr, socklen_t addrlen, int retry_max,
    std::function<void(T *)> callback) {
    auto *task = new WFComplexClientTask<REQ, RESP>(retry_max, std::move(callback));

    task->init(type, addr, addrlen, "");
    return task;
}

template <class REQ, class RESP>
WFNetworkTask<REQ, RESP> *WFNetworkTaskFactory<REQ, RESP>::create_client_task(
    enum TransportType type, struct sockaddr *addr, socklen_t addrlen, SSL_CTX *ssl_ctx,
    int retry_max, std::function<void(T *)> callback) {
    auto *task = new WFComplexClientTask<REQ, RESP>(retry_max, std::move(callback));

    task->set_ssl_ctx(ssl_ctx);
    task->init(type, addr, addrlen, "");
    return task;
}

template <class REQ, class RESP>
WFNetworkTask<REQ, RESP> *WFNetworkTaskFactory<REQ, RESP>::create_server_task(
    CommService *service, std::function<void(T *)> &process) {
    return new WFServerTask<REQ, RESP>(service, wf::detail::runtime_scheduler(), process);
}

// Messages by name.

template <typename T>
int WFTaskFactory::send_by_name(const std::string &mailbox_name, T *const msg[], size_t max) {
    return wf::detail::send_each(mailbox_name, msg, wf::detail::message_at<T>, max);
}

template <typename T>
int WFTaskFactory::signal_by_name(const std::string &cond_name, T *const msg[], size_t max) {
    return wf::detail::signal_each(cond_name, msg, wf::detail::message_at<T>, max);
}

// Computations.

template <class FUNC, class... ARGS>
WFGoTask *WFTaskFactory::create_go_task(ExecQueue *queue, Executor *executor, FUNC &&func,
                                        ARGS &&...args) {
    return new wf::detail::GoTask(
        queue, executor,
        wf::detail::go_function(std::forward<FUNC>(func), std::forward<ARGS>(args)...));
}

template <class FUNC, class... ARGS>
WFGoTask *WFTaskFactory::create_go_task(const std::string &queue_name, FUNC &&func,
                                        ARGS &&...args) {
    return WFTaskFactory::create_go_task(wf::detail::runtime_exec_queue(queue_name.c_str()),
                                         wf::detail::runtime_compute_executor(),
                                         std::forward<FUNC>(func), std::forward<ARGS>(args)...);
}

template <class FUNC, class... ARGS>
WFGoTask *WFTaskFactory::create_timedgo_task(time_t seconds, long nanoseconds, ExecQueue *queue,
                                             Executor *executor, FUNC &&func, ARGS &&...args) {
    return new wf::detail::TimedTask<wf::detail::GoTask>(
        seconds, nanoseconds, wf::detail::runtime_scheduler(), queue, executor,
        wf::detail::go_function(std::forward<FUNC>(func), std::forward<ARGS>(args)...));
}

template <class FUNC, class... ARGS>
WFGoTask *WFTaskFactory::create_timedgo_task(time_t seconds, long nanoseconds,
                                             const std::string &queue_name, FUNC &&func,
                                             ARGS &&...args) {
    return WFTaskFactory::create_timedgo_task(
        seconds, nanoseconds, wf::detail::runtime_exec_queue(queue_name.c_str()),
        wf::detail::runtime_compute_executor(), std::forward<FUNC>(func),
        std::forward<ARGS>(args)...);
}

template <class FUNC, class... ARGS>
void WFTaskFactory::reset_go_task(WFGoTask *task, FUNC &&func, ARGS &&...args) {
    static_cast<wf::detail::GoTask *>(task)->set_function(
        wf::detail::go_function(std::forward<FUNC>(func), std::forward<ARGS>(args)...));
}

template <class INPUT, class OUTPUT>
WFThreadTask<INPUT, OUTPUT> *WFThreadTaskFactory<INPUT, OUTPUT>::create_thread_task(
    ExecQueue *queue, Executor *executor, std::function<void(INPUT *, OUTPUT *)> routine,
    std::function<void(T *)> callback) {
    return new wf::detail::RoutineTask<INPUT, OUTPUT>(queue, executor, std::move(routine),
                                                      std::move(callback));
}

template <class INPUT, class OUTPUT>
WFThreadTask<INPUT, OUTPUT> *WFThreadTaskFactory<INPUT, OUTPUT>::create_thread_task(
    const std::string &queue_name, std::function<void(INPUT *, OUTPUT *)> routine,
    std::function<void(T *)> callback) {
    return create_thread_task(wf::detail::runtime_exec_queue(queue_name.c_str()),
                              wf::detail::runtime_compute_executor(), std::move(routine),
                              std::move(callback));
}

template <class INPUT, class OUTPUT>
WFThreadTask<INPUT, OUTPUT> *WFThreadTaskFactory<INPUT, OUTPUT>::create_thread_task(
    time_t seconds, long nanoseconds, ExecQueue *queue, Executor *executor,
    std::function<void(INPUT *, OUTPUT *)> routine, std::function<void(T *)> callback) {
    return new wf::detail::TimedTask<wf::detail::RoutineTask<INPUT, OUTPUT>>(
        seconds, nanoseconds, wf::detail::runtime_scheduler(), queue, executor, std::move(routine),
        std::move(callback));
}

template <class INPUT, class OUTPUT>
WFThreadTask<INPUT, OUTPUT> *WFThreadTaskFactory<INPUT, OUTPUT>::create_thread_task(
    time_t seconds, long nanoseconds, const std::string &queue_name,
    std::function<void(INPUT *, OUTPUT *)> routine, std::function<void(T *)> callback) {
    return create_thread_task(
        seconds, nanoseconds, wf::detail::runtime_exec_queue(queue_name.c_str()),
        wf::detail::runtime_compute_executor(), std::move(routine), std::move(callback));
}

// The server tasks of the built-in protocols; used by the servers.
class WFServerTaskFactory {
public:
    static WFHttpTask *create_http_task(CommService *service,
                                        std::function<void(WFHttpTask *)> &process);
};

#endif
