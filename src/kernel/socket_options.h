// Weft - how the options of a service or target get onto a descriptor
// SPDX-License-Identifier: Apache-2.0
//
// Any thread. On Linux an accepted socket has what its listener has, so a server sets them once and
// not for each connection.
#ifndef WEFT_SRC_KERNEL_SOCKET_OPTIONS_H
#define WEFT_SRC_KERNEL_SOCKET_OPTIONS_H

#include "workflow/Communicator.h"

void apply_socket_options(const CommSocketOptions &options, int fd, int family);
// -1 with errno when the system has no SO_REUSEPORT for it.
int apply_before_bind(const CommListenOptions &options, int fd, int family);
void apply_to_listener(const CommListenOptions &options, int fd, int family);

#endif
