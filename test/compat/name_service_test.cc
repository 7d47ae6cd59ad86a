// Weft - compat: a program's own name service policy under HTTP client tasks
// SPDX-License-Identifier: Apache-2.0
//
// WFNameService.h, WFDnsResolver.h, DnsCache.h and RouteManager.h as programs use them; rows 62,
// 67, 72, 73 and 110 of the behaviour table.

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <vector>

#include "workflow/RouteManager.h"
#include "workflow/WFDnsResolver.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFNameService.h"

#include "http_call.h"
#include "integration/raw_socket.h"
#include "support.h"

using compat::Call;
using compat::Event;

using compat::port_of;

namespace {

struct sockaddr_in loopback(unsigned short port) {
    struct sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    addr.sin_port = htons(port);
    return addr;
}

// A router task whose answer is what a function of the policy says.
class Router : public WFRouterTask {
public:
    Router(std::function<void(WFRouterTask *)> work, router_callback_t &&told)
        : WFRouterTask(std::move(told)), work_(std::move(work)) {}

protected:
    void dispatch() override {
        work_(this);
        this->subtask_done();
    }

private:
    std::function<void(WFRouterTask *)> work_;
};

// What a policy was told about the end of an attempt.
struct Verdict {
    bool good;
    bool same_result; // the route is the one that the router gave
    WFNSTracing *tracing;
    CommTarget *target;
};

// Sends attempt n of all attempts to ports[n], and the later ones to the last of them. Counts what
// it is asked and told, and how often its tracing data was deleted.
class Policy : public WFNSPolicy {
public:
    explicit Policy(std::vector<unsigned short> ports) : ports_(std::move(ports)) {}

    WFRouterTask *create_router_task(const WFNSParams *params,
                                     router_callback_t callback) override {
        std::lock_guard<std::mutex> lock(mutex_);
        size_t last = ports_.size() - 1;
        unsigned short port = ports_[routed_.size() < last ? routed_.size() : last];
        routed_.push_back(params->retry_times);
        tracings_.push_back(params->tracing);
        if (!params->tracing->data) {
            params->tracing->data = this;
            params->tracing->deleter = &Policy::forget;
        }
        std::string info = params->info ? params->info : "";
        TransportType type = params->type;
        return new Router(
            [this, port, info, type](WFRouterTask *task) { route(task, port, info, type); },
            std::move(callback));
    }

    void success(RouteManager::RouteResult *result, WFNSTracing *tracing,
                 CommTarget *target) override {
        note(true, result, tracing, target);
        this->WFNSPolicy::success(result, tracing, target);
    }

    void failed(RouteManager::RouteResult *result, WFNSTracing *tracing,
                CommTarget *target) override {
        note(false, result, tracing, target);
        this->WFNSPolicy::failed(result, tracing, target);
    }

    int count(bool good) {
        std::lock_guard<std::mutex> lock(mutex_);
        int n = 0;
        for (const Verdict &verdict : verdicts_)
            n += verdict.good == good;
        return n;
    }

    std::vector<Verdict> verdicts() {
        std::lock_guard<std::mutex> lock(mutex_);
        return verdicts_;
    }

    // The retry_times of each call of create_router_task().
    std::vector<int> routed() {
        std::lock_guard<std::mutex> lock(mutex_);
        return routed_;
    }

    bool one_tracing() {
        std::lock_guard<std::mutex> lock(mutex_);
        for (WFNSTracing *tracing : tracings_) {
            if (tracing != tracings_[0])
                return false;
        }
        return true;
    }

    int forgotten() { return forgotten_.load(); }

    size_t max_connections = 200;

private:
    void route(WFRouterTask *task, unsigned short port, const std::string &info,
               TransportType type) {
        struct sockaddr_in addr = loopback(port);
        struct addrinfo place = {};
        place.ai_family = AF_INET;
        place.ai_socktype = SOCK_STREAM;
        place.ai_addr = reinterpret_cast<struct sockaddr *>(&addr);
        place.ai_addrlen = sizeof addr;
        struct EndpointParams params = ENDPOINT_PARAMS_DEFAULT;
        params.max_connections = max_connections;
        if (WFGlobal::get_route_manager()->get(type, &place, info, &params, "", NULL,
                                               *task->get_result()) < 0) {
            task->set_state(WFT_STATE_SYS_ERROR);
            task->set_error(errno);
            return;
        }
        std::lock_guard<std::mutex> lock(mutex_);
        last_object_ = task->get_result()->request_object;
        task->set_state(WFT_STATE_SUCCESS);
    }

