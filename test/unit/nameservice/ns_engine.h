// Weft - a small engine for the tests of the room nameservice, in place of the room engine
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_TEST_NS_ENGINE_H
#define WEFT_TEST_NS_ENGINE_H

#include <condition_variable>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "nameservice/lookup.h"
#include "workflow/CommScheduler.h"
#include "workflow/DnsCache.h"
#include "workflow/Executor.h"
#include "workflow/RouteManager.h"
#include "workflow/WFDnsResolver.h"
#include "workflow/detail/settings.h"

// What detail/runtime.h answers while a test runs.
struct NsEngine {
    NsEngine();
    ~NsEngine() { this->end(); }

    // In the order of the real one. May be called once before the destructor.
    void end();

    WFGlobalSettings settings;
    CommScheduler scheduler;
    Executor dns_executor;
    ExecQueue dns_queue;
    RouteManager routes;
    DnsCache cache;
    WFDnsResolver resolver;
    WFNameService names;
    bool ended = false;
};

// Sets the clock of the room, in seconds from now on; the destructor restores the real one.
class FakeClock {
public:
    FakeClock();
    ~FakeClock();
    void advance_ms(int64_t ms);
    void advance(int64_t seconds) { this->advance_ms(seconds * 1000); }
};

// A look-up that the test answers.
class FakeLookup : public wf::detail::Lookup {
public:
    void start(const wf::detail::LookupQuestion &question, wf::detail::LookupSink *sink) override;

    // Waits until `n` questions were asked in all.
    void wait_for(size_t n);
    size_t asked();
    // The i-th question, as "host:port/family".
    std::string question(size_t i);
    // Answers the oldest open question; "" is a failure with EAI_NONAME.
    void answer(const std::string &ip) { this->answer(std::vector<std::string>(!ip.empty(), ip)); }
    void answer(const std::vector<std::string> &ips);
    // Lets every open question fail.
    void answer_rest();

private:
    bool has_open();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> questions_;
    std::vector<std::pair<wf::detail::LookupSink *, unsigned short>> open_;
};

// Results of tasks, in the order of their callbacks.
class Results {
public:
    struct One {
        int state;
        int error;
        RouteManager::RouteResult route;
    };

    router_callback_t callback();
    // Waits until there are n.
    std::vector<One> wait_for(size_t n);
    size_t count();

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<One> all_;
};

class NsTest : public testing::Test {
protected:
    NsTest() : engine(new NsEngine) { engine->resolver.set_lookup(&lookup); }
    ~NsTest() override {
        lookup.answer_rest();
        engine->end();
    }

    // A task for that place; the parameters live as long as the test.
    WFRouterTask *task(const char *host, const char *port, int retry_times = 0,
                       const struct EndpointParams *endpoint = nullptr);
    WFNSParams *params(const char *host, const char *port);

    FakeClock clock;
    FakeLookup lookup;
    Results results;
    std::unique_ptr<NsEngine> engine;

private:
    std::vector<std::unique_ptr<ParsedURI>> uris_;
    std::vector<std::unique_ptr<WFNSParams>> params_;
};

// The address a result leads to, as "ip:port" or the path of a unix socket; only for results with
// one address.
std::string address_of(const RouteManager::RouteResult &route);

// A list of one node that the caller frees with address_list_free().
struct addrinfo *make_list(const std::vector<std::string> &ips, unsigned short port);

// How often operator new was called on the calling thread.
size_t allocations_of_this_thread();

#endif
