// Weft - tutorial 21: limits without waiting threads
// SPDX-License-Identifier: Apache-2.0
//
// Fetches many URLs: a resource pool limits how many requests are under way in all, a guard for
// each host lets it serve only one of them at a time. Page: docs/tutorial-21-limits.md

#include <atomic>
#include <stdio.h>
#include <string>

#include "workflow/HttpMessage.h"
#include "workflow/URIParser.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFResourcePool.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "args.h"

// What stands for the right to send a request. Static, since the last tasks may give theirs back
// when Ctrl-C has ended the wait in main.
static WFResourcePool *slots;
static std::atomic<long> under_way(0);
static std::atomic<long> most(0);
static std::atomic<int> failed(0);
static int exit_code = 130;

struct Page {
    std::string url;
    std::string host; // and port: the name of the guard
};

static void on_answer(WFHttpTask *task, const Page &page) {
    if (task->get_state() == WFT_STATE_SUCCESS) {
        printf("%s %s\n", task->get_resp()->get_status_code(), page.url.c_str());
    } else {
        printf("%s: %s\n", page.url.c_str(),
               WFGlobal::get_error_string(task->get_state(), task->get_error()));
        failed++;
    }
    under_way--;

    // In the other order than they were taken. What waits for them goes on inside these calls, or,
    // after the safe one, on another thread.
    slots->post(NULL);
    WFTaskFactory::release_guard_safe(page.host, NULL);
}

// Runs when the turn has come: only then is the request made.
static SubTask *request(const Page &page) {
    long now = ++under_way;
    long before = most;
    while (now > before && !most.compare_exchange_weak(before, now))
        continue;
    return WFTaskFactory::create_http_task(page.url, 0, 0,
                                           [page](WFHttpTask *task) { on_answer(task, page); });
}

// The host's turn first, then a slot: so no slot is taken by somebody who waits for a busy host.
static SubTask *fetch(const Page &page) {
    SubTask *task =
        WFTaskFactory::create_dynamic_task([page](WFDynamicTask *) { return request(page); });
    return WFTaskFactory::create_guard(page.host, slots->get(task));
}

int main(int argc, char *argv[]) {
    long limit = 0;
    if (argc < 3 || !parse_number(argv[1], 1, 1000, &limit)) {
        fprintf(stderr,
                "usage: %s LIMIT URL...\n"
                "Fetches all URLs, at most LIMIT at a time and one of each host at a time.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    static WFResourcePool pool(static_cast<size_t>(limit));
    slots = &pool;

    ParallelWork *all = Workflow::create_parallel_work([](const ParallelWork *) {
        printf("at most %ld at a time\n", most.load());
        exit_code = failed > 0 ? 1 : 0;
        end_wait();
    });
    for (int i = 2; i < argc; i++) {
        Page page;
        ParsedURI uri;
        page.url = argv[i];
        if (page.url.find("://") == std::string::npos)
            page.url.insert(0, "http://");
        URIParser::parse(page.url, uri);
        page.host = std::string(uri.host ? uri.host : "") + ":" + (uri.port ? uri.port : "");
        all->add_series(Workflow::create_series_work(fetch(page), nullptr));
    }
    all->start();
    ctrl_c_group().wait();
    return exit_code;
}
