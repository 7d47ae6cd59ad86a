// Weft public header, room: coro - coroutines: Task<T>, and how they are started, joined and limited (C++20)
// SPDX-License-Identifier: Apache-2.0
//
// A Task<T> is a coroutine that has not begun: lazy, moved, owned by whoever holds it. It begins
// when it is awaited, and then runs on whatever thread its awaited things end on: like a callback,
// with one difference, that it may be suspended. A coroutine that awaits another costs the stack of
// a call, and only as long as neither is suspended; loops cost none.
//
// Structured: a coroutine ends after all that it has awaited, all() and any() after all their
// parts, and with_timeout() after the coroutine in it. What must not be waited for is given to
// spawn().
//
// Each coroutine runs in a scope, that of its awaiter. A scope is cut by its limit (with_timeout,
// with_deadline: ETIMEDOUT), by any() when one part has ended, or by wf::cancel() on the handle
// that spawn() returns (ECANCELED). Then what is being awaited in it ends with that error, what is
// awaited later ends at once, and the stop token is told. The coroutine itself decides what
// follows.
//
// The two hazards of coroutines:
// - Captures of a lambda live in the lambda, not in the coroutine: `[x]() -> Task<void> {...}()`
//   reads freed memory after its first await. Give the lambda itself to spawn(), run() or
//   coroutine_handler(): they keep it until the coroutine has ended.
// - A parameter that is a reference refers to what may be gone after the first await. Arguments of
//   spawn(f, args...) and run(f, args...) are copied or moved into the coroutine; take them by
//   value.
// And two of g++ 12:
// - It awaits what stands in either arm of `?:`, whatever the condition: write `if`.
// - In an expression with co_await it destroys twice what is made there from its members: a lambda
//   with captures that have destructors (`co_await compute("q", [text] {...})`), a struct without
//   constructors (`co_await f({text})`). Give it a name first, and move that. Captures by reference
//   and of plain values are safe.
#ifndef WEFT_CORO_H
#define WEFT_CORO_H

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <mutex>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if defined(__cpp_exceptions)
#include <exception>
#endif

#include "../detail/coro_scope.h"
#include "../detail/task_support.h"
#include "handle.h"
#include "result.h"

namespace wf {

template <class T>
class Task;

namespace detail {

[[noreturn]] void unhandled_in_coroutine();

template <class T>
struct AwaiterOf;

// An awaitable as it stands: it lives until the coroutine goes on. (g++ 12 would copy what
// await_transform() returns by reference.)
template <class A>
struct Passed {
    A *awaited;
    bool await_ready() { return awaited->await_ready(); }
    template <class P>
    auto await_suspend(std::coroutine_handle<P> handle) {
        return awaited->await_suspend(handle);
    }
    decltype(auto) await_resume() { return awaited->await_resume(); }
};

// What all promises of coroutines have.
struct CoroPromise {
    CoroScope *scope = nullptr;
    std::coroutine_handle<> continuation;
    // The awaiter, which has returned from starting it, and its end: whoever is second goes on with
    // the continuation. So what ends without being suspended is a call that returns, and a loop
    // over such calls costs no stack, with any compiler and optimization.
    std::atomic<int> arrivals{0};
#if defined(__cpp_exceptions)
    std::exception_ptr exception;
    void unhandled_exception() { exception = std::current_exception(); }
    void rethrow() const {
        if (exception)
            std::rethrow_exception(exception);
    }
#else
    void unhandled_exception() { unhandled_in_coroutine(); }
    void rethrow() const {}
#endif

