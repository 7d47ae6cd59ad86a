// Weft - SeriesScope, and handles
// SPDX-License-Identifier: Apache-2.0
#include "task/scope.h"

#include <errno.h>

#include "workflow/WFTask.h"
#include "workflow/detail/runtime.h"
#include "workflow/wf/handle.h"

namespace wf::detail {

SeriesScope::SeriesScope(SeriesWork *series, CutGroup *group, bool own, bool soft)
    : series_(series), group_(group), own_(own), soft_(soft) {}

SeriesScope::~SeriesScope() { group_->unref(); }

// What runs already when its series gets a scope is reached, if it has a link; what has none cannot
// be, and is waited for.
SeriesScope *SeriesScope::own(SeriesWork *series, bool soft) {
    SeriesScope *scope = series->scope_;
    if (scope && scope->own_)
        return scope;
    CutGroup *group = new CutGroup;
    if (scope) { // it has that of what it runs in: from now on it is a group within that
        scope->group_->join(group);
        scope->leave();
        scope->unref();
    }
    series->scope_ = new SeriesScope(series, group, true, soft);
    group->join(series->scope_, true);
    return series->scope_;
}

void SeriesScope::enter(SeriesWork *series, CutGroup *group) {
    if (series->scope_) {
        group->join(series->scope_->group_);
        return;
    }
    group->ref();
    series->scope_ = new SeriesScope(series, group, false, false);
    group->join(series->scope_, true);
}

int SeriesScope::cut(int) {
    sys_lock(&lock_);
    if (series_ && !soft_)
        series_->cancel();
    sys_unlock(&lock_);
    return 0;
}

bool SeriesScope::is_over() {
    sys_lock(&lock_);
    bool over = !series_;
    sys_unlock(&lock_);
    return over;
}

void SeriesScope::adopt(SubTask *task) {
    TaskLink *link = TaskLink::of(task);
    if (!link->is_joined())
        group_->join(link);
}

void SeriesScope::leave() {
    sys_lock(&lock_);
    series_ = nullptr;
    sys_unlock(&lock_);
    this->retire();
    if (own_)
        group_->end();
}

void limit_session(SeriesWork *series, int ms) {
    SeriesScope::own(series, true)->group()->set_limit(runtime_scheduler(), ms);
}

} // namespace wf::detail

namespace wf {

using detail::CutPoint;
using detail::SeriesScope;
using detail::TaskLink;

namespace {

// With a reference for a handle.
CutPoint *counted(CutPoint *point) {
    point->ref();
    return point;
}

int too_late() {
    errno = ENOENT;
    return -1;
}

SubTask *task_of(WFModuleTask *task) { return static_cast<ParallelTask *>(task); }

} // namespace

Handle::Handle(const Handle &other) : point_(other.point_) {
    if (point_)
        point_->ref();
}

Handle::~Handle() {
    if (point_)
        point_->unref();
}

bool Handle::is_over() const { return !point_ || point_->is_over(); }

Handle get_handle(SubTask *task) { return Handle(counted(TaskLink::of(task))); }
Handle get_handle(WFModuleTask *task) { return get_handle(task_of(task)); }
Handle get_handle(SeriesWork *series) { return Handle(counted(SeriesScope::own(series)->group())); }
CounterHandle get_handle(WFCounterTask *task) { return CounterHandle(counted(TaskLink::of(task))); }
MailboxHandle get_handle(WFMailboxTask *task) { return MailboxHandle(counted(TaskLink::of(task))); }
ConditionalHandle get_handle(WFConditional *task) {
    return ConditionalHandle(counted(TaskLink::of(task)));
}

int cancel(const Handle &handle) {
    return handle.get_point() ? handle.get_point()->cut(ECANCELED) : too_late();
}

void set_deadline(SubTask *task, int ms) {
    TaskLink::of(task)->set_limit(detail::runtime_scheduler(), ms);
}
void set_deadline(WFModuleTask *task, int ms) { set_deadline(task_of(task), ms); }
void set_deadline(SeriesWork *series, int ms) {
    SeriesScope::own(series)->group()->set_limit(detail::runtime_scheduler(), ms);
}

int CounterHandle::count() const {
    bool there = false;
    if (!this->get_point())
        return too_late();
    bool last = static_cast<TaskLink *>(this->get_point())->reach([&](SubTask *task) {
        there = true;
        return static_cast<WFCounterTask *>(task)->count_down();
    });
    return last ? 1 : there ? 0 : too_late();
}

int MailboxHandle::send(void *msg) const {
    bool taken = false;
    if (this->get_point())
        static_cast<TaskLink *>(this->get_point())->reach([&](SubTask *task) {
            return static_cast<WFMailboxTask *>(task)->deliver(msg, &taken);
        });
    return taken ? 0 : too_late();
}

int ConditionalHandle::signal(void *msg) const {
    bool taken = false;
    if (this->get_point())
        static_cast<TaskLink *>(this->get_point())->reach([&](SubTask *task) {
            return static_cast<WFConditional *>(task)->deliver(msg, &taken);
        });
    return taken ? 0 : too_late();
}

} // namespace wf
