// Weft - integration: what our client does when the peer vanishes, at every stage
// SPDX-License-Identifier: Apache-2.0
//
// Scripted raw peers; each case once with FIN and once with RST. Exactly one callback each.

#include <errno.h>

#include <gtest/gtest.h>

#include <atomic>

#include "integration/call.h"
#include "integration/raw_socket.h"
#include "integration/workshop.h"

namespace {

const char kHead[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";

void leave(raw::Socket &peer, bool hard) {
    if (hard)
        peer.reset();
    else
        peer.close();
}

void expect_reset(const Call &call, const std::string &what) {
    EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state) << what;
    EXPECT_EQ(ECONNRESET, call.error) << what;
    EXPECT_EQ(TOR_NOT_TIMEOUT, call.reason) << what;
    EXPECT_EQ(1, call.callbacks) << what;
}

class Vanishing : public ::testing::TestWithParam<bool> {};

// Right after the accept.
TEST_P(Vanishing, AtTheAccept) {
    bool hard = GetParam();
    raw::ScriptedServer server([hard](raw::Socket &peer, int) { leave(peer, hard); });
    Call call;
    ASSERT_TRUE(call.run(server.url()));
    EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state);
    EXPECT_TRUE(call.error == ECONNRESET || call.error == EPIPE) << call.error;
    EXPECT_EQ(1, call.callbacks);
}

// After each byte of an answer with a length.
TEST_P(Vanishing, InAnAnswerWithALength) {
    bool hard = GetParam();
    const std::string whole = std::string(kHead) + "0123456789";
    std::atomic<size_t> stop(0); // Set by the test, read by the peer's thread.
    raw::ScriptedServer server([&](raw::Socket &peer, int) {
        peer.read_until("\r\n\r\n");
        peer.send(whole.substr(0, stop));
        leave(peer, hard);
    });
    for (stop = 0; stop < whole.size(); stop++) {
        Call call;
        ASSERT_TRUE(call.run(server.url()));
        expect_reset(call, "after " + std::to_string(stop));
    }
    EXPECT_EQ(static_cast<int>(whole.size()), server.connections());
    // The whole answer counts, even if the connection goes right behind it.
    if (hard)
        return; // A reset may destroy bytes that the receiver has not read.
    Call call;
    ASSERT_TRUE(call.run(server.url()));
    EXPECT_EQ("0123456789", call.body);
}

// After each byte of a chunked answer, trailers included.
TEST_P(Vanishing, InAChunkedAnswer) {
    bool hard = GetParam();
    const std::string whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "a;x=y\r\n0123456789\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n";
    std::atomic<size_t> stop(0); // Set by the test, read by the peer's thread.
    raw::ScriptedServer server([&](raw::Socket &peer, int) {
        peer.read_until("\r\n\r\n");
        peer.send(whole.substr(0, stop));
        leave(peer, hard);
    });
    for (stop = 0; stop < whole.size(); stop++) {
        Call call;
        ASSERT_TRUE(call.run(server.url()));
        expect_reset(call, "after " + std::to_string(stop));
    }
}

// In the middle of a large answer.
TEST_P(Vanishing, InALargeAnswer) {
    bool hard = GetParam();
    raw::ScriptedServer server([hard](raw::Socket &peer, int) {
        peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
        peer.send(std::string(20000000, 'x'));
        leave(peer, hard);
    });
    Call call;
    ASSERT_TRUE(call.run(server.url()));
    expect_reset(call, "large");
}

// While the request is being sent.
TEST_P(Vanishing, DuringALargeRequest) {
    bool hard = GetParam();
    raw::ScriptedServer server([hard](raw::Socket &peer, int) {
        peer.read_bytes(1000000);
        leave(peer, hard);
    });
    const std::string body(60000000, 'b');
    Call call;
    ASSERT_TRUE(call.run(server.url(), [&](WFHttpTask *task) {
        task->get_req()->set_method(HttpMethodPost);
        task->get_req()->append_output_body_nocopy(body);
    }));
    EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state);
    EXPECT_TRUE(call.error == ECONNRESET || call.error == EPIPE) << call.error;
    EXPECT_EQ(1, call.callbacks);
}

// On a kept connection: between two requests, and in the middle of the second answer.
TEST_P(Vanishing, OnAKeptConnection) {
    bool hard = GetParam();
    raw::ScriptedServer server([hard](raw::Socket &peer, int number) {
        peer.read_until("\r\n\r\n");
        peer.send(std::string(kHead) + "0123456789");
        if (number % 2 == 0) {
            peer.read_until("\r\n\r\n");
            peer.send("HTTP/1.1 200 OK\r\nContent-Le");
        }
        leave(peer, hard);
    });
    Call first;
    ASSERT_TRUE(first.run(server.url()));
    EXPECT_EQ("0123456789", first.body);
    Call second;
    ASSERT_TRUE(second.run(server.url()));
    expect_reset(second, "second answer");
    // With one retry the failure of a kept connection is hidden.
    Call third;
    ASSERT_TRUE(third.run(server.url(), nullptr, 0, 1));
    EXPECT_EQ(WFT_STATE_SUCCESS, third.state);
}

INSTANTIATE_TEST_SUITE_P(FinAndRst, Vanishing, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool> &param) {
                             return param.param ? "Rst" : "Fin";
                         });

