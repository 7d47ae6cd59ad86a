// Weft - lists of addresses: making them, literal addresses, and the rule for loopback
// SPDX-License-Identifier: Apache-2.0
//
// A list is a chain of addrinfo nodes, each one malloc block with its address behind it: the shape
// that getaddrinfo() of the C library answers, so that lists of either origin are freed alike. Pure
// functions on the caller's lists: any thread.
#ifndef WEFT_SRC_NAMESERVICE_ADDRESS_LIST_H
#define WEFT_SRC_NAMESERVICE_ADDRESS_LIST_H

#include <netdb.h>
#include <stddef.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/types.h>

namespace wf::detail {

// More addresses of one name are left out: each of them becomes a target.
constexpr size_t MAX_ADDRESSES = 256;

void address_list_free(struct addrinfo *list);

// The owner of a list.
class AddressList {
public:
    AddressList() = default;
    AddressList(const AddressList &) = delete;
    AddressList &operator=(const AddressList &) = delete;
    ~AddressList() { address_list_free(list_); }

    // Appends a copy of the address, unless it is there already or there are enough. ENOMEM is the
    // only failure.
    [[nodiscard]] bool add(const struct sockaddr *addr, socklen_t len);
    // Appends the addresses of a list that was made elsewhere, with their ports set to `port`.
    [[nodiscard]] bool add_all(const struct addrinfo *others, unsigned short port);

    // A loopback name that has addresses of both families keeps the IPv4 ones: both lead to this
    // machine, but a server listens on one of them mostly, and spreading requests over both would
    // fail every other.
    void settle_loopback();

    [[nodiscard]] bool empty() const { return !list_; }
    [[nodiscard]] const struct addrinfo *get() const { return list_; }
    [[nodiscard]] struct addrinfo *take();

private:
    struct addrinfo *list_ = nullptr;
    struct addrinfo *last_ = nullptr;
    size_t count_ = 0;
};

enum class Literal {
    NONE,    // a name
    ADDRESS, // *out is filled
    BAD,     // it cannot be anything: a path that is too long
};

// Reads an IPv4 address in dotted form, an IPv6 address with or without a scope, or an absolute
// path.
[[nodiscard]] Literal parse_literal(const char *host, unsigned short port,
                                    struct sockaddr_storage *out, socklen_t *len);

// Reads an IPv4 or IPv6 address alone.
[[nodiscard]] bool parse_ip(std::string_view text, unsigned short port,
                            struct sockaddr_storage *out, socklen_t *len);

} // namespace wf::detail

#endif
