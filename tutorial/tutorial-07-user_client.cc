// Weft - tutorial 07: a client for a protocol of our own
// SPDX-License-Identifier: Apache-2.0
//
// Sends its arguments as netstrings, one after the other, over one kept connection.
// Page: docs/tutorial-07-user_protocol.md

#include <stdio.h>
#include <string>

#include "workflow/WFGlobal.h"
#include "workflow/Workflow.h"

#include "args.h"
#include "tutorial-07-netstring.h"

static const int kRetryMax = 1;
static const int kKeepAliveMs = 5000;

// What is left to send. Static: see tutorial 04 on Ctrl-C.
static std::string server_url;
static char **texts;
static int exit_code = 1;

static void on_answer(netstring::Task *task);

static netstring::Task *request_task(const char *text) {
    netstring::Task *task =
        netstring::Factory::create_client_task(TT_TCP, server_url, kRetryMax, on_answer);
    task->get_req()->set_text(text);
    task->get_resp()->set_size_limit(64 * 1024);
    // A task of a user's protocol closes its connection by default.
    task->set_keep_alive(kKeepAliveMs);
    return task;
}

static void on_answer(netstring::Task *task) {
    int state = task->get_state();
    if (state != WFT_STATE_SUCCESS) {
        fprintf(stderr, "no answer: %s\n", WFGlobal::get_error_string(state, task->get_error()));
        return;
    }
    printf("%lld: %s -> %s\n", task->get_task_seq(), task->get_req()->text().c_str(),
           task->get_resp()->text().c_str());
    if (*++texts)
        series_of(task)->push_back(request_task(*texts));
    else
        exit_code = 0;
}

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc < 4 || !parse_port(argv[2], &port)) {
        fprintf(stderr,
                "usage: %s HOST PORT TEXT...\n"
                "Sends each TEXT to a tutorial 07 server and prints the answers.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    // "netstring" is no scheme that Weft knows, so the URL must name the port.
    server_url = std::string("netstring://") + argv[1] + ":" + std::to_string(port);
    texts = argv + 3;
    Workflow::start_series_work(request_task(*texts), [](const SeriesWork *) { end_wait(); });
    ctrl_c_group().wait();
    return exit_code;
}
