// Weft - the server machine: who and what is let in: guard, filter, and the limit on requests
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <errno.h>
#include <string.h>

#include "kernel/channel.h"
#include "workflow/wf/filter.h"
#include "workflow/wf/guard.h"

// Whether the guard lets a newcomer in; else that is counted. *counted: it has a place, which must
// be given back. NULL for a datagram, which takes none.
bool CommServerMachine::is_admitted(CommService *service, const struct sockaddr *from,
                                    socklen_t len, bool *counted) {
    if (!service->guard_)
        return true;
    CommCloseReason refused = service->guard_->admit(from, len, counted);
    if (refused != CCR_COUNT)
        count(service, refused);
    return refused == CCR_COUNT;
}

// A descriptor that becomes no connection after all.
void CommServerMachine::turn_away(CommService *service, CommCloseReason reason, int fd,
                                  const struct sockaddr *from, socklen_t len, bool counted) {
    if (counted)
        service->guard_->leave(from, len);
    count(service, reason);
    sys_close(fd);
}

bool CommServerMachine::asks_guard_later(const CommService *service) {
    return service->filter_ && service->filter_->tells_address();
}

// The last reference is gone, and the peer's place with it.
void CommServerMachine::give_place_back(CommServerEntry *entry) {
    const struct sockaddr *from;
    socklen_t len;
    if (!entry->admitted)
        return;
    entry->peer.get_addr(&from, &len);
    entry->service->guard_->leave(from, len);
}

// What follows accept, and the filter if there is one.
void CommServerMachine::begin(CommConnEntry *entry) {
    CommService *service = entry->service;
    if (!service->ssl_ctx_) {
        await(entry);
        return;
    }
    entry->set_state(CommConnEntry::S_HANDSHAKING);
    set_first_deadline(entry, entry_after(sys_now(), service->ssl_accept_timeout_));
}

// Bytes may come: requests, or those of a channel.
void CommServerMachine::await(CommConnEntry *entry) {
    CommService *service = entry->service;
    if (service->channels_) {
        CommChannelMachine::open(entry);
        return;
    }
    entry->set_state(CommConnEntry::S_AWAITING);
    set_first_deadline(entry, entry_after(sys_now(), service->limits_.first_byte_timeout));
}

// The bytes stay with the system until the filter has said how many are its own: what follows them
// belongs to the transport.
bool CommServerMachine::filter(CommConnEntry *entry) {
    wf::ConnectionFilter *filter = entry->service->filter_.get();
    char *buf = worker_buffer();
    if (!buf) {
        entry->want_job();
        return false;
    }
    wf::FilterResult result = {};
    const struct sockaddr *from;
    static_cast<CommServerEntry *>(entry)->peer.get_addr(&from, &result.addrlen);
    memcpy(&result.addr, from, result.addrlen);
    entry->busy = true;
    entry->readable = false;
    bool ended = entry->hangup;
    entry->unlock();
    sys_point(SYS_POINT_USER_CODE);
    size_t most = std::min<size_t>(std::max<size_t>(filter->max_bytes(), 1), WORKER_BUFFER);
    ssize_t n = sys_peek(entry->fd, buf, most);
    int error = errno;
    wf::FilterVerdict verdict = wf::FILTER_MORE;
    if (n > 0)
        verdict = filter->look(buf, static_cast<size_t>(n), &result);
    entry->set_lock();
    entry->busy = false;
    if (n < 0 && error == EINTR) {
        entry->readable = true;
    } else if (n == 0 || (n < 0 && error != EAGAIN)) {
        close(entry, n == 0 ? CCR_PEER_CLOSED : CCR_PEER_RESET);
    } else if (verdict == wf::FILTER_PASS && result.taken <= static_cast<size_t>(n)) {
        pass(entry, buf, result);
    } else if (n > 0 && (verdict != wf::FILTER_MORE || ended || static_cast<size_t>(n) >= most)) {
        close(entry, CCR_REFUSED_FILTER);
    }
    if (entry->state == CommConnEntry::S_FILTERING && entry->service->draining_)
        close_idle(entry, CCR_DRAINED); // unbound meanwhile, when this one was busy
    return true;
}

void CommServerMachine::pass(CommConnEntry *entry, char *buf, const wf::FilterResult &result) {
    CommServerEntry *server = static_cast<CommServerEntry *>(entry);
    CommService *service = entry->service;
    for (size_t taken = 0; taken < result.taken;) {
        ssize_t n = sys_recv(entry->fd, buf, result.taken - taken);
        if (n > 0) {
            taken += static_cast<size_t>(n);
        } else if (n == 0 || errno != EINTR) { // they were there a moment ago
            close(entry, CCR_PEER_RESET);
            return;
        }
    }
    const struct sockaddr *addr = reinterpret_cast<const struct sockaddr *>(&result.addr);
    if (asks_guard_later(service)) {
        server->peer.set(entry, addr, result.addrlen);
        bool counted = false;
        CommCloseReason refused =
            service->guard_ ? service->guard_->admit(addr, result.addrlen, &counted) : CCR_COUNT;
        entry->admitted = counted;
        if (refused != CCR_COUNT) {
            close(entry, refused);
            return;
        }
    }
    entry->timed_out = false; // it was in time after all
    entry->readable = true;   // what follows may be here already
    begin(entry);
    if (service->draining_) // unbound meanwhile, when this one was busy
        close_idle(entry, CCR_DRAINED);
}

// Whether a request that is complete is one of those that may be in hand.
bool CommServerMachine::takes_in_hand(CommService *service, CommSession *session) {
    size_t most = service->max_requests_.load(std::memory_order_relaxed);
    if (most == 0)
        return true;
    session->in_hand_ = service->requests_++ < most;
    if (!session->in_hand_)
        service->requests_--;
    return session->in_hand_;
}
