// Weft - tests of RouteManager: which requests share a target
// SPDX-License-Identifier: Apache-2.0
#include "workflow/RouteManager.h"

#include <algorithm>
#include <atomic>
#include <errno.h>
#include <gtest/gtest.h>
#include <memory>
#include <netinet/in.h>
#include <string.h>
#include <string>
#include <thread>
#include <vector>

#include "nameservice/address_list.h"
#include "nameservice/route_entry.h"
#include "unit/nameservice/ns_engine.h"
#include "workflow/wf/tls.h"

namespace {

// A list of addresses, freed at the end.
class List {
public:
    explicit List(const std::vector<std::string> &ips, unsigned short port = 80)
        : list_(make_list(ips, port)) {}
    List(const List &) = delete;
    List &operator=(const List &) = delete;
    ~List() { wf::detail::address_list_free(list_); }
    struct addrinfo *get() const {
        return list_;
    }

private:
    struct addrinfo *list_;
};

class RouteManagerTest : public testing::Test {
protected:
    CommSchedObject *get(const struct addrinfo *list) {
        RouteManager::RouteResult result;
        int ret = manager.get(type, list, info, &params, host, ssl_ctx, result);
        EXPECT_EQ(ret == 0, result.request_object != nullptr);
        EXPECT_EQ(ret == 0, result.cookie != nullptr);
        return result.request_object;
    }

    RouteManager manager;
    enum TransportType type = TT_TCP;
    std::string info;
    EndpointParams params = ENDPOINT_PARAMS_DEFAULT;
    std::string host = "a.example";
    SSL_CTX *ssl_ctx = nullptr;
};

} // namespace

TEST_F(RouteManagerTest, SamePlaceSameTarget) {
    List list({"10.0.0.1"});
    List again({"10.0.0.1"});
    CommSchedObject *object = get(list.get());
    ASSERT_NE(object, nullptr);
    EXPECT_EQ(object->get_max_load(), params.max_connections);
    EXPECT_EQ(get(again.get()), object);
    host = "b.example"; // without TLS the name does not matter
    EXPECT_EQ(get(again.get()), object);
    auto *target = dynamic_cast<RouteManager::RouteTarget *>(object);
    ASSERT_NE(target, nullptr);
    EXPECT_EQ(target->state, 0);
}

TEST_F(RouteManagerTest, EachPartOfTheKeyCounts) {
    List list({"10.0.0.1"});
    List port({"10.0.0.1"}, 81);
    List other({"10.0.0.2"});
    std::vector<CommSchedObject *> seen = {get(list.get()), get(port.get()), get(other.get())};
    auto with = [&](auto &field, auto value) {
        std::swap(field, value);
        seen.push_back(get(list.get()));
        std::swap(field, value);
    };
    with(info, std::string("info"));
    with(type, TT_UDP);
    with(type, TT_SCTP);
    with(params.max_connections, size_t{1});
    with(params.connect_timeout, 1);
    with(params.response_timeout, 1);
    with(params.address_family, AF_INET);
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(std::count(seen.begin(), seen.end(), nullptr), 0);
    EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
    // Only TLS knows this one.
    CommSchedObject *plain = get(list.get());
    params.ssl_connect_timeout = 1;
    EXPECT_EQ(get(list.get()), plain);
}

TEST_F(RouteManagerTest, AddressesAreASet) {
    List list({"10.0.0.1", "10.0.0.2", "::1"});
    List turned({"::1", "10.0.0.2", "10.0.0.1"});
    List fewer({"10.0.0.1", "10.0.0.2"});
    CommSchedObject *group = get(list.get());
    ASSERT_NE(group, nullptr);
    EXPECT_EQ(group->get_max_load(), 3 * params.max_connections);
    EXPECT_EQ(get(turned.get()), group);
    EXPECT_NE(get(fewer.get()), group);

    List again({"10.0.0.1"});
    turned.get()->ai_next->ai_next->ai_next = again.get();
    EXPECT_EQ(get(turned.get()), group) << "a repetition adds nothing";
    turned.get()->ai_next->ai_next->ai_next = nullptr;
}

TEST_F(RouteManagerTest, ManyAddressesAreASetToo) {
    std::vector<std::string> ips;
    for (int i = 0; i < 200; i++)
        ips.push_back("10.1.0." + std::to_string(i));
    List list(ips);
    std::reverse(ips.begin(), ips.end());
    List turned(ips);
    ips.pop_back();
    List fewer(ips);
    CommSchedObject *group = get(list.get());
    EXPECT_EQ(get(turned.get()), group);
    EXPECT_NE(get(fewer.get()), group);
}

TEST_F(RouteManagerTest, PaddingIsNotPartOfAnAddress) {
    List list({"10.0.0.1"});
    List dirty({"10.0.0.1"});
    auto *in = reinterpret_cast<struct sockaddr_in *>(dirty.get()->ai_addr);
    memset(in->sin_zero, 0x5a, sizeof in->sin_zero);
    EXPECT_EQ(get(list.get()), get(dirty.get()));
}

TEST_F(RouteManagerTest, BadCallsFail) {
    List list({"10.0.0.1", "10.0.0.2"});
    errno = 0;
    EXPECT_EQ(get(nullptr), nullptr);
    EXPECT_EQ(errno, EINVAL);
    params.max_connections = 0;
    errno = 0;
    EXPECT_EQ(get(list.get()), nullptr);
    EXPECT_EQ(errno, EINVAL);
}

