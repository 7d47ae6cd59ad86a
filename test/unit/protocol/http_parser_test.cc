// Weft - the C interface of the parser: what users of http_parser.h rely on
// SPDX-License-Identifier: Apache-2.0

#include "workflow/http_parser.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "http_support.h"

namespace weft_test {
namespace {

class Parser {
public:
    explicit Parser(int is_resp) { http_parser_init(is_resp, &raw); }
    ~Parser() { http_parser_deinit(&raw); }
    Parser(const Parser &) = delete;
    Parser &operator=(const Parser &) = delete;

    int feed(const std::string &text) {
        used = text.size();
        return http_parser_append_message(text.data(), &used, &raw);
    }

    http_parser_t raw;
    size_t used = 0;
};

TEST(HttpParser, TellsTheFieldsUsersRead) {
    Parser p(0);
    EXPECT_EQ(p.raw.content_length, SIZE_MAX);
    EXPECT_EQ(
        p.feed("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n"), 0);
    EXPECT_FALSE(http_parser_header_complete(&p.raw));
    EXPECT_EQ(p.feed("\r\n"), 0);
    EXPECT_TRUE(http_parser_header_complete(&p.raw));
    EXPECT_EQ(p.raw.header_offset, 70u);
    EXPECT_EQ(p.raw.content_length, 3u);
    EXPECT_EQ(p.raw.transfer_length, 3u);
    EXPECT_TRUE(p.raw.expect_continue);
    EXPECT_FALSE(p.raw.complete);
    EXPECT_EQ(p.feed("abcd"), 1);
    EXPECT_EQ(p.used, 3u);
    EXPECT_TRUE(p.raw.complete);
    EXPECT_STREQ(http_parser_get_method(&p.raw), "POST");
    EXPECT_STREQ(http_parser_get_uri(&p.raw), "/a");
    EXPECT_STREQ(http_parser_get_version(&p.raw), "HTTP/1.1");
    EXPECT_TRUE(http_parser_has_content_length(&p.raw));
    EXPECT_FALSE(http_parser_has_connection(&p.raw));
    EXPECT_FALSE(http_parser_has_keep_alive(&p.raw));
    EXPECT_FALSE(http_parser_chunked(&p.raw));
    EXPECT_TRUE(http_parser_keep_alive(&p.raw));
}

TEST(HttpParser, ACompleteMessageTakesNothingMore) {
    Parser p(0);
    ASSERT_EQ(p.feed("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 1);
    EXPECT_EQ(p.feed("GET"), 1);
    EXPECT_EQ(p.used, 0u);
}

TEST(HttpParser, AFailedMessageStaysFailed) {
    Parser p(0);
    ASSERT_EQ(p.feed("GET / HTTP/1.1\r\nHost : h\r\n\r\n"), -2);
    EXPECT_EQ(http_parser_error_status(&p.raw), 400);
    EXPECT_STRNE(http_parser_error_reason(&p.raw), "");
    EXPECT_EQ(p.feed("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), -2);
    EXPECT_EQ(p.used, 0u);
    EXPECT_FALSE(p.raw.complete);
}

TEST(HttpParser, AMessageTooLargeStaysSo) {
    Parser p(1);
    p.raw.body_limit = 2;
    errno = 0;
    ASSERT_EQ(p.feed("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), -1);
    EXPECT_EQ(errno, EMSGSIZE);
    errno = 0;
    EXPECT_EQ(p.feed("abc"), -1);
    EXPECT_EQ(errno, EMSGSIZE);
}

TEST(HttpParser, NothingOfAFailedCallIsLeftBehind) {
    Parser p(0);
    ASSERT_EQ(p.feed("GET /secret HTTP/1.1\r\nHost: h\r\nX: \x01\r\n\r\n"), -2);
    EXPECT_EQ(p.raw.field_count, 0u);
    EXPECT_EQ(http_parser_get_method(&p.raw), nullptr);
    EXPECT_EQ(http_parser_get_uri(&p.raw), nullptr);
}

TEST(HttpParser, FieldsOfEarlierCallsSurviveAFailure) {
    Parser p(0);
    ASSERT_EQ(p.feed("GET /a HTTP/1.1\r\nHost: h\r\n"), 0);
    ASSERT_EQ(p.feed("X: \x01\r\n\r\n"), -2);
    EXPECT_EQ(p.raw.field_count, 1u);
    EXPECT_STREQ(http_parser_get_uri(&p.raw), "/a");
}

TEST(HttpParser, NoBodyBeforeTheEnd) {
    const void *body;
    size_t size;
    Parser p(1);
    EXPECT_EQ(http_parser_get_body(&body, &size, &p.raw), 1);
    ASSERT_EQ(p.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"), 0);
    EXPECT_EQ(http_parser_get_body(&body, &size, &p.raw), 1);
    ASSERT_EQ(p.feed("b"), 1);
    ASSERT_EQ(http_parser_get_body(&body, &size, &p.raw), 0);
    EXPECT_EQ(size, 2u);
    EXPECT_STREQ(static_cast<const char *>(body), "ab");
}

TEST(HttpParser, AnEmptyBodyIsAnEmptyString) {
    const void *body;
    size_t size;
    Parser p(0);
    ASSERT_EQ(p.feed("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 1);
    ASSERT_EQ(http_parser_get_body(&body, &size, &p.raw), 0);
    EXPECT_EQ(size, 0u);
    EXPECT_STREQ(static_cast<const char *>(body), "");
}

TEST(HttpParser, EndOfInputCompletesOnlyWhatLastsUntilClose) {
    Parser open(1);
    ASSERT_EQ(open.feed("HTTP/1.1 200 OK\r\n\r\nabc"), 0);
    EXPECT_EQ(http_parser_end_of_input(&open.raw), 1);
    EXPECT_TRUE(open.raw.complete);
    EXPECT_EQ(http_parser_end_of_input(&open.raw), 1);

    Parser cut(1);
    ASSERT_EQ(cut.feed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), 0);
    EXPECT_EQ(http_parser_end_of_input(&cut.raw), 0);
    EXPECT_FALSE(cut.raw.complete);

    Parser head(1);
    ASSERT_EQ(head.feed("HTTP/1.1 200 OK\r\n"), 0);
    EXPECT_EQ(http_parser_end_of_input(&head.raw), 0);

    Parser none(1);
    EXPECT_EQ(http_parser_end_of_input(&none.raw), 0);
}

TEST(HttpParser, CloseMessageTakesWhatHasCome) {
    const void *body;
    size_t size;
    Parser p(1);
    ASSERT_EQ(p.feed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), 0);
    http_parser_close_message(&p.raw);
    ASSERT_EQ(http_parser_get_body(&body, &size, &p.raw), 0);
    EXPECT_EQ(size, 3u);
}

TEST(HttpParser, SmallMessagesStayInside) {
    Parser p(0);
    ASSERT_EQ(p.feed("GET / HTTP/1.1\r\nHost: h\r\nX: " + repeat(500, "v") + "\r\n\r\n"), 1);
    EXPECT_EQ(p.raw.text_chunks, nullptr);
    EXPECT_EQ(p.raw.fields, p.raw.inline_fields);
    EXPECT_EQ(p.raw.body, nullptr);
    EXPECT_LE(sizeof(http_parser_t), 1280u);
}

TEST(HttpParser, MemoryFollowsWhatCameNotWhatWasAnnounced) {
    Parser p(1);
    ASSERT_EQ(p.feed("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nabc"), 0);
    EXPECT_LE(p.raw.body_cap, 8192u);
    EXPECT_EQ(p.feed(repeat(20000, "x")), 0);
    EXPECT_LE(p.raw.body_cap, 65536u);
}

TEST(HttpParser, AModestAnnouncementIsAllocatedOnce) {
    Parser p(1);
    ASSERT_EQ(p.feed("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc"), 0);
    const char *body = p.raw.body;
    EXPECT_EQ(p.raw.body_cap, 100001u);
    ASSERT_EQ(p.feed(repeat(99997, "x")), 1);
    EXPECT_EQ(p.raw.body, body);
}

TEST(HttpParser, RulesBelongToOneParserOrToTheProcess) {
    const std::string bare = "GET / HTTP/1.1\nHost: h\n\n";
    http_parser_rules_t rules = *http_parser_strict_rules();
    rules.allow_bare_lf = 1;

    Parser own(0);
    own.raw.rules = &rules;
    EXPECT_EQ(own.feed(bare), 1);
    Parser strict(0);
    EXPECT_EQ(strict.feed(bare), -2);

    http_parser_set_default_rules(&rules);
    Parser process(0);
    EXPECT_EQ(process.feed(bare), 1);
    http_parser_set_default_rules(nullptr);
    EXPECT_EQ(http_parser_default_rules(), http_parser_strict_rules());
    Parser again(0);
    EXPECT_EQ(again.feed(bare), -2);
}

TEST(HttpParser, LimitsAreConfigurable) {
    http_parser_rules_t rules = *http_parser_strict_rules();
    rules.start_line_max = 20;
    rules.header_size_max = 30;
    rules.header_count_max = 2;
    const auto status = [&rules](const std::string &text) {
        Parser p(0);
        p.raw.rules = &rules;
        (void)p.feed(text);
        return http_parser_error_status(&p.raw);
    };
    EXPECT_EQ(status("GET /6789 HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    EXPECT_EQ(status("GET /67890123 HTTP/1.1\r\nHost: h\r\n\r\n"), 414);
    EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: h\r\nX: 56789012345678\r\n\r\n"), 0);
    EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: h\r\nX: 567890123456789012345\r\n\r\n"), 431);
    EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\nY: 2\r\n\r\n"), 431);
}

TEST(HttpParser, CursorWalksFindsAndErases) {
    Parser p(0);
    ASSERT_EQ(p.feed("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\na: 2\r\nB:\r\n\r\n"), 1);
    http_header_cursor_t cursor;
    const void *name;
    const void *value;
    size_t name_len;
    size_t value_len;
    http_header_cursor_init(&cursor, &p.raw);
    EXPECT_EQ(http_header_cursor_erase(&cursor), 1) << "nothing was returned yet";
    ASSERT_EQ(http_header_cursor_find("A", 1, &value, &value_len, &cursor), 0);
    EXPECT_EQ(std::string(static_cast<const char *>(value), value_len), "1");
    EXPECT_EQ(http_header_cursor_erase(&cursor), 0);
    EXPECT_EQ(http_header_cursor_erase(&cursor), 1) << "erased already";
    ASSERT_EQ(http_header_cursor_next(&name, &name_len, &value, &value_len, &cursor), 0);
    EXPECT_EQ(std::string(static_cast<const char *>(name), name_len), "a");
    EXPECT_EQ(http_header_cursor_find("Host", 4, &value, &value_len, &cursor), 1) << "only forward";
    http_header_cursor_rewind(&cursor);
    ASSERT_EQ(http_header_cursor_find("host", 4, &value, &value_len, &cursor), 0);
    EXPECT_EQ(http_header_cursor_find("b", 1, &value, &value_len, &cursor), 0);
    EXPECT_EQ(value_len, 0u);
    EXPECT_EQ(http_header_cursor_next(&name, &name_len, &value, &value_len, &cursor), 1);
    http_header_cursor_deinit(&cursor);
}

} // namespace
} // namespace weft_test
