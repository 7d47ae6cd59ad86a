// Weft - the server machine: the first whole message, the age of requests, and the backlog of answers
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "kernel/entry.h"

// The first request must be whole by then. The entry keeps 32 bits of when it was accepted, which
// is enough for limits below 24 days.
uint64_t CommServerMachine::first_message_end(const CommConnEntry *entry, uint64_t now) {
    const CommServiceLimits &limits = entry->service->limits_;
    int limit = limits.first_message_timeout;
    if (limit < 0 || entry->seq > 0)
        return ENTRY_NEVER;
    if (entry->has_head && limits.min_receive_rate > 0) // an upload may take as long as it moves
        return ENTRY_NEVER;
    uint64_t now_ms = now / 1000000u;
    uint32_t passed = static_cast<uint32_t>(now_ms) - entry->accepted_ms;
    return (now_ms - passed + static_cast<uint64_t>(limit) + 1) * 1000000u;
}

void CommServerMachine::set_first_deadline(CommConnEntry *entry, uint64_t when) {
    if (entry->seq == 0)
        when = entry_min(when, first_message_end(entry, sys_now()));
    entry->set_deadline(when);
}

bool CommServerMachine::is_first_late(const CommConnEntry *entry, uint64_t now) {
    return first_message_end(entry, now) <= now;
}

// A request that waited for too long in the queue is answered as one too many is, and dropped.
bool CommServerMachine::drop_if_old(CommSession *session) {
    CommConnEntry *entry = session->entry_;
    int most = entry->service->max_queue_age_;
    if (most < 0 || entry_after(session->whole_at_, most) >= sys_now())
        return false;
    entry->set_lock();
    if (entry->state != CommConnEntry::S_SERVING || entry->session != session) {
        entry->unlock(); // its peer has given up
        session->passive_ = false;
        delete session;
    } else {
        // A datagram gets no answer, and has no connection to be ended in peace.
        give_up(entry, CCR_TOO_OLD, entry->link.ops->one_exchange ? 0 : EBUSY);
        entry->unlock();
    }
    return true;
}

// The answer has met a full socket.
void CommServerMachine::begin_unsent(CommConnEntry *entry, int send_timeout) {
    const CommServiceLimits &limits = entry->service->limits_;
    uint64_t now = sys_now();
    entry->began = entry_after(now, send_timeout);
    if (CommOutput *output = entry->output) {
        output->rule = BacklogRule(limits.backlog_limit, limits.min_send_rate);
        output->rule.begin(now, output->left);
    }
    set_reply_deadline(entry);
}

// The peer has taken some of it.
void CommServerMachine::set_reply_deadline(CommConnEntry *entry) {
    uint64_t block_until = entry_after(sys_now(), entry->service->response_timeout_);
    uint64_t when = entry_min(entry->began, block_until);
    if (CommOutput *output = entry->output) {
        output->block_until = block_until;
        when = entry_min(when, output->rule.next_sample());
    }
    entry->set_deadline(when);
}

// A limit of the answer, or the time for a sample. Then the socket is asked first: it takes bytes
// long before it says that it has room again.
void CommServerMachine::reply_timed_out(CommConnEntry *entry, CommOutcome *out) {
    CommOutput *output = entry->output;
    if (!output || entry_min(entry->began, output->block_until) <= sys_now()) {
        reply_failed(entry, CS_STATE_ERROR, ETIMEDOUT, out);
        return;
    }
    size_t before = output->left;
    unsigned held = entry->link.held;
    IoResult result = entry->flush();
    if (result == IoResult::DONE) {
        replied(entry, out);
        return;
    }
    if (result == IoResult::FAILED) {
        reply_failed(entry, CS_STATE_ERROR, entry->link_error(), out);
        return;
    }
    uint64_t now = sys_now();
    output->rule.note(before - output->left, output->left);
    BacklogRule::Verdict verdict = output->rule.sample(now, output->left);
    if (verdict != BacklogRule::OK) {
        end_reply(entry, CS_STATE_ERROR, ETIMEDOUT,
                  verdict == BacklogRule::STALLED ? CCR_SEND_STALLED : CCR_SLOW_SEND, out);
    } else if (output->left < before || entry->link.held < held) {
        set_reply_deadline(entry);
    } else {
        entry->set_deadline(
            entry_min(entry_min(entry->began, output->block_until), output->rule.next_sample()));
    }
}
