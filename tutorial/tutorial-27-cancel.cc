// Weft - tutorial 27: what is under way ends early: a handle, a deadline, a stop token
// SPDX-License-Identifier: Apache-2.0
//
//   cancel
//
// A series whose tasks would run for hours is cancelled by its handle, a parallel runs into its
// deadline, and a coroutine asks its computation to stop. The page is docs/tutorial-27-cancel.md.
#include <stdio.h>

#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/coro_task.h"
#include "workflow/wf/handle.h"

namespace {

const char *how_it_ended(const WFTimerTask *task) {
    return WFGlobal::get_error_string(task->get_state(), task->get_error());
}

// The task that runs is cut, the next never runs, and the callback comes all the same.
void cancel_a_series() {
    WFFacilities::WaitGroup ended(1);
    WFTimerTask *first = WFTaskFactory::create_timer_task(3600, 0, [](WFTimerTask *task) {
        printf("series: the task that ran: %s\n", how_it_ended(task));
    });
    WFTimerTask *second = WFTaskFactory::create_timer_task(
        3600, 0, [](WFTimerTask *) { printf("this is never said\n"); });
    SeriesWork *series = Workflow::create_series_work(first, [&ended](const SeriesWork *work) {
        printf("series: %s\n", work->is_canceled() ? "was cancelled" : "went to its end");
        ended.done();
    });
    series->push_back(second);
    wf::Handle handle = wf::get_handle(series); // before the start
    series->start();

    wf::cancel(handle); // any thread, any moment
    ended.wait();
    printf("series: a second cancel: %s\n", wf::cancel(handle) < 0 ? "it is over" : "it is cut");
}

// All that runs in a parallel inherits its deadline.
void limit_a_parallel() {
    WFFacilities::WaitGroup ended(1);
    int parts = 0;
    ParallelWork *parallel = Workflow::create_parallel_work([&](const ParallelWork *) {
        printf("parallel: its callback, behind those of %d parts\n", parts);
        ended.done();
    });
    for (long ms : {1L, 3600000L}) {
        WFTimerTask *task = WFTaskFactory::create_timer_task(
            ms / 1000, ms % 1000 * 1000000, [ms, &parts](WFTimerTask *timer) {
                // One ends long before the other: nothing here runs at the same time.
                printf("parallel: the part of %ld ms: %s\n", ms, how_it_ended(timer));
                parts++;
            });
        parallel->add_series(Workflow::create_series_work(task, nullptr));
    }
    wf::set_deadline(parallel, 500); // ms, from now on
    parallel->start();
    ended.wait();
}

// A computation that has begun cannot be cut; it can be asked.
wf::Task<void> compute_until_told(WFFacilities::WaitGroup *begun, WFFacilities::WaitGroup *ended) {
    std::stop_token token = co_await wf::stop_token();
    auto steps = [token, begun] {
        begun->done();
        while (!token.stop_requested()) {} // a step of a long computation
        return true;
    };
    wf::Result<bool> asked = co_await wf::compute("steps", std::move(steps));
    printf("coroutine: its computation %s\n", asked.value ? "was asked, and stopped" : "is lost");
    wf::Status status = co_await wf::sleep(std::chrono::hours(1));
    printf("coroutine: what it awaits now ends at once: %s\n", status.message().c_str());
    ended->done();
}

void stop_a_coroutine() {
    WFFacilities::WaitGroup begun(1), ended(1);
    wf::Handle handle = wf::spawn(compute_until_told(&begun, &ended));
    begun.wait();
    wf::cancel(handle);
    ended.wait();
}

} // namespace

int main() {
    cancel_a_series();
    limit_a_parallel();
    stop_a_coroutine();
    return 0;
}
