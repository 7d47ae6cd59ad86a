// Weft - one entry of the route table: the targets of a set of addresses, and who of them is left alone
// SPDX-License-Identifier: Apache-2.0
#include "nameservice/route_entry.h"

#include <algorithm>
#include <errno.h>
#include <functional>
#include <netinet/in.h>
#include <string.h>

#include "nameservice/ns_clock.h"
#include "nameservice/route_target.h"

namespace wf::detail {

namespace {

constexpr int64_t LEFT_ALONE_MS = 30 * 1000;

// The bytes of an address that make it what it is; the rest is padding that callers may have left
// unset.
struct Essence {
    unsigned char bytes[sizeof(struct sockaddr_storage)];
    size_t size;

    std::string_view view() const { return {reinterpret_cast<const char *>(bytes), size}; }
};

template <class T>
void append(Essence *essence, const T &field) {
    memcpy(essence->bytes + essence->size, &field, sizeof field);
    essence->size += sizeof field;
}

void extract(const struct sockaddr *addr, socklen_t len, Essence *out) {
    out->size = 0;
    if (addr->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, addr, sizeof in);
        append(out, in.sin_family);
        append(out, in.sin_port);
        append(out, in.sin_addr);
    } else if (addr->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in6;
        memcpy(&in6, addr, sizeof in6);
        append(out, in6.sin6_family);
        append(out, in6.sin6_port);
        append(out, in6.sin6_addr);
        append(out, in6.sin6_scope_id);
    } else {
        out->size = std::min(static_cast<size_t>(len), sizeof out->bytes);
        memcpy(out->bytes, addr, out->size);
    }
}

uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

uint64_t hash_text(std::string_view text) { return std::hash<std::string_view>()(text); }

} // namespace

uint64_t RouteKey::hash() const {
    // The least and the greatest of the addresses' hashes stay the same in any order and under
    // repetition.
    uint64_t least = UINT64_MAX;
    uint64_t greatest = 0;
    Essence essence;
    for (const struct addrinfo *node = addresses; node; node = node->ai_next) {
        extract(node->ai_addr, node->ai_addrlen, &essence);
        uint64_t one = hash_text(essence.view());
        least = std::min(least, one);
        greatest = std::max(greatest, one);
    }
    uint64_t hash = mix(least, greatest);
    hash = mix(hash,
               static_cast<uint64_t>(type) << 32 | static_cast<unsigned>(params->address_family));
    hash = mix(hash, params->max_connections);
    uint64_t connect = static_cast<unsigned>(params->connect_timeout);
    hash = mix(hash, connect << 32 | static_cast<unsigned>(params->response_timeout));
    if (!info.empty())
        hash = mix(hash, hash_text(info));
    if (!is_tls(type))
        return hash;
    hash = mix(hash, reinterpret_cast<uintptr_t>(ssl_ctx));
    hash = mix(hash, static_cast<unsigned>(params->ssl_connect_timeout));
    return mix(hash, hash_text(hostname));
}

RouteEntry::RouteEntry(const RouteKey &key)
    : type_(key.type), params_(*key.params), info_(key.info), hostname_(key.hostname),
      ssl_ctx_(key.ssl_ctx), grouped_(false), object_(nullptr), absent_(0) {}

std::unique_ptr<RouteEntry> RouteEntry::create(const RouteKey &key) {
    std::unique_ptr<RouteEntry> entry(new RouteEntry(key));
    if (entry->add_targets(key) < 0)
        return nullptr;
    return entry;
}

RouteEntry::~RouteEntry() {
    int error = errno; // of the creation that failed
    for (Member &member : members_) {
        if (grouped_ && member.place != Place::OUT)
            group_.remove(member.target);
        member.target->deinit();
        delete member.target;
    }
    if (grouped_)
        group_.deinit();
    errno = error;
}

int RouteEntry::add_targets(const RouteKey &key) {
    for (const struct addrinfo *node = key.addresses; node; node = node->ai_next) {
        size_t index;
        if (this->has(node, 0, &index))
            continue;
        RouteManager::RouteTarget *target = make_route_target(type_, hostname_);
        if (!target)
            return -1;
        int ret = target->init(node->ai_addr, node->ai_addrlen, ssl_ctx_, params_.connect_timeout,
                               params_.ssl_connect_timeout, params_.response_timeout,
                               params_.max_connections);
        if (ret < 0) {
            delete target;
            return -1;
        }
        target->entry_ = this;
        members_.push_back({target, Place::IN, 0});
    }
    object_ = members_[0].target;
    if (members_.size() == 1)
        return 0;
    if (group_.init() < 0)
        return -1;
    grouped_ = true;
    object_ = &group_;
    for (Member &member : members_)
        member.place = group_.add(member.target) < 0 ? Place::OUT : Place::IN;
    bool all = std::all_of(members_.begin(), members_.end(),
                           [](const Member &member) { return member.place == Place::IN; });
    return all ? 0 : -1;
}

