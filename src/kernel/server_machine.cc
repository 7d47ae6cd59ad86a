// Weft - the server machine: one accepted connection, from accept to close
// SPDX-License-Identifier: Apache-2.0
//
// | state       | what is true                                            | deadline                 |
// |-------------|---------------------------------------------------------|--------------------------|
// | S_ACCEPTED  | known to nobody but the thread that accepted it         | -                        |
// | S_AWAITING  | no session; fresh (seq 0) or kept alive                 | first byte or keep-alive |
// | S_RECEIVING | a session takes bytes, and has not been shown to anyone | block, whole, head or    |
// |             |                                                         | minimum rate             |
// | S_SERVING   | the session is with the program; what comes is buffered | -                        |
// | S_REPLYING  | the session is being answered                           | send; each block:        |
// |             |                                                         | response                 |
// | S_LINGERING | our side is shut; what comes is thrown away             | 2 s idle, 10 s in all    |
// | S_CLOSING   | the poller closes the descriptor                        | -                        |
//
// Requests that arrive behind the present one wait in `input`, at most 64 KiB, and are served in
// order; beyond that the socket is not read. A peer that ends its sending is still answered.
#include <errno.h>
#include <netinet/tcp.h>
#include <new>
#include <stdlib.h>
#include <string.h>

#include "kernel/entry.h"
#include "kernel/log.h"

namespace {

constexpr int MAX_READS = 16;
constexpr int LINGER_IDLE_MS = 2000;
constexpr int LINGER_MS = 10000;
constexpr uint64_t RATE_GRACE_NS = 5'000'000'000u;

uint64_t ms_after(int ms) { return entry_after(sys_now(), ms); }

void count_close(CommService *service, uint64_t *counts, CommCloseReason reason) {
    (void)service;
    __atomic_fetch_add(&counts[reason], 1, __ATOMIC_RELAXED);
}

} // namespace

const struct pollable_ops CommServerMachine::ops = {on_event, on_release, CommConnEntry::on_abort};

void CommPeer::set(CommConnEntry *owner_in, const struct sockaddr *from, socklen_t len) {
    room_ = {};
    memcpy(&room_, from, len < sizeof room_ ? len : sizeof room_);
    addr_ = reinterpret_cast<struct sockaddr *>(&room_);
    addrlen_ = len < sizeof room_ ? len : static_cast<socklen_t>(sizeof room_);
    owner_ = owner_in;
}

CommPeer::~CommPeer() { addr_ = nullptr; }

void CommServerMachine::on_event(struct pollable *node, uint32_t events) {
    CommConnEntry *entry = static_cast<CommConnEntry *>(node);
    entry->set_lock();
    entry->note(events);
    run(entry);
}

// The last reference: the connection object goes first, then the service learns of it.
void CommServerMachine::on_release(struct pollable *node) {
    CommServerEntry *entry = static_cast<CommServerEntry *>(node);
    CommService *service = entry->service;
    delete entry;
    if (--service->refs_ == 0)
        service->handle_unbound();
}

void CommServerMachine::run(CommConnEntry *entry) {
    CommOutcome out;
    // A peer that sends as fast as the program takes it must not keep this thread, nor outrun its
    // deadlines: those are looked at between the jobs.
    for (int steps = 0; !entry->busy && !out.session && step(entry, &out);) {
        if (++steps == MAX_READS) {
            entry->want_job();
            break;
        }
    }
    // The peer may have left already: closed() shall say so when the program sees the request.
    while (out.session && entry->state == CommConnEntry::S_SERVING && entry->readable &&
           buffer_pipeline(entry)) {}
    bool serving = entry->state == CommConnEntry::S_SERVING;
    if (out.session && (entry->aborted ||
                        (!serving && (entry->readable || entry->input_size() > 0 || entry->eof))))
        entry->want_job();
    entry->unlock();
    if (out.session)
        entry->deliver(out, false);
}