    void note(bool good, RouteManager::RouteResult *result, WFNSTracing *tracing,
              CommTarget *target) {
        std::lock_guard<std::mutex> lock(mutex_);
        bool same = result->request_object && result->request_object == last_object_;
        verdicts_.push_back({good, same, tracing, target});
    }

    static void forget(void *data) { static_cast<Policy *>(data)->forgotten_++; }

    std::vector<unsigned short> ports_;
    std::mutex mutex_;
    std::vector<Verdict> verdicts_;
    std::vector<int> routed_;
    std::vector<WFNSTracing *> tracings_;
    CommSchedObject *last_object_ = nullptr;
    std::atomic<int> forgotten_{0};
};

// A policy under a name for as long as this lives.
class Registered {
public:
    Registered(const std::string &name, WFNSPolicy *policy) : name_(name) {
        EXPECT_EQ(0, WFGlobal::get_name_service()->add_policy(name_.c_str(), policy));
    }
    ~Registered() { WFGlobal::get_name_service()->del_policy(name_.c_str()); }
    Registered(const Registered &) = delete;
    Registered &operator=(const Registered &) = delete;

private:
    std::string name_;
};

// The answer names the host that the client asked for; /hop sends it to the same host again, /held
// is answered when `release` was counted.
class NameService : public ::testing::Test {
protected:
    NameService() : server_([this](WFHttpTask *task) { serve(task); }) {}
    void SetUp() override { ASSERT_EQ(0, server_.start("127.0.0.1", 0)); }
    void TearDown() override { server_.stop(); }

    unsigned short port() { return port_of(server_); }

    void serve(WFHttpTask *task) {
        std::string uri = task->get_req()->get_request_uri();
        protocol::HttpHeaderMap headers(task->get_req());
        std::string host = headers.get("Host");
        if (uri == "/hop") {
            protocol::HttpUtil::set_response_status(task->get_resp(), 302);
            task->get_resp()->add_header_pair("Location", "http://" + host + "/end");
            return;
        }
        if (uri == "/held") {
            series_of(task)->push_back(WFTaskFactory::create_counter_task(release_, 1, nullptr));
            held_.set();
        }
        task->get_resp()->append_output_body(host);
    }

    const std::string release_ = "name_service_test.release";
    Event held_;
    WFHttpServer server_;
};

// success() once per answered attempt, with the target that answered; the request keeps the name
// (row 110).
TEST_F(NameService, SuccessOncePerAnswer) {
    Policy policy({port()});
    Registered entry("shop.example", &policy);
    for (int i = 1; i <= 3; i++) {
        Call call;
        ASSERT_TRUE(call.run("http://shop.example/", 0, 2));
        EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
        EXPECT_EQ("shop.example", call.body);
        EXPECT_EQ(i, policy.count(true));
        EXPECT_EQ(i, policy.forgotten());
    }
    EXPECT_EQ(0, policy.count(false));
    EXPECT_EQ(std::vector<int>({0, 0, 0}), policy.routed());
    for (const Verdict &verdict : policy.verdicts()) {
        EXPECT_NE(nullptr, dynamic_cast<RouteManager::RouteTarget *>(verdict.target));
        EXPECT_TRUE(verdict.same_result);
        EXPECT_NE(nullptr, verdict.tracing);
    }
}

// failed() once per refused attempt; each retry asks the policy again, with one more in
// retry_times and the same tracing.
TEST_F(NameService, FailedOncePerRefusal) {
    Policy policy({raw::refusing_port()});
    Registered entry("dead.example", &policy);
    Call call;
    ASSERT_TRUE(call.run("http://dead.example/", 0, 2));
    EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state);
    EXPECT_EQ(ECONNREFUSED, call.error);
    EXPECT_EQ(1, call.calls);
    EXPECT_EQ(3, policy.count(false));
    EXPECT_EQ(0, policy.count(true));
    EXPECT_EQ(std::vector<int>({0, 1, 2}), policy.routed());
    EXPECT_TRUE(policy.one_tracing());
    EXPECT_EQ(1, policy.forgotten());
    for (const Verdict &verdict : policy.verdicts())
        EXPECT_TRUE(verdict.same_result);
}

