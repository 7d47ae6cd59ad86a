// Weft - integration: our HTTP client against nginx and node
// SPDX-License-Identifier: Apache-2.0
//
// Keep-alive, chunked answers, HEAD, 1xx, 204, 304, redirects, large bodies both ways, load.

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>

#include "integration/call.h"
#include "integration/peer.h"
#include "integration/workshop.h"

namespace {

void head(WFHttpTask *task) { task->get_req()->set_method(HttpMethodHead); }

std::function<void(WFHttpTask *)> post(const std::string &body) {
    return [&body](WFHttpTask *task) {
        task->get_req()->set_method(HttpMethodPost);
        task->get_req()->append_output_body_nocopy(body);
    };
}

class WithNginx : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(peer::have("nginx"));
        ASSERT_TRUE(
            nginx_.start("location = /hello { return 200 'from nginx'; }\n"
                         "location = /empty { return 204; }\n"
                         "location = /moved { return 301 /hello; }\n"
                         "location = /twice { return 302 http://127.0.0.1:$server_port/moved; }\n"
                         "location = /closing { keepalive_timeout 0; return 200 'bye'; }\n"
                         "location = /gzip { gzip on; gzip_types text/plain; gzip_min_length 1;\n"
                         "  alias " +
                         nginx_.dir().file("html/file.txt") + "; }\n"));
        ASSERT_TRUE(nginx_.dir().write("html/file.txt", Workshop::pattern(5000)));
        ASSERT_TRUE(nginx_.dir().write("html/big.bin", Workshop::pattern(kBig)));
    }

    static const size_t kBig = 30 * 1024 * 1024;
    peer::Nginx nginx_;
};

TEST_F(WithNginx, GetAndKeepAlive) {
    for (int i = 0; i < 3; i++) {
        Call call;
        ASSERT_TRUE(call.run(nginx_.url("/hello")));
        EXPECT_EQ(WFT_STATE_SUCCESS, call.state) << call.error;
        EXPECT_EQ("200", call.status);
        EXPECT_EQ("from nginx", call.body);
        EXPECT_EQ(i, call.seq);
    }
}

TEST_F(WithNginx, ConnectionClose) {
    for (int i = 0; i < 2; i++) {
        Call call;
        ASSERT_TRUE(call.run(nginx_.url("/closing")));
        EXPECT_EQ("bye", call.body);
        EXPECT_EQ(0, call.seq);
    }
}

TEST_F(WithNginx, Head) {
    for (int i = 0; i < 3; i++) {
        Call call;
        ASSERT_TRUE(call.run(nginx_.url("/file.txt"), head));
        EXPECT_EQ(WFT_STATE_SUCCESS, call.state) << call.error;
        EXPECT_EQ("5000", call.headers->get("Content-Length"));
        EXPECT_EQ("", call.body);
        EXPECT_EQ(i, call.seq);
    }
}

TEST_F(WithNginx, NoContent) {
    for (int i = 0; i < 2; i++) {
        Call call;
        ASSERT_TRUE(call.run(nginx_.url("/empty")));
        EXPECT_EQ("204", call.status);
        EXPECT_EQ(i, call.seq);
    }
}

TEST_F(WithNginx, NotModified) {
    Call first;
    ASSERT_TRUE(first.run(nginx_.url("/file.txt")));
    ASSERT_EQ("200", first.status);
    EXPECT_EQ(Workshop::pattern(5000), first.body);
    std::string etag = first.headers->get("ETag");
    Call second;
    ASSERT_TRUE(second.run(nginx_.url("/file.txt"), [&](WFHttpTask *task) {
        task->get_req()->add_header_pair("If-None-Match", etag);
    }));
    EXPECT_EQ("304", second.status);
    EXPECT_EQ("", second.body);
    EXPECT_EQ(1, second.seq);
    Call third;
    ASSERT_TRUE(third.run(nginx_.url("/hello")));
    EXPECT_EQ("from nginx", third.body);
    EXPECT_EQ(2, third.seq);
}

TEST_F(WithNginx, PartialContent) {
    Call call;
    ASSERT_TRUE(call.run(nginx_.url("/file.txt"), [](WFHttpTask *task) {
        task->get_req()->add_header_pair("Range", "bytes=100-199");
    }));
    EXPECT_EQ("206", call.status);
    EXPECT_EQ(Workshop::pattern(5000).substr(100, 100), call.body);
}

TEST_F(WithNginx, Redirects) {
    Call plain;
    ASSERT_TRUE(plain.run(nginx_.url("/moved")));
    EXPECT_EQ("301", plain.status);
    Call followed;
    ASSERT_TRUE(followed.run(nginx_.url("/twice"), nullptr, 2));
    EXPECT_EQ("200", followed.status);
    EXPECT_EQ("from nginx", followed.body);
}

