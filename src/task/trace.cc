// Weft - the trace hook
// SPDX-License-Identifier: Apache-2.0
#include "task/trace_points.h"

namespace wf {

namespace detail {

constinit std::atomic<TraceHook> trace_hook{nullptr};

void trace_call(TraceKind kind, const SubTask *task, const SeriesWork *series) {
    // Read once more, in order: the hook sees what its program prepared before it set it.
    TraceHook hook = trace_hook.load(std::memory_order_acquire);
    if (!hook)
        return;
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
