// Weft - IOLane: a queue of file requests, and who serves it
// SPDX-License-Identifier: Apache-2.0
#include "kernel/io_lane.h"

#include <errno.h>

#include "kernel/metrics.h"

void IOLane::append(IOList *list, IOSession *session) {
    session->next_ = nullptr;
    session->prev_ = list->last;
    (list->last ? list->last->next_ : list->first) = session;
    list->last = session;
}

void IOLane::remove(IOList *list, IOSession *session) {
    (session->prev_ ? session->prev_->next_ : list->first) = session->next_;
    (session->next_ ? session->next_->prev_ : list->last) = session->prev_;
}

int IOLane::submit(IOSession *session) {
    std::unique_lock<std::mutex> lock(mutex_);
    session->state_ = QUEUED;
    append(&queue_, session);
    queued_++;
    int wanted = wants_call();
    if (wanted < 0) {
        remove(&queue_, session);
        queued_--;
        session->state_ = IDLE;
        return -1;
    }
    metric_inc(METRIC_FILES_IN);
    lock.unlock();
    if (wanted) // the session may be gone by now
        call();
    return 0;
}

IOSession *IOLane::take() {
    IOSession *session = queue_.first;
    if (!session)
        return nullptr;
    remove(&queue_, session);
    queued_--;
    session->state_ = BEGUN;
    metric_inc(METRIC_FILES_BEGUN);
    return session;
}

void IOLane::end(IOSession *session, long res) {
    session->res_ = res;
    session->state_ = ENDING;
    metric_inc(METRIC_FILES_DONE);
}

int IOLane::cancel(IOSession *session) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (session->state_ == QUEUED) {
        remove(&queue_, session);
        queued_--;
        session->res_ = -ECANCELED;
        session->state_ = ENDING;
        metric_inc(METRIC_FILES_CANCELED);
        lock.unlock();
        IOService::deliver(session);
        return 0;
    }
    if (session->state_ == ASKED || session->state_ == TOLD)
        return 0;
    if (session->state_ == BEGUN && interrupt(session)) {
        session->state_ = ASKED;
        int wanted = wants_call();
        lock.unlock();
        if (wanted > 0)
            call();
        return 0;
    }
    errno = ENOENT;
    return -1;
}
