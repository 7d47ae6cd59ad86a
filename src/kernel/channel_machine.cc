// Weft - the channel machine: a duplex conversation on one connection, from the first byte to the last
// SPDX-License-Identifier: Apache-2.0
//
// | state         | what is true                                              | deadline             |
// |---------------|-----------------------------------------------------------|----------------------|
// | C_CONNECTING  | a client's; connect() is under way                        | connect              |
// | C_HANDSHAKING | likewise; the transport agrees with the peer              | TLS                  |
// | C_UPGRADING   | a server's; its last session has answered, and is not     | -                    |
// |               | gone yet                                                  |                      |
// | C_OPEN        | both sides may send                                       | the earliest limit   |
// | C_PEER_CLOSED | the peer has ended its sending, we may go on              | likewise             |
// | C_DRAINING    | our end was asked for; the queue is being sent            | likewise             |
// | C_HALF_CLOSED | our sending has ended, the peer's not, or it is not told  | finish               |
// | C_CLOSING     | the poller closes the descriptor; the program is told     | -                    |
#include <algorithm>
#include <errno.h>
#include <string.h>

#include "kernel/channel.h"
#include "kernel/metrics.h"
#include "workflow/detail/container_of.h"

namespace {

constexpr int MAX_STEPS = 16; // in one go, so that one channel cannot keep a worker

int error_of(CommCloseReason reason) {
    switch (reason) {
    case CCR_PEER_CLOSED:
    case CCR_FINISHED:
    case CCR_CLOSED:
    case CCR_DRAINED:
        return 0;
    case CCR_ABORTED:
        return ECANCELED;
    case CCR_NO_MEMORY:
        return ENOMEM;
    case CCR_BAD_MESSAGE:
        return EBADMSG;
    case CCR_MADE_ROOM:
    case CCR_BACKLOG_FULL:
    case CCR_RESET:
        return ECONNABORTED;
    case CCR_PEER_RESET:
        return ECONNRESET;
    default:
        return ETIMEDOUT;
    }
}

} // namespace

const struct pollable_stream CommChannelMachine::stream = {
    .ahead = on_ahead,
    .received = on_received,
    .flush = on_flush,
    .flushed = on_flushed,
};

const struct pollable_ops CommChannelMachine::client_ops = {
    .event = on_event,
    .release = on_release,
    .abort = CommConnEntry::on_abort,
    .stream = &stream,
};

void CommChannelMachine::on_event(struct pollable *node, uint32_t events) {
    CommConnEntry *entry = static_cast<CommConnEntry *>(node);
    entry->set_lock();
    entry->note(events);
    run(entry);
}

void CommChannelMachine::on_release(struct pollable *node) {
    delete static_cast<CommClientEntry *>(node);
}

void CommChannelMachine::run(CommConnEntry *entry) { run_here(entry, false); }

// `here`: this thread came from the queue with a permit for this channel.
void CommChannelMachine::run_here(CommConnEntry *entry, bool here) {
    Step result = AGAIN;
    for (int steps = 0; result == AGAIN; steps++) {
        bool plain = has_only_to_read(entry);
        if (!plain) {
            write(entry);
            look_at_limits(entry);
        }
        if (entry->busy)
            break;
        if (steps == MAX_STEPS) {
            entry->want_job();
            break;
        }
        result = plain ? read(entry, &here) : step(entry, &here);
    }
    if (result == LEFT) {
        leave(entry);
        return;
    }
    CommChannelCore *core = entry->channel;
    struct mpoller *pool = entry->comm->pool_;
    if (result == QUEUED) { // `busy` is handed on
        entry->ref();
        core->delivery.core = core;
        core->delivery.run = run_delivery;
        if (pool->schedule)
            mpoller_enter(pool);
    }
    release_done(entry, core);
    if (result == QUEUED)
        mpoller_deliver(pool, &core->delivery, entry->site);
}

