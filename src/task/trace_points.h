// Weft - where the trace hook is called from
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_TASK_TRACE_POINTS_H
#define WEFT_SRC_TASK_TRACE_POINTS_H

#include <atomic>

#include "workflow/Workflow.h"
#include "workflow/wf/trace.h"

namespace wf::detail {

extern constinit std::atomic<TraceHook> trace_hook;

void trace_call(TraceKind kind, const SubTask *task, const SeriesWork *series);

inline void trace(TraceKind kind, const SubTask *task, const SeriesWork *series) {
    if (trace_hook.load(std::memory_order_relaxed)) [[unlikely]]
        trace_call(kind, task, series);
}

} // namespace wf::detail

#endif
