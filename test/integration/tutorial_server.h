// Weft - for tests of tutorial programs: a server on a free port, which it prints
// SPDX-License-Identifier: Apache-2.0
//
// Belongs to the test that makes it.

#ifndef WEFT_TEST_INTEGRATION_TUTORIAL_SERVER_H
#define WEFT_TEST_INTEGRATION_TUTORIAL_SERVER_H

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "integration/peer.h"

inline std::string tutorial_program(const std::string &name) {
    return std::string(WEFT_TUTORIALS) + "/" + name;
}

class TutorialServer {
public:
    // The name of the program, then its arguments, of which one is port 0.
    explicit TutorialServer(std::vector<std::string> line) {
        line[0] = tutorial_program(line[0]);
        process_.start(line);
        std::string first = process_.wait_line("port ");
        size_t at = first.find("port ");
        if (at != std::string::npos)
            port_ = static_cast<unsigned short>(strtoul(first.c_str() + at + 5, nullptr, 10));
    }

    unsigned short port() const { return port_; }
    peer::Process &process() { return process_; }

    // Ctrl-C, as the terminal sends it.
    void expect_clean_end() {
        process_.signal(SIGINT);
        EXPECT_EQ(0, process_.wait(20000)) << process_.err();
        EXPECT_NE(std::string::npos, process_.out().find("stopped"));
    }

private:
    peer::Process process_;
    unsigned short port_ = 0;
};

#endif
