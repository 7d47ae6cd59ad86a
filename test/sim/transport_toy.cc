// Weft - transport_tls.h for the simulated kernel, on the toy
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "kernel/tls_context.h"
#include "kernel/transport_tls.h"
#include "program.h"
#include "toy.h"

using sim::Toy;
using sim::world;

std::function<void()> sim::toy_user_code;

struct tls {
    explicit tls(bool client) : toy(client) {}
    Toy toy;
    bool agreed = false;
    bool failed = false;
    bool finishing = false;
    bool cut = false;
    bool was_short = false; // the last read of the descriptor was, in this call
    int calls = 0;          // how many threads are inside
};

namespace {

// Nobody else may be inside: the connection is locked, or busy.
struct Inside {
    explicit Inside(struct weft_link *link) : tls(link->tls) {
        if (tls->calls++)
            world->fail("two threads are inside a transport");
    }
    ~Inside() { tls->calls--; }
    struct tls *tls;
};

int broken(struct weft_link *link) {
    link->tls->failed = true;
    link->error = 1;
    errno = EPROTO;
    return -1;
}

// -1 with errno when the system fails for good.
int put(struct weft_link *link) {
    std::string &out = link->tls->toy.out;
    while (!out.empty()) {
        struct iovec v = {out.data(), out.size()};
        ssize_t n = sys_sendv(link->fd, &v, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        out.erase(0, static_cast<size_t>(n));
    }
    link->held = static_cast<uint32_t>(out.size());
    return out.empty() ? 0 : -1;
}

// One read. 1: something came. 0: the end. -1 with errno.
int get(struct weft_link *link) {
    char buf[2000];
    ssize_t n;
    do
        n = sys_recv(link->fd, buf, sizeof buf);
    while (n < 0 && errno == EINTR);
    link->tls->was_short = n < static_cast<ssize_t>(sizeof buf);
    if (n > 0)
        link->tls->toy.receive(buf, static_cast<size_t>(n));
    return n > 0 ? 1 : static_cast<int>(n);
}

int toy_handshake(struct weft_link *link) {
    Inside inside(link);
    sim::toy_user_code(); // the program's SNI and verify functions
    for (;;) {
        int agreed = link->tls->toy.shake();
        if (put(link) < 0 && errno != EAGAIN)
            return -1;
        if (agreed < 0)
            return broken(link);
        if (agreed > 0) {
            link->tls->agreed = true;
            return 0;
        }
        int got = get(link);
        if (got < 0)
            return -1;
        if (got == 0)
            return broken(link);
    }
}

ssize_t toy_receive(struct weft_link *link, char *buf, size_t size, bool *drained) {
    Inside inside(link);
    struct tls *tls = link->tls;
    *drained = false;
    // Planted: what an earlier read has left is taken for the last there is.
    if (!world->planted(sim::READ_AHEAD))
        tls->was_short = false;
    if (tls->failed)
        return broken(link);
    for (;;) {
        ssize_t n = tls->toy.open(buf, size);
        if (n > 0) {
            *drained = tls->was_short && !tls->toy.has_more();
            return n;
        }
        if (n < 0)
            return tls->toy.is_over() ? 0 : broken(link);
        int got = get(link);
        if (got < 0)
            return -1;
        if (got == 0) {
            tls->cut = true; // without the notice
            return broken(link);
        }
    }
}

int toy_flush(struct weft_link *link) {
    Inside inside(link);
    if (put(link) < 0)
        return -1;
    return link->tls->finishing ? sys_shutdown(link->fd, SHUT_WR) : 0;
}

ssize_t toy_send(struct weft_link *link, const struct iovec *vectors, int count) {
    Inside inside(link);
    size_t total = 0;
    if (link->tls->failed) {
        errno = EPROTO;
        return -1;
    }
    if (put(link) < 0)
        return -1;
    for (int i = 0; i < count && link->held == 0; i++) {
        link->tls->toy.seal(static_cast<const char *>(vectors[i].iov_base), vectors[i].iov_len);
        if (put(link) < 0 && errno != EAGAIN)
            return -1;
        total += vectors[i].iov_len;
    }
    return static_cast<ssize_t>(total);
}

void say_goodbye(struct weft_link *link) {
    struct tls *tls = link->tls;
    if (!tls->agreed || tls->failed || tls->finishing)
        return;
    tls->toy.bye();
    put(link);
}

void toy_close(struct weft_link *link, bool abortive) {
    Inside inside(link);
    if (abortive)
        sys_set_abortive(link->fd);
    else if (link->held == 0)
        say_goodbye(link);
    sys_close(link->fd);
}

int toy_finish(struct weft_link *link) {
    Inside inside(link);
    say_goodbye(link);
    link->tls->finishing = true;
    return link->held > 0 ? 0 : sys_shutdown(link->fd, SHUT_WR);
}

void toy_destroy(struct weft_link *link) {
    delete link->tls;
    link->tls = nullptr;
}

const struct transport transport_toy = {toy_handshake, toy_receive, toy_send,    toy_flush,
                                        toy_finish,    toy_close,   toy_destroy, false};

} // namespace

int tls_open(struct weft_link *link, SSL_CTX *, enum tls_side side) {
    if (world->rng.ppm(world->tuning.session_error)) {
        errno = ENOMEM;
        return -1;
    }
    link->tls = new struct tls(side == TLS_SIDE_CLIENT);
    link->ops = &transport_toy;
    return 0;
}

SSL *tls_ssl(const struct weft_link *) { return nullptr; }
bool tls_is_established(const struct weft_link *link) { return link->tls && link->tls->agreed; }
bool tls_is_resumed(const struct weft_link *) { return false; }
bool tls_was_cut(const struct weft_link *link) { return link->tls && link->tls->cut; }
const char *tls_error_text(const struct weft_link *) { return ""; }
SSL_SESSION *tls_get_session(struct weft_link *) { return nullptr; }
void tls_set_session(struct weft_link *, SSL_SESSION *) {}
void tls_keep_session(struct tls_sessions *, SSL_SESSION *) {}
SSL_SESSION *tls_take_session(struct tls_sessions *) { return nullptr; }
void tls_drop_sessions(struct tls_sessions *) {}
void wf::detail::tls_describe(const struct weft_link *, TlsInfo *) {}
