// Weft - SeriesScope: what a series is cut with
// SPDX-License-Identifier: Apache-2.0
//
// A series has a scope when somebody asked for its handle, or it runs in something that has one: a
// parallel, a graph, a coroutine. Then each of its tasks joins the group of the scope when it is
// about to be dispatched. The scope itself is a point of that group, in front of the tasks: it
// cancels the series, so that nothing follows the task that is cut. That of a server's session is
// soft: tasks are cut, one by one, but the series goes on to its reply.
//
// Belongs to its series, which makes it, and lets it go when it has ended.
#ifndef WEFT_SRC_TASK_SCOPE_H
#define WEFT_SRC_TASK_SCOPE_H

#include "kernel/cut.h"
#include "workflow/Workflow.h"

namespace wf::detail {

class SeriesScope final : public CutPoint {
public:
    // The scope of a series, with a group of its own for those who want to cut it. By whoever has
    // the series: before it starts, or while one of its tasks runs.
    static SeriesScope *own(SeriesWork *series, bool soft = false);
    // Before the series starts: what it runs can be cut with this group.
    static void enter(SeriesWork *series, CutGroup *group);
    static SeriesScope *of(const SeriesWork *series) { return series->scope_; }

    int cut(int error) override;
    bool is_over() override;
    // A task that is about to be dispatched.
    void adopt(SubTask *task);
    // The series has ended.
    void leave();
    CutGroup *group() const { return group_; }

private:
    SeriesScope(SeriesWork *series, CutGroup *group, bool own, bool soft);
    ~SeriesScope() override;

    struct weft_lock lock_ = {0};
    SeriesWork *series_; // NULL when it has ended; under the lock
    CutGroup *group_;    // counted
    const bool own_;     // the group is of this series alone
    const bool soft_;
};

} // namespace wf::detail

#endif
