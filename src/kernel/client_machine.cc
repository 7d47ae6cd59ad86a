// Weft - the client machine: one connection to a target, from connect to close
// SPDX-License-Identifier: Apache-2.0
//
// | state      | what is true                                        | deadline                      |
// |------------|-----------------------------------------------------|-------------------------------|
// | CONNECTING | has a session, which has no messages yet            | connect                       |
// | HANDSHAKING| likewise; the transport agrees with the peer        | TLS                           |
// | SENDING    | not all of the request is sent, no answer has come  | send; each block: response    |
// | RECEIVING  | all is sent, the answer began, or sending failed    | first byte, then receive;     |
// |            |                                                     | each block: response          |
// | PARKED     | no session; stands in the target's idle list        | keep-alive                    |
// | CLOSING    | no session; the poller closes the descriptor        | -                             |
//
// A session is detached from the entry, and its result fixed, before its `handle` is called, so a
// connection that is parked can serve the request that the callback makes.
#include <errno.h>
#include <new>
#include <stdlib.h>

#include "kernel/comm_waiter.h"
#include "kernel/entry.h"
#include "kernel/metrics.h"
#include "kernel/socket_options.h"

namespace {

constexpr int MAX_READS = 16; // in one go, so that one connection cannot keep a worker
constexpr int IDLE_SCAN = 8;  // parked connections looked at for one of the own poller

uint64_t ms_after(int ms) { return entry_after(sys_now(), ms); }

// A peer that leaves before it has said a word of its answer has cut nothing off: it is gone, as a
// kept connection may be at any time, and no fault of TLS.
int receive_error(const CommConnEntry *entry) {
    bool silent = entry->state == CommConnEntry::SENDING || entry->received == 0;
    return silent && tls_was_cut(&entry->link) ? ECONNRESET : entry->link_error();
}

metric how_it_failed(int state, int error) {
    if (state == CS_STATE_STOPPED)
        return METRIC_CLIENT_STOPPED;
    if (error == ECANCELED)
        return METRIC_CLIENT_CANCELED;
    return error == ETIMEDOUT ? METRIC_CLIENT_TIMEOUT : METRIC_CLIENT_ERROR;
}

} // namespace

const struct pollable_ops CommClientMachine::ops = {
    .event = on_event,
    .release = on_release,
    .abort = CommConnEntry::on_abort,
    .stream = nullptr,
};

void CommClientMachine::on_event(struct pollable *node, uint32_t events) {
    CommConnEntry *entry = static_cast<CommConnEntry *>(node);
    entry->set_lock();
    entry->note(events);
    run(entry);
}

void CommClientMachine::on_release(struct pollable *node) {
    delete static_cast<CommClientEntry *>(node);
}

void CommClientMachine::run(CommConnEntry *entry) {
    CommOutcome out;
    while (!entry->busy && !out.session && step(entry, &out)) {}
    if (out.session && (entry->readable || entry->aborted) &&
        entry->state != CommConnEntry::CLOSING)
        entry->want_job();
    entry->announce(out);
    entry->unlock();
    if (out.session)
        entry->deliver(out, false);
}

// One move. False when there is nothing to do until the next event.
bool CommClientMachine::step(CommConnEntry *entry, CommOutcome *out) {
    if (entry->state == CommConnEntry::CLOSING)
        return false;
    if (entry->aborted) {
        int error = entry->send_error;
        fail(entry, error ? CS_STATE_ERROR : CS_STATE_STOPPED, error, out);
        return false;
    }
    if (entry->canceled) {
        fail(entry, CS_STATE_ERROR, ECANCELED, out);
        return false;
    }
    if (entry->timed_out) {
        entry->timed_out = false;
        fail(entry, CS_STATE_ERROR, ETIMEDOUT, out);
        return false;
    }
    switch (entry->state) {
    case CommConnEntry::CONNECTING:
        return (entry->writable || entry->hangup) && connected(entry, out);
    case CommConnEntry::HANDSHAKING:
        return (entry->readable || (entry->writable && entry->link.held > 0)) &&
               shake_hands(entry, out);
    case CommConnEntry::SENDING:
        if (entry->writable && entry->is_unsent()) {
            sent(entry, entry->flush());
            return true;
        }
        return entry->readable && read_answer(entry, out);
    case CommConnEntry::RECEIVING:
        if (entry->writable && entry->is_unsent() && !entry->send_error) {
            sent(entry, entry->flush());
            return true;
        }
        return entry->readable && read_answer(entry, out);
    default: { // PARKED: whatever comes, the peer has nothing to say now
        char byte;
        size_t one = sizeof byte;
        if (entry->writable && entry->link.held > 0)
            entry->flush();
        if (!entry->readable || entry->receive(&byte, &one) == IoResult::BLOCKED)
            return false;
        fail(entry, CS_STATE_ERROR, ECONNRESET, out);
        return false;
    }
    }
}

