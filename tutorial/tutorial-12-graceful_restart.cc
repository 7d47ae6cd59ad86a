// Weft - tutorial 12: a server that replaces itself
// SPDX-License-Identifier: Apache-2.0
//
// SIGHUP starts the program anew, on the same socket: the new process answers newcomers, the old
// one finishes what it has accepted and ends. Page: docs/tutorial-12-graceful_restart.md

#include <signal.h>
#include <stdio.h>
#include <string>
#include <unistd.h>
#include <vector>

#include "workflow/WFHttpServer.h"
#include "workflow/wf/restart.h"

#include "args.h"

static void answer(WFHttpTask *task) {
    task->get_resp()->append_output_body("process " + std::to_string(getpid()) + "\n");
}

// The listener we were given, or a new one on that port.
static int begin(WFHttpServer *server, unsigned short port) {
    std::vector<int> given = wf::inherited_listeners();
    if (given.empty())
        return server->start(port);
    int ret = server->serve(given[0]); // takes a duplicate
    for (int fd : given)
        close(fd);
    return ret;
}

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc != 2 || !parse_port(argv[1], &port)) {
        fprintf(
            stderr,
            "usage: %s PORT\n"
            "Tells its process number on PORT (0: a free one). SIGHUP replaces it by a new one.\n",
            argv[0]);
        return 2;
    }

    sigset_t signals = block_signals(); // for sigwait() below

    WFHttpServer server(answer);
    if (begin(&server, port) < 0) {
        perror("cannot start the server");
        return 1;
    }
    wf::tell_ready();
    printf("process %d listening on port %hu; Ctrl-C ends\n", getpid(), port_of(server));
    fflush(stdout);

    int signal = 0;
    while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) {
        pid_t next = wf::start_successor(argv, {&server}, 10000);
        if (next > 0)
            break;
        perror("the successor did not come up; going on");
    }
    server.stop();
    printf("process %d stopped\n", getpid());
    return 0;
}
