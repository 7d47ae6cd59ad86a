// Weft - receiving an HTTP message
// SPDX-License-Identifier: Apache-2.0
//
// The entry of the parser and the body. A body is copied once, from the caller's buffer to its
// final place, which grows with what has really come and is never larger than the limit allows.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/http_chunk.h"
#include "protocol/http_internal.h"

// A declared length up to this is allocated at once; beyond it the sender has to deliver before
// memory is given.
enum { BODY_TRUSTED = 256 * 1024, BODY_MIN = 4096 };

static int body_reserve(http_parser_t *parser, size_t more) {
    const size_t want = parser->body_len + more;
    if (want < parser->body_cap) {
        return 0;
    }
    size_t cap = parser->body_cap < BODY_MIN ? BODY_MIN : parser->body_cap * 2;
    const size_t whole = parser->transfer_length;
    if (whole != HTTP_UNKNOWN_LENGTH && (whole <= BODY_TRUSTED || cap > whole)) {
        cap = whole;
    }
    cap = (cap < want ? want : cap) + 1;
    char *body = (char *)realloc(parser->body, cap);
    if (body == NULL) {
        errno = ENOMEM;
        return -1;
    }
    parser->body = body;
    parser->body_cap = cap;
    return 0;
}

static int body_append(http_parser_t *parser, const char *data, size_t size) {
    if (body_reserve(parser, size) < 0) {
        return -1;
    }
    memcpy(parser->body + parser->body_len, data, size);
    parser->body_len += size;
    parser->body[parser->body_len] = '\0';
    return 0;
}

static int done(http_parser_t *parser) {
    parser->phase = HTTP_PHASE_DONE;
    parser->complete = 1;
    return 1;
}

static int length_append(http_parser_t *parser, const char *buf, size_t size, size_t *used) {
    const size_t left = parser->transfer_length - parser->body_len;
    const size_t take = size < left ? size : left;
    if (body_append(parser, buf, take) < 0) {
        return -1;
    }
    *used = take;
    return take == left ? done(parser) : 0;
}

// How many more bytes the body may have. A limit may have been lowered on the way.
static size_t body_room(const http_parser_t *parser) {
    return parser->body_limit > parser->body_len ? parser->body_limit - parser->body_len : 0;
}

static int until_close_append(http_parser_t *parser, const char *buf, size_t size, size_t *used) {
    if (size > body_room(parser)) {
        return http_fail_size(parser, 413);
    }
    *used = size;
    return size > 0 && body_append(parser, buf, size) < 0 ? -1 : 0;
}

// Scans without storing, then stores what was scanned. The limit counts framing too, for it is
// kept.
static int chunked_append(http_parser_t *parser, const char *buf, size_t size, size_t *used) {
    const size_t room = body_room(parser);
    const char *end = buf + (size < room ? size : room);
    const char *pos = buf;
    const char *reason = NULL;
    int step = HTTP_CHUNK_MORE;
    while (pos < end && step != HTTP_CHUNK_END) {
        if (http_chunk_in_data(&parser->chunk)) {
            const size_t avail = (size_t)(end - pos);
            const size_t take = avail < parser->chunk.left ? avail : parser->chunk.left;
            http_chunk_skip(&parser->chunk, take);
            pos += take;
            continue;
        }
        step = http_chunk_step(&parser->chunk, parser->rules, &pos, end, &reason);
        if (step == HTTP_CHUNK_BAD) {
            return http_fail(parser, 400, reason);
        }
        if (step == HTTP_CHUNK_DATA && parser->chunk.left > room - (size_t)(pos - buf)) {
            return http_fail_size(parser, 413);
        }
    }
    if (step != HTTP_CHUNK_END && size > room) {
        return http_fail_size(parser, 413);
    }
    if (pos > buf && body_append(parser, buf, (size_t)(pos - buf)) < 0) {
        return -1;
    }
    *used = (size_t)(pos - buf);
    return step == HTTP_CHUNK_END ? done(parser) : 0;
}

static int body_phase(http_parser_t *parser, const char *buf, size_t size, size_t *used) {
    *used = 0;
    switch (parser->phase) {
    case HTTP_PHASE_LENGTH:
        return length_append(parser, buf, size, used);
    case HTTP_PHASE_CHUNKED:
        return chunked_append(parser, buf, size, used);
    case HTTP_PHASE_UNTIL_CLOSE:
        return until_close_append(parser, buf, size, used);
    case HTTP_PHASE_DONE:
        return done(parser);
    default:
        return parser->too_large ? http_fail_size(parser, parser->status) : -2;
    }
}

int http_parser_append_message(const void *buf, size_t *n, http_parser_t *parser) {
    const char *pos = (const char *)buf;
    const size_t size = *n;
    size_t head_used = 0;
    *n = 0;
    if (parser->complete) {
        return 1;
    }
    if (size == 0 && parser->phase != HTTP_PHASE_FAILED) {
        return 0;
    }
    if (parser->phase <= HTTP_PHASE_FIELDS) {
        int ret = http_head_append(parser, pos, size, &head_used);
        if (ret == 1) {
            ret = parser->is_resp ? http_frame_response(parser) : http_frame_request(parser);
            ret = ret < 0 ? ret : 1;
        }
        *n = head_used;
        if (ret != 1) {
            return ret;
        }
        if (parser->phase == HTTP_PHASE_CHUNKED) {
            http_chunk_begin(&parser->chunk);
        }
        if (parser->phase != HTTP_PHASE_DONE && head_used == size) {
            return 0;
        }
    }
    size_t body_used = 0;
    const int ret = body_phase(parser, pos + head_used, size - head_used, &body_used);
    *n += body_used;
    return ret;
}

int http_parser_get_body(const void **body, size_t *size, const http_parser_t *parser) {
    if (!parser->complete || !http_parser_header_complete(parser)) {
        return 1;
    }
    *body = parser->body != NULL ? parser->body : "";
    *size = parser->body_len;
    return 0;
}

int http_parser_header_complete(const http_parser_t *parser) {
    return parser->phase >= HTTP_PHASE_LENGTH && parser->phase <= HTTP_PHASE_DONE;
}

void http_parser_set_zero_body(http_parser_t *parser) {
    parser->zero_body = 1;
    parser->transfer_length = 0;
}

int http_parser_end_of_input(http_parser_t *parser) {
    if (parser->phase == HTTP_PHASE_UNTIL_CLOSE) {
        (void)done(parser);
    }
    return parser->complete;
}
