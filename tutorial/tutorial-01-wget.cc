// Weft - tutorial 01: fetch one page
// SPDX-License-Identifier: Apache-2.0
//
// One HTTP task with redirects and retries. Head goes to stderr, body to stdout.
// Page: docs/tutorial-01-wget.md

#include <stdio.h>
#include <string>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"

#include "args.h"

static const int kRedirectMax = 5;
static const int kRetryMax = 2;

// Written by the callback, read by main after the wait: the group orders the two.
static int exit_code = 1;

static void print_head(protocol::HttpResponse *resp) {
    fprintf(stderr, "%s %s %s\n", resp->get_http_version(), resp->get_status_code(),
            resp->get_reason_phrase());
    protocol::HttpHeaderCursor headers(resp);
    std::string name, value;
    while (headers.next(name, value))
        fprintf(stderr, "%s: %s\n", name.c_str(), value.c_str());
    fprintf(stderr, "\n");
}

// A chunked body is walked chunk by chunk, another one comes as a whole: same loop.
static void print_body(protocol::HttpResponse *resp) {
    protocol::HttpChunkCursor body(resp);
    const void *data = NULL;
    size_t size = 0;
    while (body.next(&data, &size))
        fwrite(data, 1, size, stdout);
    fflush(stdout);
}

// The task, its request and its response live until this function returns.
static void on_answer(WFHttpTask *task) {
    int state = task->get_state();
    if (state == WFT_STATE_ABORTED)
        return; // Ctrl-C: main is already on its way out.

    if (state == WFT_STATE_SUCCESS) {
        print_head(task->get_resp());
        print_body(task->get_resp());
        exit_code = 0;
    } else {
        fprintf(stderr, "no answer: %s (state %d, error %d)\n",
                WFGlobal::get_error_string(state, task->get_error()), state, task->get_error());
    }
    end_wait();
}

int main(int argc, char *argv[]) {
    if (argc != 2 || argv[1][0] == '-' || argv[1][0] == '\0') {
        fprintf(stderr,
                "usage: %s URL\n"
                "Fetches URL (http://host[:port]/path; http:// may be left out).\n",
                argv[0]);
        return 2;
    }

    std::string url = argv[1];
    if (url.find("://") == std::string::npos)
        url.insert(0, "http://");

    watch_ctrl_c();
    WFHttpTask *task = WFTaskFactory::create_http_task(url, kRedirectMax, kRetryMax, on_answer);
    task->get_req()->add_header_pair("Accept", "*/*");
    task->get_req()->add_header_pair("User-Agent", "weft-tutorial");
    task->start();

    ctrl_c_group().wait();
    return exit_code;
}
