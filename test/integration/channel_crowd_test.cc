// Weft - integration: thousands of channels at once: a chat, and a storm of clients that come back
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <chrono>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <string>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#include <unordered_map>
#include <vector>

#include "integration/channel_support.h"
#include "integration/patience.h"
#include "integration/soak.h"

namespace {

using Clock = std::chrono::steady_clock;

#ifdef WEFT_UNDER_SANITIZER
constexpr int CROWD = 500, STORM = 200;
#else
constexpr int CROWD = 5000, STORM = 1000;
#endif
constexpr int MESSAGES = 20;

void raise_descriptor_limit() {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

// Clients that only listen, all read by one thread.
class Audience {
public:
    Audience(unsigned short port, int count) : ep_(epoll_create1(EPOLL_CLOEXEC)) {
        for (int i = 0; i < count; i++) {
            sockets_.push_back(raw::Socket::connect(port));
            if (!sockets_.back().valid())
                break;
            fcntl(sockets_.back().fd(), F_SETFL, O_NONBLOCK);
            struct epoll_event event = {};
            event.events = EPOLLIN;
            event.data.u32 = static_cast<uint32_t>(i);
            epoll_ctl(ep_, EPOLL_CTL_ADD, sockets_.back().fd(), &event);
        }
        heard_.resize(sockets_.size());
    }
    ~Audience() { close(ep_); }
    size_t size() const { return sockets_.size(); }
    raw::Socket &operator[](size_t i) { return sockets_[i]; }

    // Reads until all have heard that; false when that takes too long.
    bool hears(const std::string &all) {
        size_t missing = 0;
        for (const std::string &one : heard_)
            missing += one != all;
        auto limit = Clock::now() + std::chrono::milliseconds(raw::kPatienceMs);
        while (missing > 0 && Clock::now() < limit) {
            struct epoll_event events[256];
            int count = epoll_wait(ep_, events, 256, 1000);
            for (int i = 0; i < count; i++)
                missing -= reads(events[i].data.u32, all) ? 1 : 0;
        }
        return missing == 0;
    }

private:
    bool reads(size_t i, const std::string &all) {
        char buf[4096];
        ssize_t n = read(sockets_[i].fd(), buf, sizeof buf);
        if (n <= 0)
            return false;
        heard_[i].append(buf, static_cast<size_t>(n));
        return heard_[i] == all;
    }

    int ep_;
    std::vector<raw::Socket> sockets_;
    std::vector<std::string> heard_;
};

} // namespace

// Each message to all of them, in one order; one that never reads harms nobody.
TEST(Crowd, AChatOfThousands) {
    raise_descriptor_limit();
    struct WFServerParams params = SERVER_PARAMS_DEFAULT;
    params.max_connections = 0;
    wf::TcpServer server(&params);
    server.set_framing(wf::delimiter_framing());
    server.options().first_byte_timeout = -1; // listeners may be silent
    server.options().first_message_timeout = -1;
    server.options().high_water = 0;
    server.on_message([&server](wf::Channel &, const wf::Frame &frame) {
        EXPECT_EQ(server.broadcast(std::string(frame.bytes)), 0);
    });
    unsigned short port = listen_on_free_port(server);
    raw::Socket stuck = raw::Socket::connect(port);
    Audience audience(port, CROWD);
    ASSERT_EQ(audience.size(), static_cast<size_t>(CROWD));
    ASSERT_TRUE(eventually([&] { return server.get_channel_count() == CROWD + 1; }));
    Clock::time_point begin = Clock::now();
    std::string all;
    double slowest = 0;
    for (int i = 0; i < MESSAGES; i++) {
        std::string line = "message " + std::to_string(i) + std::string(50, '.') + "\n";
        all += line;
        Clock::time_point said = Clock::now();
        ASSERT_TRUE(audience[static_cast<size_t>(i)].send(line));
        ASSERT_TRUE(audience.hears(all)) << i;
        slowest = std::max(slowest, std::chrono::duration<double>(Clock::now() - said).count());
    }
    double took = std::chrono::duration<double>(Clock::now() - begin).count();
    tell("a chat of " + std::to_string(CROWD) + ": " + std::to_string(MESSAGES) +
         " messages to all in " + std::to_string(took) + " s, the slowest in " +
         std::to_string(slowest) + " s, " + std::to_string(took * 1e6 / MESSAGES / CROWD) +
         " us each");
    server.stop();
}

// A server restarts under clients that want to come back: each does, once, and not all at a time.
TEST(Crowd, AStormOfClientsThatComeBack) {
    raise_descriptor_limit();
    struct WFServerParams params = SERVER_PARAMS_DEFAULT;
    params.max_connections = 0;
    std::mutex mutex;
    std::unordered_map<std::string, int> names;
    std::vector<Clock::time_point> times;
    wf::TcpServer server(&params);
    server.set_framing(wf::delimiter_framing());
    server.options().finish_timeout = 1000;
    server.on_message([&](wf::Channel &, const wf::Frame &frame) {
        std::lock_guard<std::mutex> lock(mutex);
        names[std::string(frame.bytes)]++;
        times.push_back(Clock::now());
    });
    auto came = [&] {
        std::lock_guard<std::mutex> lock(mutex);
        return times.size();
    };
    unsigned short port = listen_on_free_port(server);
    std::vector<std::unique_ptr<wf::TcpClient>> clients;
    wf::ReconnectPolicy policy;
    policy.enabled = true; // 500 ms, more or less by a half
    for (int i = 0; i < STORM; i++) {
        clients.push_back(std::make_unique<wf::TcpClient>());
        clients.back()->set_reconnect(policy);
        clients.back()->set_framing(wf::delimiter_framing());
        clients.back()->on_established(
            [i](wf::Channel &channel) { channel.send("client " + std::to_string(i)); });
        ASSERT_EQ(clients.back()->connect("127.0.0.1", port), 0);
    }
    ASSERT_TRUE(eventually([&] { return came() == STORM; }));
    server.stop();
    {
        std::lock_guard<std::mutex> lock(mutex);
        names.clear();
        times.clear();
    }
    ASSERT_EQ(server.start("127.0.0.1", port), 0);
    ASSERT_TRUE(eventually([&] { return came() >= STORM; }));
    poll(nullptr, 0, 300); // whoever came twice would be here by now
    for (auto &client : clients)
        client->close();
    for (auto &client : clients)
        client->wait();
    server.stop();
    EXPECT_EQ(times.size(), static_cast<size_t>(STORM));
    EXPECT_EQ(names.size(), static_cast<size_t>(STORM));
    std::sort(times.begin(), times.end());
    size_t most = 0; // in a tenth of a second
    for (size_t i = 0, j = 0; i < times.size(); i++) {
        while (times[i] - times[j] > std::chrono::milliseconds(100))
            j++;
        most = std::max(most, i - j + 1);
    }
    double spread = std::chrono::duration<double>(times.back() - times.front()).count();
    tell(std::to_string(STORM) + " clients came back within " + std::to_string(spread) +
         " s, at most " + std::to_string(most) + " in a tenth of a second");
    EXPECT_GT(spread, 0.3);
    EXPECT_LT(most, times.size() / 2);
}
