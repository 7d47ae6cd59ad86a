// Weft - the fields an engine adds to messages by itself
// SPDX-License-Identifier: Apache-2.0

#include "protocol/http_defaults.h"

#include <string.h>

#include "protocol/http_internal.h"

enum { DIGITS_MAX = 20 };

static const char length_name[] = "Content-Length: ";

// `line` was written into the text of the message, with a line end.
static int add_line(http_parser_t *parser, const char *line, size_t name_len, size_t value_len) {
    http_parser_field_t *field = http_field_add(parser);
    if (field == NULL) {
        return -1;
    }
    field->line = line;
    field->name_len = (uint16_t)name_len;
    field->gap = 2;
    field->value_len = (uint32_t)value_len;
    return 0;
}

int http_parser_add_length(http_parser_t *parser, size_t length) {
    const size_t name_size = sizeof length_name - 1;
    char digits[DIGITS_MAX];
    char *first = digits + DIGITS_MAX;
    do {
        *--first = (char)('0' + length % 10);
        length /= 10;
    } while (length > 0);
    const size_t count = (size_t)(digits + DIGITS_MAX - first);
    char *line = http_text_alloc(parser, name_size + count + 2);
    if (line == NULL) {
        return -1;
    }
    memcpy(line, length_name, name_size);
    memcpy(line + name_size, first, count);
    memcpy(line + name_size + count, "\r\n", 2);
    parser->has_content_length = 1;
    return add_line(parser, line, name_size - 2, count);
}

int http_parser_add_connection(http_parser_t *parser, int keep_alive) {
    // Copied, so that all lines lie side by side and are written at once.
    static const char alive_line[] = "Connection: Keep-Alive\r\n";
    static const char close_line[] = "Connection: close\r\n";
    const size_t size = keep_alive ? sizeof alive_line - 1 : sizeof close_line - 1;
    char *line = http_text_alloc(parser, size);
    if (line == NULL) {
        return -1;
    }
    if (keep_alive) {
        memcpy(line, alive_line, sizeof alive_line - 1);
        parser->keep_seen = 1;
    } else {
        memcpy(line, close_line, sizeof close_line - 1);
        parser->close_seen = 1;
    }
    parser->has_connection = 1;
    return add_line(parser, line, 10, size - 14);
}

void http_parser_set_status(http_parser_t *parser, int code, const char *phrase) {
    if (code >= 100 && code <= 999) {
        parser->code[0] = (char)('0' + code / 100);
        parser->code[1] = (char)('0' + code / 10 % 10);
        parser->code[2] = (char)('0' + code % 10);
        parser->code[3] = '\0';
        parser->phrase = phrase;
        parser->phrase_len = (uint32_t)strlen(phrase);
    }
}
