// Weft - compat: stopping, restarting and limiting servers
// SPDX-License-Identifier: Apache-2.0
//
// Rows 87 to 93 of the behaviour table.

#include <errno.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <vector>

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

void say_ok(WFHttpTask *task) { task->get_resp()->append_output_body("ok"); }

bool answered(raw::Socket &client) {
    return client.send(kGet) && client.read_until("ok").find("200") != std::string::npos;
}

// Row 87: shutdown() returns at once, closes idle connections, lets running requests finish
// and closes after them; wait_finish() waits for connections and series.
TEST(ServerStop, Row87RunningRequestsFinish) {
    Event in_process;
    Event release;
    std::atomic<bool> series_over(false);
    WFHttpServer server([&](WFHttpTask *task) {
        if (std::string(task->get_req()->get_request_uri()) != "/slow") {
            say_ok(task);
            return;
        }
        series_of(task)->push_back(WFTaskFactory::create_go_task("row87", [&, task]() {
            in_process.set();
            release.wait();
            say_ok(task);
        }));
        series_of(task)->set_callback([&](const SeriesWork *) { series_over = true; });
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    unsigned short port = port_of(server);
    raw::Socket idle = raw::Socket::connect(port);
    ASSERT_TRUE(answered(idle));
    raw::Socket busy = raw::Socket::connect(port);
    ASSERT_TRUE(busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"));
    ASSERT_TRUE(in_process.wait());

    server.shutdown();
    EXPECT_TRUE(idle.wait_closed());
    EXPECT_FALSE(raw::Socket::connect(port).valid());
    EXPECT_FALSE(series_over.load());
    release.set();
    std::string answer = busy.read_all();
    EXPECT_NE(std::string::npos, answer.find("ok"));
    server.wait_finish();
    EXPECT_TRUE(series_over.load());
    EXPECT_EQ(0u, server.get_conn_count());
}

// Row 87: shutdown A, shutdown B, wait A, wait B; and wait before shutdown.
TEST(ServerStop, Row87OrderOfCalls) {
    WFHttpServer a(say_ok);
    WFHttpServer b(say_ok);
    ASSERT_EQ(0, a.start("127.0.0.1", 0));
    ASSERT_EQ(0, b.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(a));
    ASSERT_TRUE(answered(client));
    a.shutdown();
    b.shutdown();
    a.wait_finish();
    b.wait_finish();

    ASSERT_EQ(0, a.start("127.0.0.1", 0));
    Event waited;
    std::thread waiter([&]() {
        a.wait_finish();
        waited.set();
    });
    client = raw::Socket::connect(port_of(a));
    ASSERT_TRUE(answered(client));
    EXPECT_EQ(0, waited.count());
    a.shutdown();
    EXPECT_TRUE(waited.wait());
    waiter.join();
}

// Row 87: a server in a callback of another thing may be waited for.
TEST(ServerStop, Row87WaitInsideACallback) {
    WFHttpServer other(say_ok);
    ASSERT_EQ(0, other.start("127.0.0.1", 0));
    raw::Socket held = raw::Socket::connect(port_of(other));
    ASSERT_TRUE(answered(held));
    Event done;
    WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
        other.stop();
        done.set();
    })->start();
    ASSERT_TRUE(done.wait());
    EXPECT_TRUE(held.wait_closed());
}

// Row 88: after stop the same object restarts on the same port, again and again.
TEST(ServerStop, Row88RestartOnTheSamePort) {
    WFHttpServer server(say_ok);
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    unsigned short port = port_of(server);
    for (int i = 0; i < 5; i++) {
        raw::Socket client = raw::Socket::connect(port);
        EXPECT_TRUE(answered(client));
        server.stop();
        ASSERT_EQ(0, server.start("127.0.0.1", port)) << i;
    }
    server.stop();
}

// Row 89: stop() inside a callback of the same server aborts with a message, it does not hang.
TEST(ServerStopDeathTest, Row89StopInOwnCallback) {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(
        {
            WFHttpServer *server = nullptr;
            WFHttpServer own([&](WFHttpTask *) { server->stop(); });
            server = &own;
            own.start("127.0.0.1", 0);
            raw::Socket client = raw::Socket::connect(port_of(own));
            client.send(kGet);
            client.read_all();
        },
        "stop");
}

// The same in the task's callback. `process` decides what happens before; the client reads what
// comes. When stop() waits instead, the process ends by itself.
void stop_in_callback(std::function<void(WFHttpTask *)> process) {
    WFHttpServer *server = nullptr;
    Event stopped;
    WFHttpServer own([&](WFHttpTask *task) {
        process(task);
        task->set_callback([&](WFHttpTask *) {
            server->stop();
            stopped.set();
        });
    });
    server = &own;
    own.start("127.0.0.1", 0);
    raw::Socket client = raw::Socket::connect(port_of(own));
    client.send(kGet);
    client.read_until("end");
    stopped.wait_for(10000);
    _exit(3);
}

const char kOwnCallback[] = "weft: stop\\(\\) was called in a callback of the server";

// Row 89: the reply is written when process returns.
TEST(ServerStopDeathTest, Row89StopInATasksCallback) {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(
        stop_in_callback([](WFHttpTask *task) { task->get_resp()->append_output_body("end"); }),
        kOwnCallback);
}

// Row 89: the reply is so long that it is written on while the client reads.
TEST(ServerStopDeathTest, Row89StopAfterALongReply) {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(stop_in_callback([](WFHttpTask *task) {
                     task->get_resp()->append_output_body(std::string(32 << 20, 'x') + "end");
                 }),
                 kOwnCallback);
}

// Row 89: the reply is written later, at the end of a timer that process has pushed.
TEST(ServerStopDeathTest, Row89StopAfterATimer) {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(stop_in_callback([](WFHttpTask *task) {
                     task->get_resp()->append_output_body("end");
                     series_of(task)->push_back(WFTaskFactory::create_timer_task(0, kMs, nullptr));
                 }),
                 kOwnCallback);
}

// Row 89: the reply is written by a compute thread.
TEST(ServerStopDeathTest, Row89StopAfterAComputation) {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(stop_in_callback([](WFHttpTask *task) {
                     task->get_resp()->append_output_body("end");
                     series_of(task)->push_back(WFTaskFactory::create_go_task("row89", []() {}));
                 }),
                 kOwnCallback);
}

// Row 89: in the callback of another task of the request's series, or of one below it.
TEST(ServerStopDeathTest, Row89StopInTheRequestsSeries) {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    for (int kind = 0; kind < 4; kind++) {
        EXPECT_DEATH(
            {
                WFHttpServer *server = nullptr;
                Event stopped;
                auto stop = [&] {
                    server->stop();
                    stopped.set();
                };
                WFHttpServer own([&](WFHttpTask *task) {
                    SubTask *next = nullptr;
                    if (kind == 0)
                        next = WFTaskFactory::create_timer_task(0, kMs,
                                                                [&](WFTimerTask *) { stop(); });
                    else if (kind == 1)
                        next = WFTaskFactory::create_go_task("row89", [] {});
                    if (kind == 1)
                        static_cast<WFGoTask *>(next)->set_callback([&](WFGoTask *) { stop(); });
                    if (kind >= 2) {
                        WFTimerTask *timer =
                            WFTaskFactory::create_timer_task(0, kMs, [&](WFTimerTask *) {
                                if (kind == 2)
                                    stop();
                            });
                        SeriesWork *below =
                            Workflow::create_series_work(timer, [&](const SeriesWork *) {
                                if (kind == 3)
                                    stop();
                            });
                        next = Workflow::create_parallel_work(&below, 1, nullptr);
                    }
                    series_of(task)->push_back(next);
                });
                server = &own;
                own.start("127.0.0.1", 0);
                raw::Socket client = raw::Socket::connect(port_of(own));
                client.send(kGet);
                stopped.wait_for(10000);
                _exit(3);
            },
            kOwnCallback);
    }
}

// A task of its own, which was only started by a request, may.
TEST(ServerStop, Row89StopInATaskOfItsOwn) {
    WFHttpServer *server = nullptr;
    Event stopped;
    WFHttpServer own([&](WFHttpTask *task) {
        task->get_resp()->append_output_body("end");
        WFTaskFactory::create_timer_task(0, kMs, [&](WFTimerTask *) {
            server->stop();
            stopped.set();
        })->start();
    });
    server = &own;
    ASSERT_EQ(0, own.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(own));
    ASSERT_TRUE(client.send(kGet));
    EXPECT_NE(std::string::npos, client.read_until("end").find("200"));
    EXPECT_TRUE(stopped.wait());
}

// Row 90: start(0) picks a port; the forms of start.
TEST(ServerStop, Row90Ports) {
    WFHttpServer server(say_ok);
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    EXPECT_EQ(-1, server.get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len));
    EXPECT_EQ(ENOTCONN, errno);
    ASSERT_EQ(0, server.start(0));
    unsigned short port = port_of(server);
    EXPECT_NE(0, port);
    raw::Socket client = raw::Socket::connect(port);
    EXPECT_TRUE(answered(client));
    server.stop();
    ASSERT_EQ(0, server.start(AF_INET, 0));
    EXPECT_NE(0, port_of(server));
    server.stop();
    ASSERT_EQ(0, server.start(AF_INET, "localhost", 0));
    EXPECT_NE(0, port_of(server));
    server.stop();
    struct sockaddr_in loopback = {};
    loopback.sin_family = AF_INET;
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(0, server.start(reinterpret_cast<struct sockaddr *>(&loopback), sizeof loopback));
    EXPECT_NE(0, port_of(server));
    server.stop();
}

