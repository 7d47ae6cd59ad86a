// Weft - start line and header section of a received message
// SPDX-License-Identifier: Apache-2.0
//
// Works line by line. Complete lines are parsed where they were received and kept with one copy per
// call; a line that is cut by the end of the input is kept aside and parsed when it is whole. A
// line is searched for its end and for control characters in the same pass, and a limit is hit at
// the byte that exceeds it, so the outcome never depends on how the input was cut, and nothing
// beyond a limit is stored.

#include <errno.h>
#include <string.h>

#include "protocol/http_chars.h"
#include "protocol/http_internal.h"

enum { LINE_MORE = 0, LINE_DONE = 1 };

enum { METHOD_MAX = 64, EMPTY_LINES_MAX = 1, NAME_MAX_LEN = UINT16_MAX };

static const char version_10[] = "HTTP/1.0";
static const char version_11[] = "HTTP/1.1";
enum { VERSION_LEN = 8 };

// The part of the input that is parsed in place.
struct head_input {
    const char *begin; // bytes before it are not readable
    const char *end;
    uint32_t first_field;  // fields from here on may point into the input
    int start_line_inside; // so may the parts of the start line
};

static size_t line_allowance(const http_parser_t *parser) {
    if (parser->phase == HTTP_PHASE_START) {
        return parser->rules->start_line_max;
    }
    return parser->rules->header_size_max - parser->section_used;
}

// The start line of a request is too long because of its method or its target.
static int fail_too_long(http_parser_t *parser, const char *line, const char *end) {
    if (parser->phase != HTTP_PHASE_START) {
        return http_fail(parser, 431, "header section too large");
    }
    if (parser->is_resp) {
        return http_fail(parser, 400, "status line too long");
    }
    const char *method_end = http_span(line, end, HTTP_CHAR_TOKEN);
    if (method_end - line > METHOD_MAX) {
        return http_fail(parser, 501, "method too long");
    }
    return http_fail(parser, 414, "request line too long");
}

// `stop` is the first control character of a line. LINE_DONE if the line ends there; *next is
// behind the line end.
static int end_of_line(http_parser_t *parser, const char *stop, const char *end,
                       const char **next) {
    if (*stop == '\r') {
        if (stop + 1 == end) {
            return LINE_MORE;
        }
        *next = stop + 2;
        return stop[1] == '\n' ? LINE_DONE : http_fail(parser, 400, "bare CR");
    }
    if (*stop == '\n') {
        *next = stop + 1;
        return parser->rules->allow_bare_lf ? LINE_DONE : http_fail(parser, 400, "bare LF");
    }
    return http_fail(parser, 400, "control character");
}

static int parse_version(http_parser_t *parser, const char *text) {
    parser->version_len = VERSION_LEN;
    if (memcmp(text, version_11, VERSION_LEN) == 0) {
        parser->version = version_11;
        return 0;
    }
    if (memcmp(text, version_10, VERSION_LEN) == 0) {
        parser->version = version_10;
        parser->http10 = 1;
        return 0;
    }
    if (memcmp(text, "HTTP/", 5) != 0 || !http_is(text[5], HTTP_CHAR_DIGIT) || text[6] != '.' ||
        !http_is(text[7], HTTP_CHAR_DIGIT)) {
        return http_fail(parser, 400, "malformed version");
    }
    if (text[5] == '1' && parser->rules->allow_later_minor_version) {
        parser->version = version_11;
        return 0;
    }
    return http_fail(parser, 505, "version not supported");
}

static int parse_request_line(http_parser_t *parser, const char *base, const char *line,
                              const char *eol) {
    const int is_get = eol - line > 4 && memcmp(line, "GET ", 4) == 0;
    const char *method_end = is_get ? line + 3 : http_span(line, eol, HTTP_CHAR_TOKEN);
    const size_t method_len = (size_t)(method_end - line);
    if (method_len == 0 || method_end == eol || *method_end != ' ') {
        return http_fail(parser, 400, "malformed method");
    }
    if (method_len > METHOD_MAX) {
        return http_fail(parser, 501, "method too long");
    }
    const char *target = method_end + 1;
    if (eol - target < VERSION_LEN + 2 || eol[-VERSION_LEN - 1] != ' ') {
        return http_fail(parser, 400, "malformed request line");
    }
    const size_t target_len = (size_t)(eol - target) - VERSION_LEN - 1;
    if (parse_version(parser, eol - VERSION_LEN) < 0) {
        return -2;
    }
    const char *bad = http_check_target(parser, base, line, method_len, target, target_len);
    if (bad != NULL) {
        return http_fail(parser, 400, bad);
    }
    parser->method = line;
    parser->method_len = (uint32_t)method_len;
    parser->uri = target;
    parser->uri_len = (uint32_t)target_len;
    return 0;
}

