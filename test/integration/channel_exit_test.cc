// Weft - integration: processes that end while channels are open
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <string>

#include "integration/peer.h"

TEST(ChannelExit, MainReturns) {
    peer::Result result = peer::run({WEFT_CHANNEL_EXIT_PROGRAM, "return"}, 30000);
    EXPECT_EQ(result.status, 0) << result.err;
    // Both ends are in the process. One goes with its poller; the other too, unless it sees before
    // that its peer has gone.
    const std::string end = "closed by the end\n", peer = "closed by the peer\n";
    EXPECT_TRUE(result.out == end + end || result.out == end + peer || result.out == peer + end)
        << result.out;
    EXPECT_EQ(result.err, "");
}

// An event that does not return must not be waited for.
TEST(ChannelExit, ExitInAnEvent) {
    peer::Result result = peer::run({WEFT_CHANNEL_EXIT_PROGRAM, "event"}, 30000);
    EXPECT_EQ(result.status, 7) << result.err;
    EXPECT_EQ(result.err, "");
}

// Coroutines that await messages hear of the end of the engine.
TEST(ChannelExit, MainReturnsWhileCoroutinesWait) {
    peer::Result result = peer::run({WEFT_CHANNEL_EXIT_PROGRAM, "coroutine"}, 30000);
    EXPECT_EQ(result.status, 0) << result.err;
    const std::string client = "the client's has ended\n", server = "the server's has ended\n";
    EXPECT_TRUE(result.out == client + server || result.out == server + client) << result.out;
    EXPECT_EQ(result.err, "");
}
