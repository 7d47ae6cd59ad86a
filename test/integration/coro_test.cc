// Weft - integration: coroutines over the engine: tasks, joins, limits, cancels, handlers
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/coro.h"

#include <atomic>
#include <memory>
#include <random>
#include <stdexcept>

#include <gtest/gtest.h>

#include "compat/support.h"
#include "integration/patience.h"
#include "integration/raw_socket.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFHttpServer.h"
#include "workflow/wf/coro_task.h"
#include "workflow/wf/sync.h"

using namespace std::chrono_literals;
using compat::Event;
using wf::Status;
using wf::Task;

namespace {

// For ever, unless it is cut.
Task<Status> wait_for_cut() { return wf::sleep(std::chrono::hours(1000)); }

Task<int> answer() { co_return 42; }

Task<int> later(int value) {
    (void)co_await wf::sleep(1ms);
    co_return value;
}

Task<int> throws() {
    (void)co_await wf::sleep(1ms);
    throw std::runtime_error("thrown");
}

// Counts those that live, to see that frames are freed.
struct Alive {
    explicit Alive(std::atomic<int> *count_in) : count(count_in) { ++*count; }
    Alive(const Alive &other) : count(other.count) { ++*count; }
    Alive &operator=(const Alive &) = delete;
    ~Alive() { --*count; }
    std::atomic<int> *count;
};

TEST(Coro, RunsAndReturns) {
    EXPECT_EQ(42, wf::run(answer()));
    EXPECT_EQ(7, wf::run(later(7)));
    int seen = 0;
    wf::run([&]() -> Task<void> { seen = co_await answer() + co_await later(1); });
    EXPECT_EQ(43, seen);
}

TEST(Coro, IsLazyAndFreedWhenItNeverRuns) {
    std::atomic<int> alive{0};
    bool ran = false;
    auto body = [&](Alive) -> Task<void> {
        ran = true;
        co_return;
    };
    {
        Task<void> task = body(Alive(&alive));
        EXPECT_EQ(1, alive);
        Task<void> moved = std::move(task);
    }
    EXPECT_EQ(0, alive);
    EXPECT_FALSE(ran);
}

TEST(Coro, PassesExceptionsOn) {
    EXPECT_THROW(wf::run(throws()), std::runtime_error);
    wf::run([]() -> Task<void> {
        bool caught = false;
        try {
            (void)co_await throws();
        } catch (const std::runtime_error &) {
            caught = true;
        }
        EXPECT_TRUE(caught);
    });
}

// A chain of coroutines costs the stack of calls, a loop over what ends at once none.
TEST(Coro, CostsNoStackInLoops) {
    struct Deep {
        static Task<int> down(int depth) {
            if (depth == 0) // no `?:`: g++ 12 would await in either case
                co_return 0;
            co_return 1 + co_await down(depth - 1);
        }
    };
    EXPECT_EQ(1000, wf::run(Deep::down(1000)));
    wf::run([]() -> Task<void> {
        int sum = 0;
        for (int i = 0; i < 200000; i++)
            sum += co_await answer();
        EXPECT_EQ(200000 * 42, sum);
        for (int i = 0; i < 200000; i++) {
            WFCounterTask *task = WFTaskFactory::create_counter_task(0, nullptr);
            Status status = co_await task;
            if (!status.ok())
                co_return;
        }
    });
}

TEST(Coro, AwaitsTasksOfAllKinds) {
    wf::run([]() -> Task<void> {
        WFTimerTask *timer = WFTaskFactory::create_timer_task(0, 1000, nullptr);
        EXPECT_TRUE((co_await timer).ok());
        WFGoTask *go = WFTaskFactory::create_go_task("coro", [] {});
        EXPECT_TRUE((co_await go).ok());
        WFThreadTask<int, int> *thread = WFThreadTaskFactory<int, int>::create_thread_task(
            "coro", [](int *in, int *out) { *out = *in * 2; }, nullptr);
        *thread->get_input() = 21;
        wf::Result<int> doubled = co_await thread;
        EXPECT_EQ(42, doubled.get());

        int letter = 0;
        WFMailboxTask *mailbox = WFTaskFactory::create_mailbox_task(nullptr);
        mailbox->send(&letter);
        wf::Result<void *> mail = co_await mailbox;
        EXPECT_EQ(&letter, mail.get());
        WFSelectorTask *selector = WFTaskFactory::create_selector_task(1, nullptr);
        selector->submit(&letter);
        mail = co_await selector;
        EXPECT_EQ(&letter, mail.get());

        int ran = 0;
        SeriesWork *series = Workflow::create_series_work(
            WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { ran++; }), nullptr);
        EXPECT_TRUE((co_await series).ok());
        ParallelWork *parallel = Workflow::create_parallel_work(nullptr);
        for (int i = 0; i < 3; i++)
            parallel->add_series(Workflow::create_series_work(
                WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { ran++; }), nullptr));
        EXPECT_TRUE((co_await parallel).ok());
        WFModuleTask *module = WFTaskFactory::create_module_task(
            WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { ran++; }), nullptr);
        EXPECT_TRUE((co_await module).ok());
        WFGraphTask *graph = WFTaskFactory::create_graph_task(nullptr);
        graph->create_graph_node(
            WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { ran++; }));
        EXPECT_TRUE((co_await graph).ok());
        EXPECT_EQ(6, ran);
        WFTimerTask *none = nullptr;
        EXPECT_EQ(EINVAL, (co_await none).error);
    });
}

