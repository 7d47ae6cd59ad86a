// Weft - what hangs on sessions beside their connection: blocks of handles, the watch on the peer
// SPDX-License-Identifier: Apache-2.0
//
// A cancel block belongs to one session and all handles of it together; its lock makes sure that
// the session is there while it is cancelled. Lock order: CancelBlock::lock, CommSession::lock_;
// the locks of connections and targets only when that last one is free again.
#ifndef WEFT_SRC_KERNEL_SESSION_H
#define WEFT_SRC_KERNEL_SESSION_H

#include <functional>

#include "kernel/atomics.h"
#include "kernel/sys.h"
#include "workflow/Communicator.h"
#include "workflow/wf/cancel.h"

namespace wf::detail {

struct CancelBlock {
    struct weft_lock lock = {0};
    CommSession *session; // NULL once it is gone; under the lock
    uint32_t refs = 1;    // atomic

    explicit CancelBlock(CommSession *session_in) : session(session_in) {}
    void unref() {
        if (a32_sub(&refs, 1) == 1)
            delete this;
    }
    static CancelHandle handle_of(CommSession *session) { return session->get_cancel_handle(); }
};

// To be called once when the peer of a server's connection goes. Owned by the connection, under its
// lock, until it is taken out to be called or freed.
struct PeerWatch {
    std::function<void()> gone;
};

// What all copies of a wf::AuthRequest share. It owns the session until there is an answer. Its
// lock is a leaf.
struct AuthBlock {
    struct weft_lock lock = {0};
    CommSession *session; // NULL once there is an answer; under the lock
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

#endif