static int parse_status_line(http_parser_t *parser, const char *line, const char *eol) {
    if (eol - line < VERSION_LEN + 4 || line[VERSION_LEN] != ' ') {
        return http_fail(parser, 400, "malformed status line");
    }
    if (parse_version(parser, line) < 0) {
        return -2;
    }
    const char *code = line + VERSION_LEN + 1;
    if (code[0] == '0' || http_span(code, code + 3, HTTP_CHAR_DIGIT) != code + 3) {
        return http_fail(parser, 400, "malformed status code");
    }
    const char *phrase = code + 3;
    if (phrase == eol ? !parser->rules->allow_short_status_line : *phrase != ' ') {
        return http_fail(parser, 400, "no space behind the status code");
    }
    memcpy(parser->code, code, 3);
    parser->phrase_len = (uint32_t)(phrase == eol ? 0 : eol - phrase - 1);
    parser->phrase = phrase == eol ? eol : phrase + 1;
    return 0;
}

static int parse_start_line(http_parser_t *parser, const char *base, const char *line,
                            const char *eol) {
    if (eol == line) {
        const int allowed = !parser->is_resp && parser->empty_lines++ < EMPTY_LINES_MAX;
        return allowed ? 0 : http_fail(parser, 400, "empty line before the start line");
    }
    parser->phase = HTTP_PHASE_FIELDS;
    return parser->is_resp ? parse_status_line(parser, line, eol)
                           : parse_request_line(parser, base, line, eol);
}

// Joins a continuation line to the field before it, in new memory.
static int fold(http_parser_t *parser, const char *line, const char *eol) {
    http_parser_field_t *field =
        parser->field_count > 0 ? &parser->fields[parser->field_count - 1] : NULL;
    if (field == NULL || !parser->rules->allow_obs_fold || http_field_is_framing(field)) {
        return http_fail(parser, 400,
                         field == NULL ? "blank before the first field" : "folded line");
    }
    // Each continuation copies the field, so they are limited as fields are.
    if (parser->field_count + parser->folds++ >= parser->rules->header_count_max) {
        return http_fail(parser, 431, "too many folded lines");
    }
    while (line < eol && http_is_blank(*line)) {
        line++;
    }
    while (eol > line && http_is_blank(eol[-1])) {
        eol--;
    }
    const size_t head = (size_t)field->name_len + field->gap + field->value_len;
    const size_t more = (size_t)(eol - line);
    const size_t blank = field->value_len > 0 ? 1 : 0;
    if (more == 0) {
        return 0;
    }
    char *joined = http_text_alloc(parser, head + blank + more + 2);
    if (joined == NULL) {
        return -1;
    }
    memcpy(joined, field->line, head);
    memset(joined + head, ' ', blank);
    memcpy(joined + head + blank, line, more);
    memcpy(joined + head + blank + more, "\r\n", 2);
    field->line = joined;
    field->value_len += (uint32_t)(more + blank);
    return 0;
}

// Whether a name of this length may mean something to the framing: the others need not be compared.
static int may_be_known(size_t name_len) {
    const uint32_t lengths = 1u << 4 | 1u << 6 | 1u << 10 | 1u << 14 | 1u << 17;
    return name_len < 32 && (lengths >> name_len & 1u) != 0;
}

// The colon behind a name, or NULL. The byte at eol can be read: it is the line end.
static const char *find_colon(const http_parser_t *parser, const char *line, const char *name_end,
                              const char *eol) {
    const char *colon = name_end;
    while (parser->rules->allow_space_before_colon && colon < eol && http_is_blank(*colon)) {
        colon++;
    }
    return name_end == line || *colon != ':' ? NULL : colon;
}

