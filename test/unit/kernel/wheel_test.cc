// Weft - the timer wheel against a sorted list of what it should hold
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <vector>

#include "kernel/wheel.h"

namespace {

constexpr uint64_t TICK = uint64_t(1) << WHEEL_SHIFT;
constexpr uint64_t SECOND = 1000000000;
constexpr uint64_t DAY = 86400 * SECOND;

struct Node : weft_timer {
    uint64_t order = 0; // of adding, for ties
};

class WheelTest : public testing::Test {
protected:
    WheelTest() : wheel(new struct wheel) { wheel_init(wheel.get(), now); }

    void add(Node *node, uint64_t expire) {
        node->order = next_order++;
        wheel_add(wheel.get(), node, expire);
        model.emplace(std::make_pair(expire, node->order), node);
    }
    void remove(Node *node) {
        wheel_remove(wheel.get(), node);
        model.erase({node->expire, node->order});
    }
    // Moves on, and checks that just the expired ones came, in order.
    void advance(uint64_t to) {
        now = to;
        weft_timer *t = wheel_advance(wheel.get(), now);
        while (!model.empty() && model.begin()->first.first <= now) {
            ASSERT_NE(t, nullptr) << "one of " << model.begin()->first.first << " is missing at "
                                  << now;
            EXPECT_EQ(static_cast<Node *>(t)->expire, model.begin()->first.first);
            EXPECT_FALSE(wheel_has(t));
            gone.push_back(static_cast<Node *>(t));
            // Ties are in order of adding, unless a cascade came between; they are all there in any
            // case.
            model.erase({static_cast<Node *>(t)->expire, static_cast<Node *>(t)->order});
            t = t->next;
        }
        EXPECT_EQ(t, nullptr) << "one came too early";
        check_next();
    }
    void check_next() {
        uint64_t next = wheel_next(wheel.get());
        if (model.empty())
            EXPECT_EQ(next, UINT64_MAX);
        else
            EXPECT_LE(next, model.begin()->first.first) << "it would be looked at too late";
    }

    uint64_t now = 12345 * SECOND + 678;
    std::unique_ptr<struct wheel> wheel;
    std::map<std::pair<uint64_t, uint64_t>, Node *> model;
    std::vector<Node *> gone;
    uint64_t next_order = 0;
};

TEST_F(WheelTest, EmptyHasNothing) {
    check_next();
    advance(now + 400 * DAY);
    EXPECT_TRUE(gone.empty());
}

TEST_F(WheelTest, OneIsHandedOutWhenItsTimeHasComeAndNotBefore) {
    for (uint64_t wait : {uint64_t(0), uint64_t(1), TICK - 1, TICK, 64 * TICK, 64 * TICK + 1,
                          4096 * TICK, SECOND, DAY}) {
        Node node;
        uint64_t expire = now + wait;
        add(&node, expire);
        EXPECT_EQ(wheel_next(wheel.get()), expire);
        if (wait > 0)
            advance(expire - 1);
        EXPECT_TRUE(gone.empty()) << wait;
        advance(expire);
        EXPECT_EQ(gone.size(), 1u) << wait;
        gone.clear();
    }
}

TEST_F(WheelTest, ALateOneComesAtTheNextAdvance) {
    Node node;
    advance(now + SECOND);
    add(&node, now - SECOND / 2);
    EXPECT_LE(wheel_next(wheel.get()), now);
    advance(now);
    EXPECT_EQ(gone.size(), 1u);
}

TEST_F(WheelTest, TiesComeInOrderOfAdding) {
    Node nodes[10];
    for (Node &node : nodes)
        add(&node, now + 5 * TICK + 3);
    advance(now + SECOND);
    ASSERT_EQ(gone.size(), 10u);
    for (size_t i = 0; i < 10; i++)
        EXPECT_EQ(gone[i], &nodes[i]);
}

TEST_F(WheelTest, TheFarFutureIsKept) {
    Node never, far;
    add(&never, UINT64_MAX);
    add(&far, now + 1000 * DAY);
    for (int i = 0; i < 2000; i++)
        advance(now + DAY / 3);
    ASSERT_TRUE(gone.empty());
    advance(now + 400 * DAY);
    EXPECT_EQ(gone.size(), 1u);
    EXPECT_TRUE(wheel_has(&never));
    advance(UINT64_MAX);
    EXPECT_EQ(gone.size(), 2u);
}

// How far away deadlines are, in the kinds that a server has, and then some.
uint64_t draw_wait(std::mt19937_64 &draw) {
    switch (draw() % 6) {
    case 0:
        return draw() % (4 * TICK);
    case 1:
        return draw() % (200 * TICK);
    case 2:
        return draw() % SECOND;
    case 3:
        return draw() % (60 * SECOND);
    case 4:
        return draw() % (3 * DAY);
    default:
        return (draw() % 100) * TICK * 64 * 64; // on the borders of slots
    }
}

class WheelModel : public WheelTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(WheelModel, RandomOperations) {
    std::mt19937_64 draw(GetParam());
    std::vector<std::unique_ptr<Node>> nodes(300);
    for (auto &node : nodes) {
        node = std::make_unique<Node>();
        node->prev = nullptr;
    }
    for (int step = 0; step < 20000 && !HasFailure(); step++) {
        Node *node = nodes[draw() % nodes.size()].get();
        switch (draw() % 4) {
        case 0:
        case 1:
            if (wheel_has(node))
                remove(node);
            add(node, draw() % 50 == 0 ? now - draw() % SECOND : now + draw_wait(draw));
            break;
        case 2:
            if (wheel_has(node))
                remove(node);
            break;
        default: {
            uint64_t next = wheel_next(wheel.get());
            bool to_next = draw() % 2 && next != UINT64_MAX && next > now;
            advance(to_next ? next : now + draw_wait(draw) / (draw() % 100 + 1));
        }
        }
        check_next();
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, WheelModel, testing::Range<uint64_t>(1, 11));

// Going from one wheel_next() to the next reaches every deadline, with few detours.
TEST_F(WheelTest, NextLeadsToEveryDeadline) {
    std::mt19937_64 draw(3);
    std::vector<Node> nodes(2000);
    for (Node &node : nodes)
        add(&node, now + draw_wait(draw));
    int steps = 0;
    while (!model.empty() && !HasFailure()) {
        advance(std::max(now, wheel_next(wheel.get())));
        steps++;
    }
    EXPECT_EQ(gone.size(), nodes.size());
    EXPECT_LT(steps, 2 * static_cast<int>(nodes.size()));
}

} // namespace
