// Weft - fuzzes the HTTP request parser
// SPDX-License-Identifier: Apache-2.0

#include "http_fuzz.h"

namespace {

http_parser_rules_t lenient() {
    http_parser_rules_t rules = *http_parser_strict_rules();
    rules.allow_bare_lf = 1;
    rules.allow_obs_fold = 1;
    rules.allow_space_before_colon = 1;
    rules.allow_equal_lengths = 1;
    rules.allow_length_with_coding = 1;
    rules.allow_coding_in_http10 = 1;
    rules.allow_missing_host = 1;
    rules.allow_raw_target = 1;
    rules.allow_later_minor_version = 1;
    rules.allow_space_after_size = 1;
    rules.allow_unknown_expect = 1;
    rules.start_line_max = 100;
    rules.header_size_max = 300;
    rules.header_count_max = 20;
    return rules;
}

void prepare(protocol::HttpRequest *req, uint8_t mode) {
    static const http_parser_rules_t rules = lenient();
    if ((mode & 1) != 0) {
        req->set_parser_rules(&rules);
    }
    if ((mode & 2) != 0) {
        req->set_size_limit(mode);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return weft_fuzz::check<protocol::HttpRequest>(data, size, prepare);
}
