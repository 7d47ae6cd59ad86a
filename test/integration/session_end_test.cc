// Weft - integration: how requests end early: by a deadline, by a cancel, by a peer that goes
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <gtest/gtest.h>
#include <mutex>
#include <netdb.h>
#include <random>
#include <thread>
#include <vector>

#include "integration/call.h"
#include "integration/raw_socket.h"
#include "integration/workshop.h"
#include "nameservice/lookup.h"
#include "workflow/WFDnsResolver.h"
#include "workflow/WFFacilities.h"
#include "workflow/detail/runtime.h"
#include "workflow/wf/cancel.h"

namespace {

using Clock = std::chrono::steady_clock;

long ms_since(Clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
}

// A peer that accepts, reads, and never says a word.
class Silent {
public:
    Silent()
        : server_([this](raw::Socket &s, int connection) { this->listen_to(s, connection); },
                  raw::ScriptedServer::THREADS) {}
    std::string url() const { return server_.url(); }
    // Until the first request is there.
    void wait_heard() { heard_.get_future().wait(); }

private:
    void listen_to(raw::Socket &s, int connection) {
        s.read_until("\r\n\r\n");
        if (connection == 0)
            heard_.set_value();
        s.wait_closed();
    }

    std::promise<void> heard_;
    raw::ScriptedServer server_;
};

// While it lives no name is answered; then all are, with a failure.
class NeverLookup : public wf::detail::Lookup {
public:
    NeverLookup() { wf::detail::runtime_dns_resolver()->set_lookup(this); }
    ~NeverLookup() override {
        wf::detail::runtime_dns_resolver()->set_lookup(nullptr);
        wf::detail::LookupAnswer none;
        none.state = WFT_STATE_DNS_ERROR;
        none.error = EAI_NONAME;
        std::lock_guard<std::mutex> lock(mutex_);
        for (wf::detail::LookupSink *sink : asked_)
            sink->answer(none);
    }
    void start(const wf::detail::LookupQuestion &, wf::detail::LookupSink *sink) override {
        std::lock_guard<std::mutex> lock(mutex_);
        asked_.push_back(sink);
        changed_.notify_all();
    }
    void wait_asked() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return !asked_.empty(); });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<wf::detail::LookupSink *> asked_;
};

} // namespace

TEST(Deadline, CutsTheWaitForAnAnswer) {
    Silent peer;
    Call call;
    CommPhase phase = CSP_IDLE;
    Clock::time_point begin = Clock::now();
    ASSERT_TRUE(call.run(peer.url(), [&](WFHttpTask *t) {
        t->set_deadline(100);
        t->set_callback([&](WFHttpTask *task) {
            call.note(task);
            phase = task->get_phase();
        });
    }));
    EXPECT_EQ(call.state, WFT_STATE_SYS_ERROR);
    EXPECT_EQ(call.error, ETIMEDOUT);
    EXPECT_EQ(call.reason, TOR_TRANSMIT_TIMEOUT);
    EXPECT_EQ(phase, CSP_RECEIVING);
    EXPECT_GE(ms_since(begin), 100);
    EXPECT_LT(ms_since(begin), 5000);
}

TEST(Deadline, CutsALookup) {
    NeverLookup names;
    Call call;
    CommPhase phase = CSP_IDLE;
    ASSERT_TRUE(call.run("http://a.example/", [&](WFHttpTask *t) {
        t->set_deadline(500);
        t->set_callback([&](WFHttpTask *task) {
            call.note(task);
            phase = task->get_phase();
        });
    }));
    EXPECT_EQ(call.state, WFT_STATE_SYS_ERROR);
    EXPECT_EQ(call.error, ETIMEDOUT);
    EXPECT_EQ(call.reason, TOR_WAIT_TIMEOUT);
    EXPECT_EQ(phase, CSP_RESOLVING);
}

TEST(Cancel, CutsALookup) {
    NeverLookup names;
    Call call;
    wf::CancelHandle handle;
    std::thread canceling;
    ASSERT_TRUE(call.run("http://b.example/", [&](WFHttpTask *t) {
        handle = t->get_cancel_handle();
        canceling = std::thread([&] {
            names.wait_asked();
            EXPECT_EQ(wf::cancel(handle), 0);
        });
    }));
    canceling.join();
    EXPECT_EQ(call.state, WFT_STATE_SYS_ERROR);
    EXPECT_EQ(call.error, ECANCELED);
}

TEST(Deadline, CoversAllRetriesTogether) {
    Silent peer;
    Call call;
    Clock::time_point begin = Clock::now();
    ASSERT_TRUE(call.run(
        peer.url(),
        [&](WFHttpTask *t) {
            t->set_receive_timeout(80);
            t->set_deadline(200);
        },
        0, 1000));
    EXPECT_EQ(call.error, ETIMEDOUT);
    EXPECT_EQ(call.callbacks, 1);
    EXPECT_LT(ms_since(begin), 5000);
}

TEST(Deadline, TheEarlierLimitWins) {
    Silent peer;
    Call call;
    Clock::time_point begin = Clock::now();
    ASSERT_TRUE(call.run(peer.url(), [](WFHttpTask *t) {
        t->set_deadline(60000);
        t->set_receive_timeout(100);
    }));
    EXPECT_EQ(call.error, ETIMEDOUT);
    EXPECT_LT(ms_since(begin), 10000);
}