// nginx sends compressed files in chunks.
TEST_F(WithNginx, ChunkedAnswer) {
    Call call;
    ASSERT_TRUE(call.run(nginx_.url("/gzip"), [](WFHttpTask *task) {
        task->get_req()->add_header_pair("Accept-Encoding", "gzip");
    }));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
    EXPECT_EQ("chunked", call.headers->get("Transfer-Encoding"));
    EXPECT_EQ("gzip", call.headers->get("Content-Encoding"));
    ASSERT_GT(call.body.size(), 100u);
    EXPECT_EQ("\x1f\x8b", call.body.substr(0, 2));
}

TEST_F(WithNginx, LargeDownload) {
    for (int i = 0; i < 2; i++) {
        Call call;
        ASSERT_TRUE(call.run(nginx_.url("/big.bin")));
        EXPECT_EQ(WFT_STATE_SUCCESS, call.state) << call.error;
        EXPECT_TRUE(Workshop::pattern(kBig) == call.body) << call.body.size();
        EXPECT_EQ(i, call.seq);
    }
}

TEST_F(WithNginx, BodyUntilClose) {
    Call call;
    ASSERT_TRUE(call.run(nginx_.url("/file.txt"), [](WFHttpTask *task) {
        task->get_req()->set_http_version("HTTP/1.0");
        task->set_keep_alive(0);
    }));
    EXPECT_EQ(Workshop::pattern(5000), call.body);
}

// Many calls at once: each gets its own answer.
TEST_F(WithNginx, ManyAtOnce) {
    const int kCalls = 300;
    std::atomic<int> good(0);
    std::promise<void> ended;
    ParallelWork *all =
        Workflow::create_parallel_work([&](const ParallelWork *) { ended.set_value(); });
    for (int i = 0; i < kCalls; i++) {
        WFHttpTask *task = WFTaskFactory::create_http_task(
            nginx_.url(i % 2 ? "/hello" : "/file.txt"), 0, 1, [&](WFHttpTask *t) {
                const void *body = nullptr;
                size_t size = 0;
                bool hello = std::string(t->get_req()->get_request_uri()) == "/hello";
                if (t->get_state() == WFT_STATE_SUCCESS &&
                    t->get_resp()->get_parsed_body(&body, &size) && size == (hello ? 10u : 5000u))
                    good++;
            });
        all->add_series(Workflow::create_series_work(task, nullptr));
    }
    all->start();
    ASSERT_EQ(std::future_status::ready, ended.get_future().wait_for(std::chrono::seconds(60)));
    EXPECT_EQ(kCalls, good.load());
}

// Our server behind nginx as a reverse proxy, our client before it.
TEST(NginxProxy, BetweenOurClientAndOurServer) {
    ASSERT_TRUE(peer::have("nginx"));
    Workshop workshop;
    ASSERT_TRUE(workshop.start());
    peer::Nginx nginx;
    ASSERT_TRUE(
        nginx.start("location / { proxy_pass http://127.0.0.1:" + std::to_string(workshop.port()) +
                    "; proxy_http_version 1.1; proxy_set_header Connection ''; }"));
    std::string body = Workshop::pattern(3000000);
    Call echo;
    ASSERT_TRUE(echo.run(nginx.url("/echo"), post(body)));
    EXPECT_EQ("200", echo.status) << nginx.log();
    EXPECT_TRUE(body == echo.body) << echo.body.size();
    Call chunked;
    ASSERT_TRUE(chunked.run(nginx.url("/chunked")));
    EXPECT_EQ("first second", chunked.body);
    Call empty;
    ASSERT_TRUE(empty.run(nginx.url("/status/204")));
    EXPECT_EQ("204", empty.status);
}

class WithNode : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(peer::have("node"));
        ASSERT_TRUE(node_.start(R"JS(
const server = http.createServer((req, res) => {
    if (req.url === '/early') {
        res.writeEarlyHints({link: '</style.css>; rel=preload'});
        res.writeProcessing();
        setTimeout(() => res.end('after hints'), 20);
    } else if (req.url === '/chunks') {
        res.write('one ');
        setTimeout(() => { res.write('two '); setTimeout(() => res.end('three'), 10); }, 10);
    } else if (req.url === '/trailers') {
        res.writeHead(200, {'Trailer': 'X-Sum', 'Transfer-Encoding': 'chunked'});
        res.write('body');
        res.addTrailers({'X-Sum': '42'});
        res.end();
    } else if (req.url === '/echo') {
        const parts = [];
        req.on('data', d => parts.push(d));
        req.on('end', () => {
            const all = Buffer.concat(parts);
            res.setHeader('X-Length', req.headers['content-length'] || 'none');
            res.setHeader('X-Coding', req.headers['transfer-encoding'] || 'none');
            res.end(all);
        });
    } else if (req.url === '/stream') {
        req.pipe(res);
    } else if (req.url === '/304') {
        res.statusCode = 304; res.end();
    } else if (req.url === '/204') {
        res.statusCode = 204; res.end();
    } else if (req.url === '/hop') {
        res.writeHead(307, {Location: '/echo'}); res.end();
    } else {
        res.end('node ' + req.method + ' ' + req.url);
    }
});
server.on('checkContinue', (req, res) => { res.writeContinue(); server.emit('request', req, res); });
serve(server);
)JS"));
    }

    peer::NodeServer node_;
};

