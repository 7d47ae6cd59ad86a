// Weft - CommListener: the listening descriptor of a bound service
// SPDX-License-Identifier: Apache-2.0
//
// Made by bind(), lives with one poller, and deals what it accepts out to all of them.
// Level-triggered, so a worker that loses the poller while the program looks at a new connection
// leaves nothing behind: whoever drives the poller next is told again. Holds a reference of the
// service as long as it lives, which is until the descriptor is closed, the last accept has
// returned, and the service was unbound.
//
// Out of descriptors is a state, not a spin: the process's reserve (reserve.h) is given up to
// accept the newcomer and close it cleanly; when even that fails, or the reserve is lost to
// somebody else, accepting pauses, for 10 ms at first and up to half a second. Nobody is accepted
// without a reserve.
#ifndef WEFT_SRC_KERNEL_LISTENER_H
#define WEFT_SRC_KERNEL_LISTENER_H

#include "kernel/entry.h"
#include "kernel/metrics.h"

class CommListener : public pollable {
public:
    // Takes fd over. The order that registers it must follow. What is its own ends listening the
    // moment it is stopped; a descriptor that was handed in may be somebody else's too. With `home`
    // it lives there and keeps what it accepts; without, it deals.
    CommListener(Communicator *comm, CommService *service, int fd, bool own,
                 struct weft_poller *home);
    // Opens the listening descriptor of a service; *own when it was not listening before. -1 with
    // errno.
    static int open(CommService *service, bool *own);
    void start();
    virtual ~CommListener() = default;
    // Drops the service's reference.
    void unref() { pollable_unref(this); }
    // Ends listening; any thread.
    void stop(int error);
    // The listeners of one service, from the first on: each holds a reference of the next.
    void append(CommListener *other);
    CommListener *next() const { return next_; }
    // While held nothing is accepted; any thread.
    void hold_all(bool held);
    // Somebody else listens on the same descriptors.
    void share_all();
    bool is_shared() const { return a32_load(&own_) == 0; }
    // One datagram; any thread. -1 with errno.
    virtual ssize_t send_to(const struct iovec *vectors, int count, const struct sockaddr *to,
                            socklen_t len);

protected:
    // Takes one newcomer. False when there is none.
    virtual bool take_one();
    // The descriptor takes bytes, which is asked for as long as wants_write().
    virtual void can_write() {}
    virtual bool wants_write() const { return false; }
    // The engine ends; called by the driver, inside an order.
    virtual void abort_sessions() {}
    // What is asked for has changed.
    void renew_interest();
    void count_dropped() {
        __atomic_fetch_add(&service_->dropped_, 1, __ATOMIC_RELAXED);
        metric_inc(METRIC_DATAGRAMS_DROPPED);
    }
    Communicator *get_comm() const { return comm_; }
    CommService *get_service() const { return service_; }

private:
    static const struct pollable_ops ops;
    static void on_event(struct pollable *node, uint32_t events);
    static void on_release(struct pollable *node);
    static void on_abort(struct pollable *node);
    static void run_start(struct weft_msg *msg, struct weft_poller *poller);
    static void run_stop(struct weft_msg *msg, struct weft_poller *poller);
    static void run_resume(struct weft_msg *msg, struct weft_poller *poller);
    static void run_renew(struct weft_msg *msg, struct weft_poller *poller);
    static void run_ended(struct weft_job *job);
    static void run_let_go(struct weft_job *job);
    uint32_t interest() const {
        return (a32_load(&held_) ? 0u : static_cast<uint32_t>(EPOLLIN)) |
               (wants_write() ? static_cast<uint32_t>(EPOLLOUT) : 0u);
    }
    uint32_t see_interest();
    int share();
    void hold(bool held);
    void take(int conn, const struct sockaddr *addr, socklen_t len);
    void count_starved();
    void end_want();
    void pause();

    template <class Base>
    struct Part : Base {
        CommListener *listener;
    };

    Communicator *comm_;
    CommService *service_;
    uint32_t own_; // atomic
    struct weft_poller *home_;
    CommListener *next_;
    uint32_t held_;    // atomic
    uint32_t stopped_; // atomic: stop was ordered
    int stop_error_;
    uint32_t starved_;  // atomic: accepting is to pause, for want of descriptors
    uint32_t pause_ms_; // atomic
    uint32_t seen_;     // atomic: the interest as the driver has last found it
    uint32_t looks_;    // atomic: the poller's full looks when it last reported
    Part<weft_msg> start_order_;
    Part<weft_msg> stop_order_;
    Part<weft_msg> renew_order_;
    uint32_t renewing_; // atomic: the order is on its way, and holds a reference until let_go_
    Part<weft_poll_timer> resume_;
    Part<weft_job> ended_;
    Part<weft_job> let_go_;
};

#endif
