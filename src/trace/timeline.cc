// Weft - a timeline out of what was recorded
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/timeline.h"

#include <string.h>

#include <unordered_map>

#include "trace/recorder.h"
#include "workflow/SubTask.h"

namespace wf {

namespace {

using detail::TraceRecord;

// Goes through the records once. Addresses are used again when their owner is gone, so they are
// looked up among the living only; the end of a task, which comes behind its destruction, is found
// by its series.
class Builder {
public:
    explicit Builder(int64_t begin) : begin_(begin) {}

    void add(const TraceRecord &record) {
        now_ = record.time - begin_;
        switch (record.kind) {
        case TraceKind::TASK_CREATED:
            made_[record.task] = {now_, {}};
            break;
        case TraceKind::TASK_GONE:
            made_.erase(record.task);
            tasks_.erase(record.task);
            break;
        case TraceKind::TASK_START:
            this->start_task(record);
            break;
        case TraceKind::TASK_PHASE:
            this->add_phase(record);
            break;
        case TraceKind::TASK_NAMED:
            this->name_task(record);
            break;
        case TraceKind::TASK_END:
            this->end_task(record);
            break;
        default:
            this->add_of_series(record);
            break;
        }
    }

    Timeline take(int64_t length) {
        for (TimelineSeries &series : made_of_.series)
            this->complete(&series);
        made_of_.length = length;
        return std::move(made_of_);
    }

private:
    struct Made {
        int64_t time;
        std::string name;
    };
    struct Running {
        uint64_t id;
        uint64_t current; // its task, 0 none
    };

    unsigned thread(uint64_t handle) {
        return threads_.try_emplace(handle, static_cast<unsigned>(threads_.size()) + 1)
            .first->second;
    }

    TimelineTask &task(uint64_t id) { return made_of_.tasks[id - 1]; }

    // That of a series, which is made if the recording began later than it.
    Running &running(const SeriesWork *series) {
        auto [at, is_new] = series_.try_emplace(series);
        if (is_new) {
            made_of_.series.emplace_back();
            made_of_.series.back().id = at->second.id = made_of_.series.size();
            at->second.current = 0;
        }
        return at->second;
    }

    TimelineSeries &series(const SeriesWork *series) {
        return made_of_.series[this->running(series).id - 1];
    }

    uint64_t id_of(const ParallelTask *parallel) {
        auto at = tasks_.find(parallel);
        return at == tasks_.end() ? 0 : at->second;
    }

    void start_task(const TraceRecord &record) {
        Running &running = this->running(record.series);
        if (auto at = tasks_.find(record.task); at != tasks_.end()) {
            running.current = at->second;
            this->go_on(record, &this->task(at->second));
            return;
        }
        TimelineTask made;
        made.id = running.current = tasks_[record.task] = made_of_.tasks.size() + 1;
        made.series = running.id;
        made.type = detail::type_name(record.word);
        made.label = record.text;
        made.begin = now_;
        made.thread = this->thread(record.thread);
        if (auto at = made_.find(record.task); at != made_.end()) {
            made.created = at->second.time;
            if (!at->second.name.empty()) {
                made.label = at->second.name;
                named_[made.id] = true;
            }
        }
        made_of_.series[running.id - 1].tasks.push_back(made.id);
        made_of_.tasks.push_back(std::move(made));
    }

    // A task that was started before and is alive: what looked like its end was not.
    void go_on(const TraceRecord &record, TimelineTask *task) {
        for (TimelinePhase &phase : task->phases) {
            if (phase.name == "callback")
                phase.name = "elsewhere";
        }
        task->end = -1;
        task->phases.push_back({"goes on", now_, this->thread(record.thread)});
    }

    void add_phase(const TraceRecord &record) {
        auto at = tasks_.find(record.task);
        if (at == tasks_.end())
            return; // it began before the recording
        if (record.parallel)
            tasks_[record.parallel] = at->second;
        TimelineTask &task = this->task(at->second);
        task.phases.push_back({record.word, now_, this->thread(record.thread)});
        if (!record.text.empty() && !named_.count(task.id))
            task.label = record.text;
    }

    void name_task(const TraceRecord &record) {
        auto at = tasks_.find(record.task);
        if (at != tasks_.end()) {
            this->task(at->second).label = record.text;
            named_[at->second] = true;
        } else {
            made_.try_emplace(record.task, Made{-1, {}}).first->second.name = record.text;
        }
    }

