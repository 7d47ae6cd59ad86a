// Weft - SeriesWork: a queue of tasks that run one after another
// SPDX-License-Identifier: Apache-2.0
//
// One thread at a time advances a series, from start() through each pop(); it changes `current_`,
// `started_` and runs the callback. Any thread may push, set the last task, and cancel: the ring
// and `last_` are under the lock, the flags are atomic. The lock is never held while a task is
// deleted or a callback run.
//
// Always holds: a task in the ring, and `last_`, belong to the series and have it as their pointer;
// the task that runs belongs to itself.
#include "workflow/Workflow.h"

#include <stdlib.h>
#include <string.h>

#include "task/scope.h"

using wf::TraceKind;
using wf::detail::misuse;

static_assert(sizeof(SeriesWork) <= 128,
              "every task that is started alone has a series of its own");

namespace {

class [[nodiscard]] WEFT_TSA(scoped_lockable) Guard {
public:
    explicit Guard(wf::detail::SpinLock &lock) WEFT_TSA(acquire_capability(lock)) : lock_(lock) {
        lock_.lock();
    }
    ~Guard() WEFT_TSA(release_capability()) { lock_.unlock(); }
    Guard(const Guard &) = delete;
    Guard &operator=(const Guard &) = delete;

private:
    wf::detail::SpinLock &lock_;
};

void trace(TraceKind kind, const SeriesWork *series, const SubTask *task = nullptr) {
    if (!wf::detail::is_traced()) [[likely]]
        return;
    wf::TraceEvent event = {};
    event.kind = kind;
    event.task = task;
    event.series = series;
    event.parallel = series->get_in_parallel();
    event.origin = kind == TraceKind::SERIES_CREATED ? wf::detail::trace_origin() : nullptr;
    wf::detail::trace_event(event);
}

// Deletes a task that will not run. Whoever has a handle reaches it no more.
void drop(SubTask *task) {
    task->forget_links();
    delete task;
}

} // namespace

SeriesWork::SeriesWork(SubTask *first, series_callback_t &&cb)
    : context(nullptr), callback(std::move(cb)), current_(first), scope_(nullptr), last_(nullptr),
      in_parallel_(nullptr), canceled_(false), finished_(false), started_(false), has_many_(false),
      few_head_(0), few_count_(0) {
    first->set_pointer(this, this);
    trace(TraceKind::SERIES_CREATED, this);
}

SeriesWork::~SeriesWork() {
    if (this->scope_) [[unlikely]] {
        this->scope_->leave();
        this->scope_->unref();
    }
    if (this->has_many_) [[unlikely]]
        free(this->many_.tasks);
    trace(TraceKind::SERIES_GONE, this);
}

SubTask *SeriesWork::start_first() {
    this->started_ = true;
    trace(TraceKind::SERIES_START, this);
    trace(TraceKind::TASK_START, this, this->current_);
    if (this->scope_) [[unlikely]]
        this->scope_->adopt(this->current_);
    return this->current_;
}

void SeriesWork::start() {
    if (this->in_parallel_) [[unlikely]]
        misuse("SeriesWork::start() of a series that is part of a parallel, which starts it");
    if (this->started_) [[unlikely]]
        misuse("SeriesWork::start() of a series that was started before");
    SubTask::start_task(this->start_first());
}

void SeriesWork::dismiss() {
    if (this->in_parallel_) [[unlikely]]
        misuse("SeriesWork::dismiss() of a series that is part of a parallel: dismiss that");
    if (this->started_) [[unlikely]]
        misuse("SeriesWork::dismiss() of a series that was started: cancel() it");
    this->dismiss_recursive();
}

void SeriesWork::dismiss_recursive() {
    this->callback = nullptr;
    if (!this->started_)
        drop(this->current_);
    for (;;) {
        this->lock_.lock();
        SubTask *task = this->take();
        this->lock_.unlock();
        if (!task)
            break;
        drop(task);
    }
    if (!this->in_parallel_)
        delete this;
}

void SeriesWork::push_back(SubTask *task) {
    task->set_pointer(this, this);
    Guard guard(this->lock_);
    if (this->is_full()) [[unlikely]] {
        this->push_many(task, false);
        return;
    }
    this->few_[(this->few_head_ + this->few_count_) & (FEW - 1)] = task;
    this->few_count_++;
}

void SeriesWork::push_front(SubTask *task) {
    task->set_pointer(this, this);
    Guard guard(this->lock_);
    if (this->is_full()) [[unlikely]] {
        this->push_many(task, true);
        return;
    }
    this->few_head_ = (this->few_head_ - 1) & (FEW - 1);
    this->few_[this->few_head_] = task;
    this->few_count_++;
}

