// Weft - the server machine: the authenticator, which sees the first request before it is handled
// SPDX-License-Identifier: Apache-2.0
//
// In S_AUTHENTICATING the session belongs to the delivery that is to call the authenticator, then
// to the AuthBlock, until an answer takes it out. The connection may end meanwhile, without the
// session: whoever has it finds the state another, and deletes it.
#include <errno.h>
#include <new>
#include <string.h>

#include "kernel/atomics.h"
#include "kernel/entry.h"
#include "workflow/wf/authenticator.h"

namespace wf::detail {

struct AuthBlock {
    struct weft_lock lock = {0}; // a leaf
    CommSession *session;        // NULL once there is an answer; under the lock
    const CommMessageIn *message;
    const CommTarget *peer;
    uint32_t refs = 1; // atomic

    AuthBlock(CommSession *session_in, const CommMessageIn *message_in, const CommTarget *peer_in)
        : session(session_in), message(message_in), peer(peer_in) {}
    CommSession *take() {
        sys_lock(&lock);
        CommSession *taken = session;
        session = nullptr;
        sys_unlock(&lock);
        return taken;
    }
};

} // namespace wf::detail

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

namespace {

// Nobody waits for it any more.
int forget(CommSession *session) {
    delete session;
    errno = ENOENT;
    return -1;
}

} // namespace

bool CommServerMachine::divert(CommSession *session) {
    if (session->end_state_ == TO_AUTHENTICATE) {
        authenticate(session);
        return true;
    }
    return session->end_state_ == CS_STATE_TOREPLY && session->whole_at_ != 0 &&
           drop_if_old(session);
}

// On a worker, with nothing locked.
void CommServerMachine::authenticate(CommSession *session) {
    CommConnEntry *entry = session->entry_;
    CommService *service = entry->service;
    entry->set_lock();
    bool waiting = entry->state == CommConnEntry::S_AUTHENTICATING;
    entry->unlock();
    if (!waiting) {
        session->passive_ = false; // its destructor has nothing to close
        delete session;
        return;
    }
    auto *block = new (std::nothrow) wf::detail::AuthBlock(session, session->in_, session->target_);
    if (!block) {
        end_authentication(session, CCR_NO_MEMORY, ENOMEM);
        return;
    }
    const void *before = *sys_serving();
    *sys_serving() = service;
    service->authenticator_(wf::AuthRequest(block));
    *sys_serving() = before;
}

int CommServerMachine::admit(CommSession *session) {
    CommConnEntry *entry = session->entry_;
    struct mpoller *pool = entry->comm->pool_;
    CommOutcome out;
    entry->set_lock();
    if (entry->state != CommConnEntry::S_AUTHENTICATING) {
        entry->unlock();
        session->passive_ = false;
        return forget(session);
    }
    entry->ref();
    if (!takes_in_hand(entry->service, session)) {
        give_up(entry, CCR_OVERLOADED, EBUSY);
        entry->unlock();
        entry->unref();
        return 0;
    }
    entry->set_state(CommConnEntry::S_SERVING);
    entry->deadline = ENTRY_NEVER;
    entry->timed_out = false; // it was in time after all
    if (entry->service->max_queue_age_ >= 0)
        session->whole_at_ = sys_now();
    // The connection may end before the session is delivered, and the engine with it.
    mpoller_enter(pool);
    entry->unlock();
    out.session = session;
    out.state = CS_STATE_TOREPLY;
    entry->deliver(out, true);
    mpoller_leave(pool);
    entry->unref();
    return 0;
}

int CommServerMachine::refuse(CommSession *session) {
    return end_authentication(session, CCR_REFUSED_AUTH, EACCES);
}

// The session goes, and its connection behind it, unless that has gone before.
int CommServerMachine::end_authentication(CommSession *session, CommCloseReason reason, int error) {
    CommConnEntry *entry = session->entry_;
    entry->set_lock();
    if (entry->state != CommConnEntry::S_AUTHENTICATING) {
        entry->unlock();
        session->passive_ = false;
        return forget(session);
    }
    entry->ref();
    give_up(entry, reason, error);
    entry->unlock();
    entry->unref();
    return 0;
}
