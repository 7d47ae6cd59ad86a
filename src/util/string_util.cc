// Weft - small helpers on strings
// SPDX-License-Identifier: Apache-2.0
//
// Pure functions, any thread. Bytes are judged as ASCII whatever the locale says.

#include "util/percent.h"
#include "workflow/StringUtil.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace {

using std::string_view;

constexpr string_view kAlnum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
constexpr string_view kComponentMarks = "-_.!~*'()";
constexpr string_view kUrlMarks = ":/@?#&";
constexpr string_view kHexDigits = "0123456789ABCDEF";
constexpr string_view kWhite = " \t\n\v\f\r";

using ByteSet = std::array<bool, 256>;

constexpr ByteSet make_set(string_view a, string_view b, string_view c) {
    ByteSet set{};

    for (string_view bytes : {a, b, c}) {
        for (char byte : bytes)
            set[static_cast<unsigned char>(byte)] = true;
    }
    return set;
}

constexpr ByteSet kKeptInUrl = make_set(kAlnum, kComponentMarks, kUrlMarks);
constexpr ByteSet kKeptInComponent = make_set(kAlnum, kComponentMarks, "");

constexpr std::array<signed char, 256> make_hex_values() {
    std::array<signed char, 256> values{};

    for (signed char &value : values)
        value = -1;

    for (int i = 0; i < 16; i++) {
        values[static_cast<size_t>("0123456789abcdef"[i])] = static_cast<signed char>(i);
        values[static_cast<size_t>("0123456789ABCDEF"[i])] = static_cast<signed char>(i);
    }
    return values;
}

constexpr std::array<signed char, 256> kHexValues = make_hex_values();

int hex_value(char c) { return kHexValues[static_cast<unsigned char>(c)]; }

std::string encode(const std::string &value, const ByteSet &kept) {
    std::string res;

    res.reserve(value.size());
    for (char c : value) {
        unsigned char byte = static_cast<unsigned char>(c);

        if (kept[byte]) {
            res += c;
        } else if (c == ' ') {
            res += '+';
        } else {
            res += '%';
            res += kHexDigits[byte >> 4];
            res += kHexDigits[byte & 15];
        }
    }
    return res;
}

template <class Add>
void each_part(const std::string &str, char sep, Add add) {
    size_t start = 0;

    for (;;) {
        size_t end = std::min(str.find(sep, start), str.size());

        add(str.substr(start, end - start));
        if (end == str.size())
            return;

        start = end + 1;
    }
}

} // namespace

namespace {

void decode(std::string &str, bool plus_is_blank) {
    size_t out = 0;

    // Nothing grows, so that reading runs ahead of writing in the same string.
    for (size_t in = 0; in < str.size(); in++) {
        char c = str[in];

        if (c == '+' && plus_is_blank) {
            c = ' ';
        } else if (c == '%' && str.size() - in > 2) {
            int high = hex_value(str[in + 1]);
            int low = hex_value(str[in + 2]);

            if (high >= 0 && low >= 0) {
                c = static_cast<char>(high * 16 + low);
                in += 2;
            }
        }
        str[out++] = c;
    }
    str.resize(out);
}

} // namespace

void StringUtil::url_decode(std::string &str) { decode(str, true); }

void wf::percent_decode(std::string &str) { decode(str, false); }

std::string StringUtil::url_encode(const std::string &value) { return encode(value, kKeptInUrl); }

std::string StringUtil::url_encode_component(const std::string &value) {
    return encode(value, kKeptInComponent);
}

std::vector<std::string> StringUtil::split(const std::string &str, char sep) {
    std::vector<std::string> res;

    each_part(str, sep, [&res](std::string &&part) { res.push_back(std::move(part)); });
    return res;
}

std::vector<std::string> StringUtil::split_filter_empty(const std::string &str, char sep) {
    std::vector<std::string> res;

    each_part(str, sep, [&res](std::string &&part) {
        if (!part.empty())
            res.push_back(std::move(part));
    });
    return res;
}

std::string StringUtil::strip(const std::string &str) {
    size_t first = str.find_first_not_of(kWhite);

    if (first == std::string::npos)
        return std::string();

    return str.substr(first, str.find_last_not_of(kWhite) - first + 1);
}

bool StringUtil::start_with(const std::string &str, const std::string &prefix) {
    return str.compare(0, prefix.size(), prefix) == 0;
}
