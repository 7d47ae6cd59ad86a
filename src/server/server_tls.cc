// Weft - WFServerBase: certificates
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <strings.h>

#include "kernel/openssl.h"
#include "kernel/tls_context.h"
#include "workflow/WFServer.h"

void WFServerBase::set_tls_client_ca(const std::string &ca_file, bool required) {
    this->tls_client_ca = ca_file;
    this->tls_client_required = required;
}

SSL_CTX *WFServerBase::new_ssl_ctx(const char *cert_file, const char *key_file) {
    wf::TlsOptions options;
    options.cert_file = cert_file;
    options.key_file = key_file;
    options.ca_file = this->tls_client_ca;
    options.verify = this->tls_client_required;
    options.alpn = this->tls_alpn;
    SSL_CTX *ctx = wf::new_tls_server_ctx(options);
    if (ctx) {
        // A macro of OpenSSL calls what it would cast.
        openssl.SSL_CTX_callback_ctrl(ctx, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                                      reinterpret_cast<void (*)(void)>(ssl_ctx_callback));
        openssl.SSL_CTX_ctrl(ctx, SSL_CTRL_SET_TLSEXT_SERVERNAME_ARG, 0, this);
    }
    return ctx;
}

namespace {

// A session of TLS 1.3 is taken up before its name is looked at, so one that was begun under
// another name, where nobody or somebody else looked at the client, would count here as well.
bool is_foreign_session(const SSL *ssl, const char *name) {
    const SSL_SESSION *session = openssl.SSL_get_session(ssl);
    if (!session || !openssl.SSL_session_reused(ssl))
        return false;
    const char *first = openssl.SSL_SESSION_get0_hostname(session);
    return name && first ? strcasecmp(name, first) != 0 : name != first;
}

} // namespace

// A chosen context brings its certificate; whether clients must show one goes with it.
int WFServerBase::ssl_ctx_callback(SSL *ssl, int *, void *arg) {
    WFServerBase *server = static_cast<WFServerBase *>(arg);
    const char *name = openssl.SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *chosen = server->get_server_ssl_ctx(name);
    if (!chosen)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    if ((openssl.SSL_CTX_get_verify_mode(chosen) & SSL_VERIFY_PEER) &&
        is_foreign_session(ssl, name))
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    if (chosen != openssl.SSL_get_SSL_CTX(ssl)) {
        openssl.SSL_set_SSL_CTX(ssl, chosen);
        openssl.SSL_set_verify(ssl, openssl.SSL_CTX_get_verify_mode(chosen),
                               openssl.SSL_CTX_get_verify_callback(chosen));
    }
    return SSL_TLSEXT_ERR_OK;
}

int WFServerBase::replace_certificate(const char *cert_file, const char *key_file) {
    std::lock_guard<std::mutex> lock(this->mutex);
    if (this->phase != RUNNING || this->tls_contexts.empty()) {
        errno = ENOTCONN;
        return -1;
    }
    if (!cert_file || !key_file) {
        errno = EINVAL;
        return -1;
    }
    SSL_CTX *ctx = this->new_ssl_ctx(cert_file, key_file);
    if (!ctx)
        return -1;
    wf::detail::tls_inherit_tickets(ctx, this->tls_contexts.back());
    this->tls_contexts.push_back(ctx);
    this->replace_ssl_ctx(ctx);
    return 0;
}

void WFServerBase::free_tls() {
    for (SSL_CTX *ctx : this->tls_contexts)
        openssl.SSL_CTX_free(ctx);
    this->tls_contexts.clear();
}
