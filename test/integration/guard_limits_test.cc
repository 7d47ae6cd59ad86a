// Weft - integration: every limit of a server on its peers, each with one that deserves it
// SPDX-License-Identifier: Apache-2.0
//
// The suite runs it with limits scaled down, where they can be; WEFT_SOAK_SECONDS asks for the long
// form, at the documented defaults (docs/about-guard.md). Each row has a server and a peer of its
// own, and all go on at once: so it takes the time of the slowest limit, and little CPU.
#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <gtest/gtest.h>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include "integration/certificates.h"
#include "integration/patience.h"
#include "integration/raw_socket.h"
#include "integration/soak.h"
#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"
#include "workflow/WFHttpServer.h"
#include "workflow/wf/authenticator.h"

namespace {

using Clock = std::chrono::steady_clock;

const char *const ASK = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const char *const ASK_MUCH = "GET /much HTTP/1.1\r\nHost: x\r\n\r\n";
const char *const HALF_A_HEAD = "GET / HTTP/1.1\r\nX: ";
const char *const A_HEAD = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n";
const char *const HALF_A_HELLO = "\x16\x03\x01\x02";
const size_t MUCH = 8u << 20;
const double SLACK = 5; // of the seconds that a limit takes at most

bool at_defaults() { return soak_time(0).count() > 0; }

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

using Change = std::function<void(WFServerParams *, CommServiceLimits *)>;

class LimitedServer : public WFHttpServer {
public:
    explicit LimitedServer(const Change &change = nullptr)
        : WFHttpServer(&HTTP_SERVER_PARAMS_DEFAULT, [](WFHttpTask *task) {
              bool much = std::string(task->get_req()->get_request_uri()) == "/much";
              task->get_resp()->append_output_body(much ? std::string(MUCH, 'm') : "hello");
          }) {
        CommServiceLimits limits = *this->get_limits();
        if (change)
            change(&this->params, &limits);
        this->set_limits(&limits);
    }
    unsigned short port() const {
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        this->get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
        return ntohs(addr.sin_port);
    }
};

// Few bytes fill the way from here, so that those that are not read stay with the server.
raw::Socket connect_small(unsigned short port) {
    raw::Socket client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    client.small_buffers();
    sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    addr.sin_port = htons(port);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(client.fd(), reinterpret_cast<sockaddr *>(&addr), sizeof addr) < 0)
        client.close();
    return client;
}

// The life of a peer: what it sends, then what it sends and reads each tenth of a second.
struct Row {
    std::string name;
    CommCloseReason reason;
    double at_defaults; // seconds until it is cut
    double scaled;      // in the short form; 0 is not part of it
    const char *begin;
    size_t sends, reads; // bytes each second
    const char *answer;  // what it gets to hear
    Change change;       // not at defaults
    bool secure = false;
};

class RowTest {
public:
    explicit RowTest(const Row &row)
        : row_(row), server_([&row](WFServerParams *params, CommServiceLimits *limits) {
              // Else that would come first; it is meant for peers that take nothing at all.
              if (row.reason == CCR_SEND_STALLED)
                  params->peer_response_timeout = -1;
              if (row.change && !at_defaults())
                  row.change(params, limits);
          }) {
        struct CommSocketOptions sockets;
        if (row.begin == ASK_MUCH)
            sockets.send_buffer = 4096;
        server_.set_socket_options(&sockets);
        if (row.reason == CCR_AUTH_TIMEOUT)
            server_.set_authenticator([this](wf::AuthRequest request) {
                std::lock_guard<std::mutex> lock(mutex_);
                held_ = std::move(request);
            });
    }

