// Weft - a scripted peer that speaks TLS through OpenSSL's own functions: the calls behind tls_peer.h
// SPDX-License-Identifier: Apache-2.0
//
// Owner and threads: see tls_peer.h.

#include "integration/tls_peer.h"

#include <openssl/err.h>
#include <sys/socket.h>

Context serving(const Certificate &own) {
    Context ctx(SSL_CTX_new(TLS_server_method()));
    if (SSL_CTX_use_certificate_chain_file(ctx.get(), own.cert.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx.get(), own.key.c_str(), SSL_FILETYPE_PEM) != 1)
        return nullptr;
    return ctx;
}

Context asking() { return Context(SSL_CTX_new(TLS_client_method())); }

TlsPeer::TlsPeer(const raw::Socket &socket, SSL_CTX *ctx) : ssl_(SSL_new(ctx)) {
    timeval patience = {raw::kPatienceMs / 1000, 0};
    setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    SSL_set_fd(ssl_, socket.fd());
}

bool TlsPeer::note(int ret) {
    if (ret > 0)
        return true;
    error_ = SSL_get_error(ssl_, ret);
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    reason_ = reason ? reason : "";
    ERR_clear_error();
    return false;
}

bool TlsPeer::send(const std::string &bytes) {
    return note(SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())));
}

std::string TlsPeer::read_some() {
    char buffer[16384];
    int n = SSL_read(ssl_, buffer, sizeof buffer);
    return note(n) ? std::string(buffer, static_cast<size_t>(n)) : "";
}

std::string TlsPeer::read_until(const std::string &mark) {
    std::string all;
    while (all.find(mark) == std::string::npos) {
        std::string more = read_some();
        if (more.empty())
            break;
        all += more;
    }
    return all;
}
