// Weft - tutorial 10: a UDP server
// SPDX-License-Identifier: Apache-2.0
//
// Answers each datagram with itself. Page: docs/tutorial-10-udp.md

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "args.h"
#include "tutorial-10-datagram.h"

static void echo(datagram::Task *task) { task->get_resp()->text = task->get_req()->text; }

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc != 2 || !parse_port(argv[1], &port)) {
        fprintf(stderr,
                "usage: %s PORT\n"
                "Sends each datagram that arrives on PORT (0: a free one) back.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    struct WFServerParams params = SERVER_PARAMS_DEFAULT;
    params.transport_type = TT_UDP;
    datagram::Server server(&params, echo);
    struct sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    if (server.start(port) < 0 ||
        server.get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len) < 0) {
        perror("cannot start the server");
        return 1;
    }
    printf("listening on port %hu; Ctrl-C ends\n", ntohs(addr.sin_port));
    fflush(stdout);
    ctrl_c_group().wait();
    server.stop();
    printf("stopped\n");
    return 0;
}