TEST(Coro, Computes) {
    wf::run([]() -> Task<void> {
        auto sum = [](int a, int b) { return a + b; };
        wf::Result<int> five = co_await wf::compute("coro", sum, 2, 3);
        EXPECT_EQ(5, five.get());
        wf::Result<std::unique_ptr<int>> moved =
            co_await wf::compute("coro", [] { return std::make_unique<int>(9); });
        EXPECT_EQ(9, *moved.get());
        auto failed = co_await wf::compute("coro", []() -> int { throw 1; });
        EXPECT_EQ(WFT_STATE_TASK_ERROR, failed.state);
        EXPECT_EQ(WFT_ERR_TASK_EXCEPTION, failed.error);
        EXPECT_THROW(failed.get(), wf::Error);
        EXPECT_NE("", failed.message());
    });
}

TEST(Coro, AllRunsBesideEachOther) {
    wf::run([]() -> Task<void> {
        auto [a, b, none] = co_await wf::all(later(1), answer(), [](wf::Status) -> Task<void> {
            (void)co_await wf::sleep(1ms);
        }({}));
        EXPECT_EQ(1, a);
        EXPECT_EQ(42, b);
        (void)none;
        std::vector<Task<int>> tasks;
        for (int i = 0; i < 100; i++)
            tasks.push_back(later(i));
        std::vector<int> values = co_await wf::all(std::move(tasks));
        for (int i = 0; i < 100; i++)
            EXPECT_EQ(i, values[static_cast<size_t>(i)]);
        EXPECT_TRUE((co_await wf::all(std::vector<Task<int>>())).empty());
    });
    // What throws is told when all have ended.
    std::atomic<bool> other_ended{false};
    auto other = [&]() -> Task<int> {
        (void)co_await wf::sleep(5ms);
        other_ended = true;
        co_return 1;
    };
    EXPECT_THROW(wf::run([&]() -> Task<void> { (void)co_await wf::all(throws(), other()); }),
                 std::runtime_error);
    EXPECT_TRUE(other_ended);
}

TEST(Coro, AnyCancelsTheOthersAndWaitsForThem) {
    std::atomic<int> canceled{0};
    auto loser = [&]() -> Task<int> {
        Status status = co_await wait_for_cut();
        EXPECT_TRUE(status.is_canceled());
        EXPECT_EQ(ECANCELED, co_await wf::cut_error());
        canceled++;
        co_return 0;
    };
    wf::run([&]() -> Task<void> {
        std::vector<Task<int>> tasks;
        tasks.push_back(loser());
        tasks.push_back(later(5));
        tasks.push_back(loser());
        wf::First<int> first = co_await wf::any(std::move(tasks));
        EXPECT_EQ(1u, first.index);
        EXPECT_EQ(5, first.value);
        EXPECT_EQ(2, canceled);
        auto winner = co_await wf::any(
            loser(), [](int x) -> Task<std::string> { co_return std::to_string(x); }(7));
        EXPECT_EQ("7", std::get<1>(winner));
        EXPECT_EQ(0, co_await wf::cut_error()) << "it is the parts that are cut";
    });
    EXPECT_EQ(3, canceled);
}

