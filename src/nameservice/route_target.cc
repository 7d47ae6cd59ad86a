// Weft - RouteTarget, and targets by transport
// SPDX-License-Identifier: Apache-2.0
#include "nameservice/route_target.h"

#include <errno.h>
#include <netinet/in.h>
#include <new>
#include <string.h>

#include "kernel/openssl.h"
#include "kernel/tls_context.h"
#include "nameservice/route_entry.h"

RouteManager::RouteTarget::RouteTarget() : state(0), entry_(nullptr), leaving_(false) {}

int RouteManager::RouteTarget::init(const struct sockaddr *addr_in, socklen_t len, SSL_CTX *ctx,
                                    int connecting, int handshaking, int responding,
                                    size_t max_connections) {
    if (ctx && openssl_load() < 0)
        return -1;
    int ret = this->CommSchedTarget::init(addr_in, len, ctx, connecting, handshaking, responding,
                                          max_connections);
    if (ret >= 0 && ctx)
        openssl.SSL_CTX_up_ref(ctx);
    return ret;
}

void RouteManager::RouteTarget::deinit() {
    SSL_CTX *ctx = this->get_ssl_ctx();
    this->CommSchedTarget::deinit();
    if (ctx)
        openssl.SSL_CTX_free(ctx);
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

int expect(const CommTarget &target, SSL *ssl, const std::string &host) {
    const struct sockaddr *addr;
    socklen_t len;
    target.get_addr(&addr, &len);
    return tls_expect_peer(ssl, host, addr);
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
    explicit TlsTarget(const std::string &host) : host_(host) {}

private:
    int init_ssl(SSL *ssl) override { return expect(*this, ssl, host_); }

    const std::string host_;
};

class SctpTlsTarget final : public SocketTarget {
public:
    explicit SctpTlsTarget(const std::string &host)
        : SocketTarget(SOCK_STREAM, IPPROTO_SCTP), host_(host) {}

private:
    int init_ssl(SSL *ssl) override { return expect(*this, ssl, host_); }

    const std::string host_;
};

} // namespace

RouteManager::RouteTarget *make_route_target(enum TransportType type, const std::string &host) {
    switch (type) {
    case TT_TCP:
        return new RouteManager::RouteTarget;
    case TT_UDP:
        return new SocketTarget(SOCK_DGRAM, 0);
    case TT_SCTP:
        return new SocketTarget(SOCK_STREAM, IPPROTO_SCTP);
    case TT_TCP_SSL:
        return new TlsTarget(host);
    case TT_SCTP_SSL:
        return new SctpTlsTarget(host);
    }
    errno = EINVAL;
    return nullptr;
}

} // namespace wf::detail
