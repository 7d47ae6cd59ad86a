// Weft - compat: HTTP client tasks: errors, retries, keep-alive, timeouts
// SPDX-License-Identifier: Apache-2.0
//
// Rows 61 to 70 and 72 to 75 of the behaviour table (60: bad_calls_test.cc, 71: redirect_test.cc).

#include <errno.h>
#include <netdb.h>

#include <gtest/gtest.h>

#include <atomic>

#include "workflow/WFHttpServer.h"

#include "http_call.h"
#include "integration/raw_socket.h"
#include "support.h"

using compat::Call;
using compat::Event;
using compat::Log;
using compat::port_of;
using compat::url_of;

namespace {

std::string answer(const std::string &body, const std::string &headers = "") {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers +
           "\r\n" + body;
}

// Row 61: refused after 1 + retry_max attempts, without delay.
TEST(Client, Row61Refused) {
    Call call;
    ASSERT_TRUE(call.run(url_of(raw::refusing_port()), 0, 3));
    EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state);
    EXPECT_EQ(ECONNREFUSED, call.error);
    EXPECT_EQ(TOR_NOT_TIMEOUT, call.reason);
    EXPECT_EQ(1, call.calls);
    EXPECT_TRUE(call.on_handler);
}

// Rows 61 and 62: the number of attempts, seen by a server that cuts each connection.
TEST(Client, Row61And62Attempts) {
    raw::ScriptedServer server([](raw::Socket &peer, int) { peer.read_until("\r\n\r\n"); });
    for (int retry_max : {0, 1, 3}) {
        int before = server.connections();
        Call call;
        ASSERT_TRUE(call.run(server.url(), 0, retry_max));
        EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state);
        EXPECT_EQ(ECONNRESET, call.error);
        EXPECT_EQ(1 + retry_max, server.connections() - before);
        EXPECT_EQ(1, call.calls);
    }
}

// Row 62: the retry that is answered hides the failure.
TEST(Client, Row62RetrySucceeds) {
    raw::ScriptedServer server([](raw::Socket &peer, int number) {
        peer.read_until("\r\n\r\n");
        if (number == 2)
            peer.send(answer("third time"));
    });
    Call call;
    ASSERT_TRUE(call.run(server.url(), 0, 5));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
    EXPECT_EQ("third time", call.body);
    EXPECT_EQ(3, server.connections());
}

// Row 63: a name that does not exist: DNS_ERROR with an EAI code, and no retry (row 62).
TEST(Client, Row63UnknownName) {
    Call call;
    ASSERT_TRUE(call.run("http://no-such-host.invalid/", 0, 3));
    EXPECT_EQ(WFT_STATE_DNS_ERROR, call.state);
    EXPECT_TRUE(call.error == EAI_NONAME || call.error == EAI_AGAIN || call.error == EAI_FAIL)
        << call.error;
    EXPECT_EQ(1, call.calls);
    EXPECT_TRUE(call.on_handler);
    EXPECT_FALSE(call.has_connection);
}

// localhost comes from the hosts file.
TEST(Client, LocalhostResolves) {
    WFHttpServer server([](WFHttpTask *task) { task->get_resp()->append_output_body("me"); });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    Call call;
    ASSERT_TRUE(call.run("http://localhost:" + std::to_string(port_of(server)) + "/", 0, 1));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
    EXPECT_EQ("me", call.body);
    server.stop();
}

