// Weft - integration: waiting inside callbacks and computations, for each kind of task
// SPDX-License-Identifier: Apache-2.0
//
// More callbacks than may run at a time, and more computations than there are threads, each wait
// for something that itself needs a callback or a computation. Waits through WFFacilities and
// wf::run() are known to the engine, which then lets others go on: nothing deadlocks.
#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "integration/peer.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFGraphTask.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFMessageQueue.h"
#include "workflow/WFResourcePool.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/coro_task.h"

namespace {

const int kPermits = 3;
const int kThreads = 2;
const int kWaiters = 24; // at the same time

SubTask *nap(std::function<void(WFTimerTask *)> behind = nullptr) {
    return WFTaskFactory::create_timer_task(0, 200000, std::move(behind));
}

SubTask *compute(std::function<void()> work = [] {}) {
    return WFTaskFactory::create_go_task("wait inside", std::move(work));
}

// Something whose callback, in the end, is run by the engine.
struct Kind {
    const char *name;
    std::function<SubTask *()> make;
};

class WaitInside : public testing::Test {
protected:
    static void SetUpTestSuite() {
        WFGlobalSettings settings = GLOBAL_SETTINGS_DEFAULT;
        settings.handler_threads = kPermits;
        settings.compute_threads = kThreads;
        WORKFLOW_library_init(&settings);
    }

    void SetUp() override {
        ASSERT_TRUE(dir_.write("file", "content"));
        file_ = dir_.file("file");
        server_ = std::make_unique<WFHttpServer>(
            [](WFHttpTask *task) { task->get_resp()->append_output_body("hello"); });
        ASSERT_EQ(0, server_->start("127.0.0.1", 0));
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        server_->get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
        url_ = "http://127.0.0.1:" + std::to_string(ntohs(addr.sin_port)) + "/";
    }
    void TearDown() override { server_->stop(); }

    static void wait_for(SubTask *task) {
        WFFacilities::WaitGroup ended(1);
        Workflow::start_series_work(task, [&ended](const SeriesWork *) { ended.done(); });
        ended.wait();
    }

    std::vector<Kind> kinds() {
        std::vector<Kind> all = told_kinds();
        for (Kind &kind : other_kinds())
            all.push_back(std::move(kind));
        return all;
    }
    std::vector<Kind> told_kinds(); // that somebody ends
    std::vector<Kind> other_kinds();

    // Each of many callers, run by `begin`, waits for the task.
    void many(const std::function<SubTask *(std::function<void()>)> &begin,
              const std::function<void()> &wait) {
        WFFacilities::WaitGroup all(kWaiters);
        for (int i = 0; i < kWaiters; i++)
            Workflow::start_series_work(begin(wait), [&all](const SeriesWork *) { all.done(); });
        all.wait();
    }

    static SubTask *in_callback(std::function<void()> wait) {
        return nap([wait = std::move(wait)](WFTimerTask *) { wait(); });
    }
    static SubTask *in_computation(std::function<void()> wait) { return compute(std::move(wait)); }

