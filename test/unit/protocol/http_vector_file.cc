// Weft - reads the documents of test/vectors/http
// SPDX-License-Identifier: Apache-2.0
//
// The format is told in test/vectors/http/README.md.

#include "http_vector_file.h"

#include <cstdlib>
#include <fstream>

namespace weft_test {

namespace {

char simple_escape(char c) {
    switch (c) {
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 's':
        return ' ';
    case '0':
        return '\0';
    default:
        return c;
    }
}

std::string unescape(const std::string &text);

// "{count*text}": *pos stands behind the brace and is moved behind the closing one.
std::string repetition(const std::string &text, size_t *pos) {
    const size_t star = text.find('*', *pos);
    const size_t close = text.find('}', *pos);
    if (star == std::string::npos || close == std::string::npos || star > close) {
        return "(bad repetition)";
    }
    const int count = std::atoi(text.c_str() + *pos);
    const std::string unit = unescape(text.substr(star + 1, close - star - 1));
    *pos = close + 1;
    std::string all;
    for (int i = 0; i < count; i++) {
        all += unit;
    }
    return all;
}

std::string unescape(const std::string &text) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i++];
            continue;
        }
        const char c = text[i + 1];
        i += 2;
        if (c == 'x') {
            out += static_cast<char>(std::strtol(text.substr(i, 2).c_str(), nullptr, 16));
            i += 2;
        } else if (c == '{') {
            out += repetition(text, &i);
        } else {
            out += simple_escape(c);
        }
    }
    return out;
}

void read_option(const std::string &text, HttpVector *vector) {
    const size_t colon = text.find(": ");
    if (colon == std::string::npos) {
        vector->kind = "broken";
        return;
    }
    const std::string name = text.substr(0, colon);
    std::string rest = text.substr(colon + 2);
    if (name == "size_limit") {
        vector->size_limit = rest;
        return;
    }
    while (!rest.empty()) {
        const size_t comma = rest.find(", ");
        vector->rules.push_back(rest.substr(0, comma));
        rest = comma == std::string::npos ? "" : rest.substr(comma + 2);
    }
}

void read_expectation(const std::string &text, HttpVector *vector) {
    const size_t blank = text.find(' ');
    const std::string argument = blank == std::string::npos ? "" : text.substr(blank + 1);
    vector->expected.emplace_back(text.substr(0, blank), unescape(argument));
}

HttpVector begin_case(const std::string &path, int line, const std::string &text) {
    HttpVector vector;
    vector.file = path.substr(path.rfind('/') + 1);
    vector.line = line;
    const size_t colon = text.find(": ");
    vector.kind = colon == std::string::npos ? "broken" : text.substr(0, colon);
    vector.title = colon == std::string::npos ? text : text.substr(colon + 2);
    return vector;
}

} // namespace

std::vector<HttpVector> read_http_vectors(const std::string &path) {
    std::vector<HttpVector> all;
    std::ifstream file(path);
    std::string line;
    for (int number = 1; std::getline(file, line); number++) {
        const std::string mark = line.substr(0, 2);
        const std::string text = line.size() > 2 ? line.substr(2) : "";
        if (line.empty() || line[0] == '#') {
            continue;
        }
        if (mark == "==") {
            all.push_back(begin_case(path, number, line.substr(3)));
        } else if (all.empty()) {
            all.push_back(begin_case(path, number, "broken: text before the first case"));
        } else if (mark == "> ") {
            all.back().input += unescape(text);
        } else if (mark == "= ") {
            read_expectation(text, &all.back());
        } else if (mark == "! ") {
            read_option(text, &all.back());
        } else {
            all.back().kind = "broken";
        }
    }
    return all;
}

} // namespace weft_test
