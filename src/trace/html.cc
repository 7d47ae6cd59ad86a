// Weft - a timeline as a page
// SPDX-License-Identifier: Apache-2.0
//
// No scripts: a row is a grid of a label and a lane, and a bar in the lane is placed in percent of
// its root's time. What a bar is, and how long, is its tooltip.
#include <stdio.h>

#include <algorithm>

#include "util/text.h"
#include "workflow/wf/timeline.h"

namespace wf {

namespace {

constexpr char STYLE[] = R"(<style>
:root{color-scheme:light dark}
body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem}
h1{font-size:1.3rem;margin-bottom:.2rem}p{margin:.2rem 0}
details{border:1px solid #8884;border-radius:6px;margin:.8rem 0;padding:.4rem .8rem}
summary{cursor:pointer;font-weight:600}
.row{display:grid;grid-template-columns:19rem 1fr 6rem;gap:.6rem;align-items:center}
.row:hover{background:#8882}
.l{overflow:hidden;white-space:nowrap;text-overflow:ellipsis}
.t{text-align:right;font-variant-numeric:tabular-nums;opacity:.75}
.lane{position:relative;height:1rem;border-left:1px solid #8886;border-right:1px solid #8886}
.lane i{position:absolute;top:.12rem;height:.76rem;min-width:2px;border-radius:2px;background:#7a8aa0}
.s .l{font-style:italic}.s .lane i{top:.42rem;height:.16rem;background:#8888}
i.turn{background:repeating-linear-gradient(45deg,#8885 0 3px,transparent 3px 6px)!important}
i.wait{background:#b9a27a!important}i.connect{background:#d08c3c!important}
i.send{background:#5b9bd5!important}i.receive{background:#3f7fbf!important}
i.run{background:#58a55c!important}i.back{background:#9b59b6!important}i.open{opacity:.5}
.key i{display:inline-block;width:1.6rem;height:.7rem;margin:0 .3rem 0 .9rem;border-radius:2px;background:#7a8aa0}
</style>
)";

constexpr char KEY[] = R"(<p class="key"><i class="turn"></i>waits for its turn<i></i>under way<i
 class="wait"></i>waits for a name, a connection, or others<i class="connect"></i>connects<i
 class="send"></i>sends<i class="receive"></i>waits for the answer and receives it<i
 class="run"></i>computes<i class="back"></i>callback</p>
)";

struct Look {
    const char *phase;
    const char *style;
};

constexpr Look LOOKS[] = {
    {"resolving", "wait"},     {"waiting", "wait"},        {"elsewhere", "wait"},
    {"connecting", "connect"}, {"handshaking", "connect"}, {"sending", "send"},
    {"receiving", "receive"},  {"running", "run"},         {"callback", "back"},
};

const char *look_of(const std::string &phase) {
    for (const Look &look : LOOKS) {
        if (phase == look.phase)
            return look.style;
    }
    return "";
}

std::string ms(int64_t ns) {
    char text[32];
    snprintf(text, sizeof text, "%.3f ms", static_cast<double>(ns) / 1e6);
    return text;
}

// The page of one root.
class Section {
public:
    Section(const Timeline *timeline, std::string *page)
        : timeline_(*timeline), page_(*page), children_(timeline->tasks.size() + 1) {
        for (const TimelineSeries &one : timeline_.series)
            children_[one.parallel].push_back(one.id);
    }

    void write(bool open) {
        const TimelineSeries &root = timeline_.series[timeline_.roots().front() - 1];
        this->find_span();
        page_ += open ? "<details open><summary>" : "<details><summary>";
        detail::append_html(&page_, root.label);
        page_ += " - " + ms(end_ - begin_);
        if (root.end < 0)
            page_ += ", not ended";
        page_ += "</summary>\n";
        // What it has started stands behind it, in the order of beginning.
        for (uint64_t id : children_[0])
            this->write_series(timeline_.series[id - 1], id == root.id ? 0 : 1);
        page_ += "</details>\n";
    }

private:
    void find_span() {
        begin_ = timeline_.length;
        end_ = 0;
        for (const TimelineSeries &one : timeline_.series) {
            if (one.tasks.empty())
                continue;
            begin_ = std::min(begin_, one.begin);
            end_ = std::max(end_, one.end < 0 ? timeline_.length : one.end);
        }
        end_ = std::max(end_, begin_ + 1);
    }

    void begin_row(const char *style, int depth, const std::string &label) {
        page_ += "<div class=\"row";
        page_ += style;
        page_ +=
            "\"><div class=\"l\" style=\"padding-left:" + std::to_string(depth) + "em\" title=\"";
        detail::append_html(&page_, label);
        page_ += "\">";
        detail::append_html(&page_, label);
        page_ += "</div><div class=\"lane\">";
    }

    void end_row(const std::string &time) {
        page_ += "</div><div class=\"t\">" + time + "</div></div>\n";
    }

    void bar(const std::string &style, const std::string &what, int64_t from, int64_t to) {
        double span = static_cast<double>(end_ - begin_);
        double left = 100 * static_cast<double>(std::max(from, begin_) - begin_) / span;
        double width = 100 * static_cast<double>(to - std::max(from, begin_)) / span;
        if (to <= begin_)
            return;
        char place[64];
        snprintf(place, sizeof place, "left:%.3f%%;width:%.3f%%", left, std::max(width, 0.0));
        page_ += "<i class=\"" + style + "\" style=\"" + place + "\" title=\"";
        detail::append_html(&page_, what);
        page_ += ", " + ms(to - from) + "\"></i>";
    }

    void write_series(const TimelineSeries &series, int depth) {
        if (series.tasks.empty())
            return;
        if (depth > 0) { // of the root the heading says it
            this->begin_row(" s", depth, series.label);
            int64_t end = series.end < 0 ? timeline_.length : series.end;
            this->bar(series.end < 0 ? "open" : "", "series", series.begin, end);
            this->end_row(series.end < 0 ? "not ended" : ms(end - series.begin));
        }
        for (uint64_t id : series.tasks)
            this->write_task(timeline_.tasks[id - 1], depth + 1);
    }

    void write_task(const TimelineTask &task, int depth) {
        int64_t end = task.end < 0 ? timeline_.length : task.end;
        this->begin_row("", depth, task.label.empty() ? task.type : task.type + ": " + task.label);
        if (task.created >= 0)
            this->bar("turn", "waits for its turn", task.created, task.begin);
        int64_t first = task.phases.empty() ? end : task.phases.front().begin;
        bool node = task.type == "GraphNode";
        this->bar(node ? "wait" : "", node ? "waits for those before it" : "under way", task.begin,
                  first);
        for (size_t i = 0; i < task.phases.size(); i++) {
            const TimelinePhase &phase = task.phases[i];
            int64_t phase_end = i + 1 < task.phases.size() ? task.phases[i + 1].begin : end;
            this->bar(look_of(phase.name), phase.name, phase.begin, phase_end);
        }
        this->end_row(task.end < 0 ? "not ended" : ms(end - task.begin));
        for (uint64_t id : children_[task.id])
            this->write_series(timeline_.series[id - 1], depth + 1);
    }

    const Timeline &timeline_;
    std::string &page_;
    std::vector<std::vector<uint64_t>> children_; // series, by the task they are part of, 0 none
    int64_t begin_ = 0, end_ = 1;
};

} // namespace

std::string Timeline::html(const std::string &title, size_t most) const {
    std::vector<uint64_t> all = this->roots();
    size_t shown = std::min(most, all.size());
    std::string page = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>";
    detail::append_html(&page, title);
    page += "</title>\n";
    page += STYLE;
    page += "</head><body>\n<h1>";
    detail::append_html(&page, title);
    page += "</h1>\n<p>" + std::to_string(all.size()) + " series that no other has started, " +
            std::to_string(this->tasks.size()) + " tasks, in " + ms(this->length) + ".";
    if (shown < all.size())
        page += " The latest " + std::to_string(shown) + " are shown.";
    if (this->lost > 0)
        page += " There was no room for " + std::to_string(this->lost) +
                " events: what they belong to looks unfinished.";
    page += "</p>\n";
    page += KEY;
    for (size_t i = all.size() - shown; i < all.size(); i++) {
        Timeline one = this->part(all[i]);
        Section(&one, &page).write(shown <= 20);
    }
    page += "</body></html>\n";
    return page;
}

} // namespace wf
