// Weft - lists of addresses: making them, literal addresses, and the rule for loopback
// SPDX-License-Identifier: Apache-2.0
#include "nameservice/address_list.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <utility>

namespace wf::detail {

namespace {

bool same_address(const struct addrinfo *node, const struct sockaddr *addr, socklen_t len) {
    return node->ai_addrlen == len && memcmp(node->ai_addr, addr, len) == 0;
}

bool is_loopback(const struct sockaddr *addr) {
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, addr, sizeof in);
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, addr, sizeof in6);
        return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
    }
    return false;
}

struct addrinfo *make_node(const struct sockaddr *addr, socklen_t len) {
    void *block = calloc(1, sizeof(struct addrinfo) + len);
    if (!block)
        return nullptr;
    struct addrinfo *node = static_cast<struct addrinfo *>(block);
    node->ai_family = addr->sa_family;
    node->ai_socktype = SOCK_STREAM;
    node->ai_addrlen = len;
    node->ai_addr = reinterpret_cast<struct sockaddr *>(node + 1);
    memcpy(node->ai_addr, addr, len);
    return node;
}

// The number of an interface, by its name or already as a number; 0 when there is none.
uint32_t scope_id(const char *scope) {
    uint32_t id = if_nametoindex(scope);
    if (id == 0) {
        const char *end = scope + strlen(scope);
        auto [rest, error] = std::from_chars(scope, end, id);
        if (error != std::errc() || rest != end)
            return 0;
    }
    return id;
}

void set_port(struct sockaddr_storage *addr, unsigned short port) {
    if (addr->ss_family == AF_INET)
        reinterpret_cast<struct sockaddr_in *>(addr)->sin_port = htons(port);
    else if (addr->ss_family == AF_INET6)
        reinterpret_cast<struct sockaddr_in6 *>(addr)->sin6_port = htons(port);
}

} // namespace

void address_list_free(struct addrinfo *list) {
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list->ai_canonname);
        free(list);
        list = next;
    }
}

bool AddressList::add(const struct sockaddr *addr, socklen_t len) {
    if (count_ == MAX_ADDRESSES)
        return true;
    for (const struct addrinfo *node = list_; node; node = node->ai_next) {
        if (same_address(node, addr, len))
            return true;
    }
    struct addrinfo *node = make_node(addr, len);
    if (!node)
        return false;
    if (last_)
        last_->ai_next = node;
    else
        list_ = node;
    last_ = node;
    count_++;
    return true;
}

bool AddressList::add_all(const struct addrinfo *others, unsigned short port) {
    for (; others; others = others->ai_next) {
        struct sockaddr_storage addr;
        if (!others->ai_addr || others->ai_addrlen > sizeof addr)
            continue;
        memset(&addr, 0, sizeof addr);
        memcpy(&addr, others->ai_addr, others->ai_addrlen);
        set_port(&addr, port);
        if (!this->add(reinterpret_cast<struct sockaddr *>(&addr), others->ai_addrlen))
            return false;
    }
    return true;
}

void AddressList::settle_loopback() {
    bool found[2] = {false, false};
    for (const struct addrinfo *node = list_; node; node = node->ai_next) {
        if (!is_loopback(node->ai_addr))
            return;
        found[node->ai_family == AF_INET6] = true;
    }
    if (!found[0] || !found[1])
        return;
    struct addrinfo **link = &list_;
    last_ = nullptr;
    count_ = 0;
    while (*link) {
        struct addrinfo *node = *link;
        if (node->ai_family == AF_INET6) {
            *link = node->ai_next;
            node->ai_next = nullptr;
            address_list_free(node);
            continue;
        }
        last_ = node;
        count_++;
        link = &node->ai_next;
    }
}

struct addrinfo *AddressList::take() {
    last_ = nullptr;
    count_ = 0;
    return std::exchange(list_, nullptr);
}

bool parse_ip(std::string_view text, unsigned short port, struct sockaddr_storage *out,
              socklen_t *len) {
    char copy[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    if (text.empty() || text.size() >= sizeof copy)
        return false;
    memcpy(copy, text.data(), text.size());
    copy[text.size()] = '\0';
    if (memchr(copy, '\0', text.size()))
        return false;

    memset(out, 0, sizeof *out);
    struct sockaddr_in *in = reinterpret_cast<struct sockaddr_in *>(out);
    if (inet_pton(AF_INET, copy, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        *len = sizeof *in;
        return true;
    }
    struct sockaddr_in6 *in6 = reinterpret_cast<struct sockaddr_in6 *>(out);
    memset(out, 0, sizeof *out);
    char *percent = strchr(copy, '%');
    if (percent) {
        *percent = '\0';
        in6->sin6_scope_id = scope_id(percent + 1);
        if (in6->sin6_scope_id == 0)
            return false;
    }
    if (inet_pton(AF_INET6, copy, &in6->sin6_addr) != 1)
        return false;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    *len = sizeof *in6;
    return true;
}

Literal parse_literal(const char *host, unsigned short port, struct sockaddr_storage *out,
                      socklen_t *len) {
    if (host[0] != '/') {
        // A name is told from an address by its first character or a colon, which spares most names
        // the parsers.
        bool perhaps = (host[0] >= '0' && host[0] <= '9') || strchr(host, ':');
        return perhaps && parse_ip(host, port, out, len) ? Literal::ADDRESS : Literal::NONE;
    }
    struct sockaddr_un *un = reinterpret_cast<struct sockaddr_un *>(out);
    size_t size = strlen(host) + 1;
    memset(out, 0, sizeof *out);
    if (size > sizeof un->sun_path)
        return Literal::BAD;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, host, size);
    *len = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + size);
    return Literal::ADDRESS;
}

} // namespace wf::detail
