// Weft - integration: the tutorial programs, run as a newcomer runs them
// SPDX-License-Identifier: Apache-2.0
//
// Bad command lines get a usage text and status 2; servers end cleanly at Ctrl-C.

#include <signal.h>

#include <gtest/gtest.h>

#include "integration/patience.h"
#include "integration/peer.h"
#include "integration/raw_socket.h"
#include "integration/workshop.h"

namespace {

std::string program(const std::string &name) { return std::string(WEFT_TUTORIALS) + "/" + name; }

// A tutorial server on a free port, which it prints.
class Server {
public:
    explicit Server(const std::string &name) {
        process_.start({program(name), "0"});
        std::string line = process_.wait_line("port ");
        size_t at = line.find("port ");
        if (at != std::string::npos)
            port_ = static_cast<unsigned short>(strtoul(line.c_str() + at + 5, nullptr, 10));
    }

    unsigned short port() const { return port_; }
    peer::Process &process() { return process_; }

    // Ctrl-C, as the terminal sends it.
    void expect_clean_end() {
        process_.signal(SIGINT);
        EXPECT_EQ(0, process_.wait(20000)) << process_.err();
    }

private:
    peer::Process process_;
    unsigned short port_ = 0;
};

std::string exchange(unsigned short port, const std::string &request) {
    raw::Socket client = raw::Socket::connect(port);
    client.send(request);
    return client.read_all();
}

TEST(Tutorial, BadCommandLines) {
    const std::vector<std::vector<std::string>> lines = {
        {"hello_world"},
        {"hello_world", "port"},
        {"hello_world", "65536"},
        {"hello_world", "-1"},
        {"hello_world", "80x"},
        {"hello_world", ""},
        {"hello_world", "80", "81"},
        {"wget"},
        {"wget", "a", "b"},
        {"wget", "--help"},
        {"http_echo_server"},
        {"http_echo_server", "99999999999999999999"},
        {"http_proxy", "x"},
        {"parallel_wget"},
        {"sort_numbers"},
        {"sort_numbers", "0"},
        {"sort_numbers", "10", "0"},
        {"sort_numbers", "ten"},
        {"matrix_multiply"},
        {"matrix_multiply", "-3"},
        {"matrix_multiply", "5", "x"},
        {"user_server"},
        {"user_client", "127.0.0.1"},
        {"user_client", "127.0.0.1", "port", "text"},
        {"user_client", "127.0.0.1", "1"},
        {"status_page"},
        {"status_page", "port"},
        {"graph"},
        {"graph", "--help"},
    };
    for (std::vector<std::string> line : lines) {
        std::string text;
        for (const std::string &word : line)
            text += word + " ";
        line[0] = program(line[0]);
        peer::Result result = peer::run(line);
        EXPECT_EQ(2, result.status) << text;
        EXPECT_NE(std::string::npos, result.err.find("usage: ")) << text;
        EXPECT_EQ("", result.out) << text;
    }
}

TEST(Tutorial, PortThatIsTaken) {
    raw::Listener taken;
    peer::Result result = peer::run({program("hello_world"), std::to_string(taken.port())});
    EXPECT_EQ(1, result.status);
    EXPECT_NE(std::string::npos, result.err.find("cannot start")) << result.err;
}

TEST(Tutorial, HelloWorld) {
    Server server("hello_world");
    ASSERT_NE(0, server.port());
    raw::Socket idle = raw::Socket::connect(server.port());
    ASSERT_TRUE(idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_NE(std::string::npos, idle.read_until("Weft!").find("Hello from Weft!"));
    server.expect_clean_end(); // With a kept connection open.
    EXPECT_TRUE(idle.wait_closed());
    EXPECT_NE(std::string::npos, server.process().out().find("stopped"));
}

TEST(Tutorial, StatusPage) {
    Server server("status_page");
    ASSERT_NE(0, server.port());
    const std::string end = " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    std::string answer = exchange(server.port(), "GET /wait/20" + end);
    EXPECT_NE(std::string::npos, answer.find("waited 20 ms")) << answer;
    answer = exchange(server.port(), "GET /wait/long" + end);
    EXPECT_EQ(0u, answer.find("HTTP/1.1 400 ")) << answer;
    answer = exchange(server.port(), "GET /status" + end);
    EXPECT_NE(std::string::npos, answer.find("</html>"));
    answer = exchange(server.port(), "GET /status/metrics" + end);
    for (const char *line :
         {"\nwaits_total{result=\"good\"} 1\n", "\nwaits_total{result=\"bad\"} 1\n",
          "\nwaits_now 0\n", "\nwait_seconds_count 1\n"})
        EXPECT_NE(std::string::npos, answer.find(line)) << line << answer;
    server.expect_clean_end();
}

TEST(Tutorial, Wget) {
    Workshop workshop;
    ASSERT_TRUE(workshop.start());
    peer::Result result = peer::run({program("wget"), workshop.url("/big/100000")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_TRUE(Workshop::pattern(100000) == result.out);
    EXPECT_EQ(0u, result.err.find("HTTP/1.1 200 OK\n"));
    // Without the scheme, and chunked.
    std::string url = workshop.url("/chunked").substr(7);
    result = peer::run({program("wget"), url});
    EXPECT_EQ("first second", result.out) << result.err;
    result = peer::run(
        {program("wget"), "http://127.0.0.1:" + std::to_string(raw::refusing_port()) + "/"});
    EXPECT_EQ(1, result.status);
    EXPECT_NE(std::string::npos, result.err.find("Connection refused")) << result.err;
    result = peer::run({program("wget"), "http://no-such-host.invalid/"});
    EXPECT_EQ(1, result.status);
    EXPECT_NE(std::string::npos, result.err.find("state 66")) << result.err;
}

// Ctrl-C while the answer is awaited.
TEST(Tutorial, WgetInterrupted) {
    raw::Listener silent;
    peer::Process wget;
    ASSERT_TRUE(wget.start({program("wget"), "http://127.0.0.1:" + std::to_string(silent.port())}));
    raw::Socket peer = silent.accept();
    ASSERT_NE("", peer.read_until("\r\n\r\n"));
    wget.signal(SIGINT);
    EXPECT_EQ(1, wget.wait(20000)) << wget.err();
}

TEST(Tutorial, HttpEchoServer) {
    Server server("http_echo_server");
    ASSERT_NE(0, server.port());
    std::string answer =
        exchange(server.port(), "POST /path HTTP/1.1\r\nHost: x\r\nX-Mark: y\r\n"
                                "Connection: close\r\nContent-Length: 4\r\n\r\nbody");
    EXPECT_NE(std::string::npos, answer.find("POST /path")) << answer;
    EXPECT_NE(std::string::npos, answer.find("X-Mark = y"));
    EXPECT_EQ("body", answer.substr(answer.size() - 4));
    // The third request of a connection is the last.
    raw::Socket client = raw::Socket::connect(server.port());
    for (int i = 1; i <= 3; i++) {
        ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        std::string mark = "request " + std::to_string(i) + " of this connection";
        EXPECT_NE(std::string::npos, client.read_until(mark).find(mark));
    }
    EXPECT_TRUE(client.wait_closed());
    server.expect_clean_end();
    EXPECT_NE(std::string::npos, server.process().out().find("replied to 127.0.0.1 port "));
}

TEST(Tutorial, HttpProxy) {
    Workshop workshop;
    ASSERT_TRUE(workshop.start());
    Server proxy("http_proxy");
    ASSERT_NE(0, proxy.port());
    ASSERT_TRUE(peer::have("curl"));
    std::string address = "127.0.0.1:" + std::to_string(proxy.port());
    auto curl = [&](std::vector<std::string> args) {
        args.insert(args.begin(), {"curl", "-sS", "--noproxy", "", "-x", address});
        return peer::run(args);
    };
    EXPECT_EQ("hello", curl({workshop.url("/hello")}).out);
    EXPECT_EQ("first second", curl({workshop.url("/chunked")}).out);
    EXPECT_EQ("posted", curl({"-d", "posted", workshop.url("/echo")}).out);
    EXPECT_EQ(
        "chunks",
        curl({"-H", "Transfer-Encoding: chunked", "-d", "chunks", workshop.url("/echo")}).out);
    std::string head = curl({"-I", workshop.url("/hello")}).out;
    EXPECT_EQ(0u, head.find("HTTP/1.1 200 OK\r\n"));
    EXPECT_NE(std::string::npos, head.find("Via: 1.1 weft-tutorial\r\n"));
    EXPECT_EQ("404", curl({"-o", "/dev/null", "-w", "%{http_code}", workshop.url("/none")}).out);
    EXPECT_EQ("204",
              curl({"-o", "/dev/null", "-w", "%{http_code}", workshop.url("/status/204")}).out);
    std::string dead = "http://127.0.0.1:" + std::to_string(raw::refusing_port()) + "/";
    EXPECT_EQ("502", curl({"-o", "/dev/null", "-w", "%{http_code}", dead}).out);
    EXPECT_NE(std::string::npos,
              exchange(proxy.port(), "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                  .find("HTTP/1.1 400 "));
    EXPECT_NE(
        std::string::npos,
        exchange(proxy.port(), "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n")
            .find("HTTP/1.1 501 "));
    std::string big = peer::run({"curl", "-sS", "-x", address, workshop.url("/big/5000000")}).out;
    EXPECT_TRUE(Workshop::pattern(5000000) == big) << big.size();
    proxy.expect_clean_end();
}

TEST(Tutorial, ParallelWget) {
    Workshop workshop;
    ASSERT_TRUE(workshop.start());
    std::string dead = "127.0.0.1:" + std::to_string(raw::refusing_port());
    peer::Result result = peer::run({program("parallel_wget"), workshop.url("/hello"),
                                     workshop.url("/slow/300"), workshop.url("/slow/300"), dead});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_NE(std::string::npos, result.out.find("Connection refused")) << result.out;
    EXPECT_NE(std::string::npos, result.out.find("/hello"));
    EXPECT_NE(std::string::npos, result.out.find("4 pages: ")) << result.out;
}

TEST(Tutorial, ParallelWgetInterrupted) {
    raw::Listener silent;
    peer::Process wget;
    ASSERT_TRUE(wget.start(
        {program("parallel_wget"), "http://127.0.0.1:" + std::to_string(silent.port())}));
    raw::Socket peer = silent.accept();
    ASSERT_NE("", peer.read_until("\r\n\r\n"));
    wget.signal(SIGINT);
    EXPECT_EQ(130, wget.wait(20000)) << wget.err();
}

TEST(Tutorial, Sort) {
    for (const char *slices : {"1", "2", "3", "7", "16"}) {
        peer::Result result = peer::run({program("sort_numbers"), "100003", slices});
        EXPECT_EQ(0, result.status) << result.out << result.err;
        EXPECT_NE(std::string::npos, result.out.find("; sorted")) << slices;
    }
    EXPECT_EQ(0, peer::run({program("sort_numbers"), "1"}).status);
    EXPECT_EQ(0, peer::run({program("sort_numbers"), "3", "100"}).status);
}

TEST(Tutorial, MatrixMultiply) {
    for (const char *bands : {"1", "4", "64"}) {
        peer::Result result = peer::run({program("matrix_multiply"), "60", bands});
        EXPECT_EQ(0, result.status) << result.out << result.err;
        EXPECT_NE(std::string::npos, result.out.find("product checked")) << bands;
    }
}

TEST(Tutorial, UserProtocol) {
    Server server("user_server");
    ASSERT_NE(0, server.port());
    peer::Result result = peer::run({program("user_client"), "127.0.0.1",
                                     std::to_string(server.port()), "one two three", "", "x"});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ("0: one two three -> three two one\n1:  -> \n2: x -> x\n", result.out);
    // The wire itself, in pieces and pipelined; then a broken length, which ends the connection.
    EXPECT_EQ("3:b a,0:,1:z,", [&] {
        raw::Socket client = raw::Socket::connect(server.port());
        for (char c : std::string("3:a b,0:,1:z,"))
            client.send(std::string(1, c));
        return client.read_bytes(13);
    }());
    for (const char *bad : {"x", ":", "03:abc,", "3:abcx", "9999999:", "99999999999"})
        EXPECT_EQ("", exchange(server.port(), bad)) << bad;
    server.expect_clean_end();
    result =
        peer::run({program("user_client"), "127.0.0.1", std::to_string(raw::refusing_port()), "x"});
    EXPECT_EQ(1, result.status);
    EXPECT_NE(std::string::npos, result.err.find("Connection refused"));
}

TEST(Tutorial, Graph) {
    peer::TempDir dir;
    ASSERT_TRUE(dir.write("text", "one two\nthree eee\n"));
    peer::Result result = peer::run({program("graph"), dir.file("text")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_NE(std::string::npos, result.out.find("18 bytes, 4 words, 2 lines")) << result.out;
    EXPECT_NE(std::string::npos, result.out.find("longest line 9, most frequent letter 'e'"));
    EXPECT_EQ(1, peer::run({program("graph"), dir.file("nothing")}).status);
}

} // namespace
