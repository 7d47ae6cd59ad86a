// Weft - the demo: a server that builds a graph of tasks for every request
// SPDX-License-Identifier: Apache-2.0
//
//     GET /quote/ITEM
//
//         +--> stock ---+
//     ----+--> price ---+--> choose (on a compute thread) --> answer
//         +--> rating --+                                       ^
//     ----- limit (a timer) ------------------------------------+
//
// Whoever comes first, the graph or the limit, opens the gate; the gate is a counter task in the
// series of the request, so the reply leaves when it opens. What comes too late finds nobody.
//
//     GET /quote/ITEM?slow   one back end dawdles: the limit decides
//     GET /timeline/N        the picture of request N (of the last few hundred)
//     GET /trace/start       from now on the engine records what every task does;
//     GET /trace.html        that as a page, and
//     GET /trace.json        for ui.perfetto.dev

#include <stdio.h>
#include <stdlib.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFGraphTask.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"
#include "workflow/wf/timeline.h"
#include "workflow/wf/trace.h"

#include "demo.h"
#include "timeline.h"

namespace demo {

namespace {

// One request from arrival to answer. Shared by the callbacks of its tasks, since a back end may
// still be at work when the answer is gone; the last of them frees it.
struct Quote {
    Quote(long number, const std::string &name, bool dawdle)
        : id(number), item(name), slow(dawdle),
          timeline("request " + std::to_string(number) + ", /quote/" + name +
                   (dawdle ? "?slow" : "")) {}

    const long id;
    const std::string item;
    const bool slow;
    Timeline timeline;

    std::mutex mutex;            // Guards the rest.
    std::string facts[BACKENDS]; // Empty while unknown.
    std::string verdict;
    bool answered = false;

    // The names under which tasks of this request are found by its other tasks. A named counter
    // may be counted when it has gone already, which a pointer would not survive.
    std::string gate() const { return "gate " + std::to_string(id); }
    std::string limit() const { return "limit " + std::to_string(id); }
};

using QuotePtr = std::shared_ptr<Quote>;

// The last quotes by number, for /timeline. Locked by its own mutex.
class History {
public:
    void add(const QuotePtr &quote) {
        std::lock_guard<std::mutex> lock(mutex_);
        quotes_[quote->id] = quote;
        if (quotes_.size() > kKept)
            quotes_.erase(quotes_.begin());
    }