TEST(ServerStop, Row90BadStart) {
    WFHttpServer server(say_ok);
    EXPECT_EQ(-1, server.start("no-such-host.invalid", 0));
    EXPECT_EQ(EINVAL, errno);
    raw::Listener taken;
    EXPECT_EQ(-1, server.start("127.0.0.1", taken.port()));
    EXPECT_EQ(EADDRINUSE, errno);
    // A failed start leaves the object as it was.
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    EXPECT_TRUE(answered(client));
    server.stop();
}

// IPv6, both sides.
TEST(ServerStop, StartOnIpv6) {
    WFHttpServer server(say_ok);
    ASSERT_EQ(0, server.start(AF_INET6, "::1", 0));
    struct sockaddr_in6 addr;
    socklen_t len = sizeof addr;
    ASSERT_EQ(0, server.get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len));
    EXPECT_EQ(AF_INET6, addr.sin6_family);
    Event done;
    int state = -1;
    std::string url = "http://[::1]:" + std::to_string(ntohs(addr.sin6_port)) + "/";
    WFTaskFactory::create_http_task(url, 0, 0, [&](WFHttpTask *task) {
        state = task->get_state();
        done.set();
    })->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(WFT_STATE_SUCCESS, state);
    server.stop();
}

// serve(): a listening socket from outside; the caller keeps its own descriptor.
TEST(ServerStop, ServeADescriptor) {
    raw::Listener listener;
    WFHttpServer server(say_ok);
    ASSERT_EQ(0, server.serve(listener.fd()));
    EXPECT_EQ(listener.port(), port_of(server));
    raw::Socket client = raw::Socket::connect(listener.port());
    EXPECT_TRUE(answered(client));
    server.stop();
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    EXPECT_EQ(0, getsockname(listener.fd(), reinterpret_cast<struct sockaddr *>(&addr), &len));
}

