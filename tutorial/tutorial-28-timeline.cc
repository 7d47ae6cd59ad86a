// Weft - tutorial 28: what a program does, drawn: a timeline, and what is left at the end
// SPDX-License-Identifier: Apache-2.0
//
//   timeline PAGE URL [URL...]
//
// Asks all URLs at once, then computes, then waits for a counter that one count is missing from;
// writes what happened as a page, and says what has not ended. The page is
// docs/tutorial-28-timeline.md.
#include <stdio.h>

#include <chrono>
#include <string>

#include "workflow/WFFacilities.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/shutdown.h"
#include "workflow/wf/timeline.h"
#include "workflow/wf/trace.h"

namespace {

ParallelWork *ask_all(char *const urls[], int count) {
    ParallelWork *all = Workflow::create_parallel_work(nullptr);
    for (int i = 0; i < count; i++) {
        WFHttpTask *call = WFTaskFactory::create_http_task(urls[i], 3, 0, nullptr);
        call->set_watch_timeout(2000);
        all->add_series(Workflow::create_series_work(call, nullptr));
    }
    wf::name_task(all, "ask everybody");
    return all;
}

SubTask *think() {
    SubTask *made = WFTaskFactory::create_go_task("think", [] {
        unsigned sum = 0;
        for (unsigned i = 0; i < 3000000; i++)
            sum = sum * 1664525u + i;
        printf("thought: %u\n", sum);
    });
    wf::name_task(made, "think");
    return made;
}

} // namespace

int main(int argc, char *argv[]) {
    if (argc < 3) {
        fprintf(stderr, "usage: %s PAGE URL [URL...]\n", argv[0]);
        return 2;
    }
    wf::TimelineRecorder recorder;
    recorder.start();
    wf::watch_series();

    SeriesWork *series = Workflow::create_series_work(ask_all(argv + 2, argc - 2), nullptr);
    wf::name_series(series, "the order");
    *series << think() << WFTaskFactory::create_counter_task("paid", 2, nullptr);
    series->start();
    WFTaskFactory::count_by_name("paid"); // once, but it should be twice

    // The order cannot end. With the watch on, the report says why.
    wf::ShutdownReport report = wf::shutdown(std::chrono::seconds(3));
    printf("%s", report.text.c_str());
    wf::Timeline timeline = recorder.get();
    if (timeline.write_html(argv[1], "the order") != 0) {
        perror(argv[1]);
        return 1;
    }
    printf("%zu tasks drawn in %s\n", timeline.tasks.size(), argv[1]);
    WFTaskFactory::count_by_name("paid");
    return wf::shutdown(std::chrono::seconds(3)).complete ? 0 : 1;
}
