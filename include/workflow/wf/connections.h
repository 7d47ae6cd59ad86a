// Weft public header, room: kernel - what is known of each connection of a server
// SPDX-License-Identifier: Apache-2.0
//
// Usable from C++11. See CommService::get_connections(), which servers have too.
#ifndef WEFT_CONNECTIONS_H
#define WEFT_CONNECTIONS_H

#include <stdint.h>
#include <sys/socket.h>

namespace wf {

struct ConnectionInfo {
    struct sockaddr_storage peer;
    socklen_t peer_length; // 0 when there is no address
    const char *state;     // "awaiting", "receiving", "serving", "replying" and so on
    int64_t age;           // ms since it was accepted, to some 70 ms
    int64_t since;         // ms it waits for a request, or the present one takes; -1: neither
    int64_t requests;      // that it had answered
    bool tls;
};

} // namespace wf

#endif
