// Weft - what hangs on sessions beside their connection: the cancel block, the watch on the peer
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
};

// To be called once when the peer of a server's connection goes. Owned by the connection, under its
// lock, until it is taken out to be called or freed.
struct PeerWatch {
    std::function<void()> gone;
};

} // namespace wf::detail

#endif
