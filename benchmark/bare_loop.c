// Weft - the bare loop: the least an HTTP/1.1 server can do on this machine
// SPDX-License-Identifier: Apache-2.0
//
// The yardstick of the HTTP benchmarks. It parses nothing: it learns how long the requests of a
// connection are, and answers each with the same prebuilt bytes, with one read and one send. A
// real server cannot be much cheaper, so the ratio to this program tells how much is left to gain.
// Each thread owns a listener (SO_REUSEPORT), an epoll instance and its connections; no thread
// touches what another owns.
//
//   bare_loop -p PORT [-t THREADS] [-b BODY_BYTES] [-a FIRST_CPU] [-c] [-e]
//     -a  pin thread i to processor FIRST_CPU + i
//     -c  say "Connection: close" and close after the first answer
//     -e  no HTTP: send back what has come, for small messages that the socket takes at once
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_CONNECTIONS = 65536, // by descriptor number
    EVENTS_PER_WAIT = 64,    // more gains nothing
    READ_SIZE = 65536,
    BATCH_ANSWERS = 64 // pipelined answers that go out with one send
};

// One connection, found by its descriptor. Sixteen bytes, so that the loop's memory per connection
// stays the least possible too.
struct conn {
    uint32_t request_size; // length of its requests once known, 0 before
    uint16_t matched;      // bytes of the blank line seen at the end of the last read
    bool blocked;          // true exactly while EPOLLOUT is registered
    uint64_t unsent; // bytes owed to the peer; the stream is whole answers, so this is a place
};

static struct {
    uint16_t port;
    int threads;
    int body;
    int first_cpu;
    bool closing;
    bool echo;
} option = {.threads = 1, .body = 13, .first_cpu = -1};

static struct conn conns[MAX_CONNECTIONS];
static char *answers; // batch copies of the answer, one after another
static size_t answer_size;
static size_t batch;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void build_answers(void) {
    char head[256];
    int head_size = snprintf(head, sizeof head,
                             "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                             "Content-Length: %d\r\nConnection: %s\r\n\r\n",
                             option.body, option.closing ? "close" : "keep-alive");

    answer_size = (size_t)head_size + (size_t)option.body;
    batch = answer_size < 8192 ? BATCH_ANSWERS : 1;
    answers = malloc(answer_size * batch);
    if (!answers) {
        die("malloc");
    }
    for (size_t i = 0; i < batch; i++) {
        char *at = answers + i * answer_size;

        memcpy(at, head, (size_t)head_size);
        for (int k = 0; k < option.body; k++) {
            at[head_size + k] = "Hello, World!"[k % 13];
        }
    }
}

static int listen_here(void) {
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(option.port)};

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0 ||
        bind(fd, (const struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, 4096) < 0) {
        die("listen");
    }
    return fd;
}

static void watch(int ep, int op, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};

    if (epoll_ctl(ep, op, fd, &event) < 0) {
        die("epoll_ctl");
    }
}

// Takes one connection per event: asking again until there is none costs a system call that, unless
// many come at once, only says so.
static void accept_one(int ep, int listener) {
    int one = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        return;
    }
    if (fd >= MAX_CONNECTIONS) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conns[fd] = (struct conn){0};
    watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN);
}

// Counts the requests that end in these bytes. In the usual case a read is one request of the
// length seen before, and only its last bytes are looked at: the work does not grow with the
// length of the request.
static size_t count_requests(struct conn *conn, const char *data, size_t size) {
    static const char blank[4] = {'\r', '\n', '\r', '\n'};
    size_t count = 0;
    unsigned matched = conn->matched;

    if (matched == 0 && size == conn->request_size && !memcmp(data + size - 4, blank, 4)) {
        return 1;
    }
    for (size_t i = 0; i < size; i++) {
        if (data[i] == blank[matched]) {
            matched++;
        } else {
            matched = data[i] == '\r';
        }
        if (matched == 4) {
            matched = 0;
            count++;
            if (conn->request_size == 0) {
                conn->request_size = (uint32_t)(i + 1);
            }
        }
    }
    conn->matched = (uint16_t)matched;
    return count;
}

// Sends what is owed. False when the connection is of no more use.
static bool send_owed(int ep, int fd) {
    struct conn *conn = &conns[fd];

    while (conn->unsent > 0) {
        size_t offset = (answer_size - conn->unsent % answer_size) % answer_size;
        size_t room = answer_size * batch - offset;
        size_t want = conn->unsent < room ? (size_t)conn->unsent : room;
        ssize_t sent = send(fd, answers + offset, want, MSG_NOSIGNAL);

        if (sent >= 0) {
            conn->unsent -= (uint64_t)sent;
        } else if (errno != EAGAIN) {
            return false;
        } else {
            if (!conn->blocked) {
                watch(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT);
                conn->blocked = true;
            }
            return true;
        }
    }
    if (conn->blocked) {
        watch(ep, EPOLL_CTL_MOD, fd, EPOLLIN);
        conn->blocked = false;
    }
    return !option.closing;
}

static bool serve(int ep, int fd, uint32_t events, char *buffer) {
    struct conn *conn = &conns[fd];
    ssize_t got;

    if (conn->blocked && (events & EPOLLOUT)) {
        if (!send_owed(ep, fd)) {
            return false;
        }
        if (!(events & EPOLLIN)) {
            return true;
        }
    }
    got = recv(fd, buffer, READ_SIZE, 0);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    if (option.echo) {
        return send(fd, buffer, (size_t)got, MSG_NOSIGNAL) == got;
    }
    conn->unsent += count_requests(conn, buffer, (size_t)got) * answer_size;
    return conn->unsent == 0 || send_owed(ep, fd);
}

static void *run(void *arg) {
    static __thread char buffer[READ_SIZE];
    struct epoll_event events[EVENTS_PER_WAIT];
    int listener = listen_here();
    int ep = epoll_create1(EPOLL_CLOEXEC);

    if (option.first_cpu >= 0) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET((size_t)option.first_cpu + (size_t)(intptr_t)arg, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    watch(ep, EPOLL_CTL_ADD, listener, EPOLLIN);
    for (;;) {
        int count = epoll_wait(ep, events, EVENTS_PER_WAIT, -1);

        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;

            if (fd == listener) {
                accept_one(ep, listener);
            } else if (!serve(ep, fd, events[i].events, buffer)) {
                close(fd);
            }
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct rlimit limit;
    pthread_t thread;
    int opt;

    while ((opt = getopt(argc, argv, "p:t:b:a:ce")) != -1) {
        switch (opt) {
        case 'p':
            option.port = (uint16_t)atoi(optarg);
            break;
        case 't':
            option.threads = atoi(optarg);
            break;
        case 'b':
            option.body = atoi(optarg);
            break;
        case 'a':
            option.first_cpu = atoi(optarg);
            break;
        case 'c':
            option.closing = true;
            break;
        case 'e':
            option.echo = true;
            break;
        default:
            fprintf(stderr, "usage: %s -p port [-t threads] [-b bytes] [-a cpu] [-c] [-e]\n",
                    argv[0]);
            return 2;
        }
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    build_answers();
    for (intptr_t i = 1; i < option.threads; i++) {
        if (pthread_create(&thread, NULL, run, (void *)i)) {
            die("pthread_create");
        }
    }
    run(NULL);
    return 0;
}
