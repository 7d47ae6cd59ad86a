// Weft - the channel machine: what the peer sends, and its limits of time
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <errno.h>
#include <stdlib.h>

#include "kernel/channel.h"
#include "kernel/metrics.h"

namespace {

constexpr uint64_t SECOND_NS = 1'000'000'000u;
constexpr size_t BULK_BYTES = WORKER_BLOCK_ROOM;
// Reads that bring less before it is no bulk any more: two, since a message that was larger than
// what was received ahead comes as two, of which the second may be small.
constexpr unsigned BULK_READS = 2;

// The bytes that must have come by now are a rate: when the next must be there.
uint64_t rate_limit(uint64_t since, uint64_t bytes, int rate) {
    if (rate <= 0)
        return ENTRY_NEVER;
    return since + RATE_GRACE_NS + bytes * SECOND_NS / static_cast<uint64_t>(rate);
}

// Counted from the end of a pause, too: the silence was our wish then.
uint64_t idle_limit(const CommChannelCore *core) {
    return entry_after(std::max(core->last_moved, core->last_received),
                       core->options().idle_timeout);
}

} // namespace

// From the system, with what depends on it.
IoResult CommChannelMachine::receive(CommConnEntry *entry, char *buf, size_t *size) {
    CommChannelCore *core = entry->channel;
    IoResult result = entry->receive(buf, size);
    if (result != IoResult::DONE) {
        *size = 0;
        not_received(entry, result);
        return result;
    }
    note_received(entry, *size, sys_now());
    if (*size >= BULK_BYTES)
        core->bulk = BULK_READS;
    else if (core->bulk > 0)
        core->bulk--;
    return result;
}

void CommChannelMachine::note_received(CommConnEntry *entry, size_t size, uint64_t now) {
    CommChannelCore *core = entry->channel;
    core->bytes_received += size;
    core->message_bytes += size;
    core->last_received = core->last_moved = entry->began = now;
}

void CommChannelMachine::not_received(CommConnEntry *entry, IoResult result) {
    CommChannelCore *core = entry->channel;
    if (result == IoResult::ENDED && !core->broken) {
        core->tell_finish = true;
        if (entry->state == CommConnEntry::C_OPEN)
            entry->set_state(CommConnEntry::C_PEER_CLOSED);
    } else if (result != IoResult::BLOCKED) {
        end(entry, CCR_PEER_RESET, core->broken ? core->error : entry->link_error());
    }
}

// Into `input`.
void CommChannelMachine::read_ahead(CommConnEntry *entry) {
    char *buf = worker_buffer();
    size_t size = WORKER_BUFFER;
    if (!buf || receive(entry, buf, &size) != IoResult::DONE)
        return;
    entry->channel->needs_more = false;
    if (!entry->save_input(buf, size))
        lack_memory(entry);
}

// It ends at the machine's next step.
void CommChannelMachine::lack_memory(CommConnEntry *entry) {
    entry->send_error = ENOMEM;
    entry->aborted = true;
}

// Not under TLS: deciphering takes longer than others of the batch should wait. Nor behind bytes
// that nobody has looked at, which a break of the connection that is found now would take along,
// nor behind many, which may have to be moved.
bool CommChannelMachine::may_read_ahead(const CommConnEntry *entry) {
    const CommChannelCore *core = entry->state == CommConnEntry::C_OPEN ? entry->channel : nullptr;
    return core && !entry->busy && !entry->eof && !core->read_paused && core->bulk == 0 &&
           !core->broken && entry->link.ops == &transport_plain && !has_unseen_input(entry) &&
           entry->input_size() < BULK_BYTES;
}

void *const *CommChannelMachine::on_ahead(struct pollable *node, uint32_t events) {
    CommConnEntry *entry = static_cast<CommConnEntry *>(node);
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != EPOLLIN)
        return nullptr; // the end is read where the program can be told of it
    if (!sys_trylock(&entry->mutex))
        return nullptr; // here nobody could take the poller over while it waits
    void *const *core = nullptr;
    if (may_read_ahead(entry)) {
        entry->busy = true;
        static_assert(sizeof(CommConnEntry) >= POLLER_NODE_BYTES);
        static_assert(sizeof(CommChannelCore) >= POLLER_BESIDE_BYTES);
        core = reinterpret_cast<void *const *>(&entry->channel->channel);
    }
    sys_unlock(&entry->mutex);
    return core;
}

