// Weft - UdpSocket: datagrams from and to many peers
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/udp_socket.h"

#include <algorithm>
#include <arpa/inet.h>
#include <errno.h>
#include <new>
#include <string.h>

namespace wf {

namespace {

constexpr struct WFServerParams datagrams() {
    struct WFServerParams params = SERVER_PARAMS_DEFAULT;
    params.transport_type = TT_UDP;
    return params;
}

constexpr struct WFServerParams UDP_PARAMS = datagrams();

// One datagram, as it came.
class Bytes final : public CommMessageIn {
public:
    std::string text;

private:
    int append(const void *buf, size_t *size) override {
        text.assign(static_cast<const char *>(buf), *size);
        return 1;
    }
};

} // namespace

// What the kernel makes of a datagram; it is over when the program has seen it.
class UdpSocket::Session final : public CommSession {
public:
    explicit Session(UdpSocket *socket) : socket_(socket) {}

private:
    CommMessageOut *message_out() override { return nullptr; }
    CommMessageIn *message_in() override { return &bytes_; }
    void handle(int state, int) override {
        if (state == CS_STATE_TOREPLY && socket_->message_) {
            UdpPeer from;
            const struct sockaddr *addr;
            this->get_target()->get_addr(&addr, &from.length);
            from.length = std::min<socklen_t>(from.length, sizeof from.addr);
            memcpy(&from.addr, addr, from.length);
            socket_->message_(from, bytes_.text);
        }
        delete this;
    }

    UdpSocket *const socket_;
    Bytes bytes_;
};

UdpPeer UdpPeer::of(const std::string &host, unsigned short port) {
    UdpPeer peer;
    auto *in = reinterpret_cast<struct sockaddr_in *>(&peer.addr);
    auto *in6 = reinterpret_cast<struct sockaddr_in6 *>(&peer.addr);
    if (inet_pton(AF_INET, host.c_str(), &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        peer.length = sizeof *in;
    } else if (inet_pton(AF_INET6, host.c_str(), &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        peer.length = sizeof *in6;
    }
    return peer;
}

std::string UdpPeer::text() const {
    char host[INET6_ADDRSTRLEN] = "";
    if (addr.ss_family == AF_INET) {
        const auto *in = reinterpret_cast<const struct sockaddr_in *>(&addr);
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        return std::string(host) + ":" + std::to_string(ntohs(in->sin_port));
    }
    if (addr.ss_family != AF_INET6)
        return "";
    const auto *in6 = reinterpret_cast<const struct sockaddr_in6 *>(&addr);
    inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
    return "[" + std::string(host) + "]:" + std::to_string(ntohs(in6->sin6_port));
}

bool UdpPeer::operator==(const UdpPeer &other) const {
    if (addr.ss_family != other.addr.ss_family)
        return false;
    if (addr.ss_family == AF_INET) {
        const auto *a = reinterpret_cast<const struct sockaddr_in *>(&addr);
        const auto *b = reinterpret_cast<const struct sockaddr_in *>(&other.addr);
        return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
    }
    const auto *a = reinterpret_cast<const struct sockaddr_in6 *>(&addr);
    const auto *b = reinterpret_cast<const struct sockaddr_in6 *>(&other.addr);
    return a->sin6_port == b->sin6_port && a->sin6_scope_id == b->sin6_scope_id &&
           memcmp(&a->sin6_addr, &b->sin6_addr, sizeof a->sin6_addr) == 0;
}

UdpSocket::UdpSocket() : WFServerBase(&UDP_PARAMS) {}

CommSession *UdpSocket::new_session(long long, CommConnection *) {
    return new (std::nothrow) Session(this);
}

int UdpSocket::send(const UdpPeer &to, std::string_view bytes) {
    errno = EINVAL;
    if (to.length == 0)
        return -1;
    return this->send_datagram(bytes.data(), bytes.size(),
                               reinterpret_cast<const struct sockaddr *>(&to.addr), to.length);
}

} // namespace wf
