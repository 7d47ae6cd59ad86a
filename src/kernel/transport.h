// Weft - transport: how bytes move on one connected descriptor
// SPDX-License-Identifier: Apache-2.0
//
// Chosen when a connection is made, and never asked about afterwards. Functions are non-blocking
// and answer as the system's own do: -1 and errno, EAGAIN when the descriptor must be waited for, 0
// for the end of the peer's sending. Called under the lock of the connection, from any thread.
#ifndef WEFT_SRC_KERNEL_TRANSPORT_H
#define WEFT_SRC_KERNEL_TRANSPORT_H

#include "kernel/poller.h"

#ifdef __cplusplus
extern "C" {
#endif

struct transport {
    ssize_t (*receive)(struct pollable *node, char *buf, size_t size);
    ssize_t (*send)(struct pollable *node, const struct iovec *vectors, int count);
    // Ends our sending; the peer's goes on.
    int (*finish)(struct pollable *node);
};

// Bytes as they are, on a stream socket.
extern const struct transport transport_plain;

#ifdef __cplusplus
}
#endif

#endif