    QuotePtr find(long id) {
        std::lock_guard<std::mutex> lock(mutex_);
        auto found = quotes_.find(id);
        return found == quotes_.end() ? nullptr : found->second;
    }

private:
    static constexpr size_t kKept = 400;
    std::mutex mutex_;
    std::map<long, QuotePtr> quotes_;
};

// Static: tasks may outlive main() by a little.
History history;
unsigned short backend_ports[BACKENDS];
std::atomic<long> next_id(1);
wf::TimelineRecorder recorder;

void on_fact(const QuotePtr &quote, int which, WFHttpTask *task) {
    std::string outcome;
    bool good = task->get_state() == WFT_STATE_SUCCESS;
    if (good)
        outcome = protocol::HttpUtil::decode_chunked_body(task->get_resp());
    else
        outcome = WFGlobal::get_error_string(task->get_state(), task->get_error());

    std::lock_guard<std::mutex> lock(quote->mutex);
    quote->timeline.end(kBackendNames[which], outcome + (quote->answered ? ", too late" : ""));
    if (good)
        quote->facts[which] = outcome;
}

// A dynamic task is made when the graph comes to it; this is how the beginning gets noted.
SubTask *fetch(const QuotePtr &quote, int which) {
    return WFTaskFactory::create_dynamic_task([quote, which](WFDynamicTask *) -> SubTask * {
        quote->timeline.begin(kBackendNames[which]);
        bool dawdle = quote->slow && which == RATING;
        std::string url = "http://127.0.0.1:" + std::to_string(backend_ports[which]) + "/" +
                          quote->item + (dawdle ? "?slow" : "");
        WFHttpTask *task = WFTaskFactory::create_http_task(
            url, 0, 1, [quote, which](WFHttpTask *t) { on_fact(quote, which, t); });
        task->set_watch_timeout(2000);
        wf::name_task(task, kBackendNames[which]);
        return task;
    });
}

// Pretends to weigh the facts: plain computing for a good part of a millisecond.
SubTask *choose(const QuotePtr &quote) {
    return WFTaskFactory::create_go_task("choose", [quote]() {
        quote->timeline.begin("choose");
        unsigned score = 1;
        for (unsigned i = 0; i < 500 * 1000; i++)
            score = score * 1664525u + 1013904223u + i;
        std::string verdict = score % 2 ? "buy it" : "wait a week";
        std::lock_guard<std::mutex> lock(quote->mutex);
        quote->verdict = verdict;
        quote->timeline.end("choose", verdict + (quote->answered ? ", too late" : ""));
    });
}

WFGraphTask *graph_of(const QuotePtr &quote) {
    WFGraphTask *graph = WFTaskFactory::create_graph_task([quote](WFGraphTask *) {
        WFTaskFactory::cancel_by_name(quote->limit());
        WFTaskFactory::count_by_name(quote->gate());
    });
    WFGraphNode &join = graph->create_graph_node(choose(quote));
    for (int which = 0; which < BACKENDS; which++) {
        WFGraphNode &node = graph->create_graph_node(fetch(quote, which));
        // clang-format off
        node-->join;
        // clang-format on
    }
    return graph;
}

WFTimerTask *limit_of(const QuotePtr &quote) {
    return WFTaskFactory::create_timer_task(
        quote->limit(), 0, kLimitMs * 1000000L, [quote](WFTimerTask *timer) {
            bool reached = timer->get_state() == WFT_STATE_SUCCESS;
            quote->timeline.end("limit", reached ? "reached" : "not needed");
            if (reached)
                WFTaskFactory::count_by_name(quote->gate());
        });
}

// The gate is open: say what is known. Runs in the series of the request, the last before its
// reply.
void write_answer(WFHttpTask *task, const QuotePtr &quote) {
    std::string text = quote->item + ":";
    int missing = 0;
    {
        std::lock_guard<std::mutex> lock(quote->mutex);
        quote->answered = true;
        for (int which = 0; which < BACKENDS; which++) {
            missing += quote->facts[which].empty();
            text += std::string(which ? ", " : " ") + kBackendNames[which] + " " +
                    (quote->facts[which].empty() ? "unknown" : quote->facts[which]);
        }
        if (!quote->verdict.empty())
            text += "; " + quote->verdict;
    }
    quote->timeline.mark("answer", missing ? "without all facts" : "complete");
    protocol::HttpResponse *resp = task->get_resp();
    resp->add_header_pair("Content-Type", "text/plain");
    resp->add_header_pair("X-Request", std::to_string(quote->id));
    resp->append_output_body(text + "\n");
}

void serve_quote(WFHttpTask *task, const std::string &path, bool slow) {
    QuotePtr quote = std::make_shared<Quote>(next_id++, path.substr(7), slow);
    history.add(quote);

    *series_of(task) << WFTaskFactory::create_counter_task(
        quote->gate(), 1, [task, quote](WFCounterTask *) { write_answer(task, quote); });

    quote->timeline.begin("limit");
    WFTimerTask *limit = limit_of(quote);
    WFGraphTask *graph = graph_of(quote);
    wf::name_task(limit, "limit");
    wf::name_task(graph, "facts");
    limit->start();
    graph->start();
}

// False: it is another path.
bool serve_trace(WFHttpTask *task, const std::string &path) {
    protocol::HttpResponse *resp = task->get_resp();
    bool page = path == "/trace.html";
    if (path == "/trace/start") {
        recorder.stop();
        recorder.start();
        resp->append_output_body(std::string("recording\n"));
    } else if (page || path == "/trace.json") {
        wf::Timeline timeline = recorder.get();
        resp->add_header_pair("Content-Type", page ? "text/html" : "application/json");
        resp->append_output_body(page ? timeline.html("Weft demo") : timeline.chrome_json());
    } else {
        return false;
    }
    return true;
}

void serve(WFHttpTask *task) {
    std::string uri = task->get_req()->get_request_uri();
    std::string path = uri.substr(0, uri.find('?'));
    bool slow = uri.size() > path.size() && uri.compare(path.size(), 5, "?slow") == 0;
    if (path.compare(0, 7, "/quote/") == 0 && path.size() > 7) {
        serve_quote(task, path, slow);
        return;
    }
    if (serve_trace(task, path))
        return;

    protocol::HttpResponse *resp = task->get_resp();
    resp->add_header_pair("Content-Type", "text/plain");
    QuotePtr quote;
    if (path.compare(0, 10, "/timeline/") == 0)
        quote = history.find(strtol(path.c_str() + 10, nullptr, 10));
    if (quote) {
        resp->append_output_body(quote->timeline.text());
        return;
    }
    protocol::HttpUtil::set_response_status(resp, HttpStatusNotFound);
    resp->append_output_body("try /quote/tea, /quote/tea?slow, or /timeline/1 after that\n");
}

} // namespace

int run_front(unsigned short port, const unsigned short (&backends)[BACKENDS]) {
    std::copy(backends, backends + BACKENDS, backend_ports);
    WFHttpServer server(serve);
    if (server.start("127.0.0.1", port) < 0) {
        perror("cannot start the server");
        return 1;
    }
    printf("front %hu\n", port_of(server));
    fflush(stdout);
    wait_for_ctrl_c();
    server.stop();
    return 0;
}

} // namespace demo
