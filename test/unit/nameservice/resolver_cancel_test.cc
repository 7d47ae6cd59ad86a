// Weft - tests of WFResolverTask for a task that is cancelled, or whose deadline passes
// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <thread>

#include "unit/nameservice/ns_engine.h"
#include "workflow/WFTask.h"
#include "workflow/wf/cancel.h"

namespace {

// Stands for the client task that a name is looked up for.
class Client : public CommSession {
public:
    using CommSession::get_cancel_handle;
    using CommSession::get_phase;
    using CommSession::set_deadline;

private:
    CommMessageOut *message_out() override { return nullptr; }
    CommMessageIn *message_in() override { return nullptr; }
    void handle(int, int) override {}
};

class ResolverCancelTest : public NsTest {
protected:
    WFRouterTask *task_for(Client *client, const char *host) {
        WFNSParams *ns = this->params(host, "80");
        ns->session = client;
        return engine->resolver.create_router_task(ns, results.callback());
    }
};

} // namespace

TEST_F(ResolverCancelTest, ADeadlineEndsTheWait) {
    Client client;
    client.set_deadline(500); // the question is asked long before that
    task_for(&client, "a.example")->start();
    Results::One one = results.wait_for(1).at(0);
    EXPECT_EQ(one.state, WFT_STATE_SYS_ERROR);
    EXPECT_EQ(one.error, ETIMEDOUT);
    EXPECT_EQ(client.get_phase(), CSP_RESOLVING);
    // The answer is not for nothing.
    lookup.answer("10.0.0.1");
    task("a.example", "80")->start();
    EXPECT_EQ(address_of(results.wait_for(2).at(1).route), "10.0.0.1:80");
    EXPECT_EQ(lookup.asked(), 1u);
}

TEST_F(ResolverCancelTest, ADeadlineFarAwayDoesNot) {
    Client client;
    client.set_deadline(100000);
    task_for(&client, "a.example")->start();
    lookup.wait_for(1);
    lookup.answer("10.0.0.1");
    EXPECT_EQ(address_of(results.wait_for(1).at(0).route), "10.0.0.1:80");
}

TEST_F(ResolverCancelTest, ACancelEndsTheWaitOfOne) {
    Client client;
    wf::CancelHandle handle = client.get_cancel_handle();
    task_for(&client, "a.example")->start();
    task("a.example", "80")->start();
    lookup.wait_for(1);
    EXPECT_EQ(wf::cancel(handle), 0);
    Results::One one = results.wait_for(1).at(0);
    EXPECT_EQ(one.state, WFT_STATE_SYS_ERROR);
    EXPECT_EQ(one.error, ECANCELED);
    lookup.answer("10.0.0.1");
    EXPECT_EQ(results.wait_for(2).at(1).state, WFT_STATE_SUCCESS);
}

TEST_F(ResolverCancelTest, OneThatWasCanceledAsksNothing) {
    Client client;
    EXPECT_EQ(wf::cancel(client.get_cancel_handle()), 0);
    task_for(&client, "a.example")->start();
    EXPECT_EQ(results.wait_for(1).at(0).error, ECANCELED);
    EXPECT_EQ(lookup.asked(), 0u);
    task_for(&client, "127.0.0.1")->start(); // takes no time, so nothing is cut off
    EXPECT_EQ(results.wait_for(2).at(1).state, WFT_STATE_SUCCESS);
}

// Answer, cancel and deadline at the same moment: one of them, once.
TEST_F(ResolverCancelTest, OneEndDecides) {
    constexpr size_t ROUNDS = 300;
    for (size_t i = 0; i < ROUNDS && !HasFailure(); i++) {
        Client client;
        wf::CancelHandle handle = client.get_cancel_handle();
        if (i % 2)
            client.set_deadline(1);
        task_for(&client, ("h" + std::to_string(i) + ".example").c_str())->start();
        std::thread canceling([&] { wf::cancel(handle); });
        lookup.answer_rest();
        canceling.join();
        Results::One one = results.wait_for(i + 1).at(i);
        bool failed = one.state == WFT_STATE_DNS_ERROR;
        bool ended = one.state == WFT_STATE_SYS_ERROR &&
                     (one.error == ECANCELED || (one.error == ETIMEDOUT && i % 2));
        EXPECT_TRUE(failed || ended) << one.state << " " << one.error;
    }
    EXPECT_EQ(results.count(), ROUNDS);
}
