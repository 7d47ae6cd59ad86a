// Weft - integration: our client over TLS and peers that do not keep to it
// SPDX-License-Identifier: Apache-2.0
//
// Scripted peers on raw sockets: plain text, silence, ends and resets at every stage, streams that
// are cut and streams that end in good order, and chains of certificates at the limit. Exactly one
// callback each, and never a success that is none.

#include <gtest/gtest.h>

#include <errno.h>

#include <atomic>

#include "integration/patience.h"
#include "integration/tls_call.h"
#include "integration/tls_peer.h"
#include "integration/workshop.h"
#include "workflow/WFDnsResolver.h"

namespace {

constexpr int kShortMs = 300;

// The names that end at a policy of ours have little time for the handshake.
class Hasty : public WFNSPolicy {
public:
    Hasty() { WFGlobal::get_name_service()->add_policy("hasty.test", this); }
    ~Hasty() override { WFGlobal::get_name_service()->del_policy("hasty.test"); }

    WFRouterTask *create_router_task(const WFNSParams *params,
                                     router_callback_t callback) override {
        EndpointParams endpoint = ENDPOINT_PARAMS_DEFAULT;
        endpoint.ssl_connect_timeout = kShortMs;
        free(params->uri.host);
        params->uri.host = strdup("127.0.0.1");
        return new WFResolverTask(params, 3600, 60, &endpoint, std::move(callback));
    }
};

class TlsBadServer : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(peer::have("openssl"));
        own_ = ca_.make("server");
        ctx_ = trusting(ca_.file());
        server_ctx_ = serving(own_);
    }
    static std::string url(const raw::ScriptedServer &server,
                           const std::string &host = "127.0.0.1") {
        return "https://" + host + ":" + std::to_string(server.port()) + "/";
    }
    // What a peer has to say that goes through with its handshake and sends these bytes.
    raw::ScriptedServer::Script after_handshake(
        const std::function<void(TlsPeer &, raw::Socket &)> &then) {
        return [this, then](raw::Socket &socket, int) {
            TlsPeer peer(socket, server_ctx_.get());
            if (!peer.accept())
                return;
            peer.read_until("\r\n\r\n");
            then(peer, socket);
        };
    }
    void expect_tls_error(const TlsCall &call, int error, const std::string &text) {
        EXPECT_EQ(WFT_STATE_SSL_ERROR, call.state) << call.describe();
        EXPECT_EQ(error, call.error) << call.describe();
        EXPECT_NE(std::string::npos, call.text.find(text)) << call.describe();
        EXPECT_EQ(1, call.callbacks);
    }

    Authority &ca_ = Authority::common();
    Certificate own_;
    Context ctx_, server_ctx_;
};

TEST_F(TlsBadServer, SpeaksPlainHttp) {
    raw::ScriptedServer server([](raw::Socket &peer, int) {
        peer.read_some();
        peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        peer.wait_closed();
    });
    TlsCall call;
    ASSERT_TRUE(call.get(url(server), ctx_.get()));
    expect_tls_error(call, SSL_ERROR_SSL, "wrong version number");
    EXPECT_FALSE(call.agreed);
}

// Reads what we send, and never answers; or answers half of what it should.
TEST_F(TlsBadServer, StallsInTheHandshake) {
    Hasty hasty;
    raw::ScriptedServer silent([](raw::Socket &peer, int) { peer.wait_closed(); });
    raw::ScriptedServer half([](raw::Socket &peer, int) {
        peer.read_some();
        peer.send(std::string("\x16\x03\x03\x00\x40\x02\x00\x00\x3c\x03\x03", 11));
        peer.wait_closed();
    });
    for (const raw::ScriptedServer *server : {&silent, &half}) {
        auto begin = std::chrono::steady_clock::now();
        TlsCall call;
        ASSERT_TRUE(call.get(url(*server, "hasty.test"), ctx_.get()));
        EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state) << call.describe();
        EXPECT_EQ(ETIMEDOUT, call.error) << call.describe();
        EXPECT_EQ(TOR_CONNECT_TIMEOUT, call.reason);
        EXPECT_EQ(1, call.callbacks);
        EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(kShortMs));
        EXPECT_FALSE(call.agreed);
    }
}

