// Weft - integration: contexts of a server's series, and graphs that decide over real requests
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/graph.h"

#include <atomic>
#include <string>

#include <gtest/gtest.h>

#include "integration/call.h"
#include "integration/cut_support.h"
#include "integration/workshop.h"
#include "workflow/WFHttpServer.h"
#include "workflow/wf/context.h"

using compat::Event;

namespace {

std::string body_of(WFHttpTask *task) {
    return protocol::HttpUtil::decode_chunked_body(task->get_resp());
}

// Contexts of a session, which note that they go.
struct Visit {
    Visit(Event *gone_in, std::string text_in) : gone(gone_in), text(std::move(text_in)) {}
    ~Visit() { gone->set(); }
    Visit(const Visit &) = delete;
    Visit &operator=(const Visit &) = delete;

    Event *gone;
    std::string text;
};

// Made in process, used by what is pushed and in the callback of the session, gone with the series.
TEST(GraphIntegration, ContextsOfAServersSeries) {
    Event gone, of_task;
    std::atomic<int> callbacks{0};
    WFHttpServer server([&](WFHttpTask *session) {
        SeriesWork *series = series_of(session);
        wf::emplace_context<Visit>(*series, &gone, "x");
        wf::emplace_context<Visit>(*session, &of_task, "y");
        *series << WFTaskFactory::create_timer_task(0, 1000, [session](WFTimerTask *task) {
            Visit *visit = wf::find_context<Visit>(*series_of(task));
            visit->text += "+";
            session->get_resp()->append_output_body(visit->text);
        });
        session->set_callback([&](WFHttpTask *task) {
            int before = callbacks++; // one session after another
            EXPECT_EQ(before, gone.count());
            EXPECT_EQ(before, of_task.count());
            EXPECT_EQ("x+", wf::find_context<Visit>(*series_of(task))->text);
            EXPECT_EQ("y", wf::find_context<Visit>(*task)->text);
        });
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
    for (int i = 1; i <= 3; i++) {
        Call call;
        ASSERT_TRUE(call.run("http://127.0.0.1:" + std::to_string(ntohs(addr.sin_port)) + "/"));
        EXPECT_EQ("x+", call.body);
        ASSERT_TRUE(gone.wait(i));
        ASSERT_TRUE(of_task.wait(i));
    }
    server.stop();
    EXPECT_EQ(3, gone.count());
    EXPECT_EQ(3, of_task.count());
    EXPECT_EQ(3, callbacks);
}

// One request's answer is the next one's body, if it is good; else another way is taken.
TEST(GraphIntegration, RequestsAreFilledFromEdges) {
    Workshop workshop;
    ASSERT_TRUE(workshop.start());
    for (const char *path : {"/hello", "/nowhere"}) {
        Event ended;
        std::string result;
        wf::Edge<std::string> text;
        WFGraphTask *graph = WFTaskFactory::create_graph_task(nullptr);
        WFGraphNode &first = graph->create_graph_node(
            WFTaskFactory::create_http_task(workshop.url(path), 0, 0, [text](WFHttpTask *task) {
                std::string status;
                task->get_resp()->get_status_code(status);
                if (status == "200")
                    text.put(body_of(task));
            }));
        WFGraphNode &second = graph->create_graph_node(WFTaskFactory::create_http_task(
            workshop.url("/echo"), 0, 0, [&](WFHttpTask *task) { result = body_of(task); }));
        WFGraphNode &other = graph->create_graph_node(
            WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) { result = "other"; }));
        wf::connect_if_put(first, second, text);
        wf::connect(first, other, [text] { return !text.get(); });
        wf::set_prepare(second, [text](SubTask *task) {
            WFHttpTask *request = static_cast<WFHttpTask *>(task);
            request->get_req()->set_method("POST");
            request->get_req()->append_output_body(*text.take());
        });
        Workflow::start_series_work(graph, [&](const SeriesWork *) { ended.set(); });
        ASSERT_TRUE(ended.wait());
        EXPECT_EQ(std::string(path) == "/hello" ? "hello" : "other", result);
    }
}

// A deadline of the graph holds for what is added to it.
TEST(GraphIntegration, DeadlineReachesLateNodes) {
    cut::End end;
    Event ended;
    std::atomic<int> ran{0};
    WFGraphTask *graph = WFTaskFactory::create_graph_task(nullptr);
    wf::set_deadline(graph, 100);
    graph->create_graph_node(WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *task) {
        wf::GraphGrowth growth(task);
        WFGraphNode &late = growth.node(cut::timer(&end));
        WFGraphNode &behind =
            growth.node(WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { ran++; }));
        growth.self().precede(late);
        late.precede(behind);
    }));
    Workflow::start_series_work(graph, [&](const SeriesWork *) { ended.set(); });
    end.expect(ETIMEDOUT);
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(0, ran);
}

} // namespace