void CommChannelMachine::run_delivery(struct weft_job *job) {
    CommChannelCore *core = static_cast<CommChannelCore::Delivery *>(job)->core;
    CommConnEntry *entry = core->entry;
    if (entry->comm->pool_->schedule)
        mpoller_leave(entry->comm->pool_);
    entry->set_lock();
    entry->busy = false;
    if (has_unseen_input(entry)) // how long it stood in the queue is not the peer's silence
        core->last_received = core->last_moved = entry->began = sys_now();
    run_here(entry, true);
    entry->unref();
}

CommChannelMachine::Step CommChannelMachine::step(CommConnEntry *entry, bool *here) {
    CommChannelCore *core = entry->channel;
    if (entry->state == CommConnEntry::C_CLOSING)
        return entry->unlisted && !entry->over ? tell_closed(entry, here) : REST;
    if (entry->aborted) { // while it was connecting
        end(entry, entry->send_error ? CCR_NO_MEMORY : CCR_ABORTED, entry->send_error);
        return AGAIN;
    }
    if (!core) // just accepted
        return attach(entry) ? AGAIN : REST;
    if (core->unwanted) {
        end(entry, CCR_CLOSED, 0);
        return AGAIN;
    }
    if (entry->timed_out) {
        entry->timed_out = false;
        time_out(entry);
        return AGAIN;
    }
    switch (entry->state) {
    case CommConnEntry::C_UPGRADING: // what has come waits
        return REST;
    case CommConnEntry::C_CONNECTING:
        if (core->tell_connecting)
            return tell(entry, here);
        return (entry->writable || entry->hangup) && connected(entry) ? AGAIN : REST;
    case CommConnEntry::C_HANDSHAKING:
        if (!entry->readable && (!entry->writable || entry->link.held == 0))
            return REST;
        return shake_hands(entry) ? AGAIN : REST;
    default:
        break;
    }
    if (has_event(core))
        return tell(entry, here);
    return read(entry, here);
}

// What holds whether or not the program has the channel in its hand: the end of the engine, which a
// program that blocks must not hold up, and the limits on what is sent.
void CommChannelMachine::look_at_limits(CommConnEntry *entry) {
    if (entry->state < CommConnEntry::C_UPGRADING || entry->state == CommConnEntry::C_CLOSING)
        return;
    CommChannelCore *core = entry->channel;
    bool unread = core && !core->read_paused && is_unread(entry);
    if (core && core->look_again && !entry->busy && !unread) {
        core->look_again = false;
        entry->timed_out = true;
    }
    if (entry->aborted) {
        end(entry, entry->send_error ? CCR_NO_MEMORY : CCR_ABORTED, entry->send_error);
    } else if (entry->timed_out) {
        entry->timed_out = false;
        time_out(entry);
    }
}

// Sets `busy`, for the program's code to be run by this thread, or by the one that will take it
// from the queue (false).
bool CommChannelMachine::begin_program(CommConnEntry *entry, bool *here) {
    entry->busy = true;
    if (!*here)
        *here = mpoller_admits(entry->comm->pool_, entry->site);
    return *here;
}

bool CommChannelMachine::has_event(const CommChannelCore *core) {
    return core->tell_connecting || core->tell_established || core->crossings > 0 ||
           core->tell_written || core->tell_heartbeat;
}

// Takes what comes next.
CommChannelEvent CommChannelMachine::take_event(CommChannelCore *core) {
    CommChannelEvent event = {CCE_HEARTBEAT, CCR_COUNT, 0};
    if (core->tell_connecting) {
        core->tell_connecting = false;
        event.type = CCE_CONNECTING;
    } else if (core->tell_established) {
        core->tell_established = false;
        event.type = CCE_ESTABLISHED;
    } else if (core->crossings > 0) {
        core->crossings--;
        core->told_high = !core->told_high;
        event.type = core->told_high ? CCE_HIGH_WATER : CCE_LOW_WATER;
    } else if (core->tell_written) {
        core->tell_written = false;
        event.type = CCE_WRITTEN;
    } else {
        core->tell_heartbeat = false;
    }
    return event;
}