void CommTargetPool::take_out(CommConnEntry *entry) {
    (entry->prev ? entry->prev->next : idle) = entry->next;
    if (entry->next)
        entry->next->prev = entry->prev;
    entry->listed = false;
}

CommConnEntry *CommClientMachine::take_idle(CommTarget *target) {
    struct worker *self = sys_self();
    struct CommTargetPool *pool = target->pool_;
    sys_lock(&pool->lock);
    CommConnEntry *entry = pool->idle;
    if (entry && self && self->poller) {
        CommConnEntry *e = entry;
        for (int i = 0; e && i < IDLE_SCAN && e->poller != self->poller; i++)
            e = e->next;
        if (e && e->poller == self->poller)
            entry = e;
    }
    if (entry)
        pool->take_out(entry);
    sys_unlock(&pool->lock);
    return entry;
}

// Takes a parked connection out of the list, if nobody has done so. Needs the entry's lock, so the
// target is alive.
void CommClientMachine::leave_idle(CommConnEntry *entry) {
    struct CommTargetPool *pool = entry->target->pool_;
    sys_lock(&pool->lock);
    bool was_listed = entry->listed;
    if (was_listed)
        pool->take_out(entry);
    sys_unlock(&pool->lock);
    if (was_listed)
        entry->unref(); // never the last: whoever moves the machine holds one
}

void CommClientMachine::close_idle(CommTarget *target) {
    CommConnEntry *entry;
    while ((entry = take_idle(target)) != nullptr) {
        entry->set_lock();
        if (entry->state == CommConnEntry::PARKED)
            entry->begin_close(CommConnEntry::CLOSING);
        entry->unlock();
        entry->unref_on_worker();
    }
}

CommConnEntry *CommClientMachine::connect(Communicator *comm, CommTarget *target,
                                          const struct pollable_ops *machine,
                                          CommConnEntry::State first) {
    int fd = target->create_connect_fd();
    if (fd < 0)
        return nullptr;
    CommConnection *conn = nullptr;
    int ret = sys_set_nonblock(fd);
    SocketKind kind(fd, target->addr_->sa_family);
    if (ret == 0) {
        apply_socket_options(target->pool_->sockets, fd, kind);
        ret = sys_connect(fd, target->addr_, target->addrlen_);
        if (ret < 0 && errno == EINPROGRESS)
            ret = 0;
    }
    if (ret == 0 && (conn = target->new_connection(fd)) != nullptr) {
        struct weft_poller *home = mpoller_pick(comm->pool_);
        CommConnEntry *entry = new (std::nothrow) CommClientEntry(comm, home, fd, machine, first);
        if (entry) {
            a32_add(&home->load, 1);
            if (kind.datagrams)
                entry->link.ops = &transport_datagram;
            entry->conn = conn;
            entry->target = target;
            entry->site = target->pool_->site;
            a32_add(&entry->site->refs, 1);
            return entry;
        }
        delete conn;
        errno = ENOMEM;
    }
    int error = errno;
    sys_close(fd);
    errno = error;
    return nullptr;
}

// Tries to begin a request on a connection that was taken from the idle list.
bool CommClientMachine::reuse(CommConnEntry *entry, CommSession *session) {
    CommOutcome out;
    entry->set_lock();
    bool usable = entry->state == CommConnEntry::PARKED && !entry->eof && !entry->aborted;
    if (usable &&
        entry->readable) { // a read that filled the buffer leaves it so, with nothing behind
        char byte;
        size_t one = sizeof byte;
        usable = entry->receive(&byte, &one) == IoResult::BLOCKED;
    }
    if (!usable) { // it stands in no list any more, so nobody else would end it
        if (entry->state == CommConnEntry::PARKED)
            entry->begin_close(CommConnEntry::CLOSING);
        entry->unlock();
        return false;
    }
    CommConnEntry *old = entry->attach_client(session);
    entry->timed_out = false; // that was the keep-alive time
    if (!entry->canceled)
        begin_send(entry, &out);
    if (entry->readable || entry->timed_out || entry->aborted || entry->canceled)
        entry->want_job();
    entry->announce(out);
    entry->unlock();
    if (old)
        old->unref();
    if (out.session)
        entry->deliver(out, true);
    return true;
}

