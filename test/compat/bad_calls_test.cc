// Weft - compat: calls that no program should make
// SPDX-License-Identifier: Apache-2.0
//
// Bad calls do what the interface says or abort with a message; none corrupts memory.

#include <gtest/gtest.h>

#include "workflow/WFGlobal.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "support.h"

using compat::Event;

namespace {

class BadCallsDeathTest : public ::testing::Test {
protected:
    void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

WFTimerTask *far_timer() { return WFTaskFactory::create_timer_task(3600, 0, nullptr); }

// Row 1: a task in a series must not be started, nor dismissed.
TEST_F(BadCallsDeathTest, StartATaskInASeries) {
    EXPECT_DEATH(
        {
            WFTimerTask *task = far_timer();
            Workflow::create_series_work(task, nullptr);
            task->start();
        },
        "weft: misuse: ");
}

TEST_F(BadCallsDeathTest, DismissATaskInASeries) {
    EXPECT_DEATH(
        {
            WFTimerTask *task = far_timer();
            Workflow::create_series_work(task, nullptr);
            task->dismiss();
        },
        "weft: misuse: ");
}

TEST_F(BadCallsDeathTest, StartTwice) {
    EXPECT_DEATH(
        {
            WFTimerTask *task = far_timer();
            task->start();
            task->start();
        },
        "weft: misuse: ");
}

TEST_F(BadCallsDeathTest, DismissAfterStart) {
    EXPECT_DEATH(
        {
            WFTimerTask *task = far_timer();
            task->start();
            task->dismiss();
        },
        "weft: misuse: ");
}

TEST_F(BadCallsDeathTest, AddASeriesTwice) {
    EXPECT_DEATH(
        {
            SeriesWork *series = Workflow::create_series_work(far_timer(), nullptr);
            ParallelWork *parallel = Workflow::create_parallel_work(nullptr);
            parallel->add_series(series);
            parallel->add_series(series);
        },
        "weft: misuse: ");
}

TEST_F(BadCallsDeathTest, StartASeriesOfAParallel) {
    EXPECT_DEATH(
        {
            SeriesWork *series = Workflow::create_series_work(far_timer(), nullptr);
            ParallelWork *parallel = Workflow::create_parallel_work(nullptr);
            parallel->add_series(series);
            series->start();
        },
        "weft: misuse: ");
}

// NULL callbacks are allowed everywhere.
TEST(BadCalls, NullCallbacks) {
    Event done;
    WFGraphTask *graph = WFTaskFactory::create_graph_task(nullptr);
    graph->create_graph_node(WFTaskFactory::create_empty_task());
    ParallelWork *parallel = Workflow::create_parallel_work(nullptr);
    parallel->add_series(Workflow::create_series_work(WFTaskFactory::create_empty_task(), nullptr));
    SeriesWork *series = Workflow::create_series_work(
        WFTaskFactory::create_timer_task(0, 0, nullptr), [&](const SeriesWork *) { done.set(); });
    series->push_back(WFTaskFactory::create_timer_task("null", 0, 0, nullptr));
    series->push_back(WFTaskFactory::create_timer_task(nullptr));
    series->push_back(WFTaskFactory::create_counter_task(0, nullptr));
    series->push_back(WFTaskFactory::create_counter_task("null", 0, nullptr));
    series->push_back(WFTaskFactory::create_go_task("null", []() {}));
    series->push_back(WFThreadTaskFactory<int, int>::create_thread_task(
        "null", [](int *, int *) {}, nullptr));
    series->push_back(WFTaskFactory::create_http_task("bad url", 0, 0, nullptr));
    series->push_back(WFTaskFactory::create_http_task("http://127.0.0.1:1/", 0, 0, nullptr));
    series->push_back(graph);
    series->push_back(parallel);
    series->start();
    ASSERT_TRUE(done.wait());
}

// Row 60: bad URLs. Factories never fail, the request is usable, the error comes to a handler.
TEST(BadCalls, Row60BadUrls) {
    struct Case {
        const char *url;
        int error;
    };
    const Case cases[] = {
        {"", WFT_ERR_URI_PARSE_FAILED},
        {"::::", WFT_ERR_URI_PARSE_FAILED},
        {"http://[::1", WFT_ERR_URI_PARSE_FAILED},
        {"http://host:port/", WFT_ERR_URI_PARSE_FAILED},
        {"ftp://127.0.0.1/", WFT_ERR_URI_SCHEME_INVALID},
        {"redis://127.0.0.1/", WFT_ERR_URI_SCHEME_INVALID},
        {"http://127.0.0.1:0/", WFT_ERR_URI_PORT_INVALID},
        {"http://127.0.0.1:65536/", WFT_ERR_URI_PORT_INVALID},
        {"http://127.0.0.1:99999999999999999999/", WFT_ERR_URI_PORT_INVALID},
    };
    for (const Case &item : cases) {
        Event done;
        int state = -1;
        int error = -1;
        bool on_handler = false;
        WFHttpTask *task = WFTaskFactory::create_http_task(item.url, 2, 2, [&](WFHttpTask *t) {
            state = t->get_state();
            error = t->get_error();
            on_handler = WFGlobal::get_scheduler()->is_handler_thread() != 0;
            done.set();
        });
        ASSERT_NE(nullptr, task) << item.url;
        EXPECT_NE(nullptr, task->get_req()->get_request_uri()) << item.url;
        task->get_req()->add_header_pair("X", "y");
        task->start();
        ASSERT_TRUE(done.wait()) << item.url;
        EXPECT_EQ(WFT_STATE_TASK_ERROR, state) << item.url;
        EXPECT_EQ(item.error, error) << item.url;
        EXPECT_TRUE(on_handler) << item.url;
    }
}

// stop() of a server that never ran, and twice.
TEST(BadCalls, StopWithoutStart) {
    WFHttpServer server([](WFHttpTask *) {});
    server.stop();
    server.shutdown();
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    server.stop();
    server.stop();
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    server.stop();
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    EXPECT_EQ(-1, server.get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len));
}

} // namespace