// What a server says in its part of the handshake, as far as one can tell from outside: a flight of
// OpenSSL's, cut after each of these bytes.
TEST_F(TlsBadServer, EndsInTheHandshake) {
    std::atomic<size_t> cut(0); // Set by the test, read by the peer's thread.
    std::atomic<bool> hard(false);
    std::atomic<size_t> whole(0);
    raw::ScriptedServer server([&](raw::Socket &socket, int) {
        SSL *ssl = SSL_new(server_ctx_.get());
        BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl, in, out);
        std::string hello = socket.read_some();
        BIO_write(in, hello.data(), static_cast<int>(hello.size()));
        SSL_accept(ssl);
        char *bytes;
        whole = static_cast<size_t>(BIO_get_mem_data(out, &bytes));
        socket.send(std::string(bytes, std::min(cut.load(), whole.load())));
        SSL_free(ssl);
        if (hard) {
            socket.reset();
            return;
        }
        socket.half_close();
        socket.wait_closed();
    });
    for (bool reset : {false, true}) {
        hard = reset;
        for (cut = 0; cut == 0 || cut < whole; cut += cut < 10 ? 1 : 61) {
            TlsCall call;
            ASSERT_TRUE(call.get(url(server), ctx_.get()));
            EXPECT_EQ(1, call.callbacks);
            if (reset) { // It may destroy what stands before it, never add to it.
                EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state) << cut << call.describe();
                EXPECT_TRUE(call.error == ECONNRESET || call.error == EPIPE) << call.describe();
            } else {
                expect_tls_error(call, SSL_ERROR_SSL, "unexpected eof");
            }
        }
        EXPECT_GT(whole, 500u);
    }
}

// Right at the accept, before a byte was read.
TEST_F(TlsBadServer, ClosesAtOnce) {
    for (bool hard : {false, true}) {
        raw::ScriptedServer server([hard](raw::Socket &peer, int) {
            if (hard)
                peer.reset();
        });
        TlsCall call;
        ASSERT_TRUE(call.get(url(server), ctx_.get()));
        EXPECT_NE(WFT_STATE_SUCCESS, call.state);
        EXPECT_EQ(1, call.callbacks);
    }
}

const char kHeadless[] = "HTTP/1.1 200 OK\r\n\r\nall of it"; // Ends with the connection.

TEST_F(TlsBadServer, CutStreamIsNoAnswer) {
    raw::ScriptedServer server(after_handshake([](TlsPeer &peer, raw::Socket &socket) {
        peer.send(kHeadless);
        socket.half_close(); // TCP ends, TLS does not.
        socket.wait_closed();
    }));
    TlsCall call;
    ASSERT_TRUE(call.get(url(server), ctx_.get()));
    expect_tls_error(call, SSL_ERROR_SSL, "unexpected eof");
    EXPECT_EQ("", call.body);
    EXPECT_TRUE(call.agreed);
}

TEST_F(TlsBadServer, EndedStreamIsAnAnswer) {
    raw::ScriptedServer server(after_handshake([](TlsPeer &peer, raw::Socket &socket) {
        peer.send(kHeadless);
        peer.say_goodbye();
        socket.wait_closed(); // TCP goes on; it is TLS that ends the answer.
    }));
    TlsCall call;
    ASSERT_TRUE(call.get(url(server), ctx_.get()));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state) << call.describe();
    EXPECT_EQ("all of it", call.body);
}

