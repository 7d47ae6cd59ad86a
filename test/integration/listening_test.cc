// Weft - integration: ways to listen: options, pauses, Unix sockets, and handing over to a successor
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <atomic>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "integration/call.h"
#include "integration/raw_socket.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFHttpServer.h"
#include "workflow/wf/restart.h"

namespace {

void hello(WFHttpTask *task) { task->get_resp()->append_output_body("hello"); }

unsigned short port_of(const WFHttpServer &server) {
    sockaddr_storage addr = {};
    socklen_t len = sizeof addr;
    EXPECT_EQ(server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len), 0);
    return ntohs(addr.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6 *>(&addr)->sin6_port
                                            : reinterpret_cast<sockaddr_in *>(&addr)->sin_port);
}

std::string url_of(const WFHttpServer &server) {
    return "http://127.0.0.1:" + std::to_string(port_of(server)) + "/";
}

std::string get(const std::string &url) {
    Call call;
    EXPECT_TRUE(call.run(url, [](WFHttpTask *t) { t->set_keep_alive(0); }));
    return call.state == WFT_STATE_SUCCESS ? call.body : "error " + std::to_string(call.error);
}

const char *const ASK = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

} // namespace

TEST(Listening, OneListenerForEachPoller) {
    WFHttpServer server(hello);
    CommListenOptions options;
    options.reuse_port = true;
    server.set_listen_options(&options);
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    for (int i = 0; i < 50; i++)
        EXPECT_EQ(get(url_of(server)), "hello");
    server.stop();
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    EXPECT_EQ(get(url_of(server)), "hello");
    server.stop();
}

TEST(Listening, AcceptsOneOrAllAtOnce) {
    for (int most : {0, 1}) {
        WFHttpServer server(hello);
        CommListenOptions options;
        options.accept_at_once = most;
        server.set_listen_options(&options);
        ASSERT_EQ(server.start("127.0.0.1", 0), 0);
        std::vector<raw::Socket> clients;
        for (int i = 0; i < 20; i++)
            clients.push_back(raw::Socket::connect(port_of(server)));
        for (raw::Socket &client : clients) {
            ASSERT_TRUE(client.send(ASK));
            EXPECT_NE(client.read_until("hello"), "");
        }
        server.stop();
    }
}

TEST(Listening, OptionsReachTheSockets) {
    int no_delay = -1, keep_alive = -1, idle = -1, timeout = -1;
    class Server : public WFHttpServer {
    public:
        using WFHttpServer::WFHttpServer;
        std::function<void(int)> look;

    private:
        WFConnection *new_connection(int fd) override {
            this->look(fd);
            return this->WFHttpServer::new_connection(fd);
        }
    } server(hello);
    server.look = [&](int fd) {
        socklen_t len = sizeof(int);
        getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len);
        getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keep_alive, &len);
        getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &len);
        getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &len);
    };
    CommSocketOptions options;
    options.keep_idle = 77;
    options.user_timeout = 4321;
    server.set_socket_options(&options);
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    EXPECT_EQ(get(url_of(server)), "hello");
    server.stop();
    EXPECT_NE(no_delay, 0);
    EXPECT_NE(keep_alive, 0);
    EXPECT_EQ(idle, 77);
    EXPECT_EQ(timeout, 4321);
}

TEST(Listening, PausedItKeepsNewcomersWaiting) {
    WFHttpServer server(hello);
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    raw::Socket before = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(before.send(ASK));
    EXPECT_NE(before.read_until("hello"), "");
    server.pause_accepting();
    ASSERT_TRUE(before.send(ASK)); // who is in stays in
    EXPECT_NE(before.read_until("hello"), "");
    raw::Socket late = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(late.send(ASK));
    struct pollfd p = {late.fd(), POLLIN, 0};
    EXPECT_EQ(poll(&p, 1, 200), 0);
    server.resume_accepting();
    EXPECT_NE(late.read_until("hello"), "");
    server.stop();
    server.pause_accepting(); // does nothing now
}

// Who owns a socket that was handed in may end it for all: then this server hears of it, once.
TEST(Listening, ShutDownBySomebodyElse) {
    class Server : public WFHttpServer {
    public:
        using WFHttpServer::WFHttpServer;
        std::promise<int> ended;

    private:
        void handle_stop(int error) override { ended.set_value(error); }
    } server(hello);
    raw::Listener listener;
    ASSERT_EQ(server.serve(listener.fd()), 0);
    ASSERT_EQ(shutdown(listener.fd(), SHUT_RDWR), 0);
    std::future<int> ended = server.ended.get_future();
    ASSERT_EQ(ended.wait_for(std::chrono::seconds(30)), std::future_status::ready);
    EXPECT_EQ(ended.get(), EINVAL);
    server.stop();
}