TEST(Coro, TimeoutsAreInherited) {
    wf::run([]() -> Task<void> {
        Status status = co_await wf::with_timeout(10ms, wait_for_cut());
        EXPECT_TRUE(status.is_timeout());
        // Behind it nothing of that is left.
        EXPECT_TRUE((co_await wf::sleep(1ms)).ok());
        // The earlier one counts, from outside too; and what begins behind it ends at once.
        auto inner = []() -> Task<void> {
            Status late = co_await wf::with_timeout(std::chrono::hours(1), wait_for_cut());
            EXPECT_TRUE(late.is_timeout());
            EXPECT_TRUE((co_await wait_for_cut()).is_timeout());
            EXPECT_EQ(ETIMEDOUT, co_await wf::cut_error());
            EXPECT_TRUE((co_await wf::stop_token()).stop_requested());
        };
        co_await wf::with_timeout(10ms, inner());
        co_await wf::with_deadline(std::chrono::steady_clock::now() - 1s, inner());
        // Parallels and graphs in it are cut too.
        auto wide = []() -> Task<Status> {
            ParallelWork *parallel = Workflow::create_parallel_work(nullptr);
            for (int i = 0; i < 3; i++)
                parallel->add_series(Workflow::create_series_work(
                    WFTaskFactory::create_timer_task(-1, 0, nullptr), nullptr));
            co_return co_await parallel;
        };
        EXPECT_TRUE((co_await wf::with_timeout(10ms, wide())).is_timeout());
        EXPECT_EQ(3, co_await wf::with_timeout(std::chrono::hours(1), later(3)));
    });
}

TEST(Coro, SpawnedIsCanceledByItsHandle) {
    Event begun, ended;
    wf::Handle handle = wf::spawn([&]() -> Task<void> {
        std::stop_token token = co_await wf::stop_token();
        std::stop_callback told(token, [&] { begun.set(); });
        EXPECT_FALSE(token.stop_requested());
        begun.set();
        EXPECT_TRUE((co_await wait_for_cut()).is_canceled());
        EXPECT_TRUE(token.stop_requested());
        ended.set();
    });
    EXPECT_EQ(1, begun.count());
    EXPECT_EQ(0, wf::cancel(handle));
    ASSERT_TRUE(ended.wait());
    EXPECT_TRUE(begun.wait(2));
}

TEST(Coro, KeepsLambdasAndArgumentsOfSpawn) {
    Event ended;
    std::string result;
    {
        std::string captured(100, 'c');
        wf::spawn(
            [captured, &ended, &result](std::string argument) -> Task<void> {
                (void)co_await wf::sleep(5ms);
                result = captured + argument;
                ended.set();
            },
            std::string(100, 'a'));
    }
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(std::string(100, 'c') + std::string(100, 'a'), result);
}

TEST(Coro, IsATaskInASeries) {
    Event ended;
    std::string order;
    wf::CoroutineTask *task = wf::create_coroutine_task([](std::string *to) -> Task<void> {
        *to += "a";
        (void)co_await wf::sleep(1ms);
        *to += "b";
    }(&order));
    task->set_callback([&](wf::CoroutineTask *t) {
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
        order += "c";
    });
    SeriesWork *series =
        Workflow::create_series_work(task, [&](const SeriesWork *) { ended.set(); });
    series->push_back(
        WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { order += "d"; }));
    series->start();
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ("abcd", order);

    wf::CoroutineTask *bad =
        wf::create_coroutine_task([]() -> Task<void> { (void)co_await throws(); }());
    bad->set_callback([&](wf::CoroutineTask *t) {
        EXPECT_EQ(WFT_STATE_TASK_ERROR, t->get_state());
        EXPECT_EQ(WFT_ERR_TASK_EXCEPTION, t->get_error());
        ended.set();
    });
    bad->start();
    ASSERT_TRUE(ended.wait(2));
    wf::create_coroutine_task(wf::with_timeout(1ms, []() -> Task<void> { co_return; }()))
        ->dismiss();
}

TEST(Coro, IsCutWithItsSeries) {
    Event ended;
    std::atomic<bool> was_canceled{false};
    wf::CoroutineTask *task = wf::create_coroutine_task([](std::atomic<bool> *to) -> Task<void> {
        *to = (co_await wait_for_cut()).is_canceled();
    }(&was_canceled));
    SeriesWork *series =
        Workflow::create_series_work(task, [&](const SeriesWork *) { ended.set(); });
    wf::Handle handle = wf::get_handle(series);
    series->start();
    EXPECT_EQ(0, wf::cancel(handle));
    ASSERT_TRUE(ended.wait());
    EXPECT_TRUE(was_canceled);
}