// A retry goes where the policy says then; both ends are told, in order.
TEST_F(NameService, RetryGoesElsewhere) {
    Policy policy({raw::refusing_port(), raw::refusing_port(), port()});
    Registered entry("third.example", &policy);
    Call call;
    ASSERT_TRUE(call.run("http://third.example/", 0, 5));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
    EXPECT_EQ(std::vector<int>({0, 1, 2}), policy.routed());
    std::vector<Verdict> verdicts = policy.verdicts();
    ASSERT_EQ(3u, verdicts.size());
    EXPECT_FALSE(verdicts[0].good);
    EXPECT_FALSE(verdicts[1].good);
    EXPECT_TRUE(verdicts[2].good);
    EXPECT_EQ(1, policy.forgotten());
}

// An attempt that finds the target full ends without one: failed() all the same, with NULL.
TEST_F(NameService, FailedWithoutATarget) {
    Policy policy({port()});
    policy.max_connections = 1;
    Registered entry("full.example", &policy);
    Event first_over;
    WFTaskFactory::create_http_task("http://full.example/held", 0, 0, [&](WFHttpTask *task) {
        EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
        first_over.set();
    })->start();
    ASSERT_TRUE(held_.wait());
    Call call;
    ASSERT_TRUE(call.run("http://full.example/", 0, 1,
                         [](WFHttpTask *task) { task->set_wait_timeout(20); }));
    EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state);
    EXPECT_EQ(ETIMEDOUT, call.error);
    EXPECT_EQ(TOR_WAIT_TIMEOUT, call.reason);
    std::vector<Verdict> verdicts = policy.verdicts();
    EXPECT_EQ(2u, verdicts.size());
    for (const Verdict &verdict : verdicts) {
        EXPECT_FALSE(verdict.good);
        EXPECT_EQ(nullptr, verdict.target);
        EXPECT_TRUE(verdict.same_result);
    }
    EXPECT_EQ(1, policy.forgotten());
    WFTaskFactory::count_by_name(release_);
    ASSERT_TRUE(first_over.wait());
    EXPECT_EQ(1, policy.count(true));
    EXPECT_EQ(2, policy.forgotten());
}

// A redirect is routed anew, with retry_times from 0, and one tracing for both.
TEST_F(NameService, RedirectIsRoutedAnew) {
    Policy policy({port()});
    Registered entry("hop.example", &policy);
    Call call;
    ASSERT_TRUE(call.run("http://hop.example/hop", 1, 0));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
    EXPECT_EQ("hop.example", call.body);
    EXPECT_EQ(std::vector<int>({0, 0}), policy.routed());
    EXPECT_TRUE(policy.one_tracing());
    EXPECT_EQ(0, policy.count(false));
    EXPECT_EQ(1, policy.forgotten());
}

// The policy hears of every attempt: of the one that was answered with a redirect too.
TEST_F(NameService, RedirectIsASuccessToo) {
    Policy policy({port()});
    Registered entry("told.example", &policy);
    Call call;
    ASSERT_TRUE(call.run("http://told.example/hop", 1, 0));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
    std::vector<Verdict> verdicts = policy.verdicts();
    ASSERT_EQ(2u, verdicts.size());
    for (const Verdict &verdict : verdicts) {
        EXPECT_TRUE(verdict.good);
        EXPECT_NE(nullptr, verdict.target);
        EXPECT_TRUE(verdict.same_result);
    }
}