    peer::TempDir dir_;
    std::string file_, url_;
    std::unique_ptr<WFHttpServer> server_;
    WFResourcePool pool_{1};
    WFMessageQueue queue_;
    char byte_ = 0;
};

// The task, and a timer beside it that acts.
SubTask *behind_timer(SubTask *first, std::function<void(WFTimerTask *)> act) {
    ParallelWork *both = Workflow::create_parallel_work(nullptr);
    both->add_series(Workflow::create_series_work(first, nullptr));
    both->add_series(Workflow::create_series_work(nap(std::move(act)), nullptr));
    return both;
}

std::vector<Kind> WaitInside::told_kinds() {
    return {
        {"counter",
         [] {
             WFCounterTask *counter = WFTaskFactory::create_counter_task(1, nullptr);
             return behind_timer(counter, [counter](WFTimerTask *) { counter->count(); });
         }},
        {"mailbox",
         [] {
             WFMailboxTask *mailbox = WFTaskFactory::create_mailbox_task(nullptr);
             return behind_timer(mailbox, [mailbox](WFTimerTask *) { mailbox->send(mailbox); });
         }},
        {"selector",
         [] {
             WFSelectorTask *selector = WFTaskFactory::create_selector_task(1, nullptr);
             return behind_timer(selector,
                                 [selector](WFTimerTask *) { selector->submit(selector); });
         }},
        {"conditional",
         [] {
             WFConditional *conditional = WFTaskFactory::create_conditional(compute());
             return behind_timer(conditional,
                                 [conditional](WFTimerTask *) { conditional->signal(nullptr); });
         }},
        {"guard",
         [] {
             return static_cast<SubTask *>(WFTaskFactory::create_guard(
                 "wait inside", nap([](WFTimerTask *) {
                     WFTaskFactory::release_guard_safe("wait inside", nullptr);
                 })));
         }},
        {"pool",
         [this] {
             return static_cast<SubTask *>(
                 pool_.get(nap([this](WFTimerTask *) { pool_.post(nullptr); })));
         }},
        {"queue",
         [this] {
             return behind_timer(queue_.get(compute()),
                                 [this](WFTimerTask *) { queue_.post(&queue_); });
         }},
    };
}

std::vector<Kind> WaitInside::other_kinds() {
    return {
        {"timer", [] { return nap(); }},
        {"go", [] { return compute(); }},
        {"file",
         [this] {
             return static_cast<SubTask *>(
                 WFTaskFactory::create_pread_task(file_, &byte_, 0, 0, nullptr));
         }},
        {"parallel", [] { return behind_timer(compute(), nullptr); }},
        {"graph",
         [] {
             WFGraphTask *graph = WFTaskFactory::create_graph_task(nullptr);
             WFGraphNode &first = graph->create_graph_node(nap());
             first.precede(graph->create_graph_node(compute()));
             return static_cast<SubTask *>(graph);
         }},
        {"module",
         [] {
             WFModuleTask *module = WFTaskFactory::create_module_task(nap(), nullptr);
             module->sub_series()->push_back(compute());
             return static_cast<SubTask *>(static_cast<ParallelTask *>(module));
         }},
        {"dynamic",
         [] {
             return static_cast<SubTask *>(
                 WFTaskFactory::create_dynamic_task([](WFDynamicTask *) { return compute(); }));
         }},
        {"http",
         [this] {
             return static_cast<SubTask *>(WFTaskFactory::create_http_task(url_, 0, 0, nullptr));
         }},
        {"coroutine",
         [] {
             return static_cast<SubTask *>(wf::create_coroutine_task([]() -> wf::Task<void> {
                 (void)co_await wf::sleep(std::chrono::microseconds(200));
             }()));
         }},
    };
}

TEST_F(WaitInside, CallbacksForEachKind) {
    for (const Kind &kind : kinds()) {
        SCOPED_TRACE(kind.name);
        many(in_callback, [&kind] { wait_for(kind.make()); });
    }
}

TEST_F(WaitInside, ComputationsForEachKind) {
    for (const Kind &kind : kinds()) {
        SCOPED_TRACE(kind.name);
        many(in_computation, [&kind] { wait_for(kind.make()); });
    }
}

TEST_F(WaitInside, WaitsInWaits) {
    std::function<void()> wait = [] { wait_for(compute()); };
    for (int depth = 0; depth < 4; depth++)
        wait = [wait, depth] { wait_for(depth % 2 ? in_callback(wait) : in_computation(wait)); };
    many(in_callback, wait);
    many(in_computation, wait);
}

wf::Task<int> sleep_and_add(int a, int b) {
    (void)co_await wf::sleep(std::chrono::microseconds(200));
    (void)co_await wf::compute("wait inside", [] {});
    co_return a + b;
}

TEST_F(WaitInside, ForCoroutines) {
    std::atomic<int> good{0};
    std::function<void()> wait = [&good] { good += wf::run(sleep_and_add(2, 3)) == 5; };
    many(in_callback, wait);
    many(in_computation, wait);
    EXPECT_EQ(2 * kWaiters, good);
}

TEST_F(WaitInside, ForFutures) {
    std::atomic<int> good{0};
    std::function<void()> wait = [this, &good] {
        char text[8] = {};
        int fd = open(file_.c_str(), O_RDONLY | O_CLOEXEC);
        ssize_t got = WFFacilities::async_pread(fd, text, 7, 0).get();
        close(fd);
        good += got == 7 && std::string(text) == "content";
    };
    many(in_callback, wait);
    many(in_computation, wait);
    EXPECT_EQ(2 * kWaiters, good);
}

} // namespace
