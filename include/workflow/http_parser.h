// Weft public header, room: protocol - HTTP/1.1 messages in C: parse, build, look up
// SPDX-License-Identifier: Apache-2.0
//
// One http_parser_t holds one message, received or built. It is a plain value: no thread, no
// socket, no global state but the default rules. One thread at a time may use it.
//
// What always holds:
// - Input may be cut at any byte; the result does not depend on where.
// - Strings handed out live in memory that does not move until the message is changed at that very
// part, moved
//   (http_parser_move) or destroyed.
// - A message that breaks the rules ends in an error with the status to answer; no byte after it is
// interpreted. Source: RFC 9112 (framing), RFC 9110 (fields).

#ifndef WEFT_HTTP_PARSER_H
#define WEFT_HTTP_PARSER_H

#include <stddef.h>
#include <stdint.h>

// Kept for programs that size buffers with it; Weft itself bounds the whole header section instead.
#define HTTP_HEADER_NAME_MAX 64

// Small messages need no heap: so many fields and bytes of text lie inside the parser.
#define HTTP_PARSER_INLINE_FIELDS 16
#define HTTP_PARSER_INLINE_TEXT   640

// What a parser accepts. All limits are finite and all leniencies off by default. Lengths are bytes
// without the line end; the limits of a section or line must stay below 1 GiB.
typedef struct http_parser_rules {
    size_t start_line_max;   // request line: 414 beyond (501 if even the method does not end)
    size_t header_size_max;  // all field lines together: 431 beyond
    size_t header_count_max; // field lines: 431 beyond
    size_t trailer_size_max; // the same for trailers
    size_t trailer_count_max;
    size_t chunk_line_max; // one chunk-size line with its extensions: 400 beyond
    size_t chunk_ext_max;  // extensions of one message together: 400 beyond

    unsigned char allow_bare_lf;            // LF alone ends a line of the header section
    unsigned char allow_obs_fold;           // continuation lines are joined with a space
    unsigned char allow_space_before_colon; // "Name : value"
    unsigned char allow_equal_lengths;      // repeated Content-Length of one value ("5, 5" too)
    unsigned char allow_length_with_coding; // Transfer-Encoding wins over Content-Length; the
                                            // connection closes
    unsigned char
        allow_coding_in_http10; // Transfer-Encoding in an HTTP/1.0 message; the connection closes
    unsigned char allow_missing_host;        // HTTP/1.1 request without Host
    unsigned char allow_raw_target;          // bytes from 0x80 and '#' in a request target
    unsigned char allow_later_minor_version; // HTTP/1.2 to 1.9 are read as HTTP/1.1
    unsigned char
        allow_short_status_line; // "HTTP/1.1 200" without the space before the missing phrase
    unsigned char allow_space_after_size; // blanks between chunk size and line end
    unsigned char allow_unknown_expect;   // expectations other than 100-continue are ignored
} http_parser_rules_t;

// One field. The line starts with the name; the value lies `gap` bytes behind its end.
typedef struct http_parser_field {
    const char *line;
    uint32_t value_len;
    uint16_t name_len;
    uint16_t gap;
} http_parser_field_t;

// State of the chunked framing while it is read (protocol/http_chunk.h).
typedef struct http_chunk_scan {
    size_t left;        // data bytes still to come in this chunk
    uint32_t line_len;  // bytes of the present framing line
    uint32_t ext_bytes; // extension bytes so far
    uint32_t trailer_bytes;
    uint32_t trailer_count;
    uint8_t state;
    uint8_t digits;
    uint8_t name_len;   // bytes of the present trailer name, saturating
    uint8_t name_match; // which of the forbidden trailer names it may still be
} http_chunk_scan_t;

typedef struct http_parser {
    // Read by users.
    size_t content_length;  // declared by Content-Length; (size_t)-1 when absent
    size_t transfer_length; // body bytes the framing announces; (size_t)-1 when unknown (chunked,
                            // until close)
    size_t header_offset;   // bytes of start line and header section consumed so far
    char complete;          // the whole message has been received
    char expect_continue;   // a request waits for "100 Continue"

    // Everything below is private to src/protocol. A new message has zeros from header_offset to
    // body_cap.
    unsigned char phase;
    unsigned char chunked;
    unsigned char has_connection;
    unsigned char has_content_length;
    unsigned char has_keep_alive;
    unsigned char close_seen;
    unsigned char keep_seen;
    unsigned char must_close;
    unsigned char http10;
    unsigned char host_count;
    unsigned char bad_expect;
    unsigned char empty_lines;
    unsigned char too_large;
    char code[4];
    uint16_t status;
    uint16_t folds;
    uint32_t section_used;
    uint32_t method_len;
    uint32_t uri_len;
    uint32_t phrase_len;
    uint32_t version_len;
    uint32_t field_count;
    uint32_t line_len;
    uint32_t line_cap;
    const char *reason;
    const char *method;
    const char *uri;
    const char *version;
    const char *phrase;
    char *line;
    void *text_chunks;
    char *body;
    size_t body_len;
    size_t body_cap;

    size_t body_limit;
    const http_parser_rules_t *rules;
    http_parser_field_t *fields;
    char *text_pos;
    char *text_end;
    uint32_t field_cap;
    unsigned char is_resp;
    unsigned char zero_body;
    http_chunk_scan_t chunk;
    http_parser_field_t inline_fields[HTTP_PARSER_INLINE_FIELDS];
    char inline_text[HTTP_PARSER_INLINE_TEXT];
} http_parser_t;

