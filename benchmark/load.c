// Weft - the load generator of the benchmarks
// SPDX-License-Identifier: Apache-2.0
//
// Keeps a number of connections busy with one kind of request, or two kinds timed apart, and reads
// the processor time that the server used meanwhile. Closed loop by default: a connection asks
// again as soon as it has its answer. With -r it is open: requests fall due at a fixed rate,
// whether or not the server keeps up, and their time counts from when they were due.
// Each thread owns its connections and histograms; the main thread says when the measurement
// begins and ends, and reads the server's clock at those two moments.
//
//   load -p PORT [-c CONNECTIONS] [-t THREADS] [-d SECONDS] [-w WARM_SECONDS] [-P PID,PID,...]
//        [-u PATH] [-s SLOW_PATH -n EVERY] [-r RATE] [-H] [-k] [-e BYTES] [-a]
//   load -p PORT -P PIDS -p PORT2 -P PIDS2 [as above, but -t, -s and -r]
//     -s, -n  every EVERY-th request goes to SLOW_PATH and is counted apart
//     -H      requests of the size a browser sends
//     -k      a new connection for each request
//     -e      no HTTP: messages of so many bytes, which the server sends back
//     -a      always awake: never waits for answers. Waking a thread on another processor may cost
//             a server as much as the answer, and a quick one has to do it less often
//     -p -p   a duel: two servers that run at the same time are loaded in turn, a fifth of a second
//             each. What the machine does to one it does to the other, since its moods are longer
//
// Prints one JSON object; of a duel, the processor time of a request in each turn. An answer that
// does not begin with "HTTP/1.1 200" is an error, and so is a connection that ends early.
#define _GNU_SOURCE
#include "histogram.h"
#include "load_request.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PIDS = 64, MAX_THREADS = 16, EVENTS_PER_WAIT = 256 };
enum { DUEL = 2, TURN_MS = 200, SETTLE_MS = 40 }; // the first of a turn is not measured
enum phase { WARMING, MEASURING, ENDING };

struct conn {
    int fd;
    bool slow;      // which of the two requests is under way
    size_t got;     // bytes of its answer so far
    int64_t due_ns; // its time counts from here
};

struct worker {
    pthread_t thread;
    uint16_t port;
    int count;
    int ep;
    struct conn *conns;
    int *free_ring; // open loop: connections with nothing under way, first free first used
    int free_head, free_count;
    unsigned sent; // requests begun, to tell when a slow one is due
    uint64_t total, errors;
    struct histogram fast, slow;
};

// A server: where it answers, and its processes.
struct target {
    uint16_t port;
    pid_t pids[MAX_PIDS];
    int pid_count;
};

static struct {
    struct target targets[DUEL];
    int target_count;
    int conns, threads, every;
    double seconds, warm, rate;
    const char *path, *slow_path;
    bool browser, fresh, awake;
    int echo;
} option = {.conns = 64, .threads = 1, .seconds = 2, .warm = 0.3, .path = "/"};

static struct request fast_request, slow_request;
static struct worker workers[MAX_THREADS];
static int phase;
static int turn = -1; // of a duel: the worker that may go on
static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;

static int64_t clock_ns(clockid_t id) {
    struct timespec t;

    if (clock_gettime(id, &t) < 0) {
        die("clock_gettime");
    }
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

// Processor time of the server's processes. The process clock also holds the time of threads that
// have ended, which a sum over those alive would lose.
static int64_t server_ns(const struct target *target) {
    int64_t sum = 0;

    for (int i = 0; i < target->pid_count; i++) {
        clockid_t id;

        if (clock_getcpuclockid(target->pids[i], &id) == 0) {
            sum += clock_ns(id);
        }
    }
    return sum;
}

static void watch(struct worker *worker, int index) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};

    if (epoll_ctl(worker->ep, EPOLL_CTL_ADD, worker->conns[index].fd, &event) < 0) {
        die("epoll_ctl");
    }
}

static void ask(struct worker *worker, int index, int64_t due_ns) {
    struct conn *conn = &worker->conns[index];
    const struct request *request;

    if (conn->fd < 0) {
        conn->fd = dial(worker->port, false);
        watch(worker, index);
    }
    worker->sent++;
    conn->due_ns = due_ns;
    conn->got = 0;
    conn->slow = option.every > 0 && worker->sent % (unsigned)option.every == 0;
    request = conn->slow ? &slow_request : &fast_request;
    if (send(conn->fd, request->text, request->size, MSG_NOSIGNAL) != (ssize_t)request->size) {
        worker->errors++;
    }
}

