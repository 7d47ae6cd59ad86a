// Weft public header, room: task - series and parallels: what follows what, and what runs beside what
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_WORKFLOW_H
#define WEFT_WORKFLOW_H

#include <atomic>
#include <functional>
#include <stddef.h>
#include <utility>

#include "SubTask.h"
#include "detail/context_list.h"
#include "detail/task_mark.h"
#include "detail/task_support.h"

class ParallelWork;
class SeriesWork;

namespace wf {
namespace detail {
// Makes `task` run before all others of a series; of one that runs, before those that wait.
void series_prepend(SeriesWork *series, SubTask *task);
class SeriesScope;
} // namespace detail
} // namespace wf

using series_callback_t = std::function<void(const SeriesWork *)>;
using parallel_callback_t = std::function<void(const ParallelWork *)>;

// Makes and starts series and parallels. Callbacks may be nullptr.
class Workflow {
public:
    static SeriesWork *create_series_work(SubTask *first, series_callback_t callback);
    static SeriesWork *create_series_work(SubTask *first, SubTask *last,
                                          series_callback_t callback);

    // Dispatches `first` on this thread.
    static void start_series_work(SubTask *first, series_callback_t callback);
    static void start_series_work(SubTask *first, SubTask *last, series_callback_t callback);

    static ParallelWork *create_parallel_work(parallel_callback_t callback);
    static ParallelWork *create_parallel_work(SeriesWork *const all_series[], size_t n,
                                              parallel_callback_t callback);
    static void start_parallel_work(SeriesWork *const all_series[], size_t n,
                                    parallel_callback_t callback);
};

// Tasks that run one after another. A started series owns itself: when a task has ended and none
// waits, it runs its callback and is deleted; as part of a parallel it lives until the parallel's
// callback has returned. Its tasks' callbacks never overlap, and each sees what the one before it
// wrote, on whichever thread.
class SeriesWork : public SubTaskOwner {
public:
    // Dispatches the first task on this thread. Not for a series of a parallel, and only once.
    void start();

    // Instead of start(): deletes the series and all its tasks; no callback is run.
    void dismiss();

    // From any thread while the series lives. A task belongs to one series only.
    void push_back(SubTask *task);
    void push_front(SubTask *task);

    void *get_context() const { return this->context; }
    void set_context(void *context_in) { this->context = context_in; }

    // From any thread while the series lives. The task that runs goes on; those that wait are
    // deleted without callbacks when it has ended, the last task with them; the series callback is
    // run.
    virtual void cancel() { this->canceled_.store(true, std::memory_order_release); }

    bool is_canceled() const { return this->canceled_.load(std::memory_order_acquire); }
    // True when the callback is about to be run.
    bool is_finished() const { return this->finished_.load(std::memory_order_acquire); }

    void set_callback(series_callback_t cb) { this->callback = std::move(cb); }

    // For libraries that keep things of their own in a series they derive.
    virtual void *get_specific(const char *key) {
        (void)key;
        return NULL;
    }

    // For implementations of tasks, in done(): the task to dispatch next, or NULL when the series
    // has ended. The task that has ended may be deleted already; after NULL so is the series.
    SubTask *pop();

    // The last task runs when no other waits, then it is forgotten.
    SubTask *get_last_task() const { return this->last_; }
    void set_last_task(SubTask *last);
    void unset_last_task();

    // The parallel this series is part of, or NULL.
    const ParallelTask *get_in_parallel() const { return this->in_parallel_; }

    SeriesWork(const SeriesWork &) = delete;
    SeriesWork &operator=(const SeriesWork &) = delete;

protected:
    void set_in_parallel(const ParallelTask *task) { this->in_parallel_ = task; }

    // Deletes all tasks that wait, and unless it is part of a parallel the series itself.
    void dismiss_recursive();

    void *context;
    series_callback_t callback;

    SeriesWork(SubTask *first, series_callback_t &&cb);
    ~SeriesWork() override;

private:
    // The callback has returned; the series is alive.
    virtual void ended() {}

