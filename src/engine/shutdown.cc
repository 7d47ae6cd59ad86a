// Weft - waiting for the last task
// SPDX-License-Identifier: Apache-2.0
//
// Tasks are counted all the time (wf/metrics.h), each by the thread that makes or ends it, so there
// is nobody who could tell that the last one has gone: it is looked for, a hundred times a second.
#include "workflow/wf/shutdown.h"

#include <thread>

#include "kernel/log.h"
#include "kernel/sys.h"
#include "workflow/detail/runtime.h"
#include "workflow/detail/task_support.h"
#include "workflow/wf/metrics.h"

namespace wf {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds LOOK_EVERY(10);

struct Left {
    size_t tasks = 0;
    std::string kinds; // "2 timer, 1 counter"
};

Left look() {
    Left left;
    for (const MetricFamily &family : collect()) {
        if (family.name != "weft_tasks")
            continue;
        for (const MetricSample &sample : family.samples) {
            if (sample.value < 1)
                continue;
            size_t count = static_cast<size_t>(sample.value);
            left.tasks += count;
            left.kinds += (left.kinds.empty() ? "" : ", ") + std::to_string(count) + " " +
                          sample.labels.front().second;
        }
    }
    return left;
}

// On one of its threads, or in a callback that was run where its task was started.
bool inside_the_engine() {
    int cookie = detail::runtime_wait_begin();
    if (cookie)
        detail::runtime_wait_end(cookie);
    return cookie != 0 || *sys_task_frame() != nullptr;
}

bool is_over(const Left &left) { return left.tasks == 0 && count_pending_series() == 0; }

} // namespace

ShutdownReport shutdown(milliseconds limit) {
    if (inside_the_engine()) [[unlikely]]
        detail::misuse(
            "wf::shutdown() inside a callback or a computation, for which it would wait");
    Clock::time_point begin = Clock::now(), end = begin + limit;
    Left left = look();
    while (!is_over(left) && Clock::now() < end) {
        std::this_thread::sleep_for(LOOK_EVERY);
        left = look();
    }
    ShutdownReport report;
    report.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    report.series = pending_series();
    report.tasks = left.tasks;
    report.complete = report.tasks == 0 && report.series.empty();
    if (report.complete)
        return report;
    report.text =
        "not ended: " + (left.kinds.empty() ? "no task" : left.kinds) + "\n" + describe_pending();
    weft_log(WEFT_LOG_WARN, "shutdown after %.1f s: %s", report.seconds, report.text.c_str());
    return report;
}

} // namespace wf
