// Weft - RouteTarget, and targets by transport
// SPDX-License-Identifier: Apache-2.0
#include "nameservice/route_target.h"

#include <errno.h>
#include <netinet/in.h>
#include <new>
#include <string.h>

#include "nameservice/address_list.h"
#include "nameservice/route_entry.h"

// A context comes from a program that has OpenSSL. One that has not must not load it because of us:
// so these are found where it is there, and asked for by nothing.
#pragma weak SSL_CTX_up_ref
#pragma weak SSL_CTX_free
#pragma weak SSL_ctrl

RouteManager::RouteTarget::RouteTarget() : state(0), entry_(nullptr), leaving_(false) {}

int RouteManager::RouteTarget::init(const struct sockaddr *addr_in, socklen_t len, SSL_CTX *ctx,
                                    int connecting, int handshaking, int responding,
                                    size_t max_connections) {
    int ret = this->CommSchedTarget::init(addr_in, len, ctx, connecting, handshaking, responding,
                                          max_connections);
    if (ret >= 0 && ctx)
        SSL_CTX_up_ref(ctx);
    return ret;
}

void RouteManager::RouteTarget::deinit() {
    SSL_CTX *ctx = this->get_ssl_ctx();
    this->CommSchedTarget::deinit();
    if (ctx)
        SSL_CTX_free(ctx);
}

void RouteManager::RouteTarget::release() {
    this->CommSchedTarget::release();
    if (leaving_.load(std::memory_order_relaxed))
        entry_->settle(this);
}

CommConnection *RouteManager::RouteTarget::new_connection(int) {
    return new (std::nothrow) WFConnection;
}

namespace wf::detail {

namespace {

int set_server_name(SSL *ssl, const std::string &name) {
    if (name.empty())
        return 0;
    return SSL_set_tlsext_host_name(ssl, const_cast<char *>(name.c_str())) == 1 ? 0 : -1;
}

// Other sockets than the kernel's stream sockets.
class SocketTarget : public RouteManager::RouteTarget {
public:
    SocketTarget(int type, int protocol) : type_(type), protocol_(protocol) {}

private:
    int create_connect_fd() override {
        const struct sockaddr *remote;
        socklen_t len;
        this->get_addr(&remote, &len);
        return socket(remote->sa_family, type_ | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol_);
    }

    const int type_;
    const int protocol_;
};

class TlsTarget final : public RouteManager::RouteTarget {
public:
    explicit TlsTarget(const std::string &server_name) : server_name_(server_name) {}

private:
    int init_ssl(SSL *ssl) override { return set_server_name(ssl, server_name_); }

    const std::string server_name_;
};

class SctpTlsTarget final : public SocketTarget {
public:
    explicit SctpTlsTarget(const std::string &server_name)
        : SocketTarget(SOCK_STREAM, IPPROTO_SCTP), server_name_(server_name) {}

private:
    int init_ssl(SSL *ssl) override { return set_server_name(ssl, server_name_); }

    const std::string server_name_;
};

std::string askable_name(const std::string &name) {
    struct sockaddr_storage addr;
    socklen_t len;
    bool literal = name.empty() || name[0] == '/' || parse_ip(name, 0, &addr, &len);
    return literal ? std::string() : name;
}

} // namespace

RouteManager::RouteTarget *make_route_target(enum TransportType type,
                                             const std::string &server_name) {
    switch (type) {
    case TT_TCP:
        return new RouteManager::RouteTarget;
    case TT_UDP:
        return new SocketTarget(SOCK_DGRAM, 0);
    case TT_SCTP:
        return new SocketTarget(SOCK_STREAM, IPPROTO_SCTP);
    case TT_TCP_SSL:
        return new TlsTarget(askable_name(server_name));
    case TT_SCTP_SSL:
        return new SctpTlsTarget(askable_name(server_name));
    }
    errno = EINVAL;
    return nullptr;
}

} // namespace wf::detail
