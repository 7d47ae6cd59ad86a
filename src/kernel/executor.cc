// Weft - Executor: threads that run sessions of named queues, fairly
// SPDX-License-Identifier: Apache-2.0
//
// One mutex guards the round of queues and everything in them. A queue stands in the round exactly
// when it has sessions that may run; a thread takes the first queue, takes its first session, and
// puts the queue back behind its equals if more are left. The round is in order of priority, so the
// first queue is always the right one. Threads are made when there is work that no idle thread will
// take.
#include "workflow/Executor.h"

#include <errno.h>

#include "kernel/metrics.h"
#include "kernel/sys.h"
#include "workflow/SubTask.h"

namespace {

// The executor this thread works for, and its nested waits.
struct CurrentThread {
    Executor *executor;
    unsigned waits;
};
// tidy: allow thread-local - the threads of an executor are no workers, and never simulated
thread_local CurrentThread current;

} // namespace

int ExecQueue::init() {
    this->first = this->last = nullptr;
    this->next = nullptr;
    this->running = 0;
    this->place = NOWHERE;
    return 0;
}

void ExecQueue::deinit() {}

int Executor::init(size_t nthreads) {
    if (nthreads == 0) {
        errno = EINVAL;
        return -1;
    }
    this->limit = nthreads;
    this->stopping = false;
    return 0;
}

// Behind all of its own priority; mostly all are of one, and that is the end.
void Executor::enter_round(ExecQueue *queue) {
    ExecQueue *before = this->round_last;
    if (this->round_first && before->priority < queue->priority) {
        before = nullptr;
        for (ExecQueue *q = this->round_first; q->priority >= queue->priority; q = q->next)
            before = q;
    }
    if (!this->round_first)
        before = nullptr;
    ExecQueue **link = before ? &before->next : &this->round_first;
    queue->next = *link;
    *link = queue;
    if (!queue->next)
        this->round_last = queue;
    queue->place = ExecQueue::ROUND;
}

// Of a queue that stands nowhere: puts it where it belongs.
void Executor::place_queue(ExecQueue *queue) {
    if (!queue->first)
        return;
    if (queue->most == 0 || queue->running < queue->most) {
        this->enter_round(queue);
        return;
    }
    queue->next = this->held_first;
    this->held_first = queue;
    queue->place = ExecQueue::HELD;
}

void Executor::take_out(ExecQueue *queue) {
    if (queue->place == ExecQueue::NOWHERE)
        return;
    bool held = queue->place == ExecQueue::HELD;
    ExecQueue *before = nullptr;
    for (ExecQueue *q = held ? this->held_first : this->round_first; q != queue; q = q->next)
        before = q;
    (before ? before->next : held ? this->held_first : this->round_first) = queue->next;
    if (!held && this->round_last == queue)
        this->round_last = before;
    queue->place = ExecQueue::NOWHERE;
}

// There is more to do: whether an idle thread is to be woken for it. Else one is made, if it may.
bool Executor::call_thread() {
    if (this->idle == 0 && this->threads < this->limit + this->waiting)
        this->start_thread();
    return this->idle > 0;
}

// The body of a session is over that was begun under a limit.
void Executor::left_limited(ExecQueue *queue) {
    std::lock_guard<std::mutex> lock(this->mutex);
    queue->running--;
    if (queue->place != ExecQueue::HELD)
        return;
    this->take_out(queue);
    this->place_queue(queue);
    // This thread still has a callback to run, which may take long.
    if (!this->stopping && this->call_thread())
        this->work_cond.notify_one();
}

void Executor::set_queue_limit(ExecQueue *queue, size_t most) {
    std::lock_guard<std::mutex> lock(this->mutex);
    queue->most = most;
    this->take_out(queue);
    this->place_queue(queue);
    // More than one of its sessions may be free to go now: all who are idle look, and a thread that
    // takes one while there are more makes another.
    if (queue->place == ExecQueue::ROUND && !this->stopping && this->call_thread())
        this->work_cond.notify_all();
}

void Executor::set_queue_priority(ExecQueue *queue, int priority) {
    std::lock_guard<std::mutex> lock(this->mutex);
    queue->priority = priority;
    this->take_out(queue);
    this->place_queue(queue);
}

void *Executor::run_thread(void *executor) {
    static_cast<Executor *>(executor)->work();
    return nullptr;
}

bool Executor::start_thread() {
    if (sys_helper_start(run_thread, this) < 0)
        return false;
    this->threads++;
    metric_inc(METRIC_EXECUTOR_THREADS);
    return true;
}

int Executor::request(ExecSession *session, ExecQueue *queue) {
    session->queue = queue;
    session->next = nullptr;
    std::unique_lock<std::mutex> lock(this->mutex);
    if (this->stopping) {
        errno = ECANCELED;
        return -1;
    }
    bool may_run = queue->most == 0 || queue->running < queue->most;
    if (may_run && this->idle == 0 && this->threads < this->limit + this->waiting &&
        !this->start_thread() && this->threads == 0)
        return -1;
    (queue->first ? queue->last->next : queue->first) = session;
    queue->last = session;
    if (queue->place == ExecQueue::NOWHERE)
        this->place_queue(queue);
    metric_inc(METRIC_EXECUTOR_IN);
    bool wake = may_run && this->idle > 0;
    lock.unlock();
    if (wake)
        this->work_cond.notify_one();
    return 0;
}

