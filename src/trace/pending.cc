// Weft - the watch over series
// SPDX-License-Identifier: Apache-2.0
//
// A table of the living, by address, under one lock. The lock is a leaf, but for
// SubTask::describe_wait(), which takes none. A task may be asked there, by any thread, from its
// start to its phase "callback": both change the table under the lock, so whoever holds it and
// finds the task there knows that its end has to wait.
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <unordered_map>

#include "trace/recorder.h"
#include "workflow/SubTask.h"
#include "workflow/detail/trace_points.h"
#include "workflow/wf/pending.h"

namespace wf {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int FRAMES = 24;

struct Watched {
    uint64_t id;
    std::string name;
    Clock::time_point made;
    void *frames[FRAMES];
    int frame_count;
    int own_frames; // of those, the way from the constructor to the watch
    bool started;
    const SubTask *task;     // that runs, and may be asked; NULL none
    const char *type;        // of the task that runs or ran last, as the compiler has it
    std::string label;       // likewise
    const char *phase;       // of that; kept for ever
    Clock::time_point since; // the phase
};

struct Table {
    std::mutex mutex;
    bool on = false;
    uint64_t made = 0;
    std::unordered_map<const SeriesWork *, Watched> series;
};

Table &table() {
    alignas(Table) static unsigned char room[sizeof(Table)];
    static Table *one = new (room) Table;
    return *one;
}

void add(const TraceEvent &event) {
    Watched made = {};
    made.made = made.since = Clock::now();
    made.frame_count = backtrace(made.frames, FRAMES);
    void **end = made.frames + made.frame_count, **site = std::find(made.frames, end, event.site);
    made.own_frames = site == end ? 0 : static_cast<int>(site - made.frames) + 1;
    Table &all = table();
    std::lock_guard<std::mutex> lock(all.mutex);
    if (!all.on)
        return;
    made.id = ++all.made;
    all.series[event.series] = std::move(made);
}

// Changes what is known of a series, under the lock; not if it was made before the watch.
template <class CHANGE>
void update(const SeriesWork *series, CHANGE change) {
    Table &all = table();
    std::lock_guard<std::mutex> lock(all.mutex);
    auto at = all.series.find(series);
    if (at != all.series.end())
        change(&at->second);
}

void start_task(const TraceEvent &event, const char *type, std::string label) {
    update(event.series, [&](Watched *it) {
        it->started = true;
        it->task = event.task;
        it->type = type;
        if (it->name.empty())
            it->name = label.empty() ? detail::type_name(type) : label;
        it->label = std::move(label);
        it->phase = nullptr;
        it->since = Clock::now();
    });
}

void change(const TraceEvent &event, Watched *it) {
    switch (event.kind) {
    case TraceKind::TASK_PHASE:
        if (event.task != it->task)
            break;
        it->phase = event.text;
        it->since = Clock::now();
        if (strcmp(event.text, "callback") == 0)
            it->task = nullptr;
        break;
    case TraceKind::TASK_NAMED:
        if (event.task == it->task)
            it->label = event.text;
        break;
    case TraceKind::TASK_END:
        it->task = nullptr;
        it->type = nullptr;
        break;
    case TraceKind::SERIES_NAMED:
        it->name = event.text;
        break;
    default:
        break;
    }
}

void forget(const SeriesWork *series) {
    Table &all = table();
    std::lock_guard<std::mutex> lock(all.mutex);
    all.series.erase(series);
}

void see(const TraceEvent &event) {
    switch (event.kind) {
    case TraceKind::SERIES_CREATED:
        add(event);
        break;
    case TraceKind::TASK_START:
        start_task(event, detail::mangled_type(event.task), detail::description(event.task));
        break;
    case TraceKind::SERIES_GONE:
        forget(event.series);
        break;
    case TraceKind::TASK_CREATED:
    case TraceKind::TASK_GONE:
        break;
    default:
        update(event.series, [&](Watched *it) { change(event, it); });
        break;
    }
}

// "/lib/x.so(function+0x12) [0x...]" for each call.
std::string calls_of(const Watched &watched) {
    std::string text;
    char **lines = backtrace_symbols(watched.frames, watched.frame_count);
    for (int i = watched.own_frames; lines && i < watched.frame_count; i++)
        text += std::string(lines[i]) + "\n";
    free(lines);
    return text;
}

std::string seconds(Clock::duration time) {
    char text[32];
    snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(time).count());
    return text;
}

// With the lock.
std::string wait_of(const Watched &watched, Clock::time_point now) {
    if (!watched.started)
        return "its start, or to be dismissed";
    if (!watched.type)
        return "its end"; // it is between two tasks this moment
    std::string text = detail::type_name(watched.type);
    if (!watched.label.empty())
        text += " " + watched.label;
    char more[256];
    if (watched.task && watched.task->describe_wait(more, sizeof more) > 0)
        text += std::string(", ") + more;
    if (watched.phase)
        text += std::string(", ") + watched.phase;
    return text + ", for " + seconds(now - watched.since);
}

} // namespace

void watch_series(bool on) {
    Table &all = table();
    std::lock_guard<std::mutex> lock(all.mutex);
    if (on && !all.on) { // its first call loads a library
        void *frame;
        backtrace(&frame, 1);
    }
    all.on = on;
    if (!on)
        all.series.clear();
    detail::set_trace_sink(detail::TRACE_PENDING, on ? see : nullptr);
}

size_t count_pending_series() {
    Table &all = table();
    std::lock_guard<std::mutex> lock(all.mutex);
    return all.series.size();
}

std::vector<PendingSeries> pending_series() {
    Table &all = table();
    std::vector<Watched> found;
    std::vector<PendingSeries> made;
    Clock::time_point now = Clock::now();
    {
        std::lock_guard<std::mutex> lock(all.mutex);
        for (const auto &[address, watched] : all.series) {
            PendingSeries one;
            one.waits_for = wait_of(watched, now);
            made.push_back(std::move(one));
            found.push_back(watched);
        }
    }
    for (size_t i = 0; i < made.size(); i++) {
        made[i].id = found[i].id;
        made[i].name = found[i].name;
        made[i].age = std::chrono::duration<double>(now - found[i].made).count();
        made[i].started = found[i].started;
        made[i].made_at = calls_of(found[i]);
    }
    std::sort(made.begin(), made.end(),
              [](const PendingSeries &a, const PendingSeries &b) { return a.id < b.id; });
    return made;
}

std::string describe_pending(size_t most) {
    std::vector<PendingSeries> all = pending_series();
    std::string text;
    for (size_t i = 0; i < all.size() && i < most; i++) {
        char head[64];
        snprintf(head, sizeof head, "series %llu, %.1f s old",
                 static_cast<unsigned long long>(all[i].id), all[i].age);
        text += head;
        if (!all[i].name.empty())
            text += ", \"" + all[i].name + "\"";
        text += ", waits for: " + all[i].waits_for + "\n  made at\n";
        size_t begin = 0;
        for (size_t end; (end = all[i].made_at.find('\n', begin)) != std::string::npos;
             begin = end + 1)
            text += "    " + all[i].made_at.substr(begin, end - begin) + "\n";
    }
    if (all.size() > most)
        text += "and " + std::to_string(all.size() - most) + " more\n";
    return text;
}

} // namespace wf
