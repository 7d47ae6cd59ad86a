// Weft - runs the documents of test/vectors/http: each input whole, byte by byte, and cut in two everywhere
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>
#include <string.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <ostream>

#include "http_support.h"
#include "http_vector_file.h"

namespace weft_test {

void PrintTo(const HttpVector &vector, std::ostream *out) {
    *out << vector.file << ":" << vector.line << ": " << vector.title;
}

namespace {

using Pieces = std::vector<std::string_view>;

// Everything that may be observed of a message, as keyword and text.
struct Outcome {
    std::string result;
    std::multimap<std::string, std::string> facts;
    bool operator==(const Outcome &) const = default;
};

const std::map<std::string, unsigned char http_parser_rules_t::*> kSwitches = {
    {"allow_bare_lf", &http_parser_rules_t::allow_bare_lf},
    {"allow_obs_fold", &http_parser_rules_t::allow_obs_fold},
    {"allow_space_before_colon", &http_parser_rules_t::allow_space_before_colon},
    {"allow_equal_lengths", &http_parser_rules_t::allow_equal_lengths},
    {"allow_length_with_coding", &http_parser_rules_t::allow_length_with_coding},
    {"allow_coding_in_http10", &http_parser_rules_t::allow_coding_in_http10},
    {"allow_missing_host", &http_parser_rules_t::allow_missing_host},
    {"allow_raw_target", &http_parser_rules_t::allow_raw_target},
    {"allow_later_minor_version", &http_parser_rules_t::allow_later_minor_version},
    {"allow_short_status_line", &http_parser_rules_t::allow_short_status_line},
    {"allow_space_after_size", &http_parser_rules_t::allow_space_after_size},
    {"allow_unknown_expect", &http_parser_rules_t::allow_unknown_expect},
};

http_parser_rules_t rules_of(const HttpVector &vector) {
    http_parser_rules_t rules = *http_parser_strict_rules();
    for (const std::string &name : vector.rules) {
        const auto found = kSwitches.find(name);
        EXPECT_NE(found, kSwitches.end()) << "unknown rule " << name;
        if (found != kSwitches.end()) {
            rules.*found->second = 1;
        }
    }
    return rules;
}

std::string text_or_empty(const char *text) { return text != nullptr ? text : ""; }

void describe(const Request &request, Outcome *outcome) {
    outcome->facts.emplace("method", text_or_empty(request.get_method()));
    outcome->facts.emplace("target", text_or_empty(request.get_request_uri()));
}

void describe(const Response &response, Outcome *outcome) {
    outcome->facts.emplace("code", text_or_empty(response.get_status_code()));
    outcome->facts.emplace("phrase", text_or_empty(response.get_reason_phrase()));
}

// Requests fail with the status a server answers, responses with what the client learns.
std::string failure(const Request &request, int error) {
    const std::string status = std::to_string(http_parser_error_status(request.get_parser()));
    const bool size = request.get_parser()->reason == std::string_view("body too large");
    EXPECT_EQ(error, size ? EMSGSIZE : EBADMSG);
    EXPECT_EQ(request.sent.rfind("HTTP/1.1 " + status + " ", 0), 0u) << request.sent;
    EXPECT_NE(request.sent.find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_NE(std::string(http_parser_error_reason(request.get_parser())), "");
    return status;
}

std::string failure(const Response &response, int error) {
    EXPECT_EQ(response.sent, "");
    return error == EMSGSIZE ? "too-large" : error == EBADMSG ? "bad" : "errno";
}

template <class MESSAGE>
Outcome run(const HttpVector &vector, const http_parser_rules_t &rules, const Pieces &pieces) {
    MESSAGE message;
    Outcome outcome;
    message.set_parser_rules(&rules);
    if (!vector.size_limit.empty()) {
        message.set_size_limit(std::stoul(vector.size_limit));
    }
    if constexpr (std::is_same_v<MESSAGE, Response>) {
        if (vector.kind == "head-response") {
            message.parse_zero_body();
        }
    }
    const int ret = message.feed_all(pieces);
    if (ret < 0) {
        outcome.result = failure(message, errno);
        return outcome;
    }
    const char *open_end = message.finish() == 1 ? "until-close" : "more";
    outcome.result = ret == 1 ? "ok" : open_end;
    if (outcome.result == "more") {
        return outcome;
    }
    describe(message, &outcome);
    outcome.facts.emplace("version", text_or_empty(message.get_http_version()));
    outcome.facts.emplace("body", protocol::HttpUtil::decode_chunked_body(&message));
    outcome.facts.emplace("raw", message.body());
    outcome.facts.emplace("rest", vector.input.substr(message.used));
    outcome.facts.emplace("keep-alive", message.is_keep_alive() ? "yes" : "no");
    outcome.facts.emplace("chunked", message.is_chunked() ? "yes" : "no");
    for (const auto &[name, value] : message.fields()) {
        outcome.facts.emplace("field", name + ": " + value);
    }
    return outcome;
}

Outcome run_kind(const HttpVector &vector, const http_parser_rules_t &rules, const Pieces &pieces) {
    return vector.kind == "request" ? run<Request>(vector, rules, pieces)
                                    : run<Response>(vector, rules, pieces);
}

void check_expected(const HttpVector &vector, const Outcome &outcome) {
    ASSERT_FALSE(vector.expected.empty());
    EXPECT_EQ(outcome.result, vector.expected.front().first);
    std::multimap<std::string, std::string> wanted;
    for (size_t i = 1; i < vector.expected.size(); i++) {
        const auto &[word, argument] = vector.expected[i];
        wanted.emplace(word, word == "field" && argument == "none" ? "" : argument);
    }
    for (auto it = wanted.begin(); it != wanted.end(); it = wanted.upper_bound(it->first)) {
        std::vector<std::string> found;
        std::vector<std::string> expected;
        for (auto [at, end] = outcome.facts.equal_range(it->first); at != end; ++at) {
            found.push_back(at->second);
        }
        for (auto [at, end] = wanted.equal_range(it->first); at != end; ++at) {
            expected.push_back(at->second);
        }
        EXPECT_EQ(found, expected) << it->first;
    }
}

// Every cut of a usual message; of a long one those around line ends and a sample of the rest.
std::vector<size_t> cuts_of(const std::string &input) {
    std::vector<size_t> cuts;
    for (size_t i = 1; i < input.size(); i++) {
        const bool edge = i < 64 || i + 64 > input.size() || i % 1021 == 0;
        if (input.size() <= 2048 || edge) {
            cuts.push_back(i);
        }
    }
    return cuts;
}

class HttpVectors : public testing::TestWithParam<HttpVector> {};

TEST_P(HttpVectors, HoldHoweverTheInputIsCut) {
    const HttpVector &vector = GetParam();
    ASSERT_TRUE(vector.kind == "request" || vector.kind == "response" ||
                vector.kind == "head-response")
        << vector.kind;
    const http_parser_rules_t rules = rules_of(vector);
    const std::string_view input = vector.input;
    const Outcome whole = run_kind(vector, rules, {input});
    check_expected(vector, whole);

    Pieces bytes;
    for (size_t i = 0; i < input.size(); i++) {
        bytes.push_back(input.substr(i, 1));
    }
    EXPECT_TRUE(run_kind(vector, rules, bytes) == whole) << "differs byte by byte";
    for (const size_t cut : cuts_of(vector.input)) {
        const Outcome split = run_kind(vector, rules, {input.substr(0, cut), input.substr(cut)});
        ASSERT_TRUE(split == whole) << "differs when cut at " << cut << ": " << split.result;
    }
}

std::vector<HttpVector> all_vectors() {
    std::vector<std::string> paths;
    for (const auto &entry : std::filesystem::directory_iterator(WEFT_TEST_DATA)) {
        if (entry.path().extension() == ".txt") {
            paths.push_back(entry.path().string());
        }
    }
    std::sort(paths.begin(), paths.end());
    std::vector<HttpVector> all;
    for (const std::string &path : paths) {
        const std::vector<HttpVector> some = read_http_vectors(path);
        all.insert(all.end(), some.begin(), some.end());
    }
    return all;
}

std::string name_of(const testing::TestParamInfo<HttpVector> &info) {
    std::string name = info.param.file.substr(0, info.param.file.find('.'));
    name += "_" + std::to_string(info.param.line);
    std::replace_if(
        name.begin(), name.end(),
        [](char c) { return isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Documents, HttpVectors, testing::ValuesIn(all_vectors()), name_of);

} // namespace
} // namespace weft_test
