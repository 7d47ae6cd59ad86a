// Weft - CommConnEntry: what the client and the server machine have in common
// SPDX-License-Identifier: Apache-2.0
#include "kernel/entry.h"

#include <algorithm>
#include <errno.h>
#include <new>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/channel.h"
#include "kernel/metrics.h"
#include "kernel/session.h"
#include "workflow/detail/container_of.h"

namespace {

constexpr uint32_t bit(CommConnEntry::State s) { return 1u << s; }

// Legal edges: row = from, bits = to.
constexpr uint32_t EDGES[CommConnEntry::STATE_COUNT] = {
    /* CONNECTING   */ bit(CommConnEntry::HANDSHAKING) | bit(CommConnEntry::SENDING) |
        bit(CommConnEntry::CLOSING),
    /* HANDSHAKING  */ bit(CommConnEntry::SENDING) | bit(CommConnEntry::CLOSING),
    /* SENDING      */ bit(CommConnEntry::RECEIVING) | bit(CommConnEntry::CLOSING),
    /* RECEIVING    */ bit(CommConnEntry::PARKED) | bit(CommConnEntry::CLOSING),
    /* PARKED       */ bit(CommConnEntry::SENDING) | bit(CommConnEntry::CLOSING),
    /* CLOSING      */ 0,
    /* S_ACCEPTED   */ bit(CommConnEntry::S_FILTERING) | bit(CommConnEntry::S_HANDSHAKING) |
        bit(CommConnEntry::S_AWAITING) | bit(CommConnEntry::S_SERVING) |
        bit(CommConnEntry::S_CLOSING) | bit(CommConnEntry::C_OPEN),
    /* S_FILTERING  */ bit(CommConnEntry::S_HANDSHAKING) | bit(CommConnEntry::S_AWAITING) |
        bit(CommConnEntry::S_CLOSING) | bit(CommConnEntry::C_OPEN),
    /* S_HANDSHAKING*/ bit(CommConnEntry::S_AWAITING) | bit(CommConnEntry::S_LINGERING) |
        bit(CommConnEntry::S_CLOSING) | bit(CommConnEntry::C_OPEN),
    /* S_AWAITING   */ bit(CommConnEntry::S_RECEIVING) | bit(CommConnEntry::S_CLOSING),
    /* S_RECEIVING  */ bit(CommConnEntry::S_AUTHENTICATING) | bit(CommConnEntry::S_SERVING) |
        bit(CommConnEntry::S_LINGERING) | bit(CommConnEntry::S_CLOSING),
    /* S_AUTHENTICATING */ bit(CommConnEntry::S_SERVING) | bit(CommConnEntry::S_LINGERING) |
        bit(CommConnEntry::S_CLOSING),
    /* S_SERVING    */ bit(CommConnEntry::S_REPLYING) | bit(CommConnEntry::S_LINGERING) |
        bit(CommConnEntry::S_CLOSING),
    /* S_REPLYING   */ bit(CommConnEntry::S_AWAITING) | bit(CommConnEntry::S_LINGERING) |
        bit(CommConnEntry::S_CLOSING) | bit(CommConnEntry::C_UPGRADING),
    /* S_LINGERING  */ bit(CommConnEntry::S_CLOSING),
    /* S_CLOSING    */ 0,
    /* C_CONNECTING */ bit(CommConnEntry::C_HANDSHAKING) | bit(CommConnEntry::C_OPEN) |
        bit(CommConnEntry::C_CLOSING),
    /* C_HANDSHAKING*/ bit(CommConnEntry::C_OPEN) | bit(CommConnEntry::C_CLOSING),
    /* C_UPGRADING  */ bit(CommConnEntry::C_OPEN) | bit(CommConnEntry::C_CLOSING),
    /* C_OPEN       */ bit(CommConnEntry::C_PEER_CLOSED) | bit(CommConnEntry::C_DRAINING) |
        bit(CommConnEntry::C_CLOSING),
    /* C_PEER_CLOSED*/ bit(CommConnEntry::C_DRAINING) | bit(CommConnEntry::C_CLOSING),
    /* C_DRAINING   */ bit(CommConnEntry::C_HALF_CLOSED) | bit(CommConnEntry::C_CLOSING),
    /* C_HALF_CLOSED*/ bit(CommConnEntry::C_CLOSING),
    /* C_CLOSING    */ 0,
};

// Inlined, where is_legal() would be a call through the table of the shared library.
bool has_edge(unsigned from, unsigned to) { return (EDGES[from] >> to & 1) != 0; }

bool is_closing(const CommConnEntry *entry) {
    return entry->state == CommConnEntry::CLOSING || entry->state == CommConnEntry::S_CLOSING ||
           entry->state == CommConnEntry::C_CLOSING;
}

} // namespace

