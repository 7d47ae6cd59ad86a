// Weft public header, room: nameservice - names that were resolved, and for how long they hold
// SPDX-License-Identifier: Apache-2.0

#ifndef WEFT_DNSCACHE_H
#define WEFT_DNSCACHE_H

#include <netdb.h>
#include <stddef.h>
#include <stdint.h>
#include <string>
#include <sys/socket.h>
#include <sys/types.h>
#include <utility>

#define GET_TYPE_TTL       0
#define GET_TYPE_CONFIDENT 1

namespace wf {
namespace detail {
struct DnsNode;
class DnsTable;
class LookupDesk;
class Resolver;
} // namespace detail
} // namespace wf

struct DnsCacheValue {
    struct addrinfo *addrinfo; // in the order of preference; belongs to the cache
    // Seconds of the monotonic clock until which a task that tries again may use it, and any other.
    int64_t confident_time;
    int64_t expire_time;
    // It has expired and was extended while somebody resolves the name again.
    bool delayed() const { return __atomic_load_n(&this->extended, __ATOMIC_RELAXED) != 0; }

    unsigned char extended; // one bit for each GET_TYPE_*
};

// Maps (host, port) to addresses. Any thread may call any function.
//
// An entry that expires is used on for five seconds, but for the one caller that finds it so first:
// it gets NULL, as if there were no entry, and is expected to resolve the name and put() the
// answer. After that, everybody gets NULL.
class DnsCache {
public:
    typedef std::pair<std::string, unsigned short> HostPort;

    // A value that stays what it is until release(), whatever happens to the cache.
    class DnsHandle {
    public:
        DnsCacheValue value;

    private:
        DnsHandle() : value() {}
        DnsHandle(const DnsHandle &);
        DnsHandle &operator=(const DnsHandle &);
        friend struct wf::detail::DnsNode;
    };

    // NULL when there is none, or it has expired. Else release() it.
    const DnsHandle *get(const HostPort &host_port, int type);
    const DnsHandle *get(const std::string &host, unsigned short port, int type);
    const DnsHandle *get(const char *host, unsigned short port, int type);

    const DnsHandle *get_ttl(const HostPort &key) { return this->get(key, GET_TYPE_TTL); }
    const DnsHandle *get_ttl(const std::string &host, unsigned short port) {
        return this->get(host, port, GET_TYPE_TTL);
    }
    const DnsHandle *get_ttl(const char *host, unsigned short port) {
        return this->get(host, port, GET_TYPE_TTL);
    }

    const DnsHandle *get_confident(const HostPort &key) {
        return this->get(key, GET_TYPE_CONFIDENT);
    }
    const DnsHandle *get_confident(const std::string &host, unsigned short port) {
        return this->get(host, port, GET_TYPE_CONFIDENT);
    }
    const DnsHandle *get_confident(const char *host, unsigned short port) {
        return this->get(host, port, GET_TYPE_CONFIDENT);
    }

    // Replaces what the key had. The list is taken over; it comes from getaddrinfo() or has the
    // same shape: each node one malloc block that its address lies in. Lives ttl_default and
    // ttl_min seconds, (unsigned)-1 for ever. Returns a handle to release().
    const DnsHandle *put(const HostPort &host_port, struct addrinfo *addrinfo,
                         unsigned int dns_ttl_default, unsigned int dns_ttl_min);
    const DnsHandle *put(const std::string &host, unsigned short port, struct addrinfo *addrinfo,
                         unsigned int dns_ttl_default, unsigned int dns_ttl_min);
    const DnsHandle *put(const char *host, unsigned short port, struct addrinfo *addrinfo,
                         unsigned int dns_ttl_default, unsigned int dns_ttl_min);

    // Once for each handle.
    void release(const DnsHandle *handle);

    void del(const HostPort &key);
    void del(const std::string &host, unsigned short port);
    void del(const char *host, unsigned short port);

    // Forgets everything.
    void clear();

    DnsCache();
    // Every handle has been released.
    ~DnsCache();

private:
    DnsCache(const DnsCache &);
    DnsCache &operator=(const DnsCache &);

    wf::detail::DnsTable *table_;
    friend class wf::detail::LookupDesk;
    friend class wf::detail::Resolver;
};

#endif