// The same for answers that are not whole: neither end makes them so.
TEST_F(TlsBadServer, EndsInAnAnswer) {
    const std::string halves[] = {"", "HTTP/1.1 200 OK\r\nContent-Le",
                                  "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
                                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"};
    for (const std::string &half : halves) {
        for (bool polite : {false, true}) {
            raw::ScriptedServer server(
                after_handshake([&half, polite](TlsPeer &peer, raw::Socket &socket) {
                    if (!half.empty())
                        peer.send(half);
                    if (polite)
                        peer.say_goodbye();
                    socket.half_close();
                    socket.wait_closed();
                }));
            TlsCall call;
            ASSERT_TRUE(call.get(url(server), ctx_.get()));
            EXPECT_EQ(1, call.callbacks);
            // Who has not said a word has cut nothing off.
            if (polite || half.empty()) {
                EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state) << half << call.describe();
                EXPECT_EQ(ECONNRESET, call.error) << half << call.describe();
            } else {
                expect_tls_error(call, SSL_ERROR_SSL, "unexpected eof");
            }
        }
    }
}

// An answer that says its length is whole, however the connection ends behind it: that end is no
// error of the task, not even when it comes before the callback is through.
TEST_F(TlsBadServer, WholeAnswerCounts) {
    std::atomic<int> closed(0);
    raw::ScriptedServer server(after_handshake([&closed](TlsPeer &peer, raw::Socket &socket) {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        socket.half_close();
        socket.wait_closed();
        closed++;
    }));
    for (int i = 0; i < 5; i++) { // No kept connection is left to be used again.
        Call call;
        std::string text = "not told";
        ASSERT_TRUE(call.run(url(server), [&](WFHttpTask *task) {
            task->set_ssl_ctx(ctx_.get());
            task->set_callback([&](WFHttpTask *t) {
                call.note(t);
                EXPECT_TRUE(eventually([&] { return closed == i + 1; }));
                text = t->get_tls_error();
            });
        }));
        EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
        EXPECT_EQ("hello", call.body);
        EXPECT_EQ("", text);
        EXPECT_EQ(i + 1, server.connections());
    }
}

// A kept connection that ends under the next request: an error, which one retry hides.
TEST_F(TlsBadServer, EndsUnderTheNextRequest) {
    raw::ScriptedServer server(after_handshake([](TlsPeer &peer, raw::Socket &socket) {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        peer.read_until("\r\n\r\n");
        socket.half_close();
        socket.wait_closed();
    }));
    const auto use_ctx = [this](WFHttpTask *task) { task->set_ssl_ctx(ctx_.get()); };
    for (int retries : {0, 1}) {
        Call first, second;
        ASSERT_TRUE(first.run(url(server), use_ctx));
        EXPECT_EQ("hello", first.body);
        ASSERT_TRUE(second.run(
            url(server),
            [&](WFHttpTask *task) {
                use_ctx(task);
                close_behind(task); // So that the peer sees the end of what is not used again.
            },
            0, retries));
        EXPECT_EQ(retries ? WFT_STATE_SUCCESS : WFT_STATE_SYS_ERROR, second.state);
        EXPECT_EQ(retries ? 0 : ECONNRESET, second.error);
    }
}

// Bytes between the records of an answer, and a record that was changed on its way.
TEST_F(TlsBadServer, ChangedOnItsWay) {
    raw::ScriptedServer server(after_handshake([](TlsPeer &peer, raw::Socket &socket) {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n12345");
        socket.send("\x17\x03\x03\x01\x20" + std::string(0x120, 'x'));
        socket.wait_closed();
    }));
    TlsCall call;
    ASSERT_TRUE(call.get(url(server), ctx_.get()));
    expect_tls_error(call, SSL_ERROR_SSL, "bad record mac");
}

// Each byte of the answer in a record of its own, and then a large one at once.
TEST_F(TlsBadServer, AnyCutOfRecords) {
    const std::string body = Workshop::pattern(3000000);
    raw::ScriptedServer server(after_handshake([&body](TlsPeer &peer, raw::Socket &) {
        const std::string head =
            "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
        for (char byte : head)
            peer.send(std::string(1, byte));
        peer.send(body);
        peer.read_some();
    }));
    TlsCall call;
    ASSERT_TRUE(call.get(url(server), ctx_.get(), close_behind));
    EXPECT_TRUE(body == call.body) << call.describe() << call.body.size();
}

