// Weft - the invariants of channels: what holds whenever the machine is quiet
// SPDX-License-Identifier: Apache-2.0
//
// Compiled without access control, as checks.cc is.
#include <algorithm>

#include "channels.h"
#include "kernel/channel.h"

namespace sim {

namespace {

// Nobody may have to wait for a program that is inside an event.
void check_writing(const CommConnEntry *e, const CommChannelCore *core, const Stream *stream) {
    size_t sum = 0;
    for (const CommPiece *p = core->queue.first; p; p = p->next)
        sum += p->size;
    if (core->queue.first)
        sum -= core->first_sent;
    if (core->late || core->leaving)
        world->fail("quiet, but what a channel (%d) has put off was not sent", e->fd);
    if (sum != core->queued || core->counted != core->queued)
        world->fail("quiet, but %zu bytes of a channel (%d) are queued, %zu noted, %zu counted",
                    sum, e->fd, core->queued.load(), core->counted);
    std::shared_ptr<Stream> peer = stream->peer.lock();
    bool is_told = stream->notices == 0 && peer && peer->state == Stream::OPEN;
    bool unsent = e->state >= CommConnEntry::C_OPEN && !core->broken &&
                  (core->queue.first || e->link.held > 0);
    if (unsent && stream->state == Stream::OPEN && stream->is_writable() && is_told)
        world->fail("quiet, but a channel (%d) has not written what there is room for", e->fd);
}

// Each limit is looked at when it is reached.
void check_limits(const CommConnEntry *e, const CommChannelCore *core) {
    const CommChannelOptions &options = core->options();
    CommCloseReason reason = CCR_COUNT;
    uint64_t when =
        std::min({core->finish_at, core->ends_at, core->limit_at, core->backlog.next_sample()});
    if (e->state == CommConnEntry::C_DRAINING)
        when = entry_min(when, entry_after(core->last_sent, options.finish_timeout));
    if (options.heartbeat >= 0)
        when = entry_min(when,
                         entry_after(std::max(core->last_moved, core->beat_at), options.heartbeat));
    if (!core->read_paused) {
        when = entry_min(when, CommChannelMachine::find_receive_limit(e, &reason));
        uint64_t moved = std::max(core->last_moved, core->last_received);
        when = entry_min(when, entry_after(moved, options.idle_timeout));
    }
    uint64_t soon = world->now + 60 * MS;
    if (when < e->deadline && e->deadline > soon && e->deadline - when > 60 * MS)
        world->fail("quiet, but a limit of a channel (%d) is looked at too late (paused %d)", e->fd,
                    core->read_paused);
    bool much = options.backlog_limit > 0 && core->queued > options.backlog_limit;
    if (!core->broken && much != core->backlog.is_running())
        world->fail("quiet, but a backlog of %zu bytes of a channel (%d) is %slooked at",
                    core->queued.load(), e->fd, much ? "not " : "");
}

void check_reading(const CommConnEntry *e, const CommChannelCore *core, const Stream *stream) {
    if (core->read_paused)
        return;
    if (stream->unread() > 0 || (stream->fin_in && !e->eof && stream->state == Stream::OPEN))
        world->fail("quiet, but a channel (%d) has not read %zu bytes%s", e->fd, stream->unread(),
                    stream->fin_in ? " and an end" : "");
    if ((e->input_size() > 0 && !core->needs_more) || core->tell_finish)
        world->fail("quiet, but a channel (%d) was not shown what has come", e->fd);
}

} // namespace

bool is_busy(const CommChannel *channel) {
    const CommConnEntry *entry = channel->core_->entry.load();
    return entry && entry->busy;
}

bool is_bound(const CommChannel *channel) { return channel->core_ && channel->core_->entry; }

void check_channel(const CommConnEntry *e) {
    const CommChannelCore *core = e->channel;
    auto stream = net->as<Stream>(e->fd);
    if (e->state == CommConnEntry::C_CLOSING)
        world->fail("quiet, but a channel (%d) is still to be closed", e->fd);
    if (e->deadline != ENTRY_NEVER && e->armed_at > e->deadline && !e->aborted)
        world->fail("quiet, but a channel (%d) has an unarmed deadline", e->fd);
    if (e->deadline < world->now - 200 * US && !e->aborted)
        world->fail("quiet, but a channel (%d) is past its deadline", e->fd);
    if (core)
        check_writing(e, core, stream.get());
    if (e->busy)
        return;
    if (!core || e->aborted || e->timed_out || core->unwanted || e->job_posted || e->job_wanted ||
        CommChannelMachine::has_event(core))
        world->fail("quiet, but a channel (%d, %s) has something to do", e->fd,
                    CommConnEntry::state_name(static_cast<CommConnEntry::State>(e->state)));
    switch (e->state) {
    case CommConnEntry::C_CONNECTING:
        if (stream->state != Stream::CONNECTING)
            world->fail("quiet, but a channel (%d) is connected", e->fd);
        return;
    case CommConnEntry::C_HANDSHAKING:
        if (stream->unread() > 0)
            world->fail("quiet, but a channel (%d) does not read its handshake", e->fd);
        return;
    case CommConnEntry::C_UPGRADING:
        if (!e->has_session)
            world->fail("quiet, but a channel (%d) was not opened", e->fd);
        return;
    default:
        check_limits(e, core);
        check_reading(e, core, stream.get());
    }
}

} // namespace sim
