// Weft - tests of WFResolverTask: the order in which a name is resolved, and who asks whom
// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <thread>
#include <vector>

#include "unit/nameservice/ns_engine.h"
#include "workflow/WFTask.h"
#include "workflow/WFTaskError.h"

namespace {

class ResolverTest : public NsTest {
protected:
    // The result of a task that must end before start() returns.
    Results::One resolve_here(WFRouterTask *task) {
        size_t before = results.count();
        task->start();
        EXPECT_EQ(results.count(), before + 1) << "it went elsewhere";
        return results.wait_for(before + 1).at(before);
    }

    EndpointParams endpoint(int family) {
        EndpointParams params = ENDPOINT_PARAMS_DEFAULT;
        params.address_family = family;
        return params;
    }
};

} // namespace

TEST_F(ResolverTest, LiteralsResolveInPlaceAndForEver) {
    const char *hosts[][2] = {
        {"127.0.0.1", "127.0.0.1:80"}, {"::1", "[::1]:80"}, {"/tmp/weft.sock", "/tmp/weft.sock"}};
    for (int round = 0; round < 2; round++) {
        for (auto &[host, address] : hosts) {
            Results::One one = resolve_here(task(host, "80"));
            EXPECT_EQ(one.state, WFT_STATE_SUCCESS);
            EXPECT_EQ(address_of(one.route), address);
        }
        clock.advance(int64_t{365} * 86400);
    }
    const DnsCache::DnsHandle *handle = engine->cache.get_ttl("127.0.0.1", 80);
    ASSERT_NE(handle, nullptr);
    engine->cache.release(handle);
    EXPECT_EQ(lookup.asked(), 0u);
}

// A task may ask for addresses of one family of a name; a literal address is no name.
TEST_F(ResolverTest, LiteralsKeepTheirFamily) {
    EndpointParams six = endpoint(AF_INET6);
    Results::One one = resolve_here(task("127.0.0.1", "80", 0, &six));
    EXPECT_EQ(one.state, WFT_STATE_SUCCESS);
    EXPECT_EQ(address_of(one.route), "127.0.0.1:80");
}

// behaviours row 60
TEST_F(ResolverTest, NonsenseIsAnError) {
    for (const char *port : {"65536", "99999999999999999999", "-1", "http"}) {
        Results::One one = resolve_here(task("127.0.0.1", port));
        EXPECT_EQ(one.state, WFT_STATE_TASK_ERROR) << port;
        EXPECT_EQ(one.error, WFT_ERR_URI_PORT_INVALID) << port;
    }
    std::string path = "/" + std::string(200, 'x');
    for (const char *host : {static_cast<const char *>(nullptr), "", path.c_str()}) {
        Results::One one = resolve_here(task(host, "80"));
        EXPECT_EQ(one.state, WFT_STATE_DNS_ERROR);
        EXPECT_EQ(one.error, EAI_NONAME);
    }
    EndpointParams none = ENDPOINT_PARAMS_DEFAULT;
    none.max_connections = 0;
    Results::One one = resolve_here(task("127.0.0.1", nullptr, 0, &none));
    EXPECT_EQ(one.state, WFT_STATE_SYS_ERROR);
    EXPECT_EQ(one.error, EINVAL);
    EXPECT_EQ(resolve_here(task("127.0.0.1", nullptr)).state, WFT_STATE_SUCCESS);
}

TEST_F(ResolverTest, HostsFileComesBeforeTheLookup) {
    std::string path = std::filesystem::temp_directory_path() / "weft-resolver-XXXXXX";
    int fd = mkstemp(path.data());
    ASSERT_GE(fd, 0);
    close(fd);
    std::ofstream(path) << "::1 here\n127.0.0.1 here\n10.0.0.1 there\n10.0.0.2 there\n";
    engine->settings.hosts_path = path.c_str();
    Results::One here = resolve_here(task("HERE", "8080"));
    EXPECT_EQ(here.state, WFT_STATE_SUCCESS);
    EXPECT_EQ(address_of(here.route), "127.0.0.1:8080") << "loopback keeps one family";
    EndpointParams six = endpoint(AF_INET6);
    EXPECT_EQ(address_of(resolve_here(task("here", "8080", 0, &six)).route), "[::1]:8080");
    Results::One there = resolve_here(task("there", "80"));
    EXPECT_EQ(there.route.request_object->get_max_load(), 400u) << "both addresses, as a group";
    EXPECT_EQ(lookup.asked(), 0u);
    std::filesystem::remove(path);
}

