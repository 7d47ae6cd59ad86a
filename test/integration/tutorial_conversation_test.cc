// Weft - integration: the tutorials on conversations and on cancelling
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "integration/peer.h"
#include "integration/raw_socket.h"
#include "integration/tutorial_server.h"

namespace {

TEST(TutorialConversation, PeopleTalk) {
    TutorialServer server({"conversation", "serve", "0", "60"});
    ASSERT_NE(0, server.port());
    raw::Socket ada = raw::Socket::connect(server.port());
    EXPECT_EQ("who are you?\n", ada.read_until("\n"));
    ASSERT_TRUE(ada.send("ada\n"));
    EXPECT_EQ("* ada is here\n", ada.read_until("here\n"));
    peer::Result ben = peer::run({tutorial_program("conversation"), "visit", "127.0.0.1",
                                  std::to_string(server.port()), "ben", "good morning"});
    EXPECT_EQ(0, ben.status) << ben.err;
    EXPECT_EQ("who are you?\n* ben is here\nben: good morning\n", ben.out);
    EXPECT_EQ("* ben is here\nben: good morning\n* ben has left\n", ada.read_until("left\n"));
    ada.close();
    server.expect_clean_end();
}

TEST(TutorialConversation, WhoSaysNoNameIsTooLate) {
    TutorialServer server({"conversation", "serve", "0", "1"});
    ASSERT_NE(0, server.port());
    raw::Socket silent = raw::Socket::connect(server.port());
    EXPECT_EQ("who are you?\ntoo late\n", silent.read_all());
    EXPECT_TRUE(silent.at_end());
    silent.close();
    server.expect_clean_end();
}

TEST(TutorialConversation, SaysWhyItCannotConnect) {
    peer::Result result = peer::run({tutorial_program("conversation"), "visit", "127.0.0.1",
                                     std::to_string(raw::refusing_port()), "ada"});
    EXPECT_EQ(1, result.status);
    EXPECT_EQ("127.0.0.1: Connection refused\n", result.err);
}

TEST(TutorialConversation, ItsCommandLineIsChecked) {
    const std::string program = tutorial_program("conversation");
    for (const std::vector<std::string> &line : {std::vector<std::string>{program},
                                                 {program, "serve", "0"},
                                                 {program, "serve", "x", "1"},
                                                 {program, "visit", "127.0.0.1", "1"}}) {
        peer::Result result = peer::run(line);
        EXPECT_EQ(2, result.status);
        EXPECT_NE(std::string::npos, result.err.find("usage: "));
    }
}

TEST(TutorialCancel, EndsAtOnce) {
    peer::Result result = peer::run({tutorial_program("cancel")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ("series: the task that ran: Operation canceled\n"
              "series: was cancelled\n"
              "series: a second cancel: it is over\n"
              "parallel: the part of 1 ms: Success\n"
              "parallel: the part of 3600000 ms: Connection timed out\n"
              "parallel: its callback, behind those of 2 parts\n"
              "coroutine: its computation was asked, and stopped\n"
              "coroutine: what it awaits now ends at once: Operation canceled\n",
              result.out);
}

} // namespace
