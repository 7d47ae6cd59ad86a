// Weft - the channel machine: what the program sends, and how it ends its sending
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <errno.h>
#include <new>
#include <stdlib.h>
#include <string.h>

#include "kernel/channel.h"
#include "kernel/metrics.h"

namespace {

constexpr size_t LATE_BYTES = 512;          // more leaves at once: to copy it would cost more
constexpr int GATHER = 64;                  // pieces that one write takes
constexpr size_t FLUSH_BYTES = 1024 * 1024; // in one go, so that one channel cannot keep a worker

// Bytes that were copied. Allocated with malloc().
struct Copy : CommPiece {
    char bytes[1];
};

void free_copy(CommPiece *piece) { free(static_cast<Copy *>(piece)); }

size_t sum(const struct iovec *vectors, int count) {
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += vectors[i].iov_len;
    return size;
}

// What stands behind the first `skip` bytes, in one piece. NULL without memory.
CommPiece *copy_rest(const struct iovec *vectors, int count, size_t skip) {
    size_t size = sum(vectors, count) - skip;
    Copy *copy = static_cast<Copy *>(malloc(sizeof(Copy) + size));
    if (!copy)
        return nullptr;
    copy->next = nullptr;
    copy->data = copy->bytes;
    copy->size = size;
    copy->release = free_copy;
    char *to = copy->bytes;
    for (int i = 0; i < count; i++) {
        size_t n = vectors[i].iov_len;
        size_t from = skip < n ? skip : n;
        skip -= from;
        if (n > from)
            memcpy(to, static_cast<const char *>(vectors[i].iov_base) + from, n - from);
        to += n - from;
    }
    return copy;
}

} // namespace

// Both sides up, and nothing was said of an end.
bool CommChannelMachine::may_send(const CommConnEntry *entry) {
    return (entry->state == CommConnEntry::C_OPEN ||
            entry->state == CommConnEntry::C_PEER_CLOSED) &&
           entry->channel && !entry->channel->broken;
}

void CommChannelMachine::release_all(PieceQueue *pieces) {
    while (pieces->first) {
        CommPiece *piece = pieces->take();
        piece->release(piece);
    }
}

// What has left the queue is released once nothing is locked.
// The core is the caller's to know: one that is over is its connection's no more.
void CommChannelMachine::release_done(CommConnEntry *entry, CommChannelCore *core) {
    if (!core || (!core->done.first && !core->cut_wanted))
        entry->unlock();
    else
        release_pieces(entry, core);
}

void CommChannelMachine::release_pieces(CommConnEntry *entry, CommChannelCore *core) {
    PieceQueue done;
    done.append_all(&core->done);
    CommChannelGroup *group = core->cut_wanted ? core->group : nullptr;
    core->cut_wanted = false;
    if (group)
        group->ref();
    entry->unlock();
    release_all(&done);
    if (group) {
        group->cut_greatest();
        group->unref();
    }
}

void CommChannelMachine::moved(CommConnEntry *entry, size_t bytes) {
    CommChannelCore *core = entry->channel;
    if (bytes == 0)
        return;
    core->bytes_sent += bytes;
    note_moved(entry);
}

void CommChannelMachine::note_moved(CommConnEntry *entry) {
    // The program answers what has just come: that moment is noted already.
    if (!entry->busy)
        entry->channel->last_moved = entry->began = sys_now();
}

// So many bytes of the queue are with the system.
void CommChannelMachine::took(CommConnEntry *entry, size_t bytes) {
    CommChannelCore *core = entry->channel;
    moved(entry, bytes);
    if (bytes > 0 && entry->state == CommConnEntry::C_DRAINING)
        core->last_sent = sys_now();
    core->queued -= bytes;
    core->backlog.note(bytes, core->queued);
    core->first_sent += bytes;
    while (core->queue.first && core->first_sent >= core->queue.first->size) {
        core->first_sent -= core->queue.first->size;
        core->done.append(core->queue.take());
    }
    if (bytes > 0)
        note_queue(entry);
}