CommChannelMachine::Step CommChannelMachine::tell(CommConnEntry *entry, bool *here) {
    CommChannelCore *core = entry->channel;
    if (!begin_program(entry, here))
        return QUEUED;
    CommChannelEvent event = take_event(core);
    CommService *service = entry->service;
    entry->unlock();
    {
        ProgramCall call(entry, service);
        core->channel->handle(event);
    }
    entry->set_lock();
    entry->busy = false;
    return AGAIN;
}

// The last that the program hears. The channel is in no list any more by then.
CommChannelMachine::Step CommChannelMachine::tell_closed(CommConnEntry *entry, bool *here) {
    CommChannelCore *core = entry->channel;
    if (entry->has_session) // which may look at its service yet
        return REST;
    if (!core) {
        entry->over = true;
        return LEFT;
    }
    if (core->tell_established)
        return tell(entry, here);
    if (!begin_program(entry, here))
        return QUEUED;
    CommService *service = entry->service;
    CommChannelEvent event = {CCE_ERROR, static_cast<CommCloseReason>(entry->close_reason),
                              core->error};
    entry->unlock();
    channel_table_remove(core->id);
    core->group->remove(core);
    if (!service)
        entry->target->release(); // it may be gone from here on
    {
        ProgramCall call(entry, service);
        if (event.error)
            core->channel->handle(event);
        event.type = CCE_CLOSED;
        core->channel->handle(event);
    }
    entry->set_lock();
    entry->busy = false;
    entry->over = true;
    return LEFT;
}

// Gives back what the connection has: its place, its service, the program's objects.
void CommChannelMachine::leave(CommConnEntry *entry) {
    CommChannelCore *core = entry->channel;
    CommService *service = entry->service;
    CommConnection *conn = entry->conn;
    entry->channel = nullptr;
    entry->conn = nullptr;
    PieceQueue done;
    if (core)
        done.append_all(&core->done);
    entry->unlock();
    release_all(&done);
    delete conn;
    if (service)
        CommServerMachine::leave_for_channel(entry);
    if (core)
        core->channel->unref();
    entry->unref(); // that for its life; never the last
}

bool CommChannelMachine::connected(CommConnEntry *entry) {
    int error = sys_socket_error(entry->fd);
    entry->writable = false;
    if (error == 0 && is_self(entry)) {
        end(entry, CCR_SELF_CONNECTED, ECONNREFUSED);
        return true;
    }
    if (error) {
        end(entry, CCR_CONNECT_FAILED, error);
        return true;
    }
    struct CommTargetPool *pool = entry->target->pool_;
    if (pool->ssl_ctx) {
        entry->set_state(CommConnEntry::C_HANDSHAKING);
        entry->began = sys_now();
        set_begin_deadline(entry);
        return shake_hands(entry);
    }
    establish(entry);
    return true;
}

// A port of this machine that nobody listens on may have been given to ourselves, and TCP then
// connects it with itself.
bool CommChannelMachine::is_self(const CommConnEntry *entry) {
    const CommTarget *target = entry->target;
    struct sockaddr_storage local;
    socklen_t len = sizeof local;
    if (target->addr_->sa_family != AF_INET && target->addr_->sa_family != AF_INET6)
        return false;
    if (sys_getsockname(entry->fd, reinterpret_cast<struct sockaddr *>(&local), &len) < 0 ||
        local.ss_family != target->addr_->sa_family)
        return false;
    if (local.ss_family == AF_INET) {
        const auto *a = reinterpret_cast<const struct sockaddr_in *>(&local);
        const auto *b = reinterpret_cast<const struct sockaddr_in *>(target->addr_);
        return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
    }
    const auto *a = reinterpret_cast<const struct sockaddr_in6 *>(&local);
    const auto *b = reinterpret_cast<const struct sockaddr_in6 *>(target->addr_);
    return a->sin6_port == b->sin6_port &&
           memcmp(&a->sin6_addr, &b->sin6_addr, sizeof a->sin6_addr) == 0;
}

