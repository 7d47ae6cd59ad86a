// Weft - the bare TLS loop: the least an HTTPS server can do with OpenSSL on this machine
// SPDX-License-Identifier: Apache-2.0
//
// The yardstick of the TLS benchmarks, as bare_loop.c is of the others: one thread, one epoll
// instance, OpenSSL over the descriptor with reading ahead, one SSL_read and one SSL_write for each
// request. It parses nothing and answers each read with the same bytes.
//
//   bare_tls -p PORT -c CERTIFICATE -k KEY [-r]
//     -r  free OpenSSL's buffers while they are empty (SSL_MODE_RELEASE_BUFFERS)
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_PER_WAIT = 64, READ_SIZE = 16384 };

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                             "Content-Length: 13\r\nConnection: keep-alive\r\n\r\nHello, World!";

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int listen_on(unsigned short port) {
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (const struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, 4096) < 0) {
        die("listen");
    }
    return fd;
}

static SSL_CTX *make_context(const char *cert, const char *key, bool release) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "the certificate cannot be used\n");
        exit(1);
    }
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"bare", 4);
    if (release) {
        SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    }
    return ctx;
}

static void accept_one(int ep, int listener, SSL_CTX *ctx) {
    int one = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    SSL *ssl = fd < 0 ? NULL : SSL_new(ctx);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = ssl};

    if (!ssl) {
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    SSL_set_fd(ssl, fd);
    SSL_set_accept_state(ssl);
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) < 0) {
        die("epoll_ctl");
    }
}

// False when the connection is of no more use.
static bool serve(SSL *ssl, char *buffer) {
    for (;;) {
        int got = SSL_read(ssl, buffer, READ_SIZE);

        if (got <= 0) {
            return SSL_get_error(ssl, got) == SSL_ERROR_WANT_READ;
        }
        if (SSL_write(ssl, answer, sizeof answer - 1) <= 0) {
            return false;
        }
        if (!SSL_has_pending(ssl)) {
            return true;
        }
    }
}

static void run(int listener, SSL_CTX *ctx) {
    static char buffer[READ_SIZE];
    struct epoll_event events[EVENTS_PER_WAIT], own = {.events = EPOLLIN};
    int ep = epoll_create1(EPOLL_CLOEXEC);

    if (epoll_ctl(ep, EPOLL_CTL_ADD, listener, &own) < 0) {
        die("epoll_ctl");
    }
    for (;;) {
        int count = epoll_wait(ep, events, EVENTS_PER_WAIT, -1);

        for (int i = 0; i < count; i++) {
            SSL *ssl = events[i].data.ptr;

            if (!ssl) {
                accept_one(ep, listener, ctx);
            } else if (!serve(ssl, buffer)) {
                int fd = SSL_get_fd(ssl);

                SSL_shutdown(ssl);
                SSL_free(ssl);
                close(fd);
            }
        }
    }
}

int main(int argc, char **argv) {
    const char *cert = NULL, *key = NULL;
    struct rlimit limit;
    bool release = false;
    int port = 0, opt;

    while ((opt = getopt(argc, argv, "p:c:k:r")) != -1) {
        switch (opt) {
        case 'p':
            port = atoi(optarg);
            break;
        case 'c':
            cert = optarg;
            break;
        case 'k':
            key = optarg;
            break;
        case 'r':
            release = true;
            break;
        default:
            cert = NULL;
        }
    }
    if (!cert || !key) {
        fprintf(stderr, "usage: %s -p port -c certificate -k key [-r]\n", argv[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    run(listen_on((unsigned short)port), make_context(cert, key, release));
    return 0;
}