bool CommServerMachine::step(CommConnEntry *entry, CommOutcome *out) {
    if (entry->state == CommConnEntry::S_CLOSING)
        return false;
    if (entry->aborted) {
        if (entry->state == CommConnEntry::S_RECEIVING)
            give_up(entry, CCR_ABORTED, 0);
        else if (entry->state == CommConnEntry::S_REPLYING)
            reply_failed(entry, CS_STATE_STOPPED, 0, out);
        else
            close(entry, CCR_ABORTED);
        return false;
    }
    if (entry->timed_out) {
        entry->timed_out = false;
        time_out(entry, out);
        return entry->state != CommConnEntry::S_CLOSING;
    }
    switch (entry->state) {
    case CommConnEntry::S_AWAITING:
    case CommConnEntry::S_RECEIVING:
        if (entry->readable || entry->input_size() > 0)
            return read_request(entry, out);
        if (entry->eof) // half-closed, and all that came was answered
            give_up(entry, CCR_PEER_CLOSED, 0);
        return false;
    case CommConnEntry::S_SERVING:
        return entry->readable && buffer_pipeline(entry);
    case CommConnEntry::S_REPLYING:
        if (entry->writable && entry->output)
            return flush_reply(entry, out);
        return entry->readable && buffer_pipeline(entry);
    case CommConnEntry::S_LINGERING:
        return entry->readable && linger(entry);
    default:
        return false;
    }
}

void CommServerMachine::accepted(Communicator *comm, CommService *service, int fd,
                                 const struct sockaddr *addr, socklen_t len) {
    bool full = service->limits_.max_connections > 0 &&
                service->conn_count_ >= service->limits_.max_connections;
    if (full && !make_room(service)) {
        count_close(service, service->close_counts_, CCR_REFUSED_FULL);
        sys_close(fd);
        return;
    }
    CommConnection *conn = service->new_connection(fd);
    CommServerEntry *entry = nullptr;
    struct weft_poller *home = mpoller_deal(comm->pool_, mpoller_pick(comm->pool_));
    if (conn)
        entry = new (std::nothrow) CommServerEntry(comm, home, fd, &ops, CommConnEntry::S_ACCEPTED);
    if (!entry) {
        a32_sub(&home->load, 1);
        delete conn;
        count_close(service, service->close_counts_, CCR_REFUSED_FULL);
        sys_close(fd);
        return;
    }
    entry->peer.set(entry, addr, len);
    entry->target = &entry->peer;
    entry->service = service;
    entry->conn = conn;
    if (service->site_) {
        a32_add(&service->site_->refs, 1);
        entry->site = service->site_;
    }
    if (addr->sa_family != AF_UNIX)
        sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    service->refs_++;
    service->list_fresh(entry);
    entry->set_lock();
    entry->set_state(CommConnEntry::S_AWAITING);
    entry->began = entry->listed_at;
    entry->order_wanted = true;
    entry->set_deadline(ms_after(service->limits_.first_byte_timeout));
    if (service->draining_) // unbound while the program looked at the connection
        close(entry, CCR_DRAINED);
    entry->unlock();
}

// Closing with bytes unread would reset the connection under the peer's last answer, so those that
// may matter linger.
void CommServerMachine::close(CommConnEntry *entry, CommCloseReason reason) {
    entry->close_reason = static_cast<uint8_t>(reason);
    count_close(entry->service, entry->service->close_counts_, reason);
    entry->begin_close(CommConnEntry::S_CLOSING);
}

void CommServerMachine::begin_linger(CommConnEntry *entry, CommCloseReason reason) {
    if (entry->eof || entry->transport->finish(entry) < 0) {
        close(entry, reason);
        return;
    }
    entry->close_reason = static_cast<uint8_t>(reason);
    entry->set_state(CommConnEntry::S_LINGERING);
    entry->drop_input();
    entry->drop_output();
    uint64_t now = sys_now();
    entry->began = entry_after(now, LINGER_MS);
    entry->set_deadline(entry_after(now, LINGER_IDLE_MS));
    entry->readable = true;
    entry->want_job();
}

bool CommServerMachine::linger(CommConnEntry *entry) {
    char waste[4096];
    for (int i = 0; i < MAX_READS; i++) {
        size_t size = sizeof waste;
        switch (entry->receive(waste, &size)) {
        case IoResult::DONE:
            continue;
        case IoResult::BLOCKED:
            entry->set_deadline(entry_min(entry->began, ms_after(LINGER_IDLE_MS)));
            return false;
        default:
            close(entry, static_cast<CommCloseReason>(entry->close_reason));
            return false;
        }
    }
    entry->want_job();
    return false;
}

