// Weft - JSON text to a tree of values (RFC 8259)
// SPDX-License-Identifier: Apache-2.0
//
// Pure functions, any thread. The text ends at NUL, which is no JSON byte, so that every look at
// the next byte is safe without a length. Depth is bounded, so recursion is too.
// Always true: what a function built is in the tree of its caller, or freed, when it returns.

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <charconv>

#include "util/json_value.h"

namespace {

using namespace wf::json;

constexpr int kMaxDepth = 1024;

json_value_t *parse_value(const char **at, int depth);

void skip_white(const char **at) {
    while (**at == ' ' || **at == '\t' || **at == '\n' || **at == '\r')
        ++*at;
}

bool take(const char **at, char c) {
    if (**at != c)
        return false;

    ++*at;
    return true;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// -1 when these are not four hex digits.
int parse_hex4(const char **at) {
    int code = 0;

    for (int i = 0; i < 4; i++) {
        char c = **at;

        if (is_digit(c))
            code = code * 16 + (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            code = code * 16 + ((c | 0x20) - 'a' + 10);
        else
            return -1;

        ++*at;
    }
    return code;
}

// After "\u". -1 for a half of a surrogate pair, or NUL, which strings here cannot hold.
int parse_code_point(const char **at) {
    int code = parse_hex4(at);

    if (code <= 0 || (code >= 0xdc00 && code <= 0xdfff))
        return -1;

    if (code < 0xd800 || code > 0xdbff)
        return code;

    if (!take(at, '\\') || !take(at, 'u'))
        return -1;

    int low = parse_hex4(at);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;

    return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

char *write_utf8(char *out, int code) {
    auto put = [&out](int byte) { *out++ = static_cast<char>(byte); };

    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xc0 | code >> 6);
        put(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        put(0xe0 | code >> 12);
        put(0x80 | (code >> 6 & 0x3f));
        put(0x80 | (code & 0x3f));
    } else {
        put(0xf0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3f));
        put(0x80 | (code >> 6 & 0x3f));
        put(0x80 | (code & 0x3f));
    }
    return out;
}

// After the backslash. NULL when there is no such escape.
char *parse_escape(const char **at, char *out) {
    static const char kNames[] = "\"\\/bfnrt";
    static const char kBytes[] = "\"\\/\b\f\n\r\t";
    char c = **at;

    if (c == '\0')
        return nullptr;

    ++*at;
    if (c == 'u') {
        int code = parse_code_point(at);
        return code < 0 ? nullptr : write_utf8(out, code);
    }

    const char *found = strchr(kNames, c);
    if (!found)
        return nullptr;

    *out++ = kBytes[found - kNames];
    return out;
}

// From after the opening quote to the closing one, or NULL when the text ends before.
const char *find_quote(const char *at) {
    for (; *at != '"'; at++) {
        if (*at == '\\')
            at++;

        if (*at == '\0')
            return nullptr;
    }
    return at;
}

// After the opening quote; goes behind the closing one. Nothing grows when escapes are undone, so
// `out` needs as many bytes as the text between has. NULL, or the end of what was written.
char *parse_string_to(const char **at, char *out) {
    while (**at != '"') {
        unsigned char c = static_cast<unsigned char>(**at);

        if (c < 0x20)
            return nullptr;

        ++*at;
        if (c != '\\') {
            *out++ = static_cast<char>(c);
            continue;
        }

        out = parse_escape(at, out);
        if (!out)
            return nullptr;
    }
    ++*at;
    return out;
}

// A malloc string. `extra` bytes are left free before it, for whoever wants a head there.
char *parse_string(const char **at, size_t extra) {
    const char *end = find_quote(*at);

    if (!end)
        return nullptr;

    char *memory = static_cast<char *>(malloc(extra + static_cast<size_t>(end - *at) + 1));
    if (!memory)
        return nullptr;

    char *text_end = parse_string_to(at, memory + extra);
    if (!text_end) {
        free(memory);
        return nullptr;
    }

    *text_end = '\0';
    return memory;
}

// The power of ten of the first digit that is not 0; only asked of numbers that are not 0.
// Exponents are cut at a size that no text can make up for.
bool is_large(const char *at) {
    constexpr int64_t kCut = INT64_MAX / 16;
    int64_t power = 0;
    int64_t exponent = 0;

    at += *at == '-';
    if (*at == '0') {
        for (at++; *at == '.' || *at == '0'; at++)
            power -= *at == '0';
    } else {
        for (; is_digit(*at); at++)
            power++;
    }
    while (*at == '.' || is_digit(*at))
        at++;

    if ((*at | 0x20) == 'e') {
        bool negative = at[1] == '-';

        for (at += at[1] == '-' || at[1] == '+' ? 2 : 1; is_digit(*at); at++) {
            if (exponent < kCut)
                exponent = exponent * 10 + (*at - '0');
        }
        if (negative)
            exponent = -exponent;
    }
    return power + exponent > 0;
}

bool skip_digits(const char **at) {
    if (!is_digit(**at))
        return false;

    while (is_digit(**at))
        ++*at;

    return true;
}

json_value_t *parse_number(const char **at) {
    const char *start = *at;
    double number = 0.0;

    take(at, '-');
    if (!take(at, '0') && !skip_digits(at))
        return nullptr;

    if (take(at, '.') && !skip_digits(at))
        return nullptr;

    if (take(at, 'e') || take(at, 'E')) {
        if (!take(at, '+'))
            take(at, '-');
        if (!skip_digits(at))
            return nullptr;
    }

    // The locale has no say here, as it would with strtod().
    if (std::from_chars(start, *at, number).ec == std::errc::result_out_of_range) {
        number = is_large(start) ? HUGE_VAL : 0.0;
        if (*start == '-')
            number = -number;
    }
    return new_number(number);
}

json_value_t *parse_word(const char **at, const char *word, int type) {
    size_t len = strlen(word);

    if (strncmp(*at, word, len) != 0)
        return nullptr;

    *at += len;
    return new_value(type);
}

// At the opening quote. The name's memory has its head from the start.
JsonName *parse_name(const char **at) {
    if (!take(at, '"'))
        return nullptr;

    return reinterpret_cast<JsonName *>(parse_string(at, offsetof(JsonName, text)));
}

bool parse_member(const char **at, JsonChildren *children, int depth) {
    JsonName *name = parse_name(at);

    if (!name)
        return false;

    skip_white(at);
    json_value_t *val = take(at, ':') ? parse_value(at, depth) : nullptr;
    if (!val) {
        free(name);
        return false;
    }

    adopt(val, name, &children->head, children);
    return true;
}

bool parse_element(const char **at, JsonChildren *children, int depth) {
    json_value_t *val = parse_value(at, depth);

    if (val)
        adopt(val, nullptr, &children->head, children);

    return val != nullptr;
}

// After the opening bracket.
bool parse_children(const char **at, json_value_t *parent, int depth) {
    bool object = parent->type == JSON_VALUE_OBJECT;
    JsonChildren *children = object ? &parent->object.children : &parent->array.children;
    char close = object ? '}' : ']';

    skip_white(at);
    if (take(at, close))
        return true;

    for (;;) {
        skip_white(at);
        if (object ? !parse_member(at, children, depth) : !parse_element(at, children, depth))
            return false;

        skip_white(at);
        if (take(at, close))
            return true;

        if (!take(at, ','))
            return false;
    }
}

json_value_t *parse_container(const char **at, int type, int depth) {
    json_value_t *val = depth < kMaxDepth ? new_value(type) : nullptr;

    if (val && !parse_children(at, val, depth + 1)) {
        json_value_destroy(val);
        return nullptr;
    }
    return val;
}

json_value_t *parse_value(const char **at, int depth) {
    skip_white(at);
    switch (**at) {
    case '{':
        ++*at;
        return parse_container(at, JSON_VALUE_OBJECT, depth);
    case '[':
        ++*at;
        return parse_container(at, JSON_VALUE_ARRAY, depth);
    case '"':
        ++*at;
        return new_string(parse_string(at, 0));
    case 't':
        return parse_word(at, "true", JSON_VALUE_TRUE);
    case 'f':
        return parse_word(at, "false", JSON_VALUE_FALSE);
    case 'n':
        return parse_word(at, "null", JSON_VALUE_NULL);
    default:
        return parse_number(at);
    }
}

} // namespace

json_value_t *json_value_parse(const char *text) {
    json_value_t *val = parse_value(&text, 0);

    skip_white(&text);
    if (val && *text != '\0') {
        json_value_destroy(val);
        return nullptr;
    }
    return val;
}