TEST_F(WithNode, GetAndKeepAlive) {
    for (int i = 0; i < 3; i++) {
        Call call;
        ASSERT_TRUE(call.run(node_.url("/a")));
        EXPECT_EQ("node GET /a", call.body) << call.state << " " << call.error;
        EXPECT_EQ(i, call.seq);
    }
}

// Interim answers 103 and 102 are dropped; the final one is the answer.
TEST_F(WithNode, InterimAnswers) {
    for (int i = 0; i < 2; i++) {
        Call call;
        ASSERT_TRUE(call.run(node_.url("/early")));
        EXPECT_EQ("200", call.status);
        EXPECT_EQ("after hints", call.body);
        EXPECT_FALSE(call.headers && call.headers->key_exists("link"));
        EXPECT_EQ(i, call.seq);
    }
}

TEST_F(WithNode, ContinueAnswer) {
    std::string body = "with expectation";
    Call call;
    ASSERT_TRUE(call.run(node_.url("/echo"), [&](WFHttpTask *task) {
        post(body)(task);
        task->get_req()->add_header_pair("Expect", "100-continue");
    }));
    EXPECT_EQ("200", call.status);
    EXPECT_EQ(body, call.body);
}

TEST_F(WithNode, ChunksAndTrailers) {
    Call chunks;
    ASSERT_TRUE(chunks.run(node_.url("/chunks")));
    EXPECT_EQ("one two three", chunks.body);
    Call trailers;
    ASSERT_TRUE(trailers.run(node_.url("/trailers")));
    EXPECT_EQ("body", trailers.body);
    EXPECT_EQ(1, trailers.seq);
    Call next;
    ASSERT_TRUE(next.run(node_.url("/x")));
    EXPECT_EQ(2, next.seq);
}

TEST_F(WithNode, StatusWithoutBody) {
    const char *paths[] = {"/204", "/304"};
    for (int i = 0; i < 4; i++) {
        Call call;
        ASSERT_TRUE(call.run(node_.url(paths[i % 2])));
        EXPECT_EQ(i % 2 ? "304" : "204", call.status);
        EXPECT_EQ("", call.body);
        EXPECT_EQ(i, call.seq);
    }
}

TEST_F(WithNode, HeadKeepsTheConnection) {
    for (int i = 0; i < 3; i++) {
        Call call;
        ASSERT_TRUE(call.run(node_.url("/chunks"), head));
        EXPECT_EQ("200", call.status);
        EXPECT_EQ(i, call.seq);
    }
}

TEST_F(WithNode, LargeBodyBothWays) {
    const std::string body = Workshop::pattern(40 * 1024 * 1024);
    for (const char *path : {"/echo", "/stream"}) {
        Call call;
        ASSERT_TRUE(call.run(node_.url(path), post(body)));
        EXPECT_EQ(WFT_STATE_SUCCESS, call.state) << path << call.error;
        EXPECT_TRUE(body == call.body) << path << " " << call.body.size();
    }
}

// A body that the user frames in chunks himself.
TEST_F(WithNode, ChunkedRequest) {
    Call call;
    ASSERT_TRUE(call.run(node_.url("/echo"), [](WFHttpTask *task) {
        task->get_req()->set_method(HttpMethodPost);
        task->get_req()->add_header_pair("Transfer-Encoding", "chunked");
        task->get_req()->append_output_body("3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    }));
    EXPECT_EQ("abcdefg", call.body);
    ASSERT_NE(nullptr, call.headers);
    EXPECT_EQ("chunked", call.headers->get("X-Coding"));
    EXPECT_EQ("none", call.headers->get("X-Length"));
}

TEST_F(WithNode, RedirectKeepsTheBody) {
    const std::string body = "carried on";
    Call call;
    ASSERT_TRUE(call.run(node_.url("/hop"), post(body), 1));
    EXPECT_EQ("200", call.status);
    EXPECT_EQ(body, call.body);
}

} // namespace