int CommClientMachine::request(Communicator *comm, CommSession *session, CommTarget *target) {
    session->target_ = target;
    session->out_ = nullptr;
    session->in_ = nullptr;
    session->set_phase(CSP_CONNECTING);
    int given_up = session->give_up_reason();
    if (given_up) {
        errno = given_up;
        return -1;
    }
    CommConnEntry *entry;
    while ((entry = take_idle(target)) != nullptr) {
        if (reuse(entry, session)) {
            entry->unref();
            return 0;
        }
        entry->unref_on_worker();
    }
    entry = connect(comm, target, &ops, CommConnEntry::CONNECTING);
    if (!entry) {
        metric_inc(METRIC_CONNECT_REFUSED);
        session->conn_ = nullptr;
        session->seq_ = 0;
        return -1;
    }
    entry->set_lock();
    CommConnEntry *old = entry->attach_client(session);
    entry->want_write = true; // writability tells that it is connected
    entry->order_wanted = true;
    set_deadline(entry, ms_after(target->pool_->connect_timeout));
    entry->unlock(); // from here on the session may go on, and end
    if (old)
        old->unref();
    return 0;
}

// Every end of a session, but the one that is too late already, takes it out of its connection
// under the lock; so the connection that still has it decides.
int CommClientMachine::cancel(CommSession *session, int error, CommConnEntry **held) {
    sys_lock(&session->lock_);
    bool over = session->passive_ || session->ended_;
    bool waits = !over && session->wait_;
    CommConnEntry *entry = over || waits ? nullptr : session->entry_;
    if (!session->canceled_) // also against another attempt
        __atomic_store_n(&session->canceled_, static_cast<uint8_t>(error), __ATOMIC_RELAXED);
    if (waits)
        session->wait_->interrupt();
    else if (entry)
        entry->ref();
    sys_unlock(&session->lock_);
    if (!entry) // if it is on its way to a connection, that is where it will be seen
        return over ? -1 : 0;
    entry->set_lock();
    bool has_it = entry->session == session;
    if (has_it) {
        entry->canceled = true;
        entry->want_job();
    }
    entry->unlock();
    *held = entry;
    return has_it ? 0 : -1;
}

bool CommClientMachine::connected(CommConnEntry *entry, CommOutcome *out) {
    int error = sys_socket_error(entry->fd);
    entry->writable = false;
    if (error) {
        fail(entry, CS_STATE_ERROR, error, out);
        return false;
    }
    struct CommTargetPool *pool = entry->target->pool_;
    if (pool->ssl_ctx) {
        entry->set_state(CommConnEntry::HANDSHAKING);
        entry->session->set_phase(CSP_HANDSHAKING);
        set_deadline(entry, ms_after(pool->ssl_connect_timeout));
        return shake_hands(entry, out);
    }
    begin_send(entry, out);
    return !out->session;
}

// Where program code may run, and nothing is locked.
bool CommClientMachine::open_tls(CommConnEntry *entry) {
    struct CommTargetPool *pool = entry->target->pool_;
    if (tls_open(&entry->link, pool->ssl_ctx, TLS_SIDE_CLIENT) < 0)
        return false;
    sys_lock(&pool->lock);
    SSL_SESSION *known = tls_take_session(&pool->sessions);
    sys_unlock(&pool->lock);
    if (known)
        tls_set_session(&entry->link, known);
    return entry->target->init_ssl(tls_ssl(&entry->link)) >= 0;
}

bool CommClientMachine::shake_hands(CommConnEntry *entry, CommOutcome *out) {
    switch (entry->handshake(open_tls)) {
    case IoResult::DONE:
        if (!entry->aborted && !entry->canceled && !entry->timed_out)
            begin_send(entry, out);
        return !out->session;
    case IoResult::BLOCKED:
        return true; // there may be news
    default:
        fail(entry, CS_STATE_ERROR, entry->link_error(), out);
        return false;
    }
}

