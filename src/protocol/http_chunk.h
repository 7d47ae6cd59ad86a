// Weft - the framing of chunked bodies
// SPDX-License-Identifier: Apache-2.0
//
// A machine of one byte per step over the framing; data is skipped by count. It keeps no bytes, so
// its owner decides what to store. Pure; used by the parser for whole bodies and by
// HttpMessageChunk for single chunks. Source: RFC 9112, section 7.1.

#ifndef WEFT_SRC_PROTOCOL_HTTP_CHUNK_H
#define WEFT_SRC_PROTOCOL_HTTP_CHUNK_H

#include "workflow/http_parser.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    HTTP_CHUNK_BAD = -2, // malformed: *reason says how
    HTTP_CHUNK_MORE = 0, // all bytes consumed, more needed
    HTTP_CHUNK_DATA =
        1, // scan->left data bytes follow (at least one); report them with http_chunk_skip
    HTTP_CHUNK_DATA_END = 2, // the line end behind the data was consumed
    HTTP_CHUNK_END = 3,      // the empty line behind the trailers was consumed
};

void http_chunk_begin(http_chunk_scan_t *scan);

// Consumes framing from [*pos, end) and advances *pos.
int http_chunk_step(http_chunk_scan_t *scan, const http_parser_rules_t *rules, const char **pos,
                    const char *end, const char **reason);

// Tells that n <= scan->left data bytes have passed.
void http_chunk_skip(http_chunk_scan_t *scan, size_t n);

// Whether data bytes come next.
int http_chunk_in_data(const http_chunk_scan_t *scan);

#ifdef __cplusplus
}
#endif

#endif
