// Weft - compat: DNS cache, route manager and targets by their public names
// SPDX-License-Identifier: Apache-2.0
//
// DnsCache.h and RouteManager.h as programs use them; rows 63 and 112 of the behaviour table.

#include <errno.h>
#include <netdb.h>
#include <stdint.h>

#include <gtest/gtest.h>

#include "workflow/DnsCache.h"
#include "workflow/RouteManager.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFHttpServer.h"

#include "http_call.h"
#include "support.h"

using compat::Call;
using compat::Event;
using compat::port_of;

namespace {

// The answer is the Host header of the request.
class NameTables : public ::testing::Test {
protected:
    NameTables() : server_(&NameTables::serve) {}
    void SetUp() override { ASSERT_EQ(0, server_.start("127.0.0.1", 0)); }
    void TearDown() override { server_.stop(); }

    unsigned short port() { return port_of(server_); }

    static void serve(WFHttpTask *task) {
        protocol::HttpHeaderMap headers(task->get_req());
        task->get_resp()->append_output_body(headers.get("Host"));
    }

    WFHttpServer server_;
};

struct addrinfo *lookup(const std::string &ip, unsigned short port) {
    struct addrinfo hints = {};
    struct addrinfo *list = nullptr;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    EXPECT_EQ(0, getaddrinfo(ip.c_str(), std::to_string(port).c_str(), &hints, &list));
    return list;
}

// What a program puts into the DNS cache is where its tasks go.
TEST_F(NameTables, CachedNameIsUsed) {
    DnsCache *cache = WFGlobal::get_dns_cache();
    const std::string name = "cached-name.invalid";
    EXPECT_EQ(nullptr, cache->get_ttl(name, port()));
    const DnsCache::DnsHandle *handle =
        cache->put(name, port(), lookup("127.0.0.1", port()), 3600, 60);
    ASSERT_NE(nullptr, handle);
    cache->release(handle);
    std::string url = "http://" + name + ":" + std::to_string(port()) + "/";
    Call call;
    ASSERT_TRUE(call.run(url));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
    EXPECT_EQ(name + ":" + std::to_string(port()), call.body);
    cache->del(name, port());
    Call gone;
    ASSERT_TRUE(gone.run(url));
    EXPECT_EQ(WFT_STATE_DNS_ERROR, gone.state);
}

// The three forms of a key are one key; a handle keeps its value when the entry is gone.
TEST(DnsCacheByName, KeysAndHandles) {
    DnsCache cache;
    DnsCache::HostPort key("a.example", 80);
    cache.release(cache.put(key, lookup("10.0.0.1", 80), 3600, 60));
    const DnsCache::DnsHandle *all[] = {
        cache.get_ttl(key),
        cache.get_ttl(std::string("a.example"), 80),
        cache.get_ttl("a.example", 80),
        cache.get_confident(key),
        cache.get_confident(std::string("a.example"), 80),
        cache.get_confident("a.example", 80),
        cache.get(key, GET_TYPE_TTL),
        cache.get(std::string("a.example"), 80, GET_TYPE_CONFIDENT),
        cache.get("a.example", 80, GET_TYPE_TTL),
    };
    EXPECT_EQ(nullptr, cache.get_ttl("a.example", 81));
    EXPECT_EQ(nullptr, cache.get_ttl("b.example", 80));
    cache.del(key);
    EXPECT_EQ(nullptr, cache.get_ttl(key));
    EXPECT_EQ(nullptr, cache.get_confident("a.example", 80));
    for (const DnsCache::DnsHandle *handle : all) {
        ASSERT_NE(nullptr, handle);
        const DnsCacheValue &value = handle->value;
        ASSERT_NE(nullptr, value.addrinfo);
        struct sockaddr_in *addr = reinterpret_cast<struct sockaddr_in *>(value.addrinfo->ai_addr);
        EXPECT_EQ(0x0A000001u, ntohl(addr->sin_addr.s_addr));
        EXPECT_EQ(80, ntohs(addr->sin_port));
        EXPECT_FALSE(value.delayed());
        cache.release(handle);
    }
}

// ttl_default counts for first tries, ttl_min for retries; (unsigned)-1 is for ever. The two times
// are apart by the difference.
TEST(DnsCacheByName, Times) {
    DnsCache cache;
    const DnsCache::DnsHandle *handle = cache.put("t.example", 80, lookup("10.0.0.1", 80), 600, 60);
    EXPECT_EQ(540, handle->value.expire_time - handle->value.confident_time);
    cache.release(handle);
    const unsigned forever = static_cast<unsigned>(-1);
    cache.release(cache.put("f.example", 80, lookup("10.0.0.2", 80), forever, forever));
    handle = cache.get_confident("f.example", 80);
    ASSERT_NE(nullptr, handle);
    EXPECT_FALSE(handle->value.delayed());
    EXPECT_GT(handle->value.confident_time, static_cast<int64_t>(forever));
    cache.release(handle);
    cache.del(std::string("f.example"), 80);
    EXPECT_EQ(nullptr, cache.get_ttl("f.example", 80));
}

// A target of the program's own, without a manager: a client task may be made for it.
TEST_F(NameTables, OwnRouteTarget) {
    typedef WFClientTask<protocol::HttpRequest, protocol::HttpResponse> PlainTask;
    RouteManager::RouteTarget target;
    struct addrinfo *list = lookup("127.0.0.1", port());
    EXPECT_EQ(-1, target.init(list->ai_addr, list->ai_addrlen, NULL, 1000, 1000, 1000, 0));
    EXPECT_EQ(EINVAL, errno);
    ASSERT_EQ(0, target.init(list->ai_addr, list->ai_addrlen, NULL, 10000, 10000, 10000, 7));
    freeaddrinfo(list);
    EXPECT_EQ(7u, target.get_max_load());
    EXPECT_EQ(0u, target.get_cur_load());
    EXPECT_EQ(0, target.state);
    Call call;
    size_t load = 0;
    Event over;
    PlainTask *task =
        new PlainTask(&target, WFGlobal::get_scheduler(), [&](WFHttpTask *t) { call.note(t); });
    task->get_req()->set_method("GET");
    task->get_req()->set_request_uri("/");
    task->get_req()->set_http_version("HTTP/1.1");
    task->get_req()->add_header_pair("Host", "own");
    task->set_prepare([&](WFHttpTask *) { load = target.get_cur_load(); });
    Workflow::start_series_work(task, [&](const SeriesWork *) { over.set(); });
    ASSERT_TRUE(over.wait());
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
    EXPECT_EQ("own", call.body);
    EXPECT_TRUE(call.has_connection);
    EXPECT_EQ(1u, load);
    EXPECT_EQ(0u, target.get_cur_load());
    target.deinit();
}

// The manager gives the same object for the same place, and the results outlive the call.
TEST_F(NameTables, RouteResults) {
    RouteManager *manager = WFGlobal::get_route_manager();
    RouteManager::RouteResult result;
    EXPECT_EQ(nullptr, result.cookie);
    EXPECT_EQ(nullptr, result.request_object);
    struct addrinfo *list = lookup("127.0.0.1", port());
    const struct EndpointParams params = ENDPOINT_PARAMS_DEFAULT;
    const std::string info = "results";
    ASSERT_EQ(0, manager->get(TT_TCP, list, info, &params, "", NULL, result));
    EXPECT_NE(nullptr, result.cookie);
    ASSERT_NE(nullptr, result.request_object);
    EXPECT_EQ(200u, result.request_object->get_max_load());
    RouteManager::RouteResult again;
    ASSERT_EQ(0, manager->get(TT_TCP, list, info, &params, "", NULL, again));
    EXPECT_EQ(result.request_object, again.request_object);
    freeaddrinfo(list);
    // A single address is never left alone.
    RouteManager::RouteTarget *target =
        dynamic_cast<RouteManager::RouteTarget *>(result.request_object);
    ASSERT_NE(nullptr, target);
    RouteManager::notify_unavailable(result.cookie, target);
    RouteManager::notify_unavailable(result.cookie, NULL);
    EXPECT_EQ(200u, result.request_object->get_max_load());
    RouteManager::notify_available(result.cookie, target);
    result.clear();
    EXPECT_EQ(nullptr, result.cookie);
    EXPECT_EQ(nullptr, result.request_object);
}

} // namespace
