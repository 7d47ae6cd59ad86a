// Weft - the datagram transport: messages as they are, on a connected datagram socket
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/transport.h"

enum { VECTORS = 1024 }; // the most that one sendmsg takes (UIO_MAXIOV)

static ssize_t datagram_receive(struct weft_link *link, char *buf, size_t size, bool *drained) {
    ssize_t n = sys_recv(link->fd, buf, size);
    *drained = false; // another may wait behind it
    return n == 0 ? TRANSPORT_EMPTY : n;
}

// One message, whole or not at all.
static ssize_t datagram_send(struct weft_link *link, const struct iovec *vectors, int count) {
    if (count <= VECTORS)
        return sys_sendto(link->fd, vectors, count, NULL, 0);
    size_t size = 0, at = 0;
    for (int i = 0; i < count; i++)
        size += vectors[i].iov_len;
    char *copy = malloc(size ? size : 1);
    if (!copy)
        return -1;
    for (int i = 0; i < count; i++) {
        memcpy(copy + at, vectors[i].iov_base, vectors[i].iov_len);
        at += vectors[i].iov_len;
    }
    struct iovec one = {copy, size};
    ssize_t n = sys_sendto(link->fd, &one, 1, NULL, 0);
    int error = errno;
    free(copy);
    errno = error;
    return n;
}

static int datagram_flush(struct weft_link *link) {
    (void)link;
    return 0;
}

static int datagram_finish(struct weft_link *link) {
    (void)link; // there is no end to be told
    return 0;
}

static void datagram_close(struct weft_link *link, bool abortive) {
    (void)abortive;
    sys_close(link->fd);
}

static void datagram_destroy(struct weft_link *link) { (void)link; }

const struct transport transport_datagram = {
    .handshake = NULL,
    .receive = datagram_receive,
    .send = datagram_send,
    .flush = datagram_flush,
    .finish = datagram_finish,
    .close = datagram_close,
    .destroy = datagram_destroy,
    .one_exchange = true,
};