static void put_free(struct worker *worker, int index) {
    int tail = (worker->free_head + worker->free_count) % worker->count;

    worker->free_ring[tail] = index;
    worker->free_count++;
}

static int take_free(struct worker *worker) {
    int index = worker->free_ring[worker->free_head];

    worker->free_head = (worker->free_head + 1) % worker->count;
    worker->free_count--;
    return index;
}

static void answered(struct worker *worker, int index) {
    struct conn *conn = &worker->conns[index];
    int64_t now = now_ns();

    __atomic_store_n(&worker->total, worker->total + 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&phase, __ATOMIC_RELAXED) == MEASURING) {
        histogram_add(conn->slow ? &worker->slow : &worker->fast, now - conn->due_ns);
    }
    if (option.rate > 0) {
        put_free(worker, index);
    } else {
        ask(worker, index, now);
    }
}

// A connection that ended: what was wanted with -k once the answer is whole, an error otherwise.
static void ended(struct worker *worker, int index) {
    struct conn *conn = &worker->conns[index];
    size_t want = conn->slow ? slow_request.answer_size : fast_request.answer_size;

    close(conn->fd);
    conn->fd = -1;
    if (option.fresh && conn->got == want) {
        answered(worker, index);
        return;
    }
    worker->errors++;
    if (option.rate > 0) {
        put_free(worker, index);
    } else {
        ask(worker, index, now_ns());
    }
}

static void readable(struct worker *worker, int index, char *buffer) {
    struct conn *conn = &worker->conns[index];
    size_t want = conn->slow ? slow_request.answer_size : fast_request.answer_size;
    ssize_t got = recv(conn->fd, buffer, READ_SIZE, 0);

    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        ended(worker, index);
        return;
    }
    if (!option.echo && conn->got == 0 && (got < 12 || memcmp(buffer, "HTTP/1.1 200", 12) != 0)) {
        worker->errors++;
    }
    conn->got += (size_t)got;
    if (conn->got >= want && !option.fresh) {
        answered(worker, index);
    }
}

// Open loop: sends what has fallen due, and says how long to wait for the next.
static int64_t send_due(struct worker *worker, double *due_ns, double step_ns) {
    int64_t now = now_ns();

    while ((int64_t)*due_ns <= now && worker->free_count > 0) {
        ask(worker, take_free(worker), (int64_t)*due_ns);
        *due_ns += step_ns;
    }
    if (worker->free_count == 0) {
        return 100000000;
    }
    now = now_ns();
    return (int64_t)*due_ns > now ? (int64_t)*due_ns - now : 0;
}

// Of a duel: waits until it is this worker's turn, or all is over.
static void await_turn(const struct worker *worker) {
    int mine = (int)(worker - workers);

    if (option.target_count < DUEL || __atomic_load_n(&turn, __ATOMIC_RELAXED) == mine) {
        return;
    }
    pthread_mutex_lock(&turn_lock);
    while (turn != mine && __atomic_load_n(&phase, __ATOMIC_RELAXED) != ENDING) {
        pthread_cond_wait(&turn_changed, &turn_lock);
    }
    pthread_mutex_unlock(&turn_lock);
}

static void give_turn(int whose) {
    pthread_mutex_lock(&turn_lock);
    __atomic_store_n(&turn, whose, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&turn_changed);
    pthread_mutex_unlock(&turn_lock);
}

static void *run(void *arg) {
    static __thread char buffer[READ_SIZE];
    struct worker *worker = arg;
    struct epoll_event events[EVENTS_PER_WAIT];
    double step_ns = option.rate > 0 ? 1e9 * option.threads / option.rate : 0;
    double due_ns = (double)now_ns();

    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    for (int i = 0; i < worker->count; i++) {
        if (option.rate > 0) {
            put_free(worker, i);
        } else {
            ask(worker, i, now_ns());
        }
    }
    while (__atomic_load_n(&phase, __ATOMIC_RELAXED) != ENDING) {
        struct timespec wait = {.tv_nsec = option.awake ? 0 : 100000000};
        int count;

        await_turn(worker);
        if (option.rate > 0) {
            int64_t ns = send_due(worker, &due_ns, step_ns);

            wait.tv_nsec = ns < wait.tv_nsec ? ns : wait.tv_nsec;
        }
        count = epoll_pwait2(worker->ep, events, EVENTS_PER_WAIT, &wait, NULL);
        for (int i = 0; i < count; i++) {
            readable(worker, (int)events[i].data.u32, buffer);
        }
    }
    return NULL;
}

