// Weft - both kinds of intrusive list
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <list>
#include <random>
#include <vector>

#include "workflow/list.h"

extern "C" int check_containers_in_c(void);

namespace {

struct Base {
    virtual ~Base() {}
    long something = 0;
};

// Neither plain nor first: what list_entry has to cope with in C++.
class Item : public Base {
public:
    explicit Item(int v) : value(v) {}

private:
    int hidden_ = 0;

public:
    int value;
    struct list_head link;
    struct slist_node chain;

    int hidden() const { return hidden_; }
};

class Derived : public Item {
public:
    using Item::Item;
    int more = 0;
};

struct Fixture : testing::Test {
    std::deque<Item> items;
    struct list_head head = LIST_HEAD_INIT(head);

    Item *make(int value) { return &items.emplace_back(value); }

    static std::vector<int> values(const struct list_head *ring) {
        std::vector<int> res;
        Item *item;

        list_for_each_entry(item, ring, link)
            res.push_back(item->value);

        std::vector<int> reversed;
        struct list_head *pos;
        list_for_each_prev(pos, ring)
            reversed.push_back(list_entry(pos, class Item, link)->value);
        std::reverse(reversed.begin(), reversed.end());
        EXPECT_EQ(res, reversed);
        return res;
    }
};

using Ints = std::vector<int>;
using list = Fixture;

TEST_F(list, empty) {
    LIST_HEAD(other);

    EXPECT_TRUE(list_empty(&head));
    EXPECT_TRUE(list_empty(&other));
    EXPECT_EQ(values(&head), Ints());
    list_splice(&other, &head);
    EXPECT_TRUE(list_empty(&head));
}

TEST_F(list, add_at_both_ends_and_delete) {
    Item *two = make(2);

    list_add(&two->link, &head);
    list_add(&make(1)->link, &head);
    list_add_tail(&make(4)->link, &head);
    list_add(&make(3)->link, &two->link);
    EXPECT_EQ(values(&head), (Ints{1, 2, 3, 4}));
    EXPECT_FALSE(list_empty(&head));
    list_del(&two->link);
    EXPECT_EQ(values(&head), (Ints{1, 3, 4}));
}

TEST_F(list, move_between_lists_and_within) {
    LIST_HEAD(other);
    Item *a = make(1), *b = make(2);

    list_add_tail(&a->link, &head);
    list_add_tail(&b->link, &head);
    list_move(&b->link, &head);
    EXPECT_EQ(values(&head), (Ints{2, 1}));
    list_move_tail(&b->link, &head);
    EXPECT_EQ(values(&head), (Ints{1, 2}));
    list_move(&b->link, &other);
    list_move(&a->link, &other);
    EXPECT_EQ(values(&other), (Ints{1, 2}));
    EXPECT_TRUE(list_empty(&head));
}

TEST_F(list, splice_goes_after_the_place) {
    LIST_HEAD(other);

    for (int i : {1, 4})
        list_add_tail(&make(i)->link, &head);
    for (int i : {2, 3})
        list_add_tail(&make(i)->link, &other);
    list_splice_init(&other, head.next);
    EXPECT_EQ(values(&head), (Ints{1, 2, 3, 4}));
    EXPECT_TRUE(list_empty(&other));
    list_splice_init(&head, &other);
    EXPECT_EQ(values(&other), (Ints{1, 2, 3, 4}));
    EXPECT_TRUE(list_empty(&head));
}

TEST_F(list, safe_walk_lets_the_body_take_out) {
    struct list_head *pos, *n;

    for (int i = 0; i < 6; i++)
        list_add_tail(&make(i)->link, &head);
    list_for_each_safe(pos, n, &head) {
        if (list_entry(pos, Item, link)->value % 2 == 0) {
            list_del(pos);
            pos->next = nullptr;
        }
    }
    EXPECT_EQ(values(&head), (Ints{1, 3, 5}));

    int count = 0;
    list_for_each(pos, &head)
        count++;
    EXPECT_EQ(count, 3);
}

template <class T>
T *first_of(struct list_head *ring) {
    T *item;

    list_for_each_entry(item, ring, link)
        return item;
    return list_entry(ring, T, link);
}

TEST_F(list, entry_of_an_inherited_member_and_in_a_template) {
    Derived derived(5);

    list_add(&derived.link, &head);
    EXPECT_EQ(first_of<Derived>(&head), &derived);
    EXPECT_EQ(list_entry(head.next, Derived, link), &derived);
    EXPECT_EQ(list_entry(head.next, const Derived, link)->hidden(), 0);
}

TEST_F(list, random_walk_agrees_with_std_list) {
    std::mt19937 draw(1);
    std::list<int> model;

    for (int step = 0; step < 3000; step++) {
        Item *item = make(step);
        switch (draw() % 4) {
        case 0:
            list_add(&item->link, &head);
            model.push_front(step);
            break;
        case 1:
            list_add_tail(&item->link, &head);
            model.push_back(step);
            break;
        case 2:
            if (!model.empty()) {
                list_del(head.next);
                model.pop_front();
            }
            break;
        default:
            if (!model.empty()) {
                list_move_tail(head.next, &head);
                model.splice(model.end(), model, model.begin());
            }
        }
        if (step % 32 == 0) {
            ASSERT_EQ(values(&head), Ints(model.begin(), model.end()));
        }
    }
}

struct slist : Fixture {
    struct slist_head chain = SLIST_HEAD_INIT(chain);