// Looks at `hint` first: the order is mostly the same as last time.
bool RouteEntry::has(const struct addrinfo *address, size_t hint, size_t *index) const {
    Essence wanted;
    Essence mine;
    extract(address->ai_addr, address->ai_addrlen, &wanted);
    for (size_t i = 0; i < members_.size(); i++) {
        size_t at = (hint + i) % members_.size();
        const struct sockaddr *addr;
        socklen_t len;
        members_[at].target->get_addr(&addr, &len);
        extract(addr, len, &mine);
        if (mine.view() == wanted.view()) {
            *index = at;
            return true;
        }
    }
    return false;
}

bool RouteEntry::matches(const RouteKey &key) const {
    if (key.type != type_ || key.params->address_family != params_.address_family ||
        key.params->max_connections != params_.max_connections ||
        key.params->connect_timeout != params_.connect_timeout ||
        key.params->response_timeout != params_.response_timeout || key.info != info_)
        return false;
    if (is_tls(type_) && (key.ssl_ctx != ssl_ctx_ || key.hostname != hostname_ ||
                          key.params->ssl_connect_timeout != params_.ssl_connect_timeout))
        return false;

    size_t count = members_.size();
    uint64_t few = 0;
    std::vector<bool> many(count > 64 ? count : 0); // allocates for more than 64 addresses only
    size_t seen = 0;
    size_t hint = 0;
    for (const struct addrinfo *node = key.addresses; node; node = node->ai_next, hint++) {
        size_t index;
        if (!this->has(node, hint, &index))
            return false;
        bool again = count > 64 ? many[index] : (few >> index & 1) != 0;
        if (again)
            continue;
        seen++;
        if (count > 64)
            many[index] = true;
        else
            few |= uint64_t{1} << index;
    }
    return seen == count;
}

RouteEntry::Member *RouteEntry::find(const CommTarget *target) {
    for (Member &member : members_) {
        if (static_cast<CommTarget *>(member.target) == target)
            return &member;
    }
    return nullptr;
}

// The one place where a member changes; counts those that are not IN.
void RouteEntry::move(Member *member, Place place) {
    if (member->place == Place::IN && place != Place::IN)
        absent_.fetch_add(1, std::memory_order_relaxed);
    else if (member->place != Place::IN && place == Place::IN)
        absent_.fetch_sub(1, std::memory_order_relaxed);
    member->place = place;
    member->target->leaving_.store(place == Place::LEAVING, std::memory_order_relaxed);
}

void RouteEntry::fail(CommTarget *target) {
    if (!grouped_)
        return;
    std::lock_guard<std::mutex> lock(mutex_);
    Member *member = this->find(target);
    if (!member || member->place != Place::IN)
        return;
    if (absent_.load(std::memory_order_relaxed) + 1 == members_.size())
        return;
    member->back_at = ns_now_ms() + LEFT_ALONE_MS;
    this->move(member, Place::LEAVING);
    if (group_.remove(member->target) == 0)
        this->move(member, Place::OUT);
}

void RouteEntry::settle(RouteManager::RouteTarget *target) {
    int error = errno;
    std::lock_guard<std::mutex> lock(mutex_);
    Member *member = this->find(target);
    if (member->place == Place::LEAVING && group_.remove(target) == 0)
        this->move(member, Place::OUT);
    errno = error;
}

void RouteEntry::recover(CommTarget *target) {
    if (absent_.load(std::memory_order_relaxed) == 0)
        return;
    std::lock_guard<std::mutex> lock(mutex_);
    Member *member = this->find(target);
    if (!member || member->place == Place::IN)
        return;
    if (member->place == Place::LEAVING || group_.add(member->target) == 0)
        this->move(member, Place::IN);
}

void RouteEntry::take_back() {
    int64_t now = ns_now_ms();
    std::lock_guard<std::mutex> lock(mutex_);
    for (Member &member : members_) {
        if (member.place == Place::IN || now < member.back_at)
            continue;
        if (member.place == Place::LEAVING || group_.add(member.target) == 0)
            this->move(&member, Place::IN);
    }
}

} // namespace wf::detail