// An alert behind the handshake, as of a server that wants a certificate.
TEST_F(TlsBadServer, RefusesBehindTheHandshake) {
    SSL_CTX_set_verify(server_ctx_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       nullptr);
    raw::ScriptedServer server([this](raw::Socket &socket, int) {
        TlsPeer peer(socket, server_ctx_.get());
        EXPECT_FALSE(peer.accept());
        socket.half_close();
        socket.wait_closed();
    });
    TlsCall call;
    ASSERT_TRUE(call.get(url(server), ctx_.get()));
    expect_tls_error(call, SSL_ERROR_SSL, "certificate required");
}

// A large request to one who stops reading, and then goes.
TEST_F(TlsBadServer, LeavesDuringALargeRequest) {
    for (bool hard : {false, true}) {
        raw::ScriptedServer server([this, hard](raw::Socket &socket, int) {
            TlsPeer peer(socket, server_ctx_.get());
            ASSERT_TRUE(peer.accept());
            peer.read_until("\r\n\r\n");
            if (hard)
                socket.reset();
        });
        const std::string body(30000000, 'b');
        TlsCall call;
        ASSERT_TRUE(call.get(url(server), ctx_.get(), [&body](WFHttpTask *task) {
            task->get_req()->set_method(HttpMethodPost);
            task->get_req()->append_output_body_nocopy(body);
        }));
        EXPECT_NE(WFT_STATE_SUCCESS, call.state);
        EXPECT_EQ(1, call.callbacks);
    }
}

// OpenSSL takes 100 KiB of certificates from a peer (SSL_MAX_CERT_LIST_DEFAULT).
class TlsLongChain : public TlsBadServer {
protected:
    // A chain file of about so many bytes on the wire: one authority again and again.
    Certificate chain(size_t bytes) {
        CertificateWish wish;
        wish.authority = true;
        Certificate middle = ca_.make("middle", wish);
        Certificate leaf = ca_.make_below(middle, "far_leaf");
        size_t each = der_size(middle.cert) + 5; // With its length, and no extensions behind it.
        std::vector<std::string> files = {leaf.cert};
        for (size_t size = der_size(leaf.cert); size + each < bytes; size += each)
            files.push_back(middle.cert);
        return {ca_.join("chain" + std::to_string(bytes) + ".pem", files), leaf.key};
    }
    static size_t der_size(const std::string &file) {
        BIO *bio = BIO_new_file(file.c_str(), "r");
        X509 *cert = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
        int size = i2d_X509(cert, nullptr);
        X509_free(cert);
        BIO_free(bio);
        return static_cast<size_t>(size);
    }
};

TEST_F(TlsLongChain, OfTheServer) {
    for (size_t bytes : {98000u, 106000u}) {
        Certificate own = chain(bytes);
        Workshop workshop;
        ASSERT_TRUE(workshop.start(own.cert, own.key));
        TlsCall call;
        ASSERT_TRUE(call.get(workshop.url("/hello"), ctx_.get()));
        if (bytes < 100000) {
            EXPECT_EQ("hello", call.body) << call.describe();
        } else {
            expect_tls_error(call, SSL_ERROR_SSL, "excessive message size");
        }
        workshop.stop();
    }
}

TEST_F(TlsLongChain, OfTheClient) {
    Workshop workshop;
    workshop.server().set_tls_client_ca(ca_.file());
    ASSERT_TRUE(workshop.start(own_.cert, own_.key));
    for (size_t bytes : {98000u, 106000u}) {
        TlsCall call;
        ASSERT_TRUE(
            call.get(workshop.url("/tls"), trusting(ca_.file(), chain(bytes)).get(), close_behind));
        if (bytes < 100000) {
            EXPECT_EQ("TLSv1.3 new alpn= name= known", call.body) << call.describe();
        } else {
            EXPECT_NE(WFT_STATE_SUCCESS, call.state);
            EXPECT_EQ(1, call.callbacks);
        }
    }
    EXPECT_TRUE(eventually([&] { return workshop.server().get_conn_count() == 0; }));
}

} // namespace
