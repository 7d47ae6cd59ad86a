// Weft public header, room: kernel - filters that see the first bytes of a connection, and the PROXY protocol
// SPDX-License-Identifier: Apache-2.0
//
// A server with a filter shows it the first bytes of each connection, before TLS and before any
// message. The filter may take some of them away, say where the peer really is, or refuse. Not for
// datagrams. Usable from C++11.
#ifndef WEFT_FILTER_H
#define WEFT_FILTER_H

#include <stddef.h>
#include <string>
#include <sys/socket.h>

#include "guard.h"

namespace wf {

// What a filter has found out.
struct FilterResult {
    size_t taken; // so many bytes are the filter's; what follows is the connection's
    // In: where the connection comes from. A filter that tells addresses changes both.
    struct sockaddr_storage addr;
    socklen_t addrlen;
};

enum FilterVerdict {
    FILTER_MORE,   // not enough has come
    FILTER_PASS,   // the connection goes on behind result->taken
    FILTER_REFUSE, // it is closed without a word (CCR_REFUSED_FILTER)
};

// Shared by all connections of its servers, so it keeps nothing of one between calls. Its functions
// run on workers, several at once.
class ConnectionFilter {
public:
    virtual ~ConnectionFilter() {}
    // `bytes`: all that has come so far, at least one, at most max_bytes(). Called anew with all of
    // them when more has come. Asking for more than max_bytes(), or when the peer has ended, is a
    // refusal. All must have come within the time to the first byte.
    virtual enum FilterVerdict look(const void *bytes, size_t size,
                                    struct FilterResult *result) = 0;
    virtual size_t max_bytes() const = 0;
    // Whether it says where peers are. Then a guard is asked behind it, about that address.
    virtual bool tells_address() const { return false; }
};

// The header that proxies put in front of a connection, in both versions (haproxy.org,
// proxy-protocol.txt). Without one, or with a wrong one, a connection is refused: it must not be
// guessed. What is proxied for nobody (LOCAL, UNKNOWN), or from a Unix socket, keeps the proxy's
// address.
class ProxyProtocol : public ConnectionFilter {
public:
    // Who is believed, as blocks (wf/guard.h); others are refused. Nobody named: everybody. Peers
    // on a Unix socket always are. -1 with EINVAL for what is no block.
    int trust(const std::string &block) { return this->trusted_.allow(block); }

    enum FilterVerdict look(const void *bytes, size_t size, struct FilterResult *result) override;
    size_t max_bytes() const override;
    bool tells_address() const override { return true; }

private:
    Guard trusted_;
};

} // namespace wf

#endif
