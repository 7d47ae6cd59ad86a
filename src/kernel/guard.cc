// Weft - the guard: address blocks, connections of an address, and rates
// SPDX-License-Identifier: Apache-2.0
//
// Addresses are 16 bytes, IPv4 in the shape of IPv6, so there is one kind of block. One lock: it
// is taken once for each newcomer and once for each end, beside system calls that take far longer.
#include "workflow/wf/guard.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cmath>
#include <errno.h>
#include <list>
#include <netinet/in.h>
#include <string.h>
#include <unordered_map>

#include "kernel/sys.h"

namespace wf {

namespace {

constexpr unsigned BITS = 128;
constexpr unsigned V4_BITS = 96; // in front of an IPv4 address
constexpr size_t MOST_ADDRESSES = 65536;

using Address = std::array<unsigned char, 16>;

// Salted, so that nobody can choose addresses that meet in one place of the table.
struct Hash {
    uint64_t salt;
    size_t operator()(const Address &a) const {
        uint64_t high, low;
        memcpy(&high, a.data(), 8);
        memcpy(&low, a.data() + 8, 8);
        uint64_t x = (high ^ salt) * 0x9e3779b97f4a7c15u + low;
        x ^= x >> 31;
        x *= 0xbf58476d1ce4e5b9u;
        return static_cast<size_t>(x ^ (x >> 29));
    }
};

Address from_ipv4(const struct in_addr &v4) {
    Address a = {};
    a[10] = a[11] = 0xff;
    memcpy(a.data() + 12, &v4, 4);
    return a;
}

// False when it has none.
bool address_of(const struct sockaddr *addr, socklen_t len, Address *a) {
    if (addr->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, addr, sizeof in);
        *a = from_ipv4(in.sin_addr);
        return true;
    }
    if (addr->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in6;
        memcpy(&in6, addr, sizeof in6);
        memcpy(a->data(), &in6.sin6_addr, 16);
        return true;
    }
    return false;
}

bool is_ipv4(const Address &a) {
    return std::all_of(a.begin(), a.begin() + 10, [](unsigned char c) { return c == 0; }) &&
           a[10] == 0xff && a[11] == 0xff;
}

Address cut(Address a, unsigned bits) {
    for (unsigned i = 0; i < 16; i++) {
        unsigned left = bits > 8 * i ? std::min(bits - 8 * i, 8u) : 0;
        a[i] = static_cast<unsigned char>(a[i] & (0xff00u >> left));
    }
    return a;
}

struct Block {
    Address address;
    unsigned bits;
};

bool parse_bits(const std::string &text, unsigned most, unsigned *bits) {
    if (text.empty() || text.size() > 3 ||
        !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }))
        return false;
    *bits = static_cast<unsigned>(std::stoul(text));
    return *bits <= most;
}

bool parse_block(const std::string &text, Block *block) {
    size_t slash = text.find('/');
    std::string host = text.substr(0, slash);
    struct in_addr v4;
    struct in6_addr v6;
    unsigned most, before;
    if (host.size() != strlen(host.c_str()))
        return false;
    if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
        block->address = from_ipv4(v4);
        most = 32;
        before = V4_BITS;
    } else if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) {
        memcpy(block->address.data(), &v6, 16);
        most = BITS;
        before = 0;
    } else {
        return false;
    }
    unsigned bits = most;
    if (slash != std::string::npos && !parse_bits(text.substr(slash + 1), most, &bits))
        return false;
    block->bits = before + bits;
    if (before == 0 && is_ipv4(block->address) && bits < V4_BITS)
        return false; // would hold more than it names
    block->address = cut(block->address, block->bits);
    return true;
}

class [[nodiscard]] Held {
public:
    explicit Held(struct weft_lock *lock) : lock_(lock) { sys_lock(lock); }
    ~Held() { sys_unlock(lock_); }
    Held(const Held &) = delete;
    Held &operator=(const Held &) = delete;

private:
    struct weft_lock *lock_;
};

// What stands in the lists about a block.
struct Verdict {
    bool allowed = false;
    bool denied = false;
};

