// Weft - the rules a parser starts with
// SPDX-License-Identifier: Apache-2.0
//
// The only state of the protocol room that is shared by the process: one pointer, read when a
// message is created.

#include "workflow/http_parser.h"

static const http_parser_rules_t strict_rules = {
    .start_line_max = 8192,
    .header_size_max = 65536,
    .header_count_max = 100,
    .trailer_size_max = 65536,
    .trailer_count_max = 100,
    .chunk_line_max = 1024,
    .chunk_ext_max = 16384,
};

static const http_parser_rules_t *default_rules = &strict_rules;

const http_parser_rules_t *http_parser_strict_rules(void) { return &strict_rules; }

const http_parser_rules_t *http_parser_default_rules(void) {
    return __atomic_load_n(&default_rules, __ATOMIC_ACQUIRE);
}

void http_parser_set_default_rules(const http_parser_rules_t *rules) {
    __atomic_store_n(&default_rules, rules != NULL ? rules : &strict_rules, __ATOMIC_RELEASE);
}
