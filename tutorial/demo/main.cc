// Weft - the demo: command line
// SPDX-License-Identifier: Apache-2.0
//
// Four commands, so that server and clients are processes of their own. tools/demo.sh plays
// them together.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "../args.h"
#include "demo.h"

namespace demo {

const char *const kBackendNames[BACKENDS] = {"stock", "price", "rating"};

unsigned short port_of(const WFHttpServer &server) {
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    if (server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len) < 0)
        return 0;
    return ntohs(addr.sin_port);
}

void wait_for_ctrl_c() {
    watch_ctrl_c();
    ctrl_c_group().wait();
}

} // namespace demo

static int usage(const char *program) {
    fprintf(stderr,
            "usage: %s backends\n"
            "       %s front PORT STOCK_PORT PRICE_PORT RATING_PORT\n"
            "       %s call URL COUNT\n"
            "       %s load URL IN_FLIGHT SECONDS\n"
            "tools/demo.sh runs them together; docs/tutorial-demo.md explains them.\n",
            program, program, program, program);
    return 2;
}

int main(int argc, char *argv[]) {
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "backends") == 0 && argc == 2)
        return demo::run_backends();

    if (strcmp(command, "front") == 0 && argc == 3 + demo::BACKENDS) {
        unsigned short port = 0;
        unsigned short backends[demo::BACKENDS] = {};
        bool good = parse_port(argv[2], &port);
        for (int i = 0; i < demo::BACKENDS; i++)
            good = good && parse_port(argv[3 + i], &backends[i]) && backends[i] != 0;
        if (good)
            return demo::run_front(port, backends);
    }

    long first = 0;
    long second = 0;
    if (strcmp(command, "call") == 0 && argc == 4 && parse_number(argv[3], 1, 1000, &first))
        return demo::run_calls(argv[2], static_cast<int>(first));
    if (strcmp(command, "load") == 0 && argc == 5 && parse_number(argv[3], 1, 1000, &first) &&
        parse_number(argv[4], 1, 3600, &second))
        return demo::run_load(argv[2], static_cast<int>(first), static_cast<int>(second));
    return usage(argv[0]);
}
