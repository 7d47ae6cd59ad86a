// Weft - integration: a thousand tasks at once to places that cannot answer
// SPDX-License-Identifier: Apache-2.0
//
// A dead address (refusing, or swallowing), a name that does not exist, a server that never
// answers, a server that cuts everybody: each task gets its callback, once, with the right state
// and error, in time. The program sets short limits for all its tasks, so it is one of its own.

#include <errno.h>
#include <netdb.h>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <mutex>

#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "integration/raw_socket.h"

namespace {

const int kTasks = 1000;
const int kLimitMs = 1000; // Of the connect and of the answer.

// The settings must be there before the first task of the program.
class ShortLimits : public ::testing::Environment {
public:
    void SetUp() override {
        WFGlobalSettings settings = GLOBAL_SETTINGS_DEFAULT;
        settings.endpoint_params.connect_timeout = kLimitMs;
        settings.endpoint_params.response_timeout = kLimitMs;
        WORKFLOW_library_init(&settings);
    }
};

const auto *const short_limits = ::testing::AddGlobalTestEnvironment(new ShortLimits);

// What a thousand tasks came back with.
struct Outcome {
    std::map<std::string, int> kinds; // "state/error/reason" and how many.
    int callbacks = 0;
    int repeated = 0;
    double seconds = 0;

