// Weft - the framing of chunked bodies
// SPDX-License-Identifier: Apache-2.0
//
// Each state names what the next byte may be. Lines end in CRLF, without leniency: a bare LF in
// chunk framing is the raw material of request smuggling.

#include "protocol/http_chunk.h"

#include "protocol/http_chars.h"

enum {
    SIZE_FIRST = 0,  // a hex digit
    SIZE_MORE,       // a hex digit, blank, ';' or CR
    SIZE_BLANK,      // blanks behind the size; then ';' (or CR where the rules allow it)
    EXT_NAME_FIRST,  // blanks, then the first character of an extension name
    EXT_NAME,        // the name goes on
    EXT_NAME_BLANK,  // blanks behind a name; then '=' or ';'
    EXT_VALUE_FIRST, // blanks, then a token or a quoted string
    EXT_VALUE,       // the token goes on
    EXT_QUOTED,      // inside quotes
    EXT_ESCAPED,     // behind a backslash inside quotes
    EXT_VALUE_END,   // behind the closing quote
    EXT_VALUE_BLANK, // blanks behind a value; then ';'
    SIZE_LF,         // LF of the size line
    DATA,            // `left` bytes of data
    DATA_CR,         // the line end behind the data
    DATA_LF,
    TRAILER_FIRST, // a trailer line or the last, empty one
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
};

enum { NO_STATE = 255 }; // the byte is not allowed here

// Fields that would have changed the framing or the routing of the message must not come after it.
static const struct {
    const char *name;
    uint8_t len;
} forbidden[] = {{"content-length", 14}, {"transfer-encoding", 17}, {"host", 4}};

enum { FORBIDDEN_COUNT = sizeof forbidden / sizeof forbidden[0] };

void http_chunk_begin(http_chunk_scan_t *scan) {
    *scan = (http_chunk_scan_t){.left = 0, .state = SIZE_FIRST};
}

int http_chunk_in_data(const http_chunk_scan_t *scan) { return scan->state == DATA; }

void http_chunk_skip(http_chunk_scan_t *scan, size_t n) {
    scan->left -= n;
    if (scan->left == 0) {
        scan->state = DATA_CR;
    }
}

static size_t hex_value(char c) { return (size_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10); }

// A size of 15 hex digits is far beyond any body and cannot overflow; leading zeros count as
// digits.
static uint8_t add_digit(http_chunk_scan_t *scan, char c) {
    if (!http_is(c, HTTP_CHAR_HEX) || scan->digits == 15) {
        return NO_STATE;
    }
    scan->digits++;
    scan->left = scan->left << 4 | hex_value(c);
    return SIZE_MORE;
}

static uint8_t after_size(http_chunk_scan_t *scan, const http_parser_rules_t *rules, char c) {
    const int was_blank = scan->state == SIZE_BLANK;
    if (c == '\r') {
        return was_blank && !rules->allow_space_after_size ? NO_STATE : SIZE_LF;
    }
    if (c == ';') {
        return EXT_NAME_FIRST;
    }
    if (http_is_blank(c)) {
        return SIZE_BLANK;
    }
    return was_blank ? NO_STATE : add_digit(scan, c);
}

static uint8_t in_extension_name(uint8_t state, char c) {
    if (state == EXT_NAME_FIRST) {
        return http_is_blank(c)              ? EXT_NAME_FIRST
               : http_is(c, HTTP_CHAR_TOKEN) ? EXT_NAME
                                             : NO_STATE;
    }
    if (state == EXT_NAME && http_is(c, HTTP_CHAR_TOKEN)) {
        return EXT_NAME;
    }
    if (http_is_blank(c)) {
        return EXT_NAME_BLANK;
    }
    if (c == '\r') {
        return state == EXT_NAME ? SIZE_LF : NO_STATE;
    }
    return c == ';' ? EXT_NAME_FIRST : c == '=' ? EXT_VALUE_FIRST : NO_STATE;
}

static uint8_t in_extension_value(uint8_t state, char c) {
    switch (state) {
    case EXT_VALUE_FIRST:
        if (c == '"') {
            return EXT_QUOTED;
        }
        return http_is_blank(c)              ? EXT_VALUE_FIRST
               : http_is(c, HTTP_CHAR_TOKEN) ? EXT_VALUE
                                             : NO_STATE;
    case EXT_QUOTED:
        if (c == '"' || c == '\\') {
            return c == '"' ? EXT_VALUE_END : EXT_ESCAPED;
        }
        return http_is(c, HTTP_CHAR_QUOTED) ? EXT_QUOTED : NO_STATE;
    case EXT_ESCAPED:
        return http_is(c, HTTP_CHAR_TEXT) ? EXT_QUOTED : NO_STATE;
    default:
        break;
    }
    if (state == EXT_VALUE && http_is(c, HTTP_CHAR_TOKEN)) {
        return EXT_VALUE;
    }
    if (c == '\r') {
        return state == EXT_VALUE_BLANK ? NO_STATE : SIZE_LF;
    }
    return c == ';' ? EXT_NAME_FIRST : http_is_blank(c) ? EXT_VALUE_BLANK : NO_STATE;
}

