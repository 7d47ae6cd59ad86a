// Weft - CommWaiter: a session parked at a full target
// SPDX-License-Identifier: Apache-2.0
#include "kernel/comm_waiter.h"

#include <errno.h>

#include "kernel/entry.h"
#include "kernel/metrics.h"

namespace {

constexpr size_t MAX_WAITERS = 10000;

} // namespace

CommWaiter::CommWaiter(Communicator *comm, CommSession *session, CommSchedObject *object,
                       Resume resume)
    : list_(nullptr), prev_(nullptr), next_(nullptr), comm_(comm), session_(session),
      object_(object), resume_(resume), target_(nullptr), granted_(0), canceled_(0), refs_(2) {}

void CommWaiter::unref() {
    if (a32_sub(&refs_, 1) == 1)
        delete this;
}

bool CommWaiter::enter(CommWaiterList *list) {
    if (list->count >= MAX_WAITERS) {
        metric_inc(METRIC_WAITERS_REFUSED);
        return false;
    }
    metric_inc(METRIC_WAITERS_IN);
    prev_ = list->last;
    next_ = nullptr;
    (list->last ? list->last->next_ : list->first) = this;
    list->last = this;
    list->count++;
    list_ = list;
    return true;
}

void CommWaiter::leave() {
    (prev_ ? prev_->next_ : list_->first) = next_;
    (next_ ? next_->prev_ : list_->last) = prev_;
    list_->count--;
    metric_inc(METRIC_WAITERS_OUT);
    list_ = nullptr;
}

// Under the load lock, which handle() takes before it goes on: so the waiter is still there for
// unsleep().
void CommWaiter::grant(CommTarget *target) {
    leave();
    target_ = target;
    a32_store(&granted_, 1);
    comm_->unsleep(this);
}

int CommWaiter::park(CommTarget **target) {
    bool parked = false;
    CommTarget *got = object_->acquire_or_park(this, &parked);
    if (!parked) {
        int error = errno;
        *target = got;
        delete this;
        errno = error;
        return got ? 0 : -1;
    }
    if (!session_->begin_wait(this, CSP_WAITING))
        a32_store(&canceled_, 1);
    // From here on the session may go on, and end, on another thread: *target belongs to it.
    if (comm_->sleep(this) < 0)
        return withdraw(target, errno);
    // A grant or a cancel between standing in line and the start of the timer found no timer.
    if (a32_load(&granted_) || a32_load(&canceled_))
        comm_->unsleep(this);
    unref();
    return 1;
}

void CommWaiter::interrupt() {
    a32_store(&canceled_, 1);
    comm_->unsleep(this);
}

// Without a timer it cannot wait: it leaves the line, or takes what it was granted meanwhile.
int CommWaiter::withdraw(CommTarget **target, int error) {
    bool was_in = object_->unpark(this);
    session_->end_wait();
    *target = was_in ? nullptr : target_;
    a32_sub(&refs_, 1); // the one that handle() would have dropped
    unref();
    errno = error;
    return was_in ? -1 : 0;
}

int CommWaiter::duration(struct timespec *value) {
    int64_t left = session_->get_time_left();
    int ms = object_->waiter_timeout();
    int64_t ns = ms < 0 ? -1 : static_cast<int64_t>(ms) * 1000000;
    if (ns < 0 || (left >= 0 && left < ns))
        ns = left;
    value->tv_sec = ns < 0 ? -1 : static_cast<time_t>(ns / 1000000000);
    value->tv_nsec = ns < 0 ? 0 : static_cast<long>(ns % 1000000000);
    return 0;
}

void CommWaiter::handle(int result, int) {
    bool decided_here = object_->unpark(this);
    CommSession *session = session_;
    CommTarget *target = target_;
    Communicator *comm = comm_;
    Resume resume = resume_;
    bool canceled = a32_load(&canceled_) != 0;
    session_->end_wait();
    unref();
    if (decided_here) {
        if (result == SS_STATE_DISRUPTED)
            resume(session, nullptr, CS_STATE_STOPPED, 0);
        else if (canceled)
            resume(session, nullptr, CS_STATE_ERROR, ECANCELED);
        else
            resume(session, nullptr, CS_STATE_ERROR, ETIMEDOUT);
        return;
    }
    resume(session, target, CS_STATE_SUCCESS, 0);
    if (comm->request(session, target) == 0)
        return;
    int error = errno;
    target->release();
    if (error == ECANCELED && comm->is_closing())
        resume(session, target, CS_STATE_STOPPED, 0);
    else
        resume(session, target, CS_STATE_ERROR, error);
}