bool CommServerMachine::read_request(CommConnEntry *entry, CommOutcome *out) {
    char *buf = worker_buffer();
    if (!buf) {
        entry->want_job();
        return false;
    }
    size_t size = entry->input_size();
    if (size > 0) { // pipelined: at most 64 KiB by construction
        memcpy(buf, entry->input->bytes + entry->input->begin, size);
        entry->drop_input();
        feed(entry, buf, size, out);
        return true;
    }
    size = WORKER_BUFFER;
    switch (entry->receive(buf, &size)) {
    case IoResult::BLOCKED:
        return false;
    case IoResult::DONE:
        feed(entry, buf, size, out);
        return true;
    default:
        give_up(entry,
                entry->eof ? CommCloseReason::CCR_PEER_CLOSED : CommCloseReason::CCR_PEER_RESET, 0);
        return false;
    }
}

void CommServerMachine::feed(CommConnEntry *entry, const char *buf, size_t size, CommOutcome *out) {
    CommService *service = entry->service;
    CommSession *session = entry->session;
    bool first = entry->state == CommConnEntry::S_AWAITING;
    int result = 0;
    size_t taken = 0;

    if (first) {
        entry->set_state(CommConnEntry::S_RECEIVING);
        entry->began = sys_now();
        entry->received = 0;
        entry->in_head = entry->has_head = false;
        entry->deadline = ENTRY_NEVER;
    }
    entry->busy = true;
    entry->renewed = false;
    entry->unlock();
    sys_point(SYS_POINT_USER_CODE);
    errno = ENOMEM;
    if (first && (session = service->new_session(entry->seq, entry->conn)) != nullptr) {
        session->passive_ = true;
        session->target_ = entry->target;
        CommConnEntry *old = entry->attach(session);
        if (old) // a service that hands out a session twice
            old->unref();
        entry->receive_ms = session->receive_timeout();
        session->in_ = session->message_in();
        if (session->in_)
            session->in_->entry_ = entry;
    }
    if (!session || !session->in_)
        result = -1;
    if (result == 0)
        result = CommConnEntry::append(session, buf, size, &taken);
    entry->set_lock();
    entry->busy = false;
    entry->timed_out = false; // of the block before: it passed while the program took this one
    entry->session = session;
    entry->received += size;
    if (result < 0) {
        give_up(entry, CCR_BAD_MESSAGE, 0);
    } else if (result > 0) {
        entry->set_state(CommConnEntry::S_SERVING);
        entry->deadline = ENTRY_NEVER;
        if (!entry->save_input(buf + taken, size - taken))
            entry->aborted = true;
        out->session = session;
        out->state = CS_STATE_TOREPLY;
    } else {
        if (entry->renewed)
            entry->began = sys_now();
        set_receive_deadline(entry, sys_now());
    }
}

// The earliest of: the next block, the whole message, the head, and the minimum rate of what
// follows the head.
void CommServerMachine::set_receive_deadline(CommConnEntry *entry, uint64_t now) {
    const CommServiceLimits &limits = entry->service->limits_;
    uint64_t when = entry_after(now, entry->service->response_timeout_);
    when = entry_min(when, entry_after(entry->began, entry->receive_ms));
    if (entry->in_head) {
        when = entry_min(when, entry_after(entry->began, limits.head_timeout));
    } else if (entry->has_head && limits.min_receive_rate > 0) {
        uint64_t earned =
            entry->received * 1000000000u / static_cast<uint64_t>(limits.min_receive_rate);
        when = entry_min(when, entry->began + RATE_GRACE_NS + earned);
    }
    entry->set_deadline(when);
}

// A message that will not be completed: its session is dropped without having been shown to anyone.
void CommServerMachine::give_up(CommConnEntry *entry, CommCloseReason reason, int error) {
    CommSession *session = entry->session;
    bool answered = reason == CCR_BAD_MESSAGE || error != 0;
    if (session) {
        entry->busy = true;
        entry->session = nullptr;
        entry->unlock();
        if (error && session->in_)
            session->in_->abandon(error);
        session->passive_ = false; // its destructor has nothing to close
        delete session;
        entry->set_lock();
        entry->busy = false;
    }
    if (answered && session)
        begin_linger(entry, reason);
    else
        close(entry, reason);
}