    void run(const Certificate &certificate) {
        int ret = row_.secure ? server_.start("127.0.0.1", 0, certificate.cert.c_str(),
                                              certificate.key.c_str())
                              : server_.start("127.0.0.1", 0);
        ASSERT_EQ(ret, 0);
        raw::Socket client = connect_small(server_.port());
        Clock::time_point begin = Clock::now();
        ASSERT_TRUE(client.send(row_.begin));
        double limit = at_defaults() ? row_.at_defaults : row_.scaled;
        while (server_.get_close_count(row_.reason) == 0 && seconds_since(begin) < limit + 60)
            this->suffer(&client, seconds_since(begin));
        double seconds = seconds_since(begin);
        if (row_.answer) { // a server that lingers counts at the end of that
            EXPECT_EQ(heard_.find(row_.answer), 0u) << row_.name << ": " << heard_;
        }
        EXPECT_EQ(server_.get_close_count(row_.reason), 1u) << row_.name;
        EXPECT_GE(seconds, limit - 0.1) << row_.name;
        if (at_defaults()) { // in the short form the machine may be busy
            // While the way there still fills up, bytes move that nobody reads.
            bool fills = row_.reason == CCR_SEND_STALLED || row_.reason == CCR_SEND_TIMEOUT;
            double first = fills ? 5 : 0;
            EXPECT_LE(seconds, limit + first + SLACK) << row_.name;
        }
        tell(row_.name + ": cut after " + std::to_string(seconds) + " s");
        {
            std::lock_guard<std::mutex> lock(mutex_);
            held_ = wf::AuthRequest();
        }
        server_.stop();
    }

private:
    // A tenth of a second of the peer's life.
    void suffer(raw::Socket *client, double seconds) {
        char buf[4096];
        poll(nullptr, 0, 100); // the slowness itself
        size_t due = static_cast<size_t>(seconds * static_cast<double>(row_.sends));
        if (due > sent_ && client->valid() && !over_) {
            over_ = !client->send(std::string(due - sent_, 'a'));
            sent_ = due;
        }
        due = static_cast<size_t>(seconds * static_cast<double>(row_.reads));
        ssize_t n = 1;
        while (n > 0 && (row_.reads == 0 ? row_.answer != nullptr : due > read_) &&
               client->valid()) {
            size_t most = row_.reads == 0 ? sizeof buf : std::min(due - read_, sizeof buf);
            n = recv(client->fd(), buf, most, MSG_DONTWAIT);
            read_ += n > 0 ? static_cast<size_t>(n) : 0;
            if (n > 0)
                heard_.append(buf, static_cast<size_t>(n));
        }
        if (row_.answer && n == 0) // all was said: it goes, and the server need not linger
            client->close();
    }

    const Row &row_;
    std::mutex mutex_;
    wf::AuthRequest held_; // under it
    LimitedServer server_;
    std::string heard_;
    size_t sent_ = 0, read_ = 0;
    bool over_ = false;
};

const char *const TOO_LATE = "HTTP/1.1 408 ";

std::vector<Row> rows() {
    using P = WFServerParams *;
    using L = CommServiceLimits *;
    return {
        {"first byte", CCR_FIRST_BYTE_TIMEOUT, 10, 1, "", 0, 0, nullptr,
         [](P, L l) { l->first_byte_timeout = 1000; }},
        {"TLS handshake", CCR_HANDSHAKE_TIMEOUT, 10, 1, HALF_A_HELLO, 0, 0, nullptr,
         [](P p, L) { p->ssl_accept_timeout = 1000; }, true},
        {"head", CCR_HEAD_TIMEOUT, 30, 2, HALF_A_HEAD, 10, 0, TOO_LATE,
         [](P, L l) { l->head_timeout = 2000; }},
        {"block", CCR_BLOCK_TIMEOUT, 10, 1, HALF_A_HEAD, 0, 0, TOO_LATE,
         [](P p, L) { p->peer_response_timeout = 1000; }},
        {"whole message", CCR_MESSAGE_TIMEOUT, 0, 2, A_HEAD, 1000, 0, TOO_LATE, // no default
         [](P p, L) { p->receive_timeout = 2000; }},
        {"first message", CCR_FIRST_MESSAGE_TIMEOUT, 0, 2, HALF_A_HEAD, 10, 0, TOO_LATE,
         [](P, L l) { l->first_message_timeout = 2000; }}, // the default of a head comes first
        {"rate of a body", CCR_SLOW_RECEIVE, 5, 5, A_HEAD, 10, 0, TOO_LATE, nullptr},
        {"idle", CCR_IDLE_TIMEOUT, 60, 1, ASK, 0, 0, "HTTP/1.1 200 ",
         [](P p, L) { p->keep_alive_timeout = 1000; }},
        {"never reads", CCR_SEND_TIMEOUT, 10, 1, ASK_MUCH, 0, 0, nullptr,
         [](P p, L) { p->peer_response_timeout = 1000; }},
        {"reads next to nothing", CCR_SEND_STALLED, 15, 15, ASK_MUCH, 0, 100, nullptr, nullptr},
        {"reads 1 KB/s", CCR_SLOW_SEND, 60, 0, ASK_MUCH, 0, 1000, nullptr, nullptr},
        {"authenticator is silent", CCR_AUTH_TIMEOUT, 10, 1, ASK, 0, 0, nullptr,
         [](P, L l) { l->authentication_timeout = 1000; }},
    };
}

} // namespace

