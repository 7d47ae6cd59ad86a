// Weft - the plain transport: bytes as they are, on a stream socket
// SPDX-License-Identifier: Apache-2.0
#include "kernel/transport.h"

static ssize_t plain_receive(struct weft_link *link, char *buf, size_t size, bool *drained) {
    ssize_t n = sys_recv(link->fd, buf, size);
    *drained = n >= 0 && (size_t)n < size;
    return n;
}

enum { VECTORS = 1024 }; // the most that one sendmsg takes (UIO_MAXIOV)

static ssize_t plain_send(struct weft_link *link, const struct iovec *vectors, int count) {
    return sys_sendv(link->fd, vectors, count < VECTORS ? count : VECTORS);
}

static int plain_flush(struct weft_link *link) {
    (void)link; // never holds anything
    return 0;
}

static int plain_finish(struct weft_link *link) { return sys_shutdown(link->fd, SHUT_WR); }

static void plain_close(struct weft_link *link, bool abortive) {
    if (abortive)
        sys_set_abortive(link->fd);
    sys_close(link->fd);
}

static void plain_destroy(struct weft_link *link) { (void)link; }

const struct transport transport_plain = {
    .handshake = NULL,
    .receive = plain_receive,
    .send = plain_send,
    .flush = plain_flush,
    .finish = plain_finish,
    .close = plain_close,
    .destroy = plain_destroy,
    .one_exchange = false,
};
