// Weft - a scripted peer that speaks TLS through OpenSSL's own functions, and not through Weft
// SPDX-License-Identifier: Apache-2.0
//
// Over a raw::Socket, which it borrows: the test decides what passes before, between and behind the
// records. Blocking, with raw::kPatienceMs as the limit of every wait. Belongs to one thread.

#ifndef WEFT_TEST_INTEGRATION_TLS_PEER_H
#define WEFT_TEST_INTEGRATION_TLS_PEER_H

#include <string>

#include "integration/certificates.h"
#include "integration/raw_socket.h"

// Plain contexts of OpenSSL: a server's with this file as its chain, a client's that verifies
// nothing.
Context serving(const Certificate &own);
Context asking();

class TlsPeer {
public:
    TlsPeer(const raw::Socket &socket, SSL_CTX *ctx);
    ~TlsPeer() { SSL_free(ssl_); }
    TlsPeer(const TlsPeer &) = delete;
    TlsPeer &operator=(const TlsPeer &) = delete;

    bool accept() { return note(SSL_accept(ssl_)); }
    bool connect() { return note(SSL_connect(ssl_)); }
    bool send(const std::string &bytes);
    // One read: what came, or "" at the end, whatever it was.
    std::string read_some();
    std::string read_until(const std::string &mark);
    void say_goodbye() { SSL_shutdown(ssl_); }

    SSL *ssl() { return ssl_; }
    // Of the last thing that failed: SSL_get_error(), and OpenSSL's words.
    int error() const { return error_; }
    const std::string &reason() const { return reason_; }

private:
    bool note(int ret);

    SSL *ssl_;
    int error_ = 0;
    std::string reason_;
};

#endif
