// Weft - where the trace hook is called from
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_TASK_TRACE_POINTS_H
#define WEFT_SRC_TASK_TRACE_POINTS_H

#include <atomic>

#include "workflow/Workflow.h"
#include "workflow/wf/trace.h"

namespace wf::detail {

extern constinit std::atomic<TraceHook> trace_hook;

void trace_call(TraceHook hook, TraceKind kind, const SubTask *task, const SeriesWork *series);

inline void trace(TraceKind kind, const SubTask *task, const SeriesWork *series) {
    // A plain function pointer: nothing it points to needs to be ordered with it.
    TraceHook hook = trace_hook.load(std::memory_order_relaxed);
    if (hook) [[unlikely]]
        trace_call(hook, kind, task, series);
}

} // namespace wf::detail

#endif
