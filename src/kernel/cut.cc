// Weft - what can be ended early: links of tasks, groups, limits of time
// SPDX-License-Identifier: Apache-2.0
#include "kernel/cut.h"

#include <errno.h>

#include "kernel/session.h"
#include "kernel/subtask.h"
#include "workflow/CommRequest.h"

namespace wf::detail {

// The timer of a point's limit. Counted by the point and by its own run, and holds the point
// meanwhile.
class CutTimer final : public SleepSession {
public:
    CutTimer(CutPoint *point, CommScheduler *scheduler, int ms)
        : scheduler_(scheduler), point_(point), ms_(ms) {
        point->ref();
    }
    void arm() {
        if (scheduler_->sleep(this) < 0) // it was asked for nothing that could fail
            this->handle(SS_STATE_ERROR, errno);
    }
    // By the point, which lets it go.
    void disarm() {
        scheduler_->unsleep(this);
        this->unref();
    }

private:
    int duration(struct timespec *value) override {
        value->tv_sec = ms_ / 1000;
        value->tv_nsec = ms_ % 1000 * 1000000L;
        return 0;
    }
    void handle(int state, int) override {
        if (state == SS_STATE_COMPLETE)
            (void)point_->cut(ETIMEDOUT);
        point_->unref();
        this->unref();
    }
    ~CutTimer() override = default;
    void unref() {
        if (a32_sub(&refs_, 1) == 1)
            delete this;
    }

