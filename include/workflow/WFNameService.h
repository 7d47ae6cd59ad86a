// Weft public header, room: nameservice - policies that choose the target of a task by the host of its URL
// SPDX-License-Identifier: Apache-2.0

#ifndef WEFT_WFNAMESERVICE_H
#define WEFT_WFNAMESERVICE_H

#include <functional>
#include <openssl/ssl.h>
#include <stddef.h>
#include <string>
#include <utility>

#include "Communicator.h"
#include "EndpointParams.h"
#include "RouteManager.h"
#include "URIParser.h"
#include "WFTask.h"
#include "Workflow.h"

// Finds the target of one attempt of a client task; runs in the client task's series, right before
// it.
class WFRouterTask : public WFGenericTask {
public:
    // Meaningful in the callback when the state is WFT_STATE_SUCCESS.
    RouteManager::RouteResult *get_result() { return &this->result; }

    void set_state(int state_in) { this->state = state_in; }
    void set_error(int error_in) { this->error = error_in; }

protected:
    RouteManager::RouteResult result;
    std::function<void(WFRouterTask *)> callback;

    SubTask *done() override {
        SeriesWork *series = series_of(this);

        if (this->callback)
            this->callback(this);

        delete this;
        return series->pop();
    }

public:
    WFRouterTask(std::function<void(WFRouterTask *)> &&cb) : callback(std::move(cb)) {}

protected:
    ~WFRouterTask() override {}
};

// What a policy remembers about one client task across its attempts. The client task calls the
// deleter, if there is one, once, before its final callback.
class WFNSTracing {
public:
    void *data;
    void (*deleter)(void *);

    WFNSTracing() : data(NULL), deleter(NULL) {}
};

// One attempt, as the client task describes it. Everything is borrowed and valid until the router
// task's callback.
struct WFNSParams {
    enum TransportType type;
    ParsedURI &uri;   // the policy may replace host and port, by free() and strdup()
    const char *info; // part of the key of the connection pool; "" or NULL: none
    SSL_CTX *ssl_ctx;
    bool fixed_addr; // only the first address of a name
    bool fixed_conn; // only one connection
    int retry_times; // 0 at the first attempt
    WFNSTracing *tracing;
    // The client task's, whose deadline and cancel bound the search; or NULL. One search at a time.
    CommSession *session;
};

typedef std::function<void(WFRouterTask *)> router_callback_t;

// Must outlive the tasks that use it. Its functions are called on any thread, several at once.
class WFNSPolicy {
public:
    virtual WFRouterTask *create_router_task(const struct WFNSParams *params,
                                             router_callback_t callback) = 0;

    // How an attempt ended. target is NULL when it did not come so far.
    virtual void success(RouteManager::RouteResult *result, WFNSTracing *tracing,
                         CommTarget *target) {
        (void)tracing;
        RouteManager::notify_available(result->cookie, target);
    }

    virtual void failed(RouteManager::RouteResult *result, WFNSTracing *tracing,
                        CommTarget *target) {
        (void)tracing;
        RouteManager::notify_unavailable(result->cookie, target);
    }

    virtual ~WFNSPolicy() {}
};

namespace wf {
namespace detail {
class PolicyTable;
} // namespace detail
} // namespace wf

// The policies by name, in any case of letters. Any thread may call any function; policies are
// borrowed.
class WFNameService {
public:
    // -1 with EEXIST when there is one of that name.
    int add_policy(const char *name, WFNSPolicy *policy);
    // The default policy when there is none of that name.
    WFNSPolicy *get_policy(const char *name);
    // The policy, which is not deleted and may still be in use by running tasks; NULL when there
    // was none.
    WFNSPolicy *del_policy(const char *name);

    WFNSPolicy *get_default_policy() const;
    void set_default_policy(WFNSPolicy *policy);

    explicit WFNameService(WFNSPolicy *default_policy);
    virtual ~WFNameService();

private:
    WFNameService(const WFNameService &);
    WFNameService &operator=(const WFNameService &);

    wf::detail::PolicyTable *table_;
};

#endif
