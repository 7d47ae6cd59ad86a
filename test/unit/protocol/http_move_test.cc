// Weft - moving messages: a proxy hands what it received on, with all it holds
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "http_support.h"

namespace weft_test {
namespace {

struct Mark : protocol::ProtocolMessage::Attachment {
    explicit Mark(int *count) : deleted(count) {}
    ~Mark() override { ++*deleted; }
    int *deleted;
};

void move_to(Response *to, Response *from) {
    static_cast<protocol::HttpResponse &>(*to) =
        std::move(static_cast<protocol::HttpResponse &>(*from));
}

TEST(HttpMove, BodiesKeepTheirAddresses) {
    Response from;
    ASSERT_EQ(from.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello"), 1);
    const void *body;
    size_t size;
    ASSERT_TRUE(from.get_parsed_body(&body, &size));
    ASSERT_TRUE(from.append_output_body_nocopy(body, size));
    ASSERT_TRUE(from.append_output_body(" copied", 7));

    Response to;
    ASSERT_EQ(to.feed("HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nold"), 1);
    to.append_output_body(repeat(1000, "o"));
    to.add_header_pair("Old", "1");
    move_to(&to, &from);
    const void *moved;
    ASSERT_TRUE(to.get_parsed_body(&moved, &size));
    EXPECT_EQ(moved, body);
    EXPECT_EQ(to.wire(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello copied");

    EXPECT_EQ(from.get_output_body_size(), 0u);
    EXPECT_FALSE(from.get_parsed_body(&moved, &size));
    EXPECT_EQ(from.get_status_code(), nullptr);
    EXPECT_TRUE(from.fields().empty());
    ASSERT_EQ(from.feed("HTTP/1.1 204 Again\r\n\r\n"), 1) << "the source is usable";
    EXPECT_STREQ(from.get_reason_phrase(), "Again");
}

TEST(HttpMove, SmallAndLargeMessagesAlike) {
    for (const size_t value : {1u, 100u, 500u, 640u, 2000u}) {
        for (const size_t count : {1u, 10u, 60u}) {
            std::string text = "POST /u HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n";
            for (size_t i = 0; i < count; i++) {
                text += "N" + std::to_string(i) + ": " + repeat(value / count + 1, "v") + "\r\n";
            }
            Request first;
            ASSERT_EQ(first.feed(text + "\r\nab"), 1);
            first.append_output_body("ab");
            protocol::HttpRequest second(std::move(static_cast<protocol::HttpRequest &>(first)));
            Request third;
            static_cast<protocol::HttpRequest &>(third) = std::move(second);
            EXPECT_EQ(third.wire(), text + "\r\nab");
            EXPECT_EQ(third.body(), "ab");
            EXPECT_STREQ(third.get_method(), "POST");
            EXPECT_STREQ(third.get_request_uri(), "/u");
        }
    }
}

TEST(HttpMove, HalfReceivedMessagesGoOn) {
    const std::string text =
        "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nX: " + repeat(700, "x") +
        "\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for (size_t cut = 1; cut < text.size(); cut++) {
        Response first;
        ASSERT_EQ(first.feed(std::string_view(text).substr(0, cut)), 0) << cut;
        Response second;
        move_to(&second, &first);
        ASSERT_EQ(second.feed(std::string_view(text).substr(cut)), 1) << cut;
        EXPECT_EQ(protocol::HttpUtil::decode_chunked_body(&second), "abc");
        EXPECT_STREQ(second.get_reason_phrase(), "Fine");
        EXPECT_EQ(second.fields()[1].second, repeat(700, "x"));
    }
}

TEST(HttpMove, LimitAndAttachmentMove) {
    int deleted = 0;
    {
        Response from;
        from.set_size_limit(77);
        from.set_attachment(new Mark(&deleted));
        Response to;
        to.set_attachment(new Mark(&deleted));
        move_to(&to, &from);
        EXPECT_EQ(deleted, 1);
        EXPECT_EQ(to.get_size_limit(), 77u);
        EXPECT_NE(to.get_attachment(), nullptr);
        EXPECT_EQ(from.get_attachment(), nullptr);
    }
    EXPECT_EQ(deleted, 2);
}

TEST(HttpMove, ToItselfChangesNothing) {
    Response resp;
    ASSERT_EQ(resp.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"), 1);
    resp.append_output_body("out");
    move_to(&resp, &resp);
    EXPECT_EQ(resp.body(), "ab");
    EXPECT_EQ(resp.get_output_body_size(), 3u);
}

TEST(HttpMove, ManyBlocksMove) {
    Response from;
    from.set_http_version("HTTP/1.1");
    protocol::HttpUtil::set_response_status(&from, 200);
    std::string expected = "HTTP/1.1 200 OK\r\n\r\n";
    const std::string block = repeat(2000, "b");
    for (int i = 0; i < 9; i++) {
        from.append_output_body_nocopy(block);
        from.append_output_body("small");
        expected += block + "small";
    }
    Response to;
    move_to(&to, &from);
    EXPECT_EQ(to.wire(), expected);
    EXPECT_EQ(from.get_output_body_size(), 0u);
    from.append_output_body("again");
    EXPECT_EQ(from.get_output_body_size(), 5u);
}

} // namespace
} // namespace weft_test
