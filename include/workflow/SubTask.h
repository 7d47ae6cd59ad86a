// Weft public header, room: kernel - SubTask and ParallelTask, the units of composition
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SUBTASK_H
#define WEFT_SUBTASK_H

#include <atomic>
#include <stddef.h>

#include "detail/context_list.h"
#include "detail/trace_points.h"

class CommSession;
class ParallelTask;

namespace wf {
namespace detail {
class ContextAccess;
class TaskLink;
} // namespace detail
} // namespace wf

// What tasks are composed into, as far as the kernel knows of it: for whom they work. To be
// compared only; NULL for nobody in particular.
class SubTaskOwner {
public:
    virtual const void *get_server() const { return NULL; }

protected:
    virtual ~SubTaskOwner() {}
};

// Something that is started once by dispatch() and ends once by subtask_done(). A task in a series
// owns itself: done() frees it and names its successor.
class SubTask {
public:
    // Starts the work, on any thread. The implementation calls subtask_done() exactly once for each
    // dispatch, at once or later.
    virtual void dispatch() = 0;

private:
    // Runs the user's callback, frees the task, and returns the task to dispatch next, or NULL.
    // Called by subtask_done() alone.
    virtual SubTask *done() = 0;

    // For tasks that can be ended early (wf/handle.h). Called at most once for each dispatch, on
    // any thread, when dispatch() has returned and the task has not ended; must be quick and call
    // no code of the program. 1: what the task waited for will not happen any more, and its state
    // and error are set: the caller ends it. 0: it ends itself, soon. -1 with ENOENT (its end is on
    // its way) or EBUSY (it cannot be).
    virtual int cut_short(int error);
    // Instead of dispatch(), for a task that was cut before: ends it with WFT_STATE_SYS_ERROR and
    // the error. False: it cannot; then it is dispatched and cut.
    virtual bool refuse(int error) {
        (void)error;
        return false;
    }

protected:
    // In dispatch(): the subtask_done() that comes is not the end, it will be dispatched again.
    void stays();
    // What the task was cut with: ECANCELED or ETIMEDOUT; 0 if it was not.
    int cut_error() const;
    // Ends this task and starts what follows, in a loop and not by recursion. Past some 32 nested
    // endings on one stack the rest is handed to a worker, so that a chain of tasks that end at
    // once cannot exhaust the stack.
    void subtask_done();

public:
    // One slot for whoever composes tasks: the library keeps the owning series there. NULL until
    // then.
    void *get_pointer() const { return this->pointer; }
    void set_pointer(void *pointer_in) {
        this->pointer = pointer_in;
        this->owner = NULL;
    }
    // The same for an owner that outlives the callback of this task.
    void set_pointer(void *pointer_in, const SubTaskOwner *owner_in) {
        this->pointer = pointer_in;
        this->owner = owner_in;
    }
    // Whether this thread is in the callback of a task that works for this server, itself or as a
    // part of a parallel.
    static bool is_inside(const void *server);

    // For those who own tasks: dispatch(), and it can be reached from outside; and before they
    // delete one: it cannot be any more.
    static void start_task(SubTask *task);
    void forget_links();

    // For people who look at a trace: what the task is about, its result too if it has one ("GET
    // example.com/x: 200"). On its own threads, at its start and before its callback. Like
    // snprintf().
    virtual int describe(char *text, size_t size) const;
    // What it still waits for ("2 more counts"). On any thread from its start until its state is
    // final, so it reads only what may be read then.
    virtual int describe_wait(char *text, size_t size) const;

    SubTask() : parent(NULL), pointer(NULL), owner(NULL), link_(NULL) {
        if (wf::detail::is_traced())
            wf::detail::trace_task(wf::TraceKind::TASK_CREATED, this, NULL);
    }
    virtual ~SubTask();

private:
    // Of a request to a server: its session, which can be cancelled through all its attempts.
    virtual CommSession *get_client_session() { return NULL; }
    SubTask *done_traced();

    friend class ParallelTask;
    friend class wf::detail::ContextAccess;
    friend class wf::detail::TaskLink;
    friend class SubTaskDriver;
    ParallelTask *parent;
    void *pointer;
    const SubTaskOwner *owner;
    wf::detail::TaskLink *link_;       // when somebody outside may reach it
    wf::detail::ContextList contexts_; // wf/context.h
};

// Starts its children together and ends when the last of them has.
class ParallelTask : public SubTask {
public:
    // The array is borrowed.
    ParallelTask(SubTask **subtasks_in, size_t n)
        : subtasks(subtasks_in), subtasks_nr(n), nleft(0) {}

    // Dispatches all children in order of index on the calling thread. `this` may be gone when the
    // last was dispatched.
    void dispatch() override;

protected:
    SubTask **subtasks;
    size_t subtasks_nr;

private:
    friend class SubTask;
    friend class SubTaskDriver;
    std::atomic<size_t> nleft;
};

#endif
