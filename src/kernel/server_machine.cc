// Weft - the server machine: one accepted connection, from accept to close
// SPDX-License-Identifier: Apache-2.0
//
// | state       | what is true                                            | deadline                 |
// |-------------|---------------------------------------------------------|--------------------------|
// | S_ACCEPTED  | just accepted: its poller does not know it yet          | -                        |
// | S_FILTERING | a filter looks at the first bytes                       | first byte               |
// | S_HANDSHAKING | no session; the transport agrees with the peer        | TLS                      |
// | S_AWAITING  | no session; fresh (seq 0) or kept alive                 | first byte or keep-alive |
// | S_RECEIVING | a session takes bytes, and has not been shown to anyone | block, whole, head or    |
// |             |                                                         | minimum rate; of the     |
// |             |                                                         | first also: from accept  |
// | S_AUTHENTICATING | the first request is shown to the authenticator; what comes is buffered | -   |
// | S_SERVING   | the session is with the program; what comes is buffered | -                        |
// | S_REPLYING  | the session is being answered                           | send; each block:        |
// |             |                                                         | response                 |
// | S_LINGERING | our side is shut; what comes is thrown away             | 2 s idle, 10 s in all    |
// | S_CLOSING   | the poller closes the descriptor                        | -                        |
//
// Requests that arrive behind the present one wait in `input`, at most 64 KiB, and are served in
// order; beyond that the socket is not read. A peer that ends its sending is still answered.
#include <errno.h>
#include <new>
#include <stdlib.h>
#include <string.h>

#include "kernel/channel.h"
#include "kernel/log.h"
#include "kernel/metrics.h"
#include "kernel/session.h"

namespace {

constexpr int MAX_READS = 16;

uint64_t ms_after(int ms) { return entry_after(sys_now(), ms); }

// Nothing of ours is being sent, unless the transport has held something back.
bool is_between(const CommConnEntry *entry) {
    return entry->state == CommConnEntry::S_AWAITING ||
           entry->state == CommConnEntry::S_RECEIVING ||
           entry->state == CommConnEntry::S_AUTHENTICATING ||
           entry->state == CommConnEntry::S_SERVING;
}

} // namespace

const struct pollable_ops CommServerMachine::ops = {
    .event = on_event,
    .release = on_release,
    .abort = CommConnEntry::on_abort,
    .stream = &CommChannelMachine::stream, // by now it may be a channel
};

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
    entry->go_on();
}

// The last reference: the connection object goes first, then the service learns of it.
void CommServerMachine::on_release(struct pollable *node) {
    CommServerEntry *entry = static_cast<CommServerEntry *>(node);
    CommService *service = entry->service;
    if (service)
        give_place_back(entry);
    delete entry;
    if (service)
        leave_service(service);
}

// A channel leaves when its program has heard the last of it, whoever still holds it then.
void CommServerMachine::leave_for_channel(CommConnEntry *entry) {
    CommService *service = entry->service;
    give_place_back(static_cast<CommServerEntry *>(entry));
    entry->set_lock();
    entry->service = nullptr;
    entry->unlock();
    leave_service(service);
}

void CommServerMachine::leave_service(CommService *service) {
    if (--service->refs_ == 0)
        service->handle_unbound();
}

void CommServerMachine::run(CommConnEntry *entry) {
    CommOutcome out;
    // A peer that sends as fast as the program takes it must not keep this thread, nor outrun its
    // deadlines: those are looked at between the jobs.
    for (int steps = 0; !entry->busy && !out.session && step(entry, &out);) {
        if (CommChannelMachine::is_channel(entry)) // which goes on by a job of its own
            break;
        if (++steps == MAX_READS) {
            entry->want_job();
            break;
        }
    }
    // The peer may have left already: closed() shall say so when the program sees the request.
    while (out.session && entry->state == CommConnEntry::S_SERVING && entry->readable &&
           buffer_pipeline(entry, &out)) {}
    bool serving = entry->state == CommConnEntry::S_SERVING;
    wf::detail::PeerWatch *watch = nullptr;
    if (entry->watch && (entry->eof || entry->state == CommConnEntry::S_CLOSING))
        std::swap(watch, entry->watch);
    bool room = entry->writable && entry->link.held > 0;
    bool more = !serving && (entry->readable || entry->input_size() > 0 || entry->eof);
    if (out.session && (entry->aborted || room || more))
        entry->want_job();
    entry->announce(out);
    entry->unlock();
    if (out.refused)
        weft_log(WEFT_LOG_INFO, "a TLS handshake failed: %s", tls_error_text(&entry->link));
    if (watch) {
        watch->gone();
        delete watch;
    }
    if (out.session)
        entry->deliver(out, false);
}