const char *CommConnEntry::state_name(State state) {
    static const char *const names[STATE_COUNT] = {
        "connecting", "handshaking", "sending",     "receiving", "parked",      "closing",
        "accepted",   "filtering",   "handshaking", "awaiting",  "receiving",   "authenticating",
        "serving",    "replying",    "lingering",   "closing",   "connecting",  "handshaking",
        "upgrading",  "open",        "peer closed", "draining",  "half closed", "closing",
    };
    return names[state];
}

bool CommConnEntry::is_legal(State from, State to) { return has_edge(from, to); }

CommConnEntry::CommConnEntry(Communicator *comm_in, struct weft_poller *home, int fd_in,
                             const struct pollable_ops *ops_in, State first)
    : pollable{ops_in, home, 1, POLLER_NO_SLOT, fd_in}, mutex{0}, state(first), busy(false),
      readable(false), writable(false), hangup(false), eof(false), timed_out(false), aborted(false),
      canceled(false), order_wanted(false), order_posted(false), job_wanted(false),
      job_posted(false), want_write(false), polls_write(false), closed(false), gone(false),
      unlisted(false), in_head(false), has_head(false), renewed(false), admitted(false),
      request_sent(false), has_session(false), over(false), listed_used(false), listed(false),
      close_reason(0), send_error(0), comm(comm_in), service(nullptr), session(nullptr),
      input(nullptr), site(nullptr), began(0), seq(0), target(nullptr), conn(nullptr),
      watch(nullptr), output(nullptr), prev(nullptr), next(nullptr), receive_ms(-1), first_ms(0),
      keep_alive(0), listed_at(0), deadline(ENTRY_NEVER), armed_at(ENTRY_NEVER), received(0) {
    link_init(&link, fd_in);
    timer.timer.prev = nullptr;
    timer.msg.run = run_timer;
    order.run = run_order;
    job.run = run_job;
    mpoller_enter(comm->pool_);
    metric_edge(METRIC_NO_STATE, first);
}

CommConnEntry::~CommConnEntry() {
    metric_edge(state, METRIC_NO_STATE);
    drop_output();
    drop_input();
    link.ops->destroy(&link);
    delete watch;
    delete conn;
    if (site)
        job_site_unref(site);
}

// Apart, so that nothing needs to be saved for it on each change of state.
[[noreturn, gnu::noinline, gnu::cold]] static void no_such_edge(unsigned from, unsigned to) {
    fprintf(stderr, "weft: a connection cannot go from %s to %s\n",
            CommConnEntry::state_name(static_cast<CommConnEntry::State>(from)),
            CommConnEntry::state_name(static_cast<CommConnEntry::State>(to)));
    abort();
}

void CommConnEntry::set_state(State next_state) {
    if (!has_edge(state, next_state))
        no_such_edge(state, next_state);
    unsigned before = state;
    state = next_state;
    metric_edge(before, next_state);
}

void CommConnEntry::note(uint32_t events) {
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        hangup = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        writable = true;
}

int CommConnEntry::append(CommSession *session, const char *buf, size_t size, size_t *taken) {
    int result = 0;
    *taken = 0;
    if (size == 0) // a datagram without bytes
        return session->in_->append(buf, taken);
    while (result == 0 && *taken < size) {
        size_t n = size - *taken;
        result = session->in_->append(buf + *taken, &n);
        *taken += n;
        if (n == 0 && result == 0) // takes nothing, wants more: it would never end
            result = -1;
    }
    return result;
}

