// Weft public header, room: server - C++20: UdpSocket: datagrams from and to many peers on one socket
// SPDX-License-Identifier: Apache-2.0
//
// Starts, stops, and takes its guard as every server does (WFServer.h): its lists and rates are for
// each datagram. What peers have to do with each other is the program's to know; a peer is its
// address. Datagrams of one peer may be handled at the same time and out of order, as they may
// arrive.
#ifndef WEFT_UDP_SOCKET_H
#define WEFT_UDP_SOCKET_H

#include <functional>
#include <string>
#include <string_view>

#include "../WFServer.h"

namespace wf {

struct UdpPeer {
    struct sockaddr_storage addr = {};
    socklen_t length = 0;

    // Of a literal address. Empty (length 0) when it is none.
    static UdpPeer of(const std::string &host, unsigned short port);
    std::string text() const; // "192.0.2.1:53", "[2001:db8::1]:53"
    bool operator==(const UdpPeer &other) const;
};

class UdpSocket : public WFServerBase {
public:
    UdpSocket();

    // Before start(). On a worker, several at once; it may block. `bytes` is valid during the call
    // and may be empty.
    void on_message(std::function<void(const UdpPeer &from, std::string_view bytes)> function) {
        message_ = std::move(function);
    }

    // While it runs, from any thread. Never waits: what the system does not take waits in a bounded
    // queue, and beyond that is dropped and counted (get_dropped_count()). 0, or -1 with errno:
    // ENOTCONN when it does not run, EMSGSIZE for one that is too long, and what the system says.
    int send(const UdpPeer &to, std::string_view bytes);

private:
    class Session;
    CommSession *new_session(long long seq, CommConnection *conn) override;

    std::function<void(const UdpPeer &, std::string_view)> message_;
};

} // namespace wf

#endif
