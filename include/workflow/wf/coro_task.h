// Weft public header, room: coro - co_await of tasks, series and requests; coroutines as tasks and as handlers (C++20)
// SPDX-License-Identifier: Apache-2.0
//
// `co_await task` starts a task of the factory in the scope of the coroutine, and gives what came
// of it as a value; the task itself is gone then. Its callback is the library's meanwhile. The
// coroutine goes on where the callback of that task would have run: on a worker, or on a compute
// thread after a computation.
//
// | awaited                          | gives                                                     |
// |----------------------------------|-----------------------------------------------------------|
// | WFNetworkTask<REQ, RESP> *       | NetworkResult<RESP>                                       |
// | WFThreadTask<INPUT, OUTPUT> *    | Result<OUTPUT>                                            |
// | WFFileTask<ARGS> *               | Result<long>: how many bytes                              |
// | WFMailboxTask *, WFSelectorTask *| Result<void *>: the message                               |
// | other tasks with a state         | Status                                                    |
// | WFModuleTask *, ParallelWork *, SeriesWork * | Status: success, or what it was cancelled with |
//
// A NULL pointer gives EINVAL.
#ifndef WEFT_CORO_TASK_H
#define WEFT_CORO_TASK_H

#include <chrono>
#include <string>
#include <type_traits>

#include "../WFTaskFactory.h"
#include "coro.h"

namespace wf {

// The result of a request: its response, and where it was when it failed.
template <class RESP>
struct [[nodiscard]] NetworkResult : Result<RESP> {
    CommPhase phase = CSP_IDLE;
    int timeout_reason = TOR_NOT_TIMEOUT;
};
using HttpResult = NetworkResult<protocol::HttpResponse>;

// What is kept of a task that was awaited. For task classes of one's own: specialize it.
template <class TASK>
struct Awaited {
    using Value = Status;
    static Value take(TASK *task) { return {task->get_state(), task->get_error()}; }
};

template <class REQ, class RESP>
struct Awaited<WFNetworkTask<REQ, RESP>> {
    using Value = NetworkResult<RESP>;
    static Value take(WFNetworkTask<REQ, RESP> *task) {
        Value result;
        result.state = task->get_state();
        result.error = task->get_error();
        result.phase = task->get_phase();
        result.timeout_reason = task->get_timeout_reason();
        if (result.ok())
            result.value = std::move(*task->get_resp());
        return result;
    }
};

template <class INPUT, class OUTPUT>
struct Awaited<WFThreadTask<INPUT, OUTPUT>> {
    using Value = Result<OUTPUT>;
    static Value take(WFThreadTask<INPUT, OUTPUT> *task) {
        return {{task->get_state(), task->get_error()}, std::move(*task->get_output())};
    }
};

template <class ARGS>
struct Awaited<WFFileTask<ARGS>> {
    using Value = Result<long>;
    static Value take(WFFileTask<ARGS> *task) {
        return {{task->get_state(), task->get_error()}, task->get_retval()};
    }
};

template <>
struct Awaited<WFMailboxTask> {
    using Value = Result<void *>;
    static Value take(WFMailboxTask *task) {
        void **mail = task->get_mailbox();
        return {{task->get_state(), task->get_error()}, mail ? *mail : nullptr};
    }
};

template <>
struct Awaited<WFSelectorTask> {
    using Value = Result<void *>;
    static Value take(WFSelectorTask *task) {
        return {{task->get_state(), task->get_error()}, task->get_message()};
    }
};

namespace detail {

// Waits for the end of something that is started by await_suspend(). The end may come before that
// has returned: whoever is second goes on.
class EndWait {
public:
    bool await_ready() const noexcept { return false; }

protected:
    // At the end; the coroutine may be running, or gone, when it returns.
    void ended() {
        if (arrivals_.exchange(1) == 1)
            waiter_.resume();
    }
    void begin(std::coroutine_handle<> waiter) { waiter_ = waiter; }
    // Behind the start: whether the coroutine is suspended.
    bool stay() { return arrivals_.exchange(1) == 0; }

private:
    std::atomic<int> arrivals_{0};
    std::coroutine_handle<> waiter_;
};

template <class TASK>
class TaskAwaiter : public EndWait {
public:
    explicit TaskAwaiter(TASK *task) : task_(task) {}
    TaskAwaiter(const TaskAwaiter &) = delete;
    TaskAwaiter &operator=(const TaskAwaiter &) = delete;

    template <class P>
    bool await_suspend(std::coroutine_handle<P> waiter) {
        if (!task_) {
            if constexpr (std::is_base_of_v<Status, typename Awaited<TASK>::Value>)
                static_cast<Status &>(value_) = Status::system(EINVAL);
            return false;
        }
        this->begin(waiter);
        task_->set_callback([this](TASK *task) {
            value_ = Awaited<TASK>::take(task);
            this->ended();
        });
        waiter.promise().scope->start(Workflow::create_series_work(task_, nullptr));
        return this->stay();
    }
    typename Awaited<TASK>::Value await_resume() { return std::move(value_); }

private:
    TASK *task_;
    typename Awaited<TASK>::Value value_{};
};

// Of a series: its own, or one around a parallel or a module.
class SeriesAwaiter : public EndWait {
public:
    explicit SeriesAwaiter(SeriesWork *series) : series_(series) {}
    SeriesAwaiter(const SeriesAwaiter &) = delete;
    SeriesAwaiter &operator=(const SeriesAwaiter &) = delete;

