// Weft - the HTTP server that the benchmarks measure
// SPDX-License-Identifier: Apache-2.0
//
//   http_server -p PORT [-t POLLERS] [-h HANDLER_THREADS] [-b BODY_BYTES] [-x BACKEND_PORT] [-q]
//     -q  all handlers through the queue, to compare with what the engine chooses by itself
//
// Paths: /       a fixed body, from memory
//        /slow   the same after the handler has slept 5 ms, undeclared
//        /burn   the same after the handler has computed for 5 ms
//        /proxy  fetches / from the back end and answers with its body
//        /fan    ten such fetches in parallel, joined into one answer
// The handlers are what a user would write; nothing here is tuned for the benchmark. It runs until
// SIGTERM or SIGINT.
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <unistd.h>
#include <utility>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

namespace {

constexpr long PAUSE_NS = 5000000;
constexpr int FAN_WIDTH = 10;

std::string body;
std::string backend_url;
WFFacilities::WaitGroup stopped(1);

void on_signal(int) { stopped.done(); }

void sleep_in_handler() {
    struct timespec t = {0, PAUSE_NS};

    nanosleep(&t, nullptr);
}

long thread_ns() {
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

// Computes until this thread has used the time, looking at the clock only now and then, since the
// thread clock costs a system call.
void compute_in_handler() {
    static std::atomic<uint64_t> sink;
    long end = thread_ns() + PAUSE_NS;
    uint64_t value = 88172645463325252ULL;

    do {
        for (int i = 0; i < 20000; i++) {
            value ^= value << 13;
            value ^= value >> 7;
            value ^= value << 17;
        }
    } while (thread_ns() < end);
    sink.store(value, std::memory_order_relaxed);
}

void answer_hello(WFHttpTask *task) {
    task->get_resp()->append_output_body_nocopy(body.data(), body.size());
}

void fail(WFHttpTask *task) {
    protocol::HttpUtil::set_response_status(task->get_resp(), HttpStatusBadGateway);
}

// The fetched body belongs to its message, so the message moves to where the answer lives.
void answer_proxy(WFHttpTask *task) {
    auto *fetch = WFTaskFactory::create_http_task(backend_url, 0, 0, [task](WFHttpTask *done) {
        const void *data;
        size_t size;

        if (done->get_state() != WFT_STATE_SUCCESS ||
            !done->get_resp()->get_parsed_body(&data, &size)) {
            fail(task);
            return;
        }
        *task->get_resp() = std::move(*done->get_resp());
        task->get_resp()->append_output_body_nocopy(data, size);
    });

    *series_of(task) << fetch;
}

void answer_fan(WFHttpTask *task) {
    auto *all = Workflow::create_parallel_work([task](const ParallelWork *work) {
        const auto *good = static_cast<std::atomic<int> *>(work->get_context());
        char text[32];

        snprintf(text, sizeof text, "%d of %d joined\n", good->load(), FAN_WIDTH);
        task->get_resp()->append_output_body(text, strlen(text));
        if (good->load() != FAN_WIDTH) {
            fail(task);
        }
        delete good;
    });
    auto *good = new std::atomic<int>(0);

    all->set_context(good);
    for (int i = 0; i < FAN_WIDTH; i++) {
        auto *fetch = WFTaskFactory::create_http_task(backend_url, 0, 0, [good](WFHttpTask *done) {
            if (done->get_state() == WFT_STATE_SUCCESS) {
                good->fetch_add(1);
            }
        });

        all->add_series(Workflow::create_series_work(fetch, nullptr));
    }
    *series_of(task) << all;
}

void process(WFHttpTask *task) {
    const char *uri = task->get_req()->get_request_uri();

    if (uri[1] == '\0') {
        answer_hello(task);
    } else if (strcmp(uri, "/slow") == 0) {
        sleep_in_handler();
        answer_hello(task);
    } else if (strcmp(uri, "/burn") == 0) {
        compute_in_handler();
        answer_hello(task);
    } else if (strcmp(uri, "/proxy") == 0) {
        answer_proxy(task);
    } else if (strcmp(uri, "/fan") == 0) {
        answer_fan(task);
    } else {
        protocol::HttpUtil::set_response_status(task->get_resp(), HttpStatusNotFound);
    }
}

struct Options {
    struct WFGlobalSettings settings = GLOBAL_SETTINGS_DEFAULT;
    struct CommListenOptions listening;
    const char *cert = nullptr, *key = nullptr;
    unsigned short port = 0;
    size_t size = 13;
    bool queued = false;
};

bool take_option(Options *o, int opt, const char *value) {
    switch (opt) {
    case 'p':
        o->port = static_cast<unsigned short>(atoi(value));
        return true;
    case 't':
        o->settings.poller_threads = atoi(value);
        return true;
    case 'h':
        o->settings.handler_threads = atoi(value);
        return true;
    case 'b':
        o->size = static_cast<size_t>(atol(value));
        return true;
    case 'x':
        backend_url = std::string("http://127.0.0.1:") + value + "/";
        return true;
    case 'q':
        return o->queued = true;
    case 'A':
        o->listening.accept_at_once = atoi(value);
        return true;
    case 'R':
        return o->listening.reuse_port = true;
    case 'C':
        o->cert = value;
        return true;
    case 'K':
        o->key = value;
        return true;
    default:
        return false;
    }
}

} // namespace

int main(int argc, char **argv) {
    struct WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    Options options;
    int opt;

    while ((opt = getopt(argc, argv, "p:t:h:b:x:qC:K:A:R")) != -1) {
        if (!take_option(&options, opt, optarg)) {
            fprintf(stderr,
                    "usage: %s -p port [-t pollers] [-h handlers] [-b bytes] [-x port] [-q] "
                    "[-C cert -K key] [-A accepts] [-R]\n",
                    argv[0]);
            return 2;
        }
    }
    for (size_t i = 0; i < options.size; i++) {
        body += "Hello, World!"[i % 13];
    }
    options.settings.endpoint_params.max_connections = 10000;
    WORKFLOW_library_init(&options.settings);
    if (options.queued) {
        WFGlobal::get_scheduler()->set_handler_mode(CHM_QUEUED);
    }
    params.max_connections = 100000;
    params.keep_alive_timeout = 600000;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);

    WFHttpServer server(&params, process);

    server.set_listen_options(&options.listening);
    if (server.start(AF_INET, "127.0.0.1", options.port, options.cert, options.key) < 0) {
        perror("start");
        return 1;
    }
    stopped.wait();
    server.stop();
    return 0;
}