// Retries and a redirect in one task: the tracing lives through all of it, and ends once, before
// the callback (row 73).
TEST_F(NameService, TracingEndsOnceBeforeTheCallback) {
    Policy policy({raw::refusing_port(), port(), raw::refusing_port(), port()});
    Registered entry("long.example", &policy);
    int at_callback = -1;
    Call call;
    ASSERT_TRUE(call.run("http://long.example/hop", 1, 1, [&](WFHttpTask *task) {
        task->set_callback([&](WFHttpTask *t) {
            call.note(t);
            at_callback = policy.forgotten();
        });
    }));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
    EXPECT_EQ("long.example", call.body);
    EXPECT_EQ(std::vector<int>({0, 1, 0, 1}), policy.routed());
    EXPECT_TRUE(policy.one_tracing());
    EXPECT_EQ(2, policy.count(false));
    EXPECT_EQ(1, at_callback);
    EXPECT_EQ(1, policy.forgotten());
}

// Answers with a fixed state, or says nothing.
class Refusal : public WFNSPolicy {
public:
    Refusal(int state, int error) : state_(state), error_(error) {}

    WFRouterTask *create_router_task(const WFNSParams *params,
                                     router_callback_t callback) override {
        routed++;
        params->tracing->data = &forgotten;
        params->tracing->deleter = [](void *data) { ++*static_cast<std::atomic<int> *>(data); };
        return new Router(
            [this](WFRouterTask *task) {
                if (state_ == WFT_STATE_UNDEFINED)
                    return;
                task->set_state(state_);
                task->set_error(error_);
            },
            std::move(callback));
    }

    void success(RouteManager::RouteResult *, WFNSTracing *, CommTarget *) override { succeeded++; }
    void failed(RouteManager::RouteResult *, WFNSTracing *, CommTarget *target) override {
        failures++;
        EXPECT_EQ(nullptr, target);
    }

    std::atomic<int> routed{0};
    std::atomic<int> succeeded{0};
    std::atomic<int> failures{0};
    std::atomic<int> forgotten{0};

private:
    int state_;
    int error_;
};

// A router that never sets its state: there is nowhere to go, and no use in trying again.
TEST(NameServicePolicy, SilentRouter) {
    Refusal policy(WFT_STATE_UNDEFINED, 0);
    Registered entry("silent.example", &policy);
    Call call;
    ASSERT_TRUE(call.run("http://silent.example/", 3, 3));
    EXPECT_EQ(WFT_STATE_TASK_ERROR, call.state);
    EXPECT_EQ(WFT_ERR_UPSTREAM_UNAVAILABLE, call.error);
    EXPECT_EQ(1, call.calls);
    EXPECT_TRUE(call.on_handler);
    EXPECT_FALSE(call.has_connection);
    EXPECT_EQ(1, policy.routed.load());
    EXPECT_EQ(0, policy.succeeded.load());
    EXPECT_EQ(0, policy.failures.load());
    EXPECT_EQ(1, policy.forgotten.load());
}

// What the router says is what the task says; DNS errors are not tried again (row 62).
TEST(NameServicePolicy, RouterError) {
    Refusal policy(WFT_STATE_DNS_ERROR, EAI_NONAME);
    Registered entry("unknown.example", &policy);
    Call call;
    ASSERT_TRUE(call.run("http://unknown.example/", 0, 3));
    EXPECT_EQ(WFT_STATE_DNS_ERROR, call.state);
    EXPECT_EQ(EAI_NONAME, call.error);
    EXPECT_TRUE(call.on_handler);
    EXPECT_EQ(1, policy.routed.load());
    EXPECT_EQ(0, policy.succeeded.load());
    EXPECT_EQ(1, policy.forgotten.load());
}

// Row 100: a DNS error is a failure of the attempt, and the policy is told, without a target.
TEST(NameServicePolicy, DnsErrorIsAFailure) {
    Refusal policy(WFT_STATE_DNS_ERROR, EAI_NONAME);
    Registered entry("told-unknown.example", &policy);
    Call call;
    ASSERT_TRUE(call.run("http://told-unknown.example/"));
    EXPECT_EQ(WFT_STATE_DNS_ERROR, call.state);
    EXPECT_EQ(0, policy.succeeded.load());
    EXPECT_EQ(1, policy.failures.load());
}

