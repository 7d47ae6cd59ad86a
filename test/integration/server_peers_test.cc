// Weft - integration: real HTTP clients against our server
// SPDX-License-Identifier: Apache-2.0
//
// curl, wrk, ab and node's http client: keep-alive, bodies of all kinds, HEAD, 204, 304, load.

#include <gtest/gtest.h>

#include <fstream>

#include "integration/peer.h"
#include "integration/raw_socket.h"
#include "integration/workshop.h"

namespace {

class ServerPeers : public ::testing::Test {
protected:
    // `./dev test` installs these; without them the test has nothing to say.
    void SetUp() override {
        for (const char *program : {"curl", "wrk", "ab", "node"})
            ASSERT_TRUE(peer::have(program)) << program;
        ASSERT_TRUE(workshop_.start());
    }

    peer::Result curl(std::vector<std::string> args) {
        args.insert(args.begin(), {"curl", "-sS", "--noproxy", "*", "--max-time", "60"});
        return peer::run(args);
    }

    Workshop workshop_;
};

TEST_F(ServerPeers, CurlGet) {
    peer::Result result = curl({"-i", workshop_.url("/hello")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ(0u, result.out.find("HTTP/1.1 200 OK\r\n"));
    EXPECT_NE(std::string::npos, result.out.find("Content-Length: 5\r\n"));
    EXPECT_NE(std::string::npos, result.out.find("\r\n\r\nhello"));
}

// One connection for several URLs: curl says how many it made.
TEST_F(ServerPeers, CurlKeepAlive) {
    std::string hello = workshop_.url("/hello");
    peer::Result result = curl({"-w", " %{num_connects}\n", hello, hello, hello});
    EXPECT_EQ("hello 1\nhello 0\nhello 0\n", result.out) << result.err;
    EXPECT_EQ(1, workshop_.connections.load());
    result = curl({"-H", "Connection: close", "-w", " %{num_connects}\n", hello, hello});
    EXPECT_EQ("hello 1\nhello 1\n", result.out) << result.err;
}

TEST_F(ServerPeers, CurlHttp10) {
    peer::Result result = curl({"--http1.0", "-i", workshop_.url("/method")});
    EXPECT_NE(std::string::npos, result.out.find("Connection: close")) << result.err;
    EXPECT_NE(std::string::npos, result.out.find("GET close"));
}

TEST_F(ServerPeers, CurlHead) {
    std::string hello = workshop_.url("/hello");
    // A HEAD answer has a length and no body; the GET behind it uses the same connection.
    peer::Result result = curl({"-I", "-w", "%{num_connects} %{size_download}\n", hello, hello});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_NE(std::string::npos, result.out.find("Content-Length: 5\r\n"));
    EXPECT_EQ(std::string::npos, result.out.find("hello"));
    EXPECT_NE(std::string::npos, result.out.find("0 0\n")) << result.out;
}

TEST_F(ServerPeers, CurlStatusWithoutBody) {
    for (int code : {204, 304}) {
        std::string url = workshop_.url("/status/" + std::to_string(code));
        peer::Result result = curl({"-w", "%{http_code} %{num_connects}\n", url, url});
        EXPECT_EQ(0, result.status) << result.err;
        std::string text = std::to_string(code);
        EXPECT_EQ(text + " 1\n" + text + " 0\n", result.out);
    }
}

TEST_F(ServerPeers, CurlChunkedAnswer) {
    std::string url = workshop_.url("/chunked");
    peer::Result result = curl({"-w", " %{num_connects}\n", url, url});
    EXPECT_EQ("first second 1\nfirst second 0\n", result.out) << result.err;
}

TEST_F(ServerPeers, CurlPost) {
    peer::Result result = curl({"-d", "a=b&c=d", workshop_.url("/echo")});
    EXPECT_EQ("a=b&c=d", result.out) << result.err;
}

// Expect: 100-continue, with a body that curl sends only after the interim answer (or 1 s).
TEST_F(ServerPeers, CurlExpectContinue) {
    peer::TempDir dir;
    ASSERT_TRUE(dir.write("body", Workshop::pattern(100000)));
    peer::Result result = curl({"-v", "--expect100-timeout", "30", "-H", "Expect: 100-continue",
                                "--data-binary", "@" + dir.file("body"), workshop_.url("/echo")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ(Workshop::pattern(100000), result.out);
    EXPECT_NE(std::string::npos, result.err.find("100 Continue")) << result.err;
}

TEST_F(ServerPeers, CurlChunkedUpload) {
    peer::TempDir dir;
    ASSERT_TRUE(dir.write("body", Workshop::pattern(3000000)));
    peer::Result result = curl({"-X", "POST", "-H", "Transfer-Encoding: chunked", "-H",
                                "Expect:", "-T", dir.file("body"), workshop_.url("/echo")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_TRUE(Workshop::pattern(3000000) == result.out) << result.out.size();
}

// Large bodies both ways at once.
TEST_F(ServerPeers, CurlLargeEcho) {
    const size_t kSize = 40 * 1024 * 1024;
    peer::TempDir dir;
    ASSERT_TRUE(dir.write("body", Workshop::pattern(kSize)));
    peer::Result result = curl({"--data-binary", "@" + dir.file("body"), workshop_.url("/echo")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_TRUE(Workshop::pattern(kSize) == result.out) << result.out.size();
}

TEST_F(ServerPeers, CurlLargeDownloadSlowReader) {
    peer::Result result = curl({"--limit-rate", "8M", workshop_.url("/big/12000000")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_TRUE(Workshop::pattern(12000000) == result.out) << result.out.size();
}

TEST_F(ServerPeers, CurlUnknownPath) {
    peer::Result result = curl({"-o", "/dev/null", "-w", "%{http_code}", workshop_.url("/none")});
    EXPECT_EQ("404", result.out) << result.err;
}

// A request that carries a secret second one: both lengths given. 400 and one answer only.
TEST_F(ServerPeers, CurlSmuggling) {
    peer::Result result =
        curl({"-i", "-H", "Transfer-Encoding: chunked", "-H", "Content-Length: 3", "-d",
              "0\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n", workshop_.url("/echo")});
    EXPECT_EQ(0u, result.out.find("HTTP/1.1 400 ")) << result.out << result.err;
    EXPECT_EQ(0, workshop_.requests.load());
}

TEST_F(ServerPeers, WrkKeepAliveLoad) {
    peer::Result result =
        peer::run({"wrk", "-t1", "-c32", "-d2s", "--timeout", "10s", workshop_.url("/hello")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_NE(std::string::npos, result.out.find("requests in")) << result.out;
    EXPECT_EQ(std::string::npos, result.out.find("Socket errors")) << result.out;
    EXPECT_EQ(std::string::npos, result.out.find("Non-2xx")) << result.out;
    EXPECT_GT(workshop_.requests.load(), 100);
    EXPECT_LE(workshop_.connections.load(), 33);
}

// wrk with pipelining: eight requests in each packet, all answered.
TEST_F(ServerPeers, WrkPipelining) {
    peer::TempDir dir;
    dir.write("pipeline.lua", "init = function(args)\n"
                              "  local r = {}\n"
                              "  for i = 1, 8 do r[i] = wrk.format(nil, '/hello') end\n"
                              "  req = table.concat(r)\n"
                              "end\n"
                              "request = function() return req end\n");
    peer::Result result = peer::run({"wrk", "-t1", "-c8", "-d1s", "--timeout", "10s", "-s",
                                     dir.file("pipeline.lua"), workshop_.url("/hello")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ(std::string::npos, result.out.find("Socket errors")) << result.out;
    EXPECT_EQ(std::string::npos, result.out.find("Non-2xx")) << result.out;
    EXPECT_GT(workshop_.requests.load(), 100);
}

TEST_F(ServerPeers, AbNewConnectionEachTime) {
    peer::Result result =
        peer::run({"ab", "-q", "-n", "2000", "-c", "16", workshop_.url("/hello")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_NE(std::string::npos, result.out.find("Complete requests:      2000")) << result.out;
    EXPECT_NE(std::string::npos, result.out.find("Failed requests:        0")) << result.out;
    EXPECT_EQ(2000, workshop_.requests.load());
}

TEST_F(ServerPeers, AbKeepAlivePost) {
    peer::TempDir dir;
    ASSERT_TRUE(dir.write("body", Workshop::pattern(2000)));
    peer::Result result = peer::run({"ab", "-q", "-k", "-n", "2000", "-c", "16", "-p",
                                     dir.file("body"), "-T", "text/plain", workshop_.url("/echo")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_NE(std::string::npos, result.out.find("Failed requests:        0")) << result.out;
    EXPECT_NE(std::string::npos, result.out.find("Keep-Alive requests:    2000")) << result.out;
}

// node's agent with keep-alive: many requests over few sockets, each body checked.
TEST_F(ServerPeers, NodeKeepAliveAgent) {
    peer::Result result = peer::run_node(R"JS(
const port = Number(args[0]);
const agent = new http.Agent({keepAlive: true, maxSockets: 4});
let left = 200, bad = 0;
const sockets = new Set();
for (let i = 0; i < 200; i++) {
    const body = 'x'.repeat(i * 37);
    const req = http.request({port, host: '127.0.0.1', path: '/echo', method: 'POST', agent},
        res => {
            sockets.add(res.socket.localPort);
            let got = '';
            res.setEncoding('utf8');
            res.on('data', d => got += d);
            res.on('end', () => {
                if (got !== body || res.statusCode !== 200) bad++;
                if (--left === 0) {
                    console.log('bad', bad, 'sockets', sockets.size);
                    agent.destroy();
                }
            });
        });
    req.on('error', e => { console.log('error', e.message); process.exit(1); });
    if (i % 2) req.end(body);                           // with a length
    else { req.write(body.slice(0, 10)); req.end(body.slice(10)); }  // chunked
}
)JS",
                                         {std::to_string(workshop_.port())});
    EXPECT_EQ("bad 0 sockets 4\n", result.out) << result.err;
    EXPECT_EQ(200, workshop_.requests.load());
}

// node reads status, headers, chunks and HEAD answers with a strict parser.
TEST_F(ServerPeers, NodeReadsEveryKind) {
    peer::Result result = peer::run_node(R"JS(
const port = Number(args[0]);
const agent = new http.Agent({keepAlive: true, maxSockets: 1});
const todo = [['GET', '/chunked'], ['HEAD', '/hello'], ['GET', '/status/204'],
              ['GET', '/status/304'], ['DELETE', '/method'], ['GET', '/none'], ['GET', '/hello']];
function next() {
    if (todo.length === 0) { agent.destroy(); return; }
    const [method, path] = todo.shift();
    http.request({port, host: '127.0.0.1', path, method, agent}, res => {
        let got = '';
        res.on('data', d => got += d);
        res.on('end', () => { console.log(method, path, res.statusCode, got); next(); });
    }).on('error', e => { console.log('error', e.message); process.exit(1); }).end();
}
next();
)JS",
                                         {std::to_string(workshop_.port())});
    EXPECT_EQ("GET /chunked 200 first second\n"
              "HEAD /hello 200 \n"
              "GET /status/204 204 \n"
              "GET /status/304 304 \n"
              "DELETE /method 200 DELETE keep\n"
              "GET /none 404 \n"
              "GET /hello 200 hello\n",
              result.out)
        << result.err;
    EXPECT_EQ(1, workshop_.connections.load());
}

} // namespace
