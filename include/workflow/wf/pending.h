// Weft public header, room: trace - which series have not ended, where they were made, and what they wait for (C++20)
// SPDX-License-Identifier: Apache-2.0
//
// A series that never ends is a leak that nobody sees: a counter that lacks a count, a mailbox that
// nobody sends to, a reply that is waited for without a limit. With watch_series(), or the
// environment variable WEFT_WATCH_SERIES=1, each series is remembered from its constructor on, with
// the calls that led there. That costs some microseconds a series; without it, nothing.
#ifndef WEFT_PENDING_H
#define WEFT_PENDING_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace wf {

struct PendingSeries {
    uint64_t id = 0; // in the order of making
    std::string name;
    double age = 0; // seconds since it was made
    bool started = false;
    // What it waits for: its task, how far that is, and for how long; "its start" before that.
    std::string waits_for;
    // The calls that made it, the innermost first, a line each, as far as the system can name them
    // (programs that are linked with -rdynamic show more).
    std::string made_at;
};

// From now on, or no more. Series that were made before stay unknown. Any thread.
void watch_series(bool on = true);

// Those that were made since and are not gone, the oldest first. Any thread.
std::vector<PendingSeries> pending_series();
size_t count_pending_series();
// The same as text, of `most` series at most.
std::string describe_pending(size_t most = 100);

} // namespace wf

#endif
