// Weft - timers, counters, mailboxes and conditionals that can be reached by name
// SPDX-License-Identifier: Apache-2.0
//
// What the factory's create_..._task(), cancel_by_name(), count_by_name(), send_by_name() and
// signal_by_name() do. All functions may be called on any thread.
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
using MailboxCallback = std::function<void(WFMailboxTask *)>;

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

// The message of the i-th receiver. Called under a lock: it only looks it up.
using MessageAt = void *(*)(const void *messages, size_t i);

class NamedMailboxes {
public:
    static WFMailboxTask *create(const std::string &name, void **mailbox,
                                 MailboxCallback &&callback);
    static WFMailboxTask *create(const std::string &name, MailboxCallback &&callback);

    // Sends to at most `max` mailboxes of that name, oldest first, and returns to how many. Those
    // that are started end within this call.
    static int send(const std::string &name, const void *messages, MessageAt message_at,
                    size_t max);
};

class NamedConditionals {
public:
    static WFConditional *create(const std::string &name, SubTask *task, void **msgbuf);
    static WFConditional *create(const std::string &name, SubTask *task);

    // As NamedMailboxes::send().
    static int send(const std::string &name, const void *messages, MessageAt message_at,
                    size_t max);
};

} // namespace wf::detail

#endif