class CoroServer : public ::testing::Test {
protected:
    template <class F>
    void serve(F handler) {
        server_ =
            std::make_unique<WFHttpServer>(wf::coroutine_handler<WFHttpTask>(std::move(handler)));
        ASSERT_EQ(0, server_->start("127.0.0.1", 0));
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        server_->get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
        port_ = ntohs(addr.sin_port);
    }
    void TearDown() override {
        if (server_)
            server_->stop();
    }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }
    static std::string body(const wf::HttpResult &result) {
        const void *text;
        size_t size;
        if (!result.ok() || !result.value.get_parsed_body(&text, &size))
            return result.message();
        return std::string(static_cast<const char *>(text), size);
    }

    std::unique_ptr<WFHttpServer> server_;
    unsigned short port_ = 0;
};

TEST_F(CoroServer, AnswersWhenItsHandlerHasEnded) {
    std::string captured = "hello";
    this->serve([captured](WFHttpTask *session) -> Task<void> {
        (void)co_await wf::sleep(1ms);
        session->get_resp()->append_output_body(captured);
    });
    std::string at = this->url();
    wf::run([&]() -> Task<void> {
        EXPECT_EQ("hello", body(co_await wf::http_get(at)));
        std::vector<Task<wf::HttpResult>> calls;
        for (int i = 0; i < 50; i++)
            calls.push_back(wf::http_get(at));
        for (const wf::HttpResult &result : co_await wf::all(std::move(calls)))
            EXPECT_EQ("hello", body(result));
        wf::HttpResult refused = co_await wf::http_get("http://127.0.0.1:1/");
        EXPECT_EQ(WFT_STATE_SYS_ERROR, refused.state);
        EXPECT_EQ(ECONNREFUSED, refused.error);
        wf::HttpResult wrong = co_await wf::http_get("not a url");
        EXPECT_EQ(WFT_STATE_TASK_ERROR, wrong.state);
    });
}

TEST_F(CoroServer, ItsDeadlineReachesItsCalls) {
    raw::Listener silent;
    std::string away = "http://127.0.0.1:" + std::to_string(silent.port());
    this->serve([away](WFHttpTask *session) -> Task<void> {
        session->set_deadline(50);
        wf::HttpResult result = co_await wf::http_get(away);
        session->get_resp()->append_output_body(std::to_string(result.error));
    });
    std::string at = this->url();
    wf::run([&]() -> Task<void> {
        EXPECT_EQ(std::to_string(ETIMEDOUT), body(co_await wf::http_get(at)));
    });
}

TEST_F(CoroServer, LearnsThatItsPeerHasGone) {
    Event begun, gone;
    this->serve([&](WFHttpTask *) -> Task<void> {
        std::stop_token token = co_await wf::stop_token();
        begun.set();
        EXPECT_TRUE((co_await wait_for_cut()).is_canceled());
        EXPECT_TRUE(token.stop_requested());
        gone.set();
    });
    raw::Socket client = raw::Socket::connect(port_);
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    ASSERT_TRUE(begun.wait());
    client.close();
    EXPECT_TRUE(gone.wait());
}

TEST(CoroSync, SemaphoreServesInOrderAndCanBeCut) {
    wf::run([]() -> Task<void> {
        wf::Semaphore semaphore(2);
        std::atomic<int> inside{0}, most{0};
        auto worker = [&]() -> Task<void> {
            Status status = co_await semaphore.acquire();
            EXPECT_TRUE(status.ok());
            int now = ++inside;
            for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {}
            (void)co_await wf::sleep(100us);
            inside--;
            semaphore.release();
        };
        std::vector<Task<void>> workers;
        for (int i = 0; i < 200; i++)
            workers.push_back(worker());
        (void)co_await wf::all(std::move(workers));
        EXPECT_LE(most, 2);
        EXPECT_TRUE(semaphore.try_acquire());
        EXPECT_TRUE(semaphore.try_acquire());
        EXPECT_FALSE(semaphore.try_acquire());
        auto waits = [&]() -> Task<Status> { co_return co_await semaphore.acquire(); };
        EXPECT_TRUE((co_await wf::with_timeout(5ms, waits())).is_timeout());
        semaphore.release();
        EXPECT_TRUE((co_await waits()).ok()) << "who was cut has taken nothing";
    });
}