class Lists {
    using Blocks = std::unordered_map<Address, Verdict, Hash>;

public:
    explicit Lists(uint64_t salt) : of_length_(BITS + 1, Blocks(0, Hash{salt})) {}
    void add(const Block &block, bool denied) {
        Verdict &v = of_length_[block.bits][block.address];
        if (!denied && !v.allowed)
            allowed_++;
        (denied ? v.denied : v.allowed) = true;
    }
    bool remove(const Block &block) {
        auto &blocks = of_length_[block.bits];
        auto found = blocks.find(block.address);
        if (found == blocks.end())
            return false;
        allowed_ -= found->second.allowed ? 1 : 0;
        blocks.erase(found);
        return true;
    }
    bool holds(const Address &a) const {
        unsigned least = is_ipv4(a) ? V4_BITS : 0; // a shorter block is of IPv6 alone
        for (unsigned bits = BITS + 1; bits-- > least;) {
            if (of_length_[bits].empty())
                continue;
            auto found = of_length_[bits].find(cut(a, bits));
            if (found != of_length_[bits].end())
                return !found->second.denied;
        }
        return allowed_ == 0;
    }

private:
    std::vector<Blocks> of_length_;
    size_t allowed_ = 0;
};

// Newcomers as a bucket that fills with time: each takes one out of it.
class Rate {
public:
    bool take(uint64_t now, double rate, size_t burst) {
        if (rate <= 0)
            return true;
        double most = burst ? static_cast<double>(burst) : std::max(1.0, rate);
        now =
            std::max(now, last_); // threads may come in another order than they looked at the clock
        if (!begun_)
            left_ = most;
        else
            left_ = std::min(most, left_ + static_cast<double>(now - last_) * 1e-9 * rate);
        begun_ = true;
        last_ = now;
        if (left_ < 1)
            return false;
        left_ -= 1;
        return true;
    }

private:
    bool begun_ = false;
    double left_ = 0;
    uint64_t last_ = 0;
};

} // namespace

class Guard::Impl {
public:
    Impl()
        : salt(sys_now() * 0xd6e8feb86659fd93u ^
               static_cast<uint64_t>(reinterpret_cast<uintptr_t>(this))),
          lists(salt), known_(0, Hash{salt}) {}
    enum CommCloseReason admit(const Address *a, bool *counted);
    void leave(const Address &a);
    int add(const std::string &block, bool denied);

    const uint64_t salt;
    mutable struct weft_lock lock = {0};
    Lists lists;
    GuardLimits limits;
    size_t connections = 0;
    size_t addresses() const { return known_.size(); }

private:
    struct Known {
        Address address;
        size_t connections = 0;
        Rate rate;
    };
    using Order = std::list<Known>; // who came last stands last

    Address one_of(const Address &a) const {
        return cut(a, is_ipv4(a) ? V4_BITS + limits.ipv4_bits : limits.ipv6_bits);
    }
    Known *know(const Address &key);
    void make_room();

    Order order_;
    std::unordered_map<Address, Order::iterator, Hash> known_;
    Rate rate_;
};

// The longest forgotten without a connection goes. Those with one that stand before it move on, so
// each is looked at once in a while and not each time.
void Guard::Impl::make_room() {
    for (int looks = 0; looks < 16 && !order_.empty(); looks++) {
        if (order_.front().connections == 0) {
            known_.erase(order_.front().address);
            order_.pop_front();
            return;
        }
        order_.splice(order_.end(), order_, order_.begin());
    }
}

Guard::Impl::Known *Guard::Impl::know(const Address &key) {
    auto found = known_.find(key);
    if (found != known_.end()) {
        order_.splice(order_.end(), order_, found->second);
        return &*found->second;
    }
    if (known_.size() >= MOST_ADDRESSES)
        make_room();
    if (known_.size() >= MOST_ADDRESSES)
        return nullptr; // nearly all have connections
    Order made(1);      // joins the others only when the table has it, too
    made.front().address = key;
    known_[key] = made.begin();
    order_.splice(order_.end(), made);
    return &order_.back();
}

