// Weft - tutorial 13: a server with a status page and metrics of its own
// SPDX-License-Identifier: Apache-2.0
//
// Page: docs/tutorial-13-status_page.md

#include <stdio.h>
#include <string>

#include "workflow/HttpUtil.h"
#include "workflow/WFHttpServer.h"
#include "workflow/wf/metrics.h"
#include "workflow/wf/status.h"

#include "args.h"

static constexpr long MAX_WAIT_MS = 10000;

// What this program counts, beside what the engine does. Made once, used by all threads.
struct Counts {
    wf::Counter good;
    wf::Counter bad;
    wf::Gauge now;
    wf::Histogram length;

    Counts()
        : good("waits", "Waits that were asked for.", wf::MetricUnit::NONE, {{"result", "good"}}),
          bad("waits", "Waits that were asked for.", wf::MetricUnit::NONE, {{"result", "bad"}}),
          now("waits_now", "Waits that go on."),
          length("wait", "How long was waited.", wf::MetricUnit::SECONDS) {}
};

static Counts &counts() {
    static Counts all;
    return all;
}

// /wait/250 is answered 250 ms later; no thread waits meanwhile.
static void wait_and_answer(WFHttpTask *task, const std::string &text) {
    long ms = 0;
    if (!parse_number(text.c_str(), 0, MAX_WAIT_MS, &ms)) {
        counts().bad.add();
        protocol::HttpUtil::set_response_status(task->get_resp(), HttpStatusBadRequest);
        return;
    }
    counts().good.add();
    counts().now.add();
    counts().length.observe(std::chrono::milliseconds(ms));
    auto *timer = WFTaskFactory::create_timer_task(ms / 1000, ms % 1000 * 1000000,
                                                   [](WFTimerTask *) { counts().now.sub(); });
    task->get_resp()->append_output_body("waited " + std::to_string(ms) + " ms\n");
    series_of(task)->push_back(timer);
}

static void process(WFHttpTask *task) {
    // Whoever may connect may see the page: a real server would ask who it is first.
    wf::StatusOptions options;
    options.title = "Status of the tutorial";
    if (wf::serve_status(task, options)) // /status, and what the page reads
        return;

    std::string target = task->get_req()->get_request_uri();
    if (target.compare(0, 6, "/wait/") == 0)
        wait_and_answer(task, target.substr(6));
    else
        task->get_resp()->append_output_body("Try /wait/250, and look at /status.\n");
}

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc != 2 || !parse_port(argv[1], &port)) {
        fprintf(stderr,
                "usage: %s PORT\n"
                "Shows its status at /status. Port 0 lets the system choose.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    counts();
    wf::set_slow_threshold(std::chrono::milliseconds(200));
    WFHttpServer server(process);
    if (server.start(port) < 0) {
        perror("cannot start the server");
        return 1;
    }
    printf("listening on port %u; Ctrl-C ends\n", port_of(server));
    fflush(stdout);
    ctrl_c_group().wait();
    server.stop();
    printf("stopped\n");
    return 0;
}
