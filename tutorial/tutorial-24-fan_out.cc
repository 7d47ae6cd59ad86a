// Weft - tutorial 24: a server whose handler is a coroutine: many calls under one limit of time
// SPDX-License-Identifier: Apache-2.0
//
//   fan_out PORT SECONDS URL [URL...]
//
// GET / asks all URLs at once and answers with a line for each; GET /first answers with the first
// that is good, and cancels the others. Either takes so many seconds at
// most. The page is docs/tutorial-24-fan_out.md.
#include <stdio.h>

#include <string>
#include <vector>

#include "workflow/WFHttpServer.h"
#include "workflow/wf/coro_task.h"
#include "workflow/wf/sync.h"

#include "args.h"

namespace {

struct Line {
    bool good = false;
    std::string text;
};

// Arguments are values: they live as long as the coroutine.
wf::Task<Line> ask(std::string url) {
    wf::HttpResult result = co_await wf::http_get(url);
    Line line;
    line.good = result.ok();
    line.text = url + ": ";
    if (line.good)
        line.text += result.value.get_status_code();
    else
        line.text += result.message();
    line.text += "\n";
    co_return line;
}

wf::Task<std::string> ask_all(std::vector<std::string> urls) {
    std::vector<wf::Task<Line>> calls;
    for (const std::string &url : urls)
        calls.push_back(ask(url));
    std::string text;
    for (const Line &line : co_await wf::all(std::move(calls)))
        text += line.text;
    co_return text;
}

// any() ends with the first call that returns, so one that is not good returns only when none is.
wf::Task<std::string> ask_first(std::vector<std::string> urls) {
    wf::Latch failed(urls.size());
    auto ask_good = [&failed](std::string url) -> wf::Task<Line> {
        Line line = co_await ask(std::move(url));
        if (!line.good) {
            failed.count_down();
            (void)co_await failed.wait();
        }
        co_return line;
    };
    std::vector<wf::Task<Line>> calls;
    for (const std::string &url : urls)
        calls.push_back(ask_good(url));
    wf::First<Line> first = co_await wf::any(std::move(calls));
    std::string text = first.value.text;
    if (!first.value.good)
        text = "none of them\n";
    co_return text;
}

// When the client hangs up, this is cut: what it awaits ends at once.
wf::Task<void> serve(WFHttpTask *session, std::chrono::seconds limit,
                     std::vector<std::string> urls) {
    std::string path = session->get_req()->get_request_uri();
    std::string text;
    if (path == "/first")
        text = co_await wf::with_timeout(limit, ask_first(std::move(urls)));
    else
        text = co_await wf::with_timeout(limit, ask_all(std::move(urls)));
    int cut = co_await wf::cut_error();
    if (cut == ECANCELED)
        printf("%s: the client has gone\n", path.c_str());
    fflush(stdout);
    session->get_resp()->append_output_body(text);
}

} // namespace

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    long seconds = 0;
    if (argc < 4 || !parse_port(argv[1], &port) || !parse_number(argv[2], 1, 3600, &seconds)) {
        fprintf(stderr,
                "usage: %s PORT SECONDS URL [URL...]\n"
                "Asks all URLs for whoever asks PORT (0: a free one), for SECONDS at most.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    std::vector<std::string> urls(argv + 3, argv + argc);
    WFHttpServer server(wf::coroutine_handler<WFHttpTask>(
        [urls, limit = std::chrono::seconds(seconds)](WFHttpTask *session) {
            return serve(session, limit, urls);
        }));
    if (server.start("127.0.0.1", port) < 0) {
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
