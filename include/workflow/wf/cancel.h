// Weft public header, room: kernel - handles by which a request can be cancelled from anywhere
// SPDX-License-Identifier: Apache-2.0
//
// A task owns itself and is gone when its callback has returned, so a pointer to it is no way to
// reach it later. A handle is: it outlives the task and then finds nothing. Any thread, any moment.
// Usable from C++11.
#ifndef WEFT_CANCEL_H
#define WEFT_CANCEL_H

#include <stddef.h>
#include <utility>

class CommSession;

namespace wf {

class CancelHandle;

namespace detail {
struct CancelBlock;
// What cancel() does, with an error of one's own.
int cancel_session(const CancelHandle &handle, int error);
bool session_is_there(const CancelHandle &handle);
} // namespace detail

class CancelHandle {
public:
    CancelHandle() : block_(NULL) {}
    CancelHandle(const CancelHandle &other);
    CancelHandle(CancelHandle &&other) noexcept : block_(other.block_) { other.block_ = NULL; }
    CancelHandle &operator=(CancelHandle other) {
        std::swap(this->block_, other.block_);
        return *this;
    }
    ~CancelHandle();

private:
    explicit CancelHandle(detail::CancelBlock *block) : block_(block) {}

    detail::CancelBlock *block_; // a counted reference
    friend class ::CommSession;
    friend int detail::cancel_session(const CancelHandle &handle, int error);
    friend bool detail::session_is_there(const CancelHandle &handle);
};

// Ends a client's request early: its callback gets the state of an error and ECANCELED, exactly
// once, as soon as a worker is there to run it. Looking up a name, waiting for a connection,
// connecting, shaking hands, sending or receiving, all end alike, and the connection is closed.
// Before the task was started it is remembered, and takes effect at the start. 0 when it will end
// so; -1 with ENOENT when the task is gone, or its result was fixed before; it is not retried then.
// A name service policy of the program's own comes to its own end first.
int cancel(const CancelHandle &handle);

} // namespace wf

#endif
