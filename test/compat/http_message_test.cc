// Weft - compat: HTTP messages as old programs build and read them
// SPDX-License-Identifier: Apache-2.0
//
// HttpMessage.h, HttpUtil.h: start lines, header pairs, bodies, cursors, status phrases.

#include "workflow/HttpMessage.h"

#include <errno.h>
#include <string.h>

#include <gtest/gtest.h>

#include "workflow/HttpUtil.h"

using protocol::HttpChunkCursor;
using protocol::HttpHeaderCursor;
using protocol::HttpHeaderMap;
using protocol::HttpMessageHeader;
using protocol::HttpRequest;
using protocol::HttpResponse;
using protocol::HttpUtil;

namespace {

// append() is protected: a wrapper of this kind is what users write to test their handlers.
template <class Base>
class Fed : public Base {
public:
    // Feeds the bytes in pieces of the given size; the last result of append().
    int feed(const std::string &bytes, size_t piece) {
        int rc = 0;
        size_t at = 0;
        while (at < bytes.size() && rc == 0) {
            size_t n = std::min(piece, bytes.size() - at);
            rc = this->append(bytes.data() + at, &n);
            at += n;
        }
        eaten = at;
        return rc;
    }

    std::string encoded() {
        struct iovec v[2048];
        std::string text;
        int n = this->encode(v, 2048);
        for (int i = 0; i < n; i++)
            text.append(static_cast<const char *>(v[i].iov_base), v[i].iov_len);
        return text;
    }

    size_t eaten = 0;
};

std::string body_of(const protocol::HttpMessage &message) {
    const void *data = NULL;
    size_t size = 0;
    if (!message.get_parsed_body(&data, &size))
        return "(none)";
    return std::string(static_cast<const char *>(data), size);
}

TEST(HttpMessage, ParseARequestInAnyPieces) {
    const std::string text = "POST /path?q=1 HTTP/1.1\r\nHost: example.com\r\nX-One: 1\r\n"
                             "Content-Length: 5\r\n\r\nhello";
    for (size_t piece = 1; piece <= text.size(); piece++) {
        Fed<HttpRequest> req;
        ASSERT_EQ(1, req.feed(text, piece)) << piece;
        EXPECT_STREQ("POST", req.get_method());
        EXPECT_STREQ("/path?q=1", req.get_request_uri());
        EXPECT_STREQ("HTTP/1.1", req.get_http_version());
        EXPECT_TRUE(req.is_keep_alive());
        EXPECT_FALSE(req.is_chunked());
        EXPECT_TRUE(req.is_header_complete());
        EXPECT_TRUE(req.has_content_length_header());
        EXPECT_FALSE(req.has_connection_header());
        EXPECT_EQ("hello", body_of(req));
    }
}

TEST(HttpMessage, ParseAResponse) {
    Fed<HttpResponse> resp;
    ASSERT_EQ(1,
              resp.feed("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"
                        "abc",
                        7));
    EXPECT_STREQ("404", resp.get_status_code());
    EXPECT_STREQ("Not Found", resp.get_reason_phrase());
    std::string code;
    EXPECT_TRUE(resp.get_status_code(code));
    EXPECT_EQ("404", code);
    EXPECT_FALSE(resp.is_keep_alive());
    EXPECT_TRUE(resp.has_connection_header());
    EXPECT_EQ("abc", body_of(resp));
}

TEST(HttpMessage, ChunkedBodyKeepsItsFraming) {
    Fed<HttpResponse> resp;
    ASSERT_EQ(1, resp.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                           1));
    EXPECT_TRUE(resp.is_chunked());
    EXPECT_EQ(0u, body_of(resp).find("3\r\nabc\r\n2\r\nde\r\n0\r\n"));
    EXPECT_EQ("abcde", HttpUtil::decode_chunked_body(&resp));
    HttpChunkCursor cursor(&resp);
    const void *data = NULL;
    size_t size = 0;
    std::string all;
    while (cursor.next(&data, &size))
        all.append(static_cast<const char *>(data), size).append("|");
    EXPECT_EQ("abc|de|", all);
    cursor.rewind();
    EXPECT_TRUE(cursor.next(&data, &size));
    EXPECT_EQ(3u, size);
}