// As libraries do it: the policy writes host and port into the URI and lets the resolver find them.
class Rewriter : public Policy {
public:
    explicit Rewriter(std::vector<unsigned short> ports) : Policy({1}), ports_(std::move(ports)) {}

    WFRouterTask *create_router_task(const WFNSParams *params,
                                     router_callback_t callback) override {
        size_t n = static_cast<size_t>(asked_++);
        unsigned short port = ports_[n < ports_.size() ? n : ports_.size() - 1];
        free(params->uri.host);
        free(params->uri.port);
        params->uri.host = strdup("127.0.0.1");
        params->uri.port = strdup(std::to_string(port).c_str());
        struct EndpointParams endpoint = ENDPOINT_PARAMS_DEFAULT;
        return new WFResolverTask(params, 60, 60, &endpoint, std::move(callback));
    }

    int asked() { return asked_.load(); }

private:
    std::vector<unsigned short> ports_;
    std::atomic<int> asked_{0};
};

TEST_F(NameService, RewrittenUri) {
    Rewriter policy({port()});
    Registered entry("rewritten.example", &policy);
    Call call;
    ASSERT_TRUE(call.run("http://rewritten.example/"));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
    EXPECT_EQ("rewritten.example", call.body);
    EXPECT_EQ(1, policy.asked());
    EXPECT_EQ(1, policy.count(true));
}

// Row 62: the policy that was found by the name is asked again for a retry, though the URI carries
// an address since the first attempt.
TEST_F(NameService, RewrittenUriIsRoutedAgain) {
    Rewriter policy({raw::refusing_port(), port()});
    Registered entry("rewritten-again.example", &policy);
    Call call;
    ASSERT_TRUE(call.run("http://rewritten-again.example/", 0, 1));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state) << call.error;
    EXPECT_EQ("rewritten-again.example", call.body);
    EXPECT_EQ(2, policy.asked());
    EXPECT_EQ(1, policy.count(false));
    EXPECT_EQ(1, policy.count(true));
}

// The names: any case of letters, the host alone, one policy each; unknown ones are the default's.
TEST_F(NameService, Names) {
    WFNameService *names = WFGlobal::get_name_service();
    Policy policy({port()});
    Policy other({port()});
    WFNSPolicy *usual = names->get_default_policy();
    EXPECT_EQ(usual, names->get_policy("mixed.example"));
    ASSERT_EQ(0, names->add_policy("Mixed.Example", &policy));
    EXPECT_EQ(-1, names->add_policy("mixed.EXAMPLE", &other));
    EXPECT_EQ(EEXIST, errno);
    EXPECT_EQ(&policy, names->get_policy("mixed.example"));
    Call call;
    ASSERT_TRUE(call.run("http://mIXED.example:1234/path?query"));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
    EXPECT_EQ(1, policy.count(true));
    EXPECT_EQ(&policy, names->del_policy("MIXED.example"));
    EXPECT_EQ(nullptr, names->del_policy("MIXED.example"));
    EXPECT_EQ(usual, names->get_policy("mixed.example"));
}

// The default policy may be another one: it routes all names that have none of their own.
TEST_F(NameService, DefaultPolicy) {
    WFNameService *names = WFGlobal::get_name_service();
    WFNSPolicy *usual = names->get_default_policy();
    Policy policy({port()});
    names->set_default_policy(&policy);
    Call call;
    ASSERT_TRUE(call.run("http://whatever.example/"));
    names->set_default_policy(usual);
    EXPECT_EQ("whatever.example", call.body);
    EXPECT_EQ(1, policy.count(true));
}

// coke's way to see that a connection is a new one: it marks the target that the task used.
TEST_F(NameService, MarkOnATarget) {
    Policy policy({port()});
    Registered entry("mark.example", &policy);
    for (int i = 0; i < 2; i++) {
        Call call;
        ASSERT_TRUE(call.run("http://mark.example/"));
        CommTarget *used = policy.verdicts().back().target;
        RouteManager::RouteTarget *target = dynamic_cast<RouteManager::RouteTarget *>(used);
        ASSERT_NE(nullptr, target);
        EXPECT_EQ(i, target->state);
        target->state++;
    }
}

} // namespace
