// Weft public header, room: engine - waiting for the last task, and a report of what is left (C++20)
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SHUTDOWN_H
#define WEFT_SHUTDOWN_H

#include <chrono>
#include <cstddef>
#include <string>

#include "pending.h"

namespace wf {

struct ShutdownReport {
    bool complete = false; // nothing was left
    double seconds = 0;    // that it took
    size_t tasks = 0;      // that were left, made or under way
    // That were left, the oldest first; empty unless series are watched (wf/pending.h).
    std::vector<PendingSeries> series;
    // In words: the tasks by kind, and of each series where it was made and what it waits for.
    // Empty when complete.
    std::string text;
};

// Waits until no task of the process is left, for `limit` at most. What is left then is reported,
// logged, and goes the way of all that has not ended when the process does
// (docs/about-shutdown.md). It stops nothing: servers are stopped before. On a thread that runs
// neither a callback nor a computation: from inside one it would wait for that, so it aborts with a
// message.
ShutdownReport shutdown(std::chrono::milliseconds limit);

} // namespace wf

#endif