    SubTask *start_first();
    SubTask *take() WEFT_TSA(requires_capability(lock_));
    bool is_full() const WEFT_TSA(requires_capability(lock_)) {
        return this->has_many_ || this->few_count_ == FEW;
    }
    void push_many(SubTask *task, bool front) WEFT_TSA(requires_capability(lock_));
    SubTask *take_many() WEFT_TSA(requires_capability(lock_));
    void grow() WEFT_TSA(requires_capability(lock_));
    SubTask *finish();

    enum { FEW = 4 };
    // A ring whose size is a power of two.
    struct Ring {
        SubTask **tasks;
        unsigned size;
        unsigned head;
        unsigned count;
    };

    // Before the start the first task. Then the one that runs, as an identity only: it may be gone.
    SubTask *current_;
    wf::detail::SeriesScope *scope_; // if it can be cut; owned
    SubTask *last_;
    const ParallelTask *in_parallel_;
    wf::detail::ContextList contexts_; // wf/context.h
    wf::detail::SpinLock lock_;
    std::atomic<bool> canceled_;
    std::atomic<bool> finished_;
    bool started_;
    // The tasks that wait: a ring of FEW places, and from when these did not suffice another. Under
    // the lock, like last_.
    bool has_many_;
    unsigned char few_head_;
    unsigned char few_count_;
    union {
        SubTask *few_[FEW];
        Ring many_;
    };

    friend class ParallelWork;
    friend class WFModuleTask;
    friend class wf::detail::ContextAccess;
    friend class wf::detail::SeriesScope;
    friend class Workflow;
    friend void wf::detail::series_prepend(SeriesWork *series, SubTask *task);
};

// The series a task belongs to; NULL before it is put into one.
static inline SeriesWork *series_of(const SubTask *task) {
    return static_cast<SeriesWork *>(task->get_pointer());
}

// So that **task << next reads as "behind this one".
static inline SeriesWork &operator*(const SubTask &task) { return *series_of(&task); }

static inline SeriesWork &operator<<(SeriesWork &series, SubTask *task) {
    series.push_back(task);
    return series;
}

// Series that run beside each other. A task itself: it ends when the last of them has. Its callback
// is run after theirs, on the thread that ended last; then it and its series are deleted.
class ParallelWork : public ParallelTask, private wf::detail::TaskMark<wf::detail::TASK_PARALLEL> {
public:
    // In a series of its own. Series begin in the order they were added, on this thread.
    void start();

    // Instead of start(): deletes the parallel with its series and their tasks; no callback is run.
    void dismiss();

    // Before it runs. A series belongs to one parallel, once.
    void add_series(SeriesWork *series);

    void *get_context() const { return this->context; }
    void set_context(void *context_in) { this->context = context_in; }

    // NULL when there is none of that index. Indices are in the order of adding.
    SeriesWork *series_at(size_t index) {
        return index < this->subtasks_nr ? this->all_series_[index] : NULL;
    }
    const SeriesWork *series_at(size_t index) const {
        return index < this->subtasks_nr ? this->all_series_[index] : NULL;
    }

    SeriesWork &operator[](size_t index) { return *this->series_at(index); }
    const SeriesWork &operator[](size_t index) const { return *this->series_at(index); }

    size_t size() const { return this->subtasks_nr; }
    SeriesWork *const *begin() const { return this->all_series_; }
    SeriesWork *const *end() const { return this->all_series_ + this->subtasks_nr; }

    void set_callback(parallel_callback_t cb) { this->callback = std::move(cb); }

    void dispatch() override;

    ParallelWork(const ParallelWork &) = delete;
    ParallelWork &operator=(const ParallelWork &) = delete;

protected:
    SubTask *done() override;

    void *context;
    parallel_callback_t callback;

    ParallelWork(parallel_callback_t &&cb);
    ParallelWork(SeriesWork *const all_series[], size_t n, parallel_callback_t &&cb);
    ~ParallelWork() override;

    // Starts one more series on this thread while the parallel runs. By a callback within it, so
    // that it cannot end meanwhile. The series is not among those that it deletes.
    void start_late(SeriesWork *series);

private:
    void reserve(size_t n);

    SeriesWork **all_series_; // behind `subtasks`, in the same block
    size_t room_;
    bool started_;

    friend class Workflow;
};

#endif
