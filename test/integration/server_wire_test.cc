// Weft - integration: what our server does with clients that are slow, half-closed or gone
// SPDX-License-Identifier: Apache-2.0
//
// Raw sockets say every byte. After each misbehaviour the server must be healthy and must hold
// no connection that should be gone.

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "integration/patience.h"
#include "integration/raw_socket.h"
#include "integration/workshop.h"

namespace {

const char kPost[] = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789";

class ServerWire : public ::testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(workshop_.start()); }

    // A full exchange on a new connection.
    void expect_healthy() {
        raw::Socket client = raw::Socket::connect(workshop_.port());
        ASSERT_TRUE(client.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        std::string answer = client.read_all();
        EXPECT_EQ(0u, answer.find("HTTP/1.1 200 OK\r\n")) << answer;
    }

    void expect_no_connections() {
        EXPECT_TRUE(eventually([this] { return workshop_.server().get_conn_count() == 0; }))
            << workshop_.server().get_conn_count();
    }

    Workshop workshop_;
};

// The client vanishes after each byte of a request, with FIN and with RST.
TEST_F(ServerWire, ClientVanishesAtEveryByte) {
    const std::string request = kPost;
    for (size_t n = 0; n <= request.size(); n++) {
        for (bool hard : {false, true}) {
            raw::Socket client = raw::Socket::connect(workshop_.port());
            ASSERT_TRUE(client.valid());
            ASSERT_TRUE(client.send(request.substr(0, n)));
            if (hard)
                client.reset();
            else
                client.close();
        }
    }
    expect_healthy();
    expect_no_connections();
    EXPECT_TRUE(eventually([this] {
        return workshop_.replied.load() + workshop_.failed.load() == workshop_.requests.load();
    }));
}

// The client vanishes while a large answer is on its way.
TEST_F(ServerWire, ClientVanishesDuringTheAnswer) {
    for (size_t n : {1, 100, 5000, 200000, 3000000}) {
        for (bool hard : {false, true}) {
            raw::Socket client = raw::Socket::connect(workshop_.port());
            ASSERT_TRUE(client.send("GET /big/20000000 HTTP/1.1\r\nHost: x\r\n\r\n"));
            EXPECT_GE(client.read_bytes(n).size(), n);
            if (hard)
                client.reset();
            else
                client.close();
        }
    }
    expect_healthy();
    expect_no_connections();
    EXPECT_TRUE(eventually([this] {
        return workshop_.replied.load() + workshop_.failed.load() == workshop_.requests.load();
    }));
    EXPECT_EQ(10, workshop_.failed.load());
}

// The client vanishes while the handler's series is still at work: one callback each.
TEST_F(ServerWire, ClientVanishesDuringTheHandler) {
    for (int i = 0; i < 20; i++) {
        raw::Socket client = raw::Socket::connect(workshop_.port());
        ASSERT_TRUE(client.send("GET /slow/20 HTTP/1.1\r\nHost: x\r\n\r\n"));
        if (i % 2)
            client.reset();
    }
    EXPECT_TRUE(
        eventually([this] { return workshop_.replied.load() + workshop_.failed.load() == 20; }));
    expect_healthy();
    expect_no_connections();
}

// A client that has ended its sending is answered all the same, and then closed.
TEST_F(ServerWire, HalfClosedClientIsAnswered) {
    for (const char *path : {"/hello", "/slow/50", "/big/5000000"}) {
        raw::Socket client = raw::Socket::connect(workshop_.port());
        ASSERT_TRUE(client.send(std::string("GET ") + path + " HTTP/1.1\r\nHost: x\r\n\r\n"));
        client.half_close();
        std::string answer = client.read_all();
        EXPECT_EQ(0u, answer.find("HTTP/1.1 200 OK\r\n")) << path;
        EXPECT_FALSE(client.was_reset()) << path;
        EXPECT_GT(answer.size(), 40u) << path;
    }
    expect_no_connections();
}

// Pipelined requests followed by FIN: all are answered, in order.
TEST_F(ServerWire, PipelinedAndHalfClosed) {
    raw::Socket client = raw::Socket::connect(workshop_.port());
    std::string requests;
    for (int i = 0; i < 30; i++)
        requests += "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n<" +
                    std::to_string(10 + i) + ">";
    ASSERT_TRUE(client.send(requests));
    client.half_close();
    std::string answers = client.read_all();
    size_t at = 0;
    for (int i = 0; i < 30; i++) {
        size_t found = answers.find("<" + std::to_string(10 + i) + ">", at);
        ASSERT_NE(std::string::npos, found) << i << " of 30: " << answers.size();
        at = found;
    }
    EXPECT_FALSE(client.was_reset());
}

// More pipelined bytes than any buffer: the server reads on while it answers.
TEST_F(ServerWire, PipelineLongerThanTheBuffers) {
    const size_t kRequests = 2000;
    raw::Socket client = raw::Socket::connect(workshop_.port());
    const std::string body(1000, '#'); // A byte that no head contains.
    std::thread sender([&]() {
        for (size_t i = 0; i < kRequests; i++)
            client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + body);
    });
    size_t echoed = 0;
    while (echoed < kRequests * body.size()) {
        std::string piece = client.read_some();
        if (piece.empty())
            break;
        echoed += static_cast<size_t>(std::count(piece.begin(), piece.end(), '#'));
    }
    client.half_close();
    sender.join();
    EXPECT_EQ(kRequests * body.size(), echoed);
    EXPECT_EQ(2000, workshop_.requests.load());
}