TEST(GuardLimits, EachHasItsVictim) {
    Certificate own = Authority::common().make("limits");
    std::vector<Row> all = rows();
    std::vector<std::thread> threads;
    for (const Row &row : all) {
        if ((at_defaults() ? row.at_defaults : row.scaled) > 0)
            threads.emplace_back([&row, &own] {
                RowTest test(row);
                test.run(own);
            });
    }
    for (std::thread &thread : threads)
        thread.join();
}

namespace {

// Two hundred that send their heads a byte at a time, in one thread.
class Slowloris {
public:
    Slowloris(unsigned short port, size_t count) : begin_(Clock::now()) {
        for (size_t i = 0; i < count; i++) {
            clients_.push_back(raw::Socket::connect(port));
            clients_.back().send(HALF_A_HEAD);
        }
    }
    // A second of their lives.
    void drip() {
        std::string byte(1, 'a');
        for (raw::Socket &client : clients_) {
            if (!client.valid())
                continue;
            char buf[512];
            ssize_t n = recv(client.fd(), buf, sizeof buf, MSG_DONTWAIT);
            if (n >= 0 || !client.send(byte)) {
                late_ += n > 0 && std::string(buf, static_cast<size_t>(n)).find(TOO_LATE) == 0;
                client.close();
                cut_++;
                last_ = seconds_since(begin_);
            }
        }
        poll(nullptr, 0, 1000); // the slowness itself
    }
    size_t cut() const { return cut_; }
    size_t told() const { return late_; }
    double seconds() const { return seconds_since(begin_); }
    double last() const { return last_; }

private:
    Clock::time_point begin_;
    std::vector<raw::Socket> clients_;
    size_t cut_ = 0, late_ = 0;
    double last_ = 0;
};

} // namespace

TEST(GuardLimits, TwoHundredSlowlorisHarmNobody) {
    const size_t crowd = 200;
    const double limit = at_defaults() ? 30 : 3;
    LimitedServer server([](WFServerParams *, CommServiceLimits *limits) {
        if (!at_defaults())
            limits->head_timeout = 3000;
    });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    std::atomic<bool> over{false};
    std::atomic<int> served{0}, failed{0};
    std::atomic<double> worst{0};
    std::thread good([&] { // one connection that stays, and new ones all the time
        raw::Socket kept = raw::Socket::connect(server.port());
        while (!over) {
            Clock::time_point begin = Clock::now();
            raw::Socket fresh = raw::Socket::connect(server.port());
            for (raw::Socket *client : {&kept, &fresh}) {
                bool ok = client->send(ASK) &&
                          client->read_until("hello").find("200 OK") != std::string::npos;
                (ok ? served : failed)++;
            }
            worst = std::max(worst.load(), seconds_since(begin));
            poll(nullptr, 0, 5);
        }
    });
    Slowloris slow(server.port(), crowd);
    while (slow.cut() < crowd && slow.seconds() < limit + 60)
        slow.drip();
    over = true;
    good.join();
    EXPECT_EQ(slow.cut(), crowd);
    EXPECT_EQ(slow.told(), crowd);
    EXPECT_GE(slow.last(), limit - 0.1);
    if (at_defaults()) {
        EXPECT_LE(slow.last(), 35);
    }
    EXPECT_EQ(failed, 0);
    EXPECT_GT(served, 10);
    tell(std::to_string(crowd) + " slowloris clients: the last cut after " +
         std::to_string(slow.last()) + " s; " + std::to_string(served) +
         " requests of others served, two of them in at most " + std::to_string(worst * 1000) +
         " ms");
    EXPECT_TRUE(eventually([&] { return server.get_close_count(CCR_HEAD_TIMEOUT) == crowd; }));
    server.stop();
}

