// Weft - what can be ended early, from outside and at any moment: tasks, and groups of them
// SPDX-License-Identifier: Apache-2.0
//
// A task owns itself and may be gone any time, so nobody outside holds a pointer to one. What is
// held instead is a CutPoint, which is counted and outlives it. A TaskLink is the point of one
// task: made when somebody first asks for a handle, or when the task runs inside a group. Under its
// lock the task is there, for it is told of the task's end before done() is called, and before a
// task that never ran is deleted.
//
// | phase    | what is true                                                                          |
// |----------|---------------------------------------------------------------------------------------|
// | IDLE     | not dispatched, or between two dispatches; a cut is kept for the next                 |
// | STARTING | dispatch() is being called; a cut is kept until it has returned                       |
// | STARTED  | dispatch() has returned: SubTask::cut_short() may be called                           |
// | OVER     | it has ended, or is gone                                                              |
//
// A CutGroup is a point that stands for its members: what is cut once stays so, and who joins later
// is cut at once. Groups are nested by joining each other.
//
// Lock order: none. A group's lock is let go before its members are cut, a link's before a task
// that it has ended goes on. The one lock taken under a link's is that of the machine that
// cut_short() asks (a timer's, a session's, an executor's).
#ifndef WEFT_SRC_KERNEL_CUT_H
#define WEFT_SRC_KERNEL_CUT_H

#include <vector>

#include "kernel/atomics.h"
#include "kernel/sys.h"
#include "workflow/SubTask.h"
#include "workflow/wf/cancel.h"

class CommScheduler;

namespace wf::detail {

class CutGroup;
class CutTimer;

class CutPoint {
public:
    void ref() { a32_add(&refs_, 1); }
    void unref() {
        if (a32_sub(&refs_, 1) == 1)
            delete this;
    }
    // Ends it early with this error, ECANCELED or ETIMEDOUT; the first cut counts. 0: it will end
    // so. -1 with ENOENT: it has ended, or its end is fixed; EBUSY: it goes on to its own end.
    [[nodiscard]] virtual int cut(int error) = 0;
    // Whether it has ended.
    virtual bool is_over() = 0;
    // cut(ETIMEDOUT) in so many milliseconds, unless it is over by then; -1: not any more. The last
    // call counts.
    void set_limit(CommScheduler *scheduler, int ms);

    CutPoint(const CutPoint &) = delete;
    CutPoint &operator=(const CutPoint &) = delete;

protected:
    CutPoint() = default;
    virtual ~CutPoint();
    // It is over: out of its group, and no limit any more.
    void retire();
    bool in_group() const { return group_; }

private:
    CutGroup *group_ = nullptr; // counted; set once, by join()
    CutPoint *next_ = nullptr;  // under the group's lock, like the next two
    CutPoint *prev_ = nullptr;
    bool joined_ = false;
    struct weft_lock timer_lock_ = {0};
    CutTimer *timer_ = nullptr; // counted
    bool retired_ = false;      // under timer_lock_
    uint32_t refs_ = 1;         // atomic
    friend class CutGroup;
};

class TaskLink final : public CutPoint {
public:
    // The link of a task that has not ended, made if need be. By whoever owns the task then.
    static TaskLink *of(SubTask *task);
    static TaskLink *find(const SubTask *task) { return task->link_; }

    int cut(int error) override;
    bool is_over() override;
    // Calls `use` with the task, under the lock, unless it is over. True: the task has got what it
    // waited for, and ends now.
    template <class Use>
    bool reach(Use use) {
        sys_lock(&lock_);
        SubTask *won = task_ && use(task_) ? task_ : nullptr;
        sys_unlock(&lock_);
        if (won)
            won->subtask_done();
        return won != nullptr;
    }

    // Of a parallel or the like that is being dispatched: what its parts are to be cut with. NULL
    // when nobody can reach it.
    static CutGroup *children_of(SubTask *task);
    // `to` takes the place of `from`, which stays() and then goes.
    static void pass_on(SubTask *from, SubTask *to);
    bool is_joined() const { return in_group(); }

    // For SubTask:
    static void dispatch(SubTask *task);
    void ended();
    void stays();
    void gone();
    int error() const { return a32_load(&error_); }

private:
    enum Phase { IDLE, STARTING, STARTED, OVER };
    explicit TaskLink(SubTask *task) : task_(task) {}
    ~TaskLink() override;
    int begin();
    void started();
    struct Cut {
        SubTask *won = nullptr;
        CutGroup *children = nullptr; // counted
        void go_on(int error);
    };
    int act(Cut *cut);

    struct weft_lock lock_ = {0};
    SubTask *task_; // NULL when it is over
    Phase phase_ = IDLE;
    uint32_t error_ = 0;   // atomic; written under the lock
    CancelHandle session_; // of a request, which looks after itself through all its attempts
    bool is_session_ = false;
    CutGroup *children_ = nullptr; // counted; under the lock
};

class CutGroup final : public CutPoint {
public:
    CutGroup() = default;
    int cut(int error) override;
    bool is_over() override;
    // What it was cut with, or 0.
    int error() const { return static_cast<int>(a32_load(&error_)); }
    // Takes a point in, which is in no other group; one that comes behind a cut is cut. `first`:
    // it is to be cut before the others, as what decides on what follows them.
    void join(CutPoint *point, bool first = false);
    void leave(CutPoint *point);
    // What it stands for has ended.
    void end();

private:
    ~CutGroup() override = default;
    struct weft_lock lock_ = {0}; // guards the rest
    CutPoint *members_ = nullptr; // not counted: they leave in retire(), before they go
    CutPoint *last_ = nullptr;
    uint32_t error_ = 0; // atomic
    bool over_ = false;
};

} // namespace wf::detail

#endif
