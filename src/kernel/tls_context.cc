// Weft - contexts of TLS, and what a client expects of its peer
// SPDX-License-Identifier: Apache-2.0
#include "kernel/tls_context.h"

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <errno.h>
#include <map>
#include <mutex>
#include <netinet/in.h>
#include <string.h>

#include "kernel/log.h"
#include "kernel/openssl.h"
#include "kernel/transport_tls.h"

namespace wf {

namespace {

std::atomic<bool> verify_by_default{true};
std::atomic<bool> old_rules{false};
std::atomic<bool> told{false};

constexpr unsigned char SESSION_CONTEXT[] = "weft";
constexpr size_t MAX_ALPN = 255;
constexpr int TICKET_KEYS = 80; // bytes

// The reason of OpenSSL for what failed last, or the given words.
SSL_CTX *refuse(SSL_CTX *ctx, const std::string &what, std::string *error) {
    unsigned long code = openssl.ERR_get_error();
    const char *reason = code ? openssl.ERR_reason_error_string(code) : nullptr;
    if (ERR_SYSTEM_ERROR(code)) // OpenSSL has no words for these
        reason = strerror(ERR_GET_REASON(code));
    openssl.ERR_clear_error();
    std::string text = reason ? what + ": " + reason : what;
    weft_log(WEFT_LOG_WARN, "TLS: %s", text.c_str());
    if (error)
        *error = text;
    openssl.SSL_CTX_free(ctx);
    errno = EINVAL;
    return nullptr;
}

// "h2,http/1.1" as lengths and bytes (RFC 7301, 3.1). Empty when it cannot be said so.
std::string wire_alpn(const std::string &names) {
    std::string wire;
    for (size_t begin = 0; begin <= names.size();) {
        size_t end = names.find(',', begin);
        if (end == std::string::npos)
            end = names.size();
        if (end == begin || end - begin > MAX_ALPN)
            return std::string();
        wire += static_cast<char>(end - begin);
        wire.append(names, begin, end - begin);
        begin = end + 1;
    }
    return wire;
}

bool use_certificate(SSL_CTX *ctx, const TlsOptions &options) {
    return openssl.SSL_CTX_use_certificate_chain_file(ctx, options.cert_file.c_str()) == 1 &&
           openssl.SSL_CTX_use_PrivateKey_file(ctx, options.key_file.c_str(), SSL_FILETYPE_PEM) ==
               1 &&
           openssl.SSL_CTX_check_private_key(ctx) == 1;
}

SSL_CTX *new_ctx(const SSL_METHOD *method) {
    SSL_CTX *ctx = openssl.SSL_CTX_new(method);
    if (!ctx) {
        errno = ENOMEM;
        return nullptr;
    }
    openssl.SSL_CTX_ctrl(ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, nullptr);
    openssl.SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    return ctx;
}

// The best of ours that the client offers.
int select_alpn(SSL *, const unsigned char **chosen, unsigned char *length,
                const unsigned char *offered, unsigned offered_length, void *arg) {
    const std::string &wanted = *static_cast<const std::string *>(arg);
    for (size_t i = 0; i < wanted.size(); i += 1 + static_cast<unsigned char>(wanted[i])) {
        size_t n = 1 + static_cast<size_t>(static_cast<unsigned char>(wanted[i]));
        for (size_t j = 0; j < offered_length; j += 1u + offered[j]) {
            if (j + n <= offered_length && memcmp(&wanted[i], offered + j, n) == 0) {
                *chosen = offered + j + 1;
                *length = offered[j];
                return SSL_TLSEXT_ERR_OK;
            }
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// The lists of protocols that servers of this process use: few, and shared by all contexts.
const std::string *keep_alpn(const std::string &wire) {
    static std::mutex mutex;
    static std::map<std::string, bool> *known = new std::map<std::string, bool>;
    std::lock_guard<std::mutex> lock(mutex);
    return &known->emplace(wire, true).first->first;
}

bool is_address(const std::string &host, struct in6_addr *bytes, size_t *size) {
    *size = inet_pton(AF_INET, host.c_str(), bytes) == 1    ? sizeof(struct in_addr)
            : inet_pton(AF_INET6, host.c_str(), bytes) == 1 ? sizeof(struct in6_addr)
                                                            : 0;
    return *size > 0;
}

// The contexts that clients share, by protocols and by whether they verify.
struct Shared {
    std::mutex mutex;
    std::map<std::pair<std::string, bool>, SSL_CTX *> contexts;

    static Shared &get() {
        static Shared *shared = new Shared;
        return *shared;
    }
    bool has(const SSL_CTX *ctx) {
        std::lock_guard<std::mutex> lock(mutex);
        return std::any_of(contexts.begin(), contexts.end(),
                           [ctx](const auto &row) { return row.second == ctx; });
    }
};

SSL_CTX *shared_ctx(const TlsOptions &options) {
    Shared &shared = Shared::get();
    std::lock_guard<std::mutex> lock(shared.mutex);
    SSL_CTX *&ctx = shared.contexts[{options.alpn, options.verify}];
    if (!ctx)
        ctx = new_tls_client_ctx(options);
    return ctx;
}

int invalid() {
    openssl.ERR_clear_error();
    errno = EINVAL;
    return -1;
}

} // namespace

void set_tls_verify(bool on) {
    verify_by_default = on;
    told = true; // somebody knows what he does
}

bool get_tls_verify() { return verify_by_default; }

SSL_CTX *tls_client_ctx() { return detail::tls_shared_client_ctx(""); }

SSL_CTX *tls_unverified_ctx() {
    TlsOptions options;
    options.verify = false;
    return shared_ctx(options);
}

SSL_CTX *new_tls_client_ctx(const TlsOptions &options, std::string *error) {
    if (openssl_load() < 0)
        return nullptr;
    SSL_CTX *ctx = new_ctx(openssl.TLS_client_method());
    if (!ctx)
        return nullptr;
    bool ok =
        options.ca_file.empty()
            ? !options.verify || openssl.SSL_CTX_set_default_verify_paths(ctx) == 1
            : openssl.SSL_CTX_load_verify_locations(ctx, options.ca_file.c_str(), nullptr) == 1;
    if (!ok)
        return refuse(ctx, "the authorities cannot be used", error);
    openssl.SSL_CTX_set_verify(ctx, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (!options.cert_file.empty() && !use_certificate(ctx, options))
        return refuse(ctx, "the certificate or its key cannot be used", error);
    if (!options.alpn.empty()) {
        std::string wire = wire_alpn(options.alpn);
        if (wire.empty() || openssl.SSL_CTX_set_alpn_protos(
                                ctx, reinterpret_cast<const unsigned char *>(wire.data()),
                                static_cast<unsigned>(wire.size())) != 0)
            return refuse(ctx, "the list of protocols cannot be used", error);
    }
    return ctx;
}

SSL_CTX *new_tls_server_ctx(const TlsOptions &options, std::string *error) {
    SSL_CTX *ctx = detail::tls_bare_server_ctx();
    if (!ctx)
        return nullptr;
    if (!use_certificate(ctx, options))
        return refuse(ctx, "the certificate or its key cannot be used", error);
    if (!options.ca_file.empty()) {
        auto *names = openssl.SSL_load_client_CA_file(options.ca_file.c_str());
        if (!names ||
            openssl.SSL_CTX_load_verify_locations(ctx, options.ca_file.c_str(), nullptr) != 1)
            return refuse(ctx, "the authorities of clients cannot be used", error);
        openssl.SSL_CTX_set_client_CA_list(ctx, names);
        openssl.SSL_CTX_set_verify(ctx,
                                   SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE |
                                       (options.verify ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                                   nullptr);
    }
    if (!options.alpn.empty()) {
        std::string wire = wire_alpn(options.alpn);
        if (wire.empty())
            return refuse(ctx, "the list of protocols cannot be used", error);
        openssl.SSL_CTX_set_alpn_select_cb(ctx, select_alpn,
                                           const_cast<std::string *>(keep_alpn(wire)));
    }
    return ctx;
}

namespace detail {

SSL_CTX *tls_bare_server_ctx() {
    if (openssl_load() < 0)
        return nullptr;
    SSL_CTX *ctx = new_ctx(openssl.TLS_server_method());
    if (!ctx)
        return nullptr;
    openssl.SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    openssl.SSL_CTX_set_session_id_context(ctx, SESSION_CONTEXT, sizeof SESSION_CONTEXT - 1);
    return ctx;
}

SSL_CTX *tls_shared_client_ctx(const char *alpn) {
    TlsOptions options;
    options.verify = verify_by_default;
    options.alpn = alpn;
    if (!options.verify && old_rules && !told.exchange(true))
        weft_log(WEFT_LOG_WARN,
                 "certificates are not verified, as programs built against the package "
                 "\"workflow\" expect; wf::set_tls_verify(true) changes that");
    return shared_ctx(options);
}

int tls_expect_peer(SSL *ssl, const std::string &host, const struct sockaddr *addr) {
    struct in6_addr bytes;
    size_t size = 0;
    std::string name = host;
    while (!name.empty() && name.back() == '.') // as absolute names end; certificates never do
        name.pop_back();
    bool literal = is_address(name, &bytes, &size);
    if (!name.empty() && !literal && name[0] != '/' &&
        openssl.SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                         const_cast<char *>(name.c_str())) != 1)
        return invalid();
    if (openssl.SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE)
        return 0;
    // A context of the program's own, under the old rules, verifies no more than the program asked.
    if (old_rules && !Shared::get().has(openssl.SSL_get_SSL_CTX(ssl)))
        return 0;
    if (name.empty() && addr->sa_family == AF_INET) {
        memcpy(&bytes, &reinterpret_cast<const struct sockaddr_in *>(addr)->sin_addr,
               size = sizeof(struct in_addr));
    } else if (name.empty() && addr->sa_family == AF_INET6) {
        memcpy(&bytes, &reinterpret_cast<const struct sockaddr_in6 *>(addr)->sin6_addr,
               size = sizeof(struct in6_addr));
    }
    X509_VERIFY_PARAM *expected = openssl.SSL_get0_param(ssl);
    openssl.X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    int ret = 1;
    if (size > 0)
        ret = openssl.X509_VERIFY_PARAM_set1_ip(
            expected, reinterpret_cast<const unsigned char *>(&bytes), size);
    else if (!name.empty())
        ret = openssl.X509_VERIFY_PARAM_set1_host(expected, name.c_str(), name.size());
    return ret == 1 ? 0 : invalid();
}

void tls_inherit_tickets(SSL_CTX *to, SSL_CTX *from) {
    unsigned char keys[TICKET_KEYS];
    if (openssl.SSL_CTX_ctrl(from, SSL_CTRL_GET_TLSEXT_TICKET_KEYS, sizeof keys, keys) == 1)
        openssl.SSL_CTX_ctrl(to, SSL_CTRL_SET_TLSEXT_TICKET_KEYS, sizeof keys, keys);
    openssl.ERR_clear_error();
}

void tls_describe(const struct weft_link *link, TlsInfo *info) {
    SSL *ssl = tls_ssl(link);
    const unsigned char *alpn = nullptr;
    unsigned alpn_length = 0;
    const SSL_CIPHER *cipher = openssl.SSL_get_current_cipher(ssl);
    const char *name = openssl.SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    info->version = openssl.SSL_get_version(ssl);
    info->cipher = cipher ? openssl.SSL_CIPHER_get_name(cipher) : "";
    info->server_name = name ? name : "";
    info->resumed = openssl.SSL_session_reused(ssl) != 0;
    openssl.SSL_get0_alpn_selected(ssl, &alpn, &alpn_length);
    info->alpn.assign(reinterpret_cast<const char *>(alpn), alpn ? alpn_length : 0);
    info->peer_cert.clear();
    X509 *cert = openssl.SSL_get1_peer_certificate(ssl);
    unsigned char *der = nullptr;
    int size = cert ? openssl.i2d_X509(cert, &der) : 0;
    if (size > 0)
        info->peer_cert.assign(reinterpret_cast<const char *>(der), static_cast<size_t>(size));
    openssl.CRYPTO_free(der, "", 0);
    openssl.X509_free(cert);
}

void tls_old_rules() {
    if (!old_rules.exchange(true))
        verify_by_default = false;
}

} // namespace detail

} // namespace wf
