// Weft - reads test/vectors/uri/*.txt and holds the URI parser to them
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "workflow/URIParser.h"

namespace {

struct Case {
    std::string where; // file and line
    std::string uri;
    bool invalid = false;
    std::map<std::string, std::string> parts;
};

std::string unescape(const std::string &text) {
    std::string res;

    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != '\\') {
            res += text[i];
        } else if (i + 3 < text.size() && text[i + 1] == 'x') {
            res += static_cast<char>(strtol(text.substr(i + 2, 2).c_str(), nullptr, 16));
            i += 3;
        } else {
            res += text[++i];
        }
    }
    return res;
}

std::vector<Case> read_cases(const std::string &name) {
    std::string path = std::string(WEFT_TEST_DATA) + "/uri/" + name;
    std::ifstream file(path);
    std::vector<Case> cases;
    std::string line;

    EXPECT_TRUE(file.is_open()) << path;
    for (int number = 1; std::getline(file, line); number++) {
        std::string where = name + ":" + std::to_string(number);

        if (line.empty() || line[0] == '#')
            continue;

        if (line == "invalid" && !cases.empty()) {
            cases.back().invalid = true;
            continue;
        }

        size_t colon = line.find(':');
        if (colon == std::string::npos) {
            ADD_FAILURE() << where << ": not understood: " << line;
            continue;
        }

        std::string value = unescape(line.substr(std::min(colon + 2, line.size())));
        if (line.substr(0, colon) == "uri") {
            cases.push_back(Case{where, value, false, {}});
        } else if (!cases.empty()) {
            cases.back().parts[line.substr(0, colon)] = value;
        }
    }
    return cases;
}

std::map<std::string, std::string> parts_of(const ParsedURI &uri) {
    const std::pair<const char *, const char *> fields[] = {
        {"scheme", uri.scheme},     {"userinfo", uri.userinfo}, {"host", uri.host},
        {"port", uri.port},         {"path", uri.path},         {"query", uri.query},
        {"fragment", uri.fragment},
    };
    std::map<std::string, std::string> parts;

    for (const auto &field : fields) {
        if (field.second)
            parts[field.first] = field.second;
    }
    return parts;
}

void run_case(const Case &one, ParsedURI *uri) {
    SCOPED_TRACE(one.where + " " + one.uri);
    int ret = URIParser::parse(one.uri, *uri);

    if (one.invalid) {
        EXPECT_EQ(ret, -1);
        EXPECT_EQ(uri->state, URI_STATE_INVALID);
    } else {
        EXPECT_EQ(ret, 0);
        EXPECT_EQ(uri->state, URI_STATE_SUCCESS);
    }
    EXPECT_EQ(uri->error, 0);
    EXPECT_EQ(parts_of(*uri), one.parts);
}

// The same object for all cases: nothing of an earlier one may be left.
void run_file(const std::string &name, size_t at_least) {
    std::vector<Case> cases = read_cases(name);
    ParsedURI uri;

    EXPECT_GE(cases.size(), at_least);
    for (const Case &one : cases)
        run_case(one, &uri);
}

TEST(uri_vectors, valid) { run_file("valid.txt", 39); }

TEST(uri_vectors, invalid) { run_file("invalid.txt", 79); }

} // namespace
