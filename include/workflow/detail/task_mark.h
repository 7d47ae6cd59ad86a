// Weft public header, room: task - how tasks are counted: made and gone, by kind
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_DETAIL_TASK_MARK_H
#define WEFT_DETAIL_TASK_MARK_H

namespace wf {
namespace detail {

enum TaskKind {
    TASK_CLIENT,
    TASK_TIMER,
    TASK_COMPUTE, // go and thread tasks
    TASK_GRAPH,
    TASK_PARALLEL,
    TASK_COUNTER,
    TASK_MAILBOX,
    TASK_SELECTOR,
    TASK_CONDITIONAL,
    TASK_MODULE,
    TASK_FILE,
    TASK_KINDS
};

void task_made(TaskKind kind);
void task_gone(TaskKind kind);

// An empty base that counts the objects derived from it.
template <TaskKind KIND>
class TaskMark {
protected:
    TaskMark() { task_made(KIND); }
    TaskMark(const TaskMark &) { task_made(KIND); }
    TaskMark &operator=(const TaskMark &) { return *this; }
    ~TaskMark() { task_gone(KIND); }
};

} // namespace detail
} // namespace wf

#endif