void CommConnEntry::set_deadline(uint64_t when) {
    deadline = when;
    if (when < armed_at)
        order_wanted = true;
}

void CommConnEntry::unlock_with_order() {
    // One order stands for all that is wanted until it runs.
    bool post = !order_posted;
    if (post) {
        order_posted = true;
        ref();
    }
    order_wanted = false;
    struct weft_poller *home = poller;
    sys_unlock(&mutex);
    if (post)
        poller_do(home, &order);
}

void CommConnEntry::run_order(struct weft_msg *msg, struct weft_poller *driver) {
    CommConnEntry *entry = WEFT_CONTAINER_OF(msg, CommConnEntry, order);
    sys_lock(&entry->mutex);
    entry->order_posted = false;
    entry->tend(driver);
    sys_unlock(&entry->mutex);
    entry->unref(); // never the last: the life reference goes with a job
}

void CommConnEntry::run_timer(struct weft_msg *msg, struct weft_poller *driver) {
    CommConnEntry *entry =
        WEFT_CONTAINER_OF(WEFT_CONTAINER_OF(msg, weft_poll_timer, msg), CommConnEntry, timer);
    sys_lock(&entry->mutex);
    entry->armed_at = ENTRY_NEVER;
    if (!is_closing(entry) && !driver->closing) {
        if (entry->deadline <= driver->now) {
            entry->timed_out = true;
            entry->job_wanted = true;
            entry->deadline = ENTRY_NEVER;
        }
        entry->tend(driver);
    }
    sys_unlock(&entry->mutex);
}

void CommConnEntry::arm(struct weft_poller *driver) {
    uint64_t when = entry_min(deadline, driver->now + ENTRY_LAZY_NS);
    if (when >= armed_at)
        return;
    poller_arm(driver, &timer, when);
    armed_at = when;
}

// Brings the poller's view of this connection up to date. Runs with the lease held.
void CommConnEntry::tend(struct weft_poller *driver) {
    if (is_closing(this)) {
        if (!closed)
            shut(driver);
    } else {
        if (slot == POLLER_NO_SLOT && fd >= 0) {
            polls_write = want_write;
            uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLET | (want_write ? EPOLLOUT : 0u);
            if (poller_register(driver, this, events) < 0) {
                send_error = errno;
                aborted = job_wanted = true;
            }
        } else if (want_write && !polls_write && fd >= 0) {
            polls_write = true;
            if (poller_modify(driver, this, EPOLLIN | EPOLLRDHUP | EPOLLET | EPOLLOUT) < 0) {
                send_error = errno;
                aborted = job_wanted = true;
            }
        }
        if (driver->closing)
            aborted = job_wanted = true;
        else
            arm(driver);
    }
    if (job_wanted)
        post_job(driver);
}

// Takes the descriptor out of the poller and closes it. Program code (deleters) must not run here,
// so the life reference is dropped by the job.
void CommConnEntry::shut(struct weft_poller *driver) {
    poller_disarm(driver, &timer);
    armed_at = ENTRY_NEVER;
    if (slot != POLLER_NO_SLOT) {
        poller_unregister(driver, this, false);
        unref();
    }
    bool abortive = (service && (close_reason == CCR_ABORTED || close_reason == CCR_NO_MEMORY)) ||
                    close_reason == CCR_RESET;
    link.ops->close(&link, abortive);
    link.fd = fd = -1;
    a32_sub(&poller->load, 1);
    closed = true;
    job_wanted = true;
}

void CommConnEntry::post_job(struct weft_poller *driver) {
    job_wanted = false;
    if (job_posted)
        return;
    job_posted = true;
    ref();
    poller_ready(driver, &job);
}

void CommConnEntry::begin_close(State closing) {
    set_state(closing);
    drop_output();
    drop_input();
    order_wanted = true;
}

