// Weft - the memory of an HTTP message
// SPDX-License-Identifier: Apache-2.0
//
// Text (start line, fields, small things a builder adds) is taken from the inline room of the
// parser first, then from a list of heap chunks; it is given back all at once. Fields are small
// records in inline room or one heap array. The body has a heap block of its own, which keeps its
// address when the message is moved.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/http_chunk.h"
#include "protocol/http_internal.h"

struct text_chunk {
    struct text_chunk *next;
};

// A chunk of this size still comes from the allocator's fast bins.
enum { TEXT_CHUNK_MIN = 1000 };

// What stays from message to message: rules, limit, kind, and the promise of a zero body.
static void reset_message(http_parser_t *parser) {
    const size_t from = offsetof(http_parser_t, header_offset);
    const size_t to = offsetof(http_parser_t, body_limit);
    memset((char *)parser + from, 0, to - from);
    parser->content_length = HTTP_UNKNOWN_LENGTH;
    parser->transfer_length = HTTP_UNKNOWN_LENGTH;
    parser->fields = parser->inline_fields;
    parser->field_cap = HTTP_PARSER_INLINE_FIELDS;
    parser->text_pos = parser->inline_text;
    parser->text_end = parser->inline_text + HTTP_PARSER_INLINE_TEXT;
}

void http_parser_init(int is_resp, http_parser_t *parser) {
    parser->rules = http_parser_default_rules();
    parser->body_limit = HTTP_UNKNOWN_LENGTH;
    parser->is_resp = is_resp != 0;
    parser->zero_body = 0;
    reset_message(parser);
}

static void free_chunks(struct text_chunk *chunk) {
    while (chunk != NULL) {
        struct text_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void http_parser_deinit(http_parser_t *parser) {
    if (parser->text_chunks != NULL) {
        free_chunks((struct text_chunk *)parser->text_chunks);
    }
    if (parser->fields != parser->inline_fields) {
        free(parser->fields);
    }
    if (parser->body != NULL) {
        free(parser->body);
    }
}

void http_parser_restart(http_parser_t *parser) {
    http_parser_deinit(parser);
    reset_message(parser);
}

// Pointers into the inline room follow it to its new place; all others stay.
static char *moved(const char *ptr, http_parser_t *to, const http_parser_t *from) {
    const size_t offset = (size_t)((uintptr_t)ptr - (uintptr_t)from->inline_text);
    return offset < HTTP_PARSER_INLINE_TEXT ? to->inline_text + offset : (char *)(uintptr_t)ptr;
}

void http_parser_move(http_parser_t *to, http_parser_t *from) {
    memcpy(to, from, sizeof *to);
    if (from->fields == from->inline_fields) {
        to->fields = to->inline_fields;
    }
    for (uint32_t i = 0; i < to->field_count; i++) {
        to->fields[i].line = moved(to->fields[i].line, to, from);
    }
    to->method = moved(from->method, to, from);
    to->uri = moved(from->uri, to, from);
    to->phrase = moved(from->phrase, to, from);
    to->version = moved(from->version, to, from);
    if (from->text_end == from->inline_text + HTTP_PARSER_INLINE_TEXT) {
        to->text_pos = to->inline_text + (from->text_pos - from->inline_text);
        to->text_end = to->inline_text + HTTP_PARSER_INLINE_TEXT;
    }
    to->line = moved(from->line, to, from);
    from->zero_body = 0;
    reset_message(from);
}

static char *new_chunk(http_parser_t *parser, size_t size) {
    struct text_chunk *chunk = (struct text_chunk *)malloc(sizeof *chunk + size);
    if (chunk == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    chunk->next = (struct text_chunk *)parser->text_chunks;
    parser->text_chunks = chunk;
    return (char *)(chunk + 1);
}

char *http_text_grow(http_parser_t *parser, size_t size) {
    const size_t room = size < TEXT_CHUNK_MIN ? TEXT_CHUNK_MIN : size;
    char *text = new_chunk(parser, room);
    if (text != NULL) {
        parser->text_pos = text;
        parser->text_end = text + room;
    }
    return text;
}

char *http_text_alloc_slow(http_parser_t *parser, size_t size) {
    // Something large gets its own chunk, so that the room at hand is not lost.
    if (size > TEXT_CHUNK_MIN) {
        return new_chunk(parser, size);
    }
    char *text = http_text_grow(parser, size);
    if (text != NULL) {
        parser->text_pos += size;
    }
    return text;
}

int http_fields_grow(http_parser_t *parser) {
    const uint32_t cap = parser->field_cap * 2;
    http_parser_field_t *fields = (http_parser_field_t *)malloc(cap * sizeof *fields);
    if (fields == NULL) {
        errno = ENOMEM;
        return -1;
    }
    memcpy(fields, parser->fields, parser->field_count * sizeof *fields);
    if (parser->fields != parser->inline_fields) {
        free(parser->fields);
    }
    parser->fields = fields;
    parser->field_cap = cap;
    return 0;
}
