// Weft - unit tests of NameTable
// SPDX-License-Identifier: Apache-2.0
#include "task/name_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

using wf::detail::NamedBase;
using wf::detail::NameTable;

namespace {

class Item : public NamedBase {
public:
    Item(NameTable &table, const std::string &name) : NamedBase(table, name) { this->enter(name); }
    ~Item() {
        std::lock_guard lock(this->shard().mutex);
        this->leave();
    }
};

std::vector<NamedBase *> all_of(NameTable &table, const std::string &name) {
    std::vector<NamedBase *> found;
    NameTable::Shard &shard = table.shard_of(name);
    std::lock_guard lock(shard.mutex);
    for (NamedBase *at = shard.oldest(name); at; at = at->newer())
        found.push_back(at);
    return found;
}

TEST(NameTable, OldestFirst) {
    NameTable table;
    Item a(table, "x"), b(table, "x"), other(table, "y"), c(table, "x");
    EXPECT_EQ((std::vector<NamedBase *>{&a, &b, &c}), all_of(table, "x"));
    EXPECT_EQ((std::vector<NamedBase *>{&other}), all_of(table, "y"));
    EXPECT_TRUE(all_of(table, "z").empty());
}

// Out of the middle, the front and the end; the row goes with its last object.
TEST(NameTable, Leaving) {
    NameTable table;
    auto make = [&] { return std::make_unique<Item>(table, "x"); };
    auto a = make(), b = make(), c = make(), d = make();
    b.reset();
    EXPECT_EQ((std::vector<NamedBase *>{a.get(), c.get(), d.get()}), all_of(table, "x"));
    a.reset();
    EXPECT_EQ((std::vector<NamedBase *>{c.get(), d.get()}), all_of(table, "x"));
    d.reset();
    auto e = make();
    EXPECT_EQ((std::vector<NamedBase *>{c.get(), e.get()}), all_of(table, "x"));
    {
        std::lock_guard lock(c->shard().mutex);
        c->leave();
        c->leave(); // twice is once
    }
    e.reset();
    EXPECT_TRUE(table.shard_of("x").rows.empty());
}

// Names are compared whole, with NUL bytes and all; the empty name is a name.
TEST(NameTable, AnyName) {
    NameTable table;
    std::string one("a\0b", 3), two("a\0c", 3);
    Item a(table, one), b(table, two), c(table, "");
    EXPECT_EQ((std::vector<NamedBase *>{&a}), all_of(table, one));
    EXPECT_EQ((std::vector<NamedBase *>{&b}), all_of(table, two));
    EXPECT_EQ((std::vector<NamedBase *>{&c}), all_of(table, ""));
}

} // namespace