IoResult CommConnEntry::take(const struct transport *ops_in, char *buf, size_t *size) {
    bool drained;
    ssize_t n;
    do
        n = ops_in->receive(&link, buf, *size, &drained);
    while (n < 0 && errno == EINTR);
    if (link.held > 0) // an answer to the peer's machinery, which the socket did not take
        await_room();
    if (n == TRANSPORT_EMPTY) {
        *size = 0;
        return IoResult::DONE;
    }
    *size = n > 0 ? static_cast<size_t>(n) : *size;
    return note_received(n, drained);
}

IoResult CommConnEntry::note_received(ssize_t n, bool drained) {
    if (n > 0) {
        // A short read ends the data, unless an end of the stream stands behind it.
        if (drained && !hangup)
            readable = false;
        metric_add(METRIC_RECEIVED_BYTES, static_cast<size_t>(n));
        return IoResult::DONE;
    }
    readable = false;
    if (n == 0) {
        eof = true;
        return IoResult::ENDED;
    }
    return errno == EAGAIN ? IoResult::BLOCKED : IoResult::FAILED;
}

IoResult CommConnEntry::receive(char *buf, size_t *size) { return take(link.ops, buf, size); }

IoResult CommConnEntry::discard(char *buf, size_t *size) {
    return take(&transport_plain, buf, size);
}

IoResult CommConnEntry::put(struct iovec *vectors, int count, int *done, size_t *moved) {
    *done = 0;
    *moved = 0;
    while (*done < count) {
        ssize_t n = link.ops->send(&link, vectors + *done, count - *done);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return errno == EAGAIN ? IoResult::BLOCKED : IoResult::FAILED;
        }
        size_t bytes = static_cast<size_t>(n);
        *moved += bytes;
        metric_add(METRIC_SENT_BYTES, bytes);
        if (count == 1 && bytes == vectors->iov_len) { // the usual case
            *done = 1;
            break;
        }
        while (*done < count && bytes >= vectors[*done].iov_len)
            bytes -= vectors[(*done)++].iov_len;
        if (*done < count && bytes > 0) {
            vectors[*done].iov_base = static_cast<char *>(vectors[*done].iov_base) + bytes;
            vectors[*done].iov_len -= bytes;
        }
    }
    return link.held == 0 ? IoResult::DONE : IoResult::BLOCKED;
}

IoResult CommConnEntry::send(struct iovec *vectors, int count) {
    int done;
    size_t moved;
    IoResult result = put(vectors, count, &done, &moved);
    if (result != IoResult::BLOCKED)
        return result;
    int left = count - done;
    size_t size = sizeof(CommOutput) + static_cast<size_t>(left) * sizeof(struct iovec);
    if (left > 0) {
        output = static_cast<CommOutput *>(malloc(size));
        if (!output) {
            metric_inc(METRIC_NO_MEMORY);
            errno = ENOMEM;
            return IoResult::FAILED;
        }
        output->count = left;
        output->next = 0;
        output->left = 0;
        for (int i = done; i < count; i++)
            output->left += vectors[i].iov_len;
        output->block_until = ENTRY_NEVER;
        output->rule = BacklogRule(0, 0);
        memcpy(output->vectors, vectors + done, static_cast<size_t>(left) * sizeof(struct iovec));
    }
    writable = false; // as of the last write; an edge that came since is noted after us
    await_room();
    return IoResult::BLOCKED;
}

// Something is unsent: the back end shall tell when there is room.
void CommConnEntry::await_room() {
    want_write = true;
    if (!polls_write)
        order_wanted = true;
}

IoResult CommConnEntry::flush() {
    int done;
    size_t moved;
    writable = false;
    if (link.held > 0 && link.ops->flush(&link) < 0)
        return errno == EAGAIN ? IoResult::BLOCKED : IoResult::FAILED;
    if (!output)
        return IoResult::DONE;
    IoResult result =
        put(output->vectors + output->next, output->count - output->next, &done, &moved);
    output->next += done;
    output->left -= moved;
    if (result == IoResult::DONE)
        drop_output();
    return result;
}

