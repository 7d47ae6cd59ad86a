// Weft - the route table: entries by key, read without a lock
// SPDX-License-Identifier: Apache-2.0
#include "nameservice/route_table.h"

namespace wf::detail {

namespace {

constexpr size_t FIRST_SIZE = 64; // a power of two, like all sizes

} // namespace

RouteTable::Chains::Chains(size_t size) : mask(size - 1), heads(new std::atomic<Node *>[size]()) {}

void RouteTable::Chains::insert(uint64_t hash, RouteEntry *entry) {
    std::atomic<Node *> &head = heads[hash & mask];
    nodes.push_back({hash, entry, head.load(std::memory_order_relaxed)});
    head.store(&nodes.back(), std::memory_order_release);
}

RouteTable::RouteTable() : chains_(nullptr) { this->grow(); }

RouteEntry *RouteTable::find(const Chains *chains, uint64_t hash, const RouteKey &key) {
    const Node *node = chains->heads[hash & chains->mask].load(std::memory_order_acquire);
    while (node && (node->hash != hash || !node->entry->matches(key)))
        node = node->next;
    return node ? node->entry : nullptr;
}

RouteEntry *RouteTable::get(const RouteKey &key) {
    uint64_t hash = key.hash();
    RouteEntry *entry = find(chains_.load(std::memory_order_acquire), hash, key);
    if (entry)
        return entry;

    std::lock_guard<std::mutex> lock(mutex_);
    entry = find(chains_.load(std::memory_order_relaxed), hash, key);
    if (entry)
        return entry;
    std::unique_ptr<RouteEntry> made = RouteEntry::create(key);
    if (!made)
        return nullptr;
    entry = made.get();
    entries_.push_back(std::move(made));
    Chains *chains = chains_.load(std::memory_order_relaxed);
    chains->insert(hash, entry);
    if (entries_.size() > chains->mask)
        this->grow();
    return entry;
}

void RouteTable::grow() {
    Chains *old = chains_.load(std::memory_order_relaxed);
    auto chains = std::make_unique<Chains>(old ? 2 * (old->mask + 1) : FIRST_SIZE);
    if (old) {
        for (const Node &node : old->nodes)
            chains->insert(node.hash, node.entry);
    }
    chains_.store(chains.get(), std::memory_order_release);
    all_chains_.push_back(std::move(chains));
}

void RouteTable::clear() {
    std::lock_guard<std::mutex> lock(mutex_);
    chains_.store(nullptr, std::memory_order_relaxed);
    all_chains_.clear();
    entries_.clear();
    this->grow();
}

} // namespace wf::detail
