// Weft - the TLS transport, on OpenSSL
// SPDX-License-Identifier: Apache-2.0
//
// A link is opened with a context, then configured (server name, session to resume), then its
// handshake runs, and from there on it moves bytes. Records are read ahead, so a small message
// costs one read; OpenSSL's buffers are freed while nothing is in them. Renegotiation is refused.
// The peer's FIN without a close_notify is an error (RFC 8446, 6.1): a cut stream must not pass for
// a whole one.
#ifndef WEFT_SRC_KERNEL_TRANSPORT_TLS_H
#define WEFT_SRC_KERNEL_TRANSPORT_TLS_H

#include <openssl/ssl.h>

#include "kernel/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

enum tls_side { TLS_SIDE_CLIENT, TLS_SIDE_SERVER };

// Sessions of one target, to be resumed by its next connections: the latest few. One of TLS 1.3 is
// used once (RFC 8446, C.4). Guarded by whoever owns it.
enum { TLS_SESSIONS_MAX = 8 };
struct tls_sessions {
    SSL_SESSION *kept[TLS_SESSIONS_MAX]; // oldest first
    unsigned count;
};

// Makes a plain link, over which nothing was sent yet, one of TLS. Holds a reference of the
// context. -1 with errno.
int tls_open(struct weft_link *link, SSL_CTX *ctx, enum tls_side side);
SSL *tls_ssl(const struct weft_link *link);
bool tls_is_established(const struct weft_link *link);
// Whether the handshake resumed a session of before.
bool tls_is_resumed(const struct weft_link *link);
// Whether the stream ended without the peer's notice.
bool tls_was_cut(const struct weft_link *link);

// The session that the next connection may resume; NULL when there is none, or none that is new.
SSL_SESSION *tls_get_session(struct weft_link *link);
// Resumes a session if the peer agrees; consumes the reference.
void tls_set_session(struct weft_link *link, SSL_SESSION *session);
// Consumes the reference.
void tls_keep_session(struct tls_sessions *sessions, SSL_SESSION *session);
SSL_SESSION *tls_take_session(struct tls_sessions *sessions);
void tls_drop_sessions(struct tls_sessions *sessions);

// What OpenSSL says about the failure of this link; "" when there was none.
const char *tls_error_text(const struct weft_link *link);

#ifdef __cplusplus
}
#endif

#endif