// An answer that comes while the request is still on its way counts, though the peer stops
// reading and closes: what it said is read before the write error is believed.
TEST(ClientWire, EarlyAnswerDuringTheRequest) {
    raw::ScriptedServer server([](raw::Socket &peer, int) {
        peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
        peer.half_close();
        peer.read_all();
    });
    const std::string body(30000000, 'b');
    Call call;
    ASSERT_TRUE(call.run(server.url(), [&](WFHttpTask *task) {
        task->get_req()->set_method(HttpMethodPost);
        task->get_req()->append_output_body_nocopy(body);
    }));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state) << call.error;
    EXPECT_EQ("413", call.status);
    EXPECT_EQ("big", call.body);
}

// The same when the peer closes for good and resets what we still send.
TEST(ClientWire, EarlyAnswerThenClose) {
    raw::ScriptedServer server([](raw::Socket &peer, int) {
        peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        // Everything that has come so far is read, so this close is a FIN; later bytes of the
        // request are answered with RST.
        peer.half_close();
        peer.read_bytes(500000);
    });
    const std::string body(30000000, 'b');
    int success = 0;
    for (int i = 0; i < 10; i++) {
        Call call;
        ASSERT_TRUE(call.run(server.url(), [&](WFHttpTask *task) {
            task->get_req()->set_method(HttpMethodPost);
            task->get_req()->append_output_body_nocopy(body);
        }));
        EXPECT_EQ(1, call.callbacks);
        if (call.state == WFT_STATE_SUCCESS)
            success++;
        else
            EXPECT_TRUE(call.error == ECONNRESET || call.error == EPIPE) << call.error;
    }
    // The reset may overtake the answer inside the system; most of the time it does not.
    EXPECT_GE(success, 5);
}

// Bytes that nobody asked for, on an idle kept connection: it is not used again.
TEST(ClientWire, UnaskedBytesOnAnIdleConnection) {
    std::promise<void> sent;
    raw::ScriptedServer server([&](raw::Socket &peer, int number) {
        peer.read_until("\r\n\r\n");
        peer.send(std::string(kHead) + "0123456789");
        if (number == 0) {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
            peer.wait_closed();
            sent.set_value();
        }
    });
    Call first;
    ASSERT_TRUE(first.run(server.url()));
    EXPECT_EQ("0123456789", first.body);
    // The client closes the connection by itself when it sees the bytes.
    ASSERT_EQ(std::future_status::ready, sent.get_future().wait_for(std::chrono::seconds(30)));
    Call second;
    ASSERT_TRUE(second.run(server.url()));
    EXPECT_EQ("0123456789", second.body);
    EXPECT_EQ(0, second.seq);
}

// An answer in single bytes is still an answer; so is one behind several interim answers.
TEST(ClientWire, SingleBytesAndInterimAnswers) {
    const std::string whole = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
                              "HTTP/1.1 102 Processing\r\n\r\n" +
                              std::string(kHead) + "0123456789";
    raw::ScriptedServer server([&](raw::Socket &peer, int) {
        while (peer.read_until("\r\n\r\n") != "") {
            for (char c : whole)
                peer.send(std::string(1, c));
        }
    });
    for (int i = 0; i < 2; i++) {
        Call call;
        ASSERT_TRUE(call.run(server.url()));
        EXPECT_EQ("200", call.status);
        EXPECT_EQ("0123456789", call.body);
        EXPECT_EQ(i, call.seq);
    }
}

// A peer that answers 204 or 304 with a length: no body belongs to it.
TEST(ClientWire, NoBodyForThoseCodes) {
    raw::ScriptedServer server([](raw::Socket &peer, int) {
        int n = 0;
        while (peer.read_until("\r\n\r\n") != "")
            peer.send(n++ % 2 ? "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n"
                              : "HTTP/1.1 204 No Content\r\n\r\n");
    });
    for (int i = 0; i < 4; i++) {
        Call call;
        ASSERT_TRUE(call.run(server.url()));
        EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
        EXPECT_EQ("", call.body);
        EXPECT_EQ(i, call.seq);
    }
}

// Answers that a strict client must not believe.
TEST(ClientWire, BrokenAnswers) {
    const std::string answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n12345\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n12345\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Header: x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        "ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
        "\r\n\r\n\r\n\r\n",
    };
    std::atomic<size_t> which(0);
    raw::ScriptedServer server([&](raw::Socket &peer, int) {
        peer.read_until("\r\n\r\n");
        peer.send(answers[which]);
        peer.wait_closed();
    });
    for (which = 0; which < sizeof answers / sizeof answers[0]; which++) {
        Call call;
        ASSERT_TRUE(
            call.run(server.url(), [](WFHttpTask *task) { task->set_watch_timeout(5000); }));
        EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state) << which << " " << call.body;
        EXPECT_EQ(EBADMSG, call.error) << which;
    }
}

// Endless headers end by a limit, not by the memory.
TEST(ClientWire, EndlessHeaders) {
    raw::ScriptedServer server([](raw::Socket &peer, int) {
        peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\n");
        while (peer.send("X-Filler: " + std::string(500, 'f') + "\r\n"))
            continue;
    });
    Call call;
    ASSERT_TRUE(call.run(server.url()));
    EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state);
    EXPECT_TRUE(call.error == EMSGSIZE || call.error == EBADMSG) << call.error;
}

} // namespace
