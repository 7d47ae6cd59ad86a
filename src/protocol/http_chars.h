// Weft - character classes of HTTP and the scan for control characters
// SPDX-License-Identifier: Apache-2.0
//
// Pure functions over borrowed bytes. The scan is where a parser spends its time: 16 bytes a step
// where SSE2 exists, a table elsewhere; both give the same answer.

#ifndef WEFT_SRC_PROTOCOL_HTTP_CHARS_H
#define WEFT_SRC_PROTOCOL_HTTP_CHARS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum {
    HTTP_CHAR_TOKEN = 1,   // tchar
    HTTP_CHAR_TARGET = 2,  // visible ASCII but '#'
    HTTP_CHAR_HOST = 4,    // unreserved, sub-delims, '%'
    HTTP_CHAR_HEX = 8,     // HEXDIG, either case
    HTTP_CHAR_TEXT = 16,   // what a field value may hold: HTAB, SP, VCHAR, obs-text
    HTTP_CHAR_DIGIT = 32,  // DIGIT
    HTTP_CHAR_QUOTED = 64, // qdtext
};

extern const unsigned char http_char_class[256];

static inline int http_is(char c, int classes) {
    return http_char_class[(unsigned char)c] & classes;
}

static inline int http_is_blank(char c) { return c == ' ' || c == '\t'; }

// The first byte from pos on that is not of the class, or end.
static inline const char *http_span(const char *pos, const char *end, int classes) {
    while (pos < end && http_is(*pos, classes)) {
        pos++;
    }
    return pos;
}

#if defined(__SSE2__)

// One bit per byte out of 16.
static inline __m128i http_load(const char *pos) {
    return _mm_loadu_si128((const __m128i *)(const void *)pos);
}

static inline __m128i http_at_most(__m128i bytes, char limit) {
    return _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(limit)), bytes);
}

// Control characters: all below 0x20 but HTAB, and DEL.
static inline unsigned http_control_mask(__m128i bytes) {
    const __m128i low = http_at_most(bytes, 0x1f);
    const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));
}

// Everything but letters, digits, '-' and '.': what is left is allowed in names and hosts alike.
static inline unsigned http_uncommon_mask(__m128i bytes) {
    const __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    const __m128i alpha = http_at_most(_mm_sub_epi8(lower, _mm_set1_epi8('a')), 25);
    const __m128i range = http_at_most(_mm_sub_epi8(bytes, _mm_set1_epi8('-')), '9' - '-');
    const __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('/'));
    const __m128i common = _mm_or_si128(alpha, _mm_andnot_si128(slash, range));
    return (unsigned)_mm_movemask_epi8(common) ^ 0xffffu;
}

// What no target holds, of bytes without control characters: blanks, '#', and all from 0x80 on.
static inline unsigned http_untarget_mask(__m128i bytes) {
    const __m128i space = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' '));
    const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    const __m128i hash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('#'));
    return (unsigned)_mm_movemask_epi8(
        _mm_or_si128(_mm_or_si128(space, tab), _mm_or_si128(hash, bytes)));
}

// Any 4 to 16 bytes in one register, some of them repeated.
static inline __m128i http_load_short(const char *text, size_t len) {
    if (len >= 8) {
        const __m128i low = _mm_loadl_epi64((const __m128i *)(const void *)text);
        const __m128i high = _mm_loadl_epi64((const __m128i *)(const void *)(text + len - 8));
        return _mm_unpacklo_epi64(low, high);
    }
    int low;
    int high;
    memcpy(&low, text, 4);
    memcpy(&high, text + len - 4, 4);
    return _mm_set_epi32(low, low, high, high);
}

// The first byte of [pos, end) whose bit is set, or end. Reads nothing outside of [base, end);
// *rest becomes what was not looked at, for less than 16 bytes cannot be loaded: pos, or end.
static inline __attribute__((always_inline)) const char *http_scan(const char *base,
                                                                   const char *pos, const char *end,
                                                                   unsigned (*mask_of)(__m128i),
                                                                   const char **rest) {
    *rest = end;
    while (end - pos >= 16) {
        const unsigned mask = mask_of(http_load(pos));
        if (mask != 0) {
            return pos + __builtin_ctz(mask);
        }
        pos += 16;
    }
    if (pos == end) {
        return end;
    }
    if (end - base >= 16) {
        // The last 16 bytes once more; those before pos have been looked at.
        const unsigned mask = mask_of(http_load(end - 16)) >> (16 - (end - pos));
        return mask != 0 ? pos + __builtin_ctz(mask) : end;
    }
    *rest = pos;
    return pos;
}

#endif

// The first control character in [pos, end), or end. `base` <= pos is where readable bytes begin.
static inline const char *http_find_control(const char *base, const char *pos, const char *end) {
#if defined(__SSE2__)
    const char *rest;
    pos = http_scan(base, pos, end, http_control_mask, &rest);
    if (rest == end) {
        return pos;
    }
#else
    (void)base;
#endif
    return http_span(pos, end, HTTP_CHAR_TEXT);
}

// As http_span, for classes that include all letters, digits, '-' and '.'.
static inline const char *http_span_common(const char *base, const char *pos, const char *end,
                                           int classes) {
#if defined(__SSE2__)
    const char *rest;
    pos = http_scan(base, pos, end, http_uncommon_mask, &rest);
#else
    (void)base;
#endif
    return http_span(pos, end, classes);
}

// The end of the target that begins at pos, in a line without control characters.
static inline const char *http_span_target(const char *base, const char *pos, const char *end) {
#if defined(__SSE2__)
    const char *rest;
    pos = http_scan(base, pos, end, http_untarget_mask, &rest);
    if (rest == end) {
        return pos;
    }
#else
    (void)base;
#endif
    return http_span(pos, end, HTTP_CHAR_TARGET);
}

// Whether a name consists of token characters.
static inline int http_is_token(const char *text, size_t len) {
#if defined(__SSE2__)
    if (len >= 4 && len <= 16 && http_uncommon_mask(http_load_short(text, len)) == 0) {
        return 1;
    }
#endif
    return len > 0 && http_span(text, text + len, HTTP_CHAR_TOKEN) == text + len;
}

// Whether a text holds no control character.
static inline int http_is_text(const char *text, size_t len) {
#if defined(__SSE2__)
    if (len >= 4 && len <= 16) {
        return http_control_mask(http_load_short(text, len)) == 0;
    }
#endif
    return http_find_control(text, text, text + len) == text + len;
}

// Whether a name of token characters equals `lower`, which is written in lower case letters and
// '-'. Setting bit 5 maps no other token character onto those. With constant arguments this is two
// comparisons of whole words.
static inline __attribute__((always_inline)) int http_same_name(const char *name, const char *lower,
                                                                size_t len) {
    if (len >= 8) {
        uint64_t a, b, c, d;
        memcpy(&a, name, 8);
        memcpy(&b, name + len - 8, 8);
        memcpy(&c, lower, 8);
        memcpy(&d, lower + len - 8, 8);
        const uint64_t bit = 0x2020202020202020u;
        if (((a | bit) ^ c) != 0 || ((b | bit) ^ d) != 0) {
            return 0;
        }
        return len <= 16 || (name[8] | 0x20) == lower[8];
    }
    uint32_t a, b, c, d;
    memcpy(&a, name, 4);
    memcpy(&b, name + len - 4, 4);
    memcpy(&c, lower, 4);
    memcpy(&d, lower + len - 4, 4);
    const uint32_t bit = 0x20202020u;
    return ((a | bit) ^ c) == 0 && ((b | bit) ^ d) == 0;
}

static inline char http_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

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