void CommChannelMachine::on_received(struct pollable *node, const struct poll_received *received) {
    CommConnEntry *entry = static_cast<CommConnEntry *>(node);
    entry->set_lock();
    entry->busy = false;
    entry->note(received->events);
    if (entry->state == CommConnEntry::C_CLOSING)
        worker_give_block(received->block);
    else
        take_received(entry, received);
    entry->unlock();
}

void CommChannelMachine::take_received(CommConnEntry *entry, const struct poll_received *received) {
    CommChannelCore *core = entry->channel;
    ssize_t n = received->result;
    if (n < 0) {
        errno = -received->result;
        n = -1;
    }
    bool filled = received->block && received->block->end == received->block->size;
    // Who finds the connection broken wants all of it read, and may have found that since.
    IoResult result = entry->note_received(n, !filled && !core->broken);
    if (result != IoResult::DONE) {
        not_received(entry, result);
        return;
    }
    note_received(entry, static_cast<size_t>(n), received->now);
    if (filled)
        core->bulk = BULK_READS;
    core->needs_more = false;
    if (!entry->save_input(received->block))
        lack_memory(entry);
}

bool CommChannelMachine::has_unseen_input(const CommConnEntry *entry) {
    return entry->input_size() > 0 && !entry->channel->needs_more;
}

// The peer has said something that nobody has looked at.
bool CommChannelMachine::is_unread(const CommConnEntry *entry) {
    return (entry->readable && !entry->eof) || has_unseen_input(entry);
}

// The usual case: a look all around would find nothing to do but to read, if that.
bool CommChannelMachine::has_only_to_read(const CommConnEntry *entry) {
    const CommChannelCore *core = entry->state == CommConnEntry::C_OPEN ? entry->channel : nullptr;
    return core && !entry->busy && !entry->timed_out && !entry->aborted && !core->queue.first &&
           entry->link.held == 0 && !core->unwanted && !core->look_again && !has_event(core);
}

// Behind a message.
bool CommChannelMachine::is_at_rest(const CommConnEntry *entry) {
    return has_only_to_read(entry) && !entry->readable && !entry->input &&
           !entry->channel->tell_finish;
}

CommChannelMachine::Step CommChannelMachine::read(CommConnEntry *entry, bool *here) {
    CommChannelCore *core = entry->channel;
    bool left = has_unseen_input(entry);
    bool fresh = entry->readable && !entry->eof;
    if (core->read_paused || (!left && !fresh && !core->tell_finish))
        return REST;
    if (!begin_program(entry, here)) {
        if (!left && fresh && entry->comm->pool_->schedule)
            read_ahead(entry); // those threads have no buffer
        if (entry->state != CommConnEntry::C_CLOSING && (left || core->tell_finish || fresh))
            return QUEUED;
        entry->busy = false;
        return AGAIN;
    }
    char *buf = left ? nullptr : worker_buffer();
    if (!left && fresh && !buf) { // only workers have one
        entry->busy = false;
        entry->want_job();
        return REST;
    }
    if (!left && fresh) {
        size_t size = WORKER_BUFFER;
        if (receive(entry, buf, &size) == IoResult::DONE) {
            if (entry->input_size() == 0) {
                feed(entry, buf, size, nullptr);
                return is_at_rest(entry) ? REST : AGAIN;
            }
            if (!entry->save_input(buf, size)) {
                entry->busy = false;
                end(entry, CCR_NO_MEMORY, ENOMEM);
                return AGAIN;
            }
            left = true;
        }
    }
    if (left) { // nobody may free it while the program looks
        weft_block *kept = entry->input;
        entry->input = nullptr;
        feed(entry, kept->bytes + kept->begin, kept->end - kept->begin, kept);
        return is_at_rest(entry) ? REST : AGAIN;
    }
    if (core->tell_finish && entry->state != CommConnEntry::C_CLOSING)
        finish(entry);
    entry->busy = false;
    return AGAIN;
}

