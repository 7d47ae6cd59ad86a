// Weft - status phrases, maps and cursors over messages
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http_support.h"
#include "protocol/http_answer.h"

namespace weft_test {
namespace {

using protocol::HttpChunkCursor;
using protocol::HttpHeaderCursor;
using protocol::HttpHeaderMap;
using protocol::HttpUtil;

TEST(HttpUtil, StatusAndPhrase) {
    Response resp;
    HttpUtil::set_response_status(&resp, HttpStatusNotFound);
    EXPECT_STREQ(resp.get_status_code(), "404");
    EXPECT_STREQ(resp.get_reason_phrase(), "Not Found");
    HttpUtil::set_response_status(&resp, HttpStatusOK);
    EXPECT_STREQ(resp.get_reason_phrase(), "OK");
    HttpUtil::set_response_status(&resp, 599);
    EXPECT_STREQ(resp.get_status_code(), "599");
    EXPECT_STREQ(resp.get_reason_phrase(), "Unknown");
}

TEST(HttpUtil, EveryStatusHasItsPhrase) {
    for (const int code :
         {100, 101, 102, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303,
          304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412,
          413, 414, 415, 416, 417, 418, 420, 421, 422, 423, 424, 425, 426, 428, 429, 431, 444,
          450, 451, 494, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511}) {
        EXPECT_NE(protocol::http_status_phrase(code), nullptr) << code;
    }
    for (const int code : {0, 99, 104, 306, 430, 512, 1000, -1}) {
        EXPECT_EQ(protocol::http_status_phrase(code), nullptr) << code;
    }
}

TEST(HttpUtil, MapLooksUpInEitherCase) {
    Request req;
    ASSERT_EQ(req.feed("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\na: 2\r\n\r\n"), 1);
    HttpHeaderMap map(&req);
    EXPECT_TRUE(map.key_exists("HOST"));
    EXPECT_FALSE(map.key_exists("Hos"));
    EXPECT_EQ(map.get("a"), "1");
    EXPECT_EQ(map.get("none"), "");
    std::string value;
    EXPECT_TRUE(map.get("hOsT", value));
    EXPECT_EQ(value, "h");
    EXPECT_FALSE(map.get("none", value));
    EXPECT_EQ(map.get_strict("A"), (std::vector<std::string>{"1", "2"}));
    EXPECT_TRUE(map.get_strict("none").empty());
    std::vector<std::string> values;
    EXPECT_FALSE(map.get_strict("none", values));
    EXPECT_TRUE(map.get_strict("host", values));
    EXPECT_EQ(values.size(), 1u);
}

TEST(HttpUtil, CursorInAllItsForms) {
    Request req;
    ASSERT_EQ(req.feed("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\na: 3\r\n\r\n"), 1);
    HttpHeaderCursor cursor(&req);
    protocol::HttpMessageHeader header;
    ASSERT_TRUE(cursor.next(&header));
    EXPECT_EQ(header.name_len, 4u);
    std::string value;
    EXPECT_TRUE(cursor.find("a", value));
    EXPECT_EQ(value, "1");
    EXPECT_TRUE(cursor.find("a", value));
    EXPECT_EQ(value, "3");
    EXPECT_FALSE(cursor.find("a", value));
    cursor.rewind();
    header = {"b", 1, nullptr, 0};
    EXPECT_TRUE(cursor.find(&header));
    EXPECT_EQ(header.value_len, 1u);
    EXPECT_TRUE(cursor.erase());
    EXPECT_FALSE(cursor.erase());
    cursor.rewind();
    EXPECT_TRUE(cursor.find_and_erase("A"));
    header = {"A", 1, nullptr, 0};
    EXPECT_TRUE(cursor.find_and_erase(&header));
    EXPECT_FALSE(cursor.find_and_erase("A"));
    EXPECT_EQ(req.fields().size(), 1u);
}

TEST(HttpUtil, ChunkCursorGivesChunks) {
    Response resp;
    ASSERT_EQ(resp.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "3;e\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: 5\r\n\r\n"),
              1);
    HttpChunkCursor cursor(&resp);
    for (int round = 0; round < 2; round++) {
        const void *chunk;
        size_t size;
        ASSERT_TRUE(cursor.next(&chunk, &size));
        EXPECT_EQ(std::string(static_cast<const char *>(chunk), size), "abc");
        ASSERT_TRUE(cursor.next(&chunk, &size));
        EXPECT_EQ(size, 10u);
        EXPECT_FALSE(cursor.next(&chunk, &size));
        EXPECT_FALSE(cursor.next(&chunk, &size));
        cursor.rewind();
    }
    EXPECT_EQ(HttpUtil::decode_chunked_body(&resp), "abc0123456789");
}

TEST(HttpUtil, ChunkCursorGivesAPlainBodyOnce) {
    Response resp;
    ASSERT_EQ(resp.feed("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), 1);
    HttpChunkCursor cursor(&resp);
    const void *chunk;
    size_t size;
    ASSERT_TRUE(cursor.next(&chunk, &size));
    EXPECT_EQ(size, 3u);
    EXPECT_FALSE(cursor.next(&chunk, &size));
    EXPECT_EQ(HttpUtil::decode_chunked_body(&resp), "abc");
}

TEST(HttpUtil, ChunkCursorGivesNothingOfNoBody) {
    Response empty;
    ASSERT_EQ(empty.feed("HTTP/1.1 204 No\r\n\r\n"), 1);
    Response none;
    const void *chunk;
    size_t size;
    EXPECT_FALSE(HttpChunkCursor(&empty).next(&chunk, &size));
    EXPECT_FALSE(HttpChunkCursor(&none).next(&chunk, &size));
}

TEST(HttpUtil, ChunkCursorStopsWhereABodyWasCut) {
    for (const char *body : {"5\r\nhel", "5", "5\r\n", "3\r\nabc\r\n5\r", "3\r\nabc\r"}) {
        Response resp;
        ASSERT_EQ(resp.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), 0);
        ASSERT_EQ(resp.feed(body), 0);
        resp.end_parsing();
        const std::string decoded = HttpUtil::decode_chunked_body(&resp);
        EXPECT_EQ(decoded, body[0] == '3' ? "abc" : "") << body;
    }
}

} // namespace
} // namespace weft_test
