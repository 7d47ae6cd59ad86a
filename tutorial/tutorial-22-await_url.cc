// Weft - tutorial 22: again and again, as one step
// SPDX-License-Identifier: Apache-2.0
//
// Waits until a server answers, with longer and longer pauses, then fetches a page from it. The
// waiting is a repeater inside a module. Page: docs/tutorial-22-modules_and_repeaters.md

#include <stdio.h>
#include <string.h>
#include <string>

#include "workflow/HttpMessage.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "args.h"

// The state of the waiting. Belongs to the module, whose tasks alone touch it, one after another.
struct Patience {
    std::string url;
    long tries_left;
    long pause_ms;
    bool ready;
};

static int exit_code = 130;

static void on_try(WFHttpTask *task) {
    Patience *patience = static_cast<Patience *>(series_of(task)->get_context());
    patience->tries_left--;
    if (task->get_state() != WFT_STATE_SUCCESS) {
        printf("not yet: %s\n", WFGlobal::get_error_string(task->get_state(), task->get_error()));
        return;
    }
    const char *status = task->get_resp()->get_status_code();
    patience->ready = strcmp(status, "503") != 0;
    if (!patience->ready)
        printf("not yet: status 503\n");
}

static void try_once(SeriesWork *series) {
    Patience *patience = static_cast<Patience *>(series->get_context());
    series->push_front(WFTaskFactory::create_http_task(patience->url, 0, 0, on_try));
}

// One round: a pause, at first of no time at all, and then a try. NULL ends the rounds.
static SubTask *next_round(WFRepeaterTask *repeater) {
    Patience *patience = static_cast<Patience *>(series_of(repeater)->get_context());
    if (patience->ready || patience->tries_left == 0)
        return NULL;
    long ms = patience->pause_ms;
    patience->pause_ms = ms == 0 ? 10 : ms < 1000 ? 2 * ms : ms;
    return WFTaskFactory::create_timer_task(ms / 1000, ms % 1000 * 1000000L,
                                            [](WFTimerTask *pause) { try_once(series_of(pause)); });
}

// All of the waiting as one task. Who uses it sees neither the rounds nor their state.
static WFModuleTask *await_url(const std::string &url, long tries, bool *ready) {
    WFRepeaterTask *repeater = WFTaskFactory::create_repeater_task(next_round, nullptr);
    WFModuleTask *module =
        WFTaskFactory::create_module_task(repeater, [ready](const WFModuleTask *task) {
            Patience *patience = static_cast<Patience *>(task->sub_series()->get_context());
            *ready = patience->ready;
            delete patience;
        });
    module->sub_series()->set_context(new Patience{url, tries, 0, false});
    return module;
}

static void on_page(WFHttpTask *task) {
    const void *body = NULL;
    size_t size = 0;
    if (task->get_state() != WFT_STATE_SUCCESS)
        return;
    task->get_resp()->get_parsed_body(&body, &size);
    printf("ready: status %s, %zu bytes\n", task->get_resp()->get_status_code(), size);
    exit_code = 0;
}

int main(int argc, char *argv[]) {
    long tries = 10;
    if (argc < 2 || argc > 3 || argv[1][0] == '-' ||
        (argc == 3 && !parse_number(argv[2], 1, 1000000, &tries))) {
        fprintf(stderr,
                "usage: %s URL [TRIES]\n"
                "Waits until URL answers, with at most TRIES tries (default 10), and fetches it.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    std::string url = argv[1];
    if (url.find("://") == std::string::npos)
        url.insert(0, "http://");

    // First the module, then what needs the server to be there.
    static bool ready = false;
    SeriesWork *series =
        Workflow::create_series_work(await_url(url, tries, &ready), [](const SeriesWork *) {
            if (!ready) {
                printf("gave up\n");
                exit_code = 1;
            }
            end_wait();
        });
    series->push_back(WFTaskFactory::create_dynamic_task([url](WFDynamicTask *) -> SubTask * {
        if (!ready)
            return WFTaskFactory::create_empty_task();
        return WFTaskFactory::create_http_task(url, 5, 0, on_page);
    }));
    series->start();
    ctrl_c_group().wait();
    return exit_code;
}
