// Weft - how sockets are set up: the defaults, and how they get onto a descriptor
// SPDX-License-Identifier: Apache-2.0
#include "kernel/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "kernel/sys.h"

CommSocketOptions::CommSocketOptions()
    : no_delay(true), keep_alive(true), keep_idle(60), keep_interval(15), keep_count(4),
      user_timeout(-1), receive_buffer(-1), send_buffer(-1) {}

CommListenOptions::CommListenOptions()
    : backlog(4096), defer_accept(0), accept_at_once(-1), reuse_port(false), dual_stack(true) {}

namespace {

// What the system does not know it leaves alone.
void set_if(int fd, int level, int name, int value) {
    if (value >= 0)
        sys_setsockopt(fd, level, name, value);
}

bool is_tcp(SocketKind kind) {
    return kind.stream && (kind.family == AF_INET || kind.family == AF_INET6);
}

} // namespace

SocketKind::SocketKind(int fd, int family_in) : family(family_in) {
    int type = sys_socket_type(fd);
    stream = type == SOCK_STREAM;
    datagrams = type == SOCK_DGRAM;
}

void apply_socket_options(const CommSocketOptions &options, int fd, SocketKind kind) {
    set_if(fd, SOL_SOCKET, SO_RCVBUF, options.receive_buffer);
    set_if(fd, SOL_SOCKET, SO_SNDBUF, options.send_buffer);
    if (!is_tcp(kind))
        return;
    set_if(fd, IPPROTO_TCP, TCP_NODELAY, options.no_delay ? 1 : 0);
    if (options.keep_alive) {
        set_if(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set_if(fd, IPPROTO_TCP, TCP_KEEPIDLE, options.keep_idle);
        set_if(fd, IPPROTO_TCP, TCP_KEEPINTVL, options.keep_interval);
        set_if(fd, IPPROTO_TCP, TCP_KEEPCNT, options.keep_count);
    }
    set_if(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options.user_timeout);
}

int apply_before_bind(const CommListenOptions &options, int fd, SocketKind kind) {
    if (kind.family == AF_INET6)
        sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, options.dual_stack ? 0 : 1);
    return options.reuse_port ? sys_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, 1) : 0;
}

void apply_to_listener(const CommListenOptions &options, int fd, SocketKind kind) {
    if (is_tcp(kind) && options.defer_accept > 0)
        sys_setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, options.defer_accept);
}
