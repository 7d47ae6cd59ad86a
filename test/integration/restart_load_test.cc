// Weft - integration: ending and replacing a server under load loses no request that was accepted
// SPDX-License-Identifier: Apache-2.0
//
// Accepted is a request of which the server has read the first byte. The server counts those, the
// runs of its handler and the answers that went out, its clients count the answers that came in:
// all four must be one number. So a request that was begun and dropped shows, a handler that ran
// for nothing, and one that ran twice. A client that finds a kept connection closed under a request
// asks again on a new one, and that is no loss; while a successor takes over, a new connection that
// is refused, or closed without an answer, is one.
//
// WEFT_SOAK_SECONDS asks for about so much load and not for a few rounds.

#include <signal.h>

#include <gtest/gtest.h>

#include "integration/load.h"
#include "integration/patience.h"
#include "integration/soak.h"

namespace {

using Clock = std::chrono::steady_clock;

const int kPlainClients = 32;
const int kTlsClients = 16;
const int kRounds = 5;
const long kAnswers = 400; // Of each server, before it has to go.

class UnderLoad : public ::testing::TestWithParam<bool> {
protected:
    static bool is_tls() { return GetParam(); }
    static int clients() { return is_tls() ? kTlsClients : kPlainClients; }
    SSL_CTX *ctx() const { return is_tls() ? asking_.get() : nullptr; }

    // When all servers and clients have ended.
    static void expect_no_loss(const LoadCounts &counts, Load *load) {
        EXPECT_EQ(0, load->broken.load()) << load->faults();
        EXPECT_EQ(counts.begun.load(), counts.handled.load()) << "dropped, having been begun";
        EXPECT_EQ(counts.handled.load(), counts.replied.load());
        EXPECT_EQ(0, counts.failed.load());
        EXPECT_EQ(counts.handled.load(), load->answered.load()) << "answers that did not arrive";
    }

    bool another_round(int done) const {
        return done < kRounds || Clock::now() - begin_ < soak_time(0);
    }

    Context asking_ = asking();
    Clock::time_point begin_ = Clock::now();
};

TEST_P(UnderLoad, EndsAndLosesNothing) {
    long answered = 0, repeated = 0, cut = 0, rounds = 0;
    for (; another_round(static_cast<int>(rounds)); rounds++) {
        LoadServer server;
        ASSERT_TRUE(server.start()) << server.err();
        Load load(Load::UNTIL_REFUSED, server.port(is_tls()), ctx());
        load.start(clients());
        EXPECT_TRUE(eventually([&] { return load.answered >= kAnswers; }, 60000));
        server.signal(SIGTERM);
        EXPECT_EQ(0, server.wait_end(server.pid())) << server.err();
        load.join();
        expect_no_loss(server.counts(), &load);
        answered += load.answered;
        repeated += load.repeated;
        cut += load.cut;
    }
    tell("ended " + std::to_string(rounds) + " times: " + std::to_string(answered) + " answers, " +
         std::to_string(repeated) + " requests repeated, " + std::to_string(cut) +
         " new connections closed unread");
}

TEST_P(UnderLoad, IsReplacedAndLosesNothing) {
    LoadServer server;
    ASSERT_TRUE(server.start()) << server.err();
    Load load(Load::UNTIL_STOPPED, server.port(is_tls()), ctx());
    load.start(clients());
    int generation = 0;
    while (another_round(generation)) {
        long before = load.answered;
        EXPECT_TRUE(eventually([&] { return load.answered >= before + kAnswers; }, 60000));
        pid_t old = server.pid();
        server.signal(SIGHUP);
        ASSERT_TRUE(server.wait_generation(++generation)) << server.err();
        ASSERT_EQ(0, server.wait_end(old)) << server.err();
    }
    load.stop();
    server.signal(SIGTERM);
    EXPECT_EQ(0, server.wait_end(server.pid())) << server.err();
    EXPECT_EQ(0, load.refused.load()) << load.faults();
    EXPECT_EQ(0, load.cut.load()) << load.faults();
    expect_no_loss(server.counts(), &load);
    tell("replaced " + std::to_string(generation) +
         " times: " + std::to_string(load.answered.load()) + " answers, " +
         std::to_string(load.repeated.load()) + " requests repeated");
}

INSTANTIATE_TEST_SUITE_P(Restart, UnderLoad, ::testing::Bool(), [](const auto &test) {
    return test.param ? std::string("Tls") : std::string("Plain");
});

} // namespace
