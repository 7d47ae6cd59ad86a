// Weft - unit tests of the backlog rule, at its documented numbers
// SPDX-License-Identifier: Apache-2.0
#include "kernel/backlog.h"

#include <gtest/gtest.h>

namespace {

constexpr uint64_t SECOND = 1000000000;
constexpr size_t KIB = 1024;
constexpr size_t LIMIT = 64 * KIB;
constexpr int RATE = 4096;

// Someone who sends, and a peer that takes so many bytes each second. Returns the second in which
// the rule had enough, or -1 if it had not within `seconds`.
class Sender {
public:
    explicit Sender(size_t backlog) : backlog_(backlog) { rule_.begin(now_, backlog_); }
    virtual ~Sender() {}

    int run(int seconds, size_t rate) {
        for (int i = 1; i <= seconds; i++) {
            this->take(rate);
            now_ += SECOND;
            if (now_ >= rule_.next_sample())
                verdict = rule_.sample(now_, backlog_);
            if (verdict != BacklogRule::OK)
                return i;
        }
        return -1;
    }
    size_t backlog() const { return backlog_; }
    BacklogRule::Verdict verdict = BacklogRule::OK;
    BacklogRule rule_{LIMIT, RATE};

protected:
    virtual void take(size_t rate) { this->move(rate); }
    void move(size_t bytes) {
        bytes = bytes < backlog_ ? bytes : backlog_;
        backlog_ -= bytes;
        rule_.note(bytes, backlog_);
    }
    void add(size_t bytes) {
        backlog_ += bytes;
        rule_.begin(now_, backlog_);
    }
    size_t backlog_;
    uint64_t now_ = 1000 * SECOND;
};

// Fills up to the high mark when the low one is reached.
class Obedient : public Sender {
public:
    Obedient(size_t low, size_t high) : Sender(high), low_(low), high_(high) {}

private:
    void take(size_t rate) override {
        while (rate > 0) { // in pieces, as a socket takes them
            size_t piece = rate < 16 * KIB ? rate : 16 * KIB;
            this->move(piece);
            rate -= piece;
            if (backlog_ <= low_)
                this->add(high_ - backlog_);
        }
    }
    size_t low_, high_;
};

// Adds more than the peer takes.
class Careless : public Sender {
public:
    Careless() : Sender(LIMIT + 1) {}

private:
    void take(size_t rate) override {
        this->add(rate + 1);
        this->move(rate);
    }
};

TEST(Backlog, RunsOnlyAboveItsLimit) {
    BacklogRule rule(LIMIT, RATE);
    EXPECT_FALSE(rule.is_running());
    EXPECT_EQ(rule.next_sample(), UINT64_MAX);
    rule.begin(7 * SECOND, LIMIT);
    EXPECT_FALSE(rule.is_running());
    rule.begin(7 * SECOND, LIMIT + 1);
    EXPECT_EQ(rule.next_sample(), 12 * SECOND);
    rule.begin(9 * SECOND, LIMIT + 2); // goes on as it was
    EXPECT_EQ(rule.next_sample(), 12 * SECOND);
    rule.note(2, LIMIT);
    EXPECT_FALSE(rule.is_running());
    EXPECT_EQ(rule.sample(100 * SECOND, LIMIT), BacklogRule::OK);
}

TEST(Backlog, WithoutALimitThereIsNone) {
    BacklogRule rule(0, RATE);
    rule.begin(1, SIZE_MAX);
    EXPECT_FALSE(rule.is_running());
}

TEST(Backlog, NothingMovesForThreeSamples) {
    Sender silent(KIB * KIB);
    EXPECT_EQ(silent.run(100, 0), 15);
    EXPECT_EQ(silent.verdict, BacklogRule::STALLED);
    Sender nearly(KIB * KIB);
    EXPECT_EQ(nearly.run(100, 204), 15);
    Sender just(KIB * KIB);
    EXPECT_EQ(just.run(59, 205), -1);
}

TEST(Backlog, ThreeMustBeInARow) {
    Sender sender(KIB * KIB);
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ(sender.run(10, 0), -1);
        EXPECT_EQ(sender.run(5, 5 * RATE), -1);
    }
    EXPECT_EQ(sender.run(100, 0), 15);
}

