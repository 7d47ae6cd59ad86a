// Weft - contexts of TLS, and what a client expects of its peer
// SPDX-License-Identifier: Apache-2.0
//
// Over openssl.h, and so behind openssl_load(). Any thread. The shared contexts of clients are made
// at their first use and live until the process ends, since connections may outlive the engine's
// tables.
#ifndef WEFT_SRC_KERNEL_TLS_CONTEXT_H
#define WEFT_SRC_KERNEL_TLS_CONTEXT_H

#include <string>
#include <sys/socket.h>

#include "workflow/wf/tls.h"

struct weft_link;

namespace wf::detail {

// The shared context for clients that speak these protocols ("" for any). NULL with errno.
SSL_CTX *tls_shared_client_ctx(const char *alpn);

// A context for servers that has no certificate yet; the caller's. NULL with errno.
SSL_CTX *tls_bare_server_ctx();

// Before the handshake of a client: the name to ask for (SNI) and the name or address that the
// certificate must be for, if the context verifies at all. An empty name stands for the address. -1
// with errno.
int tls_expect_peer(SSL *ssl, const std::string &host, const struct sockaddr *addr);

// Lets a new context decrypt what its predecessor gave to clients to come back with.
void tls_inherit_tickets(SSL_CTX *to, SSL_CTX *from);

void tls_describe(const struct weft_link *link, TlsInfo *info);

// The program was built against the package `workflow`: it expects no verification by default, and
// of contexts of its own that only the chain is verified.
void tls_old_rules();

} // namespace wf::detail

#endif
