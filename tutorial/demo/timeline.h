// Weft - the demo: what one request did when, and its picture in text
// SPDX-License-Identifier: Apache-2.0
//
// A Timeline belongs to its request, shared by the callbacks of its tasks. begin(), end() and
// text() may be called from any thread.

#ifndef WEFT_DEMO_TIMELINE_H
#define WEFT_DEMO_TIMELINE_H

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

namespace demo {

class Timeline {
public:
    explicit Timeline(const std::string &title);

    // Both note the time and the thread. A step is a name that begins once and ends once.
    void begin(const std::string &step);
    void end(const std::string &step, const std::string &outcome);

    // Something that has no length: the moment of the answer.
    void mark(const std::string &step, const std::string &outcome);

    double ms() const;

    // One line for each step, in the order of their beginnings; steps above each other in the
    // same column ran at the same time. An open step is drawn as running still.
    std::string text() const;

private:
    using Clock = std::chrono::steady_clock;

    struct Step {
        std::string name;
        std::string outcome;
        std::string threads; // "w1", or "w1 w3" when it ended elsewhere.
        double begin_ms;
        double end_ms; // < 0 while it runs.
        bool moment;
    };

    double now_ms() const;
    static std::string bar(const Step &step, double last_ms, size_t width);

    const std::string title_;
    const Clock::time_point origin_;
    mutable std::mutex mutex_;
    std::vector<Step> steps_;
};

// A short name for the calling thread: w1, w2, ... for workers, c1, c2, ... for compute threads.
std::string thread_name();

} // namespace demo

#endif
