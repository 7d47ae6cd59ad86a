// Weft - integration: what crowds of short, broken and senseless connections leave behind: nothing
// SPDX-License-Identifier: Apache-2.0
//
// Clients that ask and go, that reset, and that speak no TLS where TLS is spoken, each kind for a
// while, against a server in a process of its own. Behind a warm-up of the same kind the number of
// its descriptors, the connections it counts and its memory must be what they are behind the load.
//
// WEFT_SOAK_SECONDS is how long each kind goes on.

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

#include "integration/load.h"
#include "integration/patience.h"
#include "integration/soak.h"

namespace {

using Clock = std::chrono::steady_clock;

const int kClients = 4;

// How much more memory may be there behind the load. What malloc has given out is nearly exact: the
// caches of threads and of objects that are used again come and go. Pages that were written and not
// given back say all that counts, but a page is only given back when nothing on it is in use, so
// they wander by some hundred KiB with what happened to be there at once. A worker that came under
// load stays, with its buffer and its stack; how many there may be is bounded (handler_threads).
const long kMallocKiB = 128;
const long kPagesKiB = 1024;
const long kWorkerMallocKiB = 80;
const long kWorkerPagesKiB = 160;
const long kWorkers = 30;

// Pages of the sanitizers are full of what was freed long ago, and of their books.
#ifdef WEFT_UNDER_SANITIZER
const bool kPagesTell = false;
#else
const bool kPagesTell = true;
#endif

struct Holdings {
    long descriptors = -1;
    long connections = -1;
    long malloc_kib = -1;
    long pages_kib = -1;
    long threads = -1;

