// Weft - how the options of a service or target get onto a descriptor
// SPDX-License-Identifier: Apache-2.0
//
// Any thread. On Linux an accepted socket has what its listener has, so a server sets them once and
// not for each connection.
#ifndef WEFT_SRC_KERNEL_SOCKET_OPTIONS_H
#define WEFT_SRC_KERNEL_SOCKET_OPTIONS_H

#include "workflow/Communicator.h"

// What they are set on.
struct SocketKind {
    int family;
    bool stream;
    bool datagrams;

    SocketKind(int fd, int family_in);
};

void apply_socket_options(const CommSocketOptions &options, int fd, SocketKind kind);
// -1 with errno when the system has no SO_REUSEPORT for it.
int apply_before_bind(const CommListenOptions &options, int fd, SocketKind kind);
void apply_to_listener(const CommListenOptions &options, int fd, SocketKind kind);

#endif