namespace {

void count_handshake(CommConnEntry *entry, bool agreed) {
    unsigned first = entry->service ? METRIC_SERVER_TLS_FULL : METRIC_CLIENT_TLS_FULL;
    unsigned how = METRIC_SERVER_TLS_FAILED - METRIC_SERVER_TLS_FULL;
    if (agreed)
        how = tls_is_resumed(&entry->link) ? 1 : 0;
    metric_inc(first + how);
}

} // namespace

IoResult CommConnEntry::handshake(bool (*prepare)(CommConnEntry *)) {
    busy = true;
    readable = writable = false;
    unlock();
    sys_point(SYS_POINT_USER_CODE);
    IoResult result = IoResult::FAILED;
    errno = EPROTO;
    if (link.tls ? link.held == 0 || link.ops->flush(&link) == 0 || errno == EAGAIN
                 : prepare(this)) {
        if (link.ops->handshake(&link) == 0)
            result = IoResult::DONE;
        else if (errno == EAGAIN)
            result = IoResult::BLOCKED;
    }
    int error = errno;
    set_lock();
    busy = false;
    if (link.held > 0)
        await_room();
    if (result == IoResult::DONE)
        readable = true; // what was read ahead, if nothing else
    if (result != IoResult::BLOCKED)
        count_handshake(this, result == IoResult::DONE);
    errno = error;
    return result;
}

void CommConnEntry::drop_output() {
    free(output);
    output = nullptr;
}

bool CommConnEntry::save_input(const char *bytes, size_t size) {
    if (size == 0)
        return true;
    if (input && input->begin > 0) {
        memmove(input->bytes, input->bytes + input->begin, input_size());
        input->end -= input->begin;
        input->begin = 0;
    }
    size_t used = input_size();
    if (!input || input->size - used < size) {
        weft_block *grown = worker_grow_block(input, used + size);
        if (!grown) {
            metric_inc(METRIC_NO_MEMORY);
            return false;
        }
        input = grown;
    }
    memcpy(input->bytes + input->end, bytes, size);
    input->end += size;
    return true;
}

bool CommConnEntry::save_input(weft_block *block) {
    if (!input) {
        input = block;
        return true;
    }
    bool saved = save_input(block->bytes + block->begin, block->end - block->begin);
    worker_give_block(block);
    return saved;
}

void CommConnEntry::drop_input() {
    worker_give_block(input);
    input = nullptr;
}

int CommConnEntry::send_now(CommConnEntry *entry, const void *buf, size_t size) {
    struct iovec v = {const_cast<void *>(buf), size};
    ssize_t n = -1;
    if (entry->is_unsent())
        errno = EAGAIN;
    else
        n = entry->link.ops->send(&entry->link, &v, 1);
    int error = errno;
    if (entry->link.held > 0)
        entry->await_room();
    errno = error;
    return static_cast<int>(n);
}

CommConnEntry *CommConnEntry::attach(CommSession *session_in) {
    CommConnEntry *old = session_in->entry_;
    ref();
    session_in->entry_ = this;
    session_in->conn_ = conn;
    session_in->seq_ = seq;
    return old;
}

CommConnEntry *CommConnEntry::attach_client(CommSession *session_in) {
    sys_lock(&session_in->lock_);
    CommConnEntry *old = attach(session_in);
    // Whoever cancels it from here on finds this connection, and waits for its lock.
    canceled = session_in->canceled_;
    sys_unlock(&session_in->lock_);
    session = session_in;
    if (canceled)
        want_job();
    return old;
}

void CommConnEntry::handle(CommSession *session, CommService *service, int state, int error) {
    const void *before = *sys_serving();
    *sys_serving() = service;
    session->handle(state, error);
    *sys_serving() = before;
}

void CommConnEntry::on_abort(struct pollable *node) {
    CommConnEntry *entry = static_cast<CommConnEntry *>(node);
    sys_lock(&entry->mutex);
    if (!is_closing(entry)) {
        entry->aborted = entry->job_wanted = true;
        entry->post_job(entry->poller);
    }
    sys_unlock(&entry->mutex);
}
