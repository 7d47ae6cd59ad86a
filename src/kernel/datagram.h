// Weft - datagram services: one socket, and a session for each datagram that arrives on it
// SPDX-License-Identifier: Apache-2.0
//
// The socket is a listener whose newcomers are datagrams. Each becomes a connection without a
// descriptor of its own, which goes from S_ACCEPTED to S_SERVING at once, or is dropped: a datagram
// is a whole message or none. What the session sends (pushes, any number, then the reply) goes to
// the sender's address through the socket. What the socket does not take waits in a bounded queue,
// behind which datagrams are dropped and counted, as networks do.
//
// Owners: a session's connection holds a reference of the socket, the socket one of the service.
#ifndef WEFT_SRC_KERNEL_DATAGRAM_H
#define WEFT_SRC_KERNEL_DATAGRAM_H

#include "kernel/listener.h"

class CommDatagramSocket final : public CommListener {
public:
    using CommListener::CommListener;

    // Sends now, or later, or drops. -1 with errno when it cannot be sent at all (EMSGSIZE). Any
    // thread.
    ssize_t send_to(const struct iovec *vectors, int count, const struct sockaddr *to,
                    socklen_t len) override;

private:
    struct Waiting;
    ~CommDatagramSocket() override;
    bool take_one() override;
    void can_write() override;
    void abort_sessions() override;
    bool wants_write() const override { return a32_load(&waiting_count_) > 0; }
    void queue(Waiting *datagram);
    bool send_waiting();

    struct weft_lock lock_ = {0}; // guards the queue
    Waiting *first_ = nullptr;
    Waiting **last_ = &first_;
    size_t waiting_bytes_ = 0;
    uint32_t waiting_count_ = 0; // atomic
};

// What a link of a session's connection knows of its place.
struct datagram_peer {
    CommDatagramSocket *socket; // a counted reference
    const CommTarget *address;
};

class CommDatagramEntry final : public CommServerEntry {
public:
    CommDatagramEntry(Communicator *comm_in, struct weft_poller *home, CommDatagramSocket *socket);

private:
    struct datagram_peer to_;
};

#endif