// Shows the program bytes, with nothing locked. `kept`: what they stand in, which is ours.
void CommChannelMachine::feed(CommConnEntry *entry, const char *buf, size_t size,
                              weft_block *kept) {
    CommChannelCore *core = entry->channel;
    size_t taken = size;
    core->was_paused = false;
    uint64_t messages = core->messages;
    uint64_t begun = core->in_message ? core->message_at : core->last_received, ended = 0;
    int result, error = 0;
    CommService *service = entry->service;
    entry->unlock();
    {
        ProgramCall call(entry, service, &ended);
        result = core->channel->receive(buf, &taken);
        if (result < 0)
            error = errno;
    }
    entry->set_lock();
    entry->busy = false;
    if (core->messages != messages) {
        if (entry->seq == 0)
            entry->seq = 1; // no newcomer any more
        // The clock is only read for the few calls that are timed anyway.
        if (ended != 0)
            metric_observe(METRIC_CHANNEL_TIME, ended - begun);
    }
    if (entry->state == CommConnEntry::C_CLOSING) {
        worker_give_block(kept);
        return;
    }
    if (result < 0 || taken > size) {
        worker_give_block(kept);
        end(entry, CCR_BAD_MESSAGE, result < 0 ? error : EBADMSG);
        return;
    }
    core->needs_more = !core->was_paused;
    keep_rest(entry, buf + taken, size - taken, kept);
    bool inside = result > 0 || (size > taken && core->needs_more);
    if (inside && (!core->in_message || core->messages != messages)) {
        core->message_at = core->last_received;
        core->message_bytes = size - taken;
        core->in_message = true;
        CommCloseReason reason = CCR_COUNT;
        entry->set_deadline(entry_min(entry->deadline, find_receive_limit(entry, &reason)));
    }
    core->in_message = inside;
}

void CommChannelMachine::keep_rest(CommConnEntry *entry, const char *rest, size_t size,
                                   weft_block *kept) {
    if (kept && size > 0) {
        kept->begin = kept->end - size;
        entry->input = kept;
        return;
    }
    if (!entry->save_input(rest, size))
        end(entry, CCR_NO_MEMORY, ENOMEM);
    worker_give_block(kept);
}

// The peer has ended its sending, and all before that was taken.
void CommChannelMachine::finish(CommConnEntry *entry) {
    CommChannelCore *core = entry->channel;
    weft_block *kept = entry->input;
    entry->input = nullptr;
    core->tell_finish = false;
    CommService *service = entry->service;
    entry->unlock();
    int result, error;
    {
        ProgramCall call(entry, service);
        result = core->channel->finish(kept ? kept->bytes + kept->begin : nullptr,
                                       kept ? kept->end - kept->begin : 0);
        error = errno;
        if (result >= 0)
            core->channel->handle({CCE_FINISHED, CCR_COUNT, 0});
    }
    worker_give_block(kept);
    entry->set_lock();
    core->told_finish = true;
    core->in_message = false;
    if (entry->state == CommConnEntry::C_CLOSING)
        return;
    if (result < 0)
        end(entry, CCR_BAD_MESSAGE, error);
    else if (entry->state == CommConnEntry::C_HALF_CLOSED)
        end_if_done(entry, CCR_FINISHED);
    else if (entry->state == CommConnEntry::C_PEER_CLOSED && !core->options().half_open)
        end_sending(entry);
}

// When the peer must have said something, and which limit that is.
uint64_t CommChannelMachine::find_receive_limit(const CommConnEntry *entry,
                                                CommCloseReason *reason) {
    const CommChannelCore *core = entry->channel;
    const CommChannelOptions &options = core->options();
    uint64_t when = ENTRY_NEVER;
    auto limit = [&](uint64_t at, CommCloseReason why) {
        if (at < when) {
            when = at;
            *reason = why;
        }
    };
    if (entry->eof)
        return when;
    if (entry->service && core->bytes_received == 0)
        limit(entry_after(core->opened_at, options.first_byte_timeout), CCR_FIRST_BYTE_TIMEOUT);
    if (entry->service && core->messages == 0)
        limit(entry_after(core->opened_at, options.first_message_timeout),
              CCR_FIRST_MESSAGE_TIMEOUT);
    limit(entry_after(core->last_received, options.receive_timeout), CCR_SILENT);
    if (core->in_message) {
        limit(entry_after(core->message_at, options.message_timeout), CCR_MESSAGE_TIMEOUT);
        limit(rate_limit(core->message_at, core->message_bytes, options.min_receive_rate),
              CCR_SLOW_RECEIVE);
    }
    return when;
}

