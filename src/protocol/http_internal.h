// Weft - what the files of the HTTP parser share
// SPDX-License-Identifier: Apache-2.0
//
// Order of the files: http_parser.c (entry, body), http_head.c (lines), http_fields.c (meaning of
// fields, framing), http_target.c (request target and host), http_chunk.c (chunk framing),
// http_store.c (memory), http_build.c (changing and writing a message).

#ifndef WEFT_SRC_PROTOCOL_HTTP_INTERNAL_H
#define WEFT_SRC_PROTOCOL_HTTP_INTERNAL_H

#include "workflow/http_parser.h"

#ifdef __cplusplus
extern "C" {
#endif

// Where a message being received stands.
enum {
    HTTP_PHASE_START = 0,   // the start line is not complete
    HTTP_PHASE_FIELDS,      // the header section is not complete
    HTTP_PHASE_LENGTH,      // body_len < transfer_length
    HTTP_PHASE_CHUNKED,     // inside a chunked body
    HTTP_PHASE_UNTIL_CLOSE, // the body lasts until the peer closes
    HTTP_PHASE_DONE,        // complete
    HTTP_PHASE_FAILED,      // an error was found; `status` and `reason` are set
};

#define HTTP_UNKNOWN_LENGTH ((size_t)-1)

// Ends the message: returns -2, or -1 with EMSGSIZE for a body beyond its limit.
int http_fail(http_parser_t *parser, int status, const char *reason);
int http_fail_size(http_parser_t *parser, int status);

// http_head.c. Consumes start line and header section. 1: complete, 0: more, < 0: error.
int http_head_append(http_parser_t *parser, const char *buf, size_t size, size_t *used);

// http_fields.c. The line of one received field was complete: record what it means. Bytes from
// `base` on are readable.
int http_field_received(http_parser_t *parser, const char *base, const http_parser_field_t *field);
// Whether a field decides the framing or the connection, so that it may not be folded.
int http_field_is_framing(const http_parser_field_t *field);
// The header section is complete: choose the framing of the body, or fail.
int http_frame_request(http_parser_t *parser);
int http_frame_response(http_parser_t *parser);
// Takes note of a field that was added by a builder.
void http_field_added(http_parser_t *parser, const http_parser_field_t *field);
// Recomputes everything derived from the fields of a message being built.
void http_fields_changed(http_parser_t *parser);

// http_target.c. NULL when valid, else the reason. The line was searched for control characters
// already; its bytes are readable from `base` on.
const char *http_check_target(const http_parser_t *parser, const char *base, const char *method,
                              size_t method_len, const char *target, size_t len);
const char *http_check_host(const char *base, const char *host, size_t len, int need_port);

// http_store.c. Text of the message: allocations live as long as the message and never move, but
// with it. NULL: ENOMEM.
char *http_text_grow(http_parser_t *parser, size_t size);
char *http_text_alloc_slow(http_parser_t *parser, size_t size);
int http_fields_grow(http_parser_t *parser);

static inline size_t http_text_room(const http_parser_t *parser) {
    return (size_t)(parser->text_end - parser->text_pos);
}

// Makes sure that size bytes are free at text_pos, without taking them.
static inline char *http_text_reserve(http_parser_t *parser, size_t size) {
    return size <= http_text_room(parser) ? parser->text_pos : http_text_grow(parser, size);
}

static inline char *http_text_alloc(http_parser_t *parser, size_t size) {
    if (size > http_text_room(parser)) {
        return http_text_alloc_slow(parser, size);
    }
    char *text = parser->text_pos;
    parser->text_pos += size;
    return text;
}

static inline http_parser_field_t *http_field_add(http_parser_t *parser) {
    if (parser->field_count == parser->field_cap && http_fields_grow(parser) < 0) {
        return NULL;
    }
    return &parser->fields[parser->field_count++];
}

// Forgets the received message, keeping rules, limits and the promise of a zero body.
void http_parser_restart(http_parser_t *parser);

// http_build.c. The start line and the header section as bytes; false parts give 0.
size_t http_head_size(const http_parser_t *parser);
char *http_head_write(const http_parser_t *parser, char *to);

static inline const char *http_field_value(const http_parser_field_t *field) {
    return field->line + field->name_len + field->gap;
}

#ifdef __cplusplus
}
#endif

#endif
