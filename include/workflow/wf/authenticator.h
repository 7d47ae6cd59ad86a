// Weft public header, room: kernel - a hook that decides about a connection by its first request
// SPDX-License-Identifier: Apache-2.0
//
// A server with an authenticator (set_authenticator(), before start) does not handle the first
// request of a connection: it calls the authenticator with it, on a worker. Until that says yes
// nothing of the connection is handled; what comes meanwhile waits, at most 64 KiB. The answer may
// be given at once or later, from any thread, within CommServiceLimits::authentication_timeout,
// behind which the connection is closed without a word (CCR_AUTH_TIMEOUT). After admit() that first
// request is handled as any other, and all that follow on the connection are not shown again.
//
// The handle is counted. When the last copy goes without an answer, the peer is refused. As long
// as there is one, the server has not ended: wait_finish() waits for it. Usable from C++11.
#ifndef WEFT_AUTHENTICATOR_H
#define WEFT_AUTHENTICATOR_H

#include <functional>
#include <stddef.h>
#include <sys/socket.h>
#include <utility>

#include "../Communicator.h"

class CommServerMachine;

namespace wf {

namespace detail {
struct AuthBlock;
}

class AuthRequest {
public:
    AuthRequest() : block_(NULL) {}
    AuthRequest(const AuthRequest &other);
    AuthRequest(AuthRequest &&other) noexcept : block_(other.block_) { other.block_ = NULL; }
    AuthRequest &operator=(AuthRequest other) {
        std::swap(this->block_, other.block_);
        return *this;
    }
    ~AuthRequest();

    // The first answer counts. 0; or -1 with ENOENT when there was one before, or the peer has
    // gone, or time was up: nothing happens then. Refused, the peer is told what its protocol has
    // for that (HTTP: 403), and its connection is closed (CCR_REFUSED_AUTH).
    int admit();
    int refuse();

    // The whole request: of an HTTP server it is a protocol::HttpRequest. Valid until an answer is
    // given, or the last copy is gone, whatever becomes of the peer; behind the answer NULL.
    const CommMessageIn *get_message() const;
    // -1 with ENOENT behind the answer, with ENOBUFS when there is no room for it. *addrlen: the
    // room, then what was used of it; 0 for a peer without a name (Unix sockets).
    int get_peer_addr(struct sockaddr *addr, socklen_t *addrlen) const;

private:
    explicit AuthRequest(detail::AuthBlock *block) : block_(block) {}

    detail::AuthBlock *block_; // a counted reference
    friend class ::CommServerMachine;
};

typedef std::function<void(AuthRequest)> Authenticator;

} // namespace wf

#endif
