// Weft - the route table: entries by key, read without a lock
// SPDX-License-Identifier: Apache-2.0
//
// Any thread. Entries are never removed, so readers walk the chains with nothing but acquiring
// loads; writers hold the lock. When the table grows, a new array of chains takes the place of the
// old one, which stays for those still reading it: all old ones together are no larger than the
// new.
#ifndef WEFT_SRC_NAMESERVICE_ROUTE_TABLE_H
#define WEFT_SRC_NAMESERVICE_ROUTE_TABLE_H

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "nameservice/route_entry.h"

namespace wf::detail {

class RouteTable {
public:
    RouteTable();

    // The entry of the key, made when it is new. NULL with errno.
    [[nodiscard]] RouteEntry *get(const RouteKey &key);

    // Frees all entries. Nobody may be reading.
    void clear();

private:
    struct Node {
        uint64_t hash;
        RouteEntry *entry;
        Node *next;
    };

    struct Chains {
        explicit Chains(size_t size);
        void insert(uint64_t hash, RouteEntry *entry);

        const size_t mask;
        std::unique_ptr<std::atomic<Node *>[]> heads;
        std::deque<Node> nodes; // touched by writers
    };

    static RouteEntry *find(const Chains *chains, uint64_t hash, const RouteKey &key);
    void grow();

    std::atomic<Chains *> chains_;
    std::mutex mutex_; // guards the rest
    std::vector<std::unique_ptr<Chains>> all_chains_;
    std::vector<std::unique_ptr<RouteEntry>> entries_;
};

} // namespace wf::detail

#endif
