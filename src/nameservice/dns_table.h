// Weft - the table behind DnsCache: shards of entries, the longest unused forgotten first
// SPDX-License-Identifier: Apache-2.0
//
// Any thread. Each shard has a lock, held for one look into it; no other lock is taken under it. A
// lookup that hits allocates nothing. Always true: a node in the table is counted once by it and
// once by each handle; it is freed at the last. Its host and address list never change; its times
// change under the lock of its shard only.
#ifndef WEFT_SRC_NAMESERVICE_DNS_TABLE_H
#define WEFT_SRC_NAMESERVICE_DNS_TABLE_H

#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "workflow/DnsCache.h"
#include "workflow/list.h"

namespace wf::detail {

// What is asked for. AF_UNSPEC is what programs see; a task that wants one family has entries of
// its own.
struct DnsKey {
    std::string_view host;
    unsigned short port;
    int family;

    bool operator==(const DnsKey &other) const = default;
};

struct DnsKeyHash {
    size_t operator()(const DnsKey &key) const {
        size_t rest = static_cast<size_t>(key.port) << 8 ^ static_cast<size_t>(key.family);
        return std::hash<std::string_view>()(key.host) ^ rest * 0x9E3779B97F4A7C15u;
    }
};

struct DnsNode : DnsCache::DnsHandle {
    DnsNode(const DnsKey &key_in, struct addrinfo *list);
    ~DnsNode();

    std::string host;
    DnsKey key; // its view is of `host`
    uint64_t serial;
    std::atomic<unsigned> refs; // the table's, and the handles
    struct list_head by_use;
};

class DnsTable {
public:
    DnsTable();
    ~DnsTable();

    // See DnsCache.
    [[nodiscard]] const DnsCache::DnsHandle *get(const DnsKey &key, int type);
    [[nodiscard]] const DnsCache::DnsHandle *put(const DnsKey &key, struct addrinfo *list,
                                                 unsigned ttl_default, unsigned ttl_min);
    void del(const DnsKey &key);
    void clear();

    static void release(const DnsCache::DnsHandle *handle);
    // One more release() will follow.
    static void retain(const DnsCache::DnsHandle *handle);

    // The number of puts so far.
    [[nodiscard]] uint64_t serial() const { return serial_.load(); }
    // The entry, expired or not, if it was put after `serial` had been read.
    [[nodiscard]] const DnsCache::DnsHandle *get_newer(const DnsKey &key, uint64_t serial);

private:
    static constexpr size_t SHARDS = 16;
    static constexpr size_t SHARD_SIZE = 4096;

    struct alignas(64) Shard {
        std::mutex mutex;
        std::unordered_map<DnsKey, DnsNode *, DnsKeyHash> nodes;
        struct list_head by_use; // the longest unused first
    };

    Shard *shard_of(const DnsKey &key);
    static void remove(Shard *shard, DnsNode *node);

    Shard shards_[SHARDS];
    std::atomic<uint64_t> serial_;
};

} // namespace wf::detail

#endif