enum CommCloseReason Guard::Impl::admit(const Address *a, bool *counted) {
    uint64_t now = sys_now();
    Held held(&lock);
    if (a && !lists.holds(*a))
        return CCR_REFUSED_ADDRESS;
    // Connections are counted without a limit too: one may be set while they are there.
    bool connection = counted != nullptr;
    bool limited = limits.address_rate > 0 || (connection && limits.per_address > 0);
    Known *known = a && (connection || limited) ? know(one_of(*a)) : nullptr;
    if (a && limited && !known)
        return CCR_REFUSED_PER_ADDRESS;
    if (known && connection && limits.per_address > 0 && known->connections >= limits.per_address)
        return CCR_REFUSED_PER_ADDRESS;
    if (known && !known->rate.take(now, limits.address_rate, limits.address_burst))
        return CCR_REFUSED_RATE;
    if (!rate_.take(now, limits.rate, limits.burst))
        return CCR_REFUSED_RATE;
    if (known && connection) {
        known->connections++;
        connections++;
        *counted = true;
    }
    return CCR_COUNT;
}

void Guard::Impl::leave(const Address &a) {
    Held held(&lock);
    auto found = known_.find(one_of(a));
    if (found == known_.end() || found->second->connections == 0)
        return;
    found->second->connections--;
    connections--;
}

GuardLimits::GuardLimits()
    : per_address(0), rate(0), burst(0), address_rate(0), address_burst(0), ipv4_bits(32),
      ipv6_bits(64) {}

Guard::Guard() : impl_(new Impl) {}
Guard::~Guard() { delete impl_; }

namespace {

int invalid() {
    errno = EINVAL;
    return -1;
}

} // namespace

int Guard::allow(const std::string &block) { return impl_->add(block, false); }
int Guard::deny(const std::string &block) { return impl_->add(block, true); }

int Guard::Impl::add(const std::string &block, bool denied) {
    Block parsed;
    if (!parse_block(block, &parsed))
        return invalid();
    Held held(&lock);
    lists.add(parsed, denied);
    return 0;
}

int Guard::forget(const std::string &block) {
    Block parsed;
    if (!parse_block(block, &parsed))
        return invalid();
    Held held(&impl_->lock);
    if (impl_->lists.remove(parsed))
        return 0;
    errno = ENOENT;
    return -1;
}

int Guard::set_blocks(const std::vector<std::string> &allowed,
                      const std::vector<std::string> &denied) {
    Lists lists(impl_->salt);
    for (const std::vector<std::string> *texts : {&allowed, &denied}) {
        for (const std::string &text : *texts) {
            Block block;
            if (!parse_block(text, &block))
                return invalid();
            lists.add(block, texts == &denied);
        }
    }
    Held held(&impl_->lock);
    std::swap(impl_->lists, lists);
    return 0;
}

int Guard::set_limits(const GuardLimits &limits) {
    if (!(limits.rate >= 0) || !(limits.address_rate >= 0) || !std::isfinite(limits.rate) ||
        !std::isfinite(limits.address_rate) || limits.ipv4_bits > 32 || limits.ipv6_bits > 128)
        return invalid();
    Held held(&impl_->lock);
    const GuardLimits &old = impl_->limits;
    if (impl_->connections > 0 &&
        (limits.ipv4_bits != old.ipv4_bits || limits.ipv6_bits != old.ipv6_bits)) {
        errno = EBUSY;
        return -1;
    }
    impl_->limits = limits;
    return 0;
}

GuardLimits Guard::get_limits() const {
    Held held(&impl_->lock);
    return impl_->limits;
}

size_t Guard::get_connection_count() const {
    Held held(&impl_->lock);
    return impl_->connections;
}

size_t Guard::get_address_count() const {
    Held held(&impl_->lock);
    return impl_->addresses();
}

enum CommCloseReason Guard::admit(const struct sockaddr *addr, socklen_t len, bool *counted) {
    Address a;
    bool has = address_of(addr, len, &a);
    try {
        return impl_->admit(has ? &a : nullptr, counted);
    } catch (const std::bad_alloc &) {
        return CCR_NO_MEMORY;
    }
}

void Guard::leave(const struct sockaddr *addr, socklen_t len) {
    Address a;
    if (address_of(addr, len, &a))
        impl_->leave(a);
}

} // namespace wf
