// Weft public header, room: trace - timelines: what the tasks of a program did, and when (C++20)
// SPDX-License-Identifier: Apache-2.0
//
//   wf::TimelineRecorder recorder;
//   recorder.start();
//   ... // requests are served
//   wf::Timeline timeline = recorder.get();
//   timeline.write_html("timeline.html", "my server");
//
// A recorder notes the events of wf/trace.h with their time: some hundred nanoseconds and about 150
// bytes for each, some ten of them a task. Nothing is noted and nothing is spent while none
// records. One records at a time. Functions may be called on any thread.
#ifndef WEFT_TIMELINE_H
#define WEFT_TIMELINE_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace wf {

// Times are nanoseconds since the recording began; -1 what was not seen.

struct TimelinePhase {
    // As wf/trace.h has them. Of a task that lets others run in its series and is started again: in
    // place of that "callback" "elsewhere", then "goes on".
    std::string name;
    int64_t begin = -1;
    unsigned thread = 0; // that said so
};

struct TimelineTask {
    uint64_t id = 0;     // from 1 on
    uint64_t series = 0; // the id of its series
    std::string type;    // of its class: "HttpClient", "Timer", "Counter", ...
    std::string label;   // its name (wf::name_task), else what it says of itself
    int64_t created = -1;
    int64_t begin = -1;  // it waited for its turn until then
    int64_t end = -1;    // its callback has returned
    unsigned thread = 0; // that started it; numbers from 1 on
    std::vector<TimelinePhase> phases;
};

struct TimelineSeries {
    uint64_t id = 0; // from 1 on
    std::string label;
    int64_t created = -1, begin = -1, end = -1;
    uint64_t parallel = 0;       // the id of the parallel or graph that it is part of, or 0
    uint64_t origin = 0;         // the id of the series whose code has made it, or 0
    std::vector<uint64_t> tasks; // in their order
};

class Timeline {
public:
    // By id: that of index i is i + 1.
    std::vector<TimelineSeries> series;
    std::vector<TimelineTask> tasks;
    int64_t length = 0; // of the recording so far
    size_t lost = 0;    // events that there was no room for: what they belong to looks unfinished

    // The series that no other has started: requests, and what main() began.
    std::vector<uint64_t> roots() const;
    // A series with all that it has started, whose ids begin anew.
    Timeline part(uint64_t series_id) const;

    // The format of chrome://tracing and ui.perfetto.dev: a process for each root, a thread for
    // each series, and in process 0 the callbacks on the real threads.
    std::string chrome_json() const;
    // One page that needs nothing else: of each root, the latest `most` at most, a row for each
    // series and task, with its waits and phases.
    std::string html(const std::string &title, size_t most = 200) const;
    // The same into a file. 0, or -1 with errno; then there may be a part of it.
    int write_chrome_json(const std::string &path) const;
    int write_html(const std::string &path, const std::string &title, size_t most = 200) const;

private:
    uint64_t above(uint64_t series_id) const;
    std::vector<uint64_t> find_tops(uint64_t stop = 0) const;
};

class TimelineRecorder {
public:
    explicit TimelineRecorder(size_t most_events = 1 << 18) : most_(most_events) {}
    ~TimelineRecorder() { this->stop(); }
    TimelineRecorder(const TimelineRecorder &) = delete;
    TimelineRecorder &operator=(const TimelineRecorder &) = delete;

    // Begins anew, with nothing recorded. -1 with EBUSY: another records.
    int start();
    // What was recorded stays until the next start of any recorder.
    void stop();
    // What there is so far.
    Timeline get() const;

private:
    const size_t most_;
    uint64_t recording_ = 0; // which; 0 none
};

} // namespace wf

#endif