// Without chunks the cursor gives the whole body once; decoding gives it as it is.
TEST(HttpMessage, ChunkCursorOverAPlainBody) {
    Fed<HttpResponse> resp;
    ASSERT_EQ(1, resp.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain", 64));
    EXPECT_EQ("plain", HttpUtil::decode_chunked_body(&resp));
    HttpChunkCursor cursor(&resp);
    const void *data = NULL;
    size_t size = 0;
    ASSERT_TRUE(cursor.next(&data, &size));
    EXPECT_EQ(5u, size);
    EXPECT_FALSE(cursor.next(&data, &size));
}

TEST(HttpMessage, BuildARequest) {
    Fed<HttpRequest> req;
    EXPECT_TRUE(req.set_method(HttpMethodPut));
    EXPECT_TRUE(req.set_request_uri(std::string("/x")));
    EXPECT_TRUE(req.set_http_version("HTTP/1.1"));
    EXPECT_TRUE(req.add_header_pair("Host", "h"));
    EXPECT_TRUE(req.add_header_pair(std::string("A"), std::string("1")));
    EXPECT_TRUE(req.add_header_pair("A", "2"));
    EXPECT_TRUE(req.set_header_pair("a", "3")); // Replaces the first, whatever its case.
    EXPECT_TRUE(req.append_output_body("body "));
    EXPECT_TRUE(req.append_output_body(std::string("and ")));
    EXPECT_TRUE(req.append_output_body_nocopy("more!", 4));
    EXPECT_EQ(13u, req.get_output_body_size());
    std::string text = req.encoded();
    EXPECT_EQ(0u, text.find("PUT /x HTTP/1.1\r\n"));
    EXPECT_NE(std::string::npos, text.find("Host: h\r\n"));
    EXPECT_NE(std::string::npos, text.find(": 3\r\n"));
    EXPECT_EQ(std::string::npos, text.find(": 1\r\n"));
    EXPECT_NE(std::string::npos, text.find("A: 2\r\n"));
    EXPECT_EQ("\r\n\r\nbody and more", text.substr(text.size() - 17));
}

TEST(HttpMessage, OutputBody) {
    HttpResponse resp;
    const void *blocks[4];
    size_t sizes[4];
    std::string merged;
    EXPECT_EQ(0u, resp.get_output_body_size());
    resp.append_output_body("one");
    resp.append_output_body_nocopy("two", 3);
    EXPECT_EQ(2u, resp.get_output_body_blocks(blocks, sizes, 4));
    EXPECT_EQ(1u, resp.get_output_body_blocks(blocks, sizes, 1));
    EXPECT_EQ(0, memcmp(blocks[0], "one", 3));
    EXPECT_TRUE(resp.get_output_body_merged(merged));
    EXPECT_EQ("onetwo", merged);
    char buffer[6];
    size_t size = 5;
    EXPECT_FALSE(resp.get_output_body_merged(buffer, &size));
    EXPECT_EQ(ENOSPC, errno);
    size = sizeof buffer;
    EXPECT_TRUE(resp.get_output_body_merged(buffer, &size));
    EXPECT_EQ(6u, size);
    resp.clear_output_body();
    EXPECT_EQ(0u, resp.get_output_body_size());
}

TEST(HttpMessage, HeaderCursor) {
    Fed<HttpRequest> req;
    ASSERT_EQ(1, req.feed("GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\nY: 2\r\nx: 3\r\n\r\n", 99));
    HttpHeaderCursor cursor(&req);
    std::string name, value, all;
    while (cursor.next(name, value))
        all += name + "=" + value + ";";
    EXPECT_EQ("Host=h;X=1;Y=2;x=3;", all);
    cursor.rewind();
    EXPECT_TRUE(cursor.find("x", value));
    EXPECT_EQ("1", value);
    EXPECT_TRUE(cursor.find("X", value)); // Searches on from where it stands.
    EXPECT_EQ("3", value);
    EXPECT_FALSE(cursor.find("X", value));
    cursor.rewind();
    HttpMessageHeader header = {"y", 1, NULL, 0};
    EXPECT_TRUE(cursor.find(&header));
    EXPECT_EQ("2", std::string(static_cast<const char *>(header.value), header.value_len));
    EXPECT_TRUE(cursor.erase());
    cursor.rewind();
    EXPECT_TRUE(cursor.find_and_erase(std::string("X")));
    all.clear();
    cursor.rewind();
    while (cursor.next(name, value))
        all += name + "=" + value + ";";
    EXPECT_EQ("Host=h;x=3;", all);
}

TEST(HttpMessage, HeaderMap) {
    Fed<HttpRequest> req;
    ASSERT_EQ(1, req.feed("GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\nx: 2\r\n\r\n", 99));
    HttpHeaderMap map(&req);
    EXPECT_TRUE(map.key_exists("HOST"));
    EXPECT_FALSE(map.key_exists("nothing"));
    EXPECT_EQ("1", map.get("x"));
    std::string value;
    EXPECT_TRUE(map.get("X", value));
    EXPECT_FALSE(map.get("nothing", value));
    EXPECT_EQ(2u, map.get_strict("X").size());
    std::vector<std::string> values;
    EXPECT_TRUE(map.get_strict("x", values));
    EXPECT_EQ("2", values.at(1));
}

TEST(HttpMessage, StatusPhrases) {
    HttpResponse resp;
    HttpUtil::set_response_status(&resp, HttpStatusNotFound);
    EXPECT_STREQ("404", resp.get_status_code());
    EXPECT_STREQ("Not Found", resp.get_reason_phrase());
    HttpUtil::set_response_status(&resp, 299);
    EXPECT_STREQ("299", resp.get_status_code());
    EXPECT_STREQ("Unknown", resp.get_reason_phrase());
    EXPECT_EQ(418, HttpStatusTeapot);
    EXPECT_EQ(420, HttpStatusEnhanceYourCaim);
    EXPECT_EQ(494, HttpStatusTooLargeForNginx);
}

// Moving carries parsed and output body along; borrowed pointers stay good.
TEST(HttpMessage, MoveKeepsBodies) {
    Fed<HttpResponse> source;
    ASSERT_EQ(1, source.feed("HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 4\r\n\r\nbody", 99));
    const void *data = NULL;
    size_t size = 0;
    ASSERT_TRUE(source.get_parsed_body(&data, &size));
    source.append_output_body_nocopy(data, size);
    source.append_output_body("+");
    Fed<HttpResponse> target;
    target = std::move(source);
    EXPECT_STREQ("200", target.get_status_code());
    EXPECT_EQ("body", body_of(target));
    std::string text = target.encoded();
    EXPECT_EQ("body+", text.substr(text.size() - 5));
    HttpHeaderMap map(&target);
    EXPECT_EQ("y", map.get("x"));
}

TEST(HttpMessage, EmptyMessage) {
    HttpRequest req;
    std::string text;
    EXPECT_EQ(nullptr, req.get_method());
    EXPECT_EQ(nullptr, req.get_request_uri());
    EXPECT_EQ(nullptr, req.get_http_version());
    EXPECT_FALSE(req.get_method(text));
    EXPECT_FALSE(req.get_http_version(text));
    EXPECT_EQ("(none)", body_of(req));
    Fed<HttpRequest> unfinished;
    EXPECT_EQ("", unfinished.encoded()); // Start line parts are missing: refused.
    EXPECT_EQ(EBADMSG, errno);
}

// HEAD: the declared length belongs to no body.
TEST(HttpMessage, ParseZeroBody) {
    Fed<HttpResponse> resp;
    resp.parse_zero_body();
    EXPECT_EQ(1, resp.feed("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", 99));
}

// A limit on the message: EMSGSIZE.
TEST(HttpMessage, SizeLimit) {
    Fed<HttpResponse> resp;
    resp.set_size_limit(10);
    EXPECT_EQ(
        -1,
        resp.feed("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + std::string(100, 'x'), 16));
    EXPECT_EQ(EMSGSIZE, errno);
}

// The parser behind a message, as web frameworks walk its headers.
TEST(HttpMessage, ParserCursor) {
    Fed<HttpRequest> req;
    ASSERT_EQ(1, req.feed("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n", 99));
    http_header_cursor_t cursor;
    http_header_cursor_init(&cursor, req.get_parser());
    const void *name, *value;
    size_t name_len, value_len;
    int n = 0;
    while (http_header_cursor_next(&name, &name_len, &value, &value_len, &cursor) == 0)
        n++;
    http_header_cursor_deinit(&cursor);
    EXPECT_EQ(2, n);
}

} // namespace
