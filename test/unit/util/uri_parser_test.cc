// Weft - the URI parser beyond its vectors: memory of the parts, long input, queries and paths
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <string>
#include <utility>
#include <vector>

#include "workflow/URIParser.h"

namespace {

const char kFull[] = "http://u:p@host:80/path?query#fragment";

void expect_full(const ParsedURI &uri) {
    EXPECT_EQ(uri.state, URI_STATE_SUCCESS);
    EXPECT_EQ(uri.error, 0);
    EXPECT_STREQ(uri.scheme, "http");
    EXPECT_STREQ(uri.userinfo, "u:p");
    EXPECT_STREQ(uri.host, "host");
    EXPECT_STREQ(uri.port, "80");
    EXPECT_STREQ(uri.path, "/path");
    EXPECT_STREQ(uri.query, "query");
    EXPECT_STREQ(uri.fragment, "fragment");
}

void expect_empty(const ParsedURI &uri, int state) {
    EXPECT_EQ(uri.state, state);
    for (const char *part :
         {uri.scheme, uri.userinfo, uri.host, uri.port, uri.path, uri.query, uri.fragment}) {
        EXPECT_EQ(part, nullptr);
    }
}

TEST(uri_parser, new_object_is_empty) {
    ParsedURI uri;

    expect_empty(uri, URI_STATE_INIT);
    EXPECT_EQ(uri.error, 0);
}

TEST(uri_parser, both_forms_of_text) {
    ParsedURI a, b;

    EXPECT_EQ(URIParser::parse(kFull, a), 0);
    EXPECT_EQ(URIParser::parse(std::string(kFull), b), 0);
    expect_full(a);
    expect_full(b);
}

TEST(uri_parser, null_text_is_an_error_not_a_crash) {
    ParsedURI uri;

    EXPECT_EQ(URIParser::parse(kFull, uri), 0);
    EXPECT_EQ(URIParser::parse(static_cast<const char *>(nullptr), uri), -1);
    expect_empty(uri, URI_STATE_ERROR);
    EXPECT_EQ(uri.error, EINVAL);
}

TEST(uri_parser, again_and_again_on_one_object) {
    ParsedURI uri;

    EXPECT_EQ(URIParser::parse(kFull, uri), 0);
    EXPECT_EQ(URIParser::parse("mailto:a@b", uri), 0);
    EXPECT_STREQ(uri.scheme, "mailto");
    EXPECT_STREQ(uri.path, "a@b");
    EXPECT_EQ(uri.host, nullptr);
    EXPECT_EQ(uri.fragment, nullptr);
    EXPECT_EQ(URIParser::parse("nonsense", uri), -1);
    expect_empty(uri, URI_STATE_INVALID);
    EXPECT_EQ(URIParser::parse(kFull, uri), 0);
    expect_full(uri);
}

TEST(uri_parser, text_inside_the_object_itself) {
    ParsedURI uri;

    ASSERT_EQ(URIParser::parse("x:http://u:p@host:80/path?query#fragment", uri), 0);
    free(uri.path);
    uri.path = strdup(kFull);
    ASSERT_EQ(URIParser::parse(uri.path, uri), 0);
    expect_full(uri);
}

TEST(uri_parser, copies_are_deep) {
    ParsedURI copy;

    {
        ParsedURI uri;
        ASSERT_EQ(URIParser::parse(kFull, uri), 0);
        ParsedURI constructed(uri);
        expect_full(constructed);
        EXPECT_NE(constructed.host, uri.host);
        copy = uri;
        expect_full(uri);
    }
    expect_full(copy);

    ParsedURI &same = copy;
    copy = same;
    expect_full(copy);
}

TEST(uri_parser, copy_of_a_failed_uri_has_state_and_error_only) {
    ParsedURI failed;
    ParsedURI copy;

    failed.state = URI_STATE_ERROR;
    failed.error = ENOMEM;
    failed.host = strdup("left by a user");
    ASSERT_EQ(URIParser::parse(kFull, copy), 0);
    copy = failed;
    expect_empty(copy, URI_STATE_ERROR);
    EXPECT_EQ(copy.error, ENOMEM);
}

TEST(uri_parser, move_leaves_the_source_empty) {
    ParsedURI a;

    ASSERT_EQ(URIParser::parse(kFull, a), 0);
    ParsedURI b(std::move(a));
    expect_full(b);
    expect_empty(a, URI_STATE_INIT);

    ASSERT_EQ(URIParser::parse("other://x", a), 0);
    a = std::move(b);
    expect_full(a);
    expect_empty(b, URI_STATE_INIT);
}

// Policies replace parts this way.
TEST(uri_parser, a_user_may_replace_parts) {
    ParsedURI uri;

    ASSERT_EQ(URIParser::parse(kFull, uri), 0);
    free(uri.host);
    uri.host = strdup("elsewhere");
    free(uri.port);
    uri.port = nullptr;

    ParsedURI copy(uri);
    EXPECT_STREQ(copy.host, "elsewhere");
    EXPECT_EQ(copy.port, nullptr);
    EXPECT_STREQ(copy.path, "/path");
}

TEST(uri_parser, every_cut_of_a_full_uri_is_handled) {
    std::string full = "http://u:p%41@[fe80::1%25e]:80/path?query#fragment";

    for (size_t len = 0; len <= full.size(); len++) {
        ParsedURI uri;
        int ret = URIParser::parse(full.substr(0, len), uri);

        EXPECT_EQ(ret, uri.state == URI_STATE_SUCCESS ? 0 : -1);
        if (len < strlen("http:")) {
            EXPECT_EQ(ret, -1) << len;
        } else if (len > full.find(']')) {
            EXPECT_EQ(ret, 0) << len;
        }
    }
}

// Every byte at every place, judged by the classes of RFC 3986 written down a second time.
TEST(uri_parser, every_byte_in_every_part) {
    const std::string alnum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const std::string sub = "!$&'()*+,;=";

    for (int i = 0; i < 256; i++) {
        char c = static_cast<char>(i);
        bool visible = i > 32 && i != 127;
        bool name = (alnum + "-._~" + sub).find(c) != std::string::npos;
        ParsedURI uri;
        auto accepts = [&](const char *before, const char *after) {
            return URIParser::parse(std::string(before) + c + after, uri) == 0;
        };

        SCOPED_TRACE(i);
        EXPECT_EQ(accepts("s", ":x"), (alnum + "+-.:").find(c) != std::string::npos);
        EXPECT_EQ(accepts("s://u", "u@h/"),
                  name || std::string(":/?#").find(c) != std::string::npos);
        EXPECT_EQ(accepts("s://h", "h/"), name || std::string("@/?#").find(c) != std::string::npos);
        EXPECT_EQ(accepts("s://h:1", "1/"),
                  (i >= '0' && i <= '9') || std::string("@/?#").find(c) != std::string::npos);
        EXPECT_EQ(accepts("s://h/p", "p"), visible);
        EXPECT_EQ(accepts("s:p", "p"), visible);
        EXPECT_EQ(accepts("s://h/?q", "q"), visible);
        EXPECT_EQ(accepts("s://h/#f", "f"), visible);
    }
}

TEST(uri_parser, megabytes_in_each_part) {
    const size_t n = 4 * 1024 * 1024;
    const std::string a(n, 'a');
    const std::string d(n, '1');
    ParsedURI uri;

    ASSERT_EQ(
        URIParser::parse(a + "://" + a + "@" + a + ":" + d + "/" + a + "?" + a + "#" + a, uri), 0);
    for (const char *part :
         {uri.scheme, uri.userinfo, uri.host, uri.port, uri.query, uri.fragment}) {
        EXPECT_EQ(strlen(part), n);
    }
    EXPECT_EQ(strlen(uri.path), n + 1);
    EXPECT_EQ(URIParser::parse("http://" + a + "@" + a + "@" + a, uri), -1);
    EXPECT_EQ(URIParser::parse("http://[" + std::string(n, ':'), uri), -1);
    EXPECT_EQ(URIParser::parse(std::string(n, ':'), uri), -1);
    EXPECT_EQ(URIParser::parse("http://" + std::string(n, '%'), uri), -1);
    EXPECT_EQ(URIParser::parse(a, uri), -1);
}

using Strict = std::map<std::string, std::vector<std::string>>;
using Simple = std::map<std::string, std::string>;

TEST(uri_parser, split_query_strict_keeps_all_values_in_order) {
    EXPECT_EQ(URIParser::split_query_strict("a=1&b=2&a=&a&c&a=1"),
              (Strict{{"a", {"1", "", "", "1"}}, {"b", {"2"}}, {"c", {""}}}));
    EXPECT_EQ(URIParser::split_query_strict("a%20=%41+b"), (Strict{{"a%20", {"%41+b"}}}));
    EXPECT_EQ(URIParser::split_query_strict(""), Strict());
}

TEST(uri_parser, split_query_keeps_the_first_value) {
    EXPECT_EQ(URIParser::split_query("a=1&a=2&b&c=&b=3"),
              (Simple{{"a", "1"}, {"b", ""}, {"c", ""}}));
    EXPECT_EQ(URIParser::split_query("a=1=2=3&b=="), (Simple{{"a", "1"}, {"b", ""}}));
    EXPECT_EQ(URIParser::split_query("&&=&=x&a=1&"), (Simple{{"a", "1"}}));
    EXPECT_EQ(URIParser::split_query(""), Simple());
}

TEST(uri_parser, split_path_gives_non_empty_parts) {
    using Parts = std::vector<std::string>;

    EXPECT_EQ(URIParser::split_path("/a//b/c/"), (Parts{"a", "b", "c"}));
    EXPECT_EQ(URIParser::split_path("a"), (Parts{"a"}));
    EXPECT_EQ(URIParser::split_path("///"), Parts());
    EXPECT_EQ(URIParser::split_path(""), Parts());
}

} // namespace
