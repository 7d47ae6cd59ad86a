// Weft - output bodies: copied, borrowed, merged
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http_support.h"

namespace weft_test {
namespace {

const char kHead[] = "HTTP/1.1 200 OK\r\n\r\n";

void ready(Response *resp) {
    resp->set_http_version("HTTP/1.1");
    protocol::HttpUtil::set_response_status(resp, 200);
}

std::string merged(const protocol::HttpMessage &message) {
    std::string body;
    EXPECT_TRUE(message.get_output_body_merged(body));
    return body;
}

TEST(HttpBody, CopiesAreTheCallersNoMore) {
    Response resp;
    ready(&resp);
    std::string text = "first ";
    EXPECT_TRUE(resp.append_output_body(text));
    text = "changed";
    EXPECT_TRUE(resp.append_output_body("second "));
    EXPECT_TRUE(resp.append_output_body("third", 5));
    EXPECT_EQ(resp.get_output_body_size(), 18u);
    EXPECT_EQ(resp.wire(), std::string(kHead) + "first second third");
}

TEST(HttpBody, BorrowedBlocksAreSentFromTheirPlace) {
    Response resp;
    ready(&resp);
    const std::string large = repeat(5000, "x");
    EXPECT_TRUE(resp.append_output_body_nocopy(large));
    EXPECT_TRUE(resp.append_output_body_nocopy("tail"));
    EXPECT_TRUE(resp.append_output_body_nocopy("nothing", 0));
    const void *blocks[4];
    size_t sizes[4];
    ASSERT_EQ(resp.get_output_body_blocks(blocks, sizes, 4), 2u);
    EXPECT_EQ(blocks[0], large.data());
    EXPECT_EQ(sizes[0], 5000u);
    EXPECT_EQ(resp.get_output_body_blocks(blocks, sizes, 1), 1u);
    EXPECT_EQ(resp.wire(), kHead + large + "tail");
    EXPECT_EQ(resp.vector_count, 3);
}

TEST(HttpBody, SmallPiecesAreGathered) {
    Response resp;
    ready(&resp);
    std::string expected;
    for (int i = 0; i < 10000; i++) {
        const std::string piece = std::to_string(i) + ",";
        ASSERT_TRUE(resp.append_output_body(piece));
        expected += piece;
    }
    EXPECT_EQ(resp.get_output_body_size(), expected.size());
    EXPECT_EQ(merged(resp), expected);
    EXPECT_EQ(resp.wire(), kHead + expected);
    EXPECT_LT(resp.vector_count, 20);
}

TEST(HttpBody, CopiesAndBorrowedOnesKeepTheirOrder) {
    Response resp;
    ready(&resp);
    std::string expected;
    const std::string borrowed = repeat(300, "b");
    for (int i = 0; i < 50; i++) {
        const std::string piece = repeat(static_cast<size_t>(i) * 17, "c");
        ASSERT_TRUE(resp.append_output_body(piece));
        ASSERT_TRUE(resp.append_output_body_nocopy(borrowed));
        ASSERT_TRUE(resp.append_output_body("!"));
        expected += piece + borrowed + "!";
    }
    EXPECT_EQ(merged(resp), expected);
    EXPECT_EQ(resp.wire(), kHead + expected);
}

TEST(HttpBody, MergingIntoABuffer) {
    Response resp;
    resp.append_output_body("abc");
    resp.append_output_body_nocopy("def");
    char buf[8] = "";
    size_t size = 5;
    errno = 0;
    EXPECT_FALSE(resp.get_output_body_merged(buf, &size));
    EXPECT_EQ(errno, ENOSPC);
    size = sizeof buf;
    EXPECT_TRUE(resp.get_output_body_merged(buf, &size));
    EXPECT_EQ(std::string(buf, size), "abcdef");
}

TEST(HttpBody, ClearingForgetsAll) {
    Response resp;
    ready(&resp);
    for (int round = 0; round < 3; round++) {
        resp.append_output_body(repeat(2000, "x"));
        resp.append_output_body("y");
        resp.clear_output_body();
        EXPECT_EQ(resp.get_output_body_size(), 0u);
        EXPECT_EQ(merged(resp), "");
    }
    EXPECT_EQ(resp.wire(), kHead);
}

TEST(HttpBody, MoreBlocksThanVectorsAreMerged) {
    Response resp;
    ready(&resp);
    std::string expected;
    const std::string block = "0123456789";
    for (int i = 0; i < 3000; i++) {
        resp.append_output_body_nocopy(block);
        expected += block;
    }
    EXPECT_EQ(resp.wire(), kHead + expected);
    EXPECT_LE(resp.vector_count, 2048);
    EXPECT_EQ(resp.wire(), kHead + expected) << "a second time, merged already";
}

TEST(HttpBody, TwoVectorsAreEnough) {
    Response resp;
    ready(&resp);
    resp.append_output_body_nocopy(repeat(2000, "a").substr(0, 0));
    const std::string large = repeat(3000, "z");
    resp.append_output_body_nocopy(large);
    resp.append_output_body_nocopy(large);
    struct iovec vectors[2];
    EXPECT_EQ(resp.encode(vectors, 2), 2);
    EXPECT_EQ(vectors[1].iov_len, 6000u);
    errno = 0;
    EXPECT_EQ(resp.encode(vectors, 1), -1);
    EXPECT_EQ(errno, EOVERFLOW);
}

} // namespace
} // namespace weft_test