static void start_worker(struct worker *worker, int index) {
    bool duel = option.target_count == DUEL;

    worker->port = option.targets[duel ? index : 0].port;
    worker->count = option.conns / option.threads + (index < option.conns % option.threads);
    if (duel) {
        worker->count = option.conns;
    }
    worker->sent = (unsigned)index * 37; // the slow requests of the threads do not fall together
    worker->ep = epoll_create1(EPOLL_CLOEXEC);
    worker->conns = calloc((size_t)worker->count, sizeof *worker->conns);
    worker->free_ring = calloc((size_t)worker->count, sizeof *worker->free_ring);
    if (worker->ep < 0 || !worker->conns || !worker->free_ring) {
        die("start");
    }
    for (int i = 0; i < worker->count; i++) {
        worker->conns[i].fd = -1;
        if (!option.fresh) {
            worker->conns[i].fd = dial(worker->port, false);
            watch(worker, i);
        }
    }
    if (pthread_create(&worker->thread, NULL, run, worker)) {
        die("pthread_create");
    }
}

static void sleep_for(double seconds) {
    struct timespec t = {.tv_sec = (time_t)seconds};

    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR) {}
}

static void join_workers(void) {
    for (int i = 0; i < option.threads; i++) {
        pthread_join(workers[i].thread, NULL);
    }
}

static void report(double seconds, double server_us, double load_us) {
    struct histogram *fast = &workers[0].fast, *slow = &workers[0].slow;
    uint64_t total = workers[0].total, errors = workers[0].errors, count;

    for (int i = 1; i < option.threads; i++) {
        histogram_merge(fast, &workers[i].fast);
        histogram_merge(slow, &workers[i].slow);
        total += workers[i].total;
        errors += workers[i].errors;
    }
    count = fast->count + slow->count;
    printf("{\"requests\": %llu, \"total\": %llu, \"errors\": %llu, \"seconds\": %.6f, "
           "\"rate\": %.1f, \"us\": %.4f, \"cores\": %.3f, \"load_us\": %.4f, "
           "\"load_cores\": %.3f, ",
           (unsigned long long)count, (unsigned long long)total, (unsigned long long)errors,
           seconds, (double)count / seconds, count ? server_us / (double)count : 0.0,
           server_us / seconds / 1e6, count ? load_us / (double)count : 0.0,
           load_us / seconds / 1e6);
    printf("\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f, \"slow_requests\": %llu, "
           "\"slow_p50\": %.1f, \"slow_p99\": %.1f}\n",
           histogram_percentile_us(fast, 0.5), histogram_percentile_us(fast, 0.99),
           histogram_percentile_us(fast, 0.999), (double)fast->max_ns / 1e3,
           (unsigned long long)slow->count, histogram_percentile_us(slow, 0.5),
           histogram_percentile_us(slow, 0.99));
}

// One turn: the processor time that the server took for a request, in microseconds.
static double measure_turn(int whose) {
    const struct target *target = &option.targets[whose];
    struct worker *worker = &workers[whose];
    uint64_t requests;
    int64_t spent;

    give_turn(whose);
    sleep_for(SETTLE_MS / 1e3);
    requests = __atomic_load_n(&worker->total, __ATOMIC_RELAXED);
    spent = server_ns(target);
    sleep_for((TURN_MS - SETTLE_MS) / 1e3);
    spent = server_ns(target) - spent;
    requests = __atomic_load_n(&worker->total, __ATOMIC_RELAXED) - requests;
    return requests ? (double)spent / 1e3 / (double)requests : 0;
}

// The servers' turns stand in pairs, and who is first in a pair changes.
static void fight_duel(void) {
    int rounds = (int)(option.seconds * 1e3 / (DUEL * TURN_MS)) + 1;

    printf("{\"turns\": [");
    for (int i = 0; i < rounds; i++) {
        double us[DUEL];

        for (int k = 0; k < DUEL; k++) {
            int whose = (i + k) % DUEL;

            us[whose] = measure_turn(whose);
        }
        printf("%s[%.4f, %.4f]", i ? ", " : "", us[0], us[1]);
    }
    printf("], \"requests\": [%llu, %llu], \"errors\": [%llu, %llu]}\n",
           (unsigned long long)workers[0].total, (unsigned long long)workers[1].total,
           (unsigned long long)workers[0].errors, (unsigned long long)workers[1].errors);
}