// behaviours row 112
TEST_F(ResolverTest, OneLookupAnswersAll) {
    for (int i = 0; i < 100; i++)
        task("a.example", "80")->start();
    EXPECT_EQ(results.count(), 0u);
    EXPECT_EQ(lookup.asked(), 1u);
    EXPECT_EQ(lookup.question(0), "a.example:80/any");
    lookup.answer("10.0.0.1");
    for (const Results::One &one : results.wait_for(100)) {
        EXPECT_EQ(one.state, WFT_STATE_SUCCESS);
        EXPECT_EQ(address_of(one.route), "10.0.0.1:80");
    }
    EXPECT_EQ(address_of(resolve_here(task("a.example", "80")).route), "10.0.0.1:80");
    EXPECT_EQ(lookup.asked(), 1u);
}

TEST_F(ResolverTest, QuestionsDifferByHostFamilyAndPort) {
    EndpointParams four = endpoint(AF_INET);
    EndpointParams six = endpoint(AF_INET6);
    task("a.example", "80")->start();
    task("a.example", "80", 0, &four)->start();
    task("a.example", "80", 0, &six)->start();
    task("a.example", "81")->start();
    task("b.example", "80")->start();
    ASSERT_EQ(lookup.asked(), 5u);
    EXPECT_EQ(lookup.question(1), "a.example:80/4");
    EXPECT_EQ(lookup.question(2), "a.example:80/6");
    for (int i = 0; i < 5; i++)
        lookup.answer("10.0.0." + std::to_string(i));
    results.wait_for(5);
    EXPECT_EQ(address_of(resolve_here(task("a.example", "80", 0, &six)).route), "10.0.0.2:80");
    EXPECT_EQ(address_of(resolve_here(task("a.example", "81")).route), "10.0.0.3:81");
}

// behaviours rows 63 and 112
TEST_F(ResolverTest, FailureIsToldToAllAndNotKept) {
    for (int i = 0; i < 1000; i++)
        task("no.example", "80")->start();
    EXPECT_EQ(lookup.asked(), 1u);
    lookup.answer("");
    for (const Results::One &one : results.wait_for(1000)) {
        EXPECT_EQ(one.state, WFT_STATE_DNS_ERROR);
        EXPECT_EQ(one.error, EAI_NONAME);
        EXPECT_EQ(one.route.request_object, nullptr);
    }
    task("no.example", "80")->start();
    EXPECT_EQ(lookup.asked(), 2u);
    lookup.answer("10.0.0.1");
    EXPECT_EQ(results.wait_for(1001).back().state, WFT_STATE_SUCCESS);
}

TEST_F(ResolverTest, LookedUpLoopbackKeepsOneFamily) {
    task("a.example", "80")->start();
    lookup.answer(std::vector<std::string>{"::1", "127.0.0.1"});
    EXPECT_EQ(address_of(results.wait_for(1).at(0).route), "127.0.0.1:80");
}

// behaviours row 112
TEST_F(ResolverTest, ExpiredNameServesOthersMeanwhile) {
    task("a.example", "80")->start();
    lookup.answer("10.0.0.1");
    results.wait_for(1);
    clock.advance(3600);
    task("a.example", "80")->start();
    EXPECT_EQ(lookup.asked(), 2u);
    EXPECT_EQ(address_of(resolve_here(task("a.example", "80")).route), "10.0.0.1:80");
    lookup.answer("10.0.0.2");
    results.wait_for(3);
    EXPECT_EQ(address_of(resolve_here(task("a.example", "80")).route), "10.0.0.2:80");
}

// behaviours row 62
TEST_F(ResolverTest, RetriesTrustTheCacheForLess) {
    task("a.example", "80")->start();
    lookup.answer("10.0.0.1");
    results.wait_for(1);
    clock.advance(59);
    EXPECT_EQ(resolve_here(task("a.example", "80", 1)).state, WFT_STATE_SUCCESS);
    clock.advance(1);
    EXPECT_EQ(resolve_here(task("a.example", "80", 0)).state, WFT_STATE_SUCCESS);
    task("a.example", "80", 1)->start();
    EXPECT_EQ(lookup.asked(), 2u);
    lookup.answer("10.0.0.2");
    EXPECT_EQ(address_of(results.wait_for(4).back().route), "10.0.0.2:80");
}