bool CommChannelMachine::shake_hands(CommConnEntry *entry) {
    switch (entry->handshake(CommClientMachine::open_tls)) {
    case IoResult::DONE:
        if (!entry->aborted && !entry->channel->unwanted) {
            entry->timed_out = false; // it was in time after all
            establish(entry);
        }
        return true;
    case IoResult::BLOCKED:
        return true; // there may be news
    default:
        end(entry, CCR_HANDSHAKE_FAILED, entry->link_error());
        return true;
    }
}

void CommChannelMachine::establish(CommConnEntry *entry) {
    CommChannelCore *core = entry->channel;
    uint64_t now = sys_now();
    if (entry->state != CommConnEntry::C_OPEN)
        entry->set_state(CommConnEntry::C_OPEN);
    core->tell_established = core->was_established = true;
    core->last_received = core->last_moved = core->beat_at = core->opened_at = now;
    core->bytes_received += entry->input_size();
    core->group->add(core);
    entry->readable = true; // what came with the handshake, or behind the last message
    if (core->ending) {
        core->finish_at = entry_after(now, CHANNEL_DRAIN_MS);
        end_sending(entry);
    }
    if (entry->state != CommConnEntry::C_CLOSING)
        renew_deadline(entry, now);
}

void CommChannelMachine::open(CommConnEntry *entry) {
    entry->set_state(CommConnEntry::C_OPEN);
    entry->deadline = ENTRY_NEVER;
    entry->want_job();
}

// Under the entry's lock.
int CommChannelMachine::bind(CommChannelCore *core, CommConnEntry *entry, CommChannelGroup *group) {
    uint64_t id = channel_table_add(core, entry->poller->index);
    if (id == 0)
        return -1;
    core->id = id;
    const struct sockaddr *peer;
    socklen_t len;
    entry->target->get_addr(&peer, &len);
    core->peer_len = std::min<socklen_t>(len, sizeof core->peer);
    memcpy(&core->peer, peer, core->peer_len);
    core->opened_at = sys_now();
    core->group = group;
    core->shard = entry->poller->index % CHANNEL_GROUP_SHARDS;
    core->backlog = BacklogRule(core->options().backlog_limit, core->options().min_send_rate);
    group->ref();
    entry->ref();
    core->entry = entry;
    return 0;
}

void CommChannelMachine::take_over(CommConnEntry *entry, CommSession *session) {
    CommChannelCore *core = session->successor_->core_;
    entry->set_state(CommConnEntry::C_UPGRADING);
    entry->deadline = ENTRY_NEVER;
    session->handed_over_ = entry->has_session = true;
    if (!core || core->entry || bind(core, entry, session->successor_group_) < 0) {
        end(entry, CCR_NO_MEMORY, ENOMEM);
        return;
    }
    session->successor_ = nullptr; // its reference is the entry's now
    entry->channel = core;
    core->ending = entry->service->draining_; // whoever drained it has passed this one by
}

void CommChannelMachine::session_gone(CommConnEntry *entry) {
    entry->set_lock();
    entry->has_session = false;
    if (entry->gone) {
        // Closed long since; the engine may have ended, and its workers. The program is told on
        // this thread, unless the one that closed it is just about to.
        run_here(entry, true);
        return;
    }
    struct mpoller *pool = entry->comm->pool_; // it may end once the lock is let go
    mpoller_enter(pool);
    if (entry->state == CommConnEntry::C_UPGRADING)
        establish(entry);
    entry->want_job();
    entry->unlock();
    mpoller_leave(pool);
}

