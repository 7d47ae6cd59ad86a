// Weft - transport: how bytes move on one connected descriptor
// SPDX-License-Identifier: Apache-2.0
//
// Chosen when a connection is made, and never asked about afterwards. Functions are non-blocking
// and answer as the system's own do: -1 and errno, EAGAIN when the descriptor must be waited for, 0
// for the end of the peer's sending; a transport that has errors of its own says so in `error`.
// Called under the lock of the connection, from any thread, but for `handshake`: that one may run
// the program's code, and so the connection is busy then and not locked.
//
// A transport may take bytes that the system does not take at once. It holds them back (`held` > 0)
// until flush(); while it does, send() answers EAGAIN. Holding is not waiting: nothing that was
// taken is asked for again.
#ifndef WEFT_SRC_KERNEL_TRANSPORT_H
#define WEFT_SRC_KERNEL_TRANSPORT_H

#include "kernel/sys.h"

#ifdef __cplusplus
extern "C" {
#endif

struct datagram_peer;
struct tls;
struct transport;

// What receive() answers for a message without bytes, which only datagrams can be.
enum { TRANSPORT_EMPTY = -2 };

// One connected descriptor, embedded in its connection. The descriptor is the connection's.
struct weft_link {
    const struct transport *ops;
    union {
        struct tls *tls;            // owned; NULL on plain links
        struct datagram_peer *peer; // of datagram.h; part of the connection
    };
    uint32_t held;
    int fd;
    // Of the last failure: 0, or what SSL_get_error() said, and then errno says nothing.
    int error;
};

struct transport {
    // Goes on with what must be agreed upon before bytes can move. 0 when that is done. NULL: it
    // always is.
    int (*handshake)(struct weft_link *link);
    // *drained: nothing more can be had until the descriptor reports again, as long as no end of
    // the stream was reported.
    ssize_t (*receive)(struct weft_link *link, char *buf, size_t size, bool *drained);
    ssize_t (*send)(struct weft_link *link, const struct iovec *vectors, int count);
    // Gives the system what is held. 0 when nothing is left.
    int (*flush)(struct weft_link *link);
    // Ends our sending, behind what is held; the peer's goes on.
    int (*finish)(struct weft_link *link);
    // Closes the descriptor, if it is the connection's own; last words are sent and not waited for.
    // Abortive: the peer sees a reset.
    void (*close)(struct weft_link *link, bool abortive);
    void (*destroy)(struct weft_link *link);
    // What comes late for one request could not be told from the answer to the next: so a client
    // makes a link for each.
    bool one_exchange;
};

// Bytes as they are, on a stream socket.
extern const struct transport transport_plain;
// Messages as they are, on a connected datagram socket: each send is one, each receive is one.
extern const struct transport transport_datagram;

static inline void link_init(struct weft_link *link, int fd) {
    link->ops = &transport_plain;
    link->tls = NULL;
    link->held = 0;
    link->fd = fd;
    link->error = 0;
}

#ifdef __cplusplus
}
#endif

#endif
