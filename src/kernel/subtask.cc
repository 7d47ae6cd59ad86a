// Weft - SubTask and ParallelTask: how one task's end starts the next
// SPDX-License-Identifier: Apache-2.0
#include "workflow/SubTask.h"

#include <errno.h>
#include <new>
#include <stdlib.h>

#include "kernel/cut.h"
#include "kernel/defer.h"
#include "kernel/subtask.h"
#include "kernel/sys.h"

using wf::detail::TaskLink;

bool SubTaskDriver::hand_over(SubTask *task) {
    SubTaskDriver *driver = new (std::nothrow) SubTaskDriver;
    if (!driver)
        return false;
    driver->run = run_job;
    driver->task_ = task;
    if (kernel_defer(driver))
        return true;
    delete driver;
    return false;
}

void SubTaskDriver::run_job(struct weft_job *job) {
    SubTaskDriver *driver = static_cast<SubTaskDriver *>(job);
    SubTask *task = driver->task_;
    delete driver;
    task->subtask_done();
}

// The loop that drives a series on one thread. A task that ends inside the very dispatch() made by
// the loop is noted, and the loop goes on with it, so that a chain of tasks that end at once is a
// loop and not a recursion.
struct SubTaskFrame {
    SubTask *dispatching; // what the innermost loop of this thread is dispatching, until it ends
    bool ended;
    SubTaskFrame *outer;
    // While done() runs: the owner of its task, and the parallel above. Both outlive it.
    const SubTaskOwner *owner;
    ParallelTask *above;
};

namespace {

inline void start(SubTask *task) {
    if (TaskLink::find(task)) [[unlikely]]
        TaskLink::dispatch(task);
    else
        task->dispatch();
}

} // namespace

SubTask::~SubTask() {
    if (this->link_) [[unlikely]]
        this->link_->gone();
    if (wf::detail::is_traced()) [[unlikely]]
        wf::detail::trace_task(wf::TraceKind::TASK_GONE, this, nullptr);
}

namespace {

int say_nothing(char *text, size_t size) {
    if (size > 0)
        *text = '\0';
    return 0;
}

} // namespace

int SubTask::describe(char *text, size_t size) const { return say_nothing(text, size); }

int SubTask::describe_wait(char *text, size_t size) const { return say_nothing(text, size); }

int SubTask::cut_short(int) {
    errno = EBUSY;
    return -1;
}

void SubTask::start_task(SubTask *task) { start(task); }

void SubTask::forget_links() {
    if (this->link_) [[unlikely]] {
        this->link_->gone();
        this->link_ = nullptr;
    }
}

void SubTask::stays() {
    if (this->link_) [[unlikely]]
        this->link_->stays();
}

int SubTask::cut_error() const { return this->link_ ? this->link_->error() : 0; }

SubTask *SubTask::done_traced() {
    wf::detail::trace_task(wf::TraceKind::TASK_PHASE, this, "callback");
    wf::detail::TraceInside inside(this);
    return this->done();
}

void SubTask::subtask_done() {
    if (this->link_) [[unlikely]]
        this->link_->ended();
    SubTaskFrame **top = sys_task_frame();
    if (*top && (*top)->dispatching == this) {
        (*top)->dispatching = nullptr;
        (*top)->ended = true;
        return;
    }
    uint32_t *depth = sys_depth();
    if (*depth >= WORKER_MAX_DEPTH && SubTaskDriver::hand_over(this))
        return;
    ++*depth;
    SubTaskFrame frame = {nullptr, false, *top, nullptr, nullptr};
    *top = &frame;
    SubTask *current = this;
    for (;;) {
        ParallelTask *above = current->parent;
        frame.owner = current->owner;
        frame.above = above;
        SubTask *following = wf::detail::is_traced() ? current->done_traced() : current->done();
        frame.owner = nullptr;
        frame.above = nullptr;
        if (following) {
            following->parent = above;
            frame.dispatching = following;
            frame.ended = false;
            start(following);
            if (!frame.ended)
                break;
            current = following;
            continue;
        }
        if (!above || above->nleft.fetch_sub(1) != 1)
            break;
        if (frame.outer &&
            frame.outer->dispatching == above) { // the loop below is starting it this moment
            frame.outer->dispatching = nullptr;
            frame.outer->ended = true;
            break;
        }
        current = above;
        if (current->link_) [[unlikely]]
            current->link_->ended();
    }
    *top = frame.outer;
    --*depth;
}

bool SubTask::is_inside(const void *server) {
    for (const SubTaskFrame *frame = *sys_task_frame(); frame; frame = frame->outer) {
        if (frame->owner && frame->owner->get_server() == server)
            return true;
        for (const SubTask *above = frame->above; above; above = above->parent) {
            if (above->owner && above->owner->get_server() == server)
                return true;
        }
    }
    return false;
}

void ParallelTask::dispatch() {
    // `this` may be gone once the last child was dispatched.
    SubTask **child = this->subtasks, **end = child + this->subtasks_nr;
    this->nleft = this->subtasks_nr;
    if (child == end) {
        this->subtask_done();
        return;
    }
    do {
        (*child)->parent = this;
        start(*child);
    } while (++child != end);
}
