// Weft - the demo: the back ends
// SPDX-License-Identifier: Apache-2.0
//
// Each knows one fact about an item and needs some time to say it. The time is a timer task in
// the series of the request, so a waiting answer occupies no thread.

#include <stdio.h>

#include <functional>
#include <memory>
#include <string>

#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "demo.h"

namespace demo {

namespace {

// Invented facts, but always the same for the same item.
std::string fact(int which, const std::string &item) {
    size_t hash = std::hash<std::string>()(item);
    switch (which) {
    case STOCK:
        return std::to_string(1 + hash % 40) + " in stock";
    case PRICE:
        return std::to_string(2 + hash % 7) + "." + std::to_string(10 + hash % 90) + " EUR";
    default:
        return std::to_string(1 + hash % 5) + " of 5 stars";
    }
}

void answer(int which, WFHttpTask *task) {
    std::string uri = task->get_req()->get_request_uri();
    bool slow = uri.find("?slow") != std::string::npos;
    std::string item = uri.substr(1, uri.find('?') - 1);
    task->get_resp()->append_output_body(fact(which, item));
    int ms = slow ? kSlowMs : kDelaysMs[which];
    *series_of(task) << WFTaskFactory::create_timer_task(0, ms * 1000000L, nullptr);
}

} // namespace

int run_backends() {
    std::unique_ptr<WFHttpServer> servers[BACKENDS];
    std::string ports;
    for (int which = 0; which < BACKENDS; which++) {
        servers[which].reset(new WFHttpServer([which](WFHttpTask *task) { answer(which, task); }));
        if (servers[which]->start("127.0.0.1", 0) < 0) {
            perror("cannot start a back end");
            return 1;
        }
        ports += " " + std::to_string(port_of(*servers[which]));
    }
    printf("backends%s\n", ports.c_str());
    fflush(stdout);
    wait_for_ctrl_c();
    for (auto &server : servers)
        server->shutdown();
    for (auto &server : servers)
        server->wait_finish();
    return 0;
}

} // namespace demo
