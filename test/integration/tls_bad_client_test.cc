// Weft - integration: hostile and clumsy peers on the port of our TLS server
// SPDX-License-Identifier: Apache-2.0
//
// Garbage, silence and resets at every stage of the handshake: the peer is let go, what it cost
// comes back, and everybody else is served.

#include <gtest/gtest.h>

#include <dirent.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "integration/patience.h"
#include "integration/tls_call.h"
#include "integration/tls_peer.h"
#include "integration/workshop.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kShortMs = 300;

int count_descriptors() {
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        count++;
    closedir(dir);
    return count;
}

int ms_since(Clock::time_point begin) {
    return static_cast<int>(
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count());
}

WFServerParams with_accept_timeout(int ms) {
    WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.ssl_accept_timeout = ms;
    return params;
}

// The first record of a client, as OpenSSL makes it.
std::string client_hello() {
    Context ctx = asking();
    SSL *ssl = SSL_new(ctx.get());
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    SSL_connect(ssl);
    char *bytes;
    long size = BIO_get_mem_data(out, &bytes);
    std::string hello(bytes, static_cast<size_t>(size));
    SSL_free(ssl);
    return hello;
}

class TlsHostile : public ::testing::Test {
protected:
    explicit TlsHostile(int accept_timeout = 10000)
        : workshop_(with_accept_timeout(accept_timeout)) {}

    void SetUp() override {
        Certificate own = ca_.make("server");
        ctx_ = trusting(ca_.file());
        ASSERT_TRUE(workshop_.start(own.cert, own.key));
        expect_service(); // Whatever is opened at the first use is open now.
        descriptors_ = count_descriptors();
    }
    void expect_service() {
        TlsCall call;
        ASSERT_TRUE(call.get(workshop_.url("/hello"), ctx_.get(), close_behind));
        EXPECT_EQ("hello", call.body) << call.describe();
    }
    // Nothing is left of anybody, and the server answers.
    void expect_nothing_left() {
        EXPECT_TRUE(eventually([this] { return workshop_.server().get_conn_count() == 0; }));
        EXPECT_TRUE(eventually([this] { return count_descriptors() <= descriptors_; }))
            << count_descriptors() << " of " << descriptors_;
        expect_service();
        EXPECT_EQ(2, workshop_.requests.load());
    }
    raw::Socket connect() { return raw::Socket::connect(workshop_.port()); }

    Authority &ca_ = Authority::common();
    Context ctx_;
    Workshop workshop_;
    int descriptors_ = 0;
};

// With little time for the handshake. Good clients get theirs by being quick, so there is none.
class TlsImpatient : public TlsHostile {
protected:
    TlsImpatient() : TlsHostile(kShortMs) {}
    void SetUp() override {
        Certificate own = ca_.make("server");
        ASSERT_TRUE(workshop_.start(own.cert, own.key));
    }
};

