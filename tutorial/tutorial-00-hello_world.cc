// Weft - tutorial 00: the smallest HTTP server
// SPDX-License-Identifier: Apache-2.0
//
// One function answers every request. Page: docs/tutorial-00-hello_world.md

#include <stdio.h>

#include "workflow/WFHttpServer.h"

#include "args.h"

// Runs once per request, on the worker that read it. When it returns, the reply leaves.
static void say_hello(WFHttpTask *task) {
    protocol::HttpResponse *resp = task->get_resp();
    resp->add_header_pair("Content-Type", "text/plain");
    resp->append_output_body("Hello from Weft!\n");
}

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc != 2 || !parse_port(argv[1], &port)) {
        fprintf(stderr,
                "usage: %s PORT\n"
                "Answers every HTTP request on PORT (0: a free one) with a greeting.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    WFHttpServer server(say_hello);
    if (server.start(port) < 0) {
        perror("cannot start the server");
        return 1;
    }

    printf("listening on port %hu; Ctrl-C ends\n", port_of(server));
    fflush(stdout);
    ctrl_c_group().wait();
    server.stop();
    printf("stopped\n");
    return 0;
}
