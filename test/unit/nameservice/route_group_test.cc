// Weft - tests of route groups: a failing address of several is left alone for a while
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <condition_variable>
#include <mutex>
#include <netinet/in.h>
#include <string.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "nameservice/address_list.h"
#include "unit/nameservice/ns_engine.h"

namespace {

// Three addresses on ports where nobody listens, unless a test puts a listener there. What is in
// the group shows in its limit on connections, the sum of its members'.
class RouteGroupTest : public NsTest {
protected:
    static constexpr size_t EACH = 10;

    void look(const std::vector<std::string> &ips) {
        wf::detail::address_list_free(list);
        list = make_list(ips, 80);
        this->look();
    }
    void look() {
        EndpointParams params = ENDPOINT_PARAMS_DEFAULT;
        params.max_connections = EACH;
        ASSERT_EQ(engine->routes.get(TT_TCP, list, "", &params, "", nullptr, route), 0);
        group = route.request_object;
    }
    ~RouteGroupTest() override { wf::detail::address_list_free(list); }

    // The target of one address alone is not the member of the group, so members are found by
    // asking for a connection.
    std::vector<CommTarget *> members(size_t n);
    void fail(CommTarget *target) { RouteManager::notify_unavailable(route.cookie, target); }
    void recover(CommTarget *target) { RouteManager::notify_available(route.cookie, target); }
    size_t present() const { return group->get_max_load() / EACH; }

    struct addrinfo *list = nullptr;
    RouteManager::RouteResult route;
    CommSchedObject *group = nullptr;
};

class Greeting : public CommMessageOut {
    int encode(struct iovec vectors[], int) override {
        static char text[] = "hello";
        vectors[0] = {text, 5};
        return 1;
    }
};

class Anything : public CommMessageIn {
    int append(const void *, size_t *) override { return 1; }
};

// Sends a greeting and waits for any byte, or for the end.
class Call : public CommSession {
public:
    CommMessageOut *message_out() override { return &out_; }
    CommMessageIn *message_in() override { return &in_; }
    void handle(int, int) override {
        std::lock_guard<std::mutex> lock(mutex_);
        over_ = true;
        changed_.notify_all();
    }
    void wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return over_; });
    }

private:
    Greeting out_;
    Anything in_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
};

// A socket that accepts connections into its backlog, and never an answer from it.
class SilentPeer {
public:
    SilentPeer() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        memset(&addr, 0, sizeof addr);
        addr.sin_family = AF_INET;
        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t len = sizeof addr;
        EXPECT_EQ(bind(fd_, reinterpret_cast<struct sockaddr *>(&addr), len), 0);
        EXPECT_EQ(listen(fd_, 16), 0);
        EXPECT_EQ(getsockname(fd_, reinterpret_cast<struct sockaddr *>(&addr), &len), 0);
    }
    ~SilentPeer() { this->stop(); }
    // Resets all connections.
    void stop() {
        if (fd_ >= 0)
            close(fd_);
        fd_ = -1;
    }

    struct sockaddr_in addr;

private:
    int fd_;
};

} // namespace

std::vector<CommTarget *> RouteGroupTest::members(size_t n) {
    // A group hands out its members in turn while their loads are equal, and a refused request
    // gives the load back. To see each of them, calls are held open by peers that never answer.
    std::vector<CommTarget *> found;
    std::vector<std::unique_ptr<SilentPeer>> peers;
    std::vector<std::unique_ptr<Call>> calls;
    wf::detail::AddressList made;
    for (size_t i = 0; i < n; i++) {
        peers.push_back(std::make_unique<SilentPeer>());
        EXPECT_TRUE(
            made.add(reinterpret_cast<struct sockaddr *>(&peers[i]->addr), sizeof peers[i]->addr));
    }
    wf::detail::address_list_free(list);
    list = made.take();
    this->look();
    for (size_t i = 0; i < n; i++) {
        CommTarget *target = nullptr;
        calls.push_back(std::make_unique<Call>());
        EXPECT_EQ(engine->scheduler.request(calls[i].get(), group, 0, &target), 0);
        found.push_back(target);
    }
    for (std::unique_ptr<SilentPeer> &peer : peers)
        peer->stop();
    for (std::unique_ptr<Call> &call : calls)
        call->wait();
    return found;
}

