// Weft - integration: timelines of requests, from the client's and from the server's side
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "integration/raw_socket.h"
#include "integration/timelines.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/coro_task.h"
#include "workflow/wf/timeline.h"

namespace {

using wf::Timeline;
using wf::TimelinePhase;
using wf::TimelineRecorder;
using wf::TimelineSeries;
using wf::TimelineTask;

unsigned short port_of(const WFHttpServer &server) {
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    EXPECT_EQ(0, server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len));
    return ntohs(addr.sin_port);
}

class Timelines : public testing::Test {
protected:
    void serve(std::function<void(WFHttpTask *)> process) {
        server = std::make_unique<WFHttpServer>(std::move(process));
        ASSERT_EQ(0, server->start("127.0.0.1", 0));
        url = "http://127.0.0.1:" + std::to_string(port_of(*server)) + "/";
        ASSERT_EQ(0, recorder.start());
    }
    void ask(const std::string &what) {
        WFFacilities::WaitGroup ended(1);
        WFTaskFactory::create_http_task(what, 0, 0, [&](WFHttpTask *) { ended.done(); })->start();
        ended.wait();
    }
    // With the end of the server every series of it is gone.
    Timeline finish() {
        server->stop();
        wait_for_series(recorder);
        recorder.stop();
        return recorder.get();
    }
    static const TimelineTask *find(const Timeline &timeline, const std::string &type,
                                    const std::string &label = "") {
        for (const TimelineTask &task : timeline.tasks) {
            if (task.type == type && (label.empty() || task.label == label))
                return &task;
        }
        ADD_FAILURE() << "no " << type << " " << label;
        static const TimelineTask none;
        return &none;
    }
    static std::vector<std::string> phases(const TimelineTask &task) {
        std::vector<std::string> names;
        for (const TimelinePhase &phase : task.phases)
            names.push_back(phase.name);
        return names;
    }

    std::unique_ptr<WFHttpServer> server;
    std::string url;
    TimelineRecorder recorder;
};

TEST_F(Timelines, ACallAndItsServer) {
    serve([](WFHttpTask *task) {
        series_of(task)->push_back(WFTaskFactory::create_timer_task(0, 2000000, nullptr));
    });
    ask(url + "path?query=1");
    Timeline timeline = finish();
    std::string host = url.substr(7, url.size() - 8);

    const TimelineTask *call = find(timeline, "HttpClient");
    EXPECT_EQ("GET " + host + "/path?query=1: 200", call->label);
    std::vector<std::string> names = phases(*call);
    const std::vector<std::string> wanted = {"elsewhere", "goes on",   "waiting",  "connecting",
                                             "sending",   "receiving", "complete", "callback"};
    EXPECT_EQ(wanted, names);
    EXPECT_TRUE(std::is_sorted(
        call->phases.begin(), call->phases.end(),
        [](const TimelinePhase &a, const TimelinePhase &b) { return a.begin < b.begin; }));

    const TimelineTask *answer = find(timeline, "HttpServer");
    EXPECT_EQ("GET /path?query=1: 200", answer->label);
    const TimelineSeries &request = timeline.series[answer->series - 1];
    EXPECT_EQ("GET /path?query=1", request.label);
    ASSERT_EQ(3u, request.tasks.size());
    EXPECT_EQ("process", timeline.tasks[request.tasks[0] - 1].type);
    EXPECT_EQ("Timer", timeline.tasks[request.tasks[1] - 1].type);
    // The call, waited for by the test, and the request, which came through the network.
    EXPECT_EQ(2u, timeline.roots().size());
    EXPECT_GE(answer->begin - request.begin, 2000000);
}

TEST_F(Timelines, ACallThatFails) {
    serve(nullptr);
    ask("http://127.0.0.1:" + std::to_string(raw::refusing_port()) + "/");
    Timeline timeline = finish();
    const TimelineTask *call = find(timeline, "HttpClient");
    EXPECT_NE(std::string::npos, call->label.find("Connection refused")) << call->label;
    const std::vector<std::string> wanted = {"elsewhere", "goes on", "waiting", "connecting",
                                             "callback"};
    EXPECT_EQ(wanted, phases(*call));
}

// What the function of a server starts belongs to its request, coroutines and their calls too.
TEST_F(Timelines, WhatARequestStartsIsItsOwn) {
    std::atomic<int> port{0};
    serve([&](WFHttpTask *task) {
        if (std::string(task->get_req()->get_request_uri()) != "/front")
            return;
        std::string back = "http://127.0.0.1:" + std::to_string(port) + "/back";
        WFCounterTask *both = WFTaskFactory::create_counter_task(2, nullptr);
        series_of(task)->push_back(both);
        WFTaskFactory::create_http_task(back, 0, 0, [both](WFHttpTask *) {
            both->count();
        })->start();
        wf::spawn([back, both]() -> wf::Task<void> {
            (void)co_await wf::http_get(back + "?coroutine");
            (void)co_await wf::http_get(back + "?second");
            both->count();
        });
    });
    port = port_of(*server);
    ask(url + "front");
    Timeline timeline = finish();
    uint64_t front = 0;
    for (uint64_t root : timeline.roots()) {
        if (timeline.series[root - 1].label == "GET /front")
            front = root;
    }
    ASSERT_NE(0u, front);
    Timeline part = timeline.part(front);
    size_t calls = 0;
    for (const TimelineTask &task : part.tasks)
        calls += task.type.find("HttpClient") != std::string::npos;
    EXPECT_EQ(3u, calls);
    std::string page = timeline.html("requests");
    EXPECT_NE(std::string::npos, page.find("/back?coroutine: 200"));
    EXPECT_NE(std::string::npos, page.find("/back?second: 200"));
}

} // namespace
