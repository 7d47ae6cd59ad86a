// Weft - the server machine: the authenticator, which sees the first request before it is handled
// SPDX-License-Identifier: Apache-2.0
//
// In S_AUTHENTICATING the session belongs to the delivery that is to call the authenticator, then
// to the AuthBlock, until an answer takes it out. The connection may end meanwhile, without the
// session: whoever has it finds the state another, and deletes it.
#include <errno.h>
#include <new>

#include "kernel/entry.h"
#include "kernel/session.h"
#include "workflow/wf/authenticator.h"

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
    out.session = session;
    out.state = CS_STATE_TOREPLY;
    entry->announce(out);
    entry->unlock();
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
