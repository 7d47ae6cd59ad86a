// Weft - one entry of the route table: the targets of a set of addresses, and who of them is left alone
// SPDX-License-Identifier: Apache-2.0
//
// A member of a group that fails leaves it for 30 seconds. The kernel lets a member leave only
// while it has no load, so until then it is `leaving`, and tries again whenever one of its requests
// ends. The last member never leaves.
//
// Any thread. The lock guards the states of the members; it is taken before the group's own.
#ifndef WEFT_SRC_NAMESERVICE_ROUTE_ENTRY_H
#define WEFT_SRC_NAMESERVICE_ROUTE_ENTRY_H

#include <atomic>
#include <memory>
#include <mutex>
#include <stdint.h>
#include <string>
#include <string_view>
#include <vector>

#include "workflow/RouteManager.h"

namespace wf::detail {

// What is asked for; borrowed. `hostname` and `ssl_ctx` are empty but for TLS.
struct RouteKey {
    enum TransportType type;
    const struct addrinfo *addresses;
    const struct EndpointParams *params;
    std::string_view info;
    std::string_view hostname;
    SSL_CTX *ssl_ctx;

    // Neither the order of the addresses nor repetitions matter.
    [[nodiscard]] uint64_t hash() const;
};

[[nodiscard]] constexpr bool is_tls(enum TransportType type) {
    return type == TT_TCP_SSL || type == TT_SCTP_SSL;
}

class RouteEntry {
public:
    // NULL with errno.
    [[nodiscard]] static std::unique_ptr<RouteEntry> create(const RouteKey &key);
    ~RouteEntry();

    [[nodiscard]] bool matches(const RouteKey &key) const;
    [[nodiscard]] CommSchedObject *object() { return object_; }

    // Takes those back whose time has come. Cheap while nobody is out.
    void refresh() {
        if (absent_.load(std::memory_order_relaxed) > 0)
            this->take_back();
    }
    void fail(CommTarget *target);
    void recover(CommTarget *target);
    // A request to a leaving target has ended.
    void settle(RouteManager::RouteTarget *target);

private:
    enum class Place {
        IN,      // a member of the group
        LEAVING, // still a member, because of its load
        OUT,     // not a member
    };

    struct Member {
        RouteManager::RouteTarget *target;
        Place place;
        int64_t back_at; // ms; in LEAVING and OUT
    };

    explicit RouteEntry(const RouteKey &key);
    int add_targets(const RouteKey &key);
    Member *find(const CommTarget *target);
    void move(Member *member, Place place);
    void take_back();
    bool has(const struct addrinfo *address, size_t hint, size_t *index) const;

    const enum TransportType type_;
    const struct EndpointParams params_;
    const std::string info_;
    const std::string hostname_;
    SSL_CTX *const ssl_ctx_; // each target holds a reference
    CommSchedGroup group_;
    bool grouped_;
    CommSchedObject *object_;
    std::mutex mutex_;
    std::vector<Member> members_; // the vector itself never changes once created
    std::atomic<size_t> absent_;  // members not IN
};

} // namespace wf::detail

#endif
