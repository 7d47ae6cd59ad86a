// Weft - integration: callbacks that block or compute while the rest of the program goes on
// SPDX-License-Identifier: Apache-2.0
//
// One poller and few handler threads, so that everything in these tests meets on the same poller.
// The waits inside callbacks are of two kinds: those that Weft knows of (WaitGroup) and those that
// only the watch can find (a plain condition variable).

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "integration/patience.h"
#include "integration/raw_socket.h"

namespace {

const int kHandlers = 4;

class OnePoller : public ::testing::Environment {
public:
    void SetUp() override {
        WFGlobalSettings settings = GLOBAL_SETTINGS_DEFAULT;
        settings.poller_threads = 1;
        settings.handler_threads = kHandlers;
        WORKFLOW_library_init(&settings);
    }
};

const auto *const one_poller = ::testing::AddGlobalTestEnvironment(new OnePoller);

// A gate that Weft knows nothing of.
class Gate {
public:
    void open() {
        std::lock_guard<std::mutex> lock(mutex_);
        open_ = true;
        condition_.notify_all();
    }

    void wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        condition_.wait_for(lock, std::chrono::seconds(60), [this] { return open_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable condition_;
    bool open_ = false;
};

const char kQuick[] = "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n";
const char kBlocked[] = "GET /blocked HTTP/1.1\r\nHost: x\r\n\r\n";

bool answered(raw::Socket &client) {
    return client.read_until("done").find("done") != std::string::npos;
}

// /blocked waits for the gate inside the handler itself; everything else answers at once.
class Blocking : public ::testing::Test {
protected:
    Blocking() : server_(&params(), [this](WFHttpTask *task) { serve(task); }) {}

    static const WFServerParams &params() {
        static WFServerParams strict = HTTP_SERVER_PARAMS_DEFAULT;
        strict.receive_timeout = 500;
        return strict;
    }

    void SetUp() override {
        ASSERT_EQ(0, server_.start("127.0.0.1", 0));
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        server_.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
        port_ = ntohs(addr.sin_port);
    }

    void TearDown() override {
        gate_.open();
        server_.stop();
    }

    void serve(WFHttpTask *task) {
        if (std::string(task->get_req()->get_request_uri()) == "/blocked") {
            blocked_++;
            gate_.wait();
        }
        task->get_resp()->append_output_body("done");
    }

    raw::Socket send(const char *request) {
        raw::Socket client = raw::Socket::connect(port_);
        client.send(request);
        return client;
    }

    std::string url(const std::string &path) {
        return "http://127.0.0.1:" + std::to_string(port_) + path;
    }

    Gate gate_;
    std::atomic<int> blocked_{0};
    WFHttpServer server_;
    unsigned short port_ = 0;
};

// One handler blocks for good: the only poller goes on under another worker.
TEST_F(Blocking, OneBlockedHandlerStallsNobody) {
    raw::Socket stuck = send(kBlocked);
    ASSERT_TRUE(eventually([this] { return blocked_ == 1; }));
    raw::Socket kept = send(kQuick);
    EXPECT_TRUE(answered(kept));
    for (int i = 0; i < 50; i++) {
        ASSERT_TRUE(kept.send(kQuick));
        EXPECT_TRUE(answered(kept)) << i;
        raw::Socket fresh = send(kQuick);
        EXPECT_TRUE(answered(fresh)) << i;
    }
    gate_.open();
    EXPECT_TRUE(answered(stuck));
}

// All handlers are blocked: callbacks wait, but accepts and timeouts go on.
TEST_F(Blocking, AllHandlersBlockedAcceptsAndTimeoutsGoOn) {
    std::vector<raw::Socket> stuck;
    for (int i = 0; i < kHandlers; i++)
        stuck.push_back(send(kBlocked));
    ASSERT_TRUE(eventually([this] { return blocked_ == kHandlers; }));
    // Accepted, read, and left to wait for a free handler.
    raw::Socket waiting = send(kQuick);
    EXPECT_TRUE(eventually([this] { return server_.get_conn_count() == kHandlers + 1; }));
    // An incomplete request runs into its limit all the same, 408 included.
    raw::Socket slow = send("GET /qui");
    std::string answer = slow.read_all();
    EXPECT_EQ(0u, answer.find("HTTP/1.1 408 ")) << answer;
    EXPECT_EQ(kHandlers, blocked_.load());
    gate_.open();
    EXPECT_TRUE(answered(waiting));
    for (raw::Socket &client : stuck)
        EXPECT_TRUE(answered(client));
}

// A callback asks a server that lives on its own poller, and waits for the answer.
TEST_F(Blocking, CallbackCallsItsOwnPollerAndWaits) {
    for (bool known : {true, false}) {
        WFFacilities::WaitGroup finished(1);
        std::atomic<int> state(-1);
        WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
            WFFacilities::WaitGroup group(1);
            Gate gate;
            WFHttpTask *task =
                WFTaskFactory::create_http_task(url("/quick"), 0, 0, [&](WFHttpTask *t) {
                    state = t->get_state();
                    known ? group.done() : gate.open();
                });
            task->start();
            known ? group.wait() : gate.wait();
            finished.done();
        })->start();
        ASSERT_EQ(std::future_status::ready, finished.wait(30000)) << known;
        EXPECT_EQ(WFT_STATE_SUCCESS, state.load()) << known;
    }
}

// A server handler does the same, nested in itself, as deep as there are handlers and deeper.
TEST(BlockingNested, HandlersThatCallTheirOwnServer) {
    std::string base;
    WFHttpServer server([&](WFHttpTask *task) {
        int depth = atoi(task->get_req()->get_request_uri() + 1);
        if (depth > 0) {
            WFFacilities::WaitGroup group(1);
            std::string text;
            WFTaskFactory::create_http_task(base + std::to_string(depth - 1), 0, 0,
                                            [&](WFHttpTask *t) {
                                                const void *body = nullptr;
                                                size_t size = 0;
                                                if (t->get_state() == WFT_STATE_SUCCESS &&
                                                    t->get_resp()->get_parsed_body(&body, &size))
                                                    text.assign(static_cast<const char *>(body),
                                                                size);
                                                group.done();
                                            })
                ->start();
            group.wait();
            task->get_resp()->append_output_body(text);
        }
        task->get_resp()->append_output_body(std::to_string(depth) + " ");
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
    base = "http://127.0.0.1:" + std::to_string(ntohs(addr.sin_port)) + "/";
    raw::Socket client = raw::Socket::connect(ntohs(addr.sin_port));
    ASSERT_TRUE(client.send("GET /12 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    std::string answer = client.read_all();
    EXPECT_NE(std::string::npos, answer.find("0 1 2 3 4 5 6 7 8 9 10 11 12 ")) << answer;
    server.stop();
}

// A callback waits for the end of another server, whose connections are on the same poller.
TEST_F(Blocking, WaitFinishInsideACallback) {
    WFHttpServer other([](WFHttpTask *task) {
        *series_of(task) << WFTaskFactory::create_timer_task(0, 50 * 1000 * 1000, nullptr);
    });
    ASSERT_EQ(0, other.start("127.0.0.1", 0));
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    other.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
    raw::Socket client = raw::Socket::connect(ntohs(addr.sin_port));
    ASSERT_TRUE(client.send(kQuick));
    WFFacilities::WaitGroup finished(1);
    WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
        other.shutdown();
        other.wait_finish();
        finished.done();
    })->start();
    EXPECT_EQ(std::future_status::ready, finished.wait(30000));
    EXPECT_TRUE(client.wait_closed());
}

// Timers that are due while a callback blocks come in time: the batch is taken over with them.
TEST_F(Blocking, TimersGoOnBesideABlockedCallback) {
    Gate gate;
    WFFacilities::WaitGroup started(1);
    WFFacilities::WaitGroup over(1);
    WFFacilities::WaitGroup timers(100);
    WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
        started.done();
        gate.wait();
        over.done();
    })->start();
    started.wait();
    for (int i = 0; i < 100; i++) {
        WFTaskFactory::create_timer_task(0, i * 1000 * 1000, [&](WFTimerTask *) {
            timers.done();
        })->start();
    }
    EXPECT_EQ(std::future_status::ready, timers.wait(10000));
    gate.open();
    over.wait();
}

// A handler that computes for half a second does not stop the short ones.
TEST_F(Blocking, ComputingHandlerStallsNobody) {
    std::atomic<bool> computing(false);
    std::atomic<bool> finished(false);
    WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
        auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
        computing = true;
        while (std::chrono::steady_clock::now() < end)
            continue;
        finished = true;
    })->start();
    ASSERT_TRUE(eventually([&] { return computing.load(); }));
    raw::Socket client = send(kQuick);
    EXPECT_TRUE(answered(client));
    EXPECT_FALSE(finished.load()) << "the short request waited for the long one";
    EXPECT_TRUE(eventually([&] { return finished.load(); }));
}

