// Weft - what header fields mean for the framing and the connection
// SPDX-License-Identifier: Apache-2.0
//
// Each field is looked at once, when its line is complete; the checks that need the whole section
// run at its end. Whatever two implementations could frame differently is refused. Source: RFC
// 9112, sections 6 and 9; RFC 9110, sections 7.2, 8.6 and 10.1.1.

#include <errno.h>
#include <string.h>

#include "protocol/http_chars.h"
#include "protocol/http_internal.h"

enum known_field {
    FIELD_OTHER = 0,
    FIELD_HOST,
    FIELD_EXPECT,
    FIELD_CONNECTION,
    FIELD_KEEP_ALIVE,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
};

int http_fail(http_parser_t *parser, int status, const char *reason) {
    parser->status = (uint16_t)status;
    parser->reason = reason;
    parser->phase = HTTP_PHASE_FAILED;
    return -2;
}

int http_fail_size(http_parser_t *parser, int status) {
    (void)http_fail(parser, status, "body too large");
    parser->too_large = 1;
    errno = EMSGSIZE;
    return -1;
}

static enum known_field classify(const http_parser_field_t *field) {
    const char *name = field->line;
    switch (field->name_len) {
    case 4:
        return http_same_name(name, "host", 4) ? FIELD_HOST : FIELD_OTHER;
    case 6:
        return http_same_name(name, "expect", 6) ? FIELD_EXPECT : FIELD_OTHER;
    case 10:
        if (http_same_name(name, "connection", 10)) {
            return FIELD_CONNECTION;
        }
        return http_same_name(name, "keep-alive", 10) ? FIELD_KEEP_ALIVE : FIELD_OTHER;
    case 14:
        return http_same_name(name, "content-length", 14) ? FIELD_CONTENT_LENGTH : FIELD_OTHER;
    case 17:
        return http_same_name(name, "transfer-encoding", 17) ? FIELD_TRANSFER_ENCODING
                                                             : FIELD_OTHER;
    default:
        return FIELD_OTHER;
    }
}

int http_field_is_framing(const http_parser_field_t *field) {
    return classify(field) != FIELD_OTHER;
}

// The next element of a comma-separated list, trimmed; 0 at the end. Empty elements are returned as
// such.
static int next_element(const char **pos, const char *end, const char **element, size_t *len) {
    if (*pos > end) {
        return 0;
    }
    const char *from = *pos;
    const char *comma = from;
    while (comma < end && *comma != ',') {
        comma++;
    }
    *pos = comma + 1;
    while (from < comma && http_is_blank(*from)) {
        from++;
    }
    while (comma > from && http_is_blank(comma[-1])) {
        comma--;
    }
    *element = from;
    *len = (size_t)(comma - from);
    return 1;
}

// With a literal, so that its length is known.
#define element_is(element, len, word) \
    ((len) == sizeof(word) - 1 && http_same_text((element), (word), sizeof(word) - 1))

static void note_connection(http_parser_t *parser, const char *value, size_t value_len) {
    const char *pos = value;
    const char *element;
    size_t len;
    parser->has_connection = 1;
    if (value_len == 10 && http_same_name(value, "keep-alive", 10)) {
        parser->keep_seen = 1;
        return;
    }
    while (next_element(&pos, value + value_len, &element, &len)) {
        if (element_is(element, len, "close")) {
            parser->close_seen = 1;
        } else if (element_is(element, len, "keep-alive")) {
            parser->keep_seen = 1;
        }
    }
}

// Digits only. The largest value is kept for "unknown".
static int parse_length(const char *text, size_t len, size_t *length) {
    size_t sum = 0;
    if (len == 0) {
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        const size_t digit = (size_t)(text[i] - '0');
        if (!http_is(text[i], HTTP_CHAR_DIGIT) || sum > ((size_t)-2 - digit) / 10) {
            return -1;
        }
        sum = sum * 10 + digit;
    }
    *length = sum;
    return 0;
}

static int receive_length(http_parser_t *parser, const char *value, size_t value_len) {
    const char *pos = value;
    const char *element;
    size_t len;
    while (next_element(&pos, value + value_len, &element, &len)) {
        size_t length = 0;
        if (parse_length(element, len, &length) < 0) {
            return http_fail(parser, 400, "malformed Content-Length");
        }
        if (parser->has_content_length) {
            if (length != parser->content_length) {
                return http_fail(parser, 400, "differing Content-Length");
            }
            if (!parser->rules->allow_equal_lengths) {
                return http_fail(parser, 400, "repeated Content-Length");
            }
        }
        parser->has_content_length = 1;
        parser->content_length = length;
    }
    return 0;
}

// Only "chunked", once: a request never meets a coding its sender could know us to support.
static int receive_coding(http_parser_t *parser, const char *value, size_t value_len) {
    const char *pos = value;
    const char *element;
    size_t len;
    while (next_element(&pos, value + value_len, &element, &len)) {
        if (len == 0 || http_span(element, element + len, HTTP_CHAR_TOKEN) != element + len) {
            return http_fail(parser, 400, "malformed Transfer-Encoding");
        }
        if (parser->chunked) {
            return http_fail(parser, 400, "coding behind chunked");
        }
        if (!element_is(element, len, "chunked")) {
            return http_fail(parser, 501, "unknown transfer coding");
        }
        parser->chunked = 1;
    }
    return 0;
}

