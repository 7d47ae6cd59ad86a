// Weft - reads the documents of test/vectors/http
// SPDX-License-Identifier: Apache-2.0

#ifndef WEFT_TEST_UNIT_PROTOCOL_HTTP_VECTOR_FILE_H
#define WEFT_TEST_UNIT_PROTOCOL_HTTP_VECTOR_FILE_H

#include <string>
#include <utility>
#include <vector>

namespace weft_test {

struct HttpVector {
    std::string file;
    int line = 0;
    std::string kind; // request, response or head-response
    std::string title;
    std::vector<std::string> rules;
    std::string size_limit;
    std::string input;
    std::vector<std::pair<std::string, std::string>> expected; // keyword, unescaped argument
};

// All cases of one document. A malformed document yields a case of the kind "broken".
std::vector<HttpVector> read_http_vectors(const std::string &path);

} // namespace weft_test

#endif