    struct Final {
        bool await_ready() const noexcept { return false; }
        template <class P>
        void await_suspend(std::coroutine_handle<P> ended) const noexcept {
            // Behind the exchange the frame is the awaiter's, unless this is the second to come.
            std::coroutine_handle<> next = ended.promise().continuation;
            if (ended.promise().arrivals.exchange(1) == 1)
                next.resume();
        }
        void await_resume() const noexcept {}
    };
    // Pointers to tasks are awaited by what wf/coro_task.h says of them.
    template <class T>
    auto await_transform(T *task) {
        return AwaiterOf<T>::make(task);
    }
    template <class T>
    auto await_transform(Task<T> &&task) {
        return std::move(task).in(nullptr);
    }
    template <class A>
    requires(!std::is_pointer_v<std::remove_cvref_t<A>>)
        Passed<std::remove_reference_t<A>> await_transform(A &&awaited) {
        return {&awaited};
    }

    std::suspend_always initial_suspend() const noexcept { return {}; }
    Final final_suspend() const noexcept { return {}; }
};

template <class T>
struct Promise : CoroPromise {
    std::optional<T> value;
    Task<T> get_return_object();
    template <class U>
    void return_value(U &&result) {
        value.emplace(std::forward<U>(result));
    }
    T take() {
        this->rethrow();
        // Set by return_value(). NOLINTNEXTLINE(bugprone-unchecked-optional-access)
        return std::move(*value);
    }
};

template <>
struct Promise<void> : CoroPromise {
    Task<void> get_return_object();
    void return_void() {}
    void take() { this->rethrow(); }
};

// How a coroutine asks for its scope: `co_await CurrentScope{}` does not suspend.
struct CurrentScope {
    CoroScope *scope = nullptr;
    bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> handle) noexcept {
        scope = handle.promise().scope;
        return false;
    }
    CoroScope *await_resume() const noexcept { return scope; }
};

} // namespace detail

