// Weft - single chunks as messages
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "http_support.h"

namespace weft_test {
namespace {

std::string data_of(const Chunk &chunk) {
    const void *data;
    size_t size;
    if (!chunk.get_chunk_data(&data, &size)) {
        return "(none)";
    }
    return std::string(static_cast<const char *>(data), size);
}

TEST(HttpChunk, OneAfterTheOther) {
    const std::string text = "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: 1\r\n\r\nrest";
    std::string_view left = text;
    for (const char *expected : {"hello", "!", ""}) {
        Chunk chunk;
        EXPECT_EQ(data_of(chunk), "(none)");
        ASSERT_EQ(chunk.feed(left), 1);
        left.remove_prefix(chunk.used);
        EXPECT_EQ(data_of(chunk), expected);
    }
    EXPECT_EQ(left, "rest");
}

TEST(HttpChunk, HoweverItIsCut) {
    for (const std::string text : {"5;x=\"y\"\r\nhello\r\n", "0\r\nA: b\r\n\r\n"}) {
        Chunk bytes;
        for (size_t i = 0; i + 1 < text.size(); i++) {
            ASSERT_EQ(bytes.feed(std::string_view(text).substr(i, 1)), 0) << i;
            EXPECT_EQ(data_of(bytes), "(none)");
        }
        ASSERT_EQ(bytes.feed("\n"), 1);
        for (size_t cut = 1; cut < text.size(); cut++) {
            Chunk chunk;
            ASSERT_EQ(chunk.feed(std::string_view(text).substr(0, cut)), 0);
            ASSERT_EQ(chunk.feed(std::string_view(text).substr(cut)), 1);
            EXPECT_EQ(data_of(chunk), data_of(bytes));
        }
    }
}

TEST(HttpChunk, MalformedFramingFails) {
    for (const char *text : {"x\r\n", "1\r\nab", "\r\n", "1 \r\n", "0\r\nHost: h\r\n"}) {
        Chunk chunk;
        EXPECT_EQ(chunk.feed(text), -1) << text;
        EXPECT_EQ(errno, EBADMSG);
    }
}

TEST(HttpChunk, TheLimitActsBeforeTheData) {
    Chunk chunk;
    chunk.set_size_limit(4);
    EXPECT_EQ(chunk.feed("5\r\n"), -1);
    EXPECT_EQ(errno, EMSGSIZE);
    Chunk fits;
    fits.set_size_limit(4);
    EXPECT_EQ(fits.feed("4\r\nabcd\r\n"), 1);
}

TEST(HttpChunk, DataMayBeTakenAway) {
    Chunk chunk;
    void *data = nullptr;
    size_t size = 0;
    EXPECT_FALSE(chunk.move_chunk_data(&data, &size));
    ASSERT_EQ(chunk.feed("3\r\nabc\r\n"), 1);
    ASSERT_TRUE(chunk.move_chunk_data(&data, &size));
    EXPECT_EQ(size, 3u);
    EXPECT_STREQ(static_cast<char *>(data), "abc");
    free(data);
    EXPECT_FALSE(chunk.move_chunk_data(&data, &size));
    Chunk last;
    ASSERT_EQ(last.feed("0\r\n\r\n"), 1);
    ASSERT_TRUE(last.move_chunk_data(&data, &size));
    EXPECT_EQ(size, 0u);
    free(data);
}

TEST(HttpChunk, OnTheWire) {
    Chunk chunk;
    EXPECT_TRUE(chunk.set_chunk_data("hello, hello, hello", 19));
    EXPECT_EQ(chunk.wire(), "13\r\nhello, hello, hello\r\n");
    EXPECT_TRUE(chunk.set_chunk_data("x", 1));
    EXPECT_EQ(chunk.wire(), "1\r\nx\r\n");
    EXPECT_TRUE(chunk.set_chunk_data(nullptr, 0));
    EXPECT_EQ(chunk.wire(), "0\r\n\r\n");
    EXPECT_EQ(data_of(chunk), "");
}

TEST(HttpChunk, Moves) {
    Chunk from;
    ASSERT_EQ(from.feed("3\r\nab"), 0);
    Chunk to;
    static_cast<protocol::HttpMessageChunk &>(to) =
        std::move(static_cast<protocol::HttpMessageChunk &>(from));
    ASSERT_EQ(to.feed("c\r\n"), 1);
    EXPECT_EQ(data_of(to), "abc");
    ASSERT_EQ(from.feed("1\r\nz\r\n"), 1) << "the source begins anew";
    EXPECT_EQ(data_of(from), "z");
}

TEST(HttpChunk, MemoryFollowsWhatCame) {
    Chunk chunk;
    ASSERT_EQ(chunk.feed("fffffffffffffff\r\nabc"), 0);
    const std::string large = repeat(100000, "x");
    ASSERT_EQ(chunk.feed(large), 0);
}

} // namespace
} // namespace weft_test
