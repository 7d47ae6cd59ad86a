// Weft - tests of WFResolverTask with the real getaddrinfo(), and at the end of the process
// SPDX-License-Identifier: Apache-2.0
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "nameservice/lookup_getaddrinfo.h"
#include "unit/nameservice/ns_engine.h"
#include "workflow/WFTask.h"

namespace {

class ResolverEndTest : public NsTest {};

// Holds a DNS thread until it is let go.
class Blocker : public ExecSession {
public:
    void execute() override {
        std::unique_lock<std::mutex> lock(mutex_);
        running_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return free_; });
    }
    void handle(int, int) override {
        std::lock_guard<std::mutex> lock(mutex_);
        over_ = true;
        changed_.notify_all();
    }
    void wait_running() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return running_; });
    }
    void let_go() {
        std::lock_guard<std::mutex> lock(mutex_);
        free_ = true;
        changed_.notify_all();
    }
    void wait_over() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return over_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool running_ = false;
    bool free_ = false;
    bool over_ = false;
};

} // namespace

// The old short form of an address, which getaddrinfo() knows and needs no network for.
TEST_F(ResolverEndTest, GetaddrinfoResolves) {
    engine->resolver.set_lookup(nullptr);
    task("127.1", "8080")->start();
    Results::One one = results.wait_for(1).at(0);
    EXPECT_EQ(one.state, WFT_STATE_SUCCESS);
    EXPECT_EQ(address_of(one.route), "127.0.0.1:8080");
}

// behaviours row 63. A name that no resolver may send anywhere, because of its length.
TEST_F(ResolverEndTest, GetaddrinfoFails) {
    engine->resolver.set_lookup(nullptr);
    std::string label(70, 'x');
    task((label + "." + label).c_str(), "80")->start();
    Results::One one = results.wait_for(1).at(0);
    EXPECT_EQ(one.state, WFT_STATE_DNS_ERROR);
    EXPECT_LT(one.error, 0);
}

// behaviours row 120
TEST_F(ResolverEndTest, ParkedTasksAreAborted) {
    for (int i = 0; i < 10; i++)
        task("a.example", "80")->start();
    engine->scheduler.close();
    for (const Results::One &one : results.wait_for(10))
        EXPECT_EQ(one.state, WFT_STATE_ABORTED);
    lookup.answer("10.0.0.1"); // nobody waits any more
    engine->end();
    EXPECT_EQ(results.count(), 10u);
}

// behaviours row 120
TEST_F(ResolverEndTest, TasksAfterTheEndAreAborted) {
    engine->scheduler.close();
    task("a.example", "80")->start();
    EXPECT_EQ(results.wait_for(1).at(0).state, WFT_STATE_ABORTED);
    EXPECT_EQ(lookup.asked(), 0u);
    task("127.0.0.1", "80")->start();
    EXPECT_EQ(results.wait_for(2).at(1).state, WFT_STATE_SUCCESS);
}

// behaviours row 120
TEST_F(ResolverEndTest, QueuedLookupsAreCanceled) {
    engine->resolver.set_lookup(nullptr);
    Blocker blockers[2]; // as many as there are DNS threads
    for (Blocker &blocker : blockers)
        ASSERT_EQ(engine->dns_executor.request(&blocker, &engine->dns_queue), 0);
    for (Blocker &blocker : blockers)
        blocker.wait_running();
    for (int i = 0; i < 5; i++)
        task(("h" + std::to_string(i) + ".example").c_str(), "80")->start();
    EXPECT_EQ(results.count(), 0u);
    std::thread ender([this] { engine->dns_executor.deinit(); });
    for (const Results::One &one : results.wait_for(5))
        EXPECT_EQ(one.state, WFT_STATE_ABORTED);
    for (Blocker &blocker : blockers)
        blocker.let_go();
    ender.join();
    ASSERT_EQ(engine->dns_executor.init(1), 0);
}

// A look-up that answers inside start() runs no user code there.
TEST_F(ResolverEndTest, AnswerMayComeAtOnce) {
    class Instant : public wf::detail::Lookup {
    public:
        void start(const wf::detail::LookupQuestion &question,
                   wf::detail::LookupSink *sink) override {
            wf::detail::LookupAnswer answer;
            struct addrinfo *list = make_list({"10.0.0.1", "::1"}, 1);
            EXPECT_TRUE(answer.addresses.add_all(list, question.port));
            wf::detail::address_list_free(list);
            sink->answer(answer);
        }
    } instant;
    engine->resolver.set_lookup(&instant);
    for (int i = 0; i < 20; i++)
        task(("h" + std::to_string(i)).c_str(), "80")->start();
    for (const Results::One &one : results.wait_for(20))
        EXPECT_EQ(one.route.request_object->get_max_load(), 400u);
}

// Success without an address is no success.
TEST_F(ResolverEndTest, EmptyAnswerIsAFailure) {
    class Empty : public wf::detail::Lookup {
    public:
        void start(const wf::detail::LookupQuestion &, wf::detail::LookupSink *sink) override {
            wf::detail::LookupAnswer answer;
            sink->answer(answer);
        }
    } empty;
    engine->resolver.set_lookup(&empty);
    task("a.example", "80")->start();
    Results::One one = results.wait_for(1).at(0);
    EXPECT_EQ(one.state, WFT_STATE_DNS_ERROR);
    EXPECT_EQ(one.error, EAI_NONAME);
}