// What is measured when there is one server.
static void measure(void) {
    const struct target *target = &option.targets[0];
    int64_t begin_ns, end_ns, server_begin, server_end, load_begin, load_end;

    sleep_for(option.warm);
    server_begin = server_ns(target);
    load_begin = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    begin_ns = now_ns();
    __atomic_store_n(&phase, MEASURING, __ATOMIC_RELAXED);
    sleep_for(option.seconds);
    __atomic_store_n(&phase, ENDING, __ATOMIC_RELAXED);
    server_end = server_ns(target);
    load_end = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    end_ns = now_ns();
    join_workers();
    report((double)(end_ns - begin_ns) / 1e9, (double)(server_end - server_begin) / 1e3,
           (double)(load_end - load_begin) / 1e3);
}

// Each -p begins a server.
static void add_target(const char *port) {
    if (option.target_count == DUEL) {
        fprintf(stderr, "load: two servers at most\n");
        exit(2);
    }
    option.targets[option.target_count++].port = (uint16_t)atoi(port);
}

// The processes of the server named last, as numbers with commas between them.
static void read_pids(char *text) {
    struct target *target = &option.targets[option.target_count ? option.target_count - 1 : 0];

    while (*text && target->pid_count < MAX_PIDS) {
        char *end;
        long pid = strtol(text, &end, 10);

        if (end == text) {
            fprintf(stderr, "load: not a list of processes: %s\n", text);
            exit(2);
        }
        target->pids[target->pid_count++] = (pid_t)pid;
        text = end + (*end == ',');
    }
}

static void read_options(int argc, char **argv) {
    int opt;

    while ((opt = getopt(argc, argv, "p:c:t:d:w:P:u:s:n:r:Hke:a")) != -1) {
        switch (opt) {
        case 'p':
            add_target(optarg);
            break;
        case 'c':
            option.conns = atoi(optarg);
            break;
        case 't':
            option.threads = atoi(optarg);
            break;
        case 'd':
            option.seconds = atof(optarg);
            break;
        case 'w':
            option.warm = atof(optarg);
            break;
        case 'u':
            option.path = optarg;
            break;
        case 's':
            option.slow_path = optarg;
            break;
        case 'n':
            option.every = atoi(optarg);
            break;
        case 'r':
            option.rate = atof(optarg);
            break;
        case 'H':
            option.browser = true;
            break;
        case 'k':
            option.fresh = true;
            break;
        case 'a':
            option.awake = true;
            break;
        case 'e':
            option.echo = atoi(optarg);
            break;
        case 'P':
            read_pids(optarg);
            break;
        default:
            fprintf(stderr, "usage: see the head of benchmark/load.c\n");
            exit(2);
        }
    }
    if (option.threads < 1 || option.threads > MAX_THREADS || option.conns < option.threads ||
        (option.every > 0 && !option.slow_path) || option.target_count < 1 ||
        (option.target_count == DUEL &&
         (option.threads > 1 || option.slow_path || option.rate > 0))) {
        fprintf(stderr, "load: options do not fit together\n");
        exit(2);
    }
    if (option.target_count == DUEL) {
        option.threads = DUEL; // a worker each
    }
}

int main(int argc, char **argv) {
    struct rlimit limit;

    read_options(argc, argv);
    uint16_t port = option.targets[0].port;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (option.echo) {
        build_message(&fast_request, (size_t)option.echo);
    } else {
        build_request(&fast_request, port, option.path, option.browser, option.fresh);
        learn_answer(&fast_request, port);
    }
    if (option.slow_path) {
        build_request(&slow_request, port, option.slow_path, option.browser, option.fresh);
        learn_answer(&slow_request, port);
    }
    for (int i = 0; i < option.threads; i++) {
        start_worker(&workers[i], i);
    }
    if (option.target_count < DUEL) {
        measure();
        return 0;
    }
    fight_duel();
    __atomic_store_n(&phase, ENDING, __ATOMIC_RELAXED);
    give_turn(-1);
    join_workers();
    return 0;
}
