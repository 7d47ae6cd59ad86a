// Weft - tests of DnsCache: how long entries hold, and who resolves them again
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <gtest/gtest.h>
#include <string>
#include <thread>
#include <vector>

#include "nameservice/dns_table.h"
#include "unit/nameservice/ns_engine.h"

namespace {

constexpr unsigned FOR_EVER = static_cast<unsigned>(-1);

class DnsCacheTest : public testing::Test {
protected:
    void put(const char *host, unsigned ttl_default, unsigned ttl_min,
             const char *ip = "10.0.0.1") {
        cache.release(cache.put(host, 80, make_list({ip}, 80), ttl_default, ttl_min));
    }

    bool has(const char *host, int type) {
        const DnsCache::DnsHandle *handle = cache.get(host, 80, type);
        if (handle)
            cache.release(handle);
        return handle != nullptr;
    }
    bool has_ttl(const char *host) { return this->has(host, GET_TYPE_TTL); }
    bool has_confident(const char *host) { return this->has(host, GET_TYPE_CONFIDENT); }

    FakeClock clock;
    DnsCache cache;
};

} // namespace

TEST_F(DnsCacheTest, AllFormsOfTheKeyAreOne) {
    std::string host = "a.example";
    DnsCache::HostPort pair(host, 80);
    const DnsCache::DnsHandle *put = cache.put(pair, make_list({"10.0.0.1"}, 80), 10, 10);
    const DnsCache::DnsHandle *handles[] = {cache.get(pair, GET_TYPE_TTL),
                                            cache.get_ttl(pair),
                                            cache.get_ttl(host, 80),
                                            cache.get_ttl("a.example", 80),
                                            cache.get_confident(pair),
                                            cache.get_confident(host, 80),
                                            cache.get_confident("a.example", 80)};
    for (const DnsCache::DnsHandle *handle : handles) {
        EXPECT_EQ(handle, put);
        cache.release(handle);
    }
    cache.release(put);
    EXPECT_EQ(cache.get_ttl(host, 81), nullptr);
    EXPECT_EQ(cache.get_ttl("b.example", 80), nullptr);
    EXPECT_EQ(cache.get_ttl(static_cast<const char *>(nullptr), 80), nullptr);
    cache.del(pair);
    EXPECT_FALSE(has_ttl("a.example"));
}

// behaviours row 112
TEST_F(DnsCacheTest, LevelsExpireOneAfterTheOther) {
    put("a", 100, 10);
    clock.advance(9);
    EXPECT_TRUE(has_confident("a"));
    clock.advance(1);
    EXPECT_FALSE(has_confident("a"));
    EXPECT_TRUE(has_ttl("a"));
    clock.advance(89);
    EXPECT_TRUE(has_ttl("a"));
    clock.advance(1);
    EXPECT_FALSE(has_ttl("a"));
}

// behaviours row 112
TEST_F(DnsCacheTest, ExpiredEntryIsExtendedOnceForTheOthers) {
    put("a", 10, 10);
    clock.advance(10);
    EXPECT_FALSE(has_ttl("a")) << "the first is to resolve it";
    const DnsCache::DnsHandle *stale = cache.get_ttl("a", 80);
    ASSERT_NE(stale, nullptr);
    EXPECT_TRUE(stale->value.delayed());
    cache.release(stale);
    clock.advance_ms(4999);
    EXPECT_TRUE(has_ttl("a"));
    clock.advance_ms(1);
    EXPECT_FALSE(has_ttl("a")) << "five seconds and no more";
    EXPECT_FALSE(has_ttl("a"));
    put("a", 10, 10);
    EXPECT_TRUE(has_ttl("a"));
    clock.advance(10);
    EXPECT_FALSE(has_ttl("a"));
    EXPECT_TRUE(has_ttl("a"));
}

// behaviours row 112
TEST_F(DnsCacheTest, MinusOneNeverExpires) {
    put("a", FOR_EVER, FOR_EVER);
    clock.advance(int64_t{100} * 365 * 86400);
    EXPECT_TRUE(has_ttl("a"));
    EXPECT_TRUE(has_confident("a"));
}

TEST_F(DnsCacheTest, ConfidenceEndsWithTheEntry) {
    put("a", 5, 60);
    clock.advance(5);
    EXPECT_FALSE(has_confident("a"));
}

TEST_F(DnsCacheTest, HandleOutlivesItsEntry) {
    put("a", 10, 10, "10.0.0.1");
    const DnsCache::DnsHandle *old = cache.get_ttl("a", 80);
    ASSERT_NE(old, nullptr);
    put("a", 10, 10, "10.0.0.2");
    const DnsCache::DnsHandle *fresh = cache.get_ttl("a", 80);
    ASSERT_NE(fresh, nullptr);
    EXPECT_NE(old, fresh);
    cache.del("a", 80);
    EXPECT_EQ(old->value.addrinfo->ai_family, AF_INET);
    EXPECT_EQ(fresh->value.addrinfo->ai_family, AF_INET);
    cache.release(old);
    cache.release(fresh);
}

TEST_F(DnsCacheTest, ForgetsTheLongestUnused) {
    put("kept", FOR_EVER, FOR_EVER);
    put("left", FOR_EVER, FOR_EVER);
    for (int i = 0; i < 300000; i++) {
        put(("host" + std::to_string(i)).c_str(), FOR_EVER, FOR_EVER);
        if (i % 1000 == 0) {
            EXPECT_TRUE(has_ttl("kept"));
        }
    }
    EXPECT_TRUE(has_ttl("kept"));
    EXPECT_FALSE(has_ttl("left"));
}

TEST_F(DnsCacheTest, OneThreadOfManyResolvesAgain) {
    for (int round = 0; round < 50; round++) {
        put("a", 10, 10);
        clock.advance(10);
        std::atomic<int> missed{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; i++)
            threads.emplace_back([&] { missed += has_ttl("a") ? 0 : 1; });
        for (std::thread &thread : threads)
            thread.join();
        EXPECT_EQ(missed, 1);
    }
}

TEST_F(DnsCacheTest, ThreadsMayDoAnything) {
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 3000; i++) {
                std::string host = "h" + std::to_string((i + t) % 5);
                if (i % 7 == 0)
                    put(host.c_str(), 10, 5);
                if (i % 31 == 0)
                    cache.del(host, 80);
                if (i % 100 == 0)
                    clock.advance(1);
                const DnsCache::DnsHandle *handle = cache.get(host, 80, i % 2);
                if (handle && handle->value.addrinfo->ai_family != AF_INET)
                    wrong++;
                if (handle)
                    cache.release(handle);
            }
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST(DnsTable, NewerMeansPutSince) {
    wf::detail::DnsTable table;
    wf::detail::DnsKey key{"a", 80, AF_INET6};
    table.release(table.put(key, make_list({"::1"}, 80), 0, 0));
    uint64_t serial = table.serial();
    EXPECT_EQ(table.get_newer(key, serial), nullptr);
    EXPECT_EQ(table.get({"a", 80, AF_INET}, GET_TYPE_TTL), nullptr) << "families are apart";
    table.release(table.put(key, make_list({"::2"}, 80), 0, 0));
    const DnsCache::DnsHandle *newer = table.get_newer(key, serial);
    ASSERT_NE(newer, nullptr);
    table.release(newer);
}