static int parse_field(http_parser_t *parser, const char *base, const char *line, const char *eol) {
    if (http_is_blank(*line)) {
        return fold(parser, line, eol);
    }
    const char *name_end = http_span_common(base, line, eol, HTTP_CHAR_TOKEN);
    const char *colon = find_colon(parser, line, name_end, eol);
    if (colon == NULL) {
        return http_fail(parser, 400, "malformed field name");
    }
    const char *value = colon + 1;
    while (value < eol && http_is_blank(*value)) {
        value++;
    }
    while (eol > value && http_is_blank(eol[-1])) {
        eol--;
    }
    if (parser->field_count >= parser->rules->header_count_max) {
        return http_fail(parser, 431, "too many fields");
    }
    if (value - line > NAME_MAX_LEN) {
        return http_fail(parser, 431, "field name too long");
    }
    http_parser_field_t *field = http_field_add(parser);
    if (field == NULL) {
        return -1;
    }
    field->line = line;
    field->name_len = (uint16_t)(name_end - line);
    field->gap = (uint16_t)(value - name_end);
    field->value_len = (uint32_t)(eol - value);
    return may_be_known(field->name_len) ? http_field_received(parser, base, field) : 0;
}

// One complete line without its end. 1: it was the empty line that ends the section.
static int take_line(http_parser_t *parser, struct head_input *in, const char *base,
                     const char *line, const char *eol) {
    if (parser->phase == HTTP_PHASE_START) {
        in->start_line_inside = base == in->begin;
        return parse_start_line(parser, base, line, eol);
    }
    if (line == eol) {
        return 1;
    }
    parser->section_used += (uint32_t)(eol - line) + 2;
    if (parser->section_used > parser->rules->header_size_max) {
        parser->section_used = (uint32_t)parser->rules->header_size_max;
    }
    return parse_field(parser, base, line, eol);
}

// The start line now lies in memory of the message: its words become C strings in place.
static void end_start_line(http_parser_t *parser, ptrdiff_t delta) {
    if (parser->is_resp) {
        if (parser->phrase != NULL) {
            char *phrase = (char *)(uintptr_t)parser->phrase + delta;
            phrase[parser->phrase_len] = '\0';
            parser->phrase = phrase;
        }
    } else if (parser->method != NULL) {
        char *method = (char *)(uintptr_t)parser->method + delta;
        char *uri = (char *)(uintptr_t)parser->uri + delta;
        method[parser->method_len] = '\0';
        uri[parser->uri_len] = '\0';
        parser->method = method;
        parser->uri = uri;
    }
}

// Copies the complete lines [in->begin, end) into the message and lets the new fields point there.
static int keep_lines(http_parser_t *parser, struct head_input *in, const char *end) {
    const size_t len = (size_t)(end - in->begin);
    char *text = http_text_alloc(parser, len);
    if (text == NULL) {
        return -1;
    }
    memcpy(text, in->begin, len);
    const uintptr_t base = (uintptr_t)in->begin;
    for (uint32_t i = in->first_field; i < parser->field_count; i++) {
        const size_t offset = (size_t)((uintptr_t)parser->fields[i].line - base);
        if (offset < len) {
            parser->fields[i].line = text + offset;
        }
    }
    if (in->start_line_inside) {
        // The difference is computed as integers, for the two blocks are unrelated.
        end_start_line(parser, (ptrdiff_t)((uintptr_t)text - base));
        in->start_line_inside = 0;
    }
    return 0;
}

// Keeps the beginning of a line whose end has not come.
static int keep_partial(http_parser_t *parser, const char *from, size_t len) {
    const size_t want = parser->line_len + len;
    // Two more bytes for the line end, the first of which becomes the zero that ends a phrase.
    if (want + 2 > parser->line_cap) {
        const size_t cap = want < 120 ? 128 : want + want / 2;
        char *line = http_text_alloc(parser, cap);
        if (line == NULL) {
            return -1;
        }
        if (parser->line_len > 0) {
            memcpy(line, parser->line, parser->line_len);
        }
        parser->line = line;
        parser->line_cap = (uint32_t)cap;
    }
    memcpy(parser->line + parser->line_len, from, len);
    parser->line_len = (uint32_t)want;
    return 0;
}

