// Weft - integration: the tutorial on graphs that decide
// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "integration/peer.h"

namespace {

std::string program() { return std::string(WEFT_TUTORIALS) + "/order_pipeline"; }

std::string order(std::vector<std::string> line) {
    line.insert(line.begin(), program());
    peer::Result result = peer::run(line);
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ("", result.err);
    return result.out;
}

TEST(TutorialOrder, IsPaid) {
    EXPECT_EQ("total: 110\n"
              "the bank says: received 110\n"
              "the order is closed\n",
              order({"110", "apple=2", "pear=1"}));
}

TEST(TutorialOrder, IsRefused) {
    EXPECT_EQ("total: 110\n"
              "refused: more than 109\n"
              "the order is closed\n",
              order({"109", "apple=1", "pear=1", "apple=1"}));
}

// The bill waits for what is delivered, and the graph for all of it.
TEST(TutorialOrder, WaitsForDeliveries) {
    EXPECT_EQ("plum: 2 must be delivered\n"
              "plum: delivered\n"
              "total: 100\n"
              "the bank says: received 100\n"
              "the order is closed\n",
              order({"1000", "plum=2", "apple=2"}));
}

TEST(TutorialOrder, WaitsForEveryDelivery) {
    std::string out = order({"0", "plum=1", "apple=6", "pear=3"});
    size_t billed = out.find("total: 350\n");
    ASSERT_NE(std::string::npos, billed) << out;
    for (const char *item : {"plum", "apple", "pear"}) {
        size_t asked = out.find(std::string(item) + ": 1 must be delivered\n");
        size_t came = out.find(std::string(item) + ": delivered\n");
        EXPECT_LT(asked, came) << out;
        EXPECT_LT(came, billed) << out;
    }
}

TEST(TutorialOrder, BadCommandLines) {
    const std::vector<std::vector<std::string>> lines = {
        {},
        {"100"},
        {"many", "apple=1"},
        {"-1", "apple=1"},
        {"100", "apple"},
        {"100", "apple=0"},
        {"100", "apple=x"},
        {"100", "anvil=1"},
        {"100", "apple=1", "=1"},
    };
    for (std::vector<std::string> line : lines) {
        line.insert(line.begin(), program());
        peer::Result result = peer::run(line);
        EXPECT_EQ(2, result.status);
        EXPECT_NE(std::string::npos, result.err.find("usage: "));
        EXPECT_EQ("", result.out);
    }
}

} // namespace