IoResult CommChannelMachine::flush_some(CommConnEntry *entry) {
    CommChannelCore *core = entry->channel;
    struct iovec vectors[GATHER];
    int count = 0;
    size_t skip = core->first_sent;
    for (CommPiece *p = core->queue.first; p && count < GATHER; p = p->next) {
        vectors[count].iov_base = const_cast<char *>(p->data) + skip;
        vectors[count++].iov_len = p->size - skip;
        skip = 0;
    }
    int whole;
    size_t bytes;
    IoResult result = entry->put(vectors, count, &whole, &bytes);
    int error = errno;
    took(entry, bytes);
    errno = error;
    return result;
}

// Done by whoever holds the lock and finds room, whatever the program is doing meanwhile.
void CommChannelMachine::write(CommConnEntry *entry) {
    CommChannelCore *core = entry->channel;
    if (entry->state < CommConnEntry::C_OPEN || entry->state == CommConnEntry::C_CLOSING || !core ||
        !entry->writable || (!core->queue.first && entry->link.held == 0) || core->leaving ||
        core->broken)
        return;
    entry->writable = false;
    if (entry->link.held > 0 && entry->link.ops->flush(&entry->link) < 0) {
        if (errno == EAGAIN)
            entry->await_room();
        else
            write_failed(entry, entry->link_error());
        return;
    }
    IoResult result = IoResult::DONE;
    for (size_t before = core->bytes_sent; core->queue.first && result == IoResult::DONE;) {
        if (core->bytes_sent - before >= FLUSH_BYTES) {
            entry->writable = true;
            entry->want_job();
            return;
        }
        result = flush_some(entry);
    }
    if (result == IoResult::FAILED)
        write_failed(entry, entry->link_error());
    else if (result == IoResult::BLOCKED)
        entry->await_room();
    else
        written(entry);
}

// The queue is empty.
void CommChannelMachine::written(CommConnEntry *entry) {
    CommChannelCore *core = entry->channel;
    core->tell_written = core->tell_written || core->options().tell_written;
    if (entry->state == CommConnEntry::C_DRAINING)
        end_sending(entry);
    else if (entry->state == CommConnEntry::C_HALF_CLOSED)
        end_if_done(entry, CCR_FINISHED);
}

// What the peer has said before it hung up is worth more than the error: it is read first, as far
// as the program reads at all.
void CommChannelMachine::write_failed(CommConnEntry *entry, int error) {
    CommChannelCore *core = entry->channel;
    core->error = error;
    core->broken = true;
    core->done.append_all(&core->queue);
    core->queued = 0;
    note_queue(entry);
    if (core->read_paused || entry->eof) {
        end(entry, CCR_PEER_RESET, error);
        return;
    }
    entry->readable = true;
    core->finish_at =
        entry_min(core->finish_at, entry_after(sys_now(), core->options().finish_timeout));
    entry->set_deadline(entry_min(entry->deadline, core->finish_at));
    wake(entry);
}

// Under the lock of whoever does not run the machine: somebody shall, unless a thread will anyway.
void CommChannelMachine::wake(CommConnEntry *entry) {
    if (!entry->busy)
        entry->want_job();
}

// Both sides have ended, and nothing of ours is left, not even with the transport.
bool CommChannelMachine::end_if_done(CommConnEntry *entry, CommCloseReason reason) {
    CommChannelCore *core = entry->channel;
    if (!entry->eof || !core->told_finish || entry->link.held > 0)
        return false;
    end(entry, core->ending ? CCR_DRAINED : reason, 0);
    return true;
}

// Our end: at once when nothing is queued, else behind it.
void CommChannelMachine::end_sending(CommConnEntry *entry) {
    CommChannelCore *core = entry->channel;
    send_late(entry);
    if (entry->state == CommConnEntry::C_OPEN || entry->state == CommConnEntry::C_PEER_CLOSED) {
        entry->set_state(CommConnEntry::C_DRAINING);
        core->last_sent = sys_now();
        entry->set_deadline(entry_min(
            entry->deadline, entry_after(core->last_sent, core->options().finish_timeout)));
    }
    if (entry->state != CommConnEntry::C_DRAINING || core->queue.first || core->leaving ||
        core->broken)
        return;
    if (entry->link.ops->finish(&entry->link) < 0) {
        end(entry, CCR_PEER_RESET, entry->link_error());
        return;
    }
    if (entry->link.held > 0)
        entry->await_room();
    if (end_if_done(entry, CCR_PEER_CLOSED))
        return;
    entry->set_state(CommConnEntry::C_HALF_CLOSED);
    core->finish_at =
        entry_min(core->finish_at, entry_after(sys_now(), core->options().finish_timeout));
    entry->set_deadline(entry_min(entry->deadline, core->finish_at));
}