    CommScheduler *scheduler_;
    CutPoint *point_; // counted until it was handled
    int ms_;
    uint32_t refs_ = 2; // atomic
};

CutPoint::~CutPoint() {
    if (group_)
        group_->unref();
}

void CutPoint::set_limit(CommScheduler *scheduler, int ms) {
    // Armed before others can find it: a timer that was not armed yet could not be disarmed.
    CutTimer *timer = ms >= 0 ? new CutTimer(this, scheduler, ms) : nullptr;
    if (timer)
        timer->arm();
    sys_lock(&timer_lock_);
    CutTimer *old = retired_ ? timer : timer_;
    if (!retired_)
        timer_ = timer;
    sys_unlock(&timer_lock_);
    if (old)           // counted twice until it was handled, which the analyzer does not see
        old->disarm(); // NOLINT(clang-analyzer-cplusplus.NewDelete)
}

void CutPoint::retire() {
    if (group_)
        group_->leave(this);
    sys_lock(&timer_lock_);
    CutTimer *timer = timer_;
    timer_ = nullptr;
    retired_ = true;
    sys_unlock(&timer_lock_);
    if (timer)
        timer->disarm();
}

TaskLink *TaskLink::of(SubTask *task) {
    if (task->link_)
        return task->link_;
    TaskLink *link = new TaskLink(task);
    if (CommSession *session = task->get_client_session()) {
        link->session_ = CancelBlock::handle_of(session);
        link->is_session_ = true;
    }
    task->link_ = link;
    return link;
}

int TaskLink::cut(int error) {
    if (is_session_)
        return cancel_session(session_, error);
    Cut cut;
    int ret = 0;
    sys_lock(&lock_);
    if (!task_) {
        errno = ENOENT;
        ret = -1;
    } else if (error_ == 0) {
        a32_store(&error_, static_cast<uint32_t>(error));
        if (phase_ == STARTED)
            ret = this->act(&cut);
    }
    int why = errno;
    sys_unlock(&lock_);
    cut.go_on(error);
    errno = why;
    return ret;
}

// Under the lock; go_on() comes when it is free again.
int TaskLink::act(Cut *cut) {
    if (children_) {
        children_->ref();
        cut->children = children_;
        return 0;
    }
    int ret = task_->cut_short(this->error());
    if (ret > 0)
        cut->won = task_;
    else if (ret < 0)
        a32_store(&error_, 0);
    return ret > 0 ? 0 : ret;
}

void TaskLink::Cut::go_on(int error) {
    if (children) {
        (void)children->cut(error);
        children->unref();
    }
    if (won)
        SubTaskDriver::go_on_with(won);
}

TaskLink::~TaskLink() {
    if (children_)
        children_->unref();
}

CutGroup *TaskLink::children_of(SubTask *task) {
    TaskLink *link = task->link_;
    if (!link || link->is_session_)
        return nullptr;
    sys_lock(&link->lock_);
    if (!link->children_) {
        link->children_ = new CutGroup;
        if (link->error_)
            (void)link->children_->cut(link->error());
    }
    sys_unlock(&link->lock_);
    return link->children_;
}

void TaskLink::pass_on(SubTask *from, SubTask *to) {
    TaskLink *link = from->link_;
    if (!link)
        return;
    sys_lock(&link->lock_);
    link->task_ = to;
    sys_unlock(&link->lock_);
    from->link_ = nullptr;
    to->link_ = link;
}

bool TaskLink::is_over() {
    if (is_session_)
        return !session_is_there(session_);
    sys_lock(&lock_);
    bool over = !task_;
    sys_unlock(&lock_);
    return over;
}

// One that was cut already is refused, if it can be. Else it is cut when dispatch() has returned,
// from when on its machine knows of it.
void TaskLink::dispatch(SubTask *task) {
    TaskLink *link = task->link_;
    link->ref();
    int error = link->begin();
    if (error == 0 || !task->refuse(error))
        task->dispatch();
    link->started();
    link->unref();
}

int TaskLink::begin() {
    sys_lock(&lock_);
    phase_ = STARTING;
    int error = this->error();
    sys_unlock(&lock_);
    return error;
}

void TaskLink::started() {
    Cut cut;
    sys_lock(&lock_);
    int cut_with = this->error();
    if (phase_ == STARTING) {
        phase_ = STARTED;
        if (cut_with && task_ && !is_session_)
            (void)this->act(&cut);
    }
    sys_unlock(&lock_);
    cut.go_on(cut_with);
}

void TaskLink::ended() {
    if (is_session_) // its end may be that of one attempt only
        return;
    sys_lock(&lock_);
    bool over = phase_ != IDLE;
    if (over) {
        phase_ = OVER;
        task_ = nullptr;
    }
    sys_unlock(&lock_);
    if (over)
        this->retire();
}

void TaskLink::stays() {
    sys_lock(&lock_);
    phase_ = IDLE;
    sys_unlock(&lock_);
}

void TaskLink::gone() {
    sys_lock(&lock_);
    phase_ = OVER;
    task_ = nullptr;
    sys_unlock(&lock_);
    this->retire();
    this->unref();
}

int CutGroup::cut(int error) {
    std::vector<CutPoint *> members;
    int ret = 0;
    sys_lock(&lock_);
    if (over_) {
        errno = ENOENT;
        ret = -1;
    } else if (error_ == 0) {
        a32_store(&error_, static_cast<uint32_t>(error));
        for (CutPoint *p = members_; p; p = p->next_) {
            p->ref();
            members.push_back(p);
        }
    }
    sys_unlock(&lock_);
    for (CutPoint *point : members) {
        (void)point->cut(error); // what goes on to its own end is waited for
        point->unref();
    }
    return ret;
}

bool CutGroup::is_over() {
    sys_lock(&lock_);
    bool over = over_;
    sys_unlock(&lock_);
    return over;
}

void CutGroup::join(CutPoint *point, bool first) {
    this->ref();
    point->group_ = this;
    sys_lock(&lock_);
    point->joined_ = true;
    point->prev_ = first ? nullptr : last_;
    point->next_ = first ? members_ : nullptr;
    (point->prev_ ? point->prev_->next_ : members_) = point;
    (point->next_ ? point->next_->prev_ : last_) = point;
    int cut_with = this->error();
    sys_unlock(&lock_);
    if (cut_with)
        (void)point->cut(cut_with);
}

void CutGroup::leave(CutPoint *point) {
    sys_lock(&lock_);
    if (point->joined_) {
        point->joined_ = false;
        (point->prev_ ? point->prev_->next_ : members_) = point->next_;
        (point->next_ ? point->next_->prev_ : last_) = point->prev_;
    }
    sys_unlock(&lock_);
}

void CutGroup::end() {
    sys_lock(&lock_);
    over_ = true;
    sys_unlock(&lock_);
    this->retire();
}

} // namespace wf::detail
