// Weft - the TLS transport, on OpenSSL
// SPDX-License-Identifier: Apache-2.0
#include "kernel/transport_tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/openssl.h"

enum {
    RECORD = 16384, // the most that one record carries (RFC 8446, 5.1)
    TEXT = 128,
};

struct tls {
    SSL *ssl;
    char *held; // bytes that the system did not take: `link.held` of them, from held_begin on
    size_t held_begin;
    int system_error; // why the last read or write of the descriptor failed; 0 when it did not
    bool drained;     // the last read of the descriptor was a short one, in this call
    bool eof;         // it found the end
    bool established; // the handshake is done
    bool failed;      // nothing more may be asked of the SSL
    bool finishing;   // once nothing is held any more, our sending ends
    bool offered;     // its session was given away
    char text[TEXT];
};

// The descriptor, as OpenSSL sees it. Reading is the system's; writing always takes everything, and
// holds what the system does not: so OpenSSL never has to be asked twice for the same record.

static int bio_read(BIO *bio, char *buf, size_t size, size_t *got) {
    struct weft_link *link = (struct weft_link *)openssl.BIO_get_data(bio);
    ssize_t n;
    do
        n = sys_recv(link->fd, buf, size);
    while (n < 0 && errno == EINTR);
    openssl.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    link->tls->drained = n < 0 || (size_t)n < size;
    link->tls->eof = n == 0;
    link->tls->system_error = n < 0 && errno != EAGAIN ? errno : 0;
    if (n < 0 && errno == EAGAIN)
        openssl.BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
    *got = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static int hold(struct weft_link *link, const char *bytes, size_t size) {
    struct tls *tls = link->tls;
    if (size == 0)
        return 0;
    char *grown = (char *)malloc(link->held + size);
    if (!grown)
        return -1;
    if (link->held > 0)
        memcpy(grown, tls->held + tls->held_begin, link->held);
    memcpy(grown + link->held, bytes, size);
    free(tls->held);
    tls->held = grown;
    tls->held_begin = 0;
    link->held += (uint32_t)size;
    return 0;
}

static ssize_t put(struct weft_link *link, const char *bytes, size_t size) {
    struct iovec v = {(void *)bytes, size};
    ssize_t n;
    do
        n = sys_sendv(link->fd, &v, 1);
    while (n < 0 && errno == EINTR);
    return n < 0 && errno == EAGAIN ? 0 : n;
}

static int bio_write(BIO *bio, const char *bytes, size_t size, size_t *taken) {
    struct weft_link *link = (struct weft_link *)openssl.BIO_get_data(bio);
    ssize_t n = link->held > 0 ? 0 : put(link, bytes, size);
    openssl.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    if (n < 0 || hold(link, bytes + n, size - (size_t)n) < 0) {
        link->tls->system_error = errno;
        return 0;
    }
    *taken = size;
    return 1;
}

static long bio_ctrl(BIO *bio, int command, long larg, void *parg) {
    const struct weft_link *link = (struct weft_link *)openssl.BIO_get_data(bio);
    (void)larg;
    (void)parg;
    if (command == BIO_CTRL_FLUSH)
        return 1;
    return command == BIO_CTRL_EOF && link->tls->eof ? 1 : 0;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

static void make_method(void) {
    method = openssl.BIO_meth_new(BIO_TYPE_DESCRIPTOR | BIO_TYPE_SOURCE_SINK, "weft link");
    if (!method)
        return;
    openssl.BIO_meth_set_read_ex(method, bio_read);
    openssl.BIO_meth_set_write_ex(method, bio_write);
    openssl.BIO_meth_set_ctrl(method, bio_ctrl);
}

// SSL_get_error() also looks at what others have left in the thread's queue of errors. Clearing an
// empty one costs more than the rest of a call, and it is nearly always empty.
static void forget_errors(void) {
    if (openssl.ERR_peek_error())
        openssl.ERR_clear_error();
}

// Keeps what OpenSSL says of a failure, and what is most telling of it: the reason why a
// certificate was refused.
static void keep_text(struct tls *tls) {
    unsigned long code = openssl.ERR_get_error();
    const char *reason = code ? openssl.ERR_reason_error_string(code) : NULL;
    long verdict = openssl.SSL_get_verify_result(tls->ssl);
    if (!reason)
        reason = tls->eof ? "unexpected eof while reading" : "failed without a reason";
    if (verdict != X509_V_OK && openssl.SSL_get_verify_mode(tls->ssl) != SSL_VERIFY_NONE)
        snprintf(tls->text, sizeof tls->text, "%s: %s", reason,
                 openssl.X509_verify_cert_error_string(verdict));
    else
        snprintf(tls->text, sizeof tls->text, "%s", reason);
    openssl.ERR_clear_error();
}

// What a call of OpenSSL that did not succeed means: -1 and errno, or 0 for the end. A failure is
// the last one: no call follows it.
static int result(struct weft_link *link, int ret) {
    struct tls *tls = link->tls;
    int code = openssl.SSL_get_error(tls->ssl, ret);
    if (code == SSL_ERROR_WANT_READ) {
        errno = EAGAIN;
        return -1;
    }
    if (code == SSL_ERROR_ZERO_RETURN)
        return 0;
    tls->failed = true;
    if (code == SSL_ERROR_SYSCALL && tls->system_error) { // a reset, say
        openssl.ERR_clear_error();
        errno = tls->system_error;
        return -1;
    }
    keep_text(tls);
    link->error = code;
    errno = EPROTO;
    return -1;
}

// That there was a failure, and which.
static int failed(const struct weft_link *link) {
    errno = link->error ? EPROTO : link->tls->system_error;
    return -1;
}

static int tls_handshake(struct weft_link *link) {
    struct tls *tls = link->tls;
    forget_errors();
    int ret = openssl.SSL_do_handshake(tls->ssl);
    if (ret == 1) {
        tls->established = true;
        return 0;
    }
    if (result(link, ret) == 0) { // an end, before there was a beginning
        tls->failed = true;
        snprintf(tls->text, sizeof tls->text, "the peer has ended the handshake");
        link->error = SSL_ERROR_ZERO_RETURN;
        errno = EPROTO;
    }
    return -1;
}

static ssize_t tls_receive(struct weft_link *link, char *buf, size_t size, bool *drained) {
    struct tls *tls = link->tls;
    size_t total = 0;
    *drained = false;
    tls->drained = false; // nothing is known of the descriptor until this call has read it
    if (tls->failed)
        return failed(link);
    forget_errors();
    while (total < size && !*drained) {
        size_t got = 0;
        int ret = openssl.SSL_read_ex(tls->ssl, buf + total, size - total, &got);
        if (ret != 1) {
            ret = result(link, ret);
            if (total == 0)
                return ret;
            *drained = ret < 0 && errno == EAGAIN;
            break; // an end or a failure is told by the next call
        }
        total += got;
        *drained = tls->drained && !openssl.SSL_has_pending(tls->ssl);
    }
    return (ssize_t)total;
}

static int tls_flush(struct weft_link *link) {
    struct tls *tls = link->tls;
    while (link->held > 0) {
        ssize_t n = put(link, tls->held + tls->held_begin, link->held);
        if (n <= 0) {
            if (n == 0)
                errno = EAGAIN;
            return -1;
        }
        tls->held_begin += (size_t)n;
        link->held -= (uint32_t)n;
    }
    free(tls->held);
    tls->held = NULL;
    return tls->finishing ? sys_shutdown(link->fd, SHUT_WR) : 0;
}

// One record's worth of bytes, in one piece: small vectors are copied together, since each record
// costs a write and some 30 bytes. Returns how many bytes, and where they lie.
static size_t gather(const struct iovec *vectors, int count, size_t skip, char *room,
                     const char **bytes) {
    size_t size = vectors[0].iov_len - skip;
    *bytes = (const char *)vectors[0].iov_base + skip;
    if (size >= RECORD || count == 1)
        return size < RECORD ? size : RECORD;
    memcpy(room, *bytes, size);
    for (int i = 1; i < count && size < RECORD; i++) {
        size_t n = vectors[i].iov_len < RECORD - size ? vectors[i].iov_len : RECORD - size;
        memcpy(room + size, vectors[i].iov_base, n);
        size += n;
    }
    *bytes = room;
    return size;
}

static ssize_t tls_send(struct weft_link *link, const struct iovec *vectors, int count) {
    struct tls *tls = link->tls;
    char room[RECORD];
    size_t total = 0, skip = 0; // bytes of the first vector that were sent
    if (tls->failed)
        return failed(link);
    if (tls_flush(link) < 0)
        return -1;
    forget_errors();
    while (link->held == 0) {
        while (count > 0 && skip >= vectors->iov_len) {
            skip -= vectors->iov_len;
            vectors++;
            count--;
        }
        if (count == 0)
            break;
        const char *bytes;
        size_t size = gather(vectors, count, skip, room, &bytes), written;
        int ret = openssl.SSL_write_ex(tls->ssl, bytes, size, &written);
        if (ret != 1) {
            if (result(link, ret) == 0)
                errno = EPIPE;
            return -1;
        }
        total += size;
        skip += size;
    }
    return (ssize_t)total;
}

// Our close_notify; the peer's is not waited for.
static void say_goodbye(struct weft_link *link) {
    struct tls *tls = link->tls;
    if (!tls->established || tls->failed || tls->finishing)
        return;
    forget_errors();
    openssl.SSL_shutdown(tls->ssl);
    forget_errors();
}

static void tls_close(struct weft_link *link, bool abortive) {
    if (abortive)
        sys_set_abortive(link->fd);
    else if (link->held == 0)
        say_goodbye(link);
    sys_close(link->fd);
}

static int tls_finish(struct weft_link *link) {
    say_goodbye(link);
    link->tls->finishing = true;
    return link->held > 0 ? 0 : sys_shutdown(link->fd, SHUT_WR);
}

static void tls_destroy(struct weft_link *link) {
    openssl.SSL_free(link->tls->ssl); // and its BIO
    free(link->tls->held);
    free(link->tls);
    link->tls = NULL;
}

static const struct transport transport_tls = {
    .handshake = tls_handshake,
    .receive = tls_receive,
    .send = tls_send,
    .flush = tls_flush,
    .finish = tls_finish,
    .close = tls_close,
    .destroy = tls_destroy,
    .one_exchange = false,
};

int tls_open(struct weft_link *link, SSL_CTX *ctx, enum tls_side side) {
    if (openssl_load() < 0)
        return -1;
    pthread_once(&once, make_method);
    struct tls *tls = (struct tls *)calloc(1, sizeof *tls);
    SSL *ssl = tls && method ? openssl.SSL_new(ctx) : NULL;
    BIO *bio = ssl ? openssl.BIO_new(method) : NULL;
    if (!bio) {
        if (ssl)
            openssl.SSL_free(ssl);
        openssl.ERR_clear_error();
        free(tls);
        errno = ENOMEM;
        return -1;
    }
    openssl.BIO_set_data(bio, link);
    openssl.BIO_set_init(bio, 1);
    openssl.SSL_set_bio(ssl, bio, bio);
    openssl.SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
    openssl.SSL_ctrl(ssl, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, NULL);
    openssl.SSL_set_read_ahead(ssl, 1);
    if (side == TLS_SIDE_CLIENT)
        openssl.SSL_set_connect_state(ssl);
    else
        openssl.SSL_set_accept_state(ssl);
    tls->ssl = ssl;
    link->tls = tls;
    link->ops = &transport_tls;
    return 0;
}

// Other transports keep other things in that place.
static struct tls *of(const struct weft_link *link) {
    return link->ops == &transport_tls ? link->tls : NULL;
}

SSL *tls_ssl(const struct weft_link *link) { return of(link) ? link->tls->ssl : NULL; }

bool tls_was_cut(const struct weft_link *link) {
    return of(link) && link->tls->established && link->tls->failed && link->tls->eof;
}

bool tls_is_established(const struct weft_link *link) { return of(link) && link->tls->established; }

bool tls_is_resumed(const struct weft_link *link) {
    return of(link) && openssl.SSL_session_reused(link->tls->ssl) != 0;
}

const char *tls_error_text(const struct weft_link *link) { return of(link) ? link->tls->text : ""; }

SSL_SESSION *tls_get_session(struct weft_link *link) {
    struct tls *tls = of(link);
    if (!tls || tls->offered || tls->failed)
        return NULL;
    SSL_SESSION *session = openssl.SSL_get1_session(tls->ssl);
    if (session && openssl.SSL_SESSION_is_resumable(session)) {
        tls->offered = true;
        return session;
    }
    if (session)
        openssl.SSL_SESSION_free(session);
    return NULL;
}

void tls_set_session(struct weft_link *link, SSL_SESSION *session) {
    openssl.SSL_set_session(link->tls->ssl, session); // takes a reference of its own
    openssl.SSL_SESSION_free(session);
}

void tls_keep_session(struct tls_sessions *sessions, SSL_SESSION *session) {
    if (sessions->count == TLS_SESSIONS_MAX) {
        openssl.SSL_SESSION_free(sessions->kept[0]);
        memmove(sessions->kept, sessions->kept + 1, sizeof sessions->kept - sizeof *sessions->kept);
        sessions->count--;
    }
    sessions->kept[sessions->count++] = session;
}

SSL_SESSION *tls_take_session(struct tls_sessions *sessions) {
    if (sessions->count == 0)
        return NULL;
    SSL_SESSION *session = sessions->kept[sessions->count - 1];
    if (openssl.SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
        sessions->count--;
    else
        openssl.SSL_SESSION_up_ref(session);
    return session;
}

void tls_drop_sessions(struct tls_sessions *sessions) {
    while (sessions->count > 0)
        openssl.SSL_SESSION_free(sessions->kept[--sessions->count]);
}
