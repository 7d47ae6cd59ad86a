// Weft public header, room: factory - the computation tasks behind WFTaskFactory, plain and with a time limit
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_DETAIL_FACTORY_COMPUTE_H
#define WEFT_DETAIL_FACTORY_COMPUTE_H

#include <errno.h>
#include <stddef.h>
#include <time.h>
#include <atomic>
#include <functional>
#include <utility>

#include "../WFTask.h"
#include "runtime.h"

namespace wf {
namespace detail {

// A function and its arguments, as std::bind binds them; a literal nullptr makes none.
template <class FUNC, class... ARGS>
struct BindCall {
    static std::function<void()> make(FUNC &&func, ARGS &&...args) {
        return std::bind(std::forward<FUNC>(func), std::forward<ARGS>(args)...);
    }
};
template <class... ARGS>
struct BindCall<std::nullptr_t, ARGS...> {
    static std::function<void()> make(std::nullptr_t, ARGS &&...) { return nullptr; }
};

class PlainGoTask : public WFGoTask {
public:
    PlainGoTask(ExecQueue *queue_in, Executor *executor_in, std::function<void()> &&func)
        : WFGoTask(queue_in, executor_in), go_(std::move(func)) {}

    void set_function(std::function<void()> &&func) { this->go_ = std::move(func); }

protected:
    virtual void execute() {
        if (this->go_)
            this->go_();
    }

    std::function<void()> go_;
};

template <class INPUT, class OUTPUT>
class PlainThreadTask : public WFThreadTask<INPUT, OUTPUT> {
public:
    PlainThreadTask(ExecQueue *queue_in, Executor *executor_in, std::function<void(INPUT *, OUTPUT *)> &&routine,
                std::function<void(WFThreadTask<INPUT, OUTPUT> *)> &&cb)
        : WFThreadTask<INPUT, OUTPUT>(queue_in, executor_in, std::move(cb)), routine_(std::move(routine)) {}

protected:
    virtual void execute() {
        if (this->routine_)
            this->routine_(&this->input, &this->output);
    }

    std::function<void(INPUT *, OUTPUT *)> routine_;
};

// BASE with a limit on its time, which counts from the start. Whichever comes first, the end of the computation or the
// limit, ends the task. The computation is not interrupted and uses the task's memory, so the object stays until the
// computation, the timer and the task have all ended.
template <class BASE>
class WithLimit : public BASE {
public:
    template <class... ARGS>
    WithLimit(time_t seconds, long nanoseconds, ARGS &&...args)
        : BASE(std::forward<ARGS>(args)...), limit_(this, seconds, nanoseconds), decided_(false), refs_(3) {}

    virtual void dispatch() {
        if (runtime_scheduler()->sleep(&this->limit_) < 0) { // a limit that is none: EINVAL
            this->state = WFT_STATE_SYS_ERROR;
            this->error = errno;
            this->decided_ = true;
            this->refs_ = 1;
            this->subtask_done();
            return;
        }
        this->BASE::dispatch();
    }

protected:
    // The end of the computation, or the executor's refusal.
    virtual void handle(int state_in, int error_in) {
        if (this->decide(state_in, error_in)) {
            runtime_scheduler()->unsleep(&this->limit_);
            this->subtask_done();
        }
        this->unref();
    }

    virtual SubTask *done() {
        SeriesWork *series = series_of(this);

        if (this->callback)
            this->callback(this);
        this->unref();
        return series->pop();
    }

private:
    class Limit : public SleepSession {
    public:
        Limit(WithLimit *owner, time_t seconds, long nanoseconds) : owner_(owner) {
            this->time_.tv_sec = seconds;
            this->time_.tv_nsec = nanoseconds;
        }

    private:
        virtual int duration(struct timespec *value) {
            *value = this->time_;
            return 0;
        }
        virtual void handle(int result, int) {
            if (result == SS_STATE_COMPLETE && this->owner_->decide(WFT_STATE_SYS_ERROR, ETIMEDOUT))
                this->owner_->subtask_done();
            this->owner_->unref();
        }

        WithLimit *owner_;
        struct timespec time_;
    };

    bool decide(int state_in, int error_in) {
        if (this->decided_.exchange(true))
            return false;
        this->state = state_in;
        this->error = error_in;
        return true;
    }

    void unref() {
        if (--this->refs_ == 0)
            delete this;
    }

    Limit limit_;
    std::atomic<bool> decided_;
    std::atomic<int> refs_; // computation, timer, task
};

} // namespace detail
} // namespace wf

#endif
