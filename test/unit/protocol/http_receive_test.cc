// Weft - receiving on a connection: answers given on the way, interim responses, the end by close
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <string>

#include "http_support.h"
#include "protocol/http_answer.h"

namespace weft_test {
namespace {

const std::string kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
const std::string kExpecting =
    "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";

TEST(HttpReceive, ContinueIsSaidOnce) {
    Request req;
    EXPECT_EQ(req.feed(kExpecting), 0);
    EXPECT_EQ(req.sent, kContinue);
    EXPECT_EQ(req.feed("ab"), 0);
    EXPECT_EQ(req.feed("c"), 1);
    EXPECT_EQ(req.sent, kContinue);
    EXPECT_EQ(req.body(), "abc");
}

TEST(HttpReceive, ContinueIsSaidForChunksToo) {
    Request req;
    EXPECT_EQ(req.feed("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                       "expect: 100-Continue\r\n\r\n"),
              0);
    EXPECT_EQ(req.sent, kContinue);
}

TEST(HttpReceive, NoContinueWhenTheBodyIsThere) {
    Request whole;
    EXPECT_EQ(whole.feed(kExpecting + "abc"), 1);
    EXPECT_EQ(whole.sent, "");
    Request part;
    EXPECT_EQ(part.feed(kExpecting + "a"), 0);
    EXPECT_EQ(part.feed("b"), 0);
    EXPECT_EQ(part.sent, "");
}

TEST(HttpReceive, NoContinueWithoutABodyOrForHttp10) {
    Request empty;
    EXPECT_EQ(empty.feed("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n"), 1);
    EXPECT_EQ(empty.sent, "");
    Request old;
    EXPECT_EQ(old.feed("PUT / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"), 0);
    EXPECT_EQ(old.sent, "");
}

TEST(HttpReceive, AContinueThatCannotBeSentEndsTheConnection) {
    Request req;
    req.feedback_result = -1;
    EXPECT_EQ(req.feed(kExpecting), -1);
    EXPECT_EQ(errno, ENOBUFS);
}

// behaviours row 85: a bad request line is answered by 400.
TEST(HttpReceive, ABadRequestIsAnswered) {
    Request req;
    EXPECT_EQ(req.feed("GET /\r\n\r\n"), -1);
    EXPECT_EQ(errno, EBADMSG);
    EXPECT_EQ(req.sent,
              "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

// behaviours row 70: a request too large is answered by 413.
TEST(HttpReceive, ARequestTooLargeIsAnswered) {
    Request req;
    req.set_size_limit(2);
    EXPECT_EQ(req.feed("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"), -1);
    EXPECT_EQ(errno, EMSGSIZE);
    EXPECT_EQ(req.sent.substr(0, 13), "HTTP/1.1 413 ");
    Request expecting;
    expecting.set_size_limit(2);
    EXPECT_EQ(expecting.feed(kExpecting), -1);
    EXPECT_EQ(errno, EMSGSIZE);
    EXPECT_EQ(expecting.sent.substr(0, 13), "HTTP/1.1 417 ");
}

TEST(HttpReceive, TheErrorSurvivesAnAnswerThatFails) {
    Request req;
    req.feedback_result = -1;
    EXPECT_EQ(req.feed("\0"), 0) << "an empty piece";
    EXPECT_EQ(req.feed("@"), -1);
    EXPECT_EQ(errno, EBADMSG);
}

TEST(HttpReceive, ALateRequestIsAnswered) {
    Request late;
    EXPECT_EQ(late.feed("GET / HT"), 0);
    late.abandon(ETIMEDOUT);
    EXPECT_EQ(late.sent,
              "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    Request silent;
    silent.abandon(ETIMEDOUT);
    EXPECT_EQ(silent.sent, "");
    Request reset;
    EXPECT_EQ(reset.feed("GET / HT"), 0);
    reset.abandon(ECONNRESET);
    EXPECT_EQ(reset.sent, "");
}

TEST(HttpReceive, EveryAnswerIsAMessageThatClosesTheConnection) {
    for (const int status : {400, 408, 413, 414, 417, 431, 501, 505}) {
        size_t size;
        const char *text = protocol::http_error_answer(status, &size);
        Response resp;
        ASSERT_EQ(resp.feed(std::string_view(text, size)), 1) << status;
        EXPECT_EQ(resp.used, size);
        EXPECT_EQ(resp.get_status_code(), std::to_string(status));
        EXPECT_FALSE(resp.is_keep_alive());
        EXPECT_EQ(resp.body(), "");
    }
    size_t size;
    const char *text = protocol::http_error_answer(499, &size);
    EXPECT_EQ(std::string(text, 12), "HTTP/1.1 400");
}

TEST(HttpReceive, CloseCompletesAnOpenEnd) {
    Response resp;
    EXPECT_EQ(resp.feed("HTTP/1.1 200 OK\r\n\r\nabc"), 0);
    EXPECT_TRUE(resp.is_header_complete());
    EXPECT_FALSE(resp.has_content_length_header());
    EXPECT_EQ(resp.finish(), 1);
    EXPECT_EQ(resp.body(), "abc");
    Response cut;
    EXPECT_EQ(cut.feed("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc"), 0);
    EXPECT_EQ(cut.finish(), 0);
    Request req;
    EXPECT_EQ(req.feed("GET / HTTP/1.1\r\nHost: h\r\n"), 0);
    EXPECT_EQ(req.finish(), 0);
}

TEST(HttpReceive, EndParsingTakesWhatHasCome) {
    Response resp;
    EXPECT_EQ(resp.feed("HTTP/1.1 200 OK\r\n\r\nabc"), 0);
    EXPECT_EQ(resp.body(), "(none)");
    resp.end_parsing();
    EXPECT_EQ(resp.body(), "abc");
    EXPECT_EQ(resp.feed("more"), 1);
    EXPECT_EQ(resp.body(), "abc");
}

TEST(HttpReceive, TheRulesOfOneMessage) {
    http_parser_rules_t rules = *http_parser_strict_rules();
    rules.allow_missing_host = 1;
    Request req;
    req.set_parser_rules(&rules);
    EXPECT_EQ(req.feed("GET / HTTP/1.1\r\n\r\n"), 1);
}

TEST(HttpReceive, InterimResponsesKeepLimitAndRules) {
    http_parser_rules_t rules = *http_parser_strict_rules();
    rules.allow_bare_lf = 1;
    Response resp;
    resp.set_parser_rules(&rules);
    resp.set_size_limit(3);
    EXPECT_EQ(resp.feed("HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nContent-Length: 4\n\n"), -1);
    EXPECT_EQ(errno, EMSGSIZE);
}

} // namespace
} // namespace weft_test