TEST_F(RouteManagerTest, TlsWithoutAContextUsesTheOneOfTheProcess) {
    List list({"10.0.0.1"});
    type = TT_TCP_SSL;
    CommSchedObject *shared = get(list.get());
    EXPECT_NE(shared, nullptr);
    ssl_ctx = wf::tls_client_ctx();
    EXPECT_EQ(get(list.get()), shared);
    ssl_ctx = wf::tls_unverified_ctx();
    EXPECT_NE(get(list.get()), shared);
}

TEST_F(RouteManagerTest, TlsIsApartByNameAndContext) {
    List list({"10.0.0.1"});
    SSL_CTX *contexts[2] = {SSL_CTX_new(TLS_client_method()), SSL_CTX_new(TLS_client_method())};
    type = TT_TCP_SSL;
    ssl_ctx = contexts[0];
    CommSchedObject *object = get(list.get());
    ASSERT_NE(object, nullptr);
    EXPECT_EQ(get(list.get()), object);
    host = "b.example";
    EXPECT_NE(get(list.get()), object);
    host = "a.example";
    params.ssl_connect_timeout = 1;
    EXPECT_NE(get(list.get()), object);
    params = ENDPOINT_PARAMS_DEFAULT;
    ssl_ctx = contexts[1];
    EXPECT_NE(get(list.get()), object);
    ssl_ctx = contexts[0];
    EXPECT_EQ(get(list.get()), object);
    type = TT_SCTP_SSL;
    EXPECT_NE(get(list.get()), object);
    // The targets hold references of their own; a leak checker sees whether all are given back.
    for (SSL_CTX *context : contexts)
        SSL_CTX_free(context);
    ssl_ctx = contexts[0];
    type = TT_TCP_SSL;
    EXPECT_EQ(get(list.get()), object);
}

// The table compares hashes first, so the comparison behind it is asked directly.
TEST_F(RouteManagerTest, EqualHashesAreNotEnough) {
    List list({"10.0.0.1", "10.0.0.2"});
    List fewer({"10.0.0.1"});
    List more({"10.0.0.1", "10.0.0.2", "10.0.0.3"});
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    using wf::detail::RouteKey;
    const RouteKey key{TT_TCP_SSL, list.get(), &params, "info", "host", context};
    std::unique_ptr<wf::detail::RouteEntry> entry = wf::detail::RouteEntry::create(key);
    ASSERT_NE(entry, nullptr);
    EXPECT_TRUE(entry->matches(key));
    EndpointParams others[5] = {params, params, params, params, params};
    others[0].address_family = AF_INET6;
    others[1].max_connections = 1;
    others[2].connect_timeout = 1;
    others[3].response_timeout = 1;
    others[4].ssl_connect_timeout = 1;
    for (const EndpointParams &other : others)
        EXPECT_FALSE(entry->matches({key.type, list.get(), &other, "info", "host", context}));
    EXPECT_FALSE(entry->matches({TT_TCP, list.get(), &params, "info", "host", context}));
    EXPECT_FALSE(entry->matches({key.type, fewer.get(), &params, "info", "host", context}));
    EXPECT_FALSE(entry->matches({key.type, more.get(), &params, "info", "host", context}));
    EXPECT_FALSE(entry->matches({key.type, list.get(), &params, "", "host", context}));
    EXPECT_FALSE(entry->matches({key.type, list.get(), &params, "info", "", context}));
    EXPECT_FALSE(entry->matches({key.type, list.get(), &params, "info", "host", nullptr}));
    SSL_CTX_free(context);
}

TEST_F(RouteManagerTest, GrowsAndFindsEverything) {
    std::vector<CommSchedObject *> objects;
    List list({"10.0.0.1"});
    for (int i = 0; i < 2000; i++) {
        info = std::to_string(i);
        objects.push_back(get(list.get()));
    }
    for (int i = 0; i < 2000; i++) {
        info = std::to_string(i);
        EXPECT_EQ(get(list.get()), objects[static_cast<size_t>(i)]);
    }
    manager.clear();
    EXPECT_NE(get(list.get()), nullptr);
}

TEST_F(RouteManagerTest, KnownKeyAllocatesNothing) {
    List list({"10.0.0.1", "10.0.0.2", "10.0.0.3"});
    RouteManager::RouteResult result;
    auto look = [&] {
        return manager.get(type, list.get(), "an info string of more than a few bytes", &params,
                           "a-long-host-name.example.com", nullptr, result);
    };
    ASSERT_EQ(look(), 0);
    size_t before = allocations_of_this_thread();
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(look(), 0);
    EXPECT_EQ(allocations_of_this_thread(), before);
}

TEST_F(RouteManagerTest, ThreadsAgree) {
    constexpr size_t KEYS = 300;
    List list({"10.0.0.1", "10.0.0.2"});
    std::vector<std::vector<CommSchedObject *>> seen(4, std::vector<CommSchedObject *>(KEYS));
    std::vector<std::thread> threads;
    for (size_t t = 0; t < seen.size(); t++) {
        threads.emplace_back([&, t] {
            for (size_t i = 0; i < KEYS; i++) {
                size_t key = t % 2 ? i : KEYS - 1 - i;
                RouteManager::RouteResult result;
                std::string text = std::to_string(key);
                if (manager.get(type, list.get(), text, &params, host, nullptr, result) == 0)
                    seen[t][key] = result.request_object;
            }
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    for (const std::vector<CommSchedObject *> &one : seen)
        EXPECT_EQ(one, seen[0]);
    EXPECT_EQ(std::count(seen[0].begin(), seen[0].end(), nullptr), 0);
}