const std::string kGarbage[] = {
    std::string("\0", 1) + std::string(4000, 'x'),
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "SSH-2.0-OpenSSH_9.2\r\n",
    std::string("\x16\x03\x01\xff\xff", 5) + std::string(70000, '\1'), // A record too long,
    std::string("\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9),            // a message too long,
    std::string("\x16\x03\x01\x00\x00", 5),                            // and none at all.
    std::string("\x15\x03\x01\x00\x02\x02\x28", 7),                    // An alert first.
    std::string("\x17\x03\x03\x00\x05hello", 10),                      // Data first.
    std::string("\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", 11) +
        std::string(40, '\2'), // SSL 2.
};

// The peer is told why before the connection ends, and is not reset while it still sends.
TEST_F(TlsHostile, Garbage) {
    for (const std::string &garbage : kGarbage) {
        raw::Socket peer = connect();
        peer.send(garbage);
        peer.half_close();
        std::string answer = peer.read_all();
        EXPECT_TRUE(peer.at_end());
        EXPECT_FALSE(peer.was_reset()) << garbage.substr(0, 20);
        EXPECT_TRUE(answer.empty() || answer[0] == '\x15') << "an alert or nothing: " << answer;
    }
    expect_nothing_left();
    EXPECT_EQ(2, workshop_.requests.load());
}

TEST_F(TlsHostile, ThreeHundredInARow) {
    const size_t kKinds = sizeof kGarbage / sizeof *kGarbage;
    for (size_t i = 0; i < 300; i++) {
        raw::Socket peer = connect();
        ASSERT_TRUE(peer.valid());
        peer.send(kGarbage[i % kKinds]);
        if (i % 3 == 0)
            peer.reset();
    }
    expect_nothing_left();
}

// A client that is cut off after any number of bytes of its first record.
TEST_F(TlsHostile, LeavesInTheHello) {
    const std::string hello = client_hello();
    ASSERT_GT(hello.size(), 100u);
    for (bool hard : {false, true}) {
        for (size_t size = 0; size <= hello.size(); size += 7) {
            raw::Socket peer = connect();
            ASSERT_TRUE(peer.send(hello.substr(0, size)));
            if (hard) {
                peer.reset();
                continue;
            }
            peer.half_close();
            EXPECT_TRUE(peer.wait_closed());
        }
    }
    expect_nothing_left();
}

// Reset when the server has answered the hello, and when the handshake is done.
TEST_F(TlsHostile, ResetsInTheHandshake) {
    const std::string hello = client_hello();
    for (int i = 0; i < 20; i++) {
        raw::Socket early = connect();
        ASSERT_TRUE(early.send(hello));
        EXPECT_NE("", early.read_some());
        early.reset();
        raw::Socket late = connect();
        Context ctx = asking();
        TlsPeer client(late, ctx.get());
        EXPECT_TRUE(client.connect()) << client.reason();
        late.reset();
    }
    expect_nothing_left();
}

// Behind the handshake: bytes that are no record, and a record that was changed on its way.
TEST_F(TlsHostile, GarbageBehindTheHandshake) {
    const std::string changed = "\x17\x03\x03\x01\x20" + std::string(0x120, 'x');
    for (const std::string &garbage : {std::string("GET / HTTP/1.1\r\n\r\n"), changed}) {
        raw::Socket socket = connect();
        Context ctx = asking();
        TlsPeer client(socket, ctx.get());
        ASSERT_TRUE(client.connect()) << client.reason();
        ASSERT_TRUE(socket.send(garbage));
        EXPECT_EQ("", client.read_some());
    }
    expect_nothing_left();
}

// A request that ends in the middle, with and without a word.
TEST_F(TlsHostile, LeavesInTheRequest) {
    for (bool polite : {true, false}) {
        raw::Socket socket = connect();
        Context ctx = asking();
        TlsPeer client(socket, ctx.get());
        ASSERT_TRUE(client.connect()) << client.reason();
        ASSERT_TRUE(client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc"));
        if (polite)
            client.say_goodbye();
        socket.half_close();
        EXPECT_EQ("", client.read_some());
    }
    expect_nothing_left();
}

TEST_F(TlsImpatient, OfSilence) {
    const std::string hello = client_hello();
    for (size_t size : {size_t{0}, size_t{1}, size_t{5}, hello.size() / 2, hello.size()}) {
        raw::Socket peer = connect();
        Clock::time_point begin = Clock::now();
        ASSERT_TRUE(peer.send(hello.substr(0, size)));
        EXPECT_TRUE(peer.wait_closed());
        EXPECT_GE(ms_since(begin), kShortMs - 50) << size;
        EXPECT_LT(ms_since(begin), 20000) << size;
    }
    EXPECT_TRUE(eventually([this] { return workshop_.server().get_conn_count() == 0; }));
}

// The time is for the whole handshake: a byte now and then buys none.
TEST_F(TlsImpatient, OfADrip) {
    raw::Socket peer = connect();
    Clock::time_point begin = Clock::now();
    std::atomic<bool> over(false);
    std::thread sender([&] {
        const std::string hello = client_hello();
        for (size_t i = 0; i < hello.size() && !over && peer.send(hello.substr(i, 1)); i++)
            poll(nullptr, 0, 100); // The slowness itself.
    });
    EXPECT_TRUE(peer.wait_closed());
    EXPECT_LT(ms_since(begin), 15000);
    over = true;
    sender.join();
}

// Those who are in the middle of their handshake do not keep a server from stopping.
TEST_F(TlsHostile, StopsInAHandshake) {
    const std::string hello = client_hello();
    raw::Socket silent = connect(), half = connect(), whole = connect();
    ASSERT_TRUE(half.send(hello.substr(0, 50)) && whole.send(hello));
    EXPECT_NE("", whole.read_some());
    ASSERT_TRUE(eventually([this] { return workshop_.server().get_conn_count() == 3; }));
    Clock::time_point begin = Clock::now();
    workshop_.stop();
    EXPECT_LT(ms_since(begin), 5000);
    EXPECT_TRUE(silent.wait_closed() && half.wait_closed() && whole.wait_closed());
}

// A server whose choice of a context takes until it is told, as one may that asks elsewhere.
class SlowChoice : public WFHttpServer {
public:
    SlowChoice() : WFHttpServer([](WFHttpTask *) {}) {}
    ~SlowChoice() override { stop(); }

    void wait_asked() {
        std::unique_lock<std::mutex> lock(mutex_);
        cond_.wait(lock, [this] { return asked_; });
    }
    void answer() {
        std::lock_guard<std::mutex> lock(mutex_);
        answered_ = true;
        cond_.notify_all();
    }

protected:
    SSL_CTX *get_server_ssl_ctx(const char *) override {
        std::unique_lock<std::mutex> lock(mutex_);
        asked_ = true;
        cond_.notify_all();
        cond_.wait(lock, [this] { return answered_; });
        return get_ssl_ctx();
    }

private:
    std::mutex mutex_;
    std::condition_variable cond_;
    bool asked_ = false;
    bool answered_ = false;
};

// Shut down while the program's own code runs in the handshake: nobody comes behind it to end a
// connection on which nothing was asked.
TEST(TlsDrain, WhileAContextIsChosen) {
    Certificate own = Authority::common().make("server");
    for (bool goes_on : {true, false}) {
        SlowChoice server;
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        ASSERT_EQ(0, server.start("127.0.0.1", 0, own.cert.c_str(), own.key.c_str()));
        ASSERT_EQ(0, server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len));
        raw::Socket socket = raw::Socket::connect(ntohs(addr.sin_port));
        Context ctx = asking();
        TlsPeer client(socket, ctx.get());
        std::thread peer([&] {
            if (goes_on)
                client.connect();
            else
                socket.send(client_hello());
            socket.wait_closed();
        });
        server.wait_asked();
        server.shutdown();
        Clock::time_point begin = Clock::now();
        server.answer();
        server.wait_finish();
        EXPECT_LT(ms_since(begin), 5000);
        peer.join();
    }
}

} // namespace