// What the peer gave us to come back with, for the next connections.
void CommClientMachine::keep_tls_session(CommConnEntry *entry) {
    SSL_SESSION *session = tls_get_session(&entry->link);
    if (!session)
        return;
    struct CommTargetPool *pool = entry->target->pool_;
    sys_lock(&pool->lock);
    tls_keep_session(&pool->sessions, session);
    sys_unlock(&pool->lock);
}

// Asks the session for its request and sends what the socket takes.
void CommClientMachine::begin_send(CommConnEntry *entry, CommOutcome *out) {
    CommSession *session = entry->session;
    struct iovec vectors[ENTRY_MAX_VECTORS];
    int count = -1, send_timeout = -1;

    entry->set_state(CommConnEntry::SENDING);
    session->set_phase(CSP_SENDING);
    entry->busy = true;
    entry->request_sent = false;
    entry->send_error = 0;
    entry->deadline = ENTRY_NEVER;
    entry->unlock();
    sys_point(SYS_POINT_USER_CODE);
    session->out_ = session->message_out();
    if (session->out_) {
        count = session->out_->encode(vectors, ENTRY_MAX_VECTORS);
        send_timeout = session->send_timeout();
        entry->first_ms = session->first_timeout();
        entry->receive_ms = session->receive_timeout();
    }
    int error = count > ENTRY_MAX_VECTORS ? EOVERFLOW : errno;
    entry->set_lock();
    entry->busy = false;
    if (entry->aborted || entry->canceled)
        return;
    if (count < 0 || count > ENTRY_MAX_VECTORS) {
        fail(entry, CS_STATE_ERROR, error, out);
        return;
    }
    IoResult result = entry->send(vectors, count);
    if (result == IoResult::BLOCKED) {
        uint64_t now = sys_now();
        entry->began =
            entry_after(now, send_timeout); // while sending: when the whole request must be out
        set_deadline(entry, entry_min(entry->began,
                                      entry_after(now, entry->target->pool_->response_timeout)));
        return;
    }
    sent(entry, result);
}

// The result of a write: all, some, or the end of writing.
void CommClientMachine::sent(CommConnEntry *entry, IoResult result) {
    bool sending = entry->state == CommConnEntry::SENDING;
    uint64_t now = sys_now();
    if (result == IoResult::BLOCKED) {
        uint64_t block = entry_after(now, entry->target->pool_->response_timeout);
        if (sending)
            set_deadline(entry, entry_min(entry->began, block));
        return;
    }
    if (result == IoResult::FAILED) {
        // What the peer has answered before it hung up is worth more than the error.
        entry->send_error = entry->link_error();
        entry->readable = true;
    } else {
        entry->request_sent = true;
    }
    if (!sending)
        return;
    entry->set_state(CommConnEntry::RECEIVING);
    entry->session->set_phase(CSP_RECEIVING);
    entry->received = 0;
    entry->began = 0;
    entry->listed_at = now;
    entry->set_deadline(ENTRY_NEVER);
    set_receive_deadline(entry, now);
}

// A first timeout other than 0 replaces the limit of the first block; the whole answer's time
// begins with it.
void CommClientMachine::set_receive_deadline(CommConnEntry *entry, uint64_t now) {
    uint64_t block = entry_after(now, entry->target->pool_->response_timeout);
    if (entry->received == 0 && entry->first_ms != 0) {
        set_deadline(entry, entry_after(now, entry->first_ms));
        return;
    }
    if (entry->began == 0)
        entry->began = entry_after(now, entry->receive_ms); // when the whole answer must be in
    set_deadline(entry, entry_min(block, entry->began));
}

// The session's own deadline stands above all others.
void CommClientMachine::set_deadline(CommConnEntry *entry, uint64_t when) {
    entry->set_deadline(entry_min(when, entry->session->deadline_));
}

