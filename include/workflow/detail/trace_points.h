// Weft public header, room: kernel - where the trace hook (wf/trace.h) is called from
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_DETAIL_TRACE_POINTS_H
#define WEFT_DETAIL_TRACE_POINTS_H

#include <atomic>
#include <stddef.h>

#include "../wf/trace.h"

namespace wf {
namespace detail {

// Who sees the events: a bit each in trace_wanted, and a hook.
enum TraceSink {
    TRACE_PROGRAM,  // set_trace_hook()
    TRACE_TIMELINE, // wf/timeline.h
    TRACE_PENDING,  // wf/pending.h
    TRACE_SINKS
};

extern std::atomic<unsigned> trace_wanted;

inline bool is_traced() { return trace_wanted.load(std::memory_order_relaxed) != 0; }

// Returns the hook that was there before. NULL for none.
TraceHook set_trace_sink(TraceSink sink, TraceHook hook);
void trace_event(const TraceEvent &event);
// The series that this thread works for, or NULL.
const SeriesWork *trace_origin();

// Of a task alone; the others say more.
void trace_task(TraceKind kind, const SubTask *task, const char *text);

// Around program code that a task runs before its end: what that starts has the task's series as
// its origin.
class TraceInside {
public:
    explicit TraceInside(const SubTask *task) : before_(NULL), inside_(is_traced()) {
        if (this->inside_)
            this->enter(task);
    }
    ~TraceInside() {
        if (this->inside_)
            this->leave();
    }
    TraceInside(const TraceInside &) = delete;
    TraceInside &operator=(const TraceInside &) = delete;

private:
    void enter(const SubTask *task);
    void leave();

    const void *before_;
    const bool inside_;
};

} // namespace detail
} // namespace wf

#endif
