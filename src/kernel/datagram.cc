// Weft - datagram services: one socket, and a session for each datagram that arrives on it
// SPDX-License-Identifier: Apache-2.0
#include "kernel/datagram.h"

#include <errno.h>
#include <new>
#include <stdlib.h>
#include <string.h>

namespace {

constexpr uint32_t QUEUE_DATAGRAMS = 1024;
constexpr size_t QUEUE_BYTES = 4 << 20;
constexpr int VECTORS = 1024; // the most that one sendmsg takes (UIO_MAXIOV)

// What was interrupted, or what ICMP said about an earlier datagram, is not about this one.
ssize_t put(int fd, const struct iovec *vectors, int count, const struct sockaddr *to,
            socklen_t len) {
    ssize_t n = -1;
    for (int tries = 0; tries < 3; tries++) {
        n = sys_sendto(fd, vectors, count, to, len);
        if (n >= 0 || (errno != EINTR && errno != ECONNREFUSED))
            break;
    }
    return n;
}

bool is_full(int error) { return error == EAGAIN || error == ENOBUFS; }

ssize_t reply_receive(struct weft_link *, char *, size_t, bool *drained) {
    *drained = true;
    errno = EAGAIN;
    return -1;
}

ssize_t reply_send(struct weft_link *link, const struct iovec *vectors, int count) {
    const struct sockaddr *to;
    socklen_t len;
    link->peer->address->get_addr(&to, &len);
    return link->peer->socket->send_to(vectors, count, to, len);
}

int reply_flush(struct weft_link *) { return 0; }
int reply_finish(struct weft_link *) { return 0; }
void reply_close(struct weft_link *, bool) {} // the descriptor is the socket's
void reply_destroy(struct weft_link *link) { link->peer->socket->unref(); }

const struct transport transport_reply = {nullptr,      reply_receive, reply_send,    reply_flush,
                                          reply_finish, reply_close,   reply_destroy, true};

} // namespace

CommDatagramEntry::CommDatagramEntry(Communicator *comm_in, struct weft_poller *home,
                                     CommDatagramSocket *socket)
    : CommServerEntry(comm_in, home, -1, &CommServerMachine::datagram_ops, S_ACCEPTED), to_{socket,
                                                                                            &peer} {
    pollable_ref(socket);
    link.ops = &transport_reply;
    link.peer = &to_;
}

bool CommDatagramSocket::take_one() {
    struct sockaddr_storage from;
    socklen_t len = sizeof from;
    char *buf = worker_buffer();
    ssize_t n =
        sys_recvfrom(fd, buf, WORKER_BUFFER, reinterpret_cast<struct sockaddr *>(&from), &len);
    if (n < 0) // an error of something that was sent earlier, or an interruption: look again
        return errno != EAGAIN && errno != EBADF && errno != ENOMEM;
    CommServerMachine::datagram(get_comm(), get_service(), this, buf, static_cast<size_t>(n),
                                reinterpret_cast<struct sockaddr *>(&from), len);
    return true;
}

// A datagram in one piece, with its address. Allocated with malloc().
struct CommDatagramSocket::Waiting {
    Waiting *next;
    struct sockaddr_storage to;
    socklen_t len;
    size_t size;
    char bytes[1];

    static Waiting *make(const struct iovec *vectors, int count, const struct sockaddr *to,
                         socklen_t len) {
        size_t size = 0;
        for (int i = 0; i < count; i++)
            size += vectors[i].iov_len;
        Waiting *made = static_cast<Waiting *>(malloc(sizeof(Waiting) + size));
        if (!made) {
            errno = ENOMEM;
            return nullptr;
        }
        made->size = 0;
        for (int i = 0; i < count; i++) {
            if (vectors[i].iov_len > 0)
                memcpy(made->bytes + made->size, vectors[i].iov_base, vectors[i].iov_len);
            made->size += vectors[i].iov_len;
        }
        made->len = len;
        memcpy(&made->to, to, len);
        return made;
    }
    ssize_t send_to(int fd) {
        struct iovec one = {bytes, size};
        return put(fd, &one, 1, reinterpret_cast<struct sockaddr *>(&to), len);
    }
};

CommDatagramSocket::~CommDatagramSocket() {
    while (first_) {
        Waiting *next = first_->next;
        free(first_);
        first_ = next;
        count_dropped();
    }
}

// Under the lock: gives the socket what waits, as long as it takes any. True when all is gone.
bool CommDatagramSocket::send_waiting() {
    while (first_) {
        Waiting *datagram = first_;
        ssize_t n = datagram->send_to(fd);
        if (n < 0 && is_full(errno))
            return false;
        if (n < 0)
            count_dropped();
        waiting_bytes_ -= datagram->size;
        first_ = datagram->next;
        free(datagram);
        a32_store(&waiting_count_, waiting_count_ - 1);
    }
    last_ = &first_;
    return true;
}

