// Weft public header, room: kernel - the trace hook: what becomes of each task and series
// SPDX-License-Identifier: Apache-2.0
//
// Usable from C++11. Without a hook it costs a relaxed load at each of these points. Timelines
// (wf/timeline.h) and the watch over series (wf/pending.h) are made of the same events.
#ifndef WEFT_TRACE_H
#define WEFT_TRACE_H

class ParallelTask;
class SeriesWork;
class SubTask;

namespace wf {

// There may be more of them one day: a hook leaves alone what it does not know.
enum class TraceKind {
    TASK_START,     // about to be dispatched, on this thread
    TASK_END,       // its callback has returned and it is gone
    TASK_CREATED,   // its constructor begins: there is an address, and no more
    TASK_GONE,      // its destructor ends; before TASK_END, or without, if it was never started
    TASK_PHASE,     // `text` is what it does from now on
    TASK_NAMED,     // by name_task(): `text`
    SERIES_CREATED, // by its constructor
    SERIES_START,   // before its first task's
    SERIES_END,     // its callback has returned
    SERIES_GONE,    // by its destructor; without a start and an end if it was dismissed
    SERIES_NAMED    // by name_series(): `text`
};

// Phases: of client tasks "resolving", "waiting" (for a connection), "connecting", "handshaking",
// "sending", "receiving", "complete"; of computations "running"; of a graph "nodes"; of every task
// "callback": its state is final, or it lets others of its series run and is started once more.

// One event. Of one series, starts and ends come in order, each start with its end, never two at a
// time.
struct TraceEvent {
    TraceKind kind;
    // Alive from its start to its callback, so its type can be asked for; else the address only
    // says which it was. NULL in events of series.
    const SubTask *task;
    // NULL where it is not known: in TASK_CREATED, TASK_GONE, and in TASK_NAMED before the task is
    // part of one. Alive, but made or destroyed in SERIES_CREATED and SERIES_GONE.
    const SeriesWork *series;
    // In starts, ends and events of series: the parallel that the series is part of, or NULL. With
    // the phase "nodes" of a graph: the parallel that its nodes are part of.
    const ParallelTask *parallel;
    // Valid during the call. NULL but where it is said.
    const char *text;
    // In TASK_CREATED and SERIES_CREATED: the series that this thread is working for, in a callback
    // or in the function of a server or a computation; NULL when it is for none.
    const SeriesWork *origin;
    // The address in the engine from which it is told. In a backtrace, whatever stands before it is
    // the way to the hook.
    const void *site;
};

// Called on the thread where it happens, on many threads at a time, within the time of the tasks,
// some with locks of the engine held. It must not touch the series, start nothing, and block for
// nothing.
typedef void (*TraceHook)(const TraceEvent &event);

// Sets the hook of the process, NULL for none, and returns the one before. From any thread; those
// that are just calling the old hook may still do so for a moment. Tasks that run meanwhile may
// show an end without a start.
TraceHook set_trace_hook(TraceHook hook);

// What a task or series is called in timelines and reports; at any time while it is alive. Kept by
// nobody, and free, when nothing is traced.
void name_task(const SubTask *task, const char *name);
void name_series(const SeriesWork *series, const char *name);

} // namespace wf

#endif
