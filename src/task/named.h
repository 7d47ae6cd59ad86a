// Weft - timers and counters that can be reached by name
// SPDX-License-Identifier: Apache-2.0
//
// What the factory's create_timer_task(), cancel_by_name(), create_counter_task() and
// count_by_name() do. All functions may be called on any thread.
#ifndef WEFT_SRC_TASK_NAMED_H
#define WEFT_SRC_TASK_NAMED_H

#include <functional>
#include <stddef.h>
#include <string>
#include <time.h>

#include "workflow/WFTask.h"

namespace wf::detail {

using TimerCallback = std::function<void(WFTimerTask *)>;
using CounterCallback = std::function<void(WFCounterTask *)>;

// seconds < 0: until canceled; nanoseconds outside [0, 1e9): ends with EINVAL inside start().
WFTimerTask *make_timer(CommScheduler *scheduler, time_t seconds, long nanoseconds,
                        TimerCallback &&callback);
// Ends with ECANCELED right after its start, on a worker.
WFTimerTask *make_canceled_timer(CommScheduler *scheduler, TimerCallback &&callback);

class NamedTimers {
public:
    static WFTimerTask *create(CommScheduler *scheduler, const std::string &name, time_t seconds,
                               long nanoseconds, TimerCallback &&callback);

    // Cancels at most `max` timers of that name, oldest first, and returns how many. Each of these
    // ends with ECANCELED, even if its time has come already; one that was not started yet, right
    // after its start.
    static int cancel(const std::string &name, size_t max);
};

class NamedCounters {
public:
    static WFCounterTask *create(const std::string &name, unsigned target,
                                 CounterCallback &&callback);

    // Counts n times: the oldest counter of that name until it has reached its target, then the
    // next; what is left over is lost. Returns how many reached their target. Those that are
    // started end within this call.
    static int count(const std::string &name, unsigned n);
};

} // namespace wf::detail

#endif
