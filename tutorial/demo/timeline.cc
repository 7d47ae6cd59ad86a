// Weft - the demo: noting and drawing the timeline of one request
// SPDX-License-Identifier: Apache-2.0
//
// Owner and threads: see timeline.h.

#include "timeline.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <thread>

#include "workflow/CommScheduler.h"
#include "workflow/WFGlobal.h"

namespace demo {

namespace {

const size_t kWidth = 64;

std::string padded(const std::string &text, size_t width) {
    return text.size() < width ? text + std::string(width - text.size(), ' ') : text;
}

std::string number(double value, const char *format = "%.1f") {
    char text[32];
    snprintf(text, sizeof text, format, value);
    return text;
}

// "0 ms      13      26 ..." above the bars.
std::string ruler(double last_ms, size_t width) {
    const size_t kMarks = 4;
    std::string line(width + 12, ' ');
    for (size_t i = 0; i <= kMarks; i++) {
        std::string text = number(last_ms * static_cast<double>(i) / kMarks, "%.0f");
        if (i == kMarks)
            text += " ms";
        line.replace(width * i / kMarks, text.size(), text);
    }
    return line.substr(0, line.find_last_not_of(' ') + 1);
}

} // namespace

std::string thread_name() {
    // Never destroyed: callbacks of unfinished tasks still come here while the process exits.
    struct Names {
        std::mutex mutex;
        std::map<std::thread::id, std::string> names;
        int workers = 0;
        int computers = 0;
    };
    static Names *const all = new Names;

    bool worker = WFGlobal::get_scheduler()->is_handler_thread();
    std::lock_guard<std::mutex> lock(all->mutex);
    std::string &name = all->names[std::this_thread::get_id()];
    if (name.empty())
        name =
            worker ? "w" + std::to_string(++all->workers) : "c" + std::to_string(++all->computers);
    return name;
}

Timeline::Timeline(const std::string &title) : title_(title), origin_(Clock::now()) {}

double Timeline::now_ms() const {
    return std::chrono::duration<double, std::milli>(Clock::now() - origin_).count();
}

double Timeline::ms() const { return now_ms(); }

void Timeline::begin(const std::string &step) {
    std::string thread = thread_name();
    std::lock_guard<std::mutex> lock(mutex_);
    steps_.push_back({step, "", thread, now_ms(), -1.0, false});
}

void Timeline::end(const std::string &step, const std::string &outcome) {
    std::string thread = thread_name();
    std::lock_guard<std::mutex> lock(mutex_);
    for (Step &item : steps_) {
        if (item.name != step || item.end_ms >= 0)
            continue;
        item.end_ms = now_ms();
        item.outcome = outcome;
        if (item.threads != thread)
            item.threads += " " + thread;
    }
}

void Timeline::mark(const std::string &step, const std::string &outcome) {
    std::string thread = thread_name();
    std::lock_guard<std::mutex> lock(mutex_);
    double now = now_ms();
    steps_.push_back({step, outcome, thread, now, now, true});
}

std::string Timeline::bar(const Step &step, double last_ms, size_t width) {
    std::string line(width + 1, ' ');
    double scale = static_cast<double>(width) / std::max(last_ms, 0.001);
    double end = step.end_ms < 0 ? last_ms : step.end_ms;
    size_t from = std::min(width, static_cast<size_t>(step.begin_ms * scale));
    size_t to = std::min(width, static_cast<size_t>(end * scale));
    for (size_t i = from; i <= to; i++)
        line[i] = '=';
    line[from] = step.moment ? '*' : to > from ? '[' : '|';
    if (to > from)
        line[to] = step.end_ms < 0 ? '>' : ']';
    return line;
}

std::string Timeline::text() const {
    std::lock_guard<std::mutex> lock(mutex_);
    double last_ms = 0;
    for (const Step &step : steps_)
        last_ms = std::max({last_ms, step.begin_ms, step.end_ms});

    std::string all = title_ + "\n";
    all += "  step     thread  " + ruler(last_ms, kWidth) + "\n";
    for (const Step &step : steps_) {
        all += "  " + padded(step.name, 9) + padded(step.threads, 8);
        all += bar(step, last_ms, kWidth);
        all += " " + step.outcome;
        if (!step.moment && step.end_ms >= 0)
            all += " (" + number(step.end_ms - step.begin_ms) + " ms)";
        all += "\n";
    }
    return all;
}

} // namespace demo
