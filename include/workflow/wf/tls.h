// Weft public header, room: kernel - TLS: contexts with good defaults, what is verified, what was agreed on
// SPDX-License-Identifier: Apache-2.0
//
// TLS 1.2 and 1.3, on OpenSSL 3. A client verifies the certificate of its peer against the system's
// store, and that it is for the host that was asked for (RFC 6125): by default, and as long as its
// context verifies at all (SSL_VERIFY_PEER). Three ways out, from narrow to wide:
//   - a task:    task->set_ssl_ctx(wf::tls_unverified_ctx());
//   - a target:  give it that context, or one of your own with SSL_VERIFY_NONE;
//   - a process: wf::set_tls_verify(false), before its first task.
// Programs built against the package `workflow` begin with the last of these, as they expect.
//
// A program that names functions of OpenSSL itself links with it (-lssl -lcrypto); one that does
// not need not, and it is loaded at the first use of TLS. Usable from C++11. Any thread may call
// any of these functions.
#ifndef WEFT_TLS_H
#define WEFT_TLS_H

#include <openssl/ssl.h>
#include <string>

namespace wf {

// Whether the default context of clients verifies. Holds for the tasks that are started afterwards.
void set_tls_verify(bool on);
bool get_tls_verify();

// The contexts that clients share when they bring none. Owned by the engine, alive until exit. NULL
// with errno ENOSYS where there is no OpenSSL 3.
SSL_CTX *tls_client_ctx();     // as set_tls_verify() says
SSL_CTX *tls_unverified_ctx(); // takes any certificate

// What a context is made of. Files are PEM; an empty name means none.
struct TlsOptions {
    std::string cert_file; // one's own certificate, with the chain that leads to its authority
    std::string key_file;  // and its key
    std::string ca_file;   // whom to trust: client: instead of the system's store; server: for
                           // the certificates of clients, which are asked for exactly then
    bool verify;           // client: verify at all; server: refuse clients without a certificate
    std::string alpn;      // protocols, best first, by commas: "h2,http/1.1" (RFC 7301). A server
                           // refuses clients that offer others only, and ignores those without
    TlsOptions() : verify(true) {}
};

// A new context; the caller owns a reference (SSL_CTX_free), which may be dropped when it was given
// away. NULL with errno: ENOSYS without OpenSSL 3; EINVAL when a file cannot be used, or key and
// certificate do not belong together, with the reason in *error if that is not NULL.
SSL_CTX *new_tls_client_ctx(const TlsOptions &options, std::string *error = NULL);
SSL_CTX *new_tls_server_ctx(const TlsOptions &options, std::string *error = NULL);

// What a handshake came to.
struct TlsInfo {
    std::string version;     // "TLSv1.3"
    std::string cipher;      // "TLS_AES_256_GCM_SHA384"
    std::string alpn;        // the protocol agreed on; empty: none
    std::string server_name; // what the client asked for (SNI, RFC 6066 section 3)
    bool resumed;            // an earlier session went on
    std::string peer_cert;   // the peer's certificate in DER; empty: it showed none
    TlsInfo() : resumed(false) {}
};

#ifdef WEFT_WORKFLOW_PACKAGE
// Programs that were written for the old interface, and are built as such.
namespace detail {
void tls_old_rules();
static const bool old_rules_apply = (tls_old_rules(), true);
} // namespace detail
#endif

} // namespace wf

#endif
