// Weft public header, room: task - handles: to reach a task or a series from anywhere, as long as it is there
// SPDX-License-Identifier: Apache-2.0
//
// A task owns itself and is gone when its callback has returned, a series likewise; a pointer to
// one is no way to reach it later. A handle is: it outlives what it stands for and then finds
// nothing. Handles may be copied, kept and used on any thread, at any moment. Usable from C++11.
//
// What is cut, by cancel() or by its deadline, ends with WFT_STATE_SYS_ERROR and ECANCELED or
// ETIMEDOUT:
// - requests, wherever they are (wf/cancel.h); timers; file tasks; counters, mailboxes, selectors
//   and repeaters; go and thread tasks that have not begun, and those with a time limit always;
// - a conditional, with the task that it holds back: that one is deleted;
// - a parallel, a graph, a module: all their series, each of which still has its callback; then
//   comes their own;
// - a series: the task that runs is cut, those that wait are deleted, and its callback is run, with
//   is_canceled() true. What its tasks have begun elsewhere, such as a series started in a
//   callback, is not a part of it.
// A computation that has begun, and a task class of the program's own that does not say how it can
// be cut (SubTask::cut_short), go on to their ends. The callback comes exactly once, on a worker
// or, of a task that was cut before its start, on the thread that starts it.
#ifndef WEFT_HANDLE_H
#define WEFT_HANDLE_H

#include <utility>

#include "../SubTask.h"

class SeriesWork;
class WFConditional;
class WFCounterTask;
class WFMailboxTask;
class WFModuleTask;

namespace wf {

namespace detail {
class CutPoint;
} // namespace detail

class Handle {
public:
    Handle() : point_(nullptr) {}
    Handle(const Handle &other);
    Handle(Handle &&other) noexcept : point_(other.point_) { other.point_ = nullptr; }
    Handle &operator=(Handle other) noexcept {
        std::swap(this->point_, other.point_);
        return *this;
    }
    ~Handle();

    // Whether it stands for nothing, or nothing any more.
    bool is_over() const;

    // For the library; takes the reference over.
    explicit Handle(detail::CutPoint *point) : point_(point) {}
    detail::CutPoint *get_point() const { return this->point_; }

private:
    detail::CutPoint *point_; // a counted reference
};

// The handle of a task: while the caller owns it, before it is started or pushed. Of a series:
// before its start, or in the callback of one of its tasks.
Handle get_handle(SubTask *task);
Handle get_handle(SeriesWork *series);
Handle get_handle(WFModuleTask *task);

// Cuts it with ECANCELED. 0: it will end so, unless something had cut it before. -1 with ENOENT: it
// has ended, or its end is on its way; EBUSY: it goes on to its own end. Before its start it is
// remembered.
int cancel(const Handle &handle);

// Cuts it with ETIMEDOUT in so many milliseconds from now, unless it has ended by then; -1: not any
// more. When: as for get_handle(). What runs in it inherits the limit: it may have earlier ones of
// its own, and no later one. A request tells by get_phase() where it was cut.
void set_deadline(SubTask *task, int ms);
void set_deadline(SeriesWork *series, int ms);
void set_deadline(WFModuleTask *task, int ms);

// The handle of a counter.
class CounterHandle : public Handle {
public:
    CounterHandle() {}
    explicit CounterHandle(detail::CutPoint *point) : Handle(point) {}
    // As WFCounterTask::count(). 1: that was the last, 0: there are more to come, -1 with ENOENT:
    // it has ended before.
    int count() const;
};

// The handle of a mailbox.
class MailboxHandle : public Handle {
public:
    MailboxHandle() {}
    explicit MailboxHandle(detail::CutPoint *point) : Handle(point) {}
    // As WFMailboxTask::send(). 0, or -1 with ENOENT: it has ended, or a message was sent before.
    int send(void *msg) const;
};

// The handle of a conditional.
class ConditionalHandle : public Handle {
public:
    ConditionalHandle() {}
    explicit ConditionalHandle(detail::CutPoint *point) : Handle(point) {}
    // As WFConditional::signal(). 0, or -1 with ENOENT: it has ended, or was signalled before.
    // tidy: allow signal - a name of the old interface, not the system's function
    int signal(void *msg) const;
};

CounterHandle get_handle(WFCounterTask *task);
MailboxHandle get_handle(WFMailboxTask *task);
ConditionalHandle get_handle(WFConditional *task);

} // namespace wf

#endif