    template <class P>
    bool await_suspend(std::coroutine_handle<P> waiter) {
        if (!series_) {
            status_ = Status::system(EINVAL);
            return false;
        }
        this->begin(waiter);
        CoroScope *scope = waiter.promise().scope;
        series_->set_callback([this, scope](const SeriesWork *series) {
            int why = series->is_canceled() ? scope->error() : 0;
            if (series->is_canceled() && why == 0)
                why = ECANCELED;
            status_ = why ? Status::system(why) : Status::success();
            this->ended();
        });
        scope->start(series_);
        return this->stay();
    }
    Status await_resume() const { return status_; }

private:
    SeriesWork *series_;
    Status status_;
};

template <class TASK>
SeriesWork *series_around(TASK *made) {
    SubTask *task;
    if constexpr (std::is_same_v<TASK, WFModuleTask>)
        task = static_cast<ParallelTask *>(made); // it is a series too
    else
        task = made;
    return task ? Workflow::create_series_work(task, nullptr) : nullptr;
}

template <class TASK>
concept HasCallback = std::is_base_of_v<SubTask, TASK> && requires(TASK *task) {
    task->set_callback([](TASK *) {});
    task->get_state();
};

template <class T>
struct AwaiterOf {
    static_assert(std::is_base_of_v<SubTask, T> || std::is_same_v<T, SeriesWork>,
                  "only tasks and series are awaited by pointer");
    static auto make(T *awaited) {
        if constexpr (std::is_same_v<T, SeriesWork>)
            return SeriesAwaiter(awaited);
        else if constexpr (HasCallback<T>)
            return TaskAwaiter<T>(awaited);
        else
            return SeriesAwaiter(series_around(awaited));
    }
};

} // namespace detail

// The function to run, and how it ended. What it throws ends it with WFT_STATE_TASK_ERROR.
template <class F, class... ARGS>
Task<Result<detail::Kept<std::invoke_result_t<F, ARGS...>>>> compute(std::string queue, F function,
                                                                     ARGS... args);

// Waits. The status is an error when it was cut short.
template <class REP, class PERIOD>
Task<Status> sleep(std::chrono::duration<REP, PERIOD> time);

// A whole file. EFBIG when it is longer than `most`. Opening it may block for a moment.
Task<Result<std::string>> read_file(std::string path, size_t most = 64u << 20);

struct HttpOptions {
    HttpOptions() {} // no aggregate: see the last hazard in wf/coro.h
    int redirect_max = 5;
    int retry_max = 0;
    std::string method = "GET";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
};
// A request; see WFTaskFactory::create_http_task().
Task<HttpResult> http_request(std::string url, HttpOptions options = {});
Task<HttpResult> http_get(std::string url);

// A coroutine as a task: for series, parallels and graphs. It begins when the task does, is cut
// with it, and the task ends with it: with WFT_STATE_SUCCESS, or WFT_STATE_TASK_ERROR and
// WFT_ERR_TASK_EXCEPTION when an exception has left it.
class CoroutineTask : public WFGenericTask {
public:
    explicit CoroutineTask(Task<void> task) : task_(std::move(task)) {}
    void set_callback(std::function<void(CoroutineTask *)> cb) { callback_ = std::move(cb); }

protected:
    void dispatch() override;
    SubTask *done() override;
    ~CoroutineTask() override = default;

private:
    static detail::Detached run(detail::CoroScope &scope, CoroutineTask *self);

    Task<void> task_;
    std::optional<detail::CoroScope> scope_;
    std::function<void(CoroutineTask *)> callback_;
};
CoroutineTask *create_coroutine_task(Task<void> task);

// For servers: a process function that runs `handler`, a coroutine, for each request. The reply
// goes out when the coroutine has ended. When the peer goes before that, its scope is cut with
// ECANCELED: its stop token tells, and what it awaits ends. session->set_deadline() limits what it
// awaits. The handler is kept by the function that is returned, and may have captures.
template <class SESSION, class F>
std::function<void(SESSION *)> coroutine_handler(F handler) {
    return [handler = std::move(handler)](SESSION *session) mutable {
        // So that a deadline which the coroutine sets later reaches what it awaits then.
        detail::limit_session(series_of(session), -1);
        CoroutineTask *task = create_coroutine_task(handler(session));
        Handle handle = get_handle(task);
        session->on_peer_gone([handle] { (void)cancel(handle); });
        series_of(session)->push_back(task);
    };
}

template <class F, class... ARGS>
Task<Result<detail::Kept<std::invoke_result_t<F, ARGS...>>>> compute(std::string queue, F function,
                                                                     ARGS... args) {
    using R = std::invoke_result_t<F, ARGS...>;
    std::optional<detail::Kept<R>> value;
    WFGoTask *task = WFTaskFactory::create_go_task(queue, [&] {
        if constexpr (std::is_void_v<R>) {
            function(std::move(args)...);
            value.emplace();
        } else {
            value.emplace(function(std::move(args)...));
        }
    });
    Status status = co_await task;
    if (status.ok() && value)
        co_return Result<detail::Kept<R>>(status, std::move(*value));
    co_return Result<detail::Kept<R>>(status);
}

template <class REP, class PERIOD>
Task<Status> sleep(std::chrono::duration<REP, PERIOD> time) {
    auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
    if (ns < 0)
        ns = 0;
    WFTimerTask *task = WFTaskFactory::create_timer_task(ns / 1000000000, ns % 1000000000, nullptr);
    co_return co_await task;
}

} // namespace wf

#endif
