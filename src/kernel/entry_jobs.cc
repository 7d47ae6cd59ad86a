// Weft - CommConnEntry: what workers do for a connection: moving it on, ending it, and delivering
// SPDX-License-Identifier: Apache-2.0
#include <new>

#include "kernel/channel.h"
#include "kernel/session.h"
#include "workflow/detail/container_of.h"

void CommConnEntry::run_job(struct weft_job *job) {
    CommConnEntry *entry = WEFT_CONTAINER_OF(job, CommConnEntry, job);
    entry->set_lock();
    entry->job_posted = false;
    if (entry->closed) {
        run_last_job(entry);
        return;
    }
    entry->go_on();
    entry->unref();
}

// The descriptor is closed: the connection is nobody's load any more, and only the program still
// has its sessions, or is to be told that its channel has ended.
void CommConnEntry::run_last_job(CommConnEntry *entry) {
    bool first = !entry->gone;
    struct mpoller *pool = entry->comm->pool_;
    CommService *service = entry->service;
    entry->gone = true;
    if (!CommChannelMachine::is_channel(entry)) {
        sys_unlock(&entry->mutex);
        entry->unref();
        if (!first)
            return;
        if (service)
            service->unlist(entry);
        entry->unref();
        mpoller_leave(pool);
        return;
    }
    // The reference for its life is dropped when the program has heard the last of its channel,
    // which the end of the engine must not wait for, as it does not for callbacks of sessions. But
    // a program's own executor must be given what is left before it is waited for.
    bool late = pool->schedule != nullptr;
    sys_unlock(&entry->mutex);
    if (first && service)
        service->unlist(entry);
    if (first && !late)
        mpoller_leave(pool);
    entry->set_lock();
    // Not before: whoever tells the program lets the service go, and with it the list.
    entry->unlisted = entry->unlisted || first;
    entry->go_on();
    entry->unref();
    if (first && late)
        mpoller_leave(pool);
}

void CommConnEntry::go_on() {
    if (CommChannelMachine::is_channel(this))
        CommChannelMachine::run(this);
    else if (service)
        CommServerMachine::run(this);
    else
        CommClientMachine::run(this);
}

namespace {

struct LetGo : weft_job {
    CommConnEntry *entry;
};

void let_go(struct weft_job *job) {
    CommConnEntry *entry = static_cast<LetGo *>(job)->entry;
    delete static_cast<LetGo *>(job);
    entry->unref();
}

} // namespace

void CommConnEntry::unref_on_worker() {
    struct mpoller *pool = comm->pool_;
    set_lock();
    bool lives = !gone;
    if (lives) // its own reference is still there, and goes on a worker
        pollable_unref(this);
    unlock();
    if (lives)
        return;
    LetGo *last = mpoller_is_worker(pool) ? nullptr : new (std::nothrow) LetGo;
    if (!last) {
        unref();
        return;
    }
    last->run = let_go;
    last->entry = this;
    mpoller_defer(pool, last);
}

// The delivery: measured, on a thread that holds a permit. The session's own reference keeps the
// entry until handle() has freed the session, ours keeps it until after the measurement.
void CommConnEntry::run_delivery(struct weft_job *job) {
    CommSession *session = static_cast<CommSession::Job *>(job)->session;
    CommConnEntry *entry = session->entry_;
    int state = session->end_state_, error = session->end_error_;
    job_site *site = entry->site;
    struct site_probe probe;

    if (entry->comm->pool_->schedule) // the program's executor has it now, and waits for it
        mpoller_leave(entry->comm->pool_);
    entry->ref();
    if (!session->passive_ || !CommServerMachine::divert(session)) {
        if (site)
            job_site_begin(site, &probe);
        handle(session, entry->service, state, error);
        if (site)
            job_site_end(site, &probe);
    }
    entry->unref();
}

void CommConnEntry::run_deferred_delivery(struct weft_job *job) {
    CommConnEntry *entry = static_cast<CommSession::Job *>(job)->session->entry_;
    job->run = run_delivery;
    mpoller_deliver(entry->comm->pool_, job, entry->site);
}

void CommConnEntry::deliver(const CommOutcome &outcome, bool later) {
    CommSession *s = outcome.session;
    s->end_state_ = outcome.state;
    s->end_error_ = outcome.error;
    s->job_.session = s;
    s->job_.run = later ? run_deferred_delivery : run_delivery;
    if (!s->passive_)
        s->target_->release();
    if (later)
        mpoller_defer(comm->pool_, &s->job_);
    else
        mpoller_deliver(comm->pool_, &s->job_, site);
}