TEST(Backlog, LittleMovesForTwelveSamples) {
    Sender slow(KIB * KIB);
    EXPECT_EQ(slow.run(100, 1000), 60);
    EXPECT_EQ(slow.verdict, BacklogRule::SLOW);
    Sender below(KIB * KIB);
    EXPECT_EQ(below.run(100, RATE - 1), 60);
    Sender just(KIB * KIB);
    EXPECT_EQ(just.run(300, RATE), -1);
    EXPECT_LE(just.backlog(), LIMIT);
}

TEST(Backlog, TwelveMustBeInARow) {
    Sender sender(4 * KIB * KIB);
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ(sender.run(55, 1000), -1);
        EXPECT_EQ(sender.run(5, 12 * RATE), -1);
    }
    EXPECT_EQ(sender.run(100, 1000), 60);
}

// One good sample among twelve does not make up for the others, unless it is that good.
TEST(Backlog, TwelveTogetherMustHaveTheRate) {
    Sender sender(4 * KIB * KIB);
    EXPECT_EQ(sender.run(5, 100 * RATE), -1); // what the system takes at the beginning
    EXPECT_EQ(sender.run(50, 1000), -1);
    EXPECT_EQ(sender.run(5, 2 * RATE), -1);
    EXPECT_EQ(sender.run(100, 1000), 5);
    EXPECT_EQ(sender.verdict, BacklogRule::SLOW);
}

TEST(Backlog, BelowTheLimitAllIsForgotten) {
    Sender sender(LIMIT + 55 * 1000);
    EXPECT_EQ(sender.run(1000, 1000), -1);
    EXPECT_EQ(sender.backlog(), 0u);
}

TEST(Backlog, WithoutARateOnlyStallsCount) {
    BacklogRule rule(LIMIT, 0);
    rule.begin(0, KIB * KIB);
    for (uint64_t i = 1; i < 100; i++) {
        rule.note(2000, KIB * KIB);
        ASSERT_EQ(rule.sample(5 * i * SECOND, KIB * KIB), BacklogRule::OK);
    }
    EXPECT_EQ(rule.sample(500 * SECOND, KIB * KIB), BacklogRule::OK);
    EXPECT_EQ(rule.sample(505 * SECOND, KIB * KIB), BacklogRule::OK);
    EXPECT_EQ(rule.sample(510 * SECOND, KIB * KIB), BacklogRule::STALLED);
}

// Whatever the marks and the speed of the peer, as long as that is enough.
TEST(Backlog, WhoObeysWaterMarksIsNotCut) {
    for (size_t low : {KIB, LIMIT - 1, LIMIT, 100 * KIB, KIB * KIB}) {
        for (size_t more : {KIB, 8 * KIB, 19 * KIB, 64 * KIB, KIB * KIB}) {
            for (size_t rate : {size_t(RATE) + 1, 5 * KIB, 20 * KIB, 333 * KIB, 10 * KIB * KIB}) {
                Obedient sender(low, low + more);
                EXPECT_EQ(sender.run(300, rate), -1) << low << " " << more << " " << rate;
            }
        }
    }
}

TEST(Backlog, ASlowPeerOfAnObedientSenderIsCut) {
    Obedient slow(KIB * KIB, 2 * KIB * KIB);
    EXPECT_EQ(slow.run(1000, 1000), 60);
    Obedient silent(KIB * KIB, 2 * KIB * KIB);
    EXPECT_EQ(silent.run(1000, 0), 15);
}

// However fast the peer is: it falls behind, and the room is ours.
TEST(Backlog, OneThatOnlyGrowsIsCut) {
    Careless sender;
    EXPECT_EQ(sender.run(1000, KIB * KIB), 60);
    EXPECT_EQ(sender.verdict, BacklogRule::SLOW);
}

TEST(Backlog, AnEarlyLookIsNoSampleAndALateOneIsOne) {
    BacklogRule rule(LIMIT, RATE);
    rule.begin(0, KIB * KIB);
    for (int i = 0; i < 100; i++)
        ASSERT_EQ(rule.sample(5 * SECOND - 1, KIB * KIB), BacklogRule::OK);
    EXPECT_EQ(rule.sample(60 * SECOND, KIB * KIB), BacklogRule::OK);
    EXPECT_EQ(rule.next_sample(), 65 * SECOND);
    EXPECT_EQ(rule.sample(65 * SECOND, KIB * KIB), BacklogRule::OK);
    EXPECT_EQ(rule.sample(70 * SECOND, KIB * KIB), BacklogRule::STALLED);
}

} // namespace