void CommServerMachine::time_out(CommConnEntry *entry, CommOutcome *out) {
    const CommServiceLimits &limits = entry->service->limits_;
    uint64_t now = sys_now();
    switch (entry->state) {
    case CommConnEntry::S_AWAITING:
        close(entry, entry->seq == 0 ? CCR_FIRST_BYTE_TIMEOUT : CCR_IDLE_TIMEOUT);
        break;
    case CommConnEntry::S_RECEIVING: {
        CommCloseReason reason = CCR_BLOCK_TIMEOUT;
        if (entry_after(entry->began, entry->receive_ms) <= now)
            reason = CCR_MESSAGE_TIMEOUT;
        else if (entry->in_head && entry_after(entry->began, limits.head_timeout) <= now)
            reason = CCR_HEAD_TIMEOUT;
        else if (entry->has_head && now - entry->began > RATE_GRACE_NS &&
                 limits.min_receive_rate > 0 &&
                 entry->received * 1000000000u / static_cast<uint64_t>(limits.min_receive_rate) +
                         RATE_GRACE_NS <=
                     now - entry->began)
            reason = CCR_SLOW_RECEIVE;
        give_up(entry, reason, ETIMEDOUT);
        break;
    }
    case CommConnEntry::S_REPLYING:
        reply_failed(entry, CS_STATE_ERROR, ETIMEDOUT, out);
        break;
    case CommConnEntry::S_LINGERING:
        close(entry, static_cast<CommCloseReason>(entry->close_reason));
        break;
    default:
        break;
    }
}

// Bytes that come while a session is with the program, or being answered.
bool CommServerMachine::buffer_pipeline(CommConnEntry *entry) {
    char *buf = worker_buffer();
    size_t room = ENTRY_PIPELINE_MAX - entry->input_size();
    if (!buf || room == 0) // full: the edge is remembered, and read when a session has taken some
        return false;
    static_assert(ENTRY_PIPELINE_MAX <= WORKER_BUFFER);
    size_t size = room;
    switch (entry->receive(buf, &size)) {
    case IoResult::DONE:
        if (!entry->save_input(buf, size))
            entry->aborted = true;
        return true;
    case IoResult::FAILED:
        // Reset: nobody will read an answer. One under way finds that out by itself.
        if (entry->state == CommConnEntry::S_SERVING)
            close(entry, CCR_PEER_RESET);
        return false;
    default:
        return false;
    }
}

bool CommServerMachine::is_answerable(CommConnEntry *entry) {
    entry->set_lock();
    bool yes = entry->state == CommConnEntry::S_SERVING && !entry->eof;
    entry->unlock();
    return yes;
}

int CommServerMachine::reply(CommSession *session) {
    CommConnEntry *entry = session->entry_;
    struct iovec vectors[ENTRY_MAX_VECTORS];
    int count = -1, send_timeout = -1, keep_alive = 0;
    CommOutcome out;

    entry->set_lock();
    if (entry->state != CommConnEntry::S_SERVING || entry->session != session) {
        entry->unlock();
        errno = ENOENT;
        return -1;
    }
    entry->set_state(CommConnEntry::S_REPLYING);
    entry->busy = true;
    entry->ref();
    entry->unlock();
    session->out_ = session->message_out();
    if (session->out_) {
        count = session->out_->encode(vectors, ENTRY_MAX_VECTORS);
        send_timeout = session->send_timeout();
        keep_alive = session->keep_alive_timeout();
    }
    int error = count > ENTRY_MAX_VECTORS ? EOVERFLOW : errno;
    entry->set_lock();
    entry->busy = false;
    entry->keep_alive = keep_alive;
    IoResult result = IoResult::FAILED;
    if (count >= 0 && count <= ENTRY_MAX_VECTORS) {
        result = entry->send(vectors, count);
        error = errno;
    }
    if (result == IoResult::FAILED) {
        entry->session = nullptr;
        close(entry, CCR_SEND_ERROR);
        entry->unlock();
        entry->unref();
        errno = error;
        return -1;
    }
    if (result == IoResult::BLOCKED) {
        uint64_t now = sys_now();
        entry->began = entry_after(now, send_timeout);
        entry->set_deadline(
            entry_min(entry->began, entry_after(now, entry->service->response_timeout_)));
        if (entry->readable || entry->writable || entry->aborted)
            entry->want_job();
    } else {
        replied(entry, &out);
        if (entry->readable || entry->input_size() > 0 || entry->eof || entry->aborted)
            entry->want_job();
    }
    entry->unlock();
    if (out.session) { // in place, on the caller's thread
        session->end_state_ = out.state;
        CommConnEntry::handle(session, entry->service, out.state, out.error);
    }
    entry->unref();
    return 0;
}

bool CommServerMachine::flush_reply(CommConnEntry *entry, CommOutcome *out) {
    switch (entry->flush()) {
    case IoResult::DONE:
        replied(entry, out);
        return true;
    case IoResult::BLOCKED:
        entry->set_deadline(entry_min(entry->began, ms_after(entry->service->response_timeout_)));
        return true;
    default:
        reply_failed(entry, CS_STATE_ERROR, errno, out);
        return false;
    }
}