// Marks, the group's sum, and the watch on peers that take too little.
void CommChannelMachine::note_queue(CommConnEntry *entry) {
    CommChannelCore *core = entry->channel;
    const CommChannelOptions &options = core->options();
    size_t queued = core->queued;
    bool crosses = core->is_high ? queued <= options.low_water
                                 : options.high_water > 0 && queued > options.high_water;
    if (crosses) {
        core->is_high = !core->is_high;
        core->crossings = static_cast<uint8_t>(core->crossings > 1 ? 1 : core->crossings + 1);
    }
    note_group(core);
    if (!core->backlog.is_running() && options.backlog_limit > 0 &&
        queued > options.backlog_limit) {
        core->backlog.begin(sys_now(), queued);
        entry->set_deadline(entry_min(entry->deadline, core->backlog.next_sample()));
    }
}

void CommChannelMachine::note_group(CommChannelCore *core) {
    size_t queued = core->queued;
    if (core->group->note_backlog(core->counted, queued))
        core->cut_wanted = true;
    core->counted = queued;
}

int CommChannelMachine::send(CommChannelCore *core, const struct iovec *vectors, int count) {
    CommConnEntry *entry = core->entry;
    size_t total = sum(vectors, count);
    entry->set_lock();
    if (may_send(entry) && put_off(entry, vectors, count, total)) {
        entry->unlock();
        return 0;
    }
    send_late(entry);
    int error = may_send(entry) ? send_now(entry, vectors, count, total) : ENOTCONN;
    release_done(entry, core);
    if (error)
        errno = error;
    return error ? -1 : 0;
}

// A callback's answer waits for those of the others of its batch, so that they leave one behind the
// other (ADR 18).
bool CommChannelMachine::put_off(CommConnEntry *entry, const struct iovec *vectors, int count,
                                 size_t total) {
    CommChannelCore *core = entry->channel;
    size_t high = core->options().high_water;
    if (!poller_may_put_off(entry) || (high > 0 && core->queued + total > high))
        return false;
    if (!core->late) {
        if (total == 0 || total > LATE_BYTES || core->queue.first || core->leaving ||
            entry->link.ops != &transport_plain || !poller_put_off(entry))
            return false;
        core->late = worker_take_block(); // without one, flush() finds nothing to do
    }
    weft_block *late = core->late;
    if (!late || total > late->size - late->end)
        return false;
    for (int i = 0; i < count; i++) {
        const char *from = static_cast<const char *>(vectors[i].iov_base);
        std::copy_n(from, vectors[i].iov_len, late->bytes + late->end);
        late->end += vectors[i].iov_len;
    }
    core->queued.store(late->end, std::memory_order_relaxed);
    note_moved(entry);
    return true;
}

void CommChannelMachine::send_late(CommConnEntry *entry) {
    CommChannelCore *core = entry->channel;
    if (!core || !core->late)
        return;
    weft_block *late = core->late;
    core->late = nullptr;
    core->queued = 0;
    struct iovec vector = {late->bytes, late->end};
    int error = send_now(entry, &vector, 1, late->end);
    worker_give_block(late);
    if (error == ENOMEM && entry->state != CommConnEntry::C_CLOSING)
        end(entry, CCR_NO_MEMORY, ENOMEM); // the program was told that it is sent
}

// The same for a channel that is about to end, whatever comes of it.
void CommChannelMachine::send_last_words(CommConnEntry *entry) {
    CommChannelCore *core = entry->channel;
    weft_block *late = core->late;
    if (!late)
        return;
    core->late = nullptr;
    struct iovec vector = {late->bytes, late->end};
    int whole;
    size_t sent;
    (void)entry->put(&vector, 1, &whole, &sent);
    core->bytes_sent += sent;
    worker_give_block(late);
}

