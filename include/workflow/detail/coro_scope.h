// Weft public header, room: coro - CoroScope: what a coroutine runs in, and how it is told to end
// SPDX-License-Identifier: Apache-2.0
//
// Programs do not include it. A scope is a group of things that are cut together: the tasks that
// its coroutines await, and the scopes within. It belongs to whoever opened it (a root, a
// with_timeout, an any), who ends it when all coroutines in it have ended; so these hold plain
// pointers.
#ifndef WEFT_DETAIL_CORO_SCOPE_H
#define WEFT_DETAIL_CORO_SCOPE_H

#include <coroutine>
#include <mutex>
#include <stop_token>

class SeriesWork;

namespace wf {
class Handle;

namespace detail {

class CutGroup;
class CutPoint;
class StopPoint;

class CoroScope {
public:
    // Within another scope, or a root. ms: when it is cut with ETIMEDOUT; -1: not.
    explicit CoroScope(CoroScope *parent, int ms = -1);
    // Within what a task is cut with.
    explicit CoroScope(CutGroup *group);
    ~CoroScope();
    CoroScope(const CoroScope &) = delete;
    CoroScope &operator=(const CoroScope &) = delete;

    int cut(int error);
    // What it was cut with, or 0.
    int error() const;
    // Requests a stop when the scope is cut. Any thread.
    std::stop_token token();
    Handle handle() const;
    // Starts a series whose tasks are cut with the scope.
    void start(SeriesWork *series);
    void join(CutPoint *point);

private:
    CutGroup *group_; // counted
    bool own_;
    std::mutex mutex_;
    StopPoint *stop_; // owned; made when first asked for
};

// Resumes on a worker; without an engine on this stack.
void resume_later(std::coroutine_handle<> handle);

// Something that a coroutine waits for beside tasks. Lives in the coroutine's frame. It ends by
// wake(), or by a cut of its scope, whichever comes first, and then the coroutine goes on: on a
// worker, or at once if that is inside await_suspend() still.
class CoroWait {
public:
    CoroWait() : point_(nullptr), handle_(), error_(0) {}
    CoroWait(const CoroWait &) = delete;
    CoroWait &operator=(const CoroWait &) = delete;

    // In await_suspend(), before anybody else can find it.
    void begin(std::coroutine_handle<> handle, CoroScope *scope);
    // When it stands where whoever wakes it looks: whether the coroutine stays suspended.
    bool stay();
    // It got what it waited for; once, and by nobody when cut() was told.
    void wake() { this->end(0); }
    // 0, or what it was cut with.
    int error() const { return error_; }

protected:
    ~CoroWait();
    // The scope was cut: take it out of wherever it waits. True when it was there still; then
    // nobody wakes it. Any thread; calls no code of the program.
    virtual bool take_back() = 0;

private:
    void end(int error);
    class Point;

    Point *point_;
    std::coroutine_handle<> handle_;
    int error_;
    int arrivals_ = 0; // atomic: stay() and the end; the second goes on
};

} // namespace detail
} // namespace wf

#endif
