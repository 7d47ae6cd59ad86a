// Weft - going on with a task on another stack
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_KERNEL_SUBTASK_H
#define WEFT_SRC_KERNEL_SUBTASK_H

#include "kernel/worker.h"
#include "workflow/SubTask.h"

class SubTaskDriver : public weft_job {
public:
    // A worker will call subtask_done(). False when there is none.
    static bool hand_over(SubTask *task);
    // The same, or without workers on this stack.
    static void go_on_with(SubTask *task) {
        if (!hand_over(task))
            task->subtask_done();
    }

    // One more child of a parallel that runs, to be dispatched by whoever calls. By a callback
    // within the parallel, which therefore cannot end meanwhile.
    static void add_child(ParallelTask *parallel, SubTask *child) {
        parallel->nleft.fetch_add(1);
        child->parent = parallel;
    }

private:
    static void run_job(struct weft_job *job);

    SubTask *task_;
};

#endif
