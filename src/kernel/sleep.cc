// Weft - CommSleep: the machine of one timer
// SPDX-License-Identifier: Apache-2.0
#include "kernel/sleep.h"

#include <errno.h>

#include "kernel/metrics.h"
#include "workflow/detail/container_of.h"

namespace {

constexpr uint64_t NEVER = UINT64_MAX;

} // namespace

static_assert(sizeof(SleepSession) <= 64, "a timer is at most one cache line");

int CommSleep::start(struct mpoller *pool, SleepSession *session) {
    struct timespec value;
    if (session->duration(&value) < 0)
        return -1;
    if (value.tv_nsec < 0 || value.tv_nsec >= 1000000000) {
        errno = EINVAL;
        return -1;
    }
    uint64_t expire = NEVER;
    if (value.tv_sec >= 0 && value.tv_sec < INT64_MAX / 4000000000)
        expire = sys_now() + static_cast<uint64_t>(value.tv_sec) * 1000000000u +
                 static_cast<uint64_t>(value.tv_nsec);
    session->poller_ = mpoller_pick(pool);
    session->timed_.timer.prev = nullptr;
    session->timed_.timer.expire = expire;
    session->timed_.msg.run = run_order;
    a32_store(&session->state_, ARMING);
    mpoller_enter(pool);
    metric_inc(METRIC_TIMERS_STARTED);
    poller_do(session->poller_, &session->timed_.msg);
    return 0;
}

int CommSleep::cancel(SleepSession *session) {
    for (;;) {
        uint32_t state = a32_load(&session->state_);
        uint32_t next = state == ARMING  ? ARM_CANCELED
                        : state == ARMED ? CANCELING
                        : state == DUE   ? DUE_CANCELED
                                         : IDLE;
        if (next == IDLE) {
            errno = ENOENT;
            return -1;
        }
        // Behind the state, which start() stores last (a waiter may get its turn while its timer is
        // still being started), and before the swap, after which the session may be gone.
        struct weft_poller *poller = session->poller_;
        if (!a32_cas(&session->state_, state, next))
            continue;
        if (next == CANCELING)
            poller_do(poller, &session->timed_.msg);
        return 0;
    }
}

SleepSession *CommSleep::of(struct weft_msg *msg) {
    return WEFT_CONTAINER_OF(WEFT_CONTAINER_OF(msg, weft_poll_timer, msg), SleepSession, timed_);
}

SleepSession *CommSleep::of(struct weft_job *job) {
    return WEFT_CONTAINER_OF(job, SleepSession, job_);
}

// Runs with the lease held: as an order, or because its time came.
void CommSleep::run_order(struct weft_msg *msg, struct weft_poller *poller) {
    SleepSession *session = of(msg);
    struct weft_poll_timer *timed = &session->timed_;
    switch (a32_load(&session->state_)) {
    case ARMING:
        if (a32_cas(&session->state_, ARMING, ARMED)) {
            if (poller->closing && a32_cas(&session->state_, ARMED, DUE_STOPPED)) {
                make_due(session, poller);
                return;
            }
            wheel_add(&poller->wheel, &timed->timer, timed->timer.expire);
            return;
        }
        a32_store(&session->state_, DUE_CANCELED);
        make_due(session, poller); // canceled on the way
        return;
    case ARM_CANCELED:
        a32_store(&session->state_, DUE_CANCELED);
        make_due(session, poller);
        return;
    case ARMED: {
        State due = poller->closing ? DUE_STOPPED : DUE;
        if (a32_cas(&session->state_, ARMED, due))
            make_due(session, poller);
        else // canceled this moment: the order to take it out will come
            a32_store(&session->state_, CANCEL_FIRED);
        return;
    }
    case CANCELING:
        if (wheel_has(&timed->timer)) {
            wheel_remove(&poller->wheel, &timed->timer);
            a32_store(&session->state_, DUE_CANCELED);
            make_due(session, poller);
        } else {
            a32_store(&session->state_, CANCEL_FIRED);
        }
        return;
    default: // CANCEL_FIRED
        a32_store(&session->state_, DUE_CANCELED);
        make_due(session, poller);
        return;
    }
}

// The engine's own executor or the program's: with a permit, and queued if need be.
void CommSleep::run_due(struct weft_job *job) {
    SleepSession *session = of(job);
    job->run = run_handle;
    mpoller_deliver(session->poller_->pool, job, nullptr);
}

void CommSleep::run_handle(struct weft_job *job) {
    SleepSession *session = of(job);
    struct mpoller *pool = session->poller_->pool;
    uint32_t state = a32_swap(&session->state_, IDLE); // from here on a cancel is too late
    // The gate waits for `live`, and the joining of the workers for the callback: one that calls
    // exit() must not wait for itself.
    mpoller_leave(pool);
    metric_inc(state == DUE            ? METRIC_TIMERS_FIRED
               : state == DUE_CANCELED ? METRIC_TIMERS_CANCELED
                                       : METRIC_TIMERS_STOPPED);
    if (state == DUE)
        session->handle(SS_STATE_COMPLETE, 0);
    else if (state == DUE_CANCELED)
        session->handle(SS_STATE_ERROR, ECANCELED);
    else
        session->handle(SS_STATE_DISRUPTED, 0);
}

void CommSleep::refuse(SleepSession *session) { session->handle(SS_STATE_DISRUPTED, 0); }

// The caller has set the state, which is not stored again: a cancel may have changed DUE already.
void CommSleep::make_due(SleepSession *session, struct weft_poller *poller) {
    session->job_.run = run_due;
    poller_ready(poller, &session->job_);
}