TEST(Listening, BindsNowAndListensLater) {
    WFHttpServer server(hello);
    EXPECT_EQ(server.start_bound(), -1);
    EXPECT_EQ(errno, ENOTCONN);
    ASSERT_EQ(server.bind(AF_INET, "127.0.0.1", 0), 0);
    unsigned short port = port_of(server);
    EXPECT_NE(port, 0);
    EXPECT_FALSE(raw::Socket::connect(port).valid());
    ASSERT_EQ(server.start_bound(), 0);
    EXPECT_EQ(port_of(server), port);
    EXPECT_EQ(get(url_of(server)), "hello");
    server.stop();
}

TEST(Listening, DualStack) {
    WFHttpServer server(hello);
    if (server.start(AF_INET6, "::", 0) < 0) { // a system without IPv6 says so
        EXPECT_EQ(errno, EAFNOSUPPORT);
        return;
    }
    std::string port = std::to_string(port_of(server));
    EXPECT_EQ(get("http://127.0.0.1:" + port + "/"), "hello");
    EXPECT_EQ(get("http://[::1]:" + port + "/"), "hello");
    server.stop();
    CommListenOptions options;
    options.dual_stack = false;
    server.set_listen_options(&options);
    ASSERT_EQ(server.start(AF_INET6, "::", 0), 0);
    port = std::to_string(port_of(server));
    EXPECT_EQ(get("http://127.0.0.1:" + port + "/"), "error " + std::to_string(ECONNREFUSED));
    EXPECT_EQ(get("http://[::1]:" + port + "/"), "hello");
    server.stop();
}

namespace {

std::string ask_unix(const std::string &path) {
    sockaddr_un addr = {};
    addr.sun_family = AF_UNIX;
    memcpy(addr.sun_path, path.data(), path.size());
    socklen_t len = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() +
                                           (path[0] == '\0' ? 0 : 1));
    raw::Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(socket.fd(), reinterpret_cast<sockaddr *>(&addr), len) < 0)
        return "error " + std::to_string(errno);
    socket.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    std::string answer = socket.read_all();
    return answer.substr(answer.rfind('\n') + 1);
}

} // namespace

TEST(UnixSocket, OfAPath) {
    char dir[] = "/tmp/weft-unix-XXXXXX";
    ASSERT_NE(mkdtemp(dir), nullptr);
    std::string path = std::string(dir) + "/socket";
    WFHttpServer server(hello), other(hello);
    ASSERT_EQ(server.start_unix(path.c_str()), 0);
    EXPECT_EQ(ask_unix(path), "hello");
    EXPECT_EQ(other.start_unix(path.c_str()), -1);
    EXPECT_EQ(errno, EADDRINUSE);
    server.stop();
    EXPECT_NE(access(path.c_str(), F_OK), 0) << "the file is left behind";
    // What a server that was killed leaves behind is no obstacle.
    int left = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un addr = {};
    addr.sun_family = AF_UNIX;
    memcpy(addr.sun_path, path.c_str(), path.size());
    ASSERT_EQ(bind(left, reinterpret_cast<sockaddr *>(&addr), sizeof addr), 0);
    close(left);
    ASSERT_EQ(server.start_unix(path.c_str()), 0);
    EXPECT_EQ(ask_unix(path), "hello");
    server.stop();
    rmdir(dir);
}