// Row 91: at the limit the longest idle connection makes room.
TEST(ServerStop, Row91IdleMakesRoom) {
    struct WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.max_connections = 2;
    WFHttpServer server(&params, say_ok);
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket first = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(answered(first));
    raw::Socket second = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(answered(second));
    raw::Socket third = raw::Socket::connect(port_of(server));
    EXPECT_TRUE(answered(third));
    EXPECT_TRUE(first.wait_closed());
    EXPECT_TRUE(answered(second));
    server.stop();
}

// Row 91: when none is idle the newcomer is refused, the others stay.
TEST(ServerStop, Row91BusyServerRefuses) {
    struct WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.max_connections = 2;
    Event in_process;
    Event release;
    WFHttpServer server(&params, [&](WFHttpTask *task) {
        series_of(task)->push_back(WFTaskFactory::create_go_task("row91", [&, task]() {
            in_process.set();
            release.wait();
            say_ok(task);
        }));
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket busy[2];
    for (raw::Socket &client : busy) {
        client = raw::Socket::connect(port_of(server));
        ASSERT_TRUE(client.send(kGet));
    }
    // Two compute threads at least are not promised: one of the two requests runs for sure.
    ASSERT_TRUE(in_process.wait());
    raw::Socket refused = raw::Socket::connect(port_of(server));
    refused.send(kGet);
    EXPECT_TRUE(refused.wait_closed());
    release.set();
    for (raw::Socket &client : busy)
        EXPECT_NE(std::string::npos, client.read_until("ok").find("ok"));
    server.stop();
}

// Row 92, the compatible improvement: pipelined requests are all answered, in order.
TEST(ServerStop, Row92PipelinedRequestsAnsweredInOrder) {
    std::atomic<int> started(0);
    WFHttpServer server([&](WFHttpTask *task) {
        // Earlier requests take longer: order must not come from speed.
        long ms = 20 - 2 * started++;
        std::string uri = task->get_req()->get_request_uri();
        series_of(task)->push_back(
            WFTaskFactory::create_timer_task(0, std::max(ms, 0L) * kMs, [task, uri](WFTimerTask *) {
                task->get_resp()->append_output_body("<" + uri + ">");
            }));
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    std::string requests, expected, got;
    for (int i = 0; i < 50; i++) {
        requests += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n" +
                    (i == 49 ? "Connection: close\r\n\r\n" : "\r\n");
        expected += "</" + std::to_string(i) + ">";
    }
    ASSERT_TRUE(client.send(requests));
    std::string all = client.read_all();
    for (size_t at = all.find('<'); at != std::string::npos; at = all.find('<', at + 1))
        got += all.substr(at, all.find('>', at) - at + 1);
    EXPECT_EQ(expected, got);
    server.stop();
}

// Row 93: a server object may be destroyed once wait_finish has returned, whatever was going on.
TEST(ServerStop, Row93DestroyAfterWaitFinish) {
    for (int round = 0; round < 20; round++) {
        std::unique_ptr<WFHttpServer> server(new WFHttpServer([](WFHttpTask *task) {
            series_of(task)->push_back(WFTaskFactory::create_timer_task(0, kMs, nullptr));
        }));
        ASSERT_EQ(0, server->start("127.0.0.1", 0));
        std::vector<raw::Socket> clients;
        for (int i = 0; i < 10; i++) {
            clients.push_back(raw::Socket::connect(port_of(*server)));
            if (i % 3 != 2)
                clients.back().send(kGet);
        }
        server->stop();
        server.reset();
        for (raw::Socket &client : clients)
            EXPECT_TRUE(client.wait_closed());
    }
}

// Whoever comes second finds the server stopped, or waits with the first; a new start is not
// theirs.
TEST(ServerStop, SeveralThreadsMayStopIt) {
    WFHttpServer server(say_ok);
    for (int round = 0; round < 50; round++) {
        ASSERT_EQ(0, server.start("127.0.0.1", 0));
        raw::Socket client = raw::Socket::connect(port_of(server));
        ASSERT_TRUE(answered(client));
        std::thread other([&] { server.stop(); });
        server.stop();
        other.join();
        EXPECT_TRUE(client.wait_closed());
    }
}

} // namespace
