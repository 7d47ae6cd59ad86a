// Weft - numbers and strings in the text formats
// SPDX-License-Identifier: Apache-2.0
#include "util/text.h"

#include <charconv>
#include <cmath>

namespace wf::detail {

namespace {

constexpr char HEX[] = "0123456789abcdef";

// How many bytes of UTF-8 stand here; 0 when they are none (RFC 3629).
size_t utf8_length(std::string_view s) {
    auto byte = [&](size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
    auto follows = [&](size_t i, unsigned least = 0x80, unsigned most = 0xbf) {
        return byte(i) >= least && byte(i) <= most;
    };
    unsigned first = byte(0);
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return follows(1) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        unsigned least = first == 0xe0 ? 0xa0 : 0x80, most = first == 0xed ? 0x9f : 0xbf;
        return follows(1, least, most) && follows(2) ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        unsigned least = first == 0xf0 ? 0x90 : 0x80, most = first == 0xf4 ? 0x8f : 0xbf;
        return follows(1, least, most) && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

} // namespace

void append_number(std::string *text, double value) {
    if (std::isnan(value)) {
        *text += "NaN";
    } else if (std::isinf(value)) {
        *text += value > 0 ? "+Inf" : "-Inf";
    } else {
        char room[32];
        *text += std::string_view(room, std::to_chars(room, room + sizeof room, value).ptr);
    }
}

void append_number(std::string *text, uint64_t value) {
    char room[24];
    *text += std::string_view(room, std::to_chars(room, room + sizeof room, value).ptr);
}

void append_json(std::string *text, std::string_view value) {
    *text += '"';
    while (!value.empty()) {
        char c = value[0];
        size_t length = utf8_length(value);
        if (length == 0) {
            *text += "\\ufffd";
            length = 1;
        } else if (c == '"' || c == '\\') {
            *text += '\\';
            *text += c;
        } else if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == 0x7f) {
            // '<' so that the text may stand inside of a page
            *text += "\\u00";
            *text += HEX[c >> 4 & 15];
            *text += HEX[c & 15];
        } else {
            *text += value.substr(0, length);
        }
        value.remove_prefix(length);
    }
    *text += '"';
}

void append_html(std::string *text, std::string_view value) {
    while (!value.empty()) {
        char c = value[0];
        size_t length = utf8_length(value);
        bool control = static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t';
        if (length == 0 || control || c == 0x7f) {
            *text += "&#xfffd;";
            length = 1;
        } else if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'') {
            *text += "&#";
            append_number(text, static_cast<uint64_t>(c));
            *text += ';';
        } else {
            *text += value.substr(0, length);
        }
        value.remove_prefix(length);
    }
}

} // namespace wf::detail
