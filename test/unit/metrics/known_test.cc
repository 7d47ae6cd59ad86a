// Weft - the engine's own metrics: names, and what tasks do to them
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include <netinet/in.h>

#include <gtest/gtest.h>

#include "find.h"
#include "kernel/entry.h"
#include "kernel/metrics.h"
#include "metrics/known.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/detail/scheme_mark.h"

namespace {

TEST(Known, EveryReasonHasAName) {
    std::set<std::string> names;
    for (unsigned reason = 0; reason < CCR_COUNT; reason++)
        names.insert(wf::detail::close_reason_name(reason));
    EXPECT_EQ(size_t{CCR_COUNT}, names.size());
    EXPECT_EQ(0u, names.count("unnamed"));
}

TEST(Known, EveryStateHasASideAndAName) {
    EXPECT_STREQ("client", wf::detail::connection_side(CommConnEntry::CLOSING));
    EXPECT_STREQ("server", wf::detail::connection_side(CommConnEntry::S_ACCEPTED));
    std::set<std::string> names;
    for (unsigned state = 0; state < CommConnEntry::STATE_COUNT; state++)
        names.insert(std::string(wf::detail::connection_side(state)) + " " +
                     CommConnEntry::state_name(static_cast<CommConnEntry::State>(state)));
    EXPECT_EQ(size_t{CommConnEntry::STATE_COUNT}, names.size());
}

// Prometheus wants one group of lines for each name.
TEST(Known, FamiliesAreSortedAndHaveHelp) {
    std::vector<wf::MetricFamily> families = wf::collect();
    std::string before;
    for (const wf::MetricFamily &family : families) {
        EXPECT_LT(before, family.name);
        EXPECT_FALSE(family.help.empty()) << family.name;
        EXPECT_EQ('.', family.help.back()) << family.name;
        EXPECT_FALSE(family.samples.empty()) << family.name;
        bool total =
            family.name.size() > 6 && family.name.compare(family.name.size() - 6, 6, "_total") == 0;
        EXPECT_EQ(family.type == wf::MetricType::COUNTER, total) << family.name;
        before = family.name;
    }
    EXPECT_GT(families.size(), 35u);
}

TEST(Known, TasksAreCountedByKind) {
    double timers = read_value("weft_made_tasks_total", "timer");
    double fired = read_value("weft_timers_total", "fired");
    double computed = read_value("weft_executor_computations_total");
    double compute = read_value("weft_made_tasks_total", "compute");
    WFTimerTask *never = WFTaskFactory::create_timer_task(1, 0, nullptr);
    EXPECT_EQ(timers + 1, read_value("weft_made_tasks_total", "timer"));
    EXPECT_EQ(1, read_value("weft_tasks", "timer"));
    never->dismiss();
    EXPECT_EQ(0, read_value("weft_tasks", "timer"));
    WFFacilities::WaitGroup group(2);
    WFTaskFactory::create_timer_task(0, 1000, [&](WFTimerTask *) { group.done(); })->start();
    auto *go = WFTaskFactory::create_go_task("q", [] {});
    go->set_callback([&](WFGoTask *) { group.done(); });
    go->start();
    group.wait();
    EXPECT_EQ(timers + 2, read_value("weft_made_tasks_total", "timer"));
    EXPECT_EQ(fired + 1, read_value("weft_timers_total", "fired"));
    EXPECT_EQ(compute + 1, read_value("weft_made_tasks_total", "compute"));
    EXPECT_EQ(computed + 1, read_value("weft_executor_computations_total"));
    EXPECT_GE(read_value("weft_workers"), 1);
    EXPECT_GE(read_value("weft_permits"), 1);
    EXPECT_GE(read_value("weft_executor_threads"), 1);
}

// Permits are held by the callbacks that run, and read from the pool itself.
TEST(Known, PermitsInUse) {
    WFFacilities::WaitGroup over(2);
    std::atomic<bool> seen{false};
    auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (int i = 0; i < 2; i++) {
        WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
            // Not a wait the engine knows of: that would lay the permit down.
            while (!seen && std::chrono::steady_clock::now() < give_up) {
                if (read_value("weft_held_permits") >= 2)
                    seen = true;
                std::this_thread::yield();
            }
            over.done();
        })->start();
    }
    over.wait();
    EXPECT_TRUE(seen);
    EXPECT_GE(read_value("weft_permits"), 2);
}

TEST(Known, ClientTasksByScheme) {
    auto look = [](const char *name, const char *scheme) {
        return read_value(std::string("weft_") + name, scheme);
    };
    double http = look("made_client_tasks_total", "http");
    double https = look("made_client_tasks_total", "https");
    double other = look("made_client_tasks_total", "other");
    double http_ended = look("ended_client_tasks_total", "http");
    WFHttpTask *task = WFTaskFactory::create_http_task("HTTP://127.0.0.1:1/", 0, 0, nullptr);
    EXPECT_EQ(http + 1, look("made_client_tasks_total", "http"));
    EXPECT_EQ(1, look("client_tasks", "http"));
    task->dismiss();
    EXPECT_EQ(0, look("client_tasks", "http"));
    EXPECT_EQ(http_ended + 1, look("ended_client_tasks_total", "http"));

    WFTaskFactory::create_http_task("https://127.0.0.1:1/", 0, 0, nullptr)->dismiss();
    EXPECT_EQ(https + 1, look("made_client_tasks_total", "https"));
    struct sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    using Factory = WFNetworkTaskFactory<protocol::HttpRequest, protocol::HttpResponse>;
    Factory::create_client_task(TT_TCP, "gopher://127.0.0.1:70/", 0, nullptr)->dismiss();
    Factory::create_client_task(TT_TCP, reinterpret_cast<struct sockaddr *>(&addr), sizeof addr,
                                nullptr, 0, nullptr)
        ->dismiss();
    EXPECT_EQ(other + 2, look("made_client_tasks_total", "other"));
    EXPECT_EQ(0, look("client_tasks", "other"));
    EXPECT_EQ(http + 1, look("made_client_tasks_total", "http"));
}

// A task that a redirect takes elsewhere is gone under one scheme and made under the other.
TEST(Known, ASchemeThatChanges) {
    double http = read_value("weft_ended_client_tasks_total", "http");
    wf::detail::SchemeMark mark;
    mark.set("http");
    mark.set("Http"); // the same
    EXPECT_EQ(http, read_value("weft_ended_client_tasks_total", "http"));
    mark.set("https");
    EXPECT_EQ(http + 1, read_value("weft_ended_client_tasks_total", "http"));
    EXPECT_EQ(1, read_value("weft_client_tasks", "https"));
    EXPECT_EQ(nullptr, wf::detail::scheme_name(METRIC_SCHEMES));
}

TEST(Known, ACanceledTimer) {
    double canceled = read_value("weft_timers_total", "canceled");
    double running = read_value("weft_timers");
    WFFacilities::WaitGroup group(1);
    WFTaskFactory::create_timer_task("metrics test", 3600, 0, [&](WFTimerTask *) {
        group.done();
    })->start();
    EXPECT_EQ(running + 1, read_value("weft_timers"));
    EXPECT_EQ(1, WFTaskFactory::cancel_by_name("metrics test"));
    group.wait();
    EXPECT_EQ(canceled + 1, read_value("weft_timers_total", "canceled"));
    EXPECT_EQ(running, read_value("weft_timers"));
}

} // namespace