TEST(Deadline, OneThatHasPassedBeginsNothing) {
    Workshop shop;
    ASSERT_TRUE(shop.start());
    Call call;
    ASSERT_TRUE(call.run(shop.url("/hello"), [](WFHttpTask *t) { t->set_deadline(0); }));
    EXPECT_EQ(call.error, ETIMEDOUT);
    EXPECT_EQ(shop.requests, 0);
}

TEST(Cancel, EndsAWait) {
    Silent peer;
    Call call;
    wf::CancelHandle handle;
    std::thread canceler;
    ASSERT_TRUE(call.run(peer.url(), [&](WFHttpTask *t) {
        handle = t->get_cancel_handle();
        canceler = std::thread([&]() {
            peer.wait_heard();
            EXPECT_EQ(wf::cancel(handle), 0);
        });
    }));
    canceler.join();
    EXPECT_EQ(call.state, WFT_STATE_SYS_ERROR);
    EXPECT_EQ(call.error, ECANCELED);
    EXPECT_EQ(call.callbacks, 1);
    EXPECT_EQ(wf::cancel(handle), -1);
    EXPECT_EQ(errno, ENOENT);
}

TEST(Cancel, BeforeTheStartIsRemembered) {
    Workshop shop;
    ASSERT_TRUE(shop.start());
    Call call;
    ASSERT_TRUE(call.run(
        shop.url("/hello"), [](WFHttpTask *t) { EXPECT_EQ(wf::cancel(t->get_cancel_handle()), 0); },
        0, 5));
    EXPECT_EQ(call.error, ECANCELED);
    EXPECT_EQ(shop.requests, 0);
}

TEST(Cancel, OfATaskThatIsGoneFindsNothing) {
    wf::CancelHandle none;
    EXPECT_EQ(wf::cancel(none), -1);
    wf::CancelHandle handle;
    {
        WFHttpTask *task = WFTaskFactory::create_http_task("http://127.0.0.1/", 0, 0, nullptr);
        handle = task->get_cancel_handle();
        task->dismiss();
    }
    EXPECT_EQ(wf::cancel(handle), -1);
    EXPECT_EQ(errno, ENOENT);
}

// Every one has its callback once, and none that was promised to be cancelled succeeds.
TEST(Cancel, TenThousandAtRandomMoments) {
    constexpr int COUNT = 10000;
    struct Row {
        wf::CancelHandle handle;
        std::atomic<int> callbacks{0};
        std::atomic<int> error{-1};
    };
    Workshop shop;
    ASSERT_TRUE(shop.start());
    std::vector<Row> rows(COUNT);
    std::vector<char> promised(COUNT);
    std::atomic<int> begun{0};
    WFFacilities::WaitGroup ended(COUNT);
    std::thread canceler([&]() {
        std::mt19937 dice(7);
        for (int i = 0; i < COUNT; i++) {
            while (begun.load() <= i)
                std::this_thread::yield();
            for (auto spin = dice() % 400; spin > 0; spin--)
                std::atomic_signal_fence(std::memory_order_seq_cst);
            promised[static_cast<size_t>(i)] = wf::cancel(rows[static_cast<size_t>(i)].handle) == 0;
        }
    });
    for (size_t i = 0; i < COUNT; i++) {
        Row *row = &rows[i];
        WFHttpTask *task =
            WFTaskFactory::create_http_task(shop.url("/hello"), 0, 0, [row, &ended](WFHttpTask *t) {
                row->callbacks++;
                row->error = t->get_error();
                ended.done();
            });
        row->handle = task->get_cancel_handle();
        if (i % 3 == 0)
            begun = static_cast<int>(i) + 1; // may be cancelled before it is started
        task->start();
        begun = static_cast<int>(i) + 1;
    }
    ended.wait();
    canceler.join();
    int canceled = 0;
    for (size_t i = 0; i < COUNT; i++) {
        ASSERT_EQ(rows[i].callbacks, 1);
        if (promised[i]) {
            ASSERT_EQ(rows[i].error, ECANCELED) << i;
        }
        canceled += rows[i].error == ECANCELED ? 1 : 0;
    }
    EXPECT_GT(canceled, 0);
}

TEST(PeerGone, IsToldWhileTheHandlerWorks) {
    std::promise<void> working, gone;
    std::atomic<int> told{0};
    WFFacilities::WaitGroup replied(1);
    WFHttpServer server([&](WFHttpTask *task) {
        int ret = task->on_peer_gone([&]() {
            if (told++ == 0)
                gone.set_value();
        });
        EXPECT_EQ(ret, 0);
        working.set_value();
        EXPECT_EQ(gone.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
        task->set_callback([&](WFHttpTask *) { replied.done(); });
    });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
    {
        raw::Socket client = raw::Socket::connect(ntohs(addr.sin_port));
        ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        working.get_future().wait();
        client.reset();
    }
    replied.wait();
    server.stop();
    EXPECT_EQ(told, 1);
}

TEST(PeerGone, IsNotToldOfOneThatStays) {
    Workshop shop;
    std::atomic<int> told{0};
    WFHttpServer server([&](WFHttpTask *task) { task->on_peer_gone([&]() { told++; }); });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
    raw::Socket client = raw::Socket::connect(ntohs(addr.sin_port));
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_NE(client.read_until("\r\n\r\n"), "");
    client.close();
    server.stop();
    EXPECT_EQ(told, 0);
}
