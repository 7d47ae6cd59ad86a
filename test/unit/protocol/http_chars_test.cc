// Weft - the character table against the grammar, and the fast scan against a slow one
// SPDX-License-Identifier: Apache-2.0

#include "protocol/http_chars.h"

#include <gtest/gtest.h>
#include <string.h>

#include <string>
#include <vector>

namespace {

bool in(const char *set, int c) { return c != 0 && strchr(set, c) != nullptr; }

bool alnum(int c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// RFC 9110, section 5.6.2 and 5.5; RFC 3986, section 2.2 and 2.3.
TEST(HttpChars, TableFollowsTheGrammar) {
    for (int i = 0; i < 256; i++) {
        const char c = static_cast<char>(i);
        const bool visible = i > 0x20 && i < 0x7f;
        const bool text = i == '\t' || (i >= 0x20 && i != 0x7f);
        EXPECT_EQ(http_is(c, HTTP_CHAR_TOKEN) != 0, alnum(i) || in("!#$%&'*+-.^_`|~", i)) << i;
        EXPECT_EQ(http_is(c, HTTP_CHAR_TARGET) != 0, visible && i != '#') << i;
        EXPECT_EQ(http_is(c, HTTP_CHAR_HOST) != 0, alnum(i) || in("-._~!$&'()*+,;=%", i)) << i;
        EXPECT_EQ(http_is(c, HTTP_CHAR_HEX) != 0, in("0123456789abcdefABCDEF", i)) << i;
        EXPECT_EQ(http_is(c, HTTP_CHAR_TEXT) != 0, text) << i;
        EXPECT_EQ(http_is(c, HTTP_CHAR_DIGIT) != 0, in("0123456789", i)) << i;
        EXPECT_EQ(http_is(c, HTTP_CHAR_QUOTED) != 0, text && i != '"' && i != '\\') << i;
    }
}

TEST(HttpChars, ScanFindsEveryControlCharacterAtEveryPlace) {
    for (size_t size = 0; size <= 40; size++) {
        for (size_t start = 0; start <= size; start++) {
            std::vector<char> text(size, 'x');
            const char *base = text.data();
            const char *end = base + size;
            ASSERT_EQ(http_find_control(base, base + start, end), end);
            for (size_t at = start; at < size; at++) {
                text[at] = '\r';
                if (start > 0) {
                    text[start - 1] = '\n'; // before the start: not to be seen
                }
                ASSERT_EQ(http_find_control(base, base + start, end), base + at)
                    << size << " " << start;
                text[at] = 'x';
                if (start > 0) {
                    text[start - 1] = 'x';
                }
            }
        }
    }
}

TEST(HttpChars, ScanAgreesWithTheTableOnEveryByte) {
    for (int i = 0; i < 256; i++) {
        std::string text(48, 'x');
        text[7] = static_cast<char>(i);
        const char *end = text.data() + text.size();
        const char *expected = http_is(text[7], HTTP_CHAR_TEXT) ? end : text.data() + 7;
        EXPECT_EQ(http_find_control(text.data(), text.data(), end), expected) << i;
        EXPECT_EQ(http_find_control(text.data(), text.data(), text.data() + 9),
                  expected == end ? text.data() + 9 : expected)
            << i;
    }
}

// The wide forms look at 16 bytes at a time: they must agree with the plain one at every length and
// place.
TEST(HttpChars, WideSpansAgreeWithTheTable) {
    for (size_t size = 0; size <= 40; size++) {
        for (int i = 0; i < 256; i++) {
            for (size_t at = 0; at<size; at += size> 20 ? 7 : 1) {
                std::string text(size, 'x');
                text[at] = static_cast<char>(i);
                const char *begin = text.data();
                const char *end = begin + size;
                const size_t start = at / 2;
                const char *pos = begin + start;
                ASSERT_EQ(http_span_common(begin, pos, end, HTTP_CHAR_TOKEN),
                          http_span(pos, end, HTTP_CHAR_TOKEN))
                    << size << " " << i << " " << at;
                ASSERT_EQ(http_is_token(begin, size),
                          http_span(begin, end, HTTP_CHAR_TOKEN) == end);
                ASSERT_EQ(http_is_text(begin, size) != 0,
                          http_span(begin, end, HTTP_CHAR_TEXT) == end);
                if (http_is(text[at], HTTP_CHAR_TEXT)) {
                    ASSERT_EQ(http_span_target(begin, pos, end),
                              http_span(pos, end, HTTP_CHAR_TARGET))
                        << size << " " << i << " " << at;
                }
            }
        }
    }
    EXPECT_FALSE(http_is_token("", 0));
    EXPECT_TRUE(http_is_text("", 0));
}

TEST(HttpChars, NamesCompareInEitherCase) {
    EXPECT_TRUE(http_same_name("CoNTent-lENGTH", "content-length", 14));
    EXPECT_FALSE(http_same_name("content_length", "content-length", 14));
    EXPECT_TRUE(http_same_name("HOST", "host", 4));
    EXPECT_TRUE(http_same_name("eXpEcT", "expect", 6));
    EXPECT_TRUE(http_same_name("Transfer-Encoding", "transfer-encoding", 17));
    const std::string right = "transfer-encoding";
    for (size_t i = 0; i < right.size(); i++) {
        std::string wrong = right;
        wrong[i] = '~';
        EXPECT_FALSE(http_same_name(wrong.data(), "transfer-encoding", 17)) << i;
    }
    EXPECT_TRUE(http_same_text("A-z_9[", "a-Z_9[", 6));
    EXPECT_FALSE(http_same_text("[", "{", 1));
    EXPECT_FALSE(http_same_text("@", "`", 1));
}

} // namespace
