// Weft - the plain transport: bytes as they are, on a stream socket
// SPDX-License-Identifier: Apache-2.0
#include "kernel/transport.h"

static ssize_t plain_receive(struct pollable *node, char *buf, size_t size) {
    return sys_recv(node->fd, buf, size);
}

static ssize_t plain_send(struct pollable *node, const struct iovec *vectors, int count) {
    return sys_sendv(node->fd, vectors, count);
}

static int plain_finish(struct pollable *node) { return sys_shutdown(node->fd, SHUT_WR); }

const struct transport transport_plain = {plain_receive, plain_send, plain_finish};