bool CommServerMachine::step(CommConnEntry *entry, CommOutcome *out) {
    if (entry->state == CommConnEntry::S_CLOSING)
        return false;
    if (entry->aborted) {
        CommCloseReason reason = entry->send_error ? CCR_NO_MEMORY : CCR_ABORTED;
        if (entry->state == CommConnEntry::S_RECEIVING)
            give_up(entry, reason, 0);
        else if (entry->state == CommConnEntry::S_REPLYING)
            reply_failed(entry, entry->send_error ? CS_STATE_ERROR : CS_STATE_STOPPED,
                         entry->send_error, out);
        else
            close(entry, reason);
        return false;
    }
    if (entry->timed_out) {
        entry->timed_out = false;
        time_out(entry, out);
        return entry->state != CommConnEntry::S_CLOSING;
    }
    if (entry->writable && entry->link.held > 0 && is_between(entry))
        entry->flush(); // whether it failed is found by what comes next
    switch (entry->state) {
    case CommConnEntry::S_FILTERING:
        return entry->readable && filter(entry);
    case CommConnEntry::S_HANDSHAKING:
        return (entry->readable || (entry->writable && entry->link.held > 0)) &&
               shake_hands(entry, out);
    case CommConnEntry::S_AWAITING:
    case CommConnEntry::S_RECEIVING:
        if (entry->readable || entry->input_size() > 0)
            return read_request(entry, out);
        if (entry->eof) // half-closed, and all that came was answered
            give_up(entry, CCR_PEER_CLOSED, 0);
        return false;
    case CommConnEntry::S_AUTHENTICATING:
    case CommConnEntry::S_SERVING:
        return entry->readable && buffer_pipeline(entry, out);
    case CommConnEntry::S_REPLYING:
        if (entry->writable && entry->is_unsent())
            return flush_reply(entry, out);
        return entry->readable && buffer_pipeline(entry, out);
    case CommConnEntry::S_LINGERING:
        return (entry->readable || (entry->writable && entry->link.held > 0)) && linger(entry);
    default:
        return false;
    }
}

void CommServerMachine::count(CommService *service, CommCloseReason reason) {
    __atomic_fetch_add(&service->close_counts_[reason], 1, __ATOMIC_RELAXED);
    metric_inc(METRIC_CLOSES + static_cast<unsigned>(reason));
    if (reason == CCR_NO_MEMORY)
        metric_inc(METRIC_NO_MEMORY);
}

// A new connection finds its place: in its service, with its peer's address.
void CommServerMachine::settle(CommServerEntry *entry, CommService *service, CommConnection *conn,
                               const struct sockaddr *from, socklen_t len) {
    entry->peer.set(entry, from, len);
    entry->target = &entry->peer;
    entry->service = service;
    entry->conn = conn;
    if (service->site_) {
        a32_add(&service->site_->refs, 1);
        entry->site = service->site_;
    }
    service->refs_++;
    service->list_fresh(entry);
}