// A request that has stood in the queue for too long is answered at once, and not handled.
TEST(GuardLimits, ARequestMayBecomeTooOld) {
    std::mutex mutex;
    std::condition_variable cond;
    bool open = false;
    std::atomic<int> blocked{0}, quick{0};
    WFHttpServer server([&](WFHttpTask *task) {
        task->get_resp()->append_output_body("hello");
        if (std::string(task->get_req()->get_request_uri()) != "/block") {
            quick++;
            return;
        }
        std::unique_lock<std::mutex> lock(mutex); // which the engine is not told of
        blocked++;
        cond.wait(lock, [&] { return open; });
    });
    server.set_max_queue_age(100);
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    ASSERT_EQ(server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len), 0);
    unsigned short port = ntohs(addr.sin_port);
    std::vector<raw::Socket> clients;
    const int permits = 20; // handler_threads
    for (int i = 0; i < permits; i++) {
        clients.push_back(raw::Socket::connect(port));
        ASSERT_TRUE(clients.back().send("GET /block HTTP/1.1\r\nHost: x\r\n\r\n"));
        ASSERT_TRUE(eventually([&] { return blocked == i + 1; }));
    }
    raw::Socket late = raw::Socket::connect(port);
    ASSERT_TRUE(late.send(ASK));
    poll(nullptr, 0, 300); // it grows old
    {
        std::lock_guard<std::mutex> lock(mutex);
        open = true;
    }
    cond.notify_all();
    EXPECT_EQ(late.read_all().find("HTTP/1.1 503 "), 0u);
    for (raw::Socket &client : clients)
        EXPECT_NE(client.read_until("hello").find("200 OK"), std::string::npos);
    EXPECT_TRUE(eventually([&] { return server.get_close_count(CCR_TOO_OLD) == 1; }));
    EXPECT_EQ(quick, 0);
    server.set_max_queue_age(-1);
    late = raw::Socket::connect(port);
    ASSERT_TRUE(late.send(ASK));
    EXPECT_NE(late.read_until("hello").find("200 OK"), std::string::npos);
    server.stop();
}

// Who has the word is let in, once for the connection; others are told so, or hear nothing.
TEST(GuardLimits, AnAuthenticatorDecides) {
    std::atomic<int> asked{0}, handled{0};
    WFHttpServer server([&](WFHttpTask *task) {
        handled++;
        task->get_resp()->append_output_body("hello");
    });
    server.set_authenticator([&](wf::AuthRequest request) {
        asked++;
        auto *http = static_cast<const protocol::HttpRequest *>(request.get_message());
        protocol::HttpHeaderCursor cursor(http);
        std::string word;
        if (cursor.find("Authorization", word) && word == "right")
            std::thread([](wf::AuthRequest later) { later.admit(); }, std::move(request)).detach();
        else
            request.refuse();
    });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    ASSERT_EQ(server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len), 0);
    unsigned short port = ntohs(addr.sin_port);
    std::string begin = "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: ";
    raw::Socket known = raw::Socket::connect(port);
    ASSERT_TRUE(known.send(begin + "right\r\n\r\n" + ASK + ASK)); // pipelined behind it
    EXPECT_NE(known.read_until("hello").find("200 OK"), std::string::npos);
    EXPECT_TRUE(eventually([&] { return handled == 3; }));
    for (int i = 0; i < 20; i++) {
        raw::Socket stranger = raw::Socket::connect(port);
        ASSERT_TRUE(stranger.send(begin + "wrong\r\n\r\n" + ASK));
        std::string answer = stranger.read_all();
        EXPECT_EQ(answer.find("HTTP/1.1 403 "), 0u) << answer;
        EXPECT_EQ(answer.find("hello"), std::string::npos);
    }
    EXPECT_EQ(handled, 3);
    EXPECT_EQ(asked, 21);
    EXPECT_TRUE(eventually([&] { return server.get_close_count(CCR_REFUSED_AUTH) == 20; }));
    known.close();
    server.stop();
}

// Whoever only connects makes room for those that come behind, and a full server says no.
TEST(GuardLimits, SilentOnesMakeRoom) {
    const size_t places = 20;
    LimitedServer server(
        [](WFServerParams *params, CommServiceLimits *) { params->max_connections = places; });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    std::vector<raw::Socket> silent;
    for (size_t i = 0; i < 3 * places; i++) {
        silent.push_back(raw::Socket::connect(server.port()));
        if (i % 5 == 4) {
            raw::Socket good = raw::Socket::connect(server.port());
            EXPECT_TRUE(good.send(ASK));
            EXPECT_NE(good.read_until("hello").find("200 OK"), std::string::npos);
        }
    }
    EXPECT_GT(server.get_close_count(CCR_MADE_ROOM), places);
    // Those that make room count until their pollers have closed them.
    EXPECT_TRUE(eventually([&] { return server.get_conn_count() <= places; }));
    std::vector<raw::Socket> busy;
    for (size_t i = 0; i < 2 * places; i++) { // in the middle of a request
        busy.push_back(raw::Socket::connect(server.port()));
        busy.back().send(HALF_A_HEAD);
    }
    EXPECT_TRUE(eventually([&] {
        raw::Socket last = raw::Socket::connect(server.port());
        return server.get_close_count(CCR_REFUSED_FULL) > 0;
    }));
    busy.clear(); // else their requests would be waited for
    server.stop();
}
