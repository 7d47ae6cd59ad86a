// Weft - tutorial 16: a server that finds out when its peers are gone
// SPDX-License-Identifier: Apache-2.0
//
// Page: docs/tutorial-16-heartbeat.md

#include <stdio.h>

#include "workflow/wf/tcp_server.h"

#include "args.h"
#include "tutorial-16-tlv.h"

static void answer(wf::Channel &channel, const wf::Frame &frame) {
    switch (frame.type) {
    case tlv::ECHO:
        channel.send(frame.bytes, tlv::ECHO);
        break;
    case tlv::PING:
        channel.send(frame.bytes, tlv::PONG);
        break;
    case tlv::PONG: // that it came is all we wanted
        break;
    default:
        channel.send("unknown type " + std::to_string(frame.type), tlv::ERROR);
        channel.shutdown();
    }
}

static void tell_end(wf::Channel &channel, CommCloseReason reason, int) {
    printf("%s: %s\n", channel.peer_text().c_str(),
           reason == CCR_SILENT ? "nothing came for too long, it must be gone" : "has ended");
    fflush(stdout);
}

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    long heartbeat = 5000, silence = 15000;
    bool good = (argc == 2 || argc == 4) && parse_port(argv[1], &port);
    if (good && argc == 4)
        good = parse_number(argv[2], 1, 3600000, &heartbeat) &&
               parse_number(argv[3], 1, 3600000, &silence);
    if (!good) {
        fprintf(
            stderr,
            "usage: %s PORT [HEARTBEAT SILENCE]\n"
            "Echoes on PORT (0: a free one). Sends a ping when nothing has moved for HEARTBEAT\n"
            "milliseconds (5000), and ends a connection that has said nothing for SILENCE "
            "(15000).\n",
            argv[0]);
        return 2;
    }

    watch_ctrl_c();
    wf::TcpServer server;
    server.set_framing(tlv::framing());
    server.options().heartbeat = static_cast<int>(heartbeat);
    server.options().receive_timeout = static_cast<int>(silence);
    server.on_message(answer);
    server.events().heartbeat = [](wf::Channel &channel) { channel.send("", tlv::PING); };
    server.on_closed(tell_end);

    if (server.start(port) < 0) {
        perror("cannot start the server");
        return 1;
    }
    printf("listening on port %u; Ctrl-C ends\n", port_of(server));
    fflush(stdout);
    ctrl_c_group().wait();
    server.stop();
    printf("stopped\n");
    return 0;
}
