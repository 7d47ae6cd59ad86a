// Weft - the server of channels that the benchmarks measure
// SPDX-License-Identifier: Apache-2.0
//
//   channel_server -p PORT [-t POLLERS]
//
// Sends back what has come. It runs until SIGTERM or SIGINT.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/wf/tcp_server.h"

namespace {

WFFacilities::WaitGroup stopped(1);

void on_signal(int) { stopped.done(); }

} // namespace

int main(int argc, char **argv) {
    struct WFGlobalSettings settings = GLOBAL_SETTINGS_DEFAULT;
    unsigned short port = 0;
    int opt;

    settings.poller_threads = 1;
    while ((opt = getopt(argc, argv, "p:t:")) != -1) {
        if (opt == 'p') {
            port = static_cast<unsigned short>(atoi(optarg));
        } else if (opt == 't') {
            settings.poller_threads = atoi(optarg);
        } else {
            fprintf(stderr, "usage: %s -p port [-t pollers]\n", argv[0]);
            return 2;
        }
    }
    WORKFLOW_library_init(&settings);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    struct WFServerParams params = SERVER_PARAMS_DEFAULT;
    params.max_connections = 0;
    wf::TcpServer server(&params);
    server.on_message(
        [](wf::Channel &channel, const wf::Frame &frame) { channel.send(frame.bytes); });
    if (server.start("127.0.0.1", port) != 0) {
        perror("start");
        return 1;
    }
    stopped.wait();
    server.stop();
    return 0;
}
