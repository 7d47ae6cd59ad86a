// Weft - compat: what programs see that return from main with work undone
// SPDX-License-Identifier: Apache-2.0
//
// Rows 120 to 124 and 126 of the behaviour table, and running servers. Each case is a process of
// its own, exit_program.cc.

#include <gtest/gtest.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "integration/peer.h"
#include "integration/raw_socket.h"
#include "support.h"

namespace {

// Less than any limit of the engine that an exit might wait for; most of it is for busy machines.
const double kFewSecondsMs = 9000;

peer::Result run_case(const std::string &which, const std::string &argument = "") {
    std::vector<std::string> argv = {WEFT_EXIT_PROGRAM, which};
    if (!argument.empty())
        argv.push_back(argument);
    return peer::run(argv, 30000);
}

int count(const std::string &text, const std::string &what) {
    int n = 0;
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
        n++;
    return n;
}

TEST(Exit, Row123And124FirstUse) {
    peer::Result result = run_case("first_use");
    EXPECT_EQ(0, result.status) << result.err;
    // A sanitizer may have a thread of its own; without one there is main alone.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    EXPECT_EQ(0u, result.out.find("threads 1\n")) << result.out;
#endif
    EXPECT_NE(std::string::npos, result.out.find("SIGPIPE ignored\n")) << result.out;
}

TEST(Exit, Row120Timers) {
    peer::Result result = run_case("timers");
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ(3, count(result.out, "timer 2/0\n")) << result.out;
    EXPECT_EQ(1, count(result.out, "named 2/0\n")) << result.out;
    EXPECT_EQ(1, count(result.out, "endless 2/0\n")) << result.out;
    EXPECT_EQ(5, count(result.out, "\n")) << result.out;
}

TEST(Exit, Row122DuringTheDestructionOfStatics) {
    peer::Result result = run_case("statics");
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ("local gone\nlater static gone\ntimer 2/0\nearlier static gone\n", result.out);
}

TEST(Exit, Row120Compute) {
    peer::Result result = run_case("compute");
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ(1, count(result.out, "go 0/0\n")) << result.out;
    EXPECT_EQ(3, count(result.out, "go 2/0\n")) << result.out;
}

TEST(Exit, Row120Network) {
    raw::Listener silent;
    peer::Result result = run_case("network", std::to_string(silent.port()));
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ("http 2/0\n", result.out);
}

TEST(Exit, BusyCallbackIsWaitedFor) {
    peer::Result result = run_case("busy_callback");
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ("callback finished\n", result.out);
}

TEST(Exit, ExitInACallback) {
    peer::Result result = run_case("exit_in_callback");
    EXPECT_EQ(7, result.status) << result.err;
}

TEST(Exit, Row121StartAtExit) {
    peer::Result result = run_case("start_at_exit");
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ("timer 2/0\nlate 2/0\n", result.out);
}

TEST(Exit, SeriesGoesOn) {
    peer::Result result = run_case("series");
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ("first 2/0\ncounter 0/0\nseries\n", result.out);
}

// Beyond row 121: a server may be running when main returns. Its connection, idle at both ends,
// and a client's request end with the process, and nobody waits for a time limit.
TEST(Exit, BoundServer) {
    raw::Listener silent;
    compat::Clock::time_point begin = compat::Clock::now();
    peer::Result result = run_case("server", std::to_string(silent.port()));
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ("idle 0/0\nhttp 2/0\n", result.out);
    EXPECT_EQ("", result.err);
    EXPECT_LT(compat::ms_since(begin), kFewSecondsMs);
}

// The same while the server has a request to answer: its timer is aborted, and so its series ends.
TEST(Exit, BusyServer) {
    compat::Clock::time_point begin = compat::Clock::now();
    peer::Result result = run_case("busy_server");
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ(0u, result.out.find("idle 0/0\n")) << result.out;
    EXPECT_EQ(1, count(result.out, "timer 2/0\n")) << result.out;
    EXPECT_EQ(1, count(result.out, "served\n")) << result.out;
    EXPECT_EQ(1, count(result.out, "http ")) << result.out;
    EXPECT_EQ("", result.err);
    EXPECT_LT(compat::ms_since(begin), kFewSecondsMs);
}

// Once by io_uring, once by threads.
class ExitWithFiles : public testing::TestWithParam<const char *> {
protected:
    void SetUp() override { setenv("WEFT_FILE_IO", GetParam(), 1); }
    void TearDown() override { unsetenv("WEFT_FILE_IO"); }
};

// What was begun comes to its end; what is started when the gate is closed does not begin.
TEST_P(ExitWithFiles, Row120FilesAreWaitedFor) {
    char path[] = "/tmp/weft_exit_XXXXXX";
    int fd = mkstemp(path);
    ASSERT_GE(fd, 0);
    peer::Result result = run_case("files", path);
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ(3, count(result.out, "read 0/0\n")) << result.out;
    EXPECT_EQ(3, count(result.out, "late 2/0\n")) << result.out;
    EXPECT_EQ(1, count(result.out, "timer 2/0\n")) << result.out;
    EXPECT_EQ(1, count(result.out, "written\n")) << result.out;
    EXPECT_EQ(8, count(result.out, "\n")) << result.out;
    char text[200];
    EXPECT_EQ(100, read(fd, text, sizeof text));
    EXPECT_EQ(std::string(100, 'x'), std::string(text, 100));
    close(fd);
    unlink(path);
}

TEST_P(ExitWithFiles, ExitInAFileCallback) {
    peer::Result result = run_case("exit_in_file_callback");
    EXPECT_EQ(7, result.status) << result.err;
    EXPECT_EQ("read 0/0\n", result.out);
}

TEST_P(ExitWithFiles, WithoutFilesNothingIsOpened) {
    peer::Result result = run_case("no_files");
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ("rings 0, backend ''\n", result.out);
}

INSTANTIATE_TEST_SUITE_P(Kinds, ExitWithFiles, testing::Values("uring", "threads"));

// Row 126: nothing is left over. The sanitizers judge the leaks in their own runs.
TEST(Exit, Row126Clean) {
    peer::Result result = run_case("clean");
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ("clean\n", result.out);
    EXPECT_EQ("", result.err);
}

} // namespace