// Goes on with the line that was kept aside. LINE_DONE: it is whole, without its end, in
// parser->line; or LINE_MORE or an error. *pos is moved behind what was consumed.
static int resume_line(http_parser_t *parser, const char **pos, const char *end) {
    if (parser->line[parser->line_len - 1] == '\r') {
        if (**pos != '\n') {
            return http_fail(parser, 400, "bare CR");
        }
        parser->line_len--;
        ++*pos;
        return LINE_DONE;
    }
    const size_t allowed = line_allowance(parser) - parser->line_len;
    const size_t avail = (size_t)(end - *pos);
    const char *limit = avail > allowed ? *pos + allowed + 1 : end;
    const char *stop = http_find_control(*pos, *pos, limit);
    const char *next = end;
    int ret = LINE_MORE;
    if (stop != limit) {
        ret = end_of_line(parser, stop, end, &next);
    } else if (avail > allowed) {
        return keep_partial(parser, *pos, allowed) < 0
                   ? -1
                   : fail_too_long(parser, parser->line, parser->line + parser->line_len);
    }
    if (ret >= 0 &&
        keep_partial(parser, *pos, (size_t)((ret == LINE_DONE ? stop : end) - *pos)) < 0) {
        return -1;
    }
    *pos = next;
    return ret;
}

static int resume(http_parser_t *parser, struct head_input *in, const char **pos) {
    const int was_start = parser->phase == HTTP_PHASE_START;
    int ret = resume_line(parser, pos, in->end);
    if (ret != LINE_DONE) {
        return ret;
    }
    char *line = parser->line;
    const uint32_t len = parser->line_len;
    memcpy(line + len, "\r\n", 2);
    parser->line = NULL;
    parser->line_len = 0;
    parser->line_cap = 0;
    ret = take_line(parser, in, line, line, line + len);
    if (ret == 0 && was_start) {
        end_start_line(parser, 0);
    }
    return ret;
}

// Lets nothing point into the input of a call that failed.
static int forget_input(http_parser_t *parser, const struct head_input *in, int ret) {
    parser->field_count = in->first_field;
    if (in->start_line_inside || parser->phase == HTTP_PHASE_START) {
        parser->method = NULL;
        parser->uri = NULL;
        parser->phrase = NULL;
    }
    return ret;
}

// A byte that cannot begin a message is refused at once: a TLS greeting on a plain port should not
// wait for a line end.
static int check_first_byte(http_parser_t *parser, char c) {
    const int line_end = c == '\r' || c == '\n';
    if (parser->is_resp ? c != 'H' && !line_end : !http_is(c, HTTP_CHAR_TOKEN) && !line_end) {
        return http_fail(parser, 400, "no HTTP message");
    }
    return 0;
}

// Parses lines in place as long as they are whole. 1: the section is complete, 0: more is needed.
static int parse_lines(http_parser_t *parser, struct head_input *in, const char **pos) {
    const char *end = in->end;
    int ret = 0;
    while (ret == 0 && *pos < end) {
        const char *line = *pos;
        if (parser->phase == HTTP_PHASE_START && check_first_byte(parser, *line) < 0) {
            return -2;
        }
        const size_t allowed = line_allowance(parser);
        const size_t avail = (size_t)(end - line);
        const char *limit = avail > allowed ? line + allowed + 1 : end;
        const char *stop = http_find_control(in->begin, line, limit);
        const char *next = stop + 2;
        if (stop == limit) {
            return avail > allowed ? fail_too_long(parser, line, limit) : 0;
        }
        if (next > end || stop[0] != '\r' || stop[1] != '\n') {
            ret = end_of_line(parser, stop, end, &next);
            if (ret != LINE_DONE) {
                return ret;
            }
        }
        ret = take_line(parser, in, in->begin, line, stop);
        *pos = next;
    }
    return ret;
}

int http_head_append(http_parser_t *parser, const char *buf, size_t size, size_t *used) {
    struct head_input in = {buf, buf + size, parser->field_count, 0};
    const char *pos = buf;
    int ret = 0;
    if (parser->line_len > 0 && size > 0) {
        ret = resume(parser, &in, &pos);
        if (ret == 0 && parser->line_len > 0) {
            parser->header_offset += size;
            *used = size;
            return 0;
        }
        // The resumed line is in memory of the message already.
        in.begin = pos;
        in.first_field = parser->field_count;
    }
    if (ret == 0) {
        ret = parse_lines(parser, &in, &pos);
    }
    if (ret >= 0 && pos > in.begin && keep_lines(parser, &in, pos) < 0) {
        ret = -1;
    }
    if (ret == 0 && pos < in.end) {
        ret = keep_partial(parser, pos, (size_t)(in.end - pos));
        pos = in.end;
    }
    *used = (size_t)(pos - buf);
    parser->header_offset += *used;
    return ret < 0 ? forget_input(parser, &in, ret) : ret;
}
