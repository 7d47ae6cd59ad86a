// Weft - the LRU cache: what is forgotten, what is kept while pinned, and against a model
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "workflow/LRUCache.h"

namespace {

std::vector<int> deleted;

struct Deleter {
    void operator()(const int &value) const { deleted.push_back(value); }
};

using Cache = LRUCache<std::string, int, Deleter>;
using Ints = std::vector<int>;

struct lru_cache : testing::Test {
    void SetUp() override { deleted.clear(); }

    static void put(Cache *cache, const std::string &key, int value) {
        cache->release(cache->put(key, value));
    }

    // The value, or -1; counts as a use.
    static int look(Cache *cache, const std::string &key) {
        const Cache::Handle *handle = cache->get(key);

        if (!handle)
            return -1;

        int value = handle->value;
        cache->release(handle);
        return value;
    }
};

TEST_F(lru_cache, get_put_del) {
    Cache cache;

    EXPECT_EQ(cache.get("a"), nullptr);
    put(&cache, "a", 1);
    EXPECT_EQ(look(&cache, "a"), 1);
    cache.del("nothing");
    cache.del("a");
    EXPECT_EQ(look(&cache, "a"), -1);
    EXPECT_EQ(deleted, Ints{1});
}

TEST_F(lru_cache, everything_is_deleted_once_at_the_end) {
    {
        Cache cache;
        put(&cache, "a", 1);
        put(&cache, "b", 2);
    }
    std::sort(deleted.begin(), deleted.end());
    EXPECT_EQ(deleted, (Ints{1, 2}));
}

TEST_F(lru_cache, no_limit_by_default) {
    Cache cache;

    for (int i = 0; i < 1000; i++)
        put(&cache, std::to_string(i), i);
    EXPECT_TRUE(deleted.empty());
}

TEST_F(lru_cache, the_longest_unused_goes_first) {
    Cache cache;

    cache.set_max_size(3);
    put(&cache, "a", 1);
    put(&cache, "b", 2);
    put(&cache, "c", 3);
    EXPECT_EQ(look(&cache, "a"), 1);
    put(&cache, "d", 4);
    put(&cache, "e", 5);
    EXPECT_EQ(deleted, (Ints{2, 3}));
    EXPECT_EQ(look(&cache, "a"), 1);
}

TEST_F(lru_cache, a_pinned_value_outlives_del_replace_and_the_limit) {
    Cache cache;

    cache.set_max_size(1);
    const Cache::Handle *a = cache.put("a", 1);
    const Cache::Handle *again = cache.get("a");
    EXPECT_EQ(a, again);
    put(&cache, "b", 2); // b is the only one that can go
    EXPECT_EQ(deleted, Ints{2});
    put(&cache, "a", 3);
    EXPECT_EQ(look(&cache, "a"), 3);
    EXPECT_EQ(a->value, 1);
    cache.del("a");
    EXPECT_EQ(deleted, (Ints{2, 3}));
    cache.release(a);
    EXPECT_EQ(again->value, 1);
    cache.release(again);
    EXPECT_EQ(deleted, (Ints{2, 3, 1}));
}

TEST_F(lru_cache, prune_spares_what_is_pinned) {
    Cache cache;
    const Cache::Handle *a = cache.put("a", 1);

    put(&cache, "b", 2);
    cache.prune();
    EXPECT_EQ(deleted, Ints{2});
    EXPECT_EQ(look(&cache, "a"), 1);
    cache.release(a);
    cache.prune();
    EXPECT_EQ(deleted, (Ints{2, 1}));
}

TEST_F(lru_cache, release_brings_the_size_down) {
    Cache cache;
    const Cache::Handle *handles[3];

    cache.set_max_size(1);
    for (int i = 0; i < 3; i++)
        handles[i] = cache.put(std::to_string(i), i);
    EXPECT_TRUE(deleted.empty());
    cache.release(handles[1]);
    cache.release(handles[0]);
    EXPECT_EQ(deleted, (Ints{1, 0}));
    cache.release(handles[2]);
    EXPECT_EQ(deleted, (Ints{1, 0}));
}

TEST_F(lru_cache, random_walk_agrees_with_a_model) {
    std::mt19937 draw(5);
    std::list<std::pair<std::string, int>> model; // the longest unused first
    Cache cache;
    const size_t max = 8;

    cache.set_max_size(max);
    for (int step = 0; step < 20000; step++) {
        std::string key = std::to_string(draw() % 16);
        auto it = std::find_if(model.begin(), model.end(),
                               [&](const auto &entry) { return entry.first == key; });

        switch (draw() % 3) {
        case 0:
            if (it != model.end())
                model.erase(it);
            model.emplace_back(key, step);
            if (model.size() > max)
                model.pop_front();
            put(&cache, key, step);
            break;
        case 1:
            ASSERT_EQ(look(&cache, key), it == model.end() ? -1 : it->second);
            if (it != model.end())
                model.splice(model.end(), model, it);
            break;
        default:
            if (it != model.end() && draw() % 4 == 0) {
                model.erase(it);
                cache.del(key);
            }
        }
    }
}

} // namespace
