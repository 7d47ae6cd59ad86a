// Weft - what a recorder of timelines notes
// SPDX-License-Identifier: Apache-2.0
//
// Events go to one of some shards, by thread, each with a lock that only readers contend for; a
// number common to all puts them in order, so what happened before something else on another thread
// stands before it. The shards live as long as the process: a hook that was just being called when
// a recording ended finds them, and that it has ended.
#ifndef WEFT_SRC_TRACE_RECORDER_H
#define WEFT_SRC_TRACE_RECORDER_H

#include <stdint.h>

#include <string>
#include <vector>

#include "workflow/wf/timeline.h"
#include "workflow/wf/trace.h"

namespace wf::detail {

// The addresses are identities only.
struct TraceRecord {
    uint64_t number;
    int64_t time; // nanoseconds, monotonic clock
    uint64_t thread;
    TraceKind kind;
    const SubTask *task;
    const SeriesWork *series;
    const ParallelTask *parallel;
    const SeriesWork *origin;
    const char *word; // the phase, or the name of the type as the compiler has it; kept for ever
    std::string text; // a name, or what the task says of itself
};

// In the order of numbers.
Timeline build_timeline(const std::vector<TraceRecord> &records, int64_t begin, int64_t end);

// "HttpClient" for a class HttpClientTask or WFHttpClientTask in whatever namespace, without what
// stands in <>.
std::string type_name(const char *mangled);
// What the task says of itself (SubTask::describe).
std::string description(const SubTask *task);
const char *mangled_type(const SubTask *task);

} // namespace wf::detail

#endif