// The program's channel for an accepted connection.
bool CommChannelMachine::attach(CommConnEntry *entry) {
    CommService *service = entry->service;
    entry->busy = true;
    entry->unlock();
    CommChannel *channel;
    {
        ProgramCall call(entry, service);
        channel = service->new_channel(entry->conn);
    }
    CommChannelCore *core = channel ? channel->core_ : nullptr;
    entry->set_lock();
    entry->busy = false;
    if (core && !core->entry && entry->state == CommConnEntry::C_OPEN &&
        bind(core, entry, service->channels_) == 0) {
        entry->channel = core; // before anybody can find the connection by it
        establish(entry);
        return true;
    }
    if (entry->state != CommConnEntry::C_CLOSING)
        end(entry, CCR_NO_MEMORY, 0);
    if (channel) { // nobody has heard of it
        entry->unlock();
        channel->unref();
        entry->set_lock();
    }
    return true;
}

int CommChannelMachine::connect(Communicator *comm, CommChannel *channel, CommTarget *target,
                                CommChannelGroup *group) {
    CommChannelCore *core = channel->core_;
    errno = core ? EISCONN : ENOMEM;
    if (!core || core->entry)
        return -1;
    CommConnEntry *entry =
        CommClientMachine::connect(comm, target, &client_ops, CommConnEntry::C_CONNECTING);
    if (!entry)
        return -1;
    entry->set_lock();
    if (bind(core, entry, group) < 0) {
        entry->begin_close(CommConnEntry::C_CLOSING);
        entry->unlock();
        errno = ENOMEM;
        return -1;
    }
    entry->channel = core;
    core->tell_connecting = core->options().tell_connecting;
    if (core->tell_connecting)
        entry->want_job();
    entry->want_write = true; // writability tells that it is connected
    entry->order_wanted = true;
    entry->began = core->opened_at;
    set_begin_deadline(entry);
    entry->unlock(); // from here on the channel may go on, and end
    return 0;
}

void CommChannelMachine::end(CommConnEntry *entry, CommCloseReason reason, int error) {
    CommChannelCore *core = entry->channel;
    entry->close_reason = static_cast<uint8_t>(reason);
    if (entry->service)
        CommServerMachine::count(entry->service, reason);
    else
        metric_inc(METRIC_CLOSES + static_cast<unsigned>(reason));
    if (!entry->service && core && core->was_established)
        CommClientMachine::keep_tls_session(entry);
    if (core) {
        core->error = error ? error : core->error ? core->error : error_of(reason);
        core->halted = true;
        send_last_words(entry);
        if (!core->leaving) // else once that has left
            drop_queue(core);
    }
    entry->begin_close(CommConnEntry::C_CLOSING);
}

bool CommChannelMachine::is_idle(const CommConnEntry *entry) {
    const CommChannelCore *core = entry->channel;
    return entry->state == CommConnEntry::C_OPEN && !entry->busy && core && core->queued == 0 &&
           !core->in_message && entry->input_size() == 0 && !entry->readable;
}

// To make room it goes at once. At the end of the service in good order: what was sent arrives, and
// the peer notices.
bool CommChannelMachine::drain(CommConnEntry *entry, CommCloseReason reason) {
    CommChannelCore *core = entry->channel;
    if (entry->state == CommConnEntry::C_CLOSING)
        return false;
    if (reason == CCR_MADE_ROOM) {
        if (!is_idle(entry))
            return false;
        end(entry, reason, 0);
        return true;
    }
    if (!core) { // nobody has heard of it
        end(entry, reason, 0);
        return true;
    }
    core->ending = true;
    uint64_t now = sys_now();
    core->finish_at = entry_min(core->finish_at, entry_after(now, CHANNEL_DRAIN_MS));
    if (entry->state != CommConnEntry::C_UPGRADING) // that one looks at it when it opens
        end_sending(entry);
    if (entry->state != CommConnEntry::C_CLOSING)
        entry->set_deadline(entry_min(entry->deadline, core->finish_at));
    return true;
}
