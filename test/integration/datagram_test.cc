// Weft - integration: datagram services and clients
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <atomic>
#include <condition_variable>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "integration/patience.h"
#include "workflow/ProtocolMessage.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/guard.h"

namespace {

// A datagram is a message. One that begins with '?' is not for this session.
class Text : public protocol::ProtocolMessage {
public:
    std::string text;
    int appends = 0;

private:
    int encode(struct iovec vectors[], int max) override {
        if (text == "many vectors") { // more than the system takes in one call
            for (int i = 0; i < max; i++)
                vectors[i] = {const_cast<char *>("x"), 1};
            return max;
        }
        vectors[0] = {const_cast<char *>(text.data()), text.size()};
        return 1;
    }
    int append(const void *buf, size_t *size) override {
        const char *bytes = static_cast<const char *>(buf);
        appends++;
        if (*size > 0 && bytes[0] == '!')
            return -1;
        if (*size > 0 && bytes[0] == '?')
            return 0;
        text.assign(bytes, *size);
        return 1;
    }
};

using Task = WFNetworkTask<Text, Text>;
using Server = WFServer<Text, Text>;
using Factory = WFNetworkTaskFactory<Text, Text>;

WFServerParams udp() {
    WFServerParams params = SERVER_PARAMS_DEFAULT;
    params.transport_type = TT_UDP;
    return params;
}

struct Answer {
    int state = -1, error = -1;
    std::string text;
};

unsigned short port_of(const Server &server) {
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    EXPECT_EQ(server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len), 0);
    return ntohs(addr.sin_port);
}

Answer ask(unsigned short port, const std::string &text, int retries = 0, int wait_ms = 10000) {
    Answer answer;
    WFFacilities::WaitGroup done(1);
    Task *task = Factory::create_client_task(TT_UDP, "127.0.0.1", port, retries, [&](Task *t) {
        answer.state = t->get_state();
        answer.error = t->get_error();
        answer.text = t->get_resp()->text;
        done.done();
    });
    task->get_req()->text = text;
    task->set_receive_timeout(wait_ms);
    task->set_keep_alive(5000);
    task->start();
    done.wait();
    return answer;
}

void echo(Task *task) { task->get_resp()->text = task->get_req()->text; }

// A socket of the test's own.
class Raw {
public:
    Raw() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in addr = {};
        addr.sin_family = AF_INET;
        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        bind(fd_, reinterpret_cast<sockaddr *>(&addr), sizeof addr);
        socklen_t len = sizeof addr;
        getsockname(fd_, reinterpret_cast<sockaddr *>(&addr), &len);
        port_ = ntohs(addr.sin_port);
    }
    ~Raw() { close(fd_); }
    unsigned short port() const { return port_; }
    void send_to(unsigned short port, const std::string &bytes) {
        peer_ = {};
        peer_.sin_family = AF_INET;
        peer_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        peer_.sin_port = htons(port);
        reply(bytes);
    }
    // What comes next; false after ten seconds.
    bool receive(std::string *bytes, int patience_ms = 10000) {
        struct pollfd p = {fd_, POLLIN, 0};
        if (poll(&p, 1, patience_ms) <= 0)
            return false;
        char buf[70000];
        socklen_t len = sizeof peer_;
        ssize_t n = recvfrom(fd_, buf, sizeof buf, 0, reinterpret_cast<sockaddr *>(&peer_), &len);
        bytes->assign(buf, n > 0 ? static_cast<size_t>(n) : 0);
        return n >= 0;
    }
    void reply(const std::string &bytes) {
        sendto(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr *>(&peer_),
               sizeof peer_);
    }

private:
    int fd_;
    unsigned short port_ = 0;
    sockaddr_in peer_ = {};
};

} // namespace

TEST(Datagram, EchoOfAllSizes) {
    WFServerParams params = udp();
    Server server(&params, echo);
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    for (size_t size : {size_t(1), size_t(100), size_t(1472), size_t(9000), size_t(65507)}) {
        Answer answer = ask(port_of(server), std::string(size, 'x'));
        EXPECT_EQ(answer.state, WFT_STATE_SUCCESS) << size << ": " << answer.error;
        EXPECT_EQ(answer.text.size(), size);
    }
    server.stop();
}

TEST(Datagram, EmptyOnesAreMessagesToo) {
    WFServerParams params = udp();
    std::atomic<int> empty{0};
    Server server(&params, [&](Task *task) { empty += task->get_req()->text.empty() ? 1 : 0; });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    Answer answer = ask(port_of(server), "");
    EXPECT_EQ(answer.state, WFT_STATE_SUCCESS);
    EXPECT_EQ(answer.text, "");
    EXPECT_EQ(empty, 1);
    server.stop();
}