int Executor::withdraw(ExecSession *session, ExecQueue *queue) {
    std::lock_guard<std::mutex> lock(this->mutex);
    ExecSession *before = nullptr, *at = queue->first;
    for (; at && at != session; at = at->next)
        before = at;
    if (!at) {
        errno = EBUSY;
        return -1;
    }
    (before ? before->next : queue->first) = session->next;
    if (queue->last == session)
        queue->last = before;
    if (!queue->first)
        this->take_out(queue);
    metric_inc(METRIC_EXECUTOR_CANCELED);
    return 0;
}

// The next session in turn, or NULL when this thread shall end. `limited`: left_limited() is owed.
ExecSession *Executor::take(std::unique_lock<std::mutex> *lock, bool *limited) {
    for (;;) {
        bool surplus = this->threads > this->limit + this->waiting;
        if (surplus || this->stopping) { // what is queued at the end is canceled, not run
            if (this->round_first && !this->stopping)
                this->work_cond.notify_one(); // what woke this thread is another's now
            return nullptr;
        }
        ExecQueue *queue = this->round_first;
        if (queue) {
            ExecSession *session = queue->first;
            this->take_out(queue);
            queue->first = session->next;
            *limited = queue->most != 0;
            if (*limited)
                queue->running++;
            this->place_queue(queue);
            // A thread counts as idle until it runs: requests made meanwhile counted on it in vain.
            if (this->round_first && this->idle == 0 && this->threads < this->limit + this->waiting)
                this->start_thread();
            return session;
        }
        this->idle++;
        this->work_cond.wait(*lock);
        this->idle--;
    }
}

void Executor::execute(ExecSession *session) {
    const SubTask *task = wf::detail::is_traced() ? session->get_task() : nullptr;
    if (!task) [[likely]] {
        session->execute();
        return;
    }
    wf::detail::trace_task(wf::TraceKind::TASK_PHASE, task, "running");
    wf::detail::TraceInside inside(task);
    session->execute();
}

void Executor::work() {
    current.executor = this;
    std::unique_lock<std::mutex> lock(this->mutex);
    ExecSession *session;
    bool limited;
    while ((session = this->take(&lock, &limited)) != nullptr) {
        lock.unlock();
        metric_inc(METRIC_EXECUTOR_BEGUN);
        execute(session);
        metric_inc(METRIC_EXECUTOR_DONE);
        if (limited) // before the callback, after which the queue may be gone
            this->left_limited(session->queue);
        session->handle(ES_STATE_FINISHED, 0);
        lock.lock();
    }
    this->threads--;
    metric_dec(METRIC_EXECUTOR_THREADS);
    // Under the lock: whoever waits in deinit() may free the executor as soon as it can take the
    // lock.
    this->end_cond.notify_all();
}

void Executor::cancel_all(std::unique_lock<std::mutex> *lock) {
    while (this->round_first || this->held_first) {
        ExecQueue *queue = this->round_first ? this->round_first : this->held_first;
        ExecSession *session = queue->first;
        queue->first = session->next;
        if (!queue->first)
            this->take_out(queue);
        lock->unlock();
        metric_inc(METRIC_EXECUTOR_CANCELED);
        session->handle(ES_STATE_CANCELED, 0);
        lock->lock();
    }
}

void Executor::deinit() {
    std::unique_lock<std::mutex> lock(this->mutex);
    this->stopping = true;
    this->cancel_all(&lock);
    this->work_cond.notify_all();
    size_t own = current.executor == this ? 1 : 0; // exit() was called by a computation
    while (this->threads > own)
        this->end_cond.wait(lock);
}

int Executor::increase_thread() {
    std::lock_guard<std::mutex> lock(this->mutex);
    this->limit++;
    if (this->round_first && this->idle == 0)
        this->start_thread();
    return 0;
}

int Executor::decrease_thread() {
    std::lock_guard<std::mutex> lock(this->mutex);
    if (this->limit <= 1) {
        errno = EINVAL;
        return -1;
    }
    this->limit--;
    this->work_cond.notify_all(); // an idle thread that is too many ends
    return 0;
}

int Executor::wait_begin() {
    Executor *executor = current.executor;
    if (!executor)
        return 0;
    if (current.waits++ > 0)
        return 1;
    std::lock_guard<std::mutex> lock(executor->mutex);
    executor->waiting++;
    if (executor->round_first && executor->idle == 0)
        executor->start_thread();
    return 1;
}

void Executor::wait_end(int cookie) {
    Executor *executor = current.executor;
    if (!cookie || !executor || --current.waits > 0)
        return;
    std::lock_guard<std::mutex> lock(executor->mutex);
    executor->waiting--;
}
