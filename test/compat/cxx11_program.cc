// Weft - compat: an old program, compiled as C++11 with -fno-exceptions
// SPDX-License-Identifier: Apache-2.0
//
// Uses HTTP types with the server's header alone, as such programs do.

#include "cxx11_program.h"

#include <netinet/in.h>
#include <stdio.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "workflow/WFAlgoTaskFactory.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFGraphTask.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFMessageQueue.h"
#include "workflow/WFOperator.h"
#include "workflow/WFResourcePool.h"
#include "workflow/Workflow.h"

#if __cplusplus >= 201402L
#error "this file proves C++11"
#endif

static void answer(WFHttpTask *task) {
    const void *body = NULL;
    size_t size = 0;
    task->get_req()->get_parsed_body(&body, &size);
    task->get_resp()->append_output_body(body, size);
    task->get_resp()->append_output_body(" from C++11");
}

std::string cxx11_round_trip(const std::string &text) {
    WFHttpServer server(answer);
    if (server.start("127.0.0.1", 0) < 0)
        return "cannot start";

    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    server.get_listen_addr((struct sockaddr *)&addr, &len);
    std::string url = "http://127.0.0.1:" + std::to_string(ntohs(addr.sin_port)) + "/";

    std::string result;
    WFFacilities::WaitGroup wait_group(1);
    WFHttpTask *task = WFTaskFactory::create_http_task(url, 0, 0, [&](WFHttpTask *t) {
        const void *body;
        size_t size;
        if (t->get_state() == WFT_STATE_SUCCESS && t->get_resp()->get_parsed_body(&body, &size))
            result.assign(static_cast<const char *>(body), size);
        wait_group.done();
    });
    task->get_req()->set_method("POST");
    task->get_req()->append_output_body(text);
    task->start();
    wait_group.wait();
    server.stop();
    return result;
}

int cxx11_parallel_sum(int n) {
    std::atomic<int> sum(0);
    WFFacilities::WaitGroup wait_group(1);
    ParallelWork *all =
        Workflow::create_parallel_work([&wait_group](const ParallelWork *) { wait_group.done(); });
    typedef WFThreadTaskFactory<int, int> Factory;
    for (int i = 1; i <= n; i++) {
        WFThreadTask<int, int> *task = Factory::create_thread_task(
            "sum", [](int *in, int *out) { *out = *in; },
            [&sum](WFThreadTask<int, int> *t) { sum += *t->get_output(); });
        *task->get_input() = i;
        all->add_series(Workflow::create_series_work(task, nullptr));
    }
    all->start();
    wait_group.wait();
    return sum;
}

int cxx11_graph_nodes() {
    std::atomic<int> ran(0);
    WFFacilities::WaitGroup wait_group(1);
    WFGraphTask *graph =
        WFTaskFactory::create_graph_task([&wait_group](WFGraphTask *) { wait_group.done(); });
    WFGraphNode &a = graph->create_graph_node(WFTaskFactory::create_go_task("g", [&] { ran++; }));
    WFGraphNode &b = graph->create_graph_node(WFTaskFactory::create_go_task("g", [&] { ran++; }));
    WFGraphNode &c = graph->create_graph_node(WFTaskFactory::create_go_task("g", [&] { ran++; }));
    // clang-format off
    a-->b-->c;
    // clang-format on
    graph->start();
    wait_group.wait();
    return ran;
}

bool cxx11_sorts(int n) {
    std::vector<int> numbers;
    for (int i = n; i > 0; i--)
        numbers.push_back(i);
    WFFacilities::WaitGroup wait_group(1);
    WFAlgoTaskFactory::create_psort_task("sort", numbers.data(), numbers.data() + numbers.size(),
                                         [&wait_group](WFSortTask<int> *) { wait_group.done(); })
        ->start();
    wait_group.wait();
    return std::is_sorted(numbers.begin(), numbers.end());
}

std::string cxx11_messages() {
    std::string words[] = {"box", "cond", "guard", "pool", "queue"};
    std::string result;
    void *got = NULL;
    auto say = [&result, &got]() {
        return WFTaskFactory::create_counter_task(0, [&result, &got](WFCounterTask *) {
            result += (result.empty() ? "" : " ") + *static_cast<std::string *>(got);
        });
    };
    WFTaskFactory::create_mailbox_task("c++11", &got, [](WFMailboxTask *) {})->start();
    std::string *const first[] = {&words[0]};
    WFTaskFactory::send_by_name("c++11", first, 1);
    say()->start();
    WFTaskFactory::create_conditional("c++11", say(), &got)->start();
    WFTaskFactory::signal_by_name("c++11", &words[1]);
    WFTaskFactory::create_guard("c++11", WFTaskFactory::create_empty_task())->start();
    WFTaskFactory::create_guard("c++11", say(), &got)->start();
    WFTaskFactory::release_guard("c++11", &words[2]);
    WFTaskFactory::release_guard("c++11", NULL);
    void *all[] = {&words[3]};
    WFResourcePool pool(all, 1);
    pool.get(say(), &got)->start();
    pool.post(got);
    WFMessageQueue queue;
    queue.post(&words[4]);
    queue.get(say(), &got)->start();
    return result;
}
