// Weft - the server machine: what the program does with a session, and how the answer gets out
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <utility>

#include "kernel/channel.h"
#include "kernel/metrics.h"
#include "kernel/session.h"

bool CommServerMachine::is_answerable(CommConnEntry *entry) {
    entry->set_lock();
    bool yes = entry->state == CommConnEntry::S_SERVING && !entry->eof;
    entry->unlock();
    return yes;
}

int CommServerMachine::reply(CommSession *session) {
    CommConnEntry *entry = session->entry_;
    struct iovec vectors[ENTRY_MAX_VECTORS];
    int count = -1, send_timeout = -1, keep_alive = 0;
    CommOutcome out;

    entry->set_lock();
    if (entry->state != CommConnEntry::S_SERVING || entry->session != session) {
        entry->unlock();
        errno = ENOENT;
        return -1;
    }
    entry->set_state(CommConnEntry::S_REPLYING);
    entry->busy = true;
    entry->ref();
    wf::detail::PeerWatch *watch = entry->watch;
    entry->watch = nullptr;
    entry->unlock();
    delete watch;
    session->out_ = session->message_out();
    if (session->out_) {
        count = session->out_->encode(vectors, ENTRY_MAX_VECTORS);
        send_timeout = session->send_timeout();
        keep_alive = session->keep_alive_timeout();
    }
    int error = count > ENTRY_MAX_VECTORS ? EOVERFLOW : errno;
    entry->set_lock();
    entry->busy = false;
    entry->keep_alive = entry->link.ops->one_exchange ? 0 : keep_alive;
    IoResult result = IoResult::FAILED;
    if (count >= 0 && count <= ENTRY_MAX_VECTORS) {
        result = entry->send(vectors, count);
        error = entry->link_error();
    }
    if (result == IoResult::FAILED) {
        metric_inc(METRIC_SERVER_FAILED);
        entry->session = nullptr;
        close(entry, CCR_SEND_ERROR);
        entry->unlock();
        entry->unref();
        errno = error;
        return -1;
    }
    if (result == IoResult::BLOCKED) {
        begin_unsent(entry, send_timeout);
        if (entry->readable || entry->writable || entry->aborted)
            entry->want_job();
    } else {
        replied(entry, &out);
        if (entry->readable || entry->input_size() > 0 || entry->eof || entry->aborted)
            entry->want_job();
    }
    entry->unlock();
    if (out.session) { // in place, on the caller's thread
        session->end_state_ = out.state;
        CommConnEntry::handle(session, entry->service, out.state, out.error);
    }
    entry->unref();
    return 0;
}

bool CommServerMachine::flush_reply(CommConnEntry *entry, CommOutcome *out) {
    size_t before = entry->output ? entry->output->left : 0;
    switch (entry->flush()) {
    case IoResult::DONE:
        replied(entry, out);
        return true;
    case IoResult::BLOCKED:
        if (CommOutput *output = entry->output)
            output->rule.note(before - output->left, output->left);
        set_reply_deadline(entry);
        return true;
    default:
        reply_failed(entry, CS_STATE_ERROR, entry->link_error(), out);
        return false;
    }
}

// The answer is with the system. What follows on this connection depends on what the session asked
// for.
void CommServerMachine::replied(CommConnEntry *entry, CommOutcome *out) {
    uint64_t now = sys_now();
    entry->session->deadline_ = now - entry->received;
    metric_observe(METRIC_SERVER_TIME, now - entry->received);
    out->session = entry->session;
    out->state = CS_STATE_SUCCESS;
    out->error = 0;
    entry->session = nullptr;
    entry->seq++;
    if (out->session->successor_) {
        CommChannelMachine::take_over(entry, out->session);
        return;
    }
    // What has begun to arrive before the end of the service is still answered.
    bool keep = entry->keep_alive != 0 && (!entry->service->draining_ || entry->input_size() > 0);
    if (keep && (!entry->eof || entry->input_size() > 0)) {
        entry->set_state(CommConnEntry::S_AWAITING);
        entry->began = now;
        entry->set_deadline(entry_after(now, entry->keep_alive));
    } else if (entry->readable || entry->input_size() > 0) {
        begin_linger(entry, CCR_FINISHED);
    } else {
        close(entry, CCR_FINISHED);
    }
}

void CommServerMachine::reply_failed(CommConnEntry *entry, int state, int error, CommOutcome *out) {
    CommCloseReason reason = error == ETIMEDOUT ? CCR_SEND_TIMEOUT : CCR_SEND_ERROR;
    if (entry->aborted)
        reason = entry->send_error ? CCR_NO_MEMORY : CCR_ABORTED;
    end_reply(entry, state, error, reason, out);
}

void CommServerMachine::end_reply(CommConnEntry *entry, int state, int error,
                                  CommCloseReason reason, CommOutcome *out) {
    metric_inc(METRIC_SERVER_FAILED);
    out->session = entry->session;
    out->state = state;
    out->error = error;
    entry->session = nullptr;
    close(entry, reason);
}

int CommServerMachine::push(CommSession *session, const void *buf, size_t size) {
    CommConnEntry *entry = session->entry_;
    int n = -1;
    entry->set_lock();
    bool legal = session->passive_
                     ? entry->state == CommConnEntry::S_SERVING && entry->session == session
                     : entry->state == CommConnEntry::RECEIVING && entry->session == session;
    if (legal)
        n = CommConnEntry::send_now(entry, buf, size);
    else
        errno = ENOENT;
    int error = errno;
    entry->unlock();
    errno = error;
    return n;
}

int CommServerMachine::shutdown(CommSession *session) {
    CommConnEntry *entry = session->entry_;
    int ret = -1;
    wf::detail::PeerWatch *watch = nullptr;
    entry->set_lock();
    if (entry->state == CommConnEntry::S_SERVING && entry->session == session) {
        entry->session = nullptr;
        std::swap(watch, entry->watch);
        close(entry, CCR_NOREPLY);
        ret = 0;
    }
    entry->unlock();
    delete watch;
    if (ret < 0)
        errno = ENOENT;
    return ret;
}

void CommServerMachine::forsaken(CommSession *session) {
    if (session->passive_ && session->end_state_ == CS_STATE_TOREPLY)
        shutdown(session);
}
