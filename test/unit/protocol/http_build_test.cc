// Weft - building messages, and what they look like on the wire
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <string>

#include "http_support.h"
#include "protocol/http_defaults.h"

namespace weft_test {
namespace {

Request request() {
    Request req;
    EXPECT_TRUE(req.set_method("GET"));
    EXPECT_TRUE(req.set_request_uri("/x?y=z"));
    EXPECT_TRUE(req.set_http_version("HTTP/1.1"));
    return req;
}

Response response() {
    Response resp;
    EXPECT_TRUE(resp.set_http_version("HTTP/1.1"));
    EXPECT_TRUE(resp.set_status_code("404"));
    EXPECT_TRUE(resp.set_reason_phrase("Not Found"));
    return resp;
}

TEST(HttpBuild, RequestOnTheWire) {
    Request req = request();
    EXPECT_TRUE(req.add_header_pair("Host", "a.example"));
    EXPECT_TRUE(req.add_header_pair(std::string("X-Empty"), std::string()));
    EXPECT_EQ(req.wire(), "GET /x?y=z HTTP/1.1\r\nHost: a.example\r\nX-Empty: \r\n\r\n");
    EXPECT_EQ(req.vector_count, 1);
}

TEST(HttpBuild, ResponseOnTheWire) {
    Response resp = response();
    const protocol::HttpMessageHeader header = {"Server", 6, "Weft?", 4};
    EXPECT_TRUE(resp.add_header(&header));
    resp.append_output_body("gone", 4);
    EXPECT_EQ(resp.wire(), "HTTP/1.1 404 Not Found\r\nServer: Weft\r\n\r\ngone");
    EXPECT_EQ(resp.vector_count, 1) << "a small body needs no vector of its own";
}

TEST(HttpBuild, AMessageMayBeEncodedAgain) {
    Response resp = response();
    resp.append_output_body("a");
    const std::string first = resp.wire();
    EXPECT_EQ(resp.wire(), first);
    resp.add_header_pair("X", "1");
    EXPECT_EQ(resp.wire(), "HTTP/1.1 404 Not Found\r\nX: 1\r\n\r\na");
}

TEST(HttpBuild, AnEmptyPhraseKeepsItsBlank) {
    Response resp = response();
    EXPECT_TRUE(resp.set_reason_phrase(""));
    EXPECT_EQ(resp.wire(), "HTTP/1.1 404 \r\n\r\n");
}

TEST(HttpBuild, MissingPartsOfTheStartLineFail) {
    Request no_method;
    no_method.set_request_uri("/");
    no_method.set_http_version("HTTP/1.1");
    errno = 0;
    EXPECT_EQ(no_method.wire(), "");
    EXPECT_EQ(no_method.vector_count, -1);
    EXPECT_EQ(errno, EBADMSG);
    Request no_uri;
    no_uri.set_method("GET");
    no_uri.set_http_version("HTTP/1.1");
    EXPECT_EQ((no_uri.wire(), no_uri.vector_count), -1);
    Request no_version;
    no_version.set_method("GET");
    no_version.set_request_uri("/");
    EXPECT_EQ((no_version.wire(), no_version.vector_count), -1);
    Response no_code;
    no_code.set_http_version("HTTP/1.1");
    no_code.set_reason_phrase("OK");
    EXPECT_EQ((no_code.wire(), no_code.vector_count), -1);
    Response no_phrase;
    no_phrase.set_http_version("HTTP/1.1");
    no_phrase.set_status_code("200");
    EXPECT_EQ((no_phrase.wire(), no_phrase.vector_count), -1);
}

TEST(HttpBuild, PartsAreNullUntilSet) {
    Request req;
    Response resp;
    std::string text = "untouched";
    EXPECT_EQ(req.get_method(), nullptr);
    EXPECT_EQ(req.get_request_uri(), nullptr);
    EXPECT_EQ(req.get_http_version(), nullptr);
    EXPECT_EQ(resp.get_status_code(), nullptr);
    EXPECT_EQ(resp.get_reason_phrase(), nullptr);
    EXPECT_FALSE(req.get_method(text));
    EXPECT_FALSE(req.get_request_uri(text));
    EXPECT_FALSE(req.get_http_version(text));
    EXPECT_FALSE(resp.get_status_code(text));
    EXPECT_FALSE(resp.get_reason_phrase(text));
    EXPECT_EQ(text, "untouched");
    resp.set_status_code(std::string("200"));
    EXPECT_TRUE(resp.get_status_code(text));
    EXPECT_EQ(text, "200");
}

TEST(HttpBuild, PartsMayBeSetFromThemselves) {
    Request req = request();
    EXPECT_TRUE(req.set_request_uri(req.get_request_uri()));
    EXPECT_TRUE(req.set_http_version(req.get_http_version()));
    EXPECT_TRUE(req.set_method(req.get_method()));
    EXPECT_STREQ(req.get_request_uri(), "/x?y=z");
}

TEST(HttpBuild, SetReplacesTheFirstInItsPlace) {
    Request req = request();
    req.add_header_pair("A", "1");
    req.add_header_pair("B", "2");
    req.add_header_pair("a", "3");
    EXPECT_TRUE(req.set_header_pair("a", "a longer value than before"));
    EXPECT_TRUE(req.set_header_pair("C", "4"));
    EXPECT_EQ(
        req.wire(),
        "GET /x?y=z HTTP/1.1\r\na: a longer value than before\r\nB: 2\r\na: 3\r\nC: 4\r\n\r\n");
    const protocol::HttpMessageHeader header = {"b", 1, "", 0};
    EXPECT_TRUE(req.set_header(&header));
    EXPECT_EQ(req.fields()[1].second, "");
}

TEST(HttpBuild, ALineEndInAFieldIsRefused) {
    Response resp = response();
    for (const char *bad : {"a\r\nX: y", "a\nb", "a\rb", "\r", "\n"}) {
        EXPECT_FALSE(resp.add_header_pair("X", bad));
        EXPECT_FALSE(resp.set_header_pair("X", bad));
        EXPECT_FALSE(resp.add_header_pair(bad, "v"));
        EXPECT_FALSE(resp.set_reason_phrase(bad));
    }
    EXPECT_FALSE(resp.add_header_pair(std::string("X"), std::string("a\0b", 3)));
    EXPECT_FALSE(resp.add_header_pair(std::string("X\0", 2), std::string("a")));
    EXPECT_FALSE(resp.add_header_pair("", "v"));
    EXPECT_FALSE(resp.add_header_pair("X Y", "v"));
    EXPECT_FALSE(resp.add_header_pair("X:", "v"));
    EXPECT_FALSE(resp.add_header_pair("X", repeat(100, "v") + "\n" + repeat(100, "v")));
    EXPECT_TRUE(resp.fields().empty());
    EXPECT_TRUE(resp.add_header_pair("X", "tabs\tand \xc3\xa9"));
    EXPECT_TRUE(resp.set_header_pair("x", "y"));
    EXPECT_FALSE(resp.set_header_pair("X", "a\nb"));
    EXPECT_EQ(resp.fields()[0].second, "y");
}

TEST(HttpBuild, AWordOfTheStartLineHoldsNoBlank) {
    Request req = request();
    for (const char *bad : {"", "a b", "a\r\nX: y", "a\tb", "a\x7f"}) {
        EXPECT_FALSE(req.set_method(bad)) << bad;
        EXPECT_FALSE(req.set_request_uri(bad)) << bad;
        EXPECT_FALSE(req.set_http_version(bad)) << bad;
    }
    EXPECT_STREQ(req.get_method(), "GET");
    EXPECT_TRUE(req.set_request_uri(std::string("/\xc3\xa9")));
    Response resp;
    for (const char *bad : {"", "20", "2000", "2x0", "20\n"}) {
        EXPECT_FALSE(resp.set_status_code(bad)) << bad;
    }
}

TEST(HttpBuild, WhatFieldsMeanIsKnownForBuiltMessagesToo) {
    Request req = request();
    EXPECT_TRUE(req.is_keep_alive());
    EXPECT_FALSE(req.has_connection_header());
    req.add_header_pair("connection", "close");
    EXPECT_TRUE(req.has_connection_header());
    EXPECT_FALSE(req.is_keep_alive());
    req.set_header_pair("Connection", "Keep-Alive");
    EXPECT_TRUE(req.is_keep_alive());
    req.set_http_version("HTTP/1.0");
    EXPECT_TRUE(req.is_keep_alive());
    protocol::HttpHeaderCursor cursor(&req);
    EXPECT_TRUE(cursor.find_and_erase("Connection"));
    EXPECT_FALSE(req.has_connection_header());
    EXPECT_FALSE(req.is_keep_alive());
    req.set_http_version("HTTP/1.1");
    EXPECT_TRUE(req.is_keep_alive());

    EXPECT_FALSE(req.is_chunked());
    req.add_header_pair("Transfer-Encoding", "gzip, Chunked");
    EXPECT_TRUE(req.is_chunked());
    req.set_header_pair("transfer-encoding", "gzip");
    EXPECT_FALSE(req.is_chunked());
    EXPECT_FALSE(req.has_content_length_header());
    req.add_header_pair("Content-Length", "0");
    EXPECT_TRUE(req.has_content_length_header());
    EXPECT_FALSE(req.has_keep_alive_header());
    req.add_header_pair("Keep-Alive", "timeout=5, max=3");
    EXPECT_TRUE(req.has_keep_alive_header());
}

TEST(HttpBuild, FieldsOfTheEngineAreFieldsLikeOthers) {
    for (const size_t length : {size_t{0}, size_t{9}, size_t{10}, size_t{1234567890}, SIZE_MAX}) {
        Response resp = response();
        auto *parser = const_cast<http_parser_t *>(resp.get_parser());
        EXPECT_EQ(http_parser_add_length(parser, length), 0);
        EXPECT_EQ(http_parser_add_connection(parser, 1), 0);
        EXPECT_TRUE(resp.has_content_length_header());
        EXPECT_TRUE(resp.has_connection_header());
        EXPECT_TRUE(resp.is_keep_alive());
        EXPECT_EQ(resp.wire(), "HTTP/1.1 404 Not Found\r\nContent-Length: " +
                                   std::to_string(length) + "\r\nConnection: Keep-Alive\r\n\r\n");
    }
    Response resp = response();
    auto *parser = const_cast<http_parser_t *>(resp.get_parser());
    EXPECT_EQ(http_parser_add_connection(parser, 0), 0);
    EXPECT_FALSE(resp.is_keep_alive());
    EXPECT_EQ(resp.fields()[0].second, "close");
    http_parser_set_status(parser, 99, "never");
    http_parser_set_status(parser, 1000, "never");
    EXPECT_STREQ(resp.get_status_code(), "404");
}

TEST(HttpBuild, ManyFieldsAreWrittenInOneVector) {
    Response resp = response();
    std::string expected = "HTTP/1.1 404 Not Found\r\n";
    for (int i = 0; i < 5000; i++) {
        const std::string name = "Name-" + std::to_string(i);
        ASSERT_TRUE(resp.add_header_pair(name, "value"));
        expected += name + ": value\r\n";
    }
    EXPECT_EQ(resp.wire(), expected + "\r\n");
    EXPECT_EQ(resp.vector_count, 1);
}

TEST(HttpBuild, AReceivedMessageIsWrittenAsItCame) {
    const std::string text = "GET /a HTTP/1.1\r\nHost: h\r\nX:no blank\r\nY:\t two\r\nZ:\r\n\r\n";
    Request req;
    ASSERT_EQ(req.feed(text), 1);
    EXPECT_EQ(req.wire(), text);
    protocol::HttpHeaderCursor cursor(&req);
    EXPECT_TRUE(cursor.find_and_erase("y"));
    EXPECT_TRUE(req.set_header_pair("X", "1"));
    EXPECT_EQ(req.wire(), "GET /a HTTP/1.1\r\nHost: h\r\nX: 1\r\nZ:\r\n\r\n");
}

} // namespace
} // namespace weft_test