// Row 65: keep-alive is the default, the most recent connection is used first, and the task
// sequence counts the requests of that connection.
TEST(Client, Row65KeepAlive) {
    std::atomic<int> connections(0);
    WFHttpServer server([&](WFHttpTask *task) {
        if (task->get_task_seq() == 0)
            connections++;
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    for (int i = 0; i < 3; i++) {
        Call call;
        ASSERT_TRUE(call.run(url_of(port_of(server))));
        EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
        EXPECT_EQ(i, call.seq);
        EXPECT_TRUE(call.has_connection);
    }
    EXPECT_EQ(1, connections.load());
    // Told to close, the request says so, and the next one connects anew.
    Call closing;
    ASSERT_TRUE(closing.run(url_of(port_of(server)), 0, 0,
                            [](WFHttpTask *task) { task->set_keep_alive(0); }));
    EXPECT_EQ(3, closing.seq);
    Call fresh;
    ASSERT_TRUE(fresh.run(url_of(port_of(server))));
    EXPECT_EQ(0, fresh.seq);
    server.stop();
}

TEST(Client, Row65LastInFirstOut) {
    // Two calls at the same time make two connections; their answers are sent in a known order.
    Event both;
    Event release[2];
    WFHttpServer server([&](WFHttpTask *task) {
        std::string uri = task->get_req()->get_request_uri();
        if (uri == "/next")
            return;
        int i = uri == "/1" ? 1 : 0;
        both.set();
        series_of(task)->push_back(
            WFTaskFactory::create_go_task("row65", [&release, i]() { release[i].wait(); }));
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    Call calls[2];
    Event ended[2];
    unsigned short ports[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        WFHttpTask *task = WFTaskFactory::create_http_task(
            url_of(port_of(server), i ? "/1" : "/0"), 0, 0, [&, i](WFHttpTask *t) {
                calls[i].note(t);
                ports[i] = static_cast<unsigned short>(calls[i].seq);
            });
        Workflow::start_series_work(task, [&, i](const SeriesWork *) { ended[i].set(); });
    }
    // One compute thread may be all there is: release the first before the second has begun.
    release[1].set();
    ASSERT_TRUE(both.wait(2));
    release[0].set();
    ASSERT_TRUE(ended[0].wait());
    ASSERT_TRUE(ended[1].wait());
    EXPECT_EQ(0, calls[0].seq);
    EXPECT_EQ(0, calls[1].seq);
    for (int i = 0; i < 4; i++) {
        Call next;
        ASSERT_TRUE(next.run(url_of(port_of(server), "/next")));
        EXPECT_EQ(i + 1, next.seq) << "the connection used last is used again";
    }
    server.stop();
}

// Row 66: a kept connection that the peer has closed meanwhile is dropped from the pool: the
// next task connects anew, with sequence 0.
TEST(Client, Row66ClosedWhileIdle) {
    Event closed;
    raw::ScriptedServer server([&](raw::Socket &peer, int) {
        peer.read_until("\r\n\r\n");
        peer.send(answer("x"));
        peer.close();
        closed.set();
    });
    Call first;
    ASSERT_TRUE(first.run(server.url()));
    EXPECT_EQ(WFT_STATE_SUCCESS, first.state);
    ASSERT_TRUE(closed.wait());
    // The FIN is on its way; with one retry it does not matter who wins.
    Call second;
    ASSERT_TRUE(second.run(server.url(), 0, 1));
    EXPECT_EQ(WFT_STATE_SUCCESS, second.state);
    EXPECT_EQ(0, second.seq);
    EXPECT_EQ(2, server.connections());
}

// Row 66: a kept connection that is cut by the request itself: ECONNRESET without a retry.
TEST(Client, Row66CutAtTheSecondRequest) {
    raw::ScriptedServer server([](raw::Socket &peer, int) {
        peer.read_until("\r\n\r\n");
        peer.send(answer("x"));
        peer.read_until("\r\n\r\n");
    });
    Call first;
    ASSERT_TRUE(first.run(server.url()));
    EXPECT_EQ(WFT_STATE_SUCCESS, first.state);
    Call second;
    ASSERT_TRUE(second.run(server.url()));
    EXPECT_EQ(WFT_STATE_SYS_ERROR, second.state);
    EXPECT_EQ(ECONNRESET, second.error);
    EXPECT_EQ(1, server.connections());
}

// Row 68: a server that takes the connection and never answers.
TEST(Client, Row68WatchTimeout) {
    raw::Listener silent;
    Call call;
    compat::Clock::time_point begin = compat::Clock::now();
    ASSERT_TRUE(call.run(url_of(silent.port()), 0, 0,
                         [](WFHttpTask *task) { task->set_watch_timeout(100); }));
    EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state);
    EXPECT_EQ(ETIMEDOUT, call.error);
    EXPECT_EQ(TOR_TRANSMIT_TIMEOUT, call.reason);
    EXPECT_GE(compat::ms_since(begin), 100.0);
    EXPECT_LT(compat::ms_since(begin), 9000.0); // The response timeout would be 10 s.
}

// Row 68: the whole answer is limited, though each piece comes in time.
TEST(Client, Row68ReceiveTimeout) {
    Event over;
    raw::ScriptedServer server([&](raw::Socket &peer, int) {
        peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        while (!over.wait_for(5) && peer.send("x"))
            continue;
    });
    Call call;
    compat::Clock::time_point begin = compat::Clock::now();
    ASSERT_TRUE(
        call.run(server.url(), 0, 0, [](WFHttpTask *task) { task->set_receive_timeout(200); }));
    over.set();
    EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state);
    EXPECT_EQ(ETIMEDOUT, call.error);
    EXPECT_EQ(TOR_TRANSMIT_TIMEOUT, call.reason);
    EXPECT_GE(compat::ms_since(begin), 190.0);
    EXPECT_LT(compat::ms_since(begin), 9000.0);
}

// Row 68: a peer that does not read: the send timeout.
TEST(Client, Row68SendTimeout) {
    Event over;
    raw::ScriptedServer server([&](raw::Socket &, int) { over.wait(); });
    Call call;
    std::string body(64 * 1024 * 1024, 'b');
    ASSERT_TRUE(call.run(server.url(), 0, 0, [&](WFHttpTask *task) {
        task->get_req()->set_method(HttpMethodPost);
        task->get_req()->append_output_body_nocopy(body);
        task->set_send_timeout(200);
    }));
    over.set();
    EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state);
    EXPECT_EQ(ETIMEDOUT, call.error);
    EXPECT_EQ(TOR_TRANSMIT_TIMEOUT, call.reason);
}

// Row 69: prepare runs on each attempt, just before encoding.
TEST(Client, Row69Prepare) {
    raw::ScriptedServer server([](raw::Socket &peer, int number) {
        std::string request = peer.read_until("\r\n\r\n");
        if (number == 1)
            peer.send(answer(request.substr(0, request.find("\r\n"))));
    });
    int prepared = 0;
    Call call;
    ASSERT_TRUE(call.run(server.url("/x"), 0, 1, [&](WFHttpTask *task) {
        task->set_prepare([&](WFHttpTask *t) {
            EXPECT_NE(nullptr, t->get_connection());
            t->get_req()->set_request_uri("/prepared/" + std::to_string(++prepared));
        });
    }));
    EXPECT_EQ(2, prepared);
    EXPECT_EQ("GET /prepared/2 HTTP/1.1", call.body);
}

// Row 69: prepare runs on a handler when the connection is new, on the dispatching thread when it
// is an old one.
TEST(Client, Row69PrepareThread) {
    WFHttpServer server([](WFHttpTask *) {});
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    for (int i = 0; i < 3; i++) {
        bool on_handler = false;
        std::thread::id thread;
        Call call;
        ASSERT_TRUE(call.run(url_of(port_of(server)), 0, 0, [&](WFHttpTask *task) {
            task->set_prepare([&](WFHttpTask *) {
                on_handler = WFGlobal::get_scheduler()->is_handler_thread() != 0;
                thread = std::this_thread::get_id();
            });
        }));
        EXPECT_EQ(i, call.seq);
        EXPECT_EQ(i == 0, on_handler) << i;
        EXPECT_EQ(i > 0, thread == std::this_thread::get_id()) << i;
    }
    server.stop();
}

// Row 70: size limit and broken answers, both retried like other system errors.
TEST(Client, Row70SizeLimitAndBadMessage) {
    raw::ScriptedServer server([](raw::Socket &peer, int) {
        std::string request = peer.read_until("\r\n\r\n");
        if (request.find("GET /big") == 0)
            peer.send(answer(std::string(1000, 'b')));
        else
            peer.send("HTP/9 what\r\n\r\n");
        peer.wait_closed();
    });
    Call big;
    ASSERT_TRUE(big.run(server.url("/big"), 0, 2,
                        [](WFHttpTask *task) { task->get_resp()->set_size_limit(100); }));
    EXPECT_EQ(WFT_STATE_SYS_ERROR, big.state);
    EXPECT_EQ(EMSGSIZE, big.error);
    EXPECT_EQ(3, server.connections());
    Call bad;
    ASSERT_TRUE(bad.run(server.url("/bad"), 0, 1));
    EXPECT_EQ(WFT_STATE_SYS_ERROR, bad.state);
    EXPECT_EQ(EBADMSG, bad.error);
    EXPECT_EQ(5, server.connections());
}

// Row 73: user data, callback and series survive retries; exactly one callback.
TEST(Client, Row73TaskSurvivesRetries) {
    raw::ScriptedServer server([](raw::Socket &peer, int number) {
        std::string request = peer.read_until("\r\n\r\n");
        if (number == 2)
            peer.send(answer(request.find("X-Mark: 1\r\n") != std::string::npos ? "marked" : "no"));
    });
    int mark = 0;
    Event ended;
    Call call;
    SeriesWork *seen = nullptr;
    WFHttpTask *task = WFTaskFactory::create_http_task(server.url(), 0, 2, [&](WFHttpTask *t) {
        call.note(t);
        seen = series_of(t);
        EXPECT_EQ(&mark, t->user_data);
    });
    task->user_data = &mark;
    task->get_req()->add_header_pair("X-Mark", "1");
    SeriesWork *series =
        Workflow::create_series_work(task, [&](const SeriesWork *) { ended.set(); });
    series->start();
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(1, call.calls);
    EXPECT_EQ(series, seen);
    EXPECT_EQ("marked", call.body);
}

// Row 74: connection and peer address in the callback; neither if no target was ever reached.
TEST(Client, Row74PeerInTheCallback) {
    WFHttpServer server([](WFHttpTask *) {});
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    Event done;
    unsigned short peer = 0;
    WFTaskFactory::create_http_task(url_of(port_of(server)), 0, 0, [&](WFHttpTask *task) {
        struct sockaddr_in addr;
        socklen_t len = sizeof addr;
        EXPECT_NE(nullptr, task->get_connection());
        EXPECT_EQ(0, task->get_peer_addr(reinterpret_cast<struct sockaddr *>(&addr), &len));
        peer = ntohs(addr.sin_port);
        done.set();
    })->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(port_of(server), peer);
    WFTaskFactory::create_http_task("bad url", 0, 0, [&](WFHttpTask *task) {
        struct sockaddr_in addr;
        socklen_t len = sizeof addr;
        EXPECT_EQ(nullptr, task->get_connection());
        EXPECT_EQ(-1, task->get_peer_addr(reinterpret_cast<struct sockaddr *>(&addr), &len));
        EXPECT_EQ(ENOTCONN, errno);
        EXPECT_EQ(-1, task->get_task_seq());
        done.set();
    })->start();
    ASSERT_TRUE(done.wait(2));
    server.stop();
}

// Row 75: too late to decide about keep-alive in the callback.
TEST(Client, Row75KeepAliveInTheCallback) {
    WFHttpServer server([](WFHttpTask *) {});
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    Event done;
    WFTaskFactory::create_http_task(url_of(port_of(server)), 0, 0, [&](WFHttpTask *task) {
        task->set_keep_alive(0);
        done.set();
    })->start();
    ASSERT_TRUE(done.wait());
    Call next;
    ASSERT_TRUE(next.run(url_of(port_of(server))));
    EXPECT_EQ(1, next.seq);
    server.stop();
}

// What a request carries when the user sets nothing but the URL.
TEST(Client, DefaultRequest) {
    raw::ScriptedServer server([](raw::Socket &peer, int) {
        peer.send(answer(peer.read_until("\r\n\r\n"), "Connection: close\r\n"));
    });
    Call call;
    ASSERT_TRUE(call.run(server.url("/p?q=1#fragment")));
    EXPECT_EQ("GET /p?q=1 HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) +
                  "\r\nConnection: Keep-Alive\r\n\r\n",
              call.body);
    Call no_path;
    std::string url = server.url();
    ASSERT_TRUE(no_path.run(url.substr(0, url.size() - 1)));
    EXPECT_EQ(0u, no_path.body.find("GET / HTTP/1.1\r\n"));
    Call post;
    ASSERT_TRUE(post.run(server.url(), 0, 0, [](WFHttpTask *task) {
        task->get_req()->set_method(HttpMethodPost);
        task->set_keep_alive(0);
    }));
    EXPECT_NE(std::string::npos, post.body.find("Content-Length: 0\r\n"));
    EXPECT_NE(std::string::npos, post.body.find("Connection: close\r\n"));
}

// Userinfo of the URL becomes an Authorization header, percent-decoded first.
TEST(Client, UserinfoBecomesAuthorization) {
    raw::ScriptedServer server(
        [](raw::Socket &peer, int) { peer.send(answer(peer.read_until("\r\n\r\n"))); });
    Call call;
    ASSERT_TRUE(call.run("http://user:p%40ss@127.0.0.1:" + std::to_string(server.port()) + "/"));
    EXPECT_NE(std::string::npos, call.body.find("Authorization: Basic dXNlcjpwQHNz\r\n"));
}

// A plus sign is no space there, written plainly or not.
TEST(Client, UserinfoKeepsPlusSigns) {
    raw::ScriptedServer server(
        [](raw::Socket &peer, int) { peer.send(answer(peer.read_until("\r\n\r\n"))); });
    Call call;
    ASSERT_TRUE(call.run("http://a%2Bb:c+d@127.0.0.1:" + std::to_string(server.port()) + "/"));
    // base64 of a+b:c+d
    EXPECT_NE(std::string::npos, call.body.find("\r\nAuthorization: Basic YStiOmMrZA==\r\n"))
        << call.body;
}

// A ParsedURI may be given instead of a string.
TEST(Client, ParsedUriForm) {
    WFHttpServer server([](WFHttpTask *task) { task->get_resp()->append_output_body("uri"); });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    ParsedURI uri;
    ASSERT_EQ(0, URIParser::parse(url_of(port_of(server), "/a"), uri));
    Event done;
    WFTaskFactory::create_http_task(uri, 0, 0, [&](WFHttpTask *task) {
        EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
        EXPECT_STREQ("/a", task->get_req()->get_request_uri());
        done.set();
    })->start();
    ASSERT_TRUE(done.wait());
    server.stop();
}

// The end of the stream is the end of a body without a length.
TEST(Client, BodyUntilClose) {
    raw::ScriptedServer server([](raw::Socket &peer, int) {
        peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    });
    Call call;
    ASSERT_TRUE(call.run(server.url()));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
    EXPECT_EQ("until the end", call.body);
}

// HEAD has no body, whatever the length says; the connection stays usable.
TEST(Client, Head) {
    raw::ScriptedServer server([](raw::Socket &peer, int) {
        while (peer.read_until("\r\n\r\n") != "")
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n");
    });
    for (int i = 0; i < 2; i++) {
        Call call;
        ASSERT_TRUE(call.run(server.url(), 0, 0, [](WFHttpTask *task) {
            task->get_req()->set_method(HttpMethodHead);
        }));
        EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
        EXPECT_EQ("", call.body);
        EXPECT_EQ(i, call.seq);
    }
}

} // namespace
