// Weft - the HTTP client that the benchmarks measure
// SPDX-License-Identifier: Apache-2.0
//
//   http_client -p PORT [-c IN_FLIGHT] [-d SECONDS] [-w WARM_SECONDS] [-t POLLERS]
//
// Keeps a number of calls in flight against a server on this machine: each callback puts the next
// call behind itself in its series. Prints one JSON object: calls, processor time of this process
// per call, and the rate.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <unistd.h>

#include "workflow/HttpMessage.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

namespace {

std::string url;
std::atomic<bool> ending;
std::atomic<uint64_t> calls;
std::atomic<uint64_t> errors;

double clock_seconds(clockid_t id) {
    struct timespec t;

    clock_gettime(id, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

void on_answer(WFHttpTask *task) {
    if (task->get_state() == WFT_STATE_SUCCESS) {
        calls.fetch_add(1, std::memory_order_relaxed);
    } else {
        errors.fetch_add(1, std::memory_order_relaxed);
    }
    if (!ending.load(std::memory_order_relaxed)) {
        *series_of(task) << WFTaskFactory::create_http_task(url, 0, 0, on_answer);
    }
}

void sleep_for(double seconds) {
    struct timespec t;

    t.tv_sec = static_cast<time_t>(seconds);
    t.tv_nsec = static_cast<long>((seconds - static_cast<double>(t.tv_sec)) * 1e9);
    nanosleep(&t, nullptr);
}

void measure(unsigned in_flight, double warm, double seconds) {
    WFFacilities::WaitGroup chains(static_cast<int>(in_flight));
    double wall, cpu;
    uint64_t count;

    for (unsigned i = 0; i < in_flight; i++) {
        Workflow::start_series_work(WFTaskFactory::create_http_task(url, 0, 0, on_answer),
                                    [&chains](const SeriesWork *) { chains.done(); });
    }
    sleep_for(warm);
    wall = clock_seconds(CLOCK_MONOTONIC);
    cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    count = calls.load();
    sleep_for(seconds);
    wall = clock_seconds(CLOCK_MONOTONIC) - wall;
    cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    count = calls.load() - count;
    ending = true;
    chains.wait();
    printf("{\"requests\": %llu, \"errors\": %llu, \"seconds\": %.6f, \"rate\": %.1f, "
           "\"us\": %.4f, \"cores\": %.3f}\n",
           static_cast<unsigned long long>(count), static_cast<unsigned long long>(errors.load()),
           wall, static_cast<double>(count) / wall,
           count ? cpu * 1e6 / static_cast<double>(count) : 0.0, cpu / wall);
}

} // namespace

int main(int argc, char **argv) {
    struct WFGlobalSettings settings = GLOBAL_SETTINGS_DEFAULT;
    unsigned in_flight = 64;
    double seconds = 2, warm = 0.3;
    int opt;

    while ((opt = getopt(argc, argv, "p:c:d:w:t:")) != -1) {
        switch (opt) {
        case 'p':
            url = std::string("http://127.0.0.1:") + optarg + "/";
            break;
        case 'c':
            in_flight = static_cast<unsigned>(atoi(optarg));
            break;
        case 'd':
            seconds = atof(optarg);
            break;
        case 'w':
            warm = atof(optarg);
            break;
        case 't':
            settings.poller_threads = atoi(optarg);
            break;
        default:
            fprintf(stderr, "usage: %s -p port [-c calls] [-d s] [-w s] [-t pollers]\n", argv[0]);
            return 2;
        }
    }
    settings.endpoint_params.max_connections = in_flight + 16;
    WORKFLOW_library_init(&settings);
    measure(in_flight, warm, seconds);
    return 0;
}