bool CommChannelMachine::on_flush(struct pollable *node, bool patient, weft_block **block) {
    CommConnEntry *entry = static_cast<CommConnEntry *>(node);
    *block = nullptr;
    if (patient)
        entry->set_lock();
    else if (!sys_trylock(&entry->mutex))
        return false;
    CommChannelCore *core = is_channel(entry) ? entry->channel : nullptr;
    if (core && core->late) {
        *block = core->late;
        core->late = nullptr;
        core->leaving = true;
    }
    sys_unlock(&entry->mutex);
    return true;
}

void CommChannelMachine::on_flushed(struct pollable *node, weft_block *block, ssize_t sent) {
    CommConnEntry *entry = static_cast<CommConnEntry *>(node);
    entry->set_lock();
    CommChannelCore *core = entry->channel; // still: no order has run since flush
    size_t done = sent > 0 ? static_cast<size_t>(sent) : 0;
    metric_add(METRIC_SENT_BYTES, done);
    core->bytes_sent += done;
    core->leaving = false;
    if (entry->state != CommConnEntry::C_CLOSING) {
        settle_late(entry, block, sent);
    } else {
        if (done == block->end && core->queue.first) // queued for our sake; the descriptor is open
            (void)flush_some(entry);
        drop_queue(core);
    }
    // What that leaves behind is released by the machine, where the program's code may run.
    if (core->done.first || core->cut_wanted)
        entry->want_job();
    entry->unlock();
    worker_give_block(block);
}

// It will never be sent.
void CommChannelMachine::drop_queue(CommChannelCore *core) {
    core->done.append_all(&core->queue);
    core->queued = 0;
    note_group(core);
}

void CommChannelMachine::settle_late(CommConnEntry *entry, const weft_block *block, ssize_t sent) {
    CommChannelCore *core = entry->channel;
    size_t size = block->end, done = sent > 0 ? static_cast<size_t>(sent) : 0;
    if (sent < 0 && sent != -EAGAIN) {
        write_failed(entry, static_cast<int>(-sent));
        return;
    }
    core->queued.store(core->queued.load(std::memory_order_relaxed) - done,
                       std::memory_order_relaxed);
    if (done == size && !core->queue.first && core->counted == 0) { // the usual case
        if (entry->state == CommConnEntry::C_DRAINING || core->options().tell_written) {
            written(entry);
            wake(entry);
        }
        return;
    }
    if (done < size) {
        struct iovec vector = {const_cast<char *>(block->bytes), size};
        CommPiece *rest = copy_rest(&vector, 1, done);
        if (!rest) { // the program was told that it is sent
            end(entry, CCR_NO_MEMORY, ENOMEM);
            return;
        }
        core->first_sent = 0;
        core->queue.put_back(rest);
    }
    note_queue(entry);
    entry->writable = true; // as far as is known
    if (core->queue.first)
        write(entry);
    else
        written(entry);
    if (has_event(core))
        wake(entry);
}

// Returns 0 or what is wrong.
int CommChannelMachine::send_now(CommConnEntry *entry, const struct iovec *vectors, int count,
                                 size_t total) {
    CommChannelCore *core = entry->channel;
    size_t sent = 0;
    struct iovec left[GATHER];
    int error = 0;
    IoResult result = IoResult::BLOCKED;
    if (!core->queue.first && !core->leaving && entry->link.held == 0 && total > 0) {
        int now = count < GATHER ? count : GATHER, whole;
        std::copy_n(vectors, now, left); // put() changes them
        result = entry->put(left, now, &whole, &sent);
        error = result == IoResult::FAILED ? entry->link_error() : 0;
        moved(entry, sent);
    }
    if (result == IoResult::FAILED) {
        write_failed(entry, error);
    } else if (sent < total) {
        CommPiece *rest = copy_rest(vectors, count, sent);
        if (rest)
            queue(entry, rest, 0, result);
        else if (sent > 0) // half of it is gone: what follows would make no sense
            end(entry, CCR_NO_MEMORY, ENOMEM);
        error = rest ? 0 : ENOMEM;
    } else if (total > 0) {
        settle_sent(entry, result);
    }
    return error;
}