TEST(CoroSync, MutexKeepsOthersOut) {
    wf::run([]() -> Task<void> {
        wf::Mutex mutex;
        int count = 0;
        auto add = [&]() -> Task<void> {
            for (int i = 0; i < 20; i++) {
                wf::Mutex::Lock lock = co_await mutex.lock();
                EXPECT_TRUE(lock.owns());
                int before = count;
                if (i % 5 == 0)
                    (void)co_await wf::sleep(10us);
                count = before + 1;
            }
        };
        std::vector<Task<void>> adders;
        for (int i = 0; i < 50; i++)
            adders.push_back(add());
        (void)co_await wf::all(std::move(adders));
        EXPECT_EQ(1000, count);
    });
}

TEST(CoroSync, LatchAndQueue) {
    wf::run([]() -> Task<void> {
        wf::Latch latch(2);
        auto count = [&]() -> Task<void> {
            (void)co_await wf::sleep(1ms);
            latch.count_down();
        };
        auto wait = [&]() -> Task<Status> { co_return co_await latch.wait(); };
        auto [a, b, c, d] = co_await wf::all(wait(), wait(), count(), count());
        EXPECT_TRUE(a.ok() && b.ok());
        EXPECT_TRUE((co_await wait()).ok());

        wf::Queue<int> queue(4);
        auto producer = [&](int from) -> Task<void> {
            for (int i = 0; i < 250; i++)
                EXPECT_TRUE((co_await queue.push(from + i)).ok());
        };
        std::atomic<long> sum{0};
        std::atomic<int> popped{0};
        auto consumer = [&]() -> Task<void> {
            for (;;) {
                wf::Result<int> value = co_await queue.pop();
                if (!value.ok()) {
                    EXPECT_EQ(EPIPE, value.error);
                    co_return;
                }
                sum += value.value;
                popped++;
            }
        };
        auto feed = [&]() -> Task<void> {
            (void)co_await wf::all(producer(0), producer(1000));
            queue.close();
            EXPECT_EQ(EPIPE, (co_await queue.push(1)).error);
        };
        (void)co_await wf::all(feed(), consumer(), consumer(), consumer());
        EXPECT_EQ(500, popped);
        EXPECT_EQ(250L * 249 + 250 * 1000, sum);
    });
}

// Ten thousand in flight, cut at random: each ends, and before its scope does.
TEST(Coro, TenThousandCutAtRandom) {
    constexpr int COUNT = 10000;
    std::atomic<int> alive{0}, ended{0};
    WFFacilities::WaitGroup all(COUNT);
    std::vector<wf::Handle> handles;
    wf::Semaphore semaphore(COUNT / 4);
    auto one = [&](Alive, unsigned draw) -> Task<void> {
        auto part = [&](unsigned kind) -> Task<void> {
            Alive mine(&alive);
            if (kind == 0) {
                (void)co_await wf::sleep(std::chrono::microseconds(draw % 5000));
            } else if (kind == 1) {
                Status status = co_await semaphore.acquire();
                if (status.ok()) {
                    (void)co_await wf::sleep(std::chrono::microseconds(draw % 500));
                    semaphore.release();
                }
            } else if (kind == 2) {
                (void)co_await wf::compute("coro", [] {});
            } else {
                (void)co_await wf::with_timeout(std::chrono::microseconds(draw % 3000),
                                                wait_for_cut());
            }
        };
        if (draw % 3 == 0) {
            (void)co_await wf::all(part(draw % 4), part(draw / 4 % 4));
        } else {
            std::vector<Task<void>> parts;
            parts.push_back(part(draw % 4));
            parts.push_back(part(3));
            (void)co_await wf::any(std::move(parts));
        }
        ended++;
        all.done();
    };
    std::mt19937 draws(11);
    for (int i = 0; i < COUNT; i++) {
        handles.push_back(wf::spawn(one, Alive(&alive), static_cast<unsigned>(draws())));
        if (i % 3 == 0)
            (void)wf::cancel(handles[draws() % handles.size()]);
    }
    for (int i = 0; i < COUNT; i += 2)
        (void)wf::cancel(handles[static_cast<size_t>(i)]);
    all.wait();
    EXPECT_EQ(COUNT, ended);
    handles.clear();
    // The last frames go as their last functions return.
    EXPECT_TRUE(eventually([&] { return alive == 0; }));
}

} // namespace