void SeriesWork::push_many(SubTask *task, bool front) {
    if (!this->has_many_ || this->many_.count == this->many_.size)
        this->grow();
    Ring &ring = this->many_;
    if (front)
        ring.head = (ring.head - 1) & (ring.size - 1);
    ring.tasks[(ring.head + (front ? 0 : ring.count)) & (ring.size - 1)] = task;
    ring.count++;
}

void wf::detail::series_prepend(SeriesWork *series, SubTask *task) {
    if (series->started_) {
        series->push_front(task);
        return;
    }
    series->push_front(series->current_);
    task->set_pointer(series, series);
    series->current_ = task;
}

void SeriesWork::set_last_task(SubTask *last) {
    last->set_pointer(this, this);
    Guard guard(this->lock_);
    this->last_ = last;
}

void SeriesWork::unset_last_task() {
    Guard guard(this->lock_);
    this->last_ = nullptr;
}

// Only when it is full: the ring is unrolled into one of twice the size.
void SeriesWork::grow() {
    Ring old = {this->few_, FEW, this->few_head_, this->few_count_};
    if (this->has_many_)
        old = this->many_;
    unsigned size = old.size * 2;
    SubTask **tasks = static_cast<SubTask **>(malloc(size * sizeof *tasks));
    if (!tasks || size == 0)
        misuse("a series has more tasks than memory can hold");
    unsigned behind_head = old.size - old.head;
    memcpy(tasks, old.tasks + old.head, behind_head * sizeof *tasks);
    memcpy(tasks + behind_head, old.tasks, old.head * sizeof *tasks);
    if (this->has_many_)
        free(old.tasks);
    this->many_ = {tasks, size, 0, old.count};
    this->has_many_ = true;
}

SubTask *SeriesWork::take_many() {
    Ring &ring = this->many_;
    SubTask *task = ring.tasks[ring.head];
    ring.head = (ring.head + 1) & (ring.size - 1);
    ring.count--;
    return task;
}

// The next of those that wait, the last task after all others; NULL when there is none.
SubTask *SeriesWork::take() {
    SubTask *task;
    if (this->has_many_ && this->many_.count > 0) [[unlikely]] {
        task = this->take_many();
    } else if (!this->has_many_ && this->few_count_ > 0) {
        task = this->few_[this->few_head_];
        this->few_head_ = (this->few_head_ + 1) & (FEW - 1);
        this->few_count_--;
    } else {
        task = this->last_;
        this->last_ = nullptr;
    }
    return task;
}

SubTask *SeriesWork::pop() {
    trace(TraceKind::TASK_END, this, this->current_);
    for (;;) {
        this->lock_.lock();
        SubTask *task = this->take();
        this->lock_.unlock();
        if (!task)
            return this->finish();
        if (!this->is_canceled()) [[likely]] {
            this->current_ = task;
            trace(TraceKind::TASK_START, this, task);
            if (this->scope_) [[unlikely]]
                this->scope_->adopt(task);
            return task;
        }
        drop(task);
    }
}

SubTask *SeriesWork::finish() {
    if (this->scope_) [[unlikely]]
        this->scope_->leave();
    this->finished_.store(true, std::memory_order_release);
    if (this->callback)
        this->callback(this);
    trace(TraceKind::SERIES_END, this);
    this->ended();
    if (!this->in_parallel_)
        delete this;
    return nullptr;
}

SeriesWork *Workflow::create_series_work(SubTask *first, series_callback_t callback) {
    return new SeriesWork(first, std::move(callback));
}

SeriesWork *Workflow::create_series_work(SubTask *first, SubTask *last,
                                         series_callback_t callback) {
    SeriesWork *series = new SeriesWork(first, std::move(callback));
    series->set_last_task(last);
    return series;
}

void Workflow::start_series_work(SubTask *first, series_callback_t callback) {
    (new SeriesWork(first, std::move(callback)))->start();
}

void Workflow::start_series_work(SubTask *first, SubTask *last, series_callback_t callback) {
    create_series_work(first, last, std::move(callback))->start();
}

ParallelWork *Workflow::create_parallel_work(parallel_callback_t callback) {
    return new ParallelWork(std::move(callback));
}

ParallelWork *Workflow::create_parallel_work(SeriesWork *const all_series[], size_t n,
                                             parallel_callback_t callback) {
    return new ParallelWork(all_series, n, std::move(callback));
}

void Workflow::start_parallel_work(SeriesWork *const all_series[], size_t n,
                                   parallel_callback_t callback) {
    create_parallel_work(all_series, n, std::move(callback))->start();
}