    std::string text() const {
        std::string all;
        for (const auto &item : kinds)
            all += item.first + " x " + std::to_string(item.second) + "; ";
        return all;
    }
    int of(const std::string &kind) const {
        auto found = kinds.find(kind);
        return found == kinds.end() ? 0 : found->second;
    }
};

Outcome run_thousand(const std::string &url, int retry_max = 0) {
    Outcome outcome;
    std::mutex mutex;
    std::vector<int> called(kTasks);
    std::promise<void> ended;
    auto begin = std::chrono::steady_clock::now();
    ParallelWork *all =
        Workflow::create_parallel_work([&](const ParallelWork *) { ended.set_value(); });
    for (int i = 0; i < kTasks; i++) {
        WFHttpTask *task =
            WFTaskFactory::create_http_task(url, 0, retry_max, [&, i](WFHttpTask *t) {
                std::string kind = std::to_string(t->get_state()) + "/" +
                                   std::to_string(t->get_error()) + "/" +
                                   std::to_string(t->get_timeout_reason());
                std::lock_guard<std::mutex> lock(mutex);
                outcome.kinds[kind]++;
                outcome.callbacks++;
                outcome.repeated += called[static_cast<size_t>(i)]++;
            });
        all->add_series(Workflow::create_series_work(task, nullptr));
    }
    all->start();
    bool ready =
        ended.get_future().wait_for(std::chrono::seconds(120)) == std::future_status::ready;
    EXPECT_TRUE(ready) << "callbacks are missing; the rest of this test cannot be trusted";
    if (!ready)
        abort(); // The tasks still point into this frame.
    outcome.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return outcome;
}

std::string url_of(unsigned short port) { return "http://127.0.0.1:" + std::to_string(port) + "/"; }

std::string kind(int state, int error, int reason) {
    return std::to_string(state) + "/" + std::to_string(error) + "/" + std::to_string(reason);
}

TEST(Thousand, AddressThatRefuses) {
    for (int retry_max : {0, 2}) {
        Outcome outcome = run_thousand(url_of(raw::refusing_port()), retry_max);
        EXPECT_EQ(kTasks, outcome.callbacks);
        EXPECT_EQ(0, outcome.repeated);
        EXPECT_EQ(kTasks, outcome.of(kind(WFT_STATE_SYS_ERROR, ECONNREFUSED, TOR_NOT_TIMEOUT)))
            << outcome.text();
        EXPECT_LT(outcome.seconds, 30.0);
    }
}

TEST(Thousand, AddressThatSwallows) {
    raw::BlackHole hole;
    ASSERT_TRUE(hole.works());
    Outcome outcome = run_thousand(url_of(hole.port()));
    EXPECT_EQ(kTasks, outcome.callbacks);
    EXPECT_EQ(0, outcome.repeated);
    // Up to 200 connect at a time; the others wait for a place, as long as for a connection.
    int connecting = outcome.of(kind(WFT_STATE_SYS_ERROR, ETIMEDOUT, TOR_CONNECT_TIMEOUT));
    int waiting = outcome.of(kind(WFT_STATE_SYS_ERROR, ETIMEDOUT, TOR_WAIT_TIMEOUT));
    EXPECT_EQ(kTasks, connecting + waiting) << outcome.text();
    EXPECT_GE(connecting, 200);
    EXPECT_GE(outcome.seconds, kLimitMs / 1000.0);
    EXPECT_LT(outcome.seconds, 30.0);
}

TEST(Thousand, NameThatDoesNotExist) {
    Outcome outcome = run_thousand("http://no-such-host.invalid/");
    EXPECT_EQ(kTasks, outcome.callbacks);
    EXPECT_EQ(0, outcome.repeated);
    int dns = 0;
    for (int error : {EAI_NONAME, EAI_AGAIN, EAI_FAIL})
        dns += outcome.of(kind(WFT_STATE_DNS_ERROR, error, TOR_NOT_TIMEOUT));
    EXPECT_EQ(kTasks, dns) << outcome.text();
    EXPECT_LT(outcome.seconds, 60.0);
}

TEST(Thousand, ServerThatNeverAnswers) {
    raw::Listener silent(2048);
    Outcome outcome = run_thousand(url_of(silent.port()));
    EXPECT_EQ(kTasks, outcome.callbacks);
    EXPECT_EQ(0, outcome.repeated);
    int silent_answers = outcome.of(kind(WFT_STATE_SYS_ERROR, ETIMEDOUT, TOR_TRANSMIT_TIMEOUT));
    int waiting = outcome.of(kind(WFT_STATE_SYS_ERROR, ETIMEDOUT, TOR_WAIT_TIMEOUT));
    EXPECT_EQ(kTasks, silent_answers + waiting) << outcome.text();
    EXPECT_GE(silent_answers, 200);
    EXPECT_GE(outcome.seconds, kLimitMs / 1000.0);
    EXPECT_LT(outcome.seconds, 30.0);
}

TEST(Thousand, ServerThatCutsEverybody) {
    raw::ScriptedServer server([](raw::Socket &peer, int) { peer.reset(); });
    Outcome outcome = run_thousand(server.url(), 1);
    EXPECT_EQ(kTasks, outcome.callbacks);
    EXPECT_EQ(0, outcome.repeated);
    int reset = outcome.of(kind(WFT_STATE_SYS_ERROR, ECONNRESET, TOR_NOT_TIMEOUT)) +
                outcome.of(kind(WFT_STATE_SYS_ERROR, EPIPE, TOR_NOT_TIMEOUT));
    int waiting = outcome.of(kind(WFT_STATE_SYS_ERROR, ETIMEDOUT, TOR_WAIT_TIMEOUT));
    EXPECT_EQ(kTasks, reset + waiting) << outcome.text();
    EXPECT_LT(outcome.seconds, 30.0);
}

TEST(Thousand, BadUrls) {
    Outcome outcome = run_thousand("http://[broken");
    EXPECT_EQ(kTasks, outcome.callbacks);
    EXPECT_EQ(kTasks, outcome.of(kind(WFT_STATE_TASK_ERROR, WFT_ERR_URI_PARSE_FAILED, 0)))
        << outcome.text();
}

// After all that the engine still serves: one answer, one timer.
TEST(Thousand, StillAlive) {
    raw::ScriptedServer server([](raw::Socket &peer, int) {
        peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    Outcome outcome;
    std::promise<int> state;
    WFTaskFactory::create_http_task(server.url(), 0, 0, [&](WFHttpTask *task) {
        state.set_value(task->get_state());
    })->start();
    EXPECT_EQ(WFT_STATE_SUCCESS, state.get_future().get());
}

} // namespace
