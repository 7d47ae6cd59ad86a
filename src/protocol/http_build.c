// Weft - changing and writing an HTTP message
// SPDX-License-Identifier: Apache-2.0
//
// Every field is one stretch of text, "Name: value" as it goes on the wire, so that writing copies
// each once. Nothing that could end a line or a word early gets in: splitting a message is not
// possible through these functions.

#include <errno.h>
#include <string.h>

#include "protocol/http_chars.h"
#include "protocol/http_internal.h"

static const char *const known_versions[] = {"HTTP/1.1", "HTTP/1.0"};

static char *put(char *to, const char *text, size_t len) {
    memcpy(to, text, len);
    return to + len;
}

static int invalid(void) {
    errno = EINVAL;
    return -1;
}

// A word of the start line: visible characters only.
static int is_word(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f) {
            return 0;
        }
    }
    return len > 0;
}

// Text that cannot end a line. Other control characters are the caller's affair, as they always
// were.
static int is_line_text(const char *text, size_t len) {
    const char *end = text + len;
    const char *pos = text;
    if (http_is_text(text, len)) {
        return 1;
    }
    while ((pos = http_find_control(text, pos, end)) < end) {
        if (*pos == '\r' || *pos == '\n' || *pos == '\0') {
            return 0;
        }
        pos++;
    }
    return 1;
}

