// Weft - tutorial 20: the first answer wins
// SPDX-License-Identifier: Apache-2.0
//
// Asks several servers for the same thing and takes what comes first. Conditionals hold the
// requests back until all are ready, a selector picks the winner. Page:
// docs/tutorial-20-first_answer.md

#include <errno.h>
#include <stdio.h>
#include <string>
#include <vector>

#include "workflow/HttpMessage.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "args.h"

struct Runner {
    std::string url;
    std::string status;
    size_t bytes;
};

// Static, since tasks still use them when Ctrl-C has ended the wait in main.
static std::vector<Runner> runners;
static WFSelectorTask *finish;
static int exit_code = 130;

static void on_answer(WFHttpTask *task, Runner *runner) {
    // Each must submit once: something, or NULL for having nothing.
    if (task->get_state() != WFT_STATE_SUCCESS) {
        printf("%s: %s\n", runner->url.c_str(),
               WFGlobal::get_error_string(task->get_state(), task->get_error()));
        finish->submit(NULL);
        return;
    }
    const void *body = NULL;
    runner->status = task->get_resp()->get_status_code();
    task->get_resp()->get_parsed_body(&body, &runner->bytes);
    if (finish->submit(runner) == 0)
        printf("%s: too late\n", runner->url.c_str());
}

static void on_finish(WFSelectorTask *task) {
    if (task->get_state() == WFT_STATE_SUCCESS) {
        const Runner *winner = static_cast<Runner *>(task->get_message());
        printf("first: %s, status %s, %zu bytes\n", winner->url.c_str(), winner->status.c_str(),
               winner->bytes);
        fflush(stdout); // others may take long
        exit_code = 0;
    } else if (task->get_error() == ENOMSG) {
        printf("nobody answered\n");
        exit_code = 1;
    }
}

static SeriesWork *lane(Runner *runner) {
    WFHttpTask *task = WFTaskFactory::create_http_task(
        runner->url, 5, 0, [runner](WFHttpTask *t) { on_answer(t, runner); });
    // It is the conditional that the series starts. The request is sent when that is signalled.
    return Workflow::create_series_work(WFTaskFactory::create_conditional("go", task), nullptr);
}

int main(int argc, char *argv[]) {
    if (argc < 2 || argv[1][0] == '-') {
        fprintf(stderr,
                "usage: %s URL...\n"
                "Asks for all URLs at the same time and reports which answered first.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    for (int i = 1; i < argc; i++) {
        std::string url = argv[i];
        if (url.find("://") == std::string::npos)
            url.insert(0, "http://");
        runners.push_back(Runner{url, "", 0});
    }

    finish = WFTaskFactory::create_selector_task(runners.size(), on_finish);
    ParallelWork *race = Workflow::create_parallel_work([](const ParallelWork *) { end_wait(); });
    race->add_series(Workflow::create_series_work(finish, nullptr));
    for (Runner &runner : runners)
        race->add_series(lane(&runner));
    race->start();

    // The starting gun. It says how many heard it.
    int started = WFTaskFactory::signal_by_name("go", NULL);
    printf("%d started\n", started);
    ctrl_c_group().wait();
    return exit_code;
}
