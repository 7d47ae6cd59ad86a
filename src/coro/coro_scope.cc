// Weft - scopes of coroutines, and what they wait for
// SPDX-License-Identifier: Apache-2.0
#include "workflow/detail/coro_scope.h"

#include <errno.h>

#include "kernel/cut.h"
#include "kernel/defer.h"
#include "task/scope.h"
#include "workflow/detail/runtime.h"
#include "workflow/wf/handle.h"

namespace wf::detail {

// Tells a stop source of a cut.
class StopPoint final : public CutPoint {
public:
    int cut(int) override {
        source_.request_stop();
        return 0;
    }
    bool is_over() override { return false; }
    std::stop_token token() const { return source_.get_token(); }
    void end() { this->retire(); }

private:
    ~StopPoint() override = default;
    std::stop_source source_;
};

CoroScope::CoroScope(CoroScope *parent, int ms) : group_(new CutGroup), own_(true), stop_(nullptr) {
    if (ms >= 0)
        group_->set_limit(runtime_scheduler(), ms);
    if (parent)
        parent->join(group_);
}

CoroScope::CoroScope(CutGroup *group) : group_(group), own_(false), stop_(nullptr) {
    group_->ref();
}

CoroScope::~CoroScope() {
    if (stop_) {
        stop_->end();
        stop_->unref();
    }
    if (own_)
        group_->end();
    group_->unref();
}

int CoroScope::cut(int error) { return group_->cut(error); }
int CoroScope::error() const { return group_->error(); }
void CoroScope::join(CutPoint *point) { group_->join(point); }

std::stop_token CoroScope::token() {
    StopPoint *made = nullptr;
    {
        std::lock_guard lock(mutex_);
        if (!stop_)
            stop_ = made = new StopPoint;
    }
    if (made)
        group_->join(made);
    return stop_->token();
}

Handle CoroScope::handle() const {
    group_->ref();
    return Handle(group_);
}

void CoroScope::start(SeriesWork *series) {
    SeriesScope::enter(series, group_);
    series->start();
}

namespace {

struct ResumeJob : weft_job {
    std::coroutine_handle<> handle;
};

void run_resume(struct weft_job *job) {
    std::coroutine_handle<> handle = static_cast<ResumeJob *>(job)->handle;
    delete static_cast<ResumeJob *>(job);
    handle.resume();
}

} // namespace

void resume_later(std::coroutine_handle<> handle) {
    ResumeJob *job = new ResumeJob;
    job->run = run_resume;
    job->handle = handle;
    runtime_scheduler(); // so that there are workers
    if (!kernel_defer(job))
        run_resume(job);
}

// A cut that comes before stay() is kept for it: until then nobody knows whether the wait stands in
// its list.
class CoroWait::Point final : public CutPoint {
public:
    explicit Point(CoroWait *wait) : wait_(wait) {}

    int cut(int error) override {
        sys_lock(&lock_);
        CoroWait *won = nullptr;
        if (wait_ && listed_ && wait_->take_back())
            won = wait_;
        else if (wait_ && !listed_)
            cut_with_ = error;
        sys_unlock(&lock_);
        if (won)
            won->end(error);
        return 0;
    }
    bool is_over() override {
        sys_lock(&lock_);
        bool over = !wait_;
        sys_unlock(&lock_);
        return over;
    }
    // From now on take_back() may be called. What it was cut with, if it could be taken back.
    int listed() {
        sys_lock(&lock_);
        listed_ = true;
        int error = wait_ && cut_with_ && wait_->take_back() ? cut_with_ : 0;
        sys_unlock(&lock_);
        return error;
    }
    void end() {
        sys_lock(&lock_);
        wait_ = nullptr;
        sys_unlock(&lock_);
        this->retire();
    }

private:
    ~Point() override = default;
    struct weft_lock lock_ = {0}; // guards the rest
    CoroWait *wait_;
    bool listed_ = false;
    int cut_with_ = 0;
};

CoroWait::~CoroWait() {
    if (point_) {
        point_->end();
        point_->unref();
    }
}

void CoroWait::begin(std::coroutine_handle<> handle, CoroScope *scope) {
    handle_ = handle;
    point_ = new Point(this);
    scope->join(point_);
}

bool CoroWait::stay() {
    // It may have been woken, but it goes on only behind this.
    int error = point_->listed();
    if (error) {
        error_ = error;
        return false;
    }
    return __atomic_exchange_n(&arrivals_, 1, __ATOMIC_ACQ_REL) == 0;
}

void CoroWait::end(int error) {
    error_ = error;
    point_->end();
    if (__atomic_exchange_n(&arrivals_, 1, __ATOMIC_ACQ_REL) == 1)
        resume_later(handle_);
}

} // namespace wf::detail
