// Weft - integration: deadlines of tasks, series, parallels and server sessions
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "integration/cut_support.h"
#include "integration/raw_socket.h"
#include "workflow/WFHttpServer.h"

using compat::Event;
using cut::End;
using cut::timer;
using cut::twins;

namespace {

TEST(Deadline, CutsWhatIsNotOver) {
    End alone, in_series, in_parallel[2];
    std::atomic<int> ran{0}, series_ended{0};
    Event event;
    WFTimerTask *task = timer(&alone);
    wf::set_deadline(task, 20);
    task->start();
    SeriesWork *series =
        Workflow::create_series_work(timer(&in_series), [&](const SeriesWork *ended) {
            EXPECT_TRUE(ended->is_canceled());
            event.set();
        });
    wf::set_deadline(series, 20);
    series->start();
    ParallelWork *parallel =
        twins(in_parallel, &ran, &series_ended, [&](const ParallelWork *) { event.set(); });
    wf::set_deadline(parallel, 20);
    parallel->start();
    alone.expect(ETIMEDOUT);
    in_series.expect(ETIMEDOUT);
    in_parallel[0].expect(ETIMEDOUT);
    in_parallel[1].expect(ETIMEDOUT);
    ASSERT_TRUE(event.wait(2));
    EXPECT_EQ(0, ran);
}

TEST(Deadline, TheEarlierOneCounts) {
    for (bool inner_first : {false, true}) {
        End end;
        Event event;
        WFTimerTask *inner = timer(&end);
        wf::set_deadline(inner, inner_first ? 20 : 100000);
        bool went_on = false;
        SeriesWork *series =
            Workflow::create_series_work(inner, [&](const SeriesWork *) { event.set(); });
        series->push_back(
            WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { went_on = true; }));
        wf::set_deadline(series, inner_first ? 100000 : 20);
        series->start();
        end.expect(ETIMEDOUT);
        ASSERT_TRUE(event.wait());
        EXPECT_EQ(inner_first, went_on) << "that of a task cuts the task only";
    }
}

TEST(Deadline, CanBeTakenBack) {
    Event event;
    WFTimerTask *task = WFTaskFactory::create_timer_task(1, 100000000, [&](WFTimerTask *ended) {
        EXPECT_EQ(WFT_STATE_SUCCESS, ended->get_state());
        event.set();
    });
    wf::set_deadline(task, 1000);
    wf::set_deadline(task, -1);
    task->start();
    EXPECT_TRUE(event.wait());
}

// A listener that accepts and never answers.
TEST(Deadline, OfASeriesReachesARequestAndThePhaseIsTold) {
    raw::Listener listener;
    End end;
    Event event;
    CommPhase phase = CSP_IDLE;
    int reason = -1;
    WFHttpTask *task = WFTaskFactory::create_http_task(
        "http://127.0.0.1:" + std::to_string(listener.port()), 0, 5, [&](WFHttpTask *ended) {
            phase = ended->get_phase();
            reason = ended->get_timeout_reason();
            end.here<WFHttpTask>()(ended);
        });
    SeriesWork *series =
        Workflow::create_series_work(task, [&](const SeriesWork *) { event.set(); });
    wf::set_deadline(series, 1000); // until it waits for the answer
    series->start();
    end.expect(ETIMEDOUT);
    EXPECT_EQ(CSP_RECEIVING, phase);
    EXPECT_EQ(TOR_TRANSMIT_TIMEOUT, reason);
    ASSERT_TRUE(event.wait());
}

TEST(Deadline, OfAServerSessionReachesItsCallsAndTheReplyStillGoesOut) {
    raw::Listener silent;
    std::string url = "http://127.0.0.1:" + std::to_string(silent.port());
    WFHttpServer server([&](WFHttpTask *session) {
        session->set_deadline(100);
        auto *codes = new std::string;
        for (int i = 0; i < 2; i++) // the second begins behind the deadline
            series_of(session)->push_back(
                WFTaskFactory::create_http_task(url, 0, 0, [codes](WFHttpTask *call) {
                    *codes += std::to_string(call->get_state()) + ":" +
                              std::to_string(call->get_error()) + " ";
                }));
        series_of(session)->push_back(
            WFTaskFactory::create_counter_task(0, [session, codes](WFCounterTask *) {
                session->get_resp()->append_output_body(*codes);
                delete codes;
            }));
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
    Event event;
    std::string body;
    WFHttpTask *task = WFTaskFactory::create_http_task(
        "http://127.0.0.1:" + std::to_string(ntohs(addr.sin_port)), 0, 0, [&](WFHttpTask *ended) {
            EXPECT_EQ(WFT_STATE_SUCCESS, ended->get_state());
            const void *text;
            size_t size;
            if (ended->get_resp()->get_parsed_body(&text, &size))
                body.assign(static_cast<const char *>(text), size);
            event.set();
        });
    task->start();
    ASSERT_TRUE(event.wait());
    std::string one = "1:" + std::to_string(ETIMEDOUT) + " ";
    EXPECT_EQ(one + one, body);
    server.stop();
}

} // namespace
