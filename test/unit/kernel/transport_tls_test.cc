// Weft - unit tests of the TLS transport: what it says about its descriptor
// SPDX-License-Identifier: Apache-2.0
//
// The transport serves one end of a socket pair; the other end is written by hand with what a
// client of OpenSSL's own puts into memory, so that each test decides which bytes are there when.

#include "kernel/transport_tls.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <openssl/x509.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace {

struct Free {
    void operator()(SSL_CTX *ctx) const { SSL_CTX_free(ctx); }
    void operator()(SSL *ssl) const { SSL_free(ssl); }
    void operator()(EVP_PKEY *key) const { EVP_PKEY_free(key); }
    void operator()(X509 *cert) const { X509_free(cert); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

Owned<SSL_CTX> make_server_context() {
    Owned<SSL_CTX> ctx(SSL_CTX_new(TLS_server_method()));
    Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
    Owned<X509> cert(X509_new());
    X509_gmtime_adj(X509_getm_notBefore(cert.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert.get()), 3600);
    X509_set_pubkey(cert.get(), key.get());
    X509_sign(cert.get(), key.get(), EVP_sha256());
    SSL_CTX_use_certificate(ctx.get(), cert.get());
    SSL_CTX_use_PrivateKey(ctx.get(), key.get());
    return ctx;
}

class TransportTls : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds_));
        client_.reset(SSL_new(client_ctx_.get()));
        SSL_set_bio(client_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_connect_state(client_.get());
        link_init(&link_, fds_[0]);
        ASSERT_EQ(0, tls_open(&link_, server_ctx_.get(), TLS_SIDE_SERVER));
    }
    void TearDown() override {
        link_.ops->close(&link_, false);
        link_.ops->destroy(&link_);
        close(fds_[1]);
    }

    // What the client has said so far goes to the server, in one piece.
    void deliver() {
        char *bytes;
        long size = BIO_get_mem_data(SSL_get_wbio(client_.get()), &bytes);
        ASSERT_EQ(size, write(fds_[1], bytes, static_cast<size_t>(size)));
        (void)BIO_reset(SSL_get_wbio(client_.get()));
    }
    void hear() {
        char bytes[8192];
        ssize_t n = read(fds_[1], bytes, sizeof bytes);
        if (n > 0)
            BIO_write(SSL_get_rbio(client_.get()), bytes, static_cast<int>(n));
    }
    void say(const std::string &text) {
        ASSERT_EQ(static_cast<int>(text.size()),
                  SSL_write(client_.get(), text.data(), static_cast<int>(text.size())));
    }
    // Until the client has its last words of the handshake ready; they are not delivered.
    void shake_hands_but_for_the_end() {
        while (SSL_do_handshake(client_.get()) != 1) {
            deliver();
            ASSERT_EQ(-1, link_.ops->handshake(&link_));
            ASSERT_EQ(EAGAIN, errno);
            hear();
        }
    }
    // As a connection does: until it is told that there is nothing more.
    std::string receive(bool *drained) {
        char room[64];
        std::string all;
        *drained = false;
        while (!*drained) {
            ssize_t n = link_.ops->receive(&link_, room, sizeof room, drained);
            if (n <= 0)
                break;
            all.append(room, static_cast<size_t>(n));
        }
        return all;
    }

    int fds_[2] = {-1, -1};
    Owned<SSL_CTX> server_ctx_ = make_server_context();
    Owned<SSL_CTX> client_ctx_{SSL_CTX_new(TLS_client_method())};
    Owned<SSL> client_;
    weft_link link_;
};

// The handshake reads ahead, and its last read is a short one. What comes behind that read is
// reported by the descriptor before the bytes read ahead are taken: those must not pass for the
// last ones.
TEST_F(TransportTls, WhatTheHandshakeReadAheadIsNotTheEnd) {
    shake_hands_but_for_the_end();
    say("a");
    deliver(); // the end of the handshake, and a record
    ASSERT_EQ(0, link_.ops->handshake(&link_));
    say("b");
    deliver();
    bool drained;
    EXPECT_EQ("ab", receive(&drained));
}

// The same between two calls that have small room.
TEST_F(TransportTls, WhatWasLeftForWantOfRoomIsNotTheEnd) {
    shake_hands_but_for_the_end();
    deliver();
    ASSERT_EQ(0, link_.ops->handshake(&link_));
    say("abc");
    deliver();
    char room[2];
    bool drained;
    ASSERT_EQ(2, link_.ops->receive(&link_, room, sizeof room, &drained));
    EXPECT_FALSE(drained);
    say("d");
    deliver();
    EXPECT_EQ("cd", receive(&drained));
    EXPECT_TRUE(drained);
}

} // namespace
