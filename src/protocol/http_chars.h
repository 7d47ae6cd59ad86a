// Weft - character classes of HTTP and the scan for control characters
// SPDX-License-Identifier: Apache-2.0
//
// Pure functions over borrowed bytes. The scan is where a parser spends its time: 16 bytes a step where SSE2 exists,
// a table elsewhere; both give the same answer.

#ifndef WEFT_SRC_PROTOCOL_HTTP_CHARS_H
#define WEFT_SRC_PROTOCOL_HTTP_CHARS_H

#include <stddef.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum {
    HTTP_CHAR_TOKEN = 1,    // tchar
    HTTP_CHAR_TARGET = 2,   // visible ASCII but '#'
    HTTP_CHAR_HOST = 4,     // unreserved, sub-delims, '%'
    HTTP_CHAR_HEX = 8,      // HEXDIG, either case
    HTTP_CHAR_TEXT = 16,    // what a field value may hold: HTAB, SP, VCHAR, obs-text
    HTTP_CHAR_DIGIT = 32,   // DIGIT
    HTTP_CHAR_QUOTED = 64,  // qdtext
};

extern const unsigned char http_char_class[256];

static inline int http_is(char c, int classes) {
    return http_char_class[(unsigned char)c] & classes;
}

static inline int http_is_blank(char c) {
    return c == ' ' || c == '\t';
}

// The first byte from pos on that is not of the class, or end.
static inline const char *http_span(const char *pos, const char *end, int classes) {
    while (pos < end && http_is(*pos, classes)) {
        pos++;
    }
    return pos;
}

#if defined(__SSE2__)
// One bit for each control character (all below 0x20 but HTAB, and DEL) of 16 bytes.
static inline unsigned http_control_mask(const char *pos) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)pos);
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));
}
#endif

// The first control character in [pos, end), or end. `base` <= pos is where readable bytes begin: with 16 of them
// before `end` the tail is scanned in one step as well.
static inline const char *http_find_control(const char *base, const char *pos, const char *end) {
#if defined(__SSE2__)
    while (end - pos >= 16) {
        const unsigned mask = http_control_mask(pos);
        if (mask != 0) {
            return pos + __builtin_ctz(mask);
        }
        pos += 16;
    }
    if (end - base >= 16 && pos < end) {
        const unsigned mask = http_control_mask(end - 16) >> (16 - (end - pos));
        return mask != 0 ? pos + __builtin_ctz(mask) : end;
    }
#else
    (void)base;
#endif
    return http_span(pos, end, HTTP_CHAR_TEXT);
}

// Whether a name consisting of token characters equals `lower`, which is written in lower case letters and '-'.
// Setting bit 5 maps no other token character onto those.
static inline int http_same_name(const char *name, const char *lower, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if ((name[i] | 0x20) != lower[i]) {
            return 0;
        }
    }
    return 1;
}

static inline char http_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

// The same for any two strings.
static inline int http_same_text(const char *a, const char *b, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (http_lower(a[i]) != http_lower(b[i])) {
            return 0;
        }
    }
    return 1;
}

#ifdef __cplusplus
}
#endif

#endif
