// Weft - the red-black tree against std::multiset, with its invariants checked at every step
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "workflow/rbtree.h"

namespace {

// With a virtual function, so that rb_entry is tried on a class offsetof would complain of.
struct Item {
    virtual ~Item() {}

    int key = 0;
    struct rb_node node;
};

Item *item_of(struct rb_node *node) { return rb_entry(node, struct Item, node); }

// Equal keys go to the right, so they keep the order of insertion.
void insert(Item *item, struct rb_root *root, struct rb_node *above = nullptr) {
    struct rb_node **link = &root->rb_node;
    struct rb_node *parent = above;

    while (*link) {
        parent = *link;
        link = item->key < item_of(parent)->key ? &parent->rb_left : &parent->rb_right;
    }
    rb_link_node(&item->node, parent, link);
    rb_insert_color(&item->node, root);
}

// The number of black nodes on each way down, or -1 when a rule is broken.
int black_height(const struct rb_node *node, const struct rb_node *parent) {
    if (!node)
        return 0;

    bool red = node->rb_color == RB_RED;
    if (node->rb_parent != parent || (!red && node->rb_color != RB_BLACK))
        return -1;
    if (red && parent && parent->rb_color == RB_RED)
        return -1;

    int left = black_height(node->rb_left, node);
    int right = black_height(node->rb_right, node);
    if (left < 0 || left != right)
        return -1;
    return left + (red ? 0 : 1);
}

bool is_sound(const struct rb_root &root) {
    if (!root.rb_node)
        return true;
    return root.rb_node->rb_color == RB_BLACK && black_height(root.rb_node, nullptr) > 0;
}

std::vector<int> forward(const struct rb_root &root) {
    std::vector<int> keys;

    for (struct rb_node *node = rb_first(&root); node; node = rb_next(node))
        keys.push_back(item_of(node)->key);
    return keys;
}

std::vector<int> backward(const struct rb_root &root) {
    std::vector<int> keys;

    for (struct rb_node *node = rb_last(&root); node; node = rb_prev(node))
        keys.push_back(item_of(node)->key);
    std::reverse(keys.begin(), keys.end());
    return keys;
}

TEST(rbtree, empty_tree) {
    struct rb_root root = RB_ROOT;

    EXPECT_EQ(rb_first(&root), nullptr);
    EXPECT_EQ(rb_last(&root), nullptr);
}

TEST(rbtree, one_node) {
    struct rb_root root = RB_ROOT;
    Item item;

    insert(&item, &root);
    EXPECT_EQ(root.rb_node, &item.node);
    EXPECT_EQ(rb_first(&root), &item.node);
    EXPECT_EQ(rb_last(&root), &item.node);
    EXPECT_EQ(rb_next(&item.node), nullptr);
    EXPECT_EQ(rb_prev(&item.node), nullptr);
    EXPECT_TRUE(is_sound(root));
    rb_erase(&item.node, &root);
    EXPECT_EQ(root.rb_node, nullptr);
}

// All insertion orders of up to 7 keys, then each key erased from a fresh tree.
TEST(rbtree, all_small_trees) {
    for (size_t n = 1; n <= 7; n++) {
        std::vector<int> order(n);
        std::iota(order.begin(), order.end(), 0);
        do {
            for (size_t gone = 0; gone < n; gone++) {
                struct rb_root root = RB_ROOT;
                std::vector<Item> items(n);

                for (size_t i = 0; i < n; i++) {
                    items[i].key = order[i];
                    insert(&items[i], &root);
                }
                ASSERT_TRUE(is_sound(root));
                rb_erase(&items[gone].node, &root);
                ASSERT_TRUE(is_sound(root));
                ASSERT_EQ(forward(root).size(), n - 1);
            }
        } while (std::next_permutation(order.begin(), order.end()));
    }
}

void random_walk(unsigned seed, int steps, int max_key, int percent_insert) {
    std::mt19937 draw(seed);
    std::deque<Item> storage;
    std::vector<Item *> in;
    std::multiset<int> model;
    struct rb_root root = RB_ROOT;

    for (int step = 0; step < steps; step++) {
        if (in.empty() || static_cast<int>(draw() % 100) < percent_insert) {
            Item *item = &storage.emplace_back();
            item->key = static_cast<int>(draw() % static_cast<unsigned>(max_key));
            insert(item, &root);
            model.insert(item->key);
            in.push_back(item);
        } else {
            size_t at = draw() % in.size();
            model.erase(model.find(in[at]->key));
            rb_erase(&in[at]->node, &root);
            in[at] = in.back();
            in.pop_back();
        }
        ASSERT_TRUE(is_sound(root)) << "seed " << seed << " step " << step;
        if (step % 16 == 0) {
            std::vector<int> expected(model.begin(), model.end());
            ASSERT_EQ(forward(root), expected) << "seed " << seed << " step " << step;
            ASSERT_EQ(backward(root), expected) << "seed " << seed << " step " << step;
        }
    }
}

TEST(rbtree, random_walks_agree_with_the_model) {
    for (unsigned seed = 0; seed < 20; seed++) {
        random_walk(seed, 600, 1000, 60);
        random_walk(seed, 600, 5, 60);
        random_walk(seed, 600, 1000000, 50);
    }
}

TEST(rbtree, sorted_input_stays_flat) {
    struct rb_root root = RB_ROOT;
    std::vector<Item> items(1 << 14);
    int key = 0;

    for (Item &item : items) {
        item.key = key++;
        insert(&item, &root);
    }
    ASSERT_TRUE(is_sound(root));
    // A tree of black height h has at least 2^h - 1 nodes, so that this bounds its depth.
    EXPECT_LE(black_height(root.rb_node, nullptr), 14);
    for (Item &item : items) {
        ASSERT_EQ(rb_first(&root), &item.node);
        rb_erase(&item.node, &root);
    }
    EXPECT_EQ(root.rb_node, nullptr);
}

TEST(rbtree, equal_keys_keep_the_order_of_insertion) {
    struct rb_root root = RB_ROOT;
    std::vector<Item> items(100);

    for (Item &item : items)
        insert(&item, &root);

    struct rb_node *node = rb_first(&root);
    for (Item &item : items) {
        ASSERT_EQ(node, &item.node);
        node = rb_next(node);
    }
    EXPECT_EQ(node, nullptr);
}

TEST(rbtree, replace_node_at_every_place) {
    for (size_t at = 0; at < 20; at++) {
        struct rb_root root = RB_ROOT;
        std::vector<Item> items(20);
        Item fresh;

        for (size_t i = 0; i < items.size(); i++) {
            items[i].key = static_cast<int>(i);
            insert(&items[i], &root);
        }
        std::vector<int> before = forward(root);
        fresh.key = static_cast<int>(at);
        rb_replace_node(&items[at].node, &fresh.node, &root);
        EXPECT_TRUE(is_sound(root));
        EXPECT_EQ(forward(root), before);
        EXPECT_EQ(backward(root), before);
    }
}

// Containers with an end() put a red sentinel above the root; see rbtree.h.
TEST(rbtree, a_red_sentinel_above_the_root_is_left_alone) {
    std::mt19937 draw(7);
    std::vector<Item> items(200);
    struct rb_root root = RB_ROOT;
    struct rb_node end = {};
    std::vector<Item *> in;

    end.rb_color = RB_RED;
    for (int step = 0; step < 4000; step++) {
        Item *item = &items[draw() % items.size()];
        auto it = std::find(in.begin(), in.end(), item);

        if (it == in.end()) {
            item->key = static_cast<int>(draw() % 100);
            insert(item, &root, &end);
            in.push_back(item);
        } else {
            rb_erase(&item->node, &root);
            in.erase(it);
        }
        ASSERT_EQ(end.rb_color, RB_RED);
        ASSERT_EQ(end.rb_left, nullptr);
        if (root.rb_node) {
            ASSERT_EQ(root.rb_node->rb_parent, &end);
            root.rb_node->rb_parent = nullptr;
            ASSERT_TRUE(is_sound(root));
            root.rb_node->rb_parent = &end;
        }
    }
}

} // namespace
