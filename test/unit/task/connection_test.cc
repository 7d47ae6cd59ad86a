// Weft - unit tests of WFConnection: the context of a connection; behaviour row 86
// SPDX-License-Identifier: Apache-2.0
#include "workflow/WFConnection.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace {

// The destructor is the engine's to call.
class Connection : public WFConnection {
public:
    ~Connection() override {}
};

static_assert(sizeof(WFConnection) <= 24, "every idle connection carries one");

// Row 86: the deleter is run once, at the end, with the context that is there then; set_context
// frees nothing.
TEST(Connection, Row86Deleter) {
    int a, b;
    std::vector<void *> deleted;
    {
        Connection connection;
        EXPECT_EQ(nullptr, connection.get_context());
        connection.set_context(&a, [&](void *context) { deleted.push_back(context); });
        EXPECT_EQ(&a, connection.get_context());
        connection.set_context(&b); // keeps the deleter
        EXPECT_TRUE(deleted.empty());
    }
    EXPECT_EQ(std::vector<void *>{&b}, deleted);
}

TEST(Connection, Row86DeleterReplacedOrNone) {
    int a, calls = 0;
    {
        Connection connection;
        connection.set_context(&a, [&](void *) { calls += 100; });
        connection.set_context(&a, [&](void *) { calls++; });
    }
    EXPECT_EQ(1, calls);
    {
        Connection connection;
        connection.set_context(&a, [&](void *) { calls += 100; });
        connection.set_context(&a, nullptr);
    }
    {
        Connection connection;
        connection.set_context(&a);
    }
    EXPECT_EQ(1, calls);
}

// A compare and swap: the new one on success, else the one that is there, and no change.
TEST(Connection, TestAndSet) {
    int a, b, calls = 0;
    {
        Connection connection;
        EXPECT_EQ(&a, connection.test_set_context(nullptr, &a, [&](void *) { calls++; }));
        EXPECT_EQ(&a, connection.test_set_context(nullptr, &b, [&](void *) { calls += 100; }));
        EXPECT_EQ(&a, connection.get_context());
        EXPECT_EQ(&b, connection.test_set_context(&a, &b));
        EXPECT_EQ(&b, connection.get_context());
    }
    EXPECT_EQ(1, calls);
}

TEST(Connection, TestAndSetFromManyThreads) {
    for (int round = 0; round < 100; round++) {
        Connection connection;
        int contexts[4];
        void *seen[4];
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; i++) {
            threads.emplace_back(
                [&, i] { seen[i] = connection.test_set_context(nullptr, &contexts[i]); });
        }
        for (std::thread &thread : threads)
            thread.join();
        for (void *context : seen)
            EXPECT_EQ(connection.get_context(), context);
    }
}

} // namespace