TEST(Datagram, TooLongIsAnError) {
    WFServerParams params = udp();
    Server server(&params, [](Task *task) { task->get_resp()->text = std::string(70000, 'x'); });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    EXPECT_EQ(ask(port_of(server), std::string(65508, 'x')).error, EMSGSIZE);
    EXPECT_EQ(ask(port_of(server), "x", 0, 100).error, ETIMEDOUT);
    server.stop();
    EXPECT_EQ(server.get_conn_count(), 0u);
}

TEST(Datagram, MoreVectorsThanOneCallTakesAreOneMessage) {
    WFServerParams params = udp();
    Server server(&params, [](Task *task) { task->get_resp()->text = "many vectors"; });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    EXPECT_EQ(ask(port_of(server), "many vectors").text.size(), 2048u);
    server.stop();
}

TEST(Datagram, SeveralRepliesToOne) {
    WFServerParams params = udp();
    Server server(&params, [](Task *task) {
        EXPECT_EQ(task->push("one", 3), 3);
        EXPECT_EQ(task->push("two", 3), 3);
        task->get_resp()->text = "three";
    });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    Raw client;
    client.send_to(port_of(server), "go");
    for (const char *expected : {"one", "two", "three"}) {
        std::string got;
        ASSERT_TRUE(client.receive(&got));
        EXPECT_EQ(got, expected);
    }
    server.stop();
}

TEST(Datagram, NoReplyAndBadOnesAreForgotten) {
    WFServerParams params = udp();
    std::atomic<int> seen{0};
    Server server(&params, [&](Task *task) {
        seen++;
        task->get_req()->text == "quiet" ? task->noreply() : echo(task);
    });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    Raw client;
    client.send_to(port_of(server), "quiet");
    client.send_to(port_of(server), "! no message");
    client.send_to(port_of(server), "? half a message");
    client.send_to(port_of(server), "loud");
    std::string got;
    ASSERT_TRUE(client.receive(&got));
    EXPECT_EQ(got, "loud");
    server.stop();
    EXPECT_EQ(seen, 2);
    EXPECT_EQ(server.get_close_count(CCR_BAD_MESSAGE), 2u);
}

TEST(Datagram, AnswersThatMeanSomebodyElseAreReadOver) {
    Raw server;
    std::thread peer([&]() {
        std::string got;
        server.receive(&got);
        server.reply("? of an earlier request");
        server.reply("mine");
    });
    Answer answer = ask(server.port(), "x");
    peer.join();
    EXPECT_EQ(answer.state, WFT_STATE_SUCCESS);
    EXPECT_EQ(answer.text, "mine");
}

TEST(Datagram, ALateAnswerIsNotTakenForTheNext) {
    Raw server;
    std::string got;
    std::thread peer([&]() {
        server.receive(&got);
        server.reply("first");
        server.reply("late"); // to the same socket, behind the end of that request
        server.receive(&got);
        server.reply("second");
    });
    EXPECT_EQ(ask(server.port(), "a").text, "first");
    EXPECT_EQ(ask(server.port(), "b").text, "second");
    peer.join();
}

TEST(Datagram, NobodyThereIsTold) {
    unsigned short port;
    {
        Raw gone;
        port = gone.port();
    }
    EXPECT_EQ(ask(port, "x").error, ECONNREFUSED);
}

TEST(Datagram, SilenceTimesOutAndRetriesAskAgain) {
    Raw server;
    std::atomic<int> asked{0};
    std::thread peer([&]() {
        std::string got;
        while (server.receive(&got) && ++asked < 3) {}
        server.reply("at last");
    });
    Answer answer = ask(server.port(), "x", 5, 200);
    peer.join();
    EXPECT_EQ(answer.text, "at last");
    EXPECT_EQ(asked, 3);
    EXPECT_EQ(ask(server.port(), "x", 0, 50).error, ETIMEDOUT);
}

TEST(Datagram, ManyAtOnceAllAnswered) {
    constexpr int COUNT = 500;
    WFServerParams params = udp();
    Server server(&params, echo);
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    std::atomic<int> good{0};
    WFFacilities::WaitGroup done(COUNT);
    for (int i = 0; i < COUNT; i++) {
        std::string text = std::to_string(i);
        Task *task = Factory::create_client_task(TT_UDP, "127.0.0.1", port_of(server), 3,
                                                 [&, text](Task *t) {
                                                     good += t->get_resp()->text == text ? 1 : 0;
                                                     done.done();
                                                 });
        task->get_req()->text = text;
        task->set_receive_timeout(5000);
        task->start();
    }
    done.wait();
    EXPECT_EQ(good, COUNT);
    server.stop();
}

TEST(Datagram, RepliesOutsideTheCallback) {
    WFServerParams params = udp();
    Server server(&params, [](Task *task) {
        series_of(task)->push_back(WFTaskFactory::create_timer_task(1000, nullptr));
        echo(task);
    });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(ask(port_of(server), "x").text, "x");
    server.stop();
    ASSERT_EQ(server.start("127.0.0.1", 0), 0) << "it can be started again";
    EXPECT_EQ(ask(port_of(server), "y").text, "y");
    server.stop();
}

