// Weft - recording of timelines
// SPDX-License-Identifier: Apache-2.0
#include "trace/recorder.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

#include "workflow/SubTask.h"
#include "workflow/detail/trace_points.h"

namespace wf {

namespace {

using detail::TraceRecord;

constexpr size_t SHARDS = 16;

struct Shard {
    std::mutex mutex;
    std::vector<TraceRecord> records;
};

struct Recording {
    std::mutex mutex; // of start and stop; before those of the shards
    // Under all the shards' locks to change, under one to read.
    bool active = false;
    size_t most = 0;
    int64_t begin = 0, end = 0;
    uint64_t current = 0; // under `mutex`: which recording this is
    std::atomic<uint64_t> next{0};
    std::atomic<size_t> lost{0};
    Shard shards[SHARDS];
};

Recording &recording() {
    alignas(Recording) static unsigned char room[sizeof(Recording)];
    static Recording *one = new (room) Recording;
    return *one;
}

int64_t now() {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return static_cast<int64_t>(ts.tv_sec) * 1000000000 + ts.tv_nsec;
}

size_t this_thread() { return std::hash<std::thread::id>()(std::this_thread::get_id()); }

bool is_last_phase(const TraceEvent &event) { return strcmp(event.text, "callback") == 0; }

// Asked here, where the task is alive and no lock is held.
void ask(const TraceEvent &event, TraceRecord *record) {
    switch (event.kind) {
    case TraceKind::TASK_START:
        record->word = detail::mangled_type(event.task);
        record->text = detail::description(event.task);
        break;
    case TraceKind::TASK_PHASE:
        record->word = event.text;
        if (is_last_phase(event))
            record->text = detail::description(event.task);
        break;
    case TraceKind::TASK_NAMED:
    case TraceKind::SERIES_NAMED:
        record->text = event.text;
        break;
    default:
        break;
    }
}

void note(const TraceEvent &event) {
    Recording &all = recording();
    size_t thread = this_thread();
    TraceRecord record = {
        0,       0, thread, event.kind, event.task, event.series, event.parallel, event.origin,
        nullptr, {}};
    ask(event, &record);
    Shard &shard = all.shards[thread % SHARDS];
    std::lock_guard<std::mutex> lock(shard.mutex);
    if (!all.active)
        return;
    record.number = all.next.fetch_add(1);
    if (record.number >= all.most) {
        all.lost++;
        return;
    }
    record.time = now();
    shard.records.push_back(std::move(record));
}

// With Recording::mutex.
void set_active(Recording *all, bool active, size_t most) {
    for (Shard &shard : all->shards)
        shard.mutex.lock();
    all->active = active;
    if (active) {
        all->begin = now();
        all->most = most;
        all->next = 0;
        all->lost = 0;
        for (Shard &shard : all->shards)
            std::vector<TraceRecord>().swap(shard.records);
    } else {
        all->end = now();
    }
    for (Shard &shard : all->shards)
        shard.mutex.unlock();
}

} // namespace

int TimelineRecorder::start() {
    Recording &all = recording();
    std::lock_guard<std::mutex> lock(all.mutex);
    if (all.active) {
        errno = EBUSY;
        return -1;
    }
    this->recording_ = ++all.current;
    set_active(&all, true, this->most_);
    detail::set_trace_sink(detail::TRACE_TIMELINE, note);
    return 0;
}

void TimelineRecorder::stop() {
    Recording &all = recording();
    std::lock_guard<std::mutex> lock(all.mutex);
    if (!all.active || this->recording_ != all.current)
        return;
    detail::set_trace_sink(detail::TRACE_TIMELINE, nullptr);
    set_active(&all, false, 0);
}

Timeline TimelineRecorder::get() const {
    Recording &all = recording();
    std::lock_guard<std::mutex> lock(all.mutex);
    if (this->recording_ == 0 || this->recording_ != all.current)
        return Timeline();
    std::vector<TraceRecord> records;
    for (Shard &shard : all.shards) {
        std::lock_guard<std::mutex> shard_lock(shard.mutex);
        records.insert(records.end(), shard.records.begin(), shard.records.end());
    }
    std::sort(records.begin(), records.end(),
              [](const TraceRecord &a, const TraceRecord &b) { return a.number < b.number; });
    Timeline made = detail::build_timeline(records, all.begin, all.active ? now() : all.end);
    made.lost = all.lost;
    return made;
}

} // namespace wf
