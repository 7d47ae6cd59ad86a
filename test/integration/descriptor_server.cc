// Weft - integration: a hello server in a process of its own, to be starved of descriptors
// SPDX-License-Identifier: Apache-2.0
//
// Prints its port, serves until TERM, then says how it went. Started by descriptor_test.cc.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>

#include "workflow/WFFacilities.h"
#include "workflow/WFHttpServer.h"

static WFFacilities::WaitGroup stop_asked(1);

static void on_signal(int) { stop_asked.done(); }

int main() {
    WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.max_connections = 100000;
    WFHttpServer server(&params,
                        [](WFHttpTask *task) { task->get_resp()->append_output_body("hello"); });
    signal(SIGTERM, on_signal);
    if (server.start("127.0.0.1", 0) < 0) {
        perror("start");
        return 1;
    }
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
    printf("port %u\n", static_cast<unsigned>(ntohs(addr.sin_port)));
    fflush(stdout);
    stop_asked.wait();
    server.stop();
    printf("stopped\n");
    return 0;
}