// Lists and rates are for each datagram; who is turned away hears nothing.
TEST(Datagram, AGuardLooksAtEachOne) {
    WFServerParams params = udp();
    Server server(&params, echo);
    auto guard = std::make_shared<wf::Guard>();
    wf::GuardLimits limits;
    limits.per_address = 1; // is for connections
    limits.address_rate = 0.001;
    limits.address_burst = 3;
    ASSERT_EQ(guard->set_limits(limits), 0);
    server.set_guard(guard);
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    Raw client;
    std::string answer;
    for (int i = 0; i < 3; i++) {
        client.send_to(port_of(server), "a");
        ASSERT_TRUE(client.receive(&answer));
    }
    client.send_to(port_of(server), "b");
    EXPECT_TRUE(eventually([&] { return server.get_close_count(CCR_REFUSED_RATE) == 1; }));
    ASSERT_EQ(guard->set_limits(wf::GuardLimits()), 0);
    ASSERT_EQ(guard->deny("127.0.0.0/8"), 0);
    client.send_to(port_of(server), "c");
    EXPECT_TRUE(eventually([&] { return server.get_close_count(CCR_REFUSED_ADDRESS) == 1; }));
    ASSERT_EQ(guard->forget("127.0.0.0/8"), 0);
    client.send_to(port_of(server), "d");
    ASSERT_TRUE(client.receive(&answer));
    EXPECT_EQ(answer, "d"); // nothing came of the others
    server.stop();
}

// A flood beyond the requests that may be in hand is forgotten, each of it counted, and harms none
// of those.
TEST(Datagram, WhatIsTooMuchIsForgotten) {
    std::mutex mutex;
    std::vector<WFCounterTask *> held;
    WFServerParams params = udp();
    Server server(&params, [&](Task *task) {
        echo(task);
        if (task->get_req()->text != "slow")
            return;
        WFCounterTask *gate = WFTaskFactory::create_counter_task(1, nullptr);
        series_of(task)->push_back(gate);
        std::lock_guard<std::mutex> lock(mutex);
        held.push_back(gate);
    });
    auto count_held = [&] {
        std::lock_guard<std::mutex> lock(mutex);
        return held.size();
    };
    server.set_max_requests(2);
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    Raw client, flood;
    client.send_to(port_of(server), "slow");
    client.send_to(port_of(server), "slow");
    ASSERT_TRUE(eventually([&] { return count_held() == 2; }));
    for (uint64_t i = 1; i <= 200; i++) { // one after the other: the socket has room for so many
        flood.send_to(port_of(server), "quick");
        ASSERT_TRUE(eventually([&] { return server.get_close_count(CCR_OVERLOADED) == i; }));
    }
    for (WFCounterTask *gate : held)
        gate->count();
    std::string answer;
    for (int i = 0; i < 2; i++) {
        ASSERT_TRUE(client.receive(&answer));
        EXPECT_EQ(answer, "slow");
    }
    EXPECT_FALSE(flood.receive(&answer, 0)); // nobody answered any of it
    // The places are free once the tasks are gone, which is behind their answers.
    EXPECT_TRUE(eventually([&] {
        flood.send_to(port_of(server), "quick");
        return flood.receive(&answer, 100);
    }));
    EXPECT_EQ(answer, "quick");
    server.stop();
}

// Those that stood behind handlers that block for longer than is allowed are dropped.
TEST(Datagram, OneMayBecomeTooOld) {
    std::mutex mutex;
    std::condition_variable cond;
    bool open = false;
    std::atomic<int> blocked{0}, late{0};
    WFServerParams params = udp();
    Server server(&params, [&](Task *task) {
        echo(task);
        if (task->get_req()->text != "block") {
            late++;
            return;
        }
        std::unique_lock<std::mutex> lock(mutex); // which the engine is not told of
        blocked++;
        cond.wait(lock, [&] { return open; });
    });
    server.set_max_queue_age(100);
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    Raw client, other;
    const int permits = 20; // handler_threads
    for (int i = 0; i < permits; i++) {
        client.send_to(port_of(server), "block");
        ASSERT_TRUE(eventually([&] { return blocked == i + 1; }));
    }
    for (int i = 0; i < 5; i++)
        other.send_to(port_of(server), "late");
    poll(nullptr, 0, 300); // they grow old
    {
        std::lock_guard<std::mutex> lock(mutex);
        open = true;
    }
    cond.notify_all();
    EXPECT_TRUE(eventually([&] { return server.get_close_count(CCR_TOO_OLD) == 5; }));
    std::string answer;
    for (int i = 0; i < permits; i++) {
        ASSERT_TRUE(client.receive(&answer));
        EXPECT_EQ(answer, "block");
    }
    EXPECT_EQ(late, 0);
    EXPECT_FALSE(other.receive(&answer, 0));
    server.set_max_queue_age(-1);
    other.send_to(port_of(server), "late");
    ASSERT_TRUE(other.receive(&answer));
    EXPECT_EQ(answer, "late");
    server.stop();
}