// Walks the fields in order. `last` is the element that erase removes.
typedef struct http_header_cursor {
    const http_parser_t *head;
    size_t next;
    size_t last;
} http_header_cursor_t;

#ifdef __cplusplus
extern "C" {
#endif

// The rules new parsers start with. A process may replace them, best before its first message;
// `rules` is borrowed for ever. NULL restores the strict ones.
const http_parser_rules_t *http_parser_strict_rules(void);
const http_parser_rules_t *http_parser_default_rules(void);
void http_parser_set_default_rules(const http_parser_rules_t *rules);

void http_parser_init(int is_resp, http_parser_t *parser);
void http_parser_deinit(http_parser_t *parser);

// Moves `from` into the raw memory `to`; `from` becomes an empty message. The body keeps its
// address.
void http_parser_move(http_parser_t *to, http_parser_t *from);

// Feeds bytes; *n becomes the number consumed. 1: complete, 0: more needed, -1: see errno
// (EMSGSIZE: the body exceeds its limit), -2: bad message. After an error http_parser_error_status
// tells what a server answers.
int http_parser_append_message(const void *buf, size_t *n, http_parser_t *parser);

// The body as received, chunk framing included; a zero byte follows it. 0: found, 1: message not
// complete.
int http_parser_get_body(const void **body, size_t *size, const http_parser_t *parser);

int http_parser_header_complete(const http_parser_t *parser);

// Declares that no body follows whatever the header section says (response to HEAD).
void http_parser_set_zero_body(http_parser_t *parser);

// The peer has closed. 1: this completed the message (it lasts until close), 0: the message is cut
// short.
int http_parser_end_of_input(http_parser_t *parser);

// The parts of a message being built. 0, or -1 with EINVAL (text that could not stand on the wire:
// a control character, a blank within a word) or ENOMEM.
int http_parser_set_method(const char *method, http_parser_t *parser);
int http_parser_set_uri(const char *uri, http_parser_t *parser);
int http_parser_set_version(const char *version, http_parser_t *parser);
int http_parser_set_code(const char *code, http_parser_t *parser);
int http_parser_set_phrase(const char *phrase, http_parser_t *parser);
int http_parser_add_header(const void *name, size_t name_len, const void *value, size_t value_len,
                           http_parser_t *parser);
int http_parser_set_header(const void *name, size_t name_len, const void *value, size_t value_len,
                           http_parser_t *parser);

int http_parser_keep_alive(const http_parser_t *parser);

// 0 when found or done, 1 when there is none. Pointers are borrowed from the message.
int http_header_cursor_next(const void **name, size_t *name_len, const void **value,
                            size_t *value_len, http_header_cursor_t *cursor);
int http_header_cursor_find(const void *name, size_t name_len, const void **value,
                            size_t *value_len, http_header_cursor_t *cursor);
int http_header_cursor_erase(http_header_cursor_t *cursor);

static inline const char *http_parser_get_method(const http_parser_t *parser) {
    return parser->method;
}

static inline const char *http_parser_get_uri(const http_parser_t *parser) { return parser->uri; }

static inline const char *http_parser_get_version(const http_parser_t *parser) {
    return parser->version;
}

static inline const char *http_parser_get_code(const http_parser_t *parser) {
    return parser->code[0] ? parser->code : NULL;
}

static inline const char *http_parser_get_phrase(const http_parser_t *parser) {
    return parser->phrase;
}

static inline int http_parser_chunked(const http_parser_t *parser) { return parser->chunked; }

static inline int http_parser_has_connection(const http_parser_t *parser) {
    return parser->has_connection;
}

static inline int http_parser_has_content_length(const http_parser_t *parser) {
    return parser->has_content_length;
}

static inline int http_parser_has_keep_alive(const http_parser_t *parser) {
    return parser->has_keep_alive;
}

// Marks the message complete, whatever has come.
static inline void http_parser_close_message(http_parser_t *parser) { parser->complete = 1; }

// What to answer after an error (400 to 505), else 0; and why, for a log: a literal, never NULL.
static inline int http_parser_error_status(const http_parser_t *parser) { return parser->status; }

static inline const char *http_parser_error_reason(const http_parser_t *parser) {
    return parser->reason ? parser->reason : "";
}

static inline void http_header_cursor_init(http_header_cursor_t *cursor,
                                           const http_parser_t *parser) {
    cursor->head = parser;
    cursor->next = 0;
    cursor->last = (size_t)-1;
}

static inline void http_header_cursor_rewind(http_header_cursor_t *cursor) {
    cursor->next = 0;
    cursor->last = (size_t)-1;
}

static inline void http_header_cursor_deinit(http_header_cursor_t *cursor) { (void)cursor; }

#ifdef __cplusplus
}
#endif

#endif
