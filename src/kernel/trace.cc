// Weft - the trace hook
// SPDX-License-Identifier: Apache-2.0
#include "workflow/detail/trace_points.h"

#include "kernel/sys.h"
#include "workflow/SubTask.h"

namespace wf {

namespace detail {

constinit std::atomic<unsigned> trace_wanted{0};

namespace {

constinit std::atomic<TraceHook> hooks[TRACE_SINKS];
// Hook and bit change together, so that of two who set the same sink one wins whole.
struct weft_lock hooks_lock = {0};

} // namespace

TraceHook set_trace_sink(TraceSink sink, TraceHook hook) {
    unsigned bit = 1u << sink;
    sys_lock(&hooks_lock);
    TraceHook before = hooks[sink].exchange(hook);
    if (hook)
        trace_wanted |= bit;
    else
        trace_wanted &= ~bit;
    sys_unlock(&hooks_lock);
    return before;
}

void trace_event(const TraceEvent &event) {
    TraceEvent told = event;
    told.site = __builtin_return_address(0);
    for (const std::atomic<TraceHook> &hook : hooks) {
        // In order: the hook sees what its program prepared before it set it.
        if (TraceHook found = hook.load(std::memory_order_acquire))
            found(told);
    }
}

const SeriesWork *trace_origin() { return static_cast<const SeriesWork *>(*sys_trace_origin()); }

void trace_task(TraceKind kind, const SubTask *task, const char *text) {
    bool alone = kind == TraceKind::TASK_CREATED || kind == TraceKind::TASK_GONE;
    TraceEvent event = {};
    event.kind = kind;
    event.task = task;
    event.series = alone ? nullptr : static_cast<const SeriesWork *>(task->get_pointer());
    event.text = text;
    event.origin = kind == TraceKind::TASK_CREATED ? trace_origin() : nullptr;
    trace_event(event);
}

void TraceInside::enter(const SubTask *task) {
    this->before_ = *sys_trace_origin();
    *sys_trace_origin() = task->get_pointer();
}

void TraceInside::leave() { *sys_trace_origin() = this->before_; }

} // namespace detail

TraceHook set_trace_hook(TraceHook hook) {
    return detail::set_trace_sink(detail::TRACE_PROGRAM, hook);
}

void name_task(const SubTask *task, const char *name) {
    if (detail::is_traced() && task)
        detail::trace_task(TraceKind::TASK_NAMED, task, name ? name : "");
}

void name_series(const SeriesWork *series, const char *name) {
    if (!detail::is_traced() || !series)
        return;
    TraceEvent event = {};
    event.kind = TraceKind::SERIES_NAMED;
    event.series = series;
    event.text = name ? name : "";
    detail::trace_event(event);
}

} // namespace wf
