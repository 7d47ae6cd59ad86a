// Weft - a timeline in the format of chrome://tracing and ui.perfetto.dev
// SPDX-License-Identifier: Apache-2.0
//
// The Trace Event Format: complete events ("X") with their time in microseconds; those of one
// thread are drawn inside each other, so phases come behind their task.
#include <errno.h>
#include <stdio.h>

#include <algorithm>
#include <map>

#include "util/text.h"
#include "workflow/wf/timeline.h"

namespace wf {

namespace {

class Json {
public:
    void name_process(uint64_t process, const std::string &name) {
        this->name("process_name", process, 0, name);
    }
    void name_thread(uint64_t process, uint64_t thread, const std::string &name) {
        this->name("thread_name", process, thread, name);
    }
    void complete(uint64_t process, uint64_t thread, const std::string &name, const char *category,
                  int64_t begin, int64_t end) {
        this->begin_row();
        text_ += "{\"ph\":\"X\",\"name\":";
        detail::append_json(&text_, name);
        text_ += ",\"cat\":";
        detail::append_json(&text_, category);
        this->place(process, thread);
        text_ += ",\"ts\":";
        detail::append_number(&text_, static_cast<double>(begin) / 1e3);
        text_ += ",\"dur\":";
        detail::append_number(&text_, static_cast<double>(std::max(end - begin, int64_t{0})) / 1e3);
    }
    void argument(const char *name, double value) {
        text_ += ",\"args\":{";
        detail::append_json(&text_, name);
        text_ += ':';
        detail::append_number(&text_, value);
        text_ += '}';
    }
    void end_row() { text_ += '}'; }
    std::string take() {
        return "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[" + std::move(text_) + "\n]}\n";
    }

private:
    void begin_row() { text_ += text_.empty() ? "\n" : ",\n"; }
    void place(uint64_t process, uint64_t thread) {
        text_ += ",\"pid\":";
        detail::append_number(&text_, process);
        text_ += ",\"tid\":";
        detail::append_number(&text_, thread);
    }
    void name(const char *kind, uint64_t process, uint64_t thread, const std::string &name) {
        this->begin_row();
        text_ += "{\"ph\":\"M\",\"name\":";
        detail::append_json(&text_, kind);
        this->place(process, thread);
        text_ += ",\"args\":{\"name\":";
        detail::append_json(&text_, name);
        text_ += "}}";
    }

    std::string text_;
};

std::string name_of(const TimelineTask &task) {
    return task.label.empty() ? task.type : task.type + " " + task.label;
}

void add_task(const TimelineTask &task, uint64_t process, int64_t length, Json *json) {
    int64_t end = task.end < 0 ? length : task.end;
    json->complete(process, task.series, name_of(task), "task", task.begin, end);
    if (task.created >= 0)
        json->argument("waited_ms", static_cast<double>(task.begin - task.created) / 1e6);
    json->end_row();
    for (size_t i = 0; i < task.phases.size(); i++) {
        const TimelinePhase &phase = task.phases[i];
        int64_t phase_end = i + 1 < task.phases.size() ? task.phases[i + 1].begin : end;
        json->complete(process, task.series, phase.name, "phase", phase.begin, phase_end);
        json->end_row();
        if (phase.name != "callback" && phase.name != "running")
            continue;
        json->complete(0, phase.thread, name_of(task), phase.name.c_str(), phase.begin, phase_end);
        json->end_row();
    }
}

} // namespace

std::string Timeline::chrome_json() const {
    Json json;
    std::vector<uint64_t> process_of = this->find_tops();
    json.name_process(0, "threads");
    for (uint64_t root : this->roots())
        json.name_process(root, this->series[root - 1].label);
    std::map<unsigned, bool> threads;
    for (const TimelineTask &task : this->tasks) {
        for (const TimelinePhase &phase : task.phases)
            threads[phase.thread] = true;
    }
    for (const auto &[thread, seen] : threads)
        json.name_thread(0, thread, "thread " + std::to_string(thread));
    for (const TimelineSeries &one : this->series) {
        if (one.tasks.empty())
            continue;
        json.name_thread(process_of[one.id], one.id, one.label);
        for (uint64_t id : one.tasks)
            add_task(this->tasks[id - 1], process_of[one.id], this->length, &json);
    }
    return json.take();
}

namespace {

int write_file(const std::string &path, const std::string &text) {
    FILE *file = fopen(path.c_str(), "we");
    if (!file)
        return -1;
    bool good = fwrite(text.data(), 1, text.size(), file) == text.size();
    int error = errno;
    if (fclose(file) != 0 && good) {
        good = false;
        error = errno;
    }
    errno = error;
    return good ? 0 : -1;
}

} // namespace

int Timeline::write_chrome_json(const std::string &path) const {
    return write_file(path, this->chrome_json());
}

int Timeline::write_html(const std::string &path, const std::string &title, size_t most) const {
    return write_file(path, this->html(title, most));
}

} // namespace wf
