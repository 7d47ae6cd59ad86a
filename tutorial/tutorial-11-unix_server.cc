// Weft - tutorial 11: an HTTP server on a Unix socket
// SPDX-License-Identifier: Apache-2.0
//
// What runs behind a proxy of the same machine needs no port. Page: docs/tutorial-11-unix.md

#include <stdio.h>

#include "workflow/WFHttpServer.h"

#include "args.h"

static void say_hello(WFHttpTask *task) {
    task->get_resp()->append_output_body("Hello over a Unix socket!\n");
}

int main(int argc, char *argv[]) {
    if (argc != 2 || argv[1][0] == '-' || argv[1][0] == '\0') {
        fprintf(stderr,
                "usage: %s PATH\n"
                "Answers HTTP requests on the Unix socket PATH, or @NAME (abstract).\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    WFHttpServer server(say_hello);
    if (server.start_unix(argv[1]) < 0) {
        perror("cannot start the server");
        return 1;
    }
    printf("listening on %s; Ctrl-C ends\n", argv[1]);
    fflush(stdout);
    ctrl_c_group().wait();
    server.stop();
    printf("stopped\n");
    return 0;
}