bool CommClientMachine::read_answer(CommConnEntry *entry, CommOutcome *out) {
    char *buf = worker_buffer();
    if (!buf) { // only workers have a buffer, so a caller's thread leaves reading to the poller
        entry->want_job();
        return false;
    }
    for (int i = 0; i < MAX_READS; i++) {
        size_t size = WORKER_BUFFER;
        switch (entry->receive(buf, &size)) {
        case IoResult::BLOCKED:
            if (entry->send_error)
                fail(entry, CS_STATE_ERROR, entry->send_error, out);
            return !out->session; // there may be room to write by now
        case IoResult::FAILED:
            fail(entry, CS_STATE_ERROR, receive_error(entry), out);
            return false;
        case IoResult::ENDED:
            peer_ended(entry, out);
            return false;
        case IoResult::DONE:
            break;
        }
        if (entry->state == CommConnEntry::SENDING) { // an early answer
            entry->set_state(CommConnEntry::RECEIVING);
            entry->session->set_phase(CSP_RECEIVING);
            entry->received = 0;
            entry->began = 0;
            entry->listed_at = sys_now();
        }
        feed(entry, buf, size, out);
        if (out->session || entry->state != CommConnEntry::RECEIVING)
            return false;
        if (!entry->readable || entry->timed_out || entry->aborted || entry->canceled)
            return true;
    }
    entry->want_job();
    return false;
}

void CommClientMachine::feed(CommConnEntry *entry, const char *buf, size_t size, CommOutcome *out) {
    CommSession *session = entry->session;
    int result = 0, keep_alive = 0;
    size_t taken = 0;

    entry->busy = true;
    entry->renewed = false;
    entry->unlock();
    sys_point(SYS_POINT_USER_CODE);
    if (!session->in_) {
        session->in_ = session->message_in();
        if (session->in_)
            session->in_->entry_ = entry;
    }
    errno = EBADMSG;
    if (!session->in_)
        result = -1;
    if (result == 0)
        result = CommConnEntry::append(session, buf, size, &taken);
    int error = errno;
    if (result > 0)
        keep_alive = session->keep_alive_timeout();
    entry->set_lock();
    entry->busy = false;
    entry->timed_out = false; // of the block before: it passed while the program took this one
    entry->received += size;
    if (entry->canceled) {
        fail(entry, CS_STATE_ERROR, ECANCELED, out);
    } else if (result < 0) {
        fail(entry, CS_STATE_ERROR, error, out);
    } else if (result > 0) {
        complete(entry, taken < size ? 0 : keep_alive, out);
    } else {
        if (entry->renewed)
            entry->began = 0;
        set_receive_deadline(entry, sys_now());
        entry->timed_out = deadline_passed(entry); // a limit of more than this block
    }
}

void CommClientMachine::complete(CommConnEntry *entry, int keep_alive, CommOutcome *out) {
    CommSession *session = entry->session;
    entry->session = nullptr;
    session->set_phase(CSP_COMPLETE);
    entry->seq++;
    out->session = session;
    out->state = CS_STATE_SUCCESS;
    out->error = 0;
    uint64_t now = sys_now();
    metric_inc(METRIC_CLIENT_OK);
    metric_observe(METRIC_CLIENT_TIME, now - entry->listed_at);
    keep_tls_session(entry);
    if (keep_alive == 0 || entry->link.ops->one_exchange || !entry->request_sent || entry->eof ||
        entry->hangup || entry->aborted) {
        entry->begin_close(CommConnEntry::CLOSING);
        return;
    }
    entry->set_state(CommConnEntry::PARKED);
    entry->set_deadline(entry_after(now, keep_alive));
    struct CommTargetPool *pool = entry->target->pool_;
    entry->ref();
    sys_lock(&pool->lock);
    entry->prev = nullptr;
    entry->next = pool->idle;
    if (pool->idle)
        pool->idle->prev = entry;
    pool->idle = entry;
    entry->listed = true;
    sys_unlock(&pool->lock);
}

// FIN in good order: the message may be one that ends so.
void CommClientMachine::peer_ended(CommConnEntry *entry, CommOutcome *out) {
    CommSession *session = entry->session;
    int result = 0;
    if (session->in_) {
        entry->busy = true;
        entry->unlock();
        result = session->in_->finish();
        entry->set_lock();
        entry->busy = false;
    }
    if (entry->canceled)
        fail(entry, CS_STATE_ERROR, ECANCELED, out);
    else if (result > 0)
        complete(entry, 0, out);
    else
        fail(entry, CS_STATE_ERROR, entry->send_error ? entry->send_error : ECONNRESET, out);
}

void CommClientMachine::fail(CommConnEntry *entry, int state, int error, CommOutcome *out) {
    CommSession *session = entry->session;
    if (session) {
        metric_inc(how_it_failed(state, error));
        entry->session = nullptr;
        out->session = session;
        out->state = state;
        out->error = error;
    } else {
        leave_idle(entry);
    }
    entry->begin_close(CommConnEntry::CLOSING);
}