static int receive_host(http_parser_t *parser, const char *base, const char *value,
                        size_t value_len) {
    if (parser->is_resp) {
        return 0;
    }
    if (parser->host_count++ > 0) {
        return http_fail(parser, 400, "more than one Host");
    }
    const char *bad = http_check_host(base, value, value_len, 0);
    return bad == NULL ? 0 : http_fail(parser, 400, bad);
}

int http_field_received(http_parser_t *parser, const char *base, const http_parser_field_t *field) {
    const char *value = http_field_value(field);
    const size_t len = field->value_len;
    switch (classify(field)) {
    case FIELD_HOST:
        return receive_host(parser, base, value, len);
    case FIELD_EXPECT:
        if (element_is(value, len, "100-continue")) {
            parser->expect_continue = !parser->is_resp && !parser->http10;
        } else {
            parser->bad_expect = 1;
        }
        return 0;
    case FIELD_CONNECTION:
        note_connection(parser, value, len);
        return 0;
    case FIELD_KEEP_ALIVE:
        parser->has_keep_alive = 1;
        return 0;
    case FIELD_CONTENT_LENGTH:
        return receive_length(parser, value, len);
    case FIELD_TRANSFER_ENCODING:
        return receive_coding(parser, value, len);
    default:
        return 0;
    }
}

static int begin_body(http_parser_t *parser, size_t length) {
    parser->transfer_length = length;
    parser->phase = length == 0 ? HTTP_PHASE_DONE : HTTP_PHASE_LENGTH;
    if (length != 0 && length > parser->body_limit) {
        return http_fail_size(parser, parser->expect_continue ? 417 : 413);
    }
    return 0;
}

// What Transfer-Encoding overrides is not passed on. RFC 9112, section 6.3.
static void drop_lengths(http_parser_t *parser) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < parser->field_count; i++) {
        if (classify(&parser->fields[i]) != FIELD_CONTENT_LENGTH) {
            parser->fields[kept++] = parser->fields[i];
        }
    }
    parser->field_count = kept;
    parser->has_content_length = 0;
    parser->content_length = HTTP_UNKNOWN_LENGTH;
}

static int begin_chunked(http_parser_t *parser) {
    if (parser->has_content_length) {
        if (!parser->rules->allow_length_with_coding) {
            return http_fail(parser, 400, "both Content-Length and Transfer-Encoding");
        }
        drop_lengths(parser);
        parser->must_close = 1;
    }
    if (parser->http10) {
        if (!parser->rules->allow_coding_in_http10) {
            return http_fail(parser, 400, "Transfer-Encoding in HTTP/1.0");
        }
        parser->must_close = 1;
    }
    parser->transfer_length = HTTP_UNKNOWN_LENGTH;
    parser->phase = HTTP_PHASE_CHUNKED;
    return 0;
}

int http_frame_request(http_parser_t *parser) {
    if (parser->host_count == 0 && !parser->http10 && !parser->rules->allow_missing_host) {
        return http_fail(parser, 400, "no Host");
    }
    if (parser->bad_expect && !parser->http10 && !parser->rules->allow_unknown_expect) {
        return http_fail(parser, 417, "unknown expectation");
    }
    if (parser->chunked) {
        return begin_chunked(parser);
    }
    return begin_body(parser, parser->has_content_length ? parser->content_length : 0);
}

int http_frame_response(http_parser_t *parser) {
    const int no_body = parser->zero_body || parser->transfer_length == 0 ||
                        parser->code[0] == '1' || memcmp(parser->code, "204", 3) == 0 ||
                        memcmp(parser->code, "304", 3) == 0;
    if (parser->chunked) {
        const int ret = begin_chunked(parser);
        if (ret < 0 || !no_body) {
            return ret;
        }
    }
    if (no_body) {
        return begin_body(parser, 0);
    }
    if (parser->has_content_length) {
        return begin_body(parser, parser->content_length);
    }
    parser->transfer_length = HTTP_UNKNOWN_LENGTH;
    parser->must_close = 1;
    parser->phase = HTTP_PHASE_UNTIL_CLOSE;
    return 0;
}

void http_field_added(http_parser_t *parser, const http_parser_field_t *field) {
    const char *value = http_field_value(field);
    const size_t len = field->value_len;
    switch (classify(field)) {
    case FIELD_CONNECTION:
        note_connection(parser, value, len);
        break;
    case FIELD_KEEP_ALIVE:
        parser->has_keep_alive = 1;
        break;
    case FIELD_CONTENT_LENGTH:
        parser->has_content_length = 1;
        break;
    case FIELD_TRANSFER_ENCODING:
        parser->chunked = len >= 7 && http_same_text(value + len - 7, "chunked", 7);
        break;
    default:
        break;
    }
}

void http_fields_changed(http_parser_t *parser) {
    parser->has_connection = 0;
    parser->has_content_length = 0;
    parser->has_keep_alive = 0;
    parser->chunked = 0;
    parser->close_seen = 0;
    parser->keep_seen = 0;
    for (uint32_t i = 0; i < parser->field_count; i++) {
        http_field_added(parser, &parser->fields[i]);
    }
}

int http_parser_keep_alive(const http_parser_t *parser) {
    if (parser->close_seen || parser->must_close) {
        return 0;
    }
    return parser->keep_seen || !parser->http10;
}
