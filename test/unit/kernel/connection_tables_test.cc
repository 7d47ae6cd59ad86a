// Weft - docs/internals/connections.md says of the state machines what the code says
// SPDX-License-Identifier: Apache-2.0
//
// The tables of edges are generated: on a difference the test prints what should stand between the
// markers. Of states and reasons of closing each has its row, in the order of its enum, and no row
// stands for something that is gone.
#include <fstream>
#include <gtest/gtest.h>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "kernel/entry.h"

namespace {

std::string read_file(const std::string &name) {
    std::ifstream file(std::string(WEFT_TEST_DATA) + "/" + name);
    std::ostringstream text;
    text << file.rdbuf();
    EXPECT_TRUE(file.is_open()) << name;
    return text.str();
}

std::string between(const std::string &text, const std::string &begin, const std::string &end) {
    size_t from = text.find(begin);
    if (from == std::string::npos) {
        ADD_FAILURE() << "nowhere: " << begin;
        return std::string();
    }
    from += begin.size();
    size_t to = text.find(end, from);
    EXPECT_NE(to, std::string::npos) << "not ended: " << begin;
    return text.substr(from, to - from);
}

std::string section(const std::string &name) {
    return between(read_file("docs/internals/connections.md"), "<!-- " + name + " -->\n",
                   "<!-- end -->");
}

// The names in the first column of a table, without the back-ticks.
std::vector<std::string> rows_of(const std::string &table) {
    std::vector<std::string> names;
    static const std::regex row("\\| `(\\w+)` +\\|[^\n]*\\|\n");
    for (std::sregex_iterator it(table.begin(), table.end(), row), end; it != end; ++it)
        names.push_back((*it)[1]);
    return names;
}

// The enumerators of an enum that has no values of its own, without the last, which counts them.
std::vector<std::string> names_of(const std::string &file, const std::string &begin,
                                  const std::string &count) {
    std::string body = between(read_file(file), begin, "};");
    body = std::regex_replace(body, std::regex("//[^\n]*"), "");
    std::vector<std::string> names;
    static const std::regex word("\\w+");
    for (std::sregex_iterator it(body.begin(), body.end(), word), end; it != end; ++it) {
        if (it->str() == count)
            break;
        names.push_back(it->str());
    }
    return names;
}

std::vector<std::string> states(int from, int to) {
    std::vector<std::string> all =
        names_of("src/kernel/entry.h", "enum State : uint8_t {", "STATE_COUNT");
    EXPECT_EQ(all.size(), static_cast<size_t>(CommConnEntry::STATE_COUNT));
    return {all.begin() + from, all.begin() + to};
}

constexpr int CLIENT = CommConnEntry::CONNECTING;
constexpr int SERVER = CommConnEntry::S_ACCEPTED;
constexpr int CHANNEL = CommConnEntry::C_CONNECTING;
constexpr int END = CommConnEntry::STATE_COUNT;

// A server's connection may become a channel; no other way leads from machine to machine.
std::string edges(int from, int to) {
    std::string table = "| from | to |\n|---|---|\n";
    for (int one = from; one < to; one++) {
        auto state = static_cast<CommConnEntry::State>(one);
        std::string others;
        for (int other = 0; other < CommConnEntry::STATE_COUNT; other++) {
            auto next = static_cast<CommConnEntry::State>(other);
            if (!CommConnEntry::is_legal(state, next))
                continue;
            bool leaves = other < from || other >= to;
            EXPECT_TRUE(!leaves || (one < CHANNEL && other >= CHANNEL))
                << "an edge from one machine to the other";
            others += std::string(others.empty() ? "" : ", ") + (leaves ? "channel: " : "") +
                      std::string(CommConnEntry::state_name(next));
        }
        table += std::string("| ") + CommConnEntry::state_name(state) + " | " +
                 (others.empty() ? "-" : others) + " |\n";
    }
    return table;
}

void expect_edges(const std::string &name, const std::string &wanted) {
    std::string found = section(name);
    EXPECT_TRUE(found == wanted) << "in docs/internals/connections.md, between \"<!-- " << name
                                 << " -->\" and \"<!-- end -->\", should stand:\n"
                                 << wanted << "but there stands:\n"
                                 << found;
}

} // namespace

TEST(ConnectionTables, EdgesOfTheClient) { expect_edges("edges: client", edges(CLIENT, SERVER)); }

TEST(ConnectionTables, EdgesOfTheServer) { expect_edges("edges: server", edges(SERVER, CHANNEL)); }

TEST(ConnectionTables, EdgesOfTheChannel) { expect_edges("edges: channel", edges(CHANNEL, END)); }

TEST(ConnectionTables, EachStateHasItsRow) {
    EXPECT_EQ(rows_of(section("states: client")), states(CLIENT, SERVER));
    EXPECT_EQ(rows_of(section("states: server")), states(SERVER, CHANNEL));
    EXPECT_EQ(rows_of(section("states: channel")), states(CHANNEL, END));
}

TEST(ConnectionTables, EachStateOfATimerHasItsRow) {
    EXPECT_EQ(rows_of(section("states: timer")),
              names_of("src/kernel/sleep.h", "enum State : uint32_t {", ""));
}

TEST(ConnectionTables, EachReasonOfClosingHasItsRow) {
    std::vector<std::string> reasons =
        names_of("include/workflow/CommOptions.h", "enum CommCloseReason {", "CCR_COUNT");
    EXPECT_EQ(reasons.size(), static_cast<size_t>(CCR_COUNT));
    EXPECT_EQ(rows_of(section("reasons")), reasons);
}

TEST(ConnectionTables, EachPhaseHasItsRow) {
    std::vector<std::string> phases =
        names_of("include/workflow/Communicator.h", "enum CommPhase {", "");
    EXPECT_EQ(rows_of(section("phases")), phases);
}