void CommServerMachine::accepted(Communicator *comm, CommService *service, struct weft_poller *home,
                                 int fd, const struct sockaddr *addr, socklen_t len) {
    metric_inc(METRIC_ACCEPTED);
    bool counted = false;
    if (!asks_guard_later(service) && !is_admitted(service, addr, len, &counted)) {
        sys_close(fd);
        return;
    }
    bool full = service->limits_.max_connections > 0 &&
                service->conn_count_ >= service->limits_.max_connections;
    if (full && !make_room(service)) {
        turn_away(service, CCR_REFUSED_FULL, fd, addr, len, counted);
        return;
    }
    CommConnection *conn = service->new_connection(fd);
    CommServerEntry *entry = nullptr;
    if (home)
        a32_add(&home->load, 1);
    else
        home = mpoller_deal(comm->pool_, mpoller_pick(comm->pool_));
    if (conn)
        entry = new (std::nothrow) CommServerEntry(comm, home, fd, &ops, CommConnEntry::S_ACCEPTED);
    if (!entry) {
        a32_sub(&home->load, 1);
        delete conn;
        turn_away(service, CCR_NO_MEMORY, fd, addr, len, counted);
        return;
    }
    settle(entry, service, conn, addr, len);
    entry->set_lock();
    entry->admitted = counted;
    entry->accepted_ms = static_cast<uint32_t>(entry->listed_at / 1000000u);
    if (service->filter_) {
        entry->set_state(CommConnEntry::S_FILTERING);
        set_first_deadline(entry, ms_after(service->limits_.first_byte_timeout));
    } else {
        begin(entry);
    }
    entry->began = entry->listed_at;
    entry->order_wanted = true;
    if (service->draining_) // unbound while the program looked at the connection
        drain_one(entry, CCR_DRAINED);
    entry->unlock();
}

void CommServerMachine::close(CommConnEntry *entry, CommCloseReason reason) {
    entry->close_reason = static_cast<uint8_t>(reason);
    count(entry->service, reason);
    entry->begin_close(CommConnEntry::S_CLOSING);
}