// behaviours row 111
TEST_F(RouteGroupTest, FailingAddressIsLeftAloneForThirtySeconds) {
    std::vector<CommTarget *> targets = members(3);
    ASSERT_NE(targets[0], targets[1]);
    EXPECT_EQ(present(), 3u);
    fail(targets[0]);
    EXPECT_EQ(present(), 2u);
    fail(targets[0]);
    EXPECT_EQ(present(), 2u);
    clock.advance_ms(29999);
    look();
    EXPECT_EQ(present(), 2u);
    clock.advance_ms(1);
    look();
    EXPECT_EQ(present(), 3u);
}

// behaviours row 111
TEST_F(RouteGroupTest, LastAddressStays) {
    std::vector<CommTarget *> targets = members(3);
    for (CommTarget *target : targets)
        fail(target);
    EXPECT_EQ(present(), 1u);
    fail(targets[2]);
    EXPECT_EQ(present(), 1u);
    clock.advance(30);
    look();
    EXPECT_EQ(present(), 3u);
}

TEST_F(RouteGroupTest, AnAnswerBringsItBack) {
    std::vector<CommTarget *> targets = members(2);
    recover(targets[1]);
    EXPECT_EQ(present(), 2u);
    fail(targets[1]);
    EXPECT_EQ(present(), 1u);
    recover(targets[0]);
    EXPECT_EQ(present(), 1u);
    recover(targets[1]);
    EXPECT_EQ(present(), 2u);
}

TEST_F(RouteGroupTest, OneAddressIsNeverLeftAlone) {
    look({"127.0.0.1"});
    auto *target = dynamic_cast<RouteManager::RouteTarget *>(group);
    ASSERT_NE(target, nullptr);
    fail(target);
    recover(target);
    EXPECT_EQ(present(), 1u);
}

TEST_F(RouteGroupTest, NothingAndStrangersAreIgnored) {
    std::vector<CommTarget *> targets = members(2);
    RouteManager::RouteTarget stranger;
    fail(nullptr);
    fail(&stranger);
    recover(&stranger);
    RouteManager::notify_unavailable(nullptr, targets[0]);
    RouteManager::notify_available(nullptr, nullptr);
    EXPECT_EQ(present(), 2u);
}

// behaviours row 111: also when other requests are still waiting for that address
TEST_F(RouteGroupTest, BusyAddressLeavesWhenItsRequestsEnd) {
    SilentPeer peers[2];
    wf::detail::AddressList made;
    for (SilentPeer &peer : peers)
        ASSERT_TRUE(made.add(reinterpret_cast<struct sockaddr *>(&peer.addr), sizeof peer.addr));
    list = made.take();
    look();
    Call calls[4];
    CommTarget *targets[4];
    for (int i = 0; i < 4; i++)
        ASSERT_EQ(engine->scheduler.request(&calls[i], group, 0, &targets[i]), 0);
    fail(targets[0]);
    EXPECT_EQ(present(), 2u);
    for (SilentPeer &peer : peers)
        peer.stop();
    for (Call &call : calls)
        call.wait();
    EXPECT_EQ(present(), 1u);
    clock.advance(30);
    look();
    EXPECT_EQ(present(), 2u);
}

TEST_F(RouteGroupTest, LeavingMayBeTakenBack) {
    SilentPeer peers[2];
    wf::detail::AddressList made;
    for (SilentPeer &peer : peers)
        ASSERT_TRUE(made.add(reinterpret_cast<struct sockaddr *>(&peer.addr), sizeof peer.addr));
    list = made.take();
    look();
    Call calls[2];
    CommTarget *targets[2];
    for (int i = 0; i < 2; i++)
        ASSERT_EQ(engine->scheduler.request(&calls[i], group, 0, &targets[i]), 0);
    fail(targets[0]);
    recover(targets[0]);
    fail(targets[1]);
    fail(targets[0]); // the last that is not leaving
    clock.advance(30);
    look();
    for (SilentPeer &peer : peers)
        peer.stop();
    for (Call &call : calls)
        call.wait();
    EXPECT_EQ(present(), 2u);
}

TEST_F(RouteGroupTest, ThreadsFailAndRecover) {
    std::vector<CommTarget *> targets = members(3);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < 3; t++) {
        threads.emplace_back([&, t] {
            EndpointParams params = ENDPOINT_PARAMS_DEFAULT;
            params.max_connections = EACH;
            for (size_t i = 0; i < 1000; i++) {
                RouteManager::RouteResult mine;
                EXPECT_EQ(engine->routes.get(TT_TCP, list, "", &params, "", nullptr, mine), 0);
                fail(targets[(i + t) % 3]);
                if (i % 2)
                    recover(targets[i % 3]);
                if (i % 100 == 0)
                    clock.advance(10);
            }
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    clock.advance(30);
    look();
    EXPECT_EQ(present(), 3u);
}
