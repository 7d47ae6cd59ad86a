// Weft - integration: the tutorial programs on TLS, datagrams, Unix sockets and restart
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <string>
#include <vector>

#include "integration/peer.h"
#include "integration/raw_socket.h"

namespace {

std::string program(const std::string &name) { return std::string(WEFT_TUTORIALS) + "/" + name; }

// The number behind "port " of the line a server begins with; "" when it did not begin.
std::string port_of(peer::Process *process) {
    std::string line = process->wait_line("port ");
    size_t at = line.find("port ");
    if (at == std::string::npos)
        return "";
    return std::to_string(strtoul(line.c_str() + at + 5, nullptr, 10));
}

void expect_clean_end(peer::Process *process) {
    process->signal(SIGINT);
    EXPECT_EQ(0, process->wait(20000)) << process->err();
}

bool make_certificate(const peer::TempDir &dir) {
    return peer::run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                      "-addext", "subjectAltName=DNS:localhost", "-keyout", dir.file("key.pem"),
                      "-out", dir.file("cert.pem")})
               .status == 0;
}

TEST(Tutorial, BadCommandLinesOfTheLaterOnes) {
    const std::vector<std::vector<std::string>> lines = {
        {"https_server", "0"}, {"https_client"},          {"https_client", "http://x/"},
        {"udp_server"},        {"udp_client", "x", "y"},  {"udp_client", "x", "0", "z"},
        {"unix_server"},       {"unix_server", "--help"}, {"graceful_restart", "port"},
    };
    for (std::vector<std::string> line : lines) {
        line[0] = program(line[0]);
        peer::Result result = peer::run(line);
        EXPECT_EQ(2, result.status) << line[0];
        EXPECT_NE(std::string::npos, result.err.find("usage: ")) << line[0];
    }
    EXPECT_EQ(1, peer::run({program("https_server"), "0", "/nothing", "/nothing"}).status);
}

TEST(Tutorial, Https) {
    peer::TempDir dir;
    ASSERT_TRUE(make_certificate(dir));
    peer::Process server;
    server.start({program("https_server"), "0", dir.file("cert.pem"), dir.file("key.pem")});
    std::string url = "https://localhost:" + port_of(&server) + "/";
    peer::Result result = peer::run({program("https_client"), url, dir.file("cert.pem")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_NE(std::string::npos, result.out.find("TLSv1.3")) << result.out;
    EXPECT_EQ(0, peer::run({program("https_client"), url, "--unverified"}).status);
    result = peer::run({program("https_client"), url});
    EXPECT_EQ(1, result.status);
    EXPECT_NE(std::string::npos, result.err.find("self-signed certificate")) << result.err;
    EXPECT_EQ(2, peer::run({program("https_client"), url, dir.file("key.pem")}).status);

    ASSERT_TRUE(make_certificate(dir));
    server.signal(SIGHUP);
    EXPECT_NE("", server.wait_line("read again"));
    EXPECT_EQ(0, peer::run({program("https_client"), url, dir.file("cert.pem")}).status);
    ASSERT_TRUE(dir.write("cert.pem", "no certificate"));
    server.signal(SIGHUP);
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(0, peer::run({program("https_client"), url, "--unverified"}).status);
    expect_clean_end(&server);
}

TEST(Tutorial, Udp) {
    peer::Process server;
    server.start({program("udp_server"), "0"});
    std::string port = port_of(&server);
    peer::Result result = peer::run({program("udp_client"), "127.0.0.1", port, "hello there"});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ("hello there\n", result.out);
    expect_clean_end(&server);
    EXPECT_EQ(1, peer::run({program("udp_client"), "127.0.0.1", port, "x"}).status);
}

TEST(Tutorial, UnixSocket) {
    peer::TempDir dir;
    peer::Process server;
    server.start({program("unix_server"), dir.file("socket")});
    ASSERT_NE("", server.wait_line("listening"));
    peer::Result result =
        peer::run({"curl", "-s", "--unix-socket", dir.file("socket"), "http://localhost/"});
    EXPECT_EQ("Hello over a Unix socket!\n", result.out);
    expect_clean_end(&server);
}

TEST(Tutorial, GracefulRestart) {
    peer::Process server;
    server.start({program("graceful_restart"), "0"});
    std::string url = "http://127.0.0.1:" + port_of(&server) + "/";
    std::string first = peer::run({"curl", "-s", url}).out;
    EXPECT_EQ("process " + std::to_string(server.pid()) + "\n", first);
    server.signal(SIGHUP);
    EXPECT_EQ(0, server.wait(30000)) << server.err();
    std::string second = peer::run({"curl", "-s", url}).out;
    ASSERT_EQ(0u, second.find("process ")) << second;
    EXPECT_NE(first, second);
    pid_t successor = static_cast<pid_t>(strtol(second.c_str() + 8, nullptr, 10));
    ASSERT_GT(successor, 1);
    EXPECT_EQ(0, kill(successor, SIGTERM));
}

} // namespace