template <class T>
class [[nodiscard]] Task {
    static_assert(!std::is_reference_v<T>, "a coroutine returns values; return a pointer instead");

public:
    using promise_type = detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    Task() = default;
    explicit Task(Handle handle) : handle_(handle) {}
    Task(Task &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Task &operator=(Task &&other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Task() {
        if (handle_)
            handle_.destroy();
    }

    // Runs it to its end, in the scope of the awaiter or another.
    struct Awaiter {
        Awaiter(Task &&task_in, detail::CoroScope *scope_in)
            : task(std::move(task_in)), scope(scope_in) {}

        Task task;
        detail::CoroScope *scope;
        bool await_ready() const noexcept { return false; }
        template <class P>
        bool await_suspend(std::coroutine_handle<P> waiter) noexcept {
            promise_type &promise = task.handle_.promise();
            promise.continuation = waiter;
            promise.scope = scope ? scope : waiter.promise().scope;
            task.handle_.resume();
            return promise.arrivals.exchange(1) == 0;
        }
        T await_resume() { return task.handle_.promise().take(); }
    };
    Awaiter operator co_await() && { return std::move(*this).in(nullptr); }
    Awaiter in(detail::CoroScope *scope) && {
        if (!handle_) [[unlikely]]
            detail::misuse("co_await of a wf::Task that is empty: it was moved or awaited before");
        return Awaiter(std::move(*this), scope);
    }

private:
    Handle handle_;
};

template <class T>
Task<T> detail::Promise<T>::get_return_object() {
    return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}

inline Task<void> detail::Promise<void>::get_return_object() {
    return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

namespace detail {

// void as a value, where values are kept.
template <class T>
using Kept = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

// A coroutine that nobody awaits and that frees itself; begins at once.
struct Detached {
    struct promise_type {
        CoroScope *scope;
        template <class... ARGS>
        explicit promise_type(CoroScope &scope_in, ARGS &&...) : scope(&scope_in) {}
        Detached get_return_object() const { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const {}
        void unhandled_exception() const { unhandled_in_coroutine(); }
    };
};

// What came of a coroutine: a value or an exception, to be told later.
template <class T>
struct Outcome {
    std::optional<Kept<T>> value;
#if defined(__cpp_exceptions)
    std::exception_ptr exception;
#endif
    T take() {
#if defined(__cpp_exceptions)
        if (exception)
            std::rethrow_exception(exception);
#endif
        if constexpr (!std::is_void_v<T>) // NOLINTNEXTLINE(bugprone-unchecked-optional-access)
            return std::move(*value);
    }
};

template <class T>
Task<void> keep(Task<T> task, Outcome<T> *outcome) {
#if defined(__cpp_exceptions)
    try {
#endif
        if constexpr (std::is_void_v<T>) {
            co_await std::move(task);
            outcome->value.emplace();
        } else {
            outcome->value.emplace(co_await std::move(task));
        }
#if defined(__cpp_exceptions)
    } catch (...) {
        outcome->exception = std::current_exception();
    }
#endif
}

// Runs parts beside each other; the awaiting coroutine goes on when the last has ended.
class Join {
public:
    explicit Join(size_t parts) : left_(parts + 1) {}
    void begin(std::coroutine_handle<> waiter) { waiter_ = waiter; }
    // True for the last, who then resumes waiter().
    bool arrive() { return left_.fetch_sub(1) == 1; }
    std::coroutine_handle<> waiter() const { return waiter_; }

private:
    std::atomic<size_t> left_; // the parts, and whoever starts them
    std::coroutine_handle<> waiter_;
};

template <class T, class THEN>
Detached run_part(CoroScope &, Task<T> part, Outcome<T> *outcome, Join *join, THEN then) {
    co_await keep(std::move(part), outcome);
    then();
    if (join->arrive())
        join->waiter().resume();
}

// Awaits what START begins: start(scope, join).
template <class START>
struct JoinAwaiter {
    JoinAwaiter(Join *join_in, START start_in) : join(join_in), start(std::move(start_in)) {}

    Join *join;
    START start;
    bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> waiter) {
        join->begin(waiter);
        start(waiter.promise().scope);
        return !join->arrive();
    }
    void await_resume() const noexcept {}
};
int to_ms(std::chrono::nanoseconds time);

// A wait of a thread for a coroutine, which gives its work to others meanwhile.
class ThreadWait {
public:
    void set();
    void wait();

private:
    std::mutex mutex_;
    std::condition_variable condition_;
    bool done_ = false;
};

template <class T>
Detached run_root(CoroScope &, Task<T> task, Outcome<T> *outcome, ThreadWait *wait) {
    co_await keep(std::move(task), outcome);
    wait->set();
}

// Opens the scope of a root and keeps it as long as that runs.
struct RootScope {
    CoroScope scope{static_cast<CoroScope *>(nullptr)};
};

Detached run_detached(CoroScope &scope, RootScope *root, Task<void> task);

template <class F, class... ARGS>
Task<void> call_kept(F function, ARGS... args) {
    co_await function(std::move(args)...);
}

template <class T>
struct IsTask : std::false_type {};
template <class T>
struct IsTask<Task<T>> : std::true_type {
    using Value = T;
};

template <class F, class... ARGS>
concept CoroutineFunction = IsTask<std::invoke_result_t<F, ARGS...>>::value;

template <class T, class F, class... ARGS>
Task<T> call_kept_for(F function, ARGS... args) {
    co_return co_await function(std::move(args)...);
}

} // namespace detail

// Runs a coroutine to its end and returns what it returns; the calling thread waits, and if it is
// one of the engine's, others do its work meanwhile.
template <class T>
T run(Task<T> task) {
    detail::RootScope root;
    detail::Outcome<T> outcome;
    detail::ThreadWait wait;
    detail::run_root(root.scope, std::move(task), &outcome, &wait);
    wait.wait();
    return outcome.take();
}
template <class F, class... ARGS>
requires detail::CoroutineFunction<F, ARGS...>
auto run(F function, ARGS... args) {
    using T = typename detail::IsTask<std::invoke_result_t<F, ARGS...>>::Value;
    return run(detail::call_kept_for<T>(std::move(function), std::move(args)...));
}

// Starts a coroutine that nobody waits for; it runs on this thread until it is suspended first. An
// exception that leaves it ends the process with a message. The handle cancels it, and all that it
// awaits. At exit it is not waited for.
Handle spawn(Task<void> task);
template <class F, class... ARGS>
requires detail::CoroutineFunction<F, ARGS...> Handle spawn(F function, ARGS... args) {
    return spawn(detail::call_kept(std::move(function), std::move(args)...));
}

// Runs all of them beside each other, begun in order on this thread, and returns what they return,
// when the last has ended. Of exceptions the first in order is thrown then.
template <class... T>
Task<std::tuple<detail::Kept<T>...>> all(Task<T>... tasks) {
    std::tuple<detail::Outcome<T>...> outcomes;
    std::tuple<Task<T>...> parts(std::move(tasks)...);
    detail::Join join(sizeof...(T));
    detail::JoinAwaiter joined(&join, [&](detail::CoroScope *scope) {
        [&]<size_t... I>(std::index_sequence<I...>) {
            (detail::run_part(*scope, std::move(std::get<I>(parts)), &std::get<I>(outcomes), &join,
                              [] {}),
             ...);
        }
        (std::index_sequence_for<T...>());
    });
    co_await joined;
    co_return [&]<size_t... I>(std::index_sequence<I...>) {
        // In braces, so that they are taken in order.
        return std::tuple<detail::Kept<T>...>{[&] {
            if constexpr (std::is_void_v<T>) {
                std::get<I>(outcomes).take();
                return std::monostate();
            } else {
                return std::get<I>(outcomes).take();
            }
        }()...};
    }
    (std::index_sequence_for<T...>());
}

template <class T>
Task<std::vector<detail::Kept<T>>> all(std::vector<Task<T>> tasks) {
    std::vector<detail::Outcome<T>> outcomes(tasks.size());
    detail::Join join(tasks.size());
    detail::JoinAwaiter joined(&join, [&](detail::CoroScope *scope) {
        for (size_t i = 0; i < tasks.size(); i++)
            detail::run_part(*scope, std::move(tasks[i]), &outcomes[i], &join, [] {});
    });
    co_await joined;
    std::vector<detail::Kept<T>> values;
    values.reserve(outcomes.size());
    for (detail::Outcome<T> &outcome : outcomes) {
        if constexpr (std::is_void_v<T>) {
            outcome.take();
            values.emplace_back();
        } else {
            values.push_back(outcome.take());
        }
    }
    co_return values;
}

// Which part of any() ended first, and what it returned.
template <class T>
struct First {
    size_t index;
    T value;
};

namespace detail {

// What a race has left over goes back to where it was taken from, if it can: its type has
// give_back(), as messages of conversations have (wf/coro_channel.h).
template <class T>
void give_back(First<T> &first);
template <class... T>
void give_back(std::variant<T...> &values);
template <class T>
void give_back(T &value) {
    if constexpr (requires { value.give_back(); })
        value.give_back();
}
template <class T>
void give_back(First<T> &first) {
    give_back(first.value);
}
template <class... T>
void give_back(std::variant<T...> &values) {
    std::visit([](auto &value) { give_back(value); }, values);
}

// The winner of an any().
class Race {
public:
    explicit Race(CoroScope *scope) : scope_(scope) {}
    void ended(size_t index) {
        size_t none = NOBODY;
        if (first_.compare_exchange_strong(none, index))
            (void)scope_->cut(ECANCELED);
    }
    size_t first() const { return first_; }

private:
    static constexpr size_t NOBODY = static_cast<size_t>(-1);
    std::atomic<size_t> first_{NOBODY};
    CoroScope *scope_;
};

} // namespace detail

// Runs all of them beside each other until the first has ended; the others are cancelled then, and
// waited for. What they return, or throw, is lost, but for messages of conversations, which go back
// to the next who asks. At least one.
template <class T>
Task<First<detail::Kept<T>>> any(std::vector<Task<T>> tasks) {
    if (tasks.empty()) [[unlikely]]
        detail::misuse("wf::any() of nothing: it would never end");
    detail::CoroScope within(co_await detail::CurrentScope{});
    std::vector<detail::Outcome<T>> outcomes(tasks.size());
    detail::Join join(tasks.size());
    detail::Race race(&within);
    detail::JoinAwaiter joined(&join, [&](detail::CoroScope *) {
        for (size_t i = 0; i < tasks.size(); i++)
            detail::run_part(within, std::move(tasks[i]), &outcomes[i], &join,
                             [&race, i] { race.ended(i); });
    });
    co_await joined;
    for (size_t i = 0; i < outcomes.size(); i++) {
        std::optional<detail::Kept<T>> &left = outcomes[i].value;
        if (i != race.first() && left)
            detail::give_back(*left);
    }
    detail::Outcome<T> &first = outcomes[race.first()];
    if constexpr (std::is_void_v<T>) {
        first.take();
        co_return First<std::monostate>{race.first(), {}};
    } else {
        co_return First<T>{race.first(), first.take()};
    }
}

template <class... T>
requires(sizeof...(T) > 0) Task<std::variant<detail::Kept<T>...>> any(Task<T>... tasks) {
    detail::CoroScope within(co_await detail::CurrentScope{});
    std::tuple<detail::Outcome<T>...> outcomes;
    std::tuple<Task<T>...> parts(std::move(tasks)...);
    detail::Join join(sizeof...(T));
    detail::Race race(&within);
    detail::JoinAwaiter joined(&join, [&](detail::CoroScope *) {
        [&]<size_t... I>(std::index_sequence<I...>) {
            (detail::run_part(within, std::move(std::get<I>(parts)), &std::get<I>(outcomes), &join,
                              [&race] { race.ended(I); }),
             ...);
        }
        (std::index_sequence_for<T...>());
    });
    co_await joined;
    using Value = std::variant<detail::Kept<T>...>;
    std::optional<Value> value;
    [&]<size_t... I>(std::index_sequence<I...>) {
        auto take = [&]<size_t AT, class U>(detail::Outcome<U> &outcome) {
            if constexpr (std::is_void_v<U>) {
                outcome.take();
                value.emplace(std::in_place_index<AT>);
            } else {
                value.emplace(std::in_place_index<AT>, outcome.take());
            }
        };
        ((race.first() != I && std::get<I>(outcomes).value
              ? detail::give_back(*std::get<I>(outcomes).value)
              : void()),
         ...);
        ((race.first() == I ? take.template operator()<I>(std::get<I>(outcomes)) : void()), ...);
    }
    (std::index_sequence_for<T...>());
    // One of them was first. NOLINTNEXTLINE(bugprone-unchecked-optional-access)
    co_return std::move(*value);
}

// Runs a coroutine in a scope that is cut with ETIMEDOUT when the time is over. It ends when the
// coroutine has ended, and returns what that returns.
template <class T>
Task<T> with_timeout(std::chrono::nanoseconds time, Task<T> task) {
    detail::CoroScope within(co_await detail::CurrentScope{}, detail::to_ms(time));
    co_return co_await std::move(task).in(&within);
}
template <class T>
Task<T> with_deadline(std::chrono::steady_clock::time_point end, Task<T> task) {
    return with_timeout(end - std::chrono::steady_clock::now(), std::move(task));
}

// Of the coroutine that awaits it: what its scope was cut with (ECANCELED, ETIMEDOUT), or 0. Does
// not suspend.
struct CutError : private detail::CurrentScope {
    using CurrentScope::await_ready;
    using CurrentScope::await_suspend;
    int await_resume() const noexcept { return scope->error(); }
};
inline CutError cut_error() { return {}; }

// Of the coroutine that awaits it: a token that is told to stop when its scope is cut. Does not
// suspend.
struct StopToken : private detail::CurrentScope {
    using CurrentScope::await_ready;
    using CurrentScope::await_suspend;
    std::stop_token await_resume() const { return scope->token(); }
};
inline StopToken stop_token() { return {}; }

} // namespace wf

#endif
