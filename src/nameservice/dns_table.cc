// Weft - the table behind DnsCache: shards of entries, the longest unused forgotten first
// SPDX-License-Identifier: Apache-2.0
#include "nameservice/dns_table.h"

#include <algorithm>
#include <cstdint>

#include "nameservice/address_list.h"
#include "nameservice/ns_clock.h"

namespace wf::detail {

namespace {

constexpr unsigned FOR_EVER = static_cast<unsigned>(-1);
// How long an expired entry is used on while one caller resolves the name again.
constexpr int64_t EXTENSION = 5;

int64_t now_seconds() { return ns_now_ms() / 1000; }

int64_t end_of(unsigned ttl, int64_t now) {
    return ttl == FOR_EVER ? INT64_MAX : now + static_cast<int64_t>(ttl);
}

const DnsNode *node_of(const DnsCache::DnsHandle *handle) {
    return static_cast<const DnsNode *>(handle);
}

} // namespace

DnsNode::DnsNode(const DnsKey &key_in, struct addrinfo *list)
    : host(key_in.host), key{host, key_in.port, key_in.family}, serial(0), refs(2), by_use() {
    value.addrinfo = list;
}

DnsNode::~DnsNode() { address_list_free(value.addrinfo); }

DnsTable::DnsTable() : serial_(0) {
    for (Shard &shard : shards_)
        INIT_LIST_HEAD(&shard.by_use);
}

DnsTable::~DnsTable() { this->clear(); }

DnsTable::Shard *DnsTable::shard_of(const DnsKey &key) {
    // The map takes the hash modulo a prime, so the upper bits are as good and independent of it.
    return &shards_[DnsKeyHash()(key) >> 32 & (SHARDS - 1)];
}

const DnsCache::DnsHandle *DnsTable::get(const DnsKey &key, int type) {
    Shard *shard = this->shard_of(key);
    std::lock_guard<std::mutex> lock(shard->mutex);
    auto it = shard->nodes.find(key);
    if (it == shard->nodes.end())
        return nullptr;

    DnsNode *node = it->second;
    bool confident = type == GET_TYPE_CONFIDENT;
    int64_t *end = confident ? &node->value.confident_time : &node->value.expire_time;
    if (*end != INT64_MAX && now_seconds() >= *end) {
        unsigned bit = 1u << (confident ? GET_TYPE_CONFIDENT : GET_TYPE_TTL);
        if (node->value.extended & bit)
            return nullptr;
        unsigned char bits = static_cast<unsigned char>(node->value.extended | bit);
        // Whoever holds a handle may look at these without the lock.
        __atomic_store_n(&node->value.extended, bits, __ATOMIC_RELAXED);
        __atomic_store_n(end, now_seconds() + EXTENSION, __ATOMIC_RELAXED);
        return nullptr;
    }
    list_move_tail(&node->by_use, &shard->by_use);
    node->refs.fetch_add(1, std::memory_order_relaxed);
    return node;
}

const DnsCache::DnsHandle *DnsTable::get_newer(const DnsKey &key, uint64_t serial) {
    Shard *shard = this->shard_of(key);
    std::lock_guard<std::mutex> lock(shard->mutex);
    auto it = shard->nodes.find(key);
    if (it == shard->nodes.end() || it->second->serial <= serial)
        return nullptr;
    it->second->refs.fetch_add(1, std::memory_order_relaxed);
    return it->second;
}

const DnsCache::DnsHandle *DnsTable::put(const DnsKey &key, struct addrinfo *list,
                                         unsigned ttl_default, unsigned ttl_min) {
    DnsNode *node = new DnsNode(key, list);
    int64_t now = now_seconds();
    node->value.expire_time = end_of(ttl_default, now);
    // Who tries again wants the name fresher than others do, never staler.
    node->value.confident_time = end_of(std::min(ttl_min, ttl_default), now);

    Shard *shard = this->shard_of(key);
    std::lock_guard<std::mutex> lock(shard->mutex);
    auto it = shard->nodes.find(key);
    if (it != shard->nodes.end())
        remove(shard, it->second);
    else if (shard->nodes.size() >= SHARD_SIZE)
        remove(shard, list_entry(shard->by_use.next, DnsNode, by_use));
    node->serial = serial_.fetch_add(1) + 1;
    list_add_tail(&node->by_use, &shard->by_use);
    shard->nodes.emplace(node->key, node);
    return node;
}

void DnsTable::del(const DnsKey &key) {
    Shard *shard = this->shard_of(key);
    std::lock_guard<std::mutex> lock(shard->mutex);
    auto it = shard->nodes.find(key);
    if (it != shard->nodes.end())
        remove(shard, it->second);
}

void DnsTable::clear() {
    for (Shard &shard : shards_) {
        std::lock_guard<std::mutex> lock(shard.mutex);
        while (!list_empty(&shard.by_use))
            remove(&shard, list_entry(shard.by_use.next, DnsNode, by_use));
    }
}

// The key in the map is a view into the node, so the map forgets it first.
void DnsTable::remove(Shard *shard, DnsNode *node) {
    shard->nodes.erase(node->key);
    list_del(&node->by_use);
    release(node);
}

void DnsTable::retain(const DnsCache::DnsHandle *handle) {
    const_cast<DnsNode *>(node_of(handle))->refs.fetch_add(1, std::memory_order_relaxed);
}

void DnsTable::release(const DnsCache::DnsHandle *handle) {
    DnsNode *node = const_cast<DnsNode *>(node_of(handle));
    if (node->refs.fetch_sub(1, std::memory_order_acq_rel) == 1)
        delete node;
}

} // namespace wf::detail
