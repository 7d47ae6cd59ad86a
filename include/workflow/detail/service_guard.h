// Weft public header, room: kernel - what a service asks of its peers beside the limits of time
// SPDX-License-Identifier: Apache-2.0
//
// The base of CommService. Usable from C++11.
#ifndef WEFT_DETAIL_SERVICE_GUARD_H
#define WEFT_DETAIL_SERVICE_GUARD_H

#include <atomic>
#include <functional>
#include <utility>

namespace wf {

class AuthRequest;

namespace detail {

class ServiceGuard {
public:
    // A request that is not begun to be handled within so many milliseconds from when it was whole,
    // because others were before it in the queue, is dropped: it is answered as one too many is
    // (HTTP: 503; a datagram not at all), and its connection ended (CCR_TOO_OLD). -1, the default:
    // none is too old. At any time.
    void set_max_queue_age(int ms) { this->max_queue_age_ = ms; }
    int get_max_queue_age() const { return this->max_queue_age_; }

    // Before bind. Is shown the first request of each connection before it is handled
    // (wf/authenticator.h); an empty one for none. Not for datagrams: bind fails with EOPNOTSUPP.
    void set_authenticator(std::function<void(AuthRequest)> authenticator) {
        this->authenticator_ = std::move(authenticator);
    }

protected:
    ServiceGuard() : max_queue_age_(-1) {}
    ~ServiceGuard() {}

    std::atomic<int> max_queue_age_;
    std::function<void(AuthRequest)> authenticator_;
};

} // namespace detail
} // namespace wf

#endif
