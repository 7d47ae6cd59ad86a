// Weft - fuzzes the HTTP response parser
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
    rules.allow_short_status_line = 1;
    rules.allow_space_after_size = 1;
    rules.start_line_max = 100;
    rules.header_size_max = 300;
    rules.header_count_max = 20;
    return rules;
}

void prepare(protocol::HttpResponse *resp, uint8_t mode) {
    static const http_parser_rules_t rules = lenient();
    if ((mode & 1) != 0) {
        resp->set_parser_rules(&rules);
    }
    if ((mode & 2) != 0) {
        resp->set_size_limit(mode);
    }
    if ((mode & 4) != 0) {
        resp->parse_zero_body();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return weft_fuzz::check<protocol::HttpResponse>(data, size, prepare);
}