// An error after good pipelined requests: those are answered, then the 400, then the end.
TEST_F(ServerWire, BadRequestBehindGoodOnes) {
    raw::Socket client = raw::Socket::connect(workshop_.port());
    ASSERT_TRUE(client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
                            "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
                            "BAD\x01 / HTTP/1.1\r\n\r\n"
                            "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    std::string answers = client.read_all();
    EXPECT_EQ(2, workshop_.requests.load());
    size_t bad = answers.find("HTTP/1.1 400 ");
    ASSERT_NE(std::string::npos, bad) << answers;
    EXPECT_EQ(std::string::npos, answers.find("HTTP/1.1 ", bad + 1));
    EXPECT_NE(std::string::npos, answers.find("Connection: close\r\n", bad));
    EXPECT_FALSE(client.was_reset());
}

// Refusals reach the client even while it is still sending (lingering close).
TEST_F(ServerWire, RefusalIsNotLostToAReset) {
    WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.request_size_limit = 1000;
    Workshop small(params);
    ASSERT_TRUE(small.start());
    for (int i = 0; i < 20; i++) {
        raw::Socket client = raw::Socket::connect(small.port());
        client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
        client.send(std::string(3000000, 'x'));
        std::string answer = client.read_all();
        EXPECT_EQ(0u, answer.find("HTTP/1.1 413 ")) << i;
    }
    EXPECT_EQ(0, small.requests.load());
}

// A request that stops in the middle: the receive timeout of the server says 408.
TEST_F(ServerWire, ReceiveTimeoutSays408) {
    WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.receive_timeout = 300;
    Workshop strict(params);
    ASSERT_TRUE(strict.start());
    for (const char *begin : {"GET /hel", "GET /hello HTTP/1.1\r\nHost: x\r\n",
                              "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n012"}) {
        raw::Socket client = raw::Socket::connect(strict.port());
        ASSERT_TRUE(client.send(begin));
        std::string answer = client.read_all();
        EXPECT_EQ(0u, answer.find("HTTP/1.1 408 ")) << begin << " -> " << answer;
        EXPECT_FALSE(client.was_reset());
    }
    EXPECT_EQ(0, strict.requests.load());
    EXPECT_TRUE(eventually([&] { return strict.server().get_conn_count() == 0; }));
}

// The same when each wait for data is limited.
TEST_F(ServerWire, PeerResponseTimeoutSays408) {
    WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.peer_response_timeout = 300;
    Workshop strict(params);
    ASSERT_TRUE(strict.start());
    raw::Socket client = raw::Socket::connect(strict.port());
    ASSERT_TRUE(client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01"));
    EXPECT_EQ(0u, client.read_all().find("HTTP/1.1 408 "));
    EXPECT_EQ(0, strict.requests.load());
}

// A client that does not read its answer is cut, and the task learns it.
TEST_F(ServerWire, PeerThatDoesNotRead) {
    WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.peer_response_timeout = 300;
    Workshop strict(params);
    ASSERT_TRUE(strict.start());
    raw::Socket client = raw::Socket::connect(strict.port());
    ASSERT_TRUE(client.send("GET /big/50000000 HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_TRUE(eventually([&] { return strict.failed.load() == 1; }));
    EXPECT_TRUE(eventually([&] { return strict.server().get_conn_count() == 0; }));
}

// The idle time of a kept connection ends silently, without a 408.
TEST_F(ServerWire, KeepAliveTimeoutIsSilent) {
    WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.keep_alive_timeout = 300;
    Workshop brief(params);
    ASSERT_TRUE(brief.start());
    raw::Socket client = raw::Socket::connect(brief.port());
    ASSERT_TRUE(client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_NE(std::string::npos, client.read_until("hello").find("hello"));
    EXPECT_EQ("", client.read_all());
    EXPECT_TRUE(client.at_end());
}

// Byte by byte, a request is still one request.
TEST_F(ServerWire, RequestInSingleBytes) {
    raw::Socket client = raw::Socket::connect(workshop_.port());
    for (char c : std::string(kPost))
        ASSERT_TRUE(client.send(std::string(1, c)));
    EXPECT_NE(std::string::npos, client.read_until("0123456789").find("0123456789"));
    EXPECT_EQ(1, workshop_.requests.load());
}

// Hundreds of idle connections cost nothing and are closed at stop.
TEST_F(ServerWire, ManyIdleConnections) {
    std::vector<raw::Socket> clients;
    for (int i = 0; i < 500; i++) {
        clients.push_back(raw::Socket::connect(workshop_.port()));
        ASSERT_TRUE(clients.back().send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    for (raw::Socket &client : clients)
        EXPECT_NE("", client.read_until("hello"));
    EXPECT_EQ(500u, workshop_.server().get_conn_count());
    expect_healthy();
    workshop_.stop();
    for (raw::Socket &client : clients)
        EXPECT_TRUE(client.wait_closed());
}

} // namespace
