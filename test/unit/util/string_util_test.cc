// Weft - the string helpers
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <stdio.h>

#include <string>
#include <vector>

#include "workflow/StringUtil.h"

namespace {

using Parts = std::vector<std::string>;

std::string decoded(std::string text) {
    StringUtil::url_decode(text);
    return text;
}

TEST(string_util, url_decode) {
    EXPECT_EQ(decoded(""), "");
    EXPECT_EQ(decoded("plain"), "plain");
    EXPECT_EQ(decoded("a+b%20c"), "a b c");
    EXPECT_EQ(decoded("%41%6a%6A"), "Ajj");
    EXPECT_EQ(decoded("%2B%25"), "+%");
    EXPECT_EQ(decoded("%00%ff"), std::string("\0\xff", 2));
}

TEST(string_util, url_decode_leaves_what_is_no_escape) {
    EXPECT_EQ(decoded("%"), "%");
    EXPECT_EQ(decoded("%4"), "%4");
    EXPECT_EQ(decoded("%4g%g4"), "%4g%g4");
    EXPECT_EQ(decoded("%%41"), "%A");
    EXPECT_EQ(decoded("100%!"), "100%!");
    EXPECT_EQ(decoded("%\xff\xff"), "%\xff\xff");
    EXPECT_EQ(decoded("%-1% 1%+1"), "%-1% 1% 1");
}

TEST(string_util, url_encode_keeps_its_set_only) {
    const std::string alnum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    for (int i = 0; i < 256; i++) {
        std::string one(1, static_cast<char>(i));
        char escaped[4];

        snprintf(escaped, sizeof escaped, "%%%02X", static_cast<unsigned>(i));
        std::string other = i == ' ' ? "+" : escaped;
        bool component = (alnum + "-_.!~*'()").find(one) != std::string::npos;
        bool url = component || std::string(":/@?#&").find(one) != std::string::npos;

        EXPECT_EQ(StringUtil::url_encode(one), url ? one : other) << i;
        EXPECT_EQ(StringUtil::url_encode_component(one), component ? one : other) << i;
    }
}

TEST(string_util, decode_undoes_encode) {
    std::string all;

    for (int i = 0; i < 256; i++)
        all += static_cast<char>(i);
    EXPECT_EQ(decoded(StringUtil::url_encode(all)), all);
    EXPECT_EQ(decoded(StringUtil::url_encode_component(all)), all);
}

TEST(string_util, split_keeps_empty_parts) {
    EXPECT_EQ(StringUtil::split("", ','), (Parts{""}));
    EXPECT_EQ(StringUtil::split(",", ','), (Parts{"", ""}));
    EXPECT_EQ(StringUtil::split("a", ','), (Parts{"a"}));
    EXPECT_EQ(StringUtil::split("a,b,,c,", ','), (Parts{"a", "b", "", "c", ""}));
    EXPECT_EQ(StringUtil::split(std::string("a\0b", 3), '\0'), (Parts{"a", "b"}));
}

TEST(string_util, split_filter_empty) {
    EXPECT_EQ(StringUtil::split_filter_empty("", ','), Parts());
    EXPECT_EQ(StringUtil::split_filter_empty(",,", ','), Parts());
    EXPECT_EQ(StringUtil::split_filter_empty(",a,,b,", ','), (Parts{"a", "b"}));
}

TEST(string_util, strip) {
    EXPECT_EQ(StringUtil::strip(""), "");
    EXPECT_EQ(StringUtil::strip(" \t\r\n\v\f"), "");
    EXPECT_EQ(StringUtil::strip("a"), "a");
    EXPECT_EQ(StringUtil::strip(" \ta b\r\n"), "a b");
    // A byte that some locales call a space.
    EXPECT_EQ(StringUtil::strip(" \xa0 "), "\xa0");
}

TEST(string_util, start_with) {
    EXPECT_TRUE(StringUtil::start_with("", ""));
    EXPECT_TRUE(StringUtil::start_with("abc", ""));
    EXPECT_TRUE(StringUtil::start_with("abc", "ab"));
    EXPECT_TRUE(StringUtil::start_with("abc", "abc"));
    EXPECT_FALSE(StringUtil::start_with("abc", "abcd"));
    EXPECT_FALSE(StringUtil::start_with("abc", "bc"));
    EXPECT_FALSE(StringUtil::start_with("", "a"));
}

} // namespace