static const char *copy_text(http_parser_t *parser, const char *text, size_t len) {
    char *copy = http_text_alloc(parser, len + 1);
    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

static int set_text(http_parser_t *parser, const char **part, uint32_t *part_len, const char *text,
                    size_t len) {
    const char *copy = len <= INT32_MAX ? copy_text(parser, text, len) : NULL;
    if (copy == NULL) {
        errno = ENOMEM;
        return -1;
    }
    *part = copy;
    *part_len = (uint32_t)len;
    return 0;
}

int http_parser_set_method(const char *method, http_parser_t *parser) {
    const size_t len = strlen(method);
    if (!is_word(method, len)) {
        return invalid();
    }
    return set_text(parser, &parser->method, &parser->method_len, method, len);
}

int http_parser_set_uri(const char *uri, http_parser_t *parser) {
    const size_t len = strlen(uri);
    if (!is_word(uri, len)) {
        return invalid();
    }
    return set_text(parser, &parser->uri, &parser->uri_len, uri, len);
}

int http_parser_set_version(const char *version, http_parser_t *parser) {
    for (unsigned i = 0; i < sizeof known_versions / sizeof known_versions[0]; i++) {
        if (strcmp(version, known_versions[i]) == 0) {
            parser->version = known_versions[i];
            parser->version_len = 8;
            parser->http10 = i == 1;
            return 0;
        }
    }
    const size_t len = strlen(version);
    if (!is_word(version, len)) {
        return invalid();
    }
    parser->http10 = 0;
    return set_text(parser, &parser->version, &parser->version_len, version, len);
}

int http_parser_set_code(const char *code, http_parser_t *parser) {
    // Each test ends at the zero byte of a shorter string.
    if (!http_is(code[0], HTTP_CHAR_DIGIT) || !http_is(code[1], HTTP_CHAR_DIGIT) ||
        !http_is(code[2], HTTP_CHAR_DIGIT) || code[3] != '\0') {
        return invalid();
    }
    memcpy(parser->code, code, sizeof parser->code);
    return 0;
}

int http_parser_set_phrase(const char *phrase, http_parser_t *parser) {
    const size_t len = strlen(phrase);
    if (!is_line_text(phrase, len)) {
        return invalid();
    }
    return set_text(parser, &parser->phrase, &parser->phrase_len, phrase, len);
}

// Writes "Name: value" and a line end into the text of the message.
static int write_field(http_parser_field_t *field, const char *name, size_t name_len,
                       const char *value, size_t value_len, http_parser_t *parser) {
    char *line = http_text_alloc(parser, name_len + 2 + value_len + 2);
    if (line == NULL) {
        return -1;
    }
    char *to = put(line, name, name_len);
    to = put(to, ": ", 2);
    to = value_len > 0 ? put(to, value, value_len) : to;
    (void)put(to, "\r\n", 2);
    field->line = line;
    field->name_len = (uint16_t)name_len;
    field->gap = 2;
    field->value_len = (uint32_t)value_len;
    return 0;
}

static int field_ok(const char *name, size_t name_len, const char *value, size_t value_len) {
    return name_len <= UINT16_MAX && value_len < UINT32_MAX / 2 && http_is_token(name, name_len) &&
           is_line_text(value, value_len);
}

int http_parser_add_header(const void *name, size_t name_len, const void *value, size_t value_len,
                           http_parser_t *parser) {
    http_parser_field_t made;
    if (!field_ok((const char *)name, name_len, (const char *)value, value_len)) {
        return invalid();
    }
    if (write_field(&made, (const char *)name, name_len, (const char *)value, value_len, parser) <
        0) {
        return -1;
    }
    http_parser_field_t *field = http_field_add(parser);
    if (field == NULL) {
        return -1;
    }
    *field = made;
    http_field_added(parser, field);
    return 0;
}

static http_parser_field_t *find_field(const http_parser_t *parser, size_t from, const char *name,
                                       size_t name_len) {
    for (size_t i = from; i < parser->field_count; i++) {
        http_parser_field_t *field = &parser->fields[i];
        if (field->name_len == name_len && http_same_text(field->line, name, name_len)) {
            return field;
        }
    }
    return NULL;
}

int http_parser_set_header(const void *name, size_t name_len, const void *value, size_t value_len,
                           http_parser_t *parser) {
    http_parser_field_t *field = find_field(parser, 0, (const char *)name, name_len);
    if (field == NULL) {
        return http_parser_add_header(name, name_len, value, value_len, parser);
    }
    if (!field_ok((const char *)name, name_len, (const char *)value, value_len)) {
        return invalid();
    }
    if (write_field(field, (const char *)name, name_len, (const char *)value, value_len, parser) <
        0) {
        return -1;
    }
    if (http_field_is_framing(field)) {
        http_fields_changed(parser);
    }
    return 0;
}

static void give_field(const http_parser_field_t *field, const void **value, size_t *value_len,
                       http_header_cursor_t *cursor) {
    *value = http_field_value(field);
    *value_len = field->value_len;
    cursor->last = (size_t)(field - cursor->head->fields);
    cursor->next = cursor->last + 1;
}

int http_header_cursor_next(const void **name, size_t *name_len, const void **value,
                            size_t *value_len, http_header_cursor_t *cursor) {
    if (cursor->next >= cursor->head->field_count) {
        return 1;
    }
    const http_parser_field_t *field = &cursor->head->fields[cursor->next];
    *name = field->line;
    *name_len = field->name_len;
    give_field(field, value, value_len, cursor);
    return 0;
}

int http_header_cursor_find(const void *name, size_t name_len, const void **value,
                            size_t *value_len, http_header_cursor_t *cursor) {
    const http_parser_field_t *field =
        find_field(cursor->head, cursor->next, (const char *)name, name_len);
    if (field == NULL) {
        return 1;
    }
    give_field(field, value, value_len, cursor);
    return 0;
}

int http_header_cursor_erase(http_header_cursor_t *cursor) {
    // The interface takes a const message for reading and erasing alike; no message is a const
    // object.
    http_parser_t *parser = (http_parser_t *)(uintptr_t)cursor->head;
    if (cursor->last >= parser->field_count) {
        return 1;
    }
    http_parser_field_t *field = &parser->fields[cursor->last];
    const int framing = http_field_is_framing(field);
    const size_t behind = parser->field_count - cursor->last - 1;
    memmove(field, field + 1, behind * sizeof *field);
    parser->field_count--;
    cursor->next = cursor->last;
    cursor->last = (size_t)-1;
    if (framing) {
        http_fields_changed(parser);
    }
    return 0;
}

static size_t field_size(const http_parser_field_t *field) {
    return (size_t)field->name_len + field->gap + field->value_len;
}

size_t http_head_size(const http_parser_t *parser) {
    size_t size = 2 + 2 + 2; // two blanks and two line ends
    if (parser->version == NULL) {
        return 0;
    }
    if (parser->is_resp) {
        if (parser->code[0] == '\0' || parser->phrase == NULL) {
            return 0;
        }
        size += 3 + parser->phrase_len;
    } else {
        if (parser->method == NULL || parser->uri == NULL) {
            return 0;
        }
        size += parser->method_len + parser->uri_len;
    }
    size += parser->version_len;
    for (uint32_t i = 0; i < parser->field_count; i++) {
        size += field_size(&parser->fields[i]) + 2;
    }
    return size;
}

char *http_head_write(const http_parser_t *parser, char *to) {
    const size_t version_len = parser->version_len;
    if (parser->is_resp) {
        to = put(to, parser->version, version_len);
        *to++ = ' ';
        to = put(to, parser->code, 3);
        *to++ = ' ';
        to = put(to, parser->phrase, parser->phrase_len);
    } else {
        to = put(to, parser->method, parser->method_len);
        *to++ = ' ';
        to = put(to, parser->uri, parser->uri_len);
        *to++ = ' ';
        to = put(to, parser->version, version_len);
    }
    to = put(to, "\r\n", 2);
    const http_parser_field_t *field = parser->fields;
    const http_parser_field_t *last = field + parser->field_count;
    while (field < last) {
        const char *from = field->line;
        const char *end = from + field_size(field);
        field++;
        // Lines that follow each other in memory, as those of one call or one builder do, are
        // copied at once.
        while (field < last && field->line == end + 2 && memcmp(end, "\r\n", 2) == 0) {
            end = field->line + field_size(field);
            field++;
        }
        to = put(to, from, (size_t)(end - from));
        to = put(to, "\r\n", 2);
    }
    return put(to, "\r\n", 2);
}
