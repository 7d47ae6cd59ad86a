// Weft - integration: a server in a process of its own, to be loaded, replaced and ended
// SPDX-License-Identifier: Apache-2.0
//
//   weft_load_server COUNTS CERT KEY
//
// Listens in the clear and with TLS, each on a free port or on what its predecessor hands over, and
// says so in a line. HUP replaces it by a successor, TERM ends it; either way it answers first what
// it has accepted. /echo/X answers X, /slow/X does so after some milliseconds, /state says what it
// holds. The handlers run on workers and touch only their own task and the counts.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "integration/load_counts.h"
#include "integration/soak.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"
#include "workflow/wf/restart.h"

namespace {

const int kSlowNs = 5000000;

class CountingServer : public WFHttpServer {
public:
    CountingServer(const WFServerParams &wish, LoadCounts *counts, http_process_t proc)
        : WFHttpServer(&wish, std::move(proc)), counts_(counts) {}

    bool begin(int fd, const char *cert, const char *key) {
        return (fd >= 0 ? serve(fd, cert, key) : start("127.0.0.1", 0, cert, key)) == 0;
    }
    unsigned port() const {
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
        return ntohs(addr.sin_port);
    }

private:
    // Called with the first bytes of a request, when it counts as accepted.
    CommSession *new_session(long long seq, CommConnection *conn) override {
        counts_->begun++;
        return WFHttpServer::new_session(seq, conn);
    }

    LoadCounts *counts_;
};

struct Servers {
    Servers(const WFServerParams &params, LoadCounts *counts_in)
        : counts(counts_in), plain(params, counts, [this](WFHttpTask *t) { serve(t); }),
          tls(params, counts, [this](WFHttpTask *t) { serve(t); }) {}

    void serve(WFHttpTask *task);
    std::string state() const;

    LoadCounts *counts;
    CountingServer plain;
    CountingServer tls;
};

void Servers::serve(WFHttpTask *task) {
    counts->handled++;
    task->set_callback([this](WFHttpTask *t) {
        (t->get_state() == WFT_STATE_SUCCESS ? counts->replied : counts->failed)++;
    });
    std::string uri = task->get_req()->get_request_uri();
    if (uri == "/state") {
        task->get_resp()->append_output_body(state());
        return;
    }
    task->get_resp()->append_output_body(uri.substr(uri.rfind('/') + 1));
    if (uri.compare(0, 6, "/slow/") == 0)
        *series_of(task) << WFTaskFactory::create_timer_task(0, kSlowNs, nullptr);
}

// Connections, bytes of memory, and descriptors.
std::string Servers::state() const {
    return std::to_string(plain.get_conn_count() + tls.get_conn_count()) + " " +
           std::to_string(allocated_bytes()) + " " + std::to_string(open_descriptors());
}

} // namespace

int main(int argc, char *argv[]) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    LoadCounts *counts = argc == 4 ? map_counts(argv[1]) : nullptr;
    if (!counts)
        return 2;
    WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.max_connections = 100000;
    Servers servers(params, counts);
    std::vector<int> given = wf::inherited_listeners();
    given.resize(2, -1);
    if (!servers.plain.begin(given[0], nullptr, nullptr) ||
        !servers.tls.begin(given[1], argv[2], argv[3])) {
        perror("cannot serve");
        return 1;
    }
    for (int fd : given) {
        if (fd >= 0)
            close(fd);
    }
    printf("generation %ld is %d, ports %u %u\n", counts->generations++, static_cast<int>(getpid()),
           servers.plain.port(), servers.tls.port());
    fflush(stdout);
    wf::tell_ready();

    int signal = 0;
    while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) {
        if (wf::start_successor(argv, {&servers.plain, &servers.tls}, 60000) > 0)
            break;
        perror("the successor did not come up; going on");
    }
    servers.plain.shutdown();
    servers.tls.shutdown();
    servers.plain.wait_finish();
    servers.tls.wait_finish();
    return 0;
}