// 30 callbacks that block 200 ms each, unknown to Weft, with 20 handlers: two rounds.
TEST_F(Blocking, ThirtyBlockingCallbacksWithTwentyHandlers) {
    for (int i = kHandlers; i < 20; i++)
        ASSERT_TRUE(WFGlobal::increase_handler_thread());
    std::atomic<int> inside(0);
    std::atomic<int> most(0);
    WFFacilities::WaitGroup finished(30);
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 30; i++) {
        WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
            int now = ++inside;
            int seen = most;
            while (seen < now && !most.compare_exchange_weak(seen, now))
                continue;
            poll(nullptr, 0, 200); // The blocking call under test.
            inside--;
            finished.done();
        })->start();
    }
    EXPECT_EQ(std::future_status::ready, finished.wait(30000));
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    EXPECT_GE(seconds, 0.39); // 30 do not fit into one round of 20.
    EXPECT_LT(seconds, 3.0);  // One after another would take 6 seconds.
    EXPECT_LE(most.load(), 20);
    EXPECT_GE(most.load(), 10);
    for (int i = kHandlers; i < 20; i++)
        ASSERT_TRUE(WFGlobal::decrease_handler_thread());
}

// With one permit left, callbacks of network tasks and timers never overlap.
TEST_F(Blocking, OneHandlerMeansNoOverlap) {
    for (int i = 1; i < kHandlers; i++)
        ASSERT_TRUE(WFGlobal::decrease_handler_thread());
    std::atomic<int> inside(0);
    std::atomic<int> overlaps(0);
    WFFacilities::WaitGroup finished(200);
    auto step = [&] {
        overlaps += inside++ > 0;
        for (int i = 0; i < 100; i++)
            std::this_thread::yield();
        inside--;
        finished.done();
    };
    for (int i = 0; i < 100; i++) {
        WFTaskFactory::create_timer_task(0, i * 100 * 1000, [&](WFTimerTask *) {
            step();
        })->start();
        WFTaskFactory::create_http_task(url("/quick"), 0, 0, [&](WFHttpTask *) {
            step();
        })->start();
    }
    EXPECT_EQ(std::future_status::ready, finished.wait(30000));
    EXPECT_EQ(0, overlaps.load());
    for (int i = 1; i < kHandlers; i++)
        ASSERT_TRUE(WFGlobal::increase_handler_thread());
}

// Short handlers, then long ones, then short ones again: the service changes its mode by itself,
// and every request is answered.
TEST_F(Blocking, FromShortHandlersToLongOnesAndBack) {
    std::atomic<int> pause_us(0);
    WFHttpServer server([&](WFHttpTask *task) {
        if (pause_us > 0) {
            auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(pause_us);
            while (std::chrono::steady_clock::now() < end)
                continue;
        }
        task->get_resp()->append_output_body("done");
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
    std::vector<raw::Socket> clients;
    for (int i = 0; i < 8; i++)
        clients.push_back(raw::Socket::connect(ntohs(addr.sin_port)));
    for (int phase_us : {0, 1000, 0, 5000, 0}) {
        pause_us = phase_us;
        for (int round = 0; round < 60; round++) {
            for (raw::Socket &client : clients)
                ASSERT_TRUE(client.send(kQuick));
            for (raw::Socket &client : clients)
                ASSERT_TRUE(answered(client)) << phase_us << " " << round;
        }
    }
    server.stop();
}

} // namespace
