// Weft - the invariants: what holds whenever the machine is quiet, and at the end
// SPDX-License-Identifier: Apache-2.0
//
// Quiet means that no thread can run and none is stuck: all are asleep until a timer fires or the
// network moves. Then whatever could have been done must be done: no order unread, no completion
// with a permit to be had, no bytes in a connection that waits for bytes, no room for bytes that
// wait to be sent, no newcomer at a listener, no deadline that is not armed. So a wake or an edge
// that was lost is seen where it is lost, and not hidden by the next timeout. This file is compiled
// without access control, since it looks into objects that keep to themselves.
#include <stdio.h>

#include "datagrams.h"
#include "kernel/channel.h"
#include "kernel/entry.h"
#include "kernel/listener.h"
#include "kernel/pool.h"
#include "kernel/session.h"
#include "kernel/sleep.h"
#include "program.h"

namespace sim {

namespace {

bool is_reading(const CommConnEntry *e) {
    switch (e->state) {
    case CommConnEntry::HANDSHAKING:
    case CommConnEntry::SENDING:
    case CommConnEntry::RECEIVING:
    case CommConnEntry::S_HANDSHAKING:
    case CommConnEntry::PARKED:
    case CommConnEntry::S_AWAITING:
    case CommConnEntry::S_RECEIVING:
    case CommConnEntry::S_LINGERING:
        return true;
    case CommConnEntry::S_AUTHENTICATING:
    case CommConnEntry::S_SERVING:
    case CommConnEntry::S_REPLYING:
        return e->input_size() < ENTRY_PIPELINE_MAX;
    default:
        return false;
    }
}

// What is too much is looked at, and in time.
void check_backlog(const CommConnEntry *e) {
    const BacklogRule &rule = e->output->rule;
    size_t left = 0, most = e->service->limits_.backlog_limit;
    for (int i = e->output->next; i < e->output->count; i++)
        left += e->output->vectors[i].iov_len;
    if (left != e->output->left)
        world->fail("quiet, but %zu bytes are unsent (%d), not %zu", left, e->fd, e->output->left);
    if (most > 0 && left > most && rule.next_sample() < e->deadline)
        world->fail("quiet, but a backlog is looked at too late (%d)", e->fd);
    if ((most > 0 && left > most) != rule.is_running())
        world->fail("quiet, but a backlog of %zu bytes is %slooked at (%d)", left,
                    rule.is_running() ? "" : "not ", e->fd);
}

void check_entry(const CommConnEntry *e) {
    const char *name = CommConnEntry::state_name(static_cast<CommConnEntry::State>(e->state));
    if (e->mutex.word)
        world->fail("quiet, but a connection is locked");
    if (CommChannelMachine::is_channel(e)) {
        check_channel(e);
        return;
    }
    if (e->busy)
        return; // its session's code waits for something
    if (e->state == CommConnEntry::CLOSING || e->state == CommConnEntry::S_CLOSING)
        world->fail("quiet, but a connection is still to be closed");
    auto stream = net->as<Stream>(e->fd);
    if (is_reading(e) &&
        (stream->unread() > 0 || (stream->fin_in && !e->eof && stream->state == Stream::OPEN)))
        world->fail("quiet, but a connection (%d, %s) has not read %zu bytes%s", e->fd, name,
                    stream->unread(), stream->fin_in ? " and an end" : "");
    std::shared_ptr<Stream> peer = stream->peer.lock();
    bool is_told = stream->notices == 0 && peer && peer->state == Stream::OPEN;
    if (e->is_unsent() && stream->state == Stream::OPEN && stream->is_writable() && is_told)
        world->fail("quiet, but a connection (%d, %s) has not written what there is room for",
                    e->fd, name);
    if (e->deadline != ENTRY_NEVER && e->armed_at > e->deadline)
        world->fail("quiet, but a connection (%d, %s) has an unarmed deadline", e->fd, name);
    if (e->deadline < world->now - 200 * US)
        world->fail("quiet, but a connection (%d, %s) is past its deadline", e->fd, name);
    if (e->state == CommConnEntry::S_REPLYING && e->output)
        check_backlog(e);
    if (e->watch && e->eof)
        world->fail("quiet, but nobody was told that a peer has gone (%d, %s)", e->fd, name);
    if (e->aborted || (e->canceled && e->session) || e->job_posted || e->job_wanted)
        world->fail("quiet, but a connection (%d, %s) has something to do", e->fd, name);
}

void check_listener(const CommListener *listener) {
    if (listener->stopped_ || wheel_has(&listener->resume_.timer))
        return;
    if ((listener->held_ != 0) != static_cast<const Server *>(listener->service_)->held)
        world->fail("quiet, but a listener (%d) is %s", listener->fd,
                    listener->held_ ? "held by nobody" : "not held");
    auto sockets = net->as<Datagrams>(listener->fd);
    auto stream = net->as<Listener>(listener->fd);
    size_t newcomers = sockets ? sockets->queue.size() : stream ? stream->queue.size() : 0;
    if (newcomers > 0 && !listener->held_)
        world->fail("quiet, but %zu newcomers of a listener (%d) wait", newcomers, listener->fd);
    if (sockets && listener->wants_write() && !sockets->full)
        world->fail("quiet, but a datagram socket (%d) has not sent what there is room for",
                    listener->fd);
}

void check_poller(const struct weft_poller *poller) {
    if (!poller->born)
        return;
    if (poller->inbox)
        world->fail("quiet, but poller %u has not read an order", poller->index);
    if (poller->ready_count)
        world->fail("quiet, but poller %u has work", poller->index);
    if (lease_is_out(poller->lease))
        world->fail("quiet, but the lease of poller %u is out", poller->index);
    for (int32_t i = 0; i < poller->slot_count; i++) {
        const struct pollable *node = poller->slots[i].node;
        if (node && (node->ops == &CommClientMachine::ops || node->ops == &CommServerMachine::ops ||
                     node->ops == &CommChannelMachine::client_ops))
            check_entry(static_cast<const CommConnEntry *>(node));
        else if (node && node->ops == &CommListener::ops)
            check_listener(static_cast<const CommListener *>(node));
    }
}

} // namespace

void print_pool(Program *program) {
    struct mpoller *pool = program->sched.get_communicator()->get_pool();
    if (!pool || !pool->pollers)
        return;
    printf("  pool: live %u, queued %u, permits %d, called %u, workers %u, "
           "relays %llu, refused %llu%s%s%s\n",
           pool->live, pool->queued, pool->permits, pool->called, pool->workers,
           static_cast<unsigned long long>(pool->stats.relays),
           static_cast<unsigned long long>(pool->stats.refused), pool->orphans ? ", orphans" : "",
           pool->watch ? "" : ", no watch", pool->stopping ? ", stopping" : "");
    for (unsigned i = 0; i < pool->count; i++) {
        const struct weft_poller *p = &pool->pollers[i];
        printf("  poller %u: lease %s, ready %u%s%s%s, load %u\n", i,
               lease_is_out(p->lease) ? "out" : "held", p->ready_count, p->born ? "" : ", not born",
               p->inbox ? ", inbox" : "", p->closing ? ", closing" : "", p->load);
        for (int32_t k = 0; k < p->slot_count; k++) {
            const struct pollable *node = p->slots[k].node;
            if (!node ||
                (node->ops != &CommClientMachine::ops && node->ops != &CommServerMachine::ops &&
                 node->ops != &CommChannelMachine::client_ops))
                continue;
            const CommConnEntry *e = static_cast<const CommConnEntry *>(node);
            printf("    descriptor %d: %s%s%s%s%s%s%s%s%s, refs %u, session %s\n", e->fd,
                   CommConnEntry::state_name(static_cast<CommConnEntry::State>(e->state)),
                   e->busy ? ", busy" : "", e->readable ? ", readable" : "",
                   e->writable ? ", writable" : "", e->eof ? ", eof" : "",
                   e->aborted ? ", aborted" : "", e->order_posted ? ", order posted" : "",
                   e->job_posted ? ", job posted" : "", e->output ? ", output" : "", e->refs,
                   e->session ? "yes" : "no");
        }
    }
}

void check_quiet(Program *program) {
    struct mpoller *pool = program->sched.get_communicator()->get_pool();
    if (!pool || !pool->pollers || pool->stopping)
        return;
    if (pool->lock.word)
        world->fail("quiet, but the pool is locked");
    if (pool->orphans && pool->stats.refused == 0)
        world->fail("quiet, but a poller has no driver");
    if (pool->queued > 0 && pool->permits > 0 && pool->stats.refused == 0)
        world->fail("quiet, but %u completions wait while there are permits", pool->queued);
    for (unsigned i = 0; i < pool->count && pool->stats.refused == 0; i++)
        check_poller(&pool->pollers[i]);
}

void check_service(CommService *service) {
    // Refused before or behind the point where the program has made its part of a connection.
    uint64_t closed = 0, refused = 0;
    for (int i = 0; i < CCR_COUNT; i++) {
        if (i == CCR_REFUSED_FULL || i == CCR_REFUSED_NO_FD)
            continue;
        bool early = i == CCR_NO_MEMORY || i == CCR_REFUSED_ADDRESS ||
                     i == CCR_REFUSED_PER_ADDRESS || i == CCR_REFUSED_RATE;
        (early ? refused : closed) += service->close_counts_[i];
    }
    if (service->conn_count_ != 0)
        world->fail("an unbound service counts %zu connections", service->conn_count_.load());
    for (auto &ends : service->ages_) {
        if (ends[0] || ends[1])
            world->fail("an unbound service still lists connections");
    }
    uint64_t begun = static_cast<Server *>(service)->entries;
    if (closed > begun || closed + refused < begun)
        world->fail("a service had %llu connections, but %llu were closed",
                    static_cast<unsigned long long>(begun),
                    static_cast<unsigned long long>(closed));
}

void check_target(CommTarget *base) {
    Target *target = static_cast<Target *>(base);
    if (target->cur_load != 0 || target->waiters.first || target->waiters.count)
        world->fail("a target is left with a load of %zu and %zu waiters", target->cur_load,
                    target->waiters.count);
    if (target->pool_ && target->pool_->idle)
        world->fail("a target is left with a parked connection");
}

void check_pool_at_stop(struct mpoller *pool) {
    if (!mpoller_is_empty(pool))
        world->fail("the pool ends while %u timers and connections live",
                    pool->live & ~POOL_ENDING);
    for (unsigned i = 0; i < pool->count; i++) {
        if (pool->pollers[i].load != 0)
            world->fail("poller %u ends with a load of %u", i, pool->pollers[i].load);
    }
}

} // namespace sim