TEST(UnixSocket, Abstract) {
    std::string name = "@weft-test-" + std::to_string(getpid());
    WFHttpServer server(hello);
    ASSERT_EQ(server.start_unix(name.c_str()), 0);
    name[0] = '\0';
    EXPECT_EQ(ask_unix(name), "hello");
    server.stop();
    EXPECT_EQ(server.start_unix(nullptr), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(server.start_unix(std::string(200, 'x').c_str()), -1);
    EXPECT_EQ(errno, ENAMETOOLONG);
}

TEST(UnixSocket, OfOurClient) {
    std::string name = "@weft-client-" + std::to_string(getpid());
    WFHttpServer server(hello);
    ASSERT_EQ(server.start_unix(name.c_str()), 0);
    sockaddr_un addr = {};
    addr.sun_family = AF_UNIX;
    memcpy(addr.sun_path + 1, name.c_str() + 1, name.size() - 1);
    socklen_t len = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    using Factory = WFNetworkTaskFactory<protocol::HttpRequest, protocol::HttpResponse>;
    WFFacilities::WaitGroup done(1);
    int state = -1;
    WFHttpTask *task = Factory::create_client_task(TT_TCP, reinterpret_cast<sockaddr *>(&addr), len,
                                                   0, [&](WFHttpTask *t) {
                                                       state = t->get_state();
                                                       done.done();
                                                   });
    task->get_req()->set_method("GET");
    task->get_req()->set_request_uri("/");
    task->get_req()->set_http_version("HTTP/1.1");
    task->get_req()->add_header_pair("Host", "x");
    task->start();
    done.wait();
    EXPECT_EQ(state, WFT_STATE_SUCCESS);
    server.stop();
}

TEST(Drain, AnnouncesTheEnd) {
    std::promise<void> asked, go;
    WFHttpServer server([&](WFHttpTask *task) {
        asked.set_value();
        go.get_future().wait();
        hello(task);
    });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send(ASK));
    asked.get_future().wait();
    server.shutdown();
    go.set_value();
    std::string answer = client.read_all();
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
    EXPECT_NE(answer.find("hello"), std::string::npos);
    server.wait_finish();
}

// The test program is its own successor: see main().
TEST(Restart, NoNewcomerIsRefused) {
    WFHttpServer server(hello);
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    std::string url = url_of(server);
    std::atomic<bool> over{false};
    std::atomic<int> good{0}, bad{0};
    std::promise<void> enough;
    std::thread load([&]() {
        for (int from_new = 0; !over;) {
            std::string body = get(url);
            (body == "hello" || body == "successor" ? good : bad)++;
            if (body == "successor" && ++from_new == 50)
                enough.set_value();
        }
    });
    char self[4096] = {};
    ASSERT_GT(readlink("/proc/self/exe", self, sizeof self - 1), 0);
    char flag[] = "--serve-as-successor";
    char *argv[] = {self, flag, nullptr};
    pid_t pid = wf::start_successor(argv, {&server}, 60000);
    ASSERT_GT(pid, 0) << strerror(errno);
    server.stop();
    EXPECT_EQ(enough.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
    over = true;
    load.join();
    kill(pid, SIGTERM);
    waitpid(pid, nullptr, 0);
    EXPECT_EQ(bad, 0);
    EXPECT_GT(good, 20);
}

TEST(Restart, ASuccessorThatFailsChangesNothing) {
    WFHttpServer server(hello);
    char none[] = "/nonexistent/program", truth[] = "true", sleeper[] = "sleep",
         long_time[] = "100";
    char *missing[] = {none, nullptr}, *ends[] = {truth, nullptr};
    char *hangs[] = {sleeper, long_time, nullptr};
    EXPECT_EQ(wf::start_successor(ends, {&server}, 1000), -1);
    EXPECT_EQ(errno, ENOTCONN);
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    EXPECT_EQ(wf::start_successor(missing, {&server}, 1000), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(wf::start_successor(ends, {&server}, 60000), -1);
    EXPECT_EQ(errno, ECHILD);
    EXPECT_EQ(wf::start_successor(hangs, {&server}, 50), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
    EXPECT_EQ(get(url_of(server)), "hello");
    server.stop();
}

TEST(Restart, SocketActivation) {
    raw::Listener listener;
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", "0", 1);
    EXPECT_TRUE(wf::inherited_listeners().empty());
    EXPECT_EQ(getenv("LISTEN_FDS"), nullptr);
    WFHttpServer server(hello);
    ASSERT_EQ(server.serve(listener.fd()), 0);
    EXPECT_EQ(get("http://127.0.0.1:" + std::to_string(listener.port()) + "/"), "hello");
    server.stop();
    wf::tell_ready(); // nobody waits for it
}

namespace {

int serve_as_successor() {
    std::vector<int> fds = wf::inherited_listeners();
    WFHttpServer server(
        [](WFHttpTask *task) { task->get_resp()->append_output_body("successor"); });
    if (fds.size() != 1 || server.serve(fds[0]) < 0)
        return 1;
    wf::tell_ready();
    pause();
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    if (argc > 1 && std::string(argv[1]) == "--serve-as-successor")
        return serve_as_successor();
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