// All of it is with the system, or with the transport.
void CommChannelMachine::settle_sent(CommConnEntry *entry, IoResult result) {
    if (result == IoResult::BLOCKED) {
        entry->writable = false;
        entry->await_room();
        return;
    }
    if (!entry->channel->options().tell_written)
        return;
    written(entry);
    wake(entry);
}

// Behind what waits already. `sent` bytes of it are gone; `result` is that of the attempt, BLOCKED
// when there was none.
void CommChannelMachine::queue(CommConnEntry *entry, CommPiece *piece, size_t sent,
                               IoResult result) {
    CommChannelCore *core = entry->channel;
    bool first = !core->queue.first;
    if (first)
        core->first_sent = sent;
    core->queue.append(piece);
    core->queued += piece->size - sent;
    note_queue(entry);
    if (result == IoResult::DONE) { // there are more pieces than one write takes
        entry->writable = true;
        entry->want_job();
    } else if (first && !core->leaving) {
        entry->writable = false;
        entry->await_room();
    }
    if (core->crossings > 0)
        wake(entry);
}

int CommChannelMachine::send(CommChannelCore *core, CommPiece *pieces) {
    CommConnEntry *entry = core->entry;
    int error = 0;
    entry->set_lock();
    send_late(entry);
    bool legal = may_send(entry);
    bool first = !core->queue.first && !core->leaving && entry->link.held == 0;
    PieceQueue *queue = legal ? &core->queue : &core->done;
    for (CommPiece *next; pieces; pieces = next) {
        next = pieces->next;
        if (pieces->size == 0) {
            core->done.append(pieces);
            continue;
        }
        core->queued += legal ? pieces->size : 0;
        queue->append(pieces);
    }
    if (!legal) {
        error = ENOTCONN;
    } else if (first && core->queue.first) {
        core->first_sent = 0;
        entry->writable = true; // as far as is known
        write(entry);
        error = core->broken || entry->state == CommConnEntry::C_CLOSING ? core->error : 0;
    }
    if (legal && entry->state != CommConnEntry::C_CLOSING) {
        note_queue(entry);
        if (has_event(core))
            wake(entry);
    }
    release_done(entry, core);
    if (error)
        errno = error;
    return error ? -1 : 0;
}

void CommChannelMachine::shutdown(CommChannelCore *core) {
    CommConnEntry *entry = core->entry;
    entry->set_lock();
    if (entry->state == CommConnEntry::C_OPEN || entry->state == CommConnEntry::C_PEER_CLOSED) {
        end_sending(entry);
        wake(entry);
    }
    release_done(entry, core);
}

void CommChannelMachine::close(CommChannelCore *core, CommCloseReason reason) {
    CommConnEntry *entry = core->entry;
    entry->set_lock();
    core->halted = true;
    if (entry->state < CommConnEntry::C_OPEN && entry->state != CommConnEntry::C_UPGRADING) {
        core->unwanted = true; // a handshake may have the descriptor
        entry->want_job();
    } else if (entry->state != CommConnEntry::C_CLOSING) {
        end(entry, reason, 0);
    }
    release_done(entry, core);
}

void CommChannelMachine::close_after(CommChannelCore *core, uint64_t *limit, int ms) {
    CommConnEntry *entry = core->entry;
    entry->set_lock();
    *limit = entry_after(sys_now(), ms);
    if (entry->state != CommConnEntry::C_CLOSING)
        entry->set_deadline(entry_min(entry->deadline, *limit));
    entry->unlock();
}

void CommChannelMachine::pause(CommChannelCore *core, bool paused) {
    CommConnEntry *entry = core->entry;
    entry->set_lock();
    if (entry->state != CommConnEntry::C_CLOSING && core->read_paused != paused) {
        core->read_paused = paused;
        core->halted = paused;
        core->was_paused = true;
        uint64_t now = sys_now();
        if (paused) {
            core->paused_at = now;
        } else {
            core->last_received = now; // its silence was our wish
            core->message_at += now - core->paused_at;
            core->needs_more = false; // what was left is shown again
            if (core->was_established)
                renew_deadline(entry, now); // the limits on the peer were not looked at meanwhile
            wake(entry);
        }
    }
    entry->unlock();
}
