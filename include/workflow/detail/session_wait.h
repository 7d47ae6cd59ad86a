// Weft public header, room: kernel - what a session waits in before it has a connection
// SPDX-License-Identifier: Apache-2.0
//
// In line at a full target, for the answer to a look-up, or with a thread blocked: at most one of
// these at a time. Whoever makes such a place announces it to the session, and takes it back before
// the place goes; so a cancel finds the session wherever it waits.
#ifndef WEFT_DETAIL_SESSION_WAIT_H
#define WEFT_DETAIL_SESSION_WAIT_H

namespace wf {
namespace detail {

class SessionWait {
public:
    // The session was cancelled: end the wait, soon, on whatever thread belongs to it. Called under
    // the session's lock, on any thread; calls no code of the program.
    virtual void interrupt() = 0;

protected:
    SessionWait() {}
    SessionWait(const SessionWait &) {}
    ~SessionWait() {}
};

} // namespace detail
} // namespace wf

#endif