    std::string text() const {
        return std::to_string(descriptors) + " descriptors, " + std::to_string(connections) +
               " connections, " + std::to_string(malloc_kib) + " KiB of malloc, " +
               std::to_string(pages_kib) + " KiB of pages, " + std::to_string(threads) + " threads";
    }
};

std::string proc_file(pid_t pid, const char *name) {
    return read_whole("/proc/" + std::to_string(pid) + "/" + name);
}

long number_behind(const std::string &text, const std::string &mark) {
    size_t at = text.find(mark);
    return at == std::string::npos ? -1 : strtol(text.c_str() + at + mark.size(), nullptr, 10);
}

// The connection that asks is counted, too. The server counts its descriptors itself while it
// answers: seen from here that connection may be closed already or not.
Holdings look_at(const LoadServer &server) {
    Holdings seen;
    raw::Socket client = raw::Socket::connect(server.port(false));
    client.send("GET /state HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    std::string answer = client.read_all();
    size_t body = answer.find("\r\n\r\n");
    long bytes = 0;
    if (body != std::string::npos && sscanf(answer.c_str() + body, " %ld %ld %ld",
                                            &seen.connections, &bytes, &seen.descriptors) == 3)
        seen.malloc_kib = bytes / 1024;
    client.close();
    seen.pages_kib = number_behind(proc_file(server.pid(), "smaps_rollup"), "Private_Dirty:");
    seen.threads = number_behind(proc_file(server.pid(), "status"), "Threads:");
    return seen;
}

// Looks until nobody but us is connected and no more is open than `descriptors`, and gives up late.
// One that is being accepted counts as open, and not yet as connected.
Holdings look_when_quiet(const LoadServer &server, long descriptors) {
    Holdings seen;
    eventually([&] {
        seen = look_at(server);
        return seen.connections == 1 && seen.descriptors <= descriptors;
    });
    return seen;
}

class Crowd {
public:
    using Visit = std::function<void(Crowd *, unsigned number, std::mt19937 *dice)>;

    explicit Crowd(const LoadServer &server) : server_(server), asking_(asking()) {}

    // That many visits were made, one after another by each client.
    long visit(const Visit &kind, std::chrono::milliseconds time) {
        std::vector<std::thread> threads;
        std::atomic<long> visits{0};
        Clock::time_point end = Clock::now() + time;
        for (unsigned number = 0; number < kClients; number++) {
            threads.emplace_back([&, number] {
                std::mt19937 dice(number);
                for (; Clock::now() < end; visits++)
                    kind(this, number, &dice);
            });
        }
        for (std::thread &thread : threads)
            thread.join();
        return visits;
    }

    raw::Socket connect(bool tls) const {
        raw::Socket socket;
        eventually([&] { // Ports of our own may be rare for a moment.
            socket = raw::Socket::connect(server_.port(tls));
            return socket.valid() || errno != EADDRNOTAVAIL;
        });
        return socket;
    }
    SSL_CTX *ctx() const { return asking_.get(); }

    std::atomic<long> good{0}; // Visits that came to the end that their kind wants,
    std::atomic<long> bad{0};  // and others.

private:
    const LoadServer &server_;
    Context asking_;
};

const char kAsk[] = "GET /echo/present HTTP/1.1\r\nHost: x\r\n\r\n";

// Connect, request, close. One of the clients comes through TLS.
void ask_and_go(Crowd *crowd, unsigned number, std::mt19937 *) {
    raw::Socket socket = crowd->connect(number == 0);
    std::string answer;
    if (number == 0) {
        TlsPeer peer(socket, crowd->ctx());
        if (peer.connect() && peer.send(kAsk))
            answer = peer.read_until("present");
    } else if (socket.send(kAsk)) {
        answer = socket.read_until("present");
    }
    (answer.find("present") != std::string::npos ? crowd->good : crowd->bad)++;
}

// Connect and reset: at once, within a request, behind one, within the handshake of TLS.
void reset(Crowd *crowd, unsigned number, std::mt19937 *dice) {
    raw::Socket socket = crowd->connect(number == 0);
    const std::string request =
        number == 0 ? std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) : kAsk;
    size_t size = (*dice)() % (request.size() + 2);
    bool sent = socket.send(request.substr(0, size));
    if (number != 0 && size > request.size())
        sent = sent && !socket.read_some().empty(); // Behind the answer.
    socket.reset();
    (sent ? crowd->good : crowd->bad)++;
}

// What no peer of TLS says, at the port of TLS: noise, a record of noise, HTTP, and a handshake
// with noise behind it. The server ends it by itself; every other client waits for that.
void talk_nonsense(Crowd *crowd, unsigned number, std::mt19937 *dice) {
    raw::Socket socket = crowd->connect(true);
    std::string noise(16 + (*dice)() % 500, '\0'); // A record's head at least.
    for (char &byte : noise)
        byte = static_cast<char>((*dice)());
    switch ((*dice)() % 4) {
    case 0:
        noise.insert(0, 2, '\0'); // Never the type and version of a record.
        break;
    case 1:
        noise = std::string("\x16\x03\x01\x00\x20", 5) + std::string(32, '\x55') + noise;
        break;
    case 2:
        noise = kAsk;
        break;
    default:
        TlsPeer peer(socket, crowd->ctx());
        if (!peer.connect())
            crowd->bad++;
        noise.insert(0, 2, '\0');
        break;
    }
    socket.send(noise);
    if (number % 2 == 0) {
        (socket.wait_closed() ? crowd->good : crowd->bad)++;
    } else {
        crowd->good++;
    }
}

class Soak : public ::testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(server_.start()) << server_.err(); }

    void soak(const Crowd::Visit &kind) {
        Crowd crowd(server_);
        std::chrono::milliseconds time = soak_time(1);
        crowd.visit(kind, time);
        Holdings before = look_when_quiet(server_, LONG_MAX);
        long visits = crowd.visit(kind, time);
        Holdings after = look_when_quiet(server_, before.descriptors);
        tell(std::to_string(visits) + " visits in " + std::to_string(time.count() / 1000) + " s");
        tell("before: " + before.text());
        tell("after:  " + after.text());
        EXPECT_EQ(0, crowd.bad.load()) << "of " << crowd.good.load();
        EXPECT_GT(visits, 50);
        EXPECT_EQ(1, after.connections);
        EXPECT_GT(before.descriptors, 0);
        EXPECT_LE(after.descriptors, before.descriptors);
        const long workers = std::max(after.threads - before.threads, 0L);
        EXPECT_LT(after.threads, kWorkers);
        EXPECT_LT(after.malloc_kib - before.malloc_kib, kMallocKiB + workers * kWorkerMallocKiB);
        if (kPagesTell) {
            EXPECT_LT(after.pages_kib - before.pages_kib, kPagesKiB + workers * kWorkerPagesKiB);
        }
        server_.signal(SIGTERM);
        EXPECT_EQ(0, server_.wait_end(server_.pid())) << server_.err();
    }

    LoadServer server_;
};

TEST_F(Soak, ConnectRequestClose) { soak(ask_and_go); }

TEST_F(Soak, ConnectReset) { soak(reset); }

TEST_F(Soak, NonsenseForTls) { soak(talk_nonsense); }

} // namespace