// Closing with bytes unread would reset the connection under the peer's last answer, so those that
// may matter linger.
void CommServerMachine::begin_linger(CommConnEntry *entry, CommCloseReason reason) {
    if (entry->eof || entry->link.ops->finish(&entry->link) < 0) {
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
    if (entry->link.held > 0)
        entry->await_room();
}

bool CommServerMachine::linger(CommConnEntry *entry) {
    char waste[4096];
    if (entry->writable && entry->link.held > 0 && entry->flush() == IoResult::FAILED) {
        close(entry, static_cast<CommCloseReason>(entry->close_reason));
        return false;
    }
    for (int i = 0; i < MAX_READS; i++) {
        size_t size = sizeof waste;
        switch (entry->discard(waste, &size)) {
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

// Where program code may run, and nothing is locked.
bool CommServerMachine::open_tls(CommConnEntry *entry) {
    CommService *service = entry->service;
    return tls_open(&entry->link, service->ssl_ctx_, TLS_SIDE_SERVER) == 0 &&
           service->init_ssl(tls_ssl(&entry->link)) >= 0;
}

bool CommServerMachine::shake_hands(CommConnEntry *entry, CommOutcome *out) {
    switch (entry->handshake(open_tls)) {
    case IoResult::DONE:
        entry->timed_out = false; // it was in time after all
        await(entry);
        break;
    case IoResult::BLOCKED: // there may be news
        break;
    default:
        out->refused = entry->link.error != 0;
        // The alert that says why must not be lost to a reset.
        begin_linger(entry, CCR_HANDSHAKE_FAILED);
        return true;
    }
    if (entry->service->draining_) // unbound meanwhile, when this one was busy
        close_idle(entry, CCR_DRAINED);
    return true;
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

// The program's next session for this connection, with its message, if it has one. Nothing is
// locked.
CommSession *CommServerMachine::begin_session(CommConnEntry *entry) {
    CommSession *session = entry->service->new_session(entry->seq, entry->conn);
    if (!session)
        return nullptr;
    session->passive_ = true;
    session->target_ = entry->target;
    CommConnEntry *old = entry->attach(session);
    if (old) // a service that hands out a session twice
        old->unref();
    entry->receive_ms = session->receive_timeout();
    session->in_ = session->message_in();
    if (session->in_)
        session->in_->entry_ = entry;
    return session;
}

void CommServerMachine::feed(CommConnEntry *entry, const char *buf, size_t size, CommOutcome *out) {
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
    if (first)
        session = begin_session(entry);
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
    } else if (result > 0 && entry->seq == 0 && entry->service->authenticator_) {
        entry->set_state(CommConnEntry::S_AUTHENTICATING);
        entry->received = entry->began; // from here on: when the request came
        entry->set_deadline(ms_after(entry->service->limits_.authentication_timeout));
        keep_input(entry, buf + taken, size - taken);
        out->session = session;
        out->state = TO_AUTHENTICATE;
    } else if (result > 0 && !takes_in_hand(entry->service, session)) {
        give_up(entry, CCR_OVERLOADED, EBUSY);
    } else if (result > 0) {
        entry->set_state(CommConnEntry::S_SERVING);
        entry->deadline = ENTRY_NEVER;
        entry->received = entry->began;
        if (entry->service->max_queue_age_ >= 0)
            session->whole_at_ = sys_now();
        keep_input(entry, buf + taken, size - taken);
        out->session = session;
        out->state = CS_STATE_TOREPLY;
    } else {
        if (entry->renewed)
            entry->began = sys_now();
        set_receive_deadline(entry, sys_now());
        // A limit of more than this block that has passed: its timer may have fired while the
        // program had the bytes, each time anew.
        entry->timed_out = deadline_passed(entry);
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
    set_first_deadline(entry, when);
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
    bool late = is_first_late(entry, now);
    switch (entry->state) {
    case CommConnEntry::S_FILTERING:
        close(entry, late ? CCR_FIRST_MESSAGE_TIMEOUT : CCR_FIRST_BYTE_TIMEOUT);
        break;
    case CommConnEntry::S_HANDSHAKING:
        close(entry, late ? CCR_FIRST_MESSAGE_TIMEOUT : CCR_HANDSHAKE_TIMEOUT);
        break;
    case CommConnEntry::S_AWAITING:
        if (late)
            close(entry, CCR_FIRST_MESSAGE_TIMEOUT);
        else
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
        else if (late)
            reason = CCR_FIRST_MESSAGE_TIMEOUT;
        give_up(entry, reason, ETIMEDOUT);
        break;
    }
    case CommConnEntry::S_AUTHENTICATING: // the program may be reading the message
        close(entry, CCR_AUTH_TIMEOUT);
        break;
    case CommConnEntry::S_REPLYING:
        reply_timed_out(entry, out);
        break;
    case CommConnEntry::S_LINGERING:
        close(entry, static_cast<CommCloseReason>(entry->close_reason));
        break;
    default:
        break;
    }
}

// What cannot be kept is lost, and the connection with it.
void CommServerMachine::keep_input(CommConnEntry *entry, const char *bytes, size_t size) {
    if (entry->save_input(bytes, size))
        return;
    entry->send_error = ENOMEM;
    entry->aborted = true;
}

// Bytes that come while a session is with the program, or being answered.
bool CommServerMachine::buffer_pipeline(CommConnEntry *entry, CommOutcome *out) {
    char *buf = worker_buffer();
    size_t room = ENTRY_PIPELINE_MAX - entry->input_size();
    if (!buf || room == 0) // full: the edge is remembered, and read when a session has taken some
        return false;
    static_assert(ENTRY_PIPELINE_MAX <= WORKER_BUFFER);
    size_t size = room;
    switch (entry->receive(buf, &size)) {
    case IoResult::DONE:
        keep_input(entry, buf, size);
        return true;
    case IoResult::FAILED:
        // Reset: nobody will read an answer. One under way finds that out by itself, unless it is
        // the transport that came to its end.
        if (entry->state != CommConnEntry::S_REPLYING)
            close(entry, CCR_PEER_RESET);
        else if (entry->link.error)
            reply_failed(entry, CS_STATE_ERROR, entry->link_error(), out);
        return false;
    default:
        return false;
    }
}