ssize_t CommDatagramSocket::send_to(const struct iovec *vectors, int count,
                                    const struct sockaddr *to, socklen_t len) {
    Waiting *piece = nullptr;
    if (count > VECTORS && !(piece = Waiting::make(vectors, count, to, len)))
        return -1;
    sys_lock(&lock_);
    bool behind = !send_waiting(); // others come first; and who listens no more is not told of room
    sys_unlock(&lock_);
    ssize_t n = -1;
    errno = EAGAIN;
    if (!behind)
        n = piece ? piece->send_to(fd) : put(fd, vectors, count, to, len);
    if (n >= 0 || !is_full(errno)) {
        int error = errno;
        free(piece);
        errno = error;
        return n;
    }
    if (!piece && !(piece = Waiting::make(vectors, count, to, len)))
        return -1;
    n = static_cast<ssize_t>(piece->size);
    queue(piece);
    return n;
}

// Takes the datagram over.
void CommDatagramSocket::queue(Waiting *datagram) {
    datagram->next = nullptr;
    sys_lock(&lock_);
    bool first = !first_;
    bool room = waiting_count_ < QUEUE_DATAGRAMS && waiting_bytes_ + datagram->size <= QUEUE_BYTES;
    if (room) {
        waiting_bytes_ += datagram->size;
        *last_ = datagram;
        last_ = &datagram->next;
        a32_store(&waiting_count_, waiting_count_ + 1);
    }
    sys_unlock(&lock_);
    if (!room) {
        free(datagram);
        count_dropped();
    } else if (first) {
        renew_interest();
    }
}

void CommDatagramSocket::can_write() {
    sys_lock(&lock_);
    bool all = send_waiting();
    sys_unlock(&lock_);
    if (all)
        renew_interest();
}

const struct pollable_ops CommServerMachine::datagram_ops = {
    .event = on_event,
    .release = on_datagram_release,
    .abort = CommConnEntry::on_abort,
    .stream = nullptr,
};

void CommServerMachine::on_datagram_release(struct pollable *node) {
    CommDatagramEntry *entry = static_cast<CommDatagramEntry *>(static_cast<CommConnEntry *>(node));
    CommService *service = entry->service;
    delete entry;
    leave_service(service);
}

void CommDatagramSocket::abort_sessions() { CommServerMachine::abort_all(get_service(), poller); }

// The engine ends: connections without a descriptor are in no poller's table.
void CommServerMachine::abort_all(CommService *service, struct weft_poller *home) {
    sys_lock(&service->lock_);
    for (CommConnEntry **ends : {service->ages_[0], service->ages_[1]}) {
        for (CommConnEntry *entry = ends[0]; entry; entry = entry->next) {
            if (entry->poller == home)
                CommConnEntry::on_abort(entry);
        }
    }
    sys_unlock(&service->lock_);
}

// One datagram from arrival to the program. User code runs with nothing locked.
void CommServerMachine::datagram(Communicator *comm, CommService *service,
                                 CommDatagramSocket *socket, const char *buf, size_t size,
                                 const struct sockaddr *from, socklen_t len) {
    metric_add(METRIC_RECEIVED_BYTES, size);
    if (!is_admitted(service, from, len, nullptr))
        return;
    if (service->limits_.max_connections > 0 &&
        service->conn_count_ >= service->limits_.max_connections) {
        count(service, CCR_REFUSED_FULL);
        return;
    }
    CommConnection *conn = service->new_connection(socket->fd);
    struct weft_poller *home = socket->poller;
    CommDatagramEntry *entry =
        conn ? new (std::nothrow) CommDatagramEntry(comm, home, socket) : nullptr;
    if (!entry) {
        delete conn;
        count(service, CCR_NO_MEMORY);
        return;
    }
    a32_add(&home->load, 1);
    entry->busy = true; // nobody else knows it yet
    settle(entry, service, conn, from, len);
    CommSession *session = begin_session(entry);
    size_t taken = 0;
    int result = session && session->in_ ? CommConnEntry::append(session, buf, size, &taken) : -1;
    CommOutcome out;
    entry->ref();
    entry->set_lock();
    entry->busy = false;
    bool taken_in = result > 0 && takes_in_hand(service, session);
    if (taken_in && !entry->aborted && !comm->stopping_) {
        entry->session = out.session = session;
        out.state = CS_STATE_TOREPLY;
        if (service->max_queue_age_ >= 0)
            session->whole_at_ = sys_now();
        entry->set_state(CommConnEntry::S_SERVING);
        entry->received = entry->listed_at; // when the request came
    } else {
        CommCloseReason refused = taken_in ? CCR_ABORTED : CCR_OVERLOADED;
        close(entry, result > 0 ? refused : CCR_BAD_MESSAGE);
    }
    entry->announce(out);
    entry->unlock();
    if (out.session) {
        entry->deliver(out, false);
    } else if (session) {
        session->passive_ = false; // its destructor has nothing to close
        delete session;
    }
    entry->unref();
}
