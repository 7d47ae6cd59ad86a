// Weft public header, room: task - the trace hook: when each task of a series starts and ends
// SPDX-License-Identifier: Apache-2.0
//
// Usable from C++11. Without a hook it costs a relaxed load per task.
#ifndef WEFT_TRACE_H
#define WEFT_TRACE_H

class ParallelTask;
class SeriesWork;
class SubTask;

namespace wf {

enum class TraceKind {
    TASK_START, // about to be dispatched, on this thread
    TASK_END    // its callback has returned and it is gone
};

// One event. Of one series events come in order, each start with its end, never two at a time.
struct TraceEvent {
    TraceKind kind;
    // At its start the task is alive, so its type can be asked for. At its end the address only
    // says which it was.
    const SubTask *task;
    // Alive in both.
    const SeriesWork *series;
    // The parallel that the series is part of, or NULL.
    const ParallelTask *parallel;
};

// Called on the thread where it happens, on many threads at a time, and within the time of the
// tasks. It must not touch the series, start nothing, and block for nothing.
typedef void (*TraceHook)(const TraceEvent &event);

// Sets the hook of the process, NULL for none, and returns the one before. From any thread; those
// that are just calling the old hook may still do so for a moment. Tasks that run meanwhile may
// show an end without a start.
TraceHook set_trace_hook(TraceHook hook);

} // namespace wf

#endif
