// Weft - what the load generator asks, and the connection it asks on
// SPDX-License-Identifier: Apache-2.0
//
// A request is built once and sent as it is; its answer is known by its length alone. Whatever goes
// wrong here ends the program.
#ifndef WEFT_BENCHMARK_LOAD_REQUEST_H
#define WEFT_BENCHMARK_LOAD_REQUEST_H

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_SIZE = 1 << 17 };

struct request {
    char text[2048];
    size_t size;
    size_t answer_size; // what each answer to it must measure, learnt by asking once
};

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

static inline void build_message(struct request *request, size_t size) {
    if (size == 0 || size > sizeof request->text) {
        fprintf(stderr, "load: messages have 1 to %zu bytes\n", sizeof request->text);
        exit(2);
    }
    memset(request->text, 'm', size);
    request->size = request->answer_size = size;
}

// `browser`: of the size that a browser sends; `fresh`: the connection is for it alone.
static inline void build_request(struct request *request, uint16_t port, const char *path,
                                 bool browser, bool fresh) {
    static const char fields[] =
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
        "Accept-Language: en-US,en;q=0.5\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\n"
        "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; list=compact\r\n"
        "Upgrade-Insecure-Requests: 1\r\n"
        "Sec-Fetch-Dest: document\r\n"
        "Sec-Fetch-Mode: navigate\r\n";
    int size = snprintf(request->text, sizeof request->text,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s%s\r\n", path, port,
                        browser ? fields : "", fresh ? "Connection: close\r\n" : "");

    if (size < 0 || (size_t)size >= sizeof request->text) {
        fprintf(stderr, "path too long\n");
        exit(2);
    }
    request->size = (size_t)size;
}

static inline int dial(uint16_t port, bool blocking) {
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof addr) < 0) {
        die("connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!blocking && fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        die("fcntl");
    }
    return fd;
}

// Asks once, to learn how long an answer is: all later ones must be of the same length, so that
// they can be counted without being parsed.
static inline void learn_answer(struct request *request, uint16_t port) {
    static char buffer[READ_SIZE + 1];
    struct timeval patience = {.tv_sec = 10};
    size_t got = 0;
    const char *end = NULL, *field;
    int fd = dial(port, true);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (send(fd, request->text, request->size, MSG_NOSIGNAL) != (ssize_t)request->size) {
        die("send");
    }
    while (!end && got < READ_SIZE) {
        ssize_t more = recv(fd, buffer + got, READ_SIZE - got, 0);

        if (more <= 0) {
            fprintf(stderr, "load: no answer from port %d\n", port);
            exit(1);
        }
        got += (size_t)more;
        buffer[got] = '\0';
        end = strstr(buffer, "\r\n\r\n");
    }
    field = strcasestr(buffer, "\r\nContent-Length:");
    if (strncmp(buffer, "HTTP/1.1 200", 12) || !end || !field || field > end) {
        fprintf(stderr, "load: not a plain answer from port %d: %.40s\n", port, buffer);
        exit(1);
    }
    request->answer_size = (size_t)(end + 4 - buffer) + (size_t)strtoul(field + 17, NULL, 10);
    close(fd);
}

#endif
