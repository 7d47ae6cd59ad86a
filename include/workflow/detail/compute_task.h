// Weft public header, room: task - go and thread tasks as a factory makes them, plain and with a time limit
// SPDX-License-Identifier: Apache-2.0
//
// For the templates of the factory; programs do not include it.
#ifndef WEFT_DETAIL_COMPUTE_TASK_H
#define WEFT_DETAIL_COMPUTE_TASK_H

#include <atomic>
#include <errno.h>
#include <functional>
#include <stddef.h>
#include <time.h>
#include <utility>

#include "../WFTask.h"

namespace wf {
namespace detail {

// Runs the body of a task, and says whether it ended without an exception. The try stands in the
// library, so that this header also serves programs without exceptions.
bool run_body(void (*body)(void *), void *arg);

// The function that a go task runs: bound as by std::bind, or none yet.
template <class FUNC, class... ARGS>
std::function<void()> go_function(FUNC &&func, ARGS &&...args) {
    return std::function<void()>(std::bind(std::forward<FUNC>(func), std::forward<ARGS>(args)...));
}

template <class... ARGS>
std::function<void()> go_function(std::nullptr_t, ARGS &&...) {
    return nullptr;
}

// Every go task of the factory is one of these.
class GoTask : public WFGoTask {
public:
    GoTask(ExecQueue *queue_in, Executor *executor_in, std::function<void()> &&func_in)
        : WFGoTask(queue_in, executor_in), func(std::move(func_in)), threw(false) {}

    void set_function(std::function<void()> &&func_in) { this->func = std::move(func_in); }

protected:
    void execute() override;
    void handle(int state_in, int error_in) override;
    ~GoTask() override {}

    std::function<void()> func;
    bool threw;
};

// Every thread task of the factory is one of these.
template <class INPUT, class OUTPUT>
class RoutineTask : public WFThreadTask<INPUT, OUTPUT> {
public:
    RoutineTask(ExecQueue *queue_in, Executor *executor_in,
                std::function<void(INPUT *, OUTPUT *)> &&routine_in,
                std::function<void(WFThreadTask<INPUT, OUTPUT> *)> &&cb)
        : WFThreadTask<INPUT, OUTPUT>(queue_in, executor_in, std::move(cb)),
          routine(std::move(routine_in)), threw(false) {}

protected:
    virtual void execute() { this->threw = !run_body(run, this); }

    virtual void handle(int state_in, int error_in) {
        if (state_in == ES_STATE_FINISHED && this->threw) {
            state_in = WFT_STATE_TASK_ERROR;
            error_in = WFT_ERR_TASK_EXCEPTION;
        }
        this->WFThreadTask<INPUT, OUTPUT>::handle(state_in, error_in);
    }

    virtual ~RoutineTask() {}

    std::function<void(INPUT *, OUTPUT *)> routine;
    bool threw;

private:
    static void run(void *arg) {
        RoutineTask *task = static_cast<RoutineTask *>(arg);
        if (task->routine)
            task->routine(&task->input, &task->output);
    }
};

// Who is told by a TimeLimit that the time is over.
class Limited {
public:
    virtual void limit_reached() = 0;

protected:
    ~Limited() {}
};

// The timer of a task with a time limit. It is an object apart, so that the task can be deleted as
// soon as it has ended in time. Task and timer each hold a reference; whoever of executor and timer
// calls end() first ends the task.
class TimeLimit : public SleepSession {
public:
    TimeLimit(Limited *limited, time_t seconds, long nanoseconds);

    // 0, or -1 with errno and without the timer's reference.
    int arm(CommScheduler *scheduler);
    // True for the first.
    bool end() { return !this->ended_.exchange(true); }
    bool has_ended() const { return this->ended_.load(std::memory_order_acquire); }
    void unref();

private:
    int duration(struct timespec *value) override;
    void handle(int state_in, int error_in) override;
    ~TimeLimit() override {}

    Limited *limited_;
    time_t seconds_;
    long nanoseconds_;
    std::atomic<bool> ended_;
    std::atomic<int> refs_;
};

// A GoTask or RoutineTask that ends with ETIMEDOUT when its time is over, counted from the start. A
// body that runs then goes on, unseen, and the task lives until it has ended; one that has not
// begun is not begun any more.
template <class TASK>
class TimedTask : public TASK, private Limited {
public:
    template <class... ARGS>
    TimedTask(time_t seconds, long nanoseconds, CommScheduler *scheduler, ARGS &&...args)
        : TASK(std::forward<ARGS>(args)...), limit_(new TimeLimit(this, seconds, nanoseconds)),
          scheduler_(scheduler), refs_(2) {}

    void dispatch() override {
        if (this->limit_->arm(this->scheduler_) < 0) {
            int why = errno;
            this->unref();
            TASK::handle(ES_STATE_ERROR, why);
            return;
        }
        if (this->executor->request(this, this->queue) < 0)
            this->handle(ES_STATE_ERROR, errno);
    }

protected:
    void execute() override {
        if (!this->limit_->has_ended())
            TASK::execute();
    }

    // Of the executor, which has done with the task or never got it. The other reference keeps it
    // until done().
    void handle(int state_in, int error_in) override {
        if (!this->limit_->end()) {
            this->unref();
            return;
        }
        this->scheduler_->unsleep(this->limit_);
        this->unref();
        TASK::handle(state_in, error_in);
    }

    SubTask *done() override {
        SeriesWork *series = series_of(this);

        if (this->callback)
            this->callback(this);

        this->callback = nullptr;
        this->unref();
        return series->pop();
    }

    // As at the end of its time: a body that runs goes on, unseen.
    int cut_short(int cut_with) override {
        if (!this->limit_->end()) {
            errno = ENOENT;
            return -1;
        }
        this->scheduler_->unsleep(this->limit_);
        this->state = WFT_STATE_SYS_ERROR;
        this->error = cut_with;
        return 1;
    }
    bool refuse(int cut_with) override {
        this->unref(); // of the executor, which will never hear of it
        TASK::handle(ES_STATE_ERROR, cut_with);
        return true;
    }

    ~TimedTask() override { this->limit_->unref(); }

private:
    void limit_reached() override {
        this->state = WFT_STATE_SYS_ERROR;
        this->error = ETIMEDOUT;
        this->subtask_done();
    }

    void unref() {
        if (--this->refs_ == 0)
            delete this;
    }

    TimeLimit *limit_;
    CommScheduler *scheduler_;
    std::atomic<int> refs_; // of the executor and of the series
};

} // namespace detail
} // namespace wf

#endif
