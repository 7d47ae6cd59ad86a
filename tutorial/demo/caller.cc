// Weft - the demo: Weft's own HTTP client, once politely and once with some load
// SPDX-License-Identifier: Apache-2.0
//
// The load is a parallel of series; each series starts its next call in the callback of the one
// before, so that the number in flight stays the same.

#include <stdio.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "demo.h"

namespace demo {

namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

struct Load {
    explicit Load(const std::string &target) : url(target) {}

    const std::string url;
    Clock::time_point end;
    std::mutex mutex; // Guards the rest.
    std::vector<double> ms;
    int failures = 0;
};

WFHttpTask *load_call(const std::shared_ptr<Load> &load) {
    Clock::time_point begin = Clock::now();
    return WFTaskFactory::create_http_task(load->url, 0, 0, [load, begin](WFHttpTask *task) {
        std::string status;
        task->get_resp()->get_status_code(status);
        bool good = task->get_state() == WFT_STATE_SUCCESS && status == "200";
        {
            std::lock_guard<std::mutex> lock(load->mutex);
            load->ms.push_back(ms_since(begin));
            load->failures += !good;
        }
        if (task->get_state() != WFT_STATE_ABORTED && Clock::now() < load->end)
            *series_of(task) << load_call(load);
    });
}

// The value that p percent of the sorted values do not exceed.
double percentile(const std::vector<double> &sorted, size_t p) {
    return sorted[std::min(sorted.size() - 1, sorted.size() * p / 100)];
}

} // namespace

int run_calls(const std::string &url, int count) {
    int failures = 0;
    WFFacilities::WaitGroup done(1);
    SeriesWork *series = Workflow::create_series_work(WFTaskFactory::create_empty_task(),
                                                      [&done](const SeriesWork *) { done.done(); });
    for (int i = 0; i < count; i++) {
        // Dynamic, so that the clock starts when the call does.
        *series << WFTaskFactory::create_dynamic_task([&url, &failures](WFDynamicTask *) {
            Clock::time_point begin = Clock::now();
            return WFTaskFactory::create_http_task(url, 0, 0, [begin, &failures](WFHttpTask *t) {
                std::string status = WFGlobal::get_error_string(t->get_state(), t->get_error());
                std::string body;
                if (t->get_state() == WFT_STATE_SUCCESS) {
                    t->get_resp()->get_status_code(status);
                    body = protocol::HttpUtil::decode_chunked_body(t->get_resp());
                }
                failures += status != "200";
                body.erase(std::remove(body.begin(), body.end(), '\n'), body.end());
                printf("%s\t%.0f\t%s\t%s\n", status.c_str(), ms_since(begin),
                       t->get_state() == WFT_STATE_SUCCESS && t->get_task_seq() > 0 ? "kept"
                                                                                    : "new",
                       body.c_str());
            });
        });
    }
    series->start();
    done.wait();
    return failures ? 1 : 0;
}

int run_load(const std::string &url, int in_flight, int seconds) {
    auto load = std::make_shared<Load>(url);
    WFFacilities::WaitGroup done(1);
    ParallelWork *all =
        Workflow::create_parallel_work([&done](const ParallelWork *) { done.done(); });
    for (int i = 0; i < in_flight; i++)
        all->add_series(Workflow::create_series_work(load_call(load), nullptr));
    Clock::time_point begin = Clock::now();
    load->end = begin + std::chrono::seconds(seconds);
    all->start();
    done.wait();
    double took = ms_since(begin) / 1000.0;

    std::sort(load->ms.begin(), load->ms.end());
    printf("%zu\t%d\t%.0f\t%.0f\t%.0f\t%.0f\n", load->ms.size(), load->failures,
           static_cast<double>(load->ms.size()) / took, percentile(load->ms, 50),
           percentile(load->ms, 99), load->ms.back());
    return load->failures ? 1 : 0;
}

} // namespace demo