void CommChannelMachine::renew_deadline(CommConnEntry *entry, uint64_t now) {
    CommChannelCore *core = entry->channel;
    const CommChannelOptions &options = core->options();
    CommCloseReason reason = CCR_COUNT;
    uint64_t when = entry_min(core->finish_at, entry_min(core->ends_at, core->limit_at));
    if (entry->state == CommConnEntry::C_DRAINING)
        when = entry_min(when, entry_after(core->last_sent, options.finish_timeout));
    when = entry_min(when, core->backlog.next_sample());
    if (options.heartbeat >= 0)
        when = entry_min(when,
                         entry_after(std::max(core->last_moved, core->beat_at), options.heartbeat));
    if (!core->read_paused) {
        when = entry_min(when, find_receive_limit(entry, &reason));
        when = entry_min(when, idle_limit(core));
    }
    // What has passed and did not count, since there was something to read, or the program had the
    // channel in its hand, is looked at again.
    if (when <= now) {
        core->look_again = true;
        when = now + (entry->busy ? SECOND_NS : SECOND_NS / 20);
    }
    entry->set_deadline(when);
}

// CCR_COUNT: none.
CommCloseReason CommChannelMachine::find_overdue(CommConnEntry *entry, uint64_t now) {
    CommChannelCore *core = entry->channel;
    const CommChannelOptions &options = core->options();
    CommCloseReason reason = CCR_COUNT;
    if (core->ends_at <= now)
        return CCR_CLOSED;
    if (core->limit_at <= now)
        return core->limit_reason;
    bool stuck = entry->state == CommConnEntry::C_DRAINING &&
                 entry_after(core->last_sent, options.finish_timeout) <= now;
    if (stuck || core->finish_at <= now)
        return core->ending ? CCR_DRAINED : CCR_FINISH_TIMEOUT;
    BacklogRule::Verdict verdict = core->backlog.sample(now, core->queued);
    if (verdict != BacklogRule::OK)
        return verdict == BacklogRule::STALLED ? CCR_SEND_STALLED : CCR_SLOW_SEND;
    if (core->read_paused)
        return CCR_COUNT;
    // What the peer has said and nobody has looked at yet speaks for it.
    if (is_unread(entry) || entry->busy)
        return CCR_COUNT;
    if (find_receive_limit(entry, &reason) <= now)
        return reason;
    return idle_limit(core) <= now ? CCR_IDLE_TIMEOUT : CCR_COUNT;
}

// When the connection, or the handshake, must be done.
uint64_t CommChannelMachine::begin_limit(const CommConnEntry *entry) {
    const struct CommTargetPool *pool = entry->target->pool_;
    return entry_after(entry->began, entry->state == CommConnEntry::C_CONNECTING
                                         ? pool->connect_timeout
                                         : pool->ssl_connect_timeout);
}

void CommChannelMachine::set_begin_deadline(CommConnEntry *entry) {
    const CommChannelCore *core = entry->channel;
    entry->set_deadline(entry_min(begin_limit(entry), entry_min(core->ends_at, core->limit_at)));
}

void CommChannelMachine::time_out(CommConnEntry *entry) {
    CommChannelCore *core = entry->channel;
    uint64_t now = sys_now();
    CommCloseReason reason;
    switch (entry->state) {
    case CommConnEntry::C_CONNECTING:
    case CommConnEntry::C_HANDSHAKING:
        if (core->ends_at <= now)
            end(entry, CCR_CLOSED, 0);
        else if (core->limit_at <= now)
            end(entry, core->limit_reason, 0);
        else if (begin_limit(entry) <= now)
            end(entry,
                entry->state == CommConnEntry::C_CONNECTING ? CCR_CONNECT_TIMEOUT
                                                            : CCR_HANDSHAKE_TIMEOUT,
                0);
        else // an earlier end was taken back
            set_begin_deadline(entry);
        return;
    default:
        if (!core || entry->state == CommConnEntry::C_UPGRADING)
            return;
        if (core->backlog.next_sample() <= now) {
            // A socket takes bytes long before it says that it has room again.
            entry->writable = true;
            write(entry);
            if (entry->state == CommConnEntry::C_CLOSING)
                return;
        }
        reason = find_overdue(entry, now);
    }
    if (reason != CCR_COUNT) {
        end(entry, reason, 0);
        return;
    }
    int beat = core->options().heartbeat;
    if (beat >= 0 && entry_after(std::max(core->last_moved, core->beat_at), beat) <= now) {
        core->beat_at = now;
        core->tell_heartbeat = true;
    }
    renew_deadline(entry, now);
}
