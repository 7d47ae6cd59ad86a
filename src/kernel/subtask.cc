// Weft - SubTask and ParallelTask: how one task's end starts the next
// SPDX-License-Identifier: Apache-2.0
#include "workflow/SubTask.h"

#include <stdlib.h>
#include <new>

#include "kernel/defer.h"
#include "kernel/sys.h"
#include "kernel/worker.h"

// Goes on with a task on another stack.
class SubTaskDriver : public weft_job {
public:
    enum Step { DISPATCH, END };

    static bool hand_over(SubTask *task, Step step) {
        SubTaskDriver *driver = new (std::nothrow) SubTaskDriver;
        if (!driver)
            return false;
        driver->run = run_job;
        driver->task_ = task;
        driver->step_ = step;
        if (kernel_defer(driver))
            return true;
        delete driver;
        return false;
    }

private:
    static void run_job(struct weft_job *job) {
        SubTaskDriver *driver = static_cast<SubTaskDriver *>(job);
        SubTask *task = driver->task_;
        Step step = driver->step_;
        delete driver;
        if (step == DISPATCH)
            task->dispatch();
        else
            task->subtask_done();
    }

    SubTask *task_;
    Step step_;
};

void SubTask::subtask_done() {
    uint32_t *depth = sys_depth();
    if (*depth >= WORKER_MAX_DEPTH && SubTaskDriver::hand_over(this, SubTaskDriver::END))
        return;
    ++*depth;
    SubTask *current = this;
    for (;;) {
        ParallelTask *above = current->parent;
        SubTask *following = current->done();
        if (following) {
            following->parent = above;
            following->dispatch();
            break;
        }
        if (!above || above->nleft.fetch_sub(1) != 1)
            break;
        current = above;
    }
    --*depth;
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
        (*child)->dispatch();
    } while (++child != end);
}
