// Weft - integration: datagrams of many peers on one UdpSocket
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <vector>

#include "integration/channel_support.h"
#include "integration/patience.h"
#include "workflow/wf/guard.h"
#include "workflow/wf/udp_socket.h"

namespace {

class Peer {
public:
    explicit Peer(unsigned short port, const char *from = "127.0.0.1")
        : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        struct timeval patience = {raw::kPatienceMs / 1000, 0};
        setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        wf::UdpPeer own = wf::UdpPeer::of(from, 0), to = wf::UdpPeer::of("127.0.0.1", port);
        bind(fd_, reinterpret_cast<struct sockaddr *>(&own.addr), own.length);
        connect(fd_, reinterpret_cast<struct sockaddr *>(&to.addr), to.length);
    }
    ~Peer() { close(fd_); }
    Peer(const Peer &) = delete;
    Peer &operator=(const Peer &) = delete;
    bool send(const std::string &bytes) {
        return ::send(fd_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
    }
    std::string receive() {
        char buf[65536];
        ssize_t n = recv(fd_, buf, sizeof buf, 0);
        return n < 0 ? "nothing" : std::string(buf, static_cast<size_t>(n));
    }

private:
    int fd_;
};

class Udp : public testing::Test {
protected:
    void start() {
        ASSERT_EQ(socket_.start("127.0.0.1", 0), 0);
        struct sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        socket_.get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len);
        port_ = ntohs(addr.sin_port);
    }
    void TearDown() override { socket_.stop(); }

    wf::UdpSocket socket_;
    unsigned short port_ = 0;
};

} // namespace

TEST_F(Udp, AnswersEachPeer) {
    socket_.on_message([this](const wf::UdpPeer &from, std::string_view bytes) {
        EXPECT_EQ(socket_.send(from, std::string(bytes) + " for " + from.text()), 0);
    });
    start();
    std::vector<std::unique_ptr<Peer>> peers;
    for (int i = 0; i < 50; i++)
        peers.push_back(std::make_unique<Peer>(port_));
    for (int round = 0; round < 3; round++) {
        for (auto &peer : peers)
            ASSERT_TRUE(peer->send("hello"));
        for (auto &peer : peers)
            EXPECT_EQ(peer->receive().substr(0, 20), "hello for 127.0.0.1:");
    }
}

TEST_F(Udp, SpeaksWhenItWantsTo) {
    std::mutex mutex;
    std::vector<wf::UdpPeer> known;
    Record record;
    socket_.on_message([&](const wf::UdpPeer &from, std::string_view) {
        std::lock_guard<std::mutex> lock(mutex);
        if (std::find(known.begin(), known.end(), from) == known.end())
            known.push_back(from);
        record.add("came");
    });
    start();
    Peer one(port_), two(port_);
    ASSERT_TRUE(one.send("") && two.send("x") && two.send("x"));
    ASSERT_TRUE(record.wait(3));
    ASSERT_EQ(known.size(), 2u);
    for (const wf::UdpPeer &peer : known)
        EXPECT_EQ(socket_.send(peer, "news"), 0);
    EXPECT_EQ(one.receive(), "news");
    EXPECT_EQ(two.receive(), "news");
    EXPECT_EQ(socket_.send(known[0], std::string(70000, 'l')), -1);
    EXPECT_EQ(errno, EMSGSIZE);
    EXPECT_EQ(socket_.send(wf::UdpPeer::of("nonsense", 1), "x"), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(wf::UdpPeer::of("2001:db8::1", 53).text(), "[2001:db8::1]:53");
}

TEST_F(Udp, TheGuardIsAskedForEachDatagram) {
    auto guard = std::make_shared<wf::Guard>();
    ASSERT_EQ(guard->deny("127.0.0.2"), 0);
    socket_.set_guard(guard);
    socket_.on_message(
        [this](const wf::UdpPeer &from, std::string_view bytes) { socket_.send(from, bytes); });
    start();
    Peer denied(port_, "127.0.0.2"), good(port_, "127.0.0.3");
    ASSERT_TRUE(denied.send("x"));
    ASSERT_TRUE(good.send("y"));
    EXPECT_EQ(good.receive(), "y");
    EXPECT_TRUE(eventually([this] { return socket_.get_close_count(CCR_REFUSED_ADDRESS) == 1; }));
}

TEST(UdpStopped, HasNobodyToSendTo) {
    wf::UdpSocket socket;
    EXPECT_EQ(socket.send(wf::UdpPeer::of("127.0.0.1", 9), "x"), -1);
    EXPECT_EQ(errno, ENOTCONN);
}
