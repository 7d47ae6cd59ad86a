// Weft - tutorial 04: fetch many pages at the same time
// SPDX-License-Identifier: Apache-2.0
//
// One series per URL, all in one parallel, whose callback sees every result.
// Page: docs/tutorial-04-parallel_wget.md

#include <chrono>
#include <stdio.h>
#include <string>
#include <vector>

#include "workflow/HttpMessage.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "args.h"

typedef std::chrono::steady_clock Clock;

// Written before the start and by the last callback. Static, since after Ctrl-C the callbacks
// run once more, with state ABORTED, when main has already returned.
static Clock::time_point all_began;
static int exit_code = 130;

// One line of the table. Belongs to the series of its URL, which alone writes to it.
struct Page {
    std::string url;
    std::string outcome;
    size_t bytes;
    Clock::time_point begin;
    double ms;
};

static void on_answer(WFHttpTask *task) {
    Page *page = static_cast<Page *>(series_of(task)->get_context());
    page->ms = std::chrono::duration<double, std::milli>(Clock::now() - page->begin).count();

    if (task->get_state() == WFT_STATE_SUCCESS) {
        const void *body = NULL;
        task->get_resp()->get_parsed_body(&body, &page->bytes);
        page->outcome = task->get_resp()->get_status_code();
    } else {
        page->outcome = WFGlobal::get_error_string(task->get_state(), task->get_error());
    }
}

static SeriesWork *fetch_series(const std::string &url) {
    Page *page = new Page{url, "", 0, Clock::now(), 0.0};
    WFHttpTask *task = WFTaskFactory::create_http_task(url, 5, 1, on_answer);
    SeriesWork *series = Workflow::create_series_work(task, nullptr);
    series->set_context(page);
    return series;
}

// Runs when the last series has ended, on the thread that ended it. The series objects are
// still alive here, so their contexts can be read and freed; results stand in add order.
static void print_table(const ParallelWork *all) {
    double sum = 0.0;
    printf("%-24s %10s %9s  %s\n", "outcome", "bytes", "ms", "url");
    for (const SeriesWork *series : *all) {
        Page *page = static_cast<Page *>(series->get_context());
        printf("%-24s %10zu %9.1f  %s\n", page->outcome.c_str(), page->bytes, page->ms,
               page->url.c_str());
        sum += page->ms;
        delete page;
    }
    double took = std::chrono::duration<double, std::milli>(Clock::now() - all_began).count();
    printf("%zu pages: %.1f ms one after another, %.1f ms side by side\n", all->size(), sum, took);
    exit_code = 0;
    end_wait();
}

int main(int argc, char *argv[]) {
    if (argc < 2 || argv[1][0] == '-') {
        fprintf(stderr,
                "usage: %s URL...\n"
                "Fetches all URLs at the same time and prints one line for each.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    ParallelWork *all = Workflow::create_parallel_work(print_table);
    for (int i = 1; i < argc; i++) {
        std::string url = argv[i];
        if (url.find("://") == std::string::npos)
            url.insert(0, "http://");
        all->add_series(fetch_series(url));
    }

    all_began = Clock::now();
    all->start();
    ctrl_c_group().wait();
    return exit_code;
}
