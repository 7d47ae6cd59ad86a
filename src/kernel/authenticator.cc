// Weft - wf::AuthRequest: the program's end of the server machine's authentication
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/authenticator.h"

#include <errno.h>
#include <string.h>

#include "kernel/entry.h"
#include "kernel/session.h"

namespace wf {

AuthRequest::AuthRequest(const AuthRequest &other) : block_(other.block_) {
    if (block_)
        a32_add(&block_->refs, 1);
}

AuthRequest::~AuthRequest() {
    if (!block_ || a32_sub(&block_->refs, 1) != 1)
        return;
    if (block_->session)
        CommServerMachine::refuse(block_->session);
    delete block_;
}

int AuthRequest::admit() {
    CommSession *session = block_ ? block_->take() : nullptr;
    if (session)
        return CommServerMachine::admit(session);
    errno = ENOENT;
    return -1;
}

int AuthRequest::refuse() {
    CommSession *session = block_ ? block_->take() : nullptr;
    if (session)
        return CommServerMachine::refuse(session);
    errno = ENOENT;
    return -1;
}

const CommMessageIn *AuthRequest::get_message() const {
    if (!block_)
        return nullptr;
    sys_lock(&block_->lock);
    const CommMessageIn *message = block_->session ? block_->message : nullptr;
    sys_unlock(&block_->lock);
    return message;
}

int AuthRequest::get_peer_addr(struct sockaddr *addr, socklen_t *addrlen) const {
    int error = ENOENT;
    if (block_) {
        sys_lock(&block_->lock);
        const struct sockaddr *from;
        socklen_t len;
        if (block_->session) {
            block_->peer->get_addr(&from, &len);
            error = *addrlen < len ? ENOBUFS : 0;
            if (error == 0) {
                memcpy(addr, from, len);
                *addrlen = len;
            }
        }
        sys_unlock(&block_->lock);
    }
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

} // namespace wf