static int is_extension(uint8_t state) {
    return state >= EXT_NAME_FIRST && state <= EXT_VALUE_BLANK;
}

static void match_trailer_name(http_chunk_scan_t *scan, char c) {
    for (unsigned i = 0; i < FORBIDDEN_COUNT; i++) {
        if (scan->name_len >= forbidden[i].len || (c | 0x20) != forbidden[i].name[scan->name_len]) {
            scan->name_match &= (uint8_t) ~(1u << i);
        }
    }
    if (scan->name_len < 255) {
        scan->name_len++;
    }
}

static int is_forbidden_trailer(const http_chunk_scan_t *scan) {
    for (unsigned i = 0; i < FORBIDDEN_COUNT; i++) {
        if ((scan->name_match >> i & 1u) != 0 && scan->name_len == forbidden[i].len) {
            return 1;
        }
    }
    return 0;
}

static uint8_t in_trailer(http_chunk_scan_t *scan, char c) {
    switch (scan->state) {
    case TRAILER_FIRST:
        if (c == '\r') {
            return LAST_LF;
        }
        scan->trailer_count++;
        scan->name_len = 0;
        scan->name_match = (1u << FORBIDDEN_COUNT) - 1;
        if (!http_is(c, HTTP_CHAR_TOKEN)) {
            return NO_STATE;
        }
        match_trailer_name(scan, c);
        return TRAILER_NAME;
    case TRAILER_NAME:
        if (http_is(c, HTTP_CHAR_TOKEN)) {
            match_trailer_name(scan, c);
            return TRAILER_NAME;
        }
        return c == ':' && !is_forbidden_trailer(scan) ? TRAILER_VALUE : NO_STATE;
    default:
        if (c == '\r') {
            return TRAILER_LF;
        }
        return http_is(c, HTTP_CHAR_TEXT) ? TRAILER_VALUE : NO_STATE;
    }
}

// The state behind byte c; line ends that change more than the state are handled by the caller.
static uint8_t next_state(http_chunk_scan_t *scan, const http_parser_rules_t *rules, char c) {
    switch (scan->state) {
    case SIZE_FIRST:
        return add_digit(scan, c);
    case SIZE_MORE:
    case SIZE_BLANK:
        return after_size(scan, rules, c);
    case EXT_NAME_FIRST:
    case EXT_NAME:
    case EXT_NAME_BLANK:
        return in_extension_name(scan->state, c);
    case EXT_VALUE_FIRST:
    case EXT_VALUE:
    case EXT_QUOTED:
    case EXT_ESCAPED:
    case EXT_VALUE_END:
    case EXT_VALUE_BLANK:
        return in_extension_value(scan->state, c);
    case SIZE_LF:
        return c != '\n' ? NO_STATE : scan->left == 0 ? TRAILER_FIRST : DATA;
    case DATA_CR:
        return c == '\r' ? DATA_LF : NO_STATE;
    case DATA_LF:
        return c == '\n' ? SIZE_FIRST : NO_STATE;
    case TRAILER_LF:
        return c == '\n' ? TRAILER_FIRST : NO_STATE;
    case LAST_LF:
        return c == '\n' ? SIZE_FIRST : NO_STATE;
    default:
        return in_trailer(scan, c);
    }
}

static const char *excess(const http_chunk_scan_t *scan, const http_parser_rules_t *rules) {
    if (scan->state >= TRAILER_FIRST) {
        if (scan->trailer_bytes > rules->trailer_size_max) {
            return "trailers too large";
        }
        return scan->trailer_count > rules->trailer_count_max ? "too many trailers" : NULL;
    }
    if (scan->line_len > rules->chunk_line_max) {
        return "chunk line too long";
    }
    return scan->ext_bytes > rules->chunk_ext_max ? "too many chunk extensions" : NULL;
}

static void count_byte(http_chunk_scan_t *scan, uint8_t state) {
    if (state >= TRAILER_FIRST) {
        scan->trailer_bytes++;
    } else if (state != SIZE_FIRST && state < SIZE_LF) {
        scan->line_len++;
        scan->ext_bytes += is_extension(state) ? 1 : 0;
    }
}

int http_chunk_step(http_chunk_scan_t *scan, const http_parser_rules_t *rules, const char **pos,
                    const char *end, const char **reason) {
    while (*pos < end) {
        const uint8_t before = scan->state;
        const uint8_t after = next_state(scan, rules, **pos);
        if (after == NO_STATE) {
            *reason = before >= TRAILER_FIRST ? "bad trailer"
                      : before >= DATA        ? "bad end of chunk"
                                              : "bad chunk size";
            return HTTP_CHUNK_BAD;
        }
        scan->state = after;
        count_byte(scan, after);
        *reason = excess(scan, rules);
        if (*reason != NULL) {
            return HTTP_CHUNK_BAD;
        }
        ++*pos;
        if (after == DATA) {
            return HTTP_CHUNK_DATA;
        }
        if (after == SIZE_FIRST) {
            scan->line_len = 0;
            scan->digits = 0;
            scan->left = 0;
            return before == LAST_LF ? HTTP_CHUNK_END : HTTP_CHUNK_DATA_END;
        }
    }
    return HTTP_CHUNK_MORE;
}