    void append(int value, struct slist_head *to) { slist_add_tail(&make(value)->chain, to); }

    // Also checks that `last` is what it should be.
    static Ints chain_values(struct slist_head *from) {
        struct slist_node *pos, *last = &from->first;
        Ints res, again;
        Item *item;

        slist_for_each(pos, from) {
            res.push_back(slist_entry(pos, Item, chain)->value);
            last = pos;
        }
        slist_for_each_entry(item, from, chain) again.push_back(item->value);
        EXPECT_EQ(from->last, last);
        EXPECT_EQ(res, again);
        EXPECT_EQ(slist_empty(from), res.empty());
        return res;
    }
};

TEST_F(slist, empty) {
    SLIST_HEAD(other);

    EXPECT_EQ(chain_values(&chain), Ints());
    EXPECT_EQ(chain_values(&other), Ints());
    slist_splice(&other, &chain.first, &chain);
    EXPECT_EQ(chain_values(&chain), Ints());
    append(1, &chain);
    INIT_SLIST_HEAD(&chain);
    EXPECT_EQ(chain_values(&chain), Ints());
}

TEST_F(slist, add_head_tail_after) {
    Item *two = make(2);

    slist_add_head(&two->chain, &chain);
    slist_add_head(&make(1)->chain, &chain);
    append(4, &chain);
    slist_add_after(&make(3)->chain, &two->chain, &chain);
    EXPECT_EQ(chain_values(&chain), (Ints{1, 2, 3, 4}));
    slist_add_after(&make(5)->chain, chain.last, &chain);
    EXPECT_EQ(chain_values(&chain), (Ints{1, 2, 3, 4, 5}));
}

TEST_F(slist, delete_keeps_last_right) {
    for (int i : {1, 2, 3})
        append(i, &chain);
    slist_del_after(chain.first.next->next, &chain);
    EXPECT_EQ(chain_values(&chain), (Ints{1, 2}));
    slist_del_head(&chain);
    EXPECT_EQ(chain_values(&chain), (Ints{2}));
    slist_del_head(&chain);
    EXPECT_EQ(chain_values(&chain), Ints());
    append(9, &chain);
    EXPECT_EQ(chain_values(&chain), (Ints{9}));
}

TEST_F(slist, splice_at_start_middle_and_end) {
    for (int where = 0; where < 3; where++) {
        struct slist_head from = SLIST_HEAD_INIT(from);
        struct slist_node *place;

        INIT_SLIST_HEAD(&chain);
        append(1, &chain);
        append(2, &chain);
        append(8, &from);
        append(9, &from);
        place = where == 0 ? &chain.first : where == 1 ? chain.first.next : chain.last;
        slist_splice_init(&from, place, &chain);

        Ints expected{1, 2};
        expected.insert(expected.begin() + where, {8, 9});
        EXPECT_EQ(chain_values(&chain), expected);
        EXPECT_EQ(chain_values(&from), Ints());
    }
}

TEST_F(slist, safe_walk_lets_the_body_take_out) {
    for (unsigned mask = 0; mask < 32; mask++) {
        struct slist_node *pos, *prev;
        Ints expected;

        INIT_SLIST_HEAD(&chain);
        for (int i = 0; i < 5; i++) {
            append(i, &chain);
            if (!(mask >> i & 1))
                expected.push_back(i);
        }
        slist_for_each_safe(pos, prev, &chain) {
            if (mask >> slist_entry(pos, Item, chain)->value & 1)
                slist_del_after(prev, &chain);
        }
        EXPECT_EQ(chain_values(&chain), expected);
    }
}

TEST(containers, work_from_c) { EXPECT_EQ(check_containers_in_c(), 0); }

} // namespace
