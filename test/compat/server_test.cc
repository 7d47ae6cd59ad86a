// Weft - compat: the life of a server and of its tasks
// SPDX-License-Identifier: Apache-2.0
//
// Rows 80 to 86 of the behaviour table; rows 87 to 93 are in server_stop_test.cc.

#include <errno.h>

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "workflow/HttpUtil.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFHttpServer.h"
#include "workflow/Workflow.h"

#include "integration/raw_socket.h"
#include "support.h"

using compat::Event;
using compat::Log;
using compat::port_of;

namespace {

const char kGet[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const long kMs = 1000 * 1000;

struct Exchange {
    std::string head;
    std::string body;
};

// One answer from a connection, by its Content-Length.
Exchange read_answer(raw::Socket &client) {
    Exchange exchange;
    std::string text = client.read_until("\r\n\r\n");
    size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos)
        return exchange;
    exchange.head = text.substr(0, end + 4);
    exchange.body = text.substr(end + 4);
    size_t at = exchange.head.find("Content-Length: ");
    if (at != std::string::npos) {
        size_t length = strtoul(exchange.head.c_str() + at + 16, NULL, 10);
        if (exchange.body.size() < length)
            exchange.body += client.read_bytes(length - exchange.body.size());
    }
    return exchange;
}

// Row 80: process runs on a handler; the reply leaves after process returned and its series
// is empty.
TEST(Server, Row80ReplyAfterTheSeries) {
    Event release;
    bool on_handler = false;
    WFHttpServer server([&](WFHttpTask *task) {
        on_handler = WFGlobal::get_scheduler()->is_handler_thread() != 0;
        EXPECT_EQ(WFT_STATE_TOREPLY, task->get_state());
        task->get_resp()->append_output_body("early ");
        *series_of(task) << WFTaskFactory::create_timer_task(
            0, 20 * kMs, [task](WFTimerTask *) { task->get_resp()->append_output_body("late"); });
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send(kGet));
    EXPECT_EQ("early late", read_answer(client).body);
    EXPECT_TRUE(on_handler);
    client.close();
    server.stop();
}

// Row 81: the connection is there in process and in the callback, NULL between.
TEST(Server, Row81ConnectionWindows) {
    Event done;
    WFConnection *in_process = nullptr;
    WFConnection *between = nullptr;
    WFConnection *in_callback = nullptr;
    WFHttpServer server([&](WFHttpTask *task) {
        in_process = task->get_connection();
        *series_of(task) << WFTaskFactory::create_timer_task(
            0, 0, [&, task](WFTimerTask *) { between = task->get_connection(); });
        task->set_callback([&](WFHttpTask *t) {
            in_callback = t->get_connection();
            done.set();
        });
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send(kGet));
    ASSERT_TRUE(done.wait());
    EXPECT_NE(nullptr, in_process);
    EXPECT_EQ(nullptr, between);
    EXPECT_EQ(in_process, in_callback);
    client.close();
    server.stop();
}

// Row 82: SUCCESS only says "written"; closed() is true in the callback.
TEST(Server, Row82CallbackState) {
    Event done;
    int state = -1;
    int error = -1;
    bool closed_in_process = true;
    bool closed_in_callback = false;
    WFHttpServer server([&](WFHttpTask *task) {
        closed_in_process = task->closed();
        task->set_callback([&](WFHttpTask *t) {
            state = t->get_state();
            error = t->get_error();
            closed_in_callback = t->closed();
            done.set();
        });
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send(kGet));
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(WFT_STATE_SUCCESS, state);
    EXPECT_EQ(0, error);
    EXPECT_FALSE(closed_in_process);
    EXPECT_TRUE(closed_in_callback);
    client.close();
    server.stop();
}

// Row 83: the peer is gone before the reply: the series goes on, closed() turns true, the
// callback sees SYS_ERROR with ENOENT (or the error of the write).
TEST(Server, Row83PeerGone) {
    Event in_process;
    Event done;
    Event client_gone;
    bool step_ran = false;
    int state = -1;
    int error = -1;
    WFHttpServer server([&](WFHttpTask *task) {
        in_process.set();
        WFGoTask *wait = WFTaskFactory::create_go_task("row83", [&, task]() {
            client_gone.wait();
            while (!task->closed())
                std::this_thread::yield();
            step_ran = true;
        });
        *series_of(task) << wait;
        task->set_callback([&](WFHttpTask *t) {
            state = t->get_state();
            error = t->get_error();
            done.set();
        });
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send(kGet));
    ASSERT_TRUE(in_process.wait());
    client.reset();
    client_gone.set();
    ASSERT_TRUE(done.wait());
    EXPECT_TRUE(step_ran);
    EXPECT_EQ(WFT_STATE_SYS_ERROR, state);
    EXPECT_TRUE(error == ENOENT || error == ECONNRESET || error == EPIPE) << error;
    server.stop();
}

// Row 83 with section 7 of the design: closed() turns true at the peer's FIN, and yet the reply
// is tried: a client that has only half-closed gets its answer.
TEST(Server, Row83HalfClosedClientIsAnswered) {
    Event done;
    int state = -1;
    WFHttpServer server([&](WFHttpTask *task) {
        WFGoTask *wait = WFTaskFactory::create_go_task("row83", [task]() {
            while (!task->closed())
                std::this_thread::yield();
            task->get_resp()->append_output_body("still here");
        });
        *series_of(task) << wait;
        task->set_callback([&](WFHttpTask *t) {
            state = t->get_state();
            done.set();
        });
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send(kGet));
    client.half_close();
    EXPECT_EQ("still here", read_answer(client).body);
    EXPECT_TRUE(client.wait_closed());
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(WFT_STATE_SUCCESS, state);
    server.stop();
}

// Row 84: noreply(): state 4, error 0, the connection is closed; push() works until then. The
// deleter of the connection context runs after the callback.
TEST(Server, Row84NoReplyAndPush) {
    Log log;
    Event deleted;
    int state = -1;
    int error = -1;
    int pushed = 0;
    int pushed_later = 0;
    int pushed_in_callback = 0;
    int callback_errno = 0;
    const std::string bytes(40, 'p');
    WFHttpServer server([&](WFHttpTask *task) {
        task->get_connection()->set_context(&log, [&](void *context) {
            static_cast<Log *>(context)->add("deleter");
            deleted.set();
        });
        task->noreply();
        EXPECT_EQ(WFT_STATE_NOREPLY, task->get_state());
        pushed = task->push(bytes.data(), bytes.size());
        *series_of(task) << WFTaskFactory::create_timer_task(0, 0, [&, task](WFTimerTask *) {
            pushed_later = task->push(bytes.data(), bytes.size());
        });
        task->set_callback([&](WFHttpTask *t) {
            state = t->get_state();
            error = t->get_error();
            pushed_in_callback = t->push("x", 1);
            callback_errno = errno;
            log.add("callback ");
        });
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send(kGet));
    EXPECT_EQ(bytes + bytes, client.read_all());
    ASSERT_TRUE(deleted.wait());
    EXPECT_EQ(40, pushed);
    EXPECT_EQ(40, pushed_later);
    EXPECT_EQ(WFT_STATE_NOREPLY, state);
    EXPECT_EQ(4, state);
    EXPECT_EQ(0, error);
    EXPECT_EQ(-1, pushed_in_callback);
    EXPECT_EQ(ENOENT, callback_errno);
    EXPECT_EQ("callback deleter", log.text());
    server.stop();
}

// Row 85: what a reply carries when the user sets nothing, exactly.
TEST(Server, Row85PlainReply) {
    WFHttpServer server([](WFHttpTask *task) { task->get_resp()->append_output_body("hi"); });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send(kGet));
    EXPECT_EQ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\n",
              read_answer(client).head);
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    EXPECT_EQ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
              client.read_all());
    client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send("GET / HTTP/1.0\r\n\r\n"));
    EXPECT_EQ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
              client.read_all());
    server.stop();
}

// Row 85: HTTP/1.0 that asks for keep-alive gets it; the server may close by its own header.
TEST(Server, Row85KeepAliveIsDecidedByBoth) {
    WFHttpServer server([](WFHttpTask *task) {
        if (std::string(task->get_req()->get_request_uri()) == "/bye")
            task->get_resp()->add_header_pair("Connection", "close");
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    EXPECT_NE(std::string::npos, read_answer(client).head.find("Connection: Keep-Alive\r\n"));
    ASSERT_TRUE(client.send("GET /bye HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_NE(std::string::npos, client.read_all().find("Connection: close\r\n"));
    server.stop();
}

// Row 85: max= closes the connection when its requests have reached that number.
TEST(Server, Row85KeepAliveMax) {
    WFHttpServer server([](WFHttpTask *) {});
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive\r\n"
                           "Keep-Alive: timeout=30, max=2\r\n\r\n";
    int answers = 0;
    while (answers < 10 && client.send(request) && !read_answer(client).head.empty())
        answers++;
    EXPECT_GE(answers, 2);
    EXPECT_LE(answers, 3);
    EXPECT_TRUE(client.wait_closed());
    server.stop();
}

// Row 85: timeout= is the keep-alive time in seconds.
TEST(Server, Row85KeepAliveTimeout) {
    WFHttpServer server([](WFHttpTask *) {});
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\nKeep-Alive: timeout=1\r\n\r\n"));
    ASSERT_FALSE(read_answer(client).head.empty());
    compat::Clock::time_point begin = compat::Clock::now();
    EXPECT_TRUE(client.wait_closed());
    EXPECT_GE(compat::ms_since(begin), 900.0);
    EXPECT_LT(compat::ms_since(begin), 10000.0);
    server.stop();
}

// Row 85: a bad request line gets a 400 and the end of the connection, and no task.
TEST(Server, Row85BadRequest) {
    int processed = 0;
    WFHttpServer server([&](WFHttpTask *) { processed++; });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send("this is no request\r\n\r\n"));
    std::string answer = client.read_all();
    EXPECT_EQ(0u, answer.find("HTTP/1.1 400 "));
    EXPECT_FALSE(client.was_reset());
    server.stop();
    EXPECT_EQ(0, processed);
}

// Row 70: a request above the size limit gets a 413 first.
TEST(Server, Row70RequestTooLarge) {
    struct WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.request_size_limit = 1000;
    WFHttpServer server(&params, [](WFHttpTask *) {});
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"));
    client.send(std::string(100000, 'x'));
    std::string answer = client.read_all();
    EXPECT_EQ(0u, answer.find("HTTP/1.1 413 "));
    server.stop();
}

// Row 86: the context belongs to the connection and survives its requests; its deleter runs
// once, after the last session.
TEST(Server, Row86ConnectionContext) {
    std::atomic<int> deleted(0);
    Event gone;
    std::vector<WFConnection *> seen;
    WFHttpServer server([&](WFHttpTask *task) {
        WFConnection *connection = task->get_connection();
        seen.push_back(connection);
        int *count = static_cast<int *>(connection->get_context());
        if (!count) {
            count = new int(0);
            connection->set_context(count, [&](void *context) {
                delete static_cast<int *>(context);
                deleted++;
                gone.set();
            });
        }
        task->get_resp()->append_output_body(std::to_string(++*count));
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    for (int i = 1; i <= 3; i++) {
        ASSERT_TRUE(client.send(kGet));
        EXPECT_EQ(std::to_string(i), read_answer(client).body);
    }
    EXPECT_EQ(0, deleted.load());
    client.close();
    ASSERT_TRUE(gone.wait());
    EXPECT_EQ(1, deleted.load());
    EXPECT_EQ(seen[0], seen[1]);
    EXPECT_EQ(seen[0], seen[2]);
    server.stop();
}

// Row 86: the deleter runs on a handler, whether the peer ends the connection or the reply.
TEST(Server, Row86DeleterThread) {
    Event gone;
    std::atomic<int> on_handler(0);
    WFHttpServer server([&](WFHttpTask *task) {
        task->get_connection()->set_context(&gone, [&](void *) {
            on_handler += WFGlobal::get_scheduler()->is_handler_thread() != 0;
            gone.set();
        });
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send(kGet));
    ASSERT_FALSE(read_answer(client).head.empty());
    client.close();
    ASSERT_TRUE(gone.wait(1));
    EXPECT_EQ(1, on_handler.load()) << "the peer";
    client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    client.read_all();
    ASSERT_TRUE(gone.wait(2));
    EXPECT_EQ(2, on_handler.load()) << "the reply";
    server.stop();
}

// Row 86: the same when shutdown() ends an idle connection: never on the thread that calls it.
// Which thread lets go last is a race, so there are many rounds.
TEST(Server, Row86DeleterThreadAtShutdown) {
    Event gone;
    std::atomic<int> on_handler(0);
    WFHttpServer server([&](WFHttpTask *task) {
        task->get_connection()->set_context(&gone, [&](void *) {
            on_handler += WFGlobal::get_scheduler()->is_handler_thread() != 0;
            gone.set();
        });
    });
    const int rounds = 300;
    for (int i = 1; i <= rounds; i++) {
        ASSERT_EQ(0, server.start("127.0.0.1", 0));
        raw::Socket client = raw::Socket::connect(port_of(server));
        ASSERT_TRUE(client.send(kGet));
        ASSERT_FALSE(read_answer(client).head.empty());
        server.stop();
        ASSERT_TRUE(gone.wait(i));
    }
    EXPECT_EQ(rounds, on_handler.load());
}

// Row 86: neither form of set_context frees the old value; test_set_context compares first.
TEST(Server, Row86SetContextForms) {
    int a = 0, b = 0, c = 0;
    Log log;
    Event gone;
    WFHttpServer server([&](WFHttpTask *task) {
        WFConnection *connection = task->get_connection();
        connection->set_context(&a, [&](void *context) {
            log.add(context == &c ? "c" : "?");
            gone.set();
        });
        connection->set_context(&b);
        EXPECT_EQ(&b, connection->get_context());
        EXPECT_EQ(&b, connection->test_set_context(&a, &c));
        EXPECT_EQ(&c, connection->test_set_context(&b, &c));
        EXPECT_EQ(&c, connection->get_context());
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send(kGet));
    ASSERT_FALSE(read_answer(client).head.empty());
    client.close();
    ASSERT_TRUE(gone.wait());
    EXPECT_EQ("c", log.text());
    server.stop();
}

// prepare runs just before the reply is encoded; the task sequence counts the requests.
TEST(Server, PrepareAndSequence) {
    WFHttpServer server([](WFHttpTask *task) {
        std::string seq = std::to_string(task->get_task_seq());
        task->set_prepare([seq](WFHttpTask *t) { t->get_resp()->append_output_body(seq); });
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    for (int i = 0; i < 3; i++) {
        ASSERT_TRUE(client.send(kGet));
        EXPECT_EQ(std::to_string(i), read_answer(client).body);
    }
    client.close();
    server.stop();
}

// A series callback set in process runs after the task's callback; a series context stays.
TEST(Server, SeriesCallbackAfterTaskCallback) {
    Log log;
    int context = 3;
    Event done;
    WFHttpServer server([&](WFHttpTask *task) {
        series_of(task)->set_context(&context);
        series_of(task)->set_callback([&](const SeriesWork *series) {
            EXPECT_EQ(&context, series->get_context());
            log.add("series");
            done.set();
        });
        task->set_callback([&](WFHttpTask *) { log.add("task "); });
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send(kGet));
    ASSERT_TRUE(done.wait());
    EXPECT_EQ("task series", log.text());
    client.close();
    server.stop();
}

// get_peer_addr names the client.
TEST(Server, PeerAddress) {
    unsigned short seen = 0;
    WFHttpServer server([&](WFHttpTask *task) {
        struct sockaddr_in addr;
        socklen_t len = sizeof addr;
        if (task->get_peer_addr(reinterpret_cast<struct sockaddr *>(&addr), &len) == 0)
            seen = ntohs(addr.sin_port);
        len = 1;
        EXPECT_EQ(-1, task->get_peer_addr(reinterpret_cast<struct sockaddr *>(&addr), &len));
        EXPECT_EQ(ENOBUFS, errno);
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    struct sockaddr_in mine;
    socklen_t len = sizeof mine;
    getsockname(client.fd(), reinterpret_cast<struct sockaddr *>(&mine), &len);
    ASSERT_TRUE(client.send(kGet));
    ASSERT_FALSE(read_answer(client).head.empty());
    EXPECT_EQ(ntohs(mine.sin_port), seen);
    client.close();
    server.stop();
}

} // namespace