    void end_task(const TraceRecord &record) {
        auto at = series_.find(record.series);
        if (at == series_.end() || at->second.current == 0)
            return; // it began before the recording
        this->task(at->second.current).end = now_;
        at->second.current = 0;
    }

    void add_of_series(const TraceRecord &record) {
        if (record.kind == TraceKind::SERIES_GONE) {
            series_.erase(record.series);
            return;
        }
        if (record.kind == TraceKind::SERIES_CREATED)
            series_.erase(record.series);
        if (record.kind == TraceKind::SERIES_END && !series_.count(record.series))
            return; // nothing else of it was seen
        TimelineSeries &it = this->series(record.series);
        switch (record.kind) {
        case TraceKind::SERIES_CREATED:
            it.created = now_;
            if (auto at = series_.find(record.origin); record.origin && at != series_.end())
                it.origin = at->second.id;
            break;
        case TraceKind::SERIES_START:
            it.begin = now_;
            it.parallel = record.parallel ? this->id_of(record.parallel) : 0;
            break;
        case TraceKind::SERIES_END:
            it.end = now_;
            break;
        case TraceKind::SERIES_NAMED:
            it.label = record.text;
            break;
        default:
            break;
        }
    }

    // What the events did not say.
    void complete(TimelineSeries *series) {
        if (series->tasks.empty())
            return;
        const TimelineTask &first = this->task(series->tasks.front());
        if (series->begin < 0)
            series->begin = first.begin;
        if (series->label.empty())
            series->label = first.label.empty() ? first.type : first.label;
    }

    const int64_t begin_;
    int64_t now_ = 0;
    Timeline made_of_;
    std::unordered_map<const SubTask *, Made> made_;      // and not gone
    std::unordered_map<const SubTask *, uint64_t> tasks_; // that run, by address
    std::unordered_map<const SeriesWork *, Running> series_;
    std::unordered_map<uint64_t, unsigned> threads_;
    std::unordered_map<uint64_t, bool> named_;
};

} // namespace

Timeline detail::build_timeline(const std::vector<TraceRecord> &records, int64_t begin,
                                int64_t end) {
    Builder builder(begin);
    for (const TraceRecord &record : records)
        builder.add(record);
    return builder.take(end - begin);
}

std::vector<uint64_t> Timeline::roots() const {
    std::vector<uint64_t> found;
    for (const TimelineSeries &one : this->series) {
        if (one.parallel == 0 && one.origin == 0 && !one.tasks.empty())
            found.push_back(one.id);
    }
    return found;
}

Timeline Timeline::part(uint64_t series_id) const {
    Timeline made;
    made.length = this->length;
    made.lost = this->lost;
    std::vector<uint64_t> tops = this->find_tops(series_id);
    std::vector<uint64_t> new_series(this->series.size() + 1), new_tasks(this->tasks.size() + 1);
    for (const TimelineSeries &one : this->series) {
        if (tops[one.id] != series_id)
            continue;
        made.series.push_back(one);
        TimelineSeries &copy = made.series.back();
        copy.id = new_series[one.id] = made.series.size();
        for (uint64_t &task : copy.tasks) {
            made.tasks.push_back(this->tasks[task - 1]);
            made.tasks.back().series = copy.id;
            task = made.tasks.back().id = new_tasks[task] = made.tasks.size();
        }
    }
    for (TimelineSeries &copy : made.series) {
        copy.parallel = new_tasks[copy.parallel];
        copy.origin = new_series[copy.origin];
    }
    return made;
}

// The series that it is part of, or was made by; 0 for none.
uint64_t Timeline::above(uint64_t series_id) const {
    const TimelineSeries &one = this->series[series_id - 1];
    return one.parallel ? this->tasks[one.parallel - 1].series : one.origin;
}

// By id: above which all is. What stands below `stop`, and that itself, has it as its top. A
// parallel's series may be older than the series that the parallel is in, so ids say nothing.
std::vector<uint64_t> Timeline::find_tops(uint64_t stop) const {
    std::vector<uint64_t> tops(this->series.size() + 1);
    std::vector<uint64_t> way;
    for (const TimelineSeries &one : this->series) {
        uint64_t at = one.id, top = 0;
        // In a timeline that somebody has put together there may be a circle.
        for (way.clear(); top == 0 && way.size() <= tops.size(); at = this->above(at)) {
            way.push_back(at);
            top = tops[at] != 0 ? tops[at] : at == stop || this->above(at) == 0 ? at : 0;
        }
        for (uint64_t id : way)
            tops[id] = top;
    }
    return tops;
}

} // namespace wf