// The answer is with the system. What follows on this connection depends on what the session asked
// for.
void CommServerMachine::replied(CommConnEntry *entry, CommOutcome *out) {
    out->session = entry->session;
    out->state = CS_STATE_SUCCESS;
    out->error = 0;
    entry->session = nullptr;
    entry->seq++;
    // What has begun to arrive before the end of the service is still answered.
    bool keep = entry->keep_alive != 0 && (!entry->service->draining_ || entry->input_size() > 0);
    if (keep && (!entry->eof || entry->input_size() > 0)) {
        entry->set_state(CommConnEntry::S_AWAITING);
        entry->began = sys_now();
        entry->set_deadline(entry_after(entry->began, entry->keep_alive));
    } else if (entry->readable || entry->input_size() > 0) {
        begin_linger(entry, CCR_FINISHED);
    } else {
        close(entry, CCR_FINISHED);
    }
}

void CommServerMachine::reply_failed(CommConnEntry *entry, int state, int error, CommOutcome *out) {
    out->session = entry->session;
    out->state = state;
    out->error = error;
    entry->session = nullptr;
    CommCloseReason reason = error == ETIMEDOUT ? CCR_SEND_TIMEOUT : CCR_SEND_ERROR;
    if (state == CS_STATE_STOPPED)
        reason = CCR_ABORTED;
    close(entry, reason);
}

int CommServerMachine::push(CommSession *session, const void *buf, size_t size) {
    CommConnEntry *entry = session->entry_;
    int n = -1;
    entry->set_lock();
    bool legal = session->passive_
                     ? entry->state == CommConnEntry::S_SERVING && entry->session == session
                     : entry->state == CommConnEntry::RECEIVING && entry->session == session;
    if (legal)
        n = CommConnEntry::send_now(entry, buf, size);
    else
        errno = ENOENT;
    int error = errno;
    entry->unlock();
    errno = error;
    return n;
}

int CommServerMachine::shutdown(CommSession *session) {
    CommConnEntry *entry = session->entry_;
    int ret = -1;
    entry->set_lock();
    if (entry->state == CommConnEntry::S_SERVING && entry->session == session) {
        entry->session = nullptr;
        close(entry, CCR_NOREPLY);
        ret = 0;
    }
    entry->unlock();
    if (ret < 0)
        errno = ENOENT;
    return ret;
}

void CommServerMachine::forsaken(CommSession *session) {
    if (session->passive_ && session->end_state_ == CS_STATE_TOREPLY)
        shutdown(session);
}

bool CommServerMachine::close_idle(CommConnEntry *entry, CommCloseReason reason) {
    if (entry->state != CommConnEntry::S_AWAITING || entry->busy || entry->input_size() > 0)
        return false;
    // Read once more: a request whose first byte is here counts as accepted.
    char buf[4096];
    size_t size = sizeof buf;
    if (entry->receive(buf, &size) == IoResult::DONE) {
        entry->readable = true;
        if (!entry->save_input(buf, size))
            entry->aborted = true;
        entry->want_job();
        return false;
    }
    close(entry, reason);
    return true;
}

bool CommServerMachine::make_room(CommService *service) {
    return drain(service, 1, CCR_MADE_ROOM) > 0;
}

// Lists are in order of the time since which a connection is idle, as it was known when it was put
// there. One that was used since is found out of place and put where it belongs now, so serving a
// request costs no list operation.
int CommServerMachine::drain(CommService *service, size_t max, CommCloseReason reason) {
    int closed = 0;
    for (size_t looked = 2 * service->conn_count_; looked > 0 && static_cast<size_t>(closed) < max;
         looked--) {
        CommConnEntry *entry = service->take_oldest();
        if (!entry)
            break;
        entry->set_lock();
        bool idle = entry->state == CommConnEntry::S_AWAITING;
        bool in_place = idle && entry->listed_at == entry->began;
        bool done = (in_place || max == SIZE_MAX) && close_idle(entry, reason);
        uint64_t since = idle && !in_place ? entry->began : sys_now();
        entry->unlock();
        if (done)
            closed++;
        else
            service->put_back(entry, since);
        entry->unref_on_worker();
    }
    // Whoever drains the service for good may have looked while we had one in hand.
    if (service->draining_ && max != SIZE_MAX)
        closed += drain(service, SIZE_MAX, CCR_DRAINED);
    return closed;
}
