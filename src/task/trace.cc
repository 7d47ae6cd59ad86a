// Weft - the trace hook
// SPDX-License-Identifier: Apache-2.0
#include "task/trace_points.h"

namespace wf {

namespace detail {

constinit std::atomic<TraceHook> trace_hook{nullptr};

void trace_call(TraceHook hook, TraceKind kind, const SubTask *task, const SeriesWork *series) {
    TraceEvent event;
    event.kind = kind;
    event.task = task;
    event.series = series;
    event.parallel = series->get_in_parallel();
    hook(event);
}

} // namespace detail

TraceHook set_trace_hook(TraceHook hook) { return detail::trace_hook.exchange(hook); }

} // namespace wf