TEST_F(ResolverTest, FixedAddressAndConnection) {
    engine->cache.release(
        engine->cache.put("a.example", 80, make_list({"10.0.0.1", "10.0.0.2"}, 80), 10, 10));
    WFNSParams *ns = params("a.example", "80");
    ns->fixed_addr = true;
    Results::One one = resolve_here(engine->resolver.create_router_task(ns, results.callback()));
    EXPECT_EQ(address_of(one.route), "10.0.0.1:80");
    EXPECT_EQ(one.route.request_object->get_max_load(), 200u);
    ns->fixed_conn = true;
    one = resolve_here(engine->resolver.create_router_task(ns, results.callback()));
    EXPECT_EQ(address_of(one.route), "10.0.0.1:80");
    EXPECT_EQ(one.route.request_object->get_max_load(), 1u);
}

namespace {

// As programs subclass it: the second constructor, and the parameters set later.
class OwnTask : public WFResolverTask {
public:
    OwnTask(const WFNSParams *ns, router_callback_t &&cb) : WFResolverTask(ns, std::move(cb)) {}
    static int ended;

protected:
    void dispatch() override {
        this->dns_ttl_default_ = 10;
        this->dns_ttl_min_ = 5;
        this->ep_params_ = ENDPOINT_PARAMS_DEFAULT;
        this->ep_params_.max_connections = 7;
        free(this->ns_params_.uri.port);
        this->ns_params_.uri.port = strdup("8080");
        this->WFResolverTask::dispatch();
    }
    SubTask *done() override {
        ended++;
        return this->WFResolverTask::done();
    }
};

int OwnTask::ended;

} // namespace

TEST_F(ResolverTest, MayBeSubclassed) {
    OwnTask::ended = 0;
    (new OwnTask(params("a.example", "80"), results.callback()))->start();
    lookup.answer("10.0.0.1");
    Results::One one = results.wait_for(1).at(0);
    EXPECT_EQ(address_of(one.route), "10.0.0.1:8080");
    EXPECT_EQ(one.route.request_object->get_max_load(), 7u);
    EXPECT_EQ(OwnTask::ended, 1);
    clock.advance(10);
    (new OwnTask(params("a.example", "80"), results.callback()))->start();
    EXPECT_EQ(lookup.asked(), 2u) << "the task's own ttl";
    lookup.answer("10.0.0.1");
    results.wait_for(2);
}

// behaviours row 8
TEST_F(ResolverTest, MayBeDismissed) {
    task("a.example", "80")->dismiss();
    EXPECT_EQ(lookup.asked(), 0u);
    EXPECT_EQ(results.count(), 0u);
}

TEST_F(ResolverTest, PolicyTellsTheRoutes) {
    WFNSPolicy *policy = &engine->resolver;
    engine->cache.release(
        engine->cache.put("a.example", 80, make_list({"10.0.0.1", "10.0.0.2"}, 80), 10, 10));
    Results::One one = resolve_here(task("a.example", "80"));
    policy->failed(&one.route, nullptr, nullptr);
    policy->success(&one.route, nullptr, nullptr);
    EXPECT_EQ(one.route.request_object->get_max_load(), 400u);
}

// Many threads ask for a few names whose answers hold for no time, while others answer.
TEST_F(ResolverTest, ThreadsAskAndAnswer) {
    engine->settings.dns_ttl_default = 0;
    constexpr size_t EACH = 300;
    std::vector<std::thread> threads;
    std::vector<WFRouterTask *> tasks;
    for (size_t i = 0; i < 4 * EACH; i++)
        tasks.push_back(task(("h" + std::to_string(i % 3) + ".example").c_str(), "80", i % 2));
    for (size_t t = 0; t < 4; t++) {
        threads.emplace_back([&, t] {
            for (size_t i = 0; i < EACH; i++)
                tasks[t * EACH + i]->start();
        });
    }
    threads.emplace_back([&] {
        // A question more than the tasks need ends the loop.
        for (int i = 0; results.count() < 4 * EACH; i++) {
            lookup.wait_for(static_cast<size_t>(i) + 1);
            if (results.count() < 4 * EACH)
                lookup.answer(i % 3 ? "10.0.0.1" : "");
        }
    });
    results.wait_for(4 * EACH);
    task("last.example", "80")->start();
    threads.back().join();
    threads.pop_back();
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(results.count(), 4 * EACH);
}
