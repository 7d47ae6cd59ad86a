// Weft - tutorial 16: a client that answers pings
// SPDX-License-Identifier: Apache-2.0
//
// Page: docs/tutorial-16-heartbeat.md

#include <atomic>
#include <stdio.h>
#include <string>

#include "workflow/WFGlobal.h"
#include "workflow/wf/tcp_client.h"

#include "args.h"
#include "tutorial-16-tlv.h"

namespace {

std::atomic<int> awaited{0}; // answers
std::atomic<int> exit_code{0};

void take(wf::Channel &channel, const wf::Frame &frame) {
    int size = static_cast<int>(frame.bytes.size());
    switch (frame.type) {
    case tlv::ECHO:
        printf("echo: %.*s\n", size, frame.bytes.data());
        if (--awaited == 0)
            end_wait();
        break;
    case tlv::PING:
        channel.send(frame.bytes, tlv::PONG);
        printf("answered a ping\n");
        break;
    case tlv::ERROR:
        fprintf(stderr, "the server says: %.*s\n", size, frame.bytes.data());
        break;
    default:
        break;
    }
    fflush(stdout);
}

} // namespace

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc < 3 || !parse_port(argv[2], &port) || port == 0 || !*argv[1]) {
        fprintf(stderr,
                "usage: %s HOST PORT [TEXT...]\n"
                "Has each TEXT echoed and ends. Without one it stays, and answers pings.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    awaited = argc - 3;
    wf::TcpClient client;
    client.set_framing(tlv::framing());
    client.options().receive_timeout = 60 * 1000; // a server that sends pings is never silent
    client.on_established([argc, argv](wf::Channel &channel) {
        for (int i = 3; i < argc; i++)
            channel.send(argv[i], tlv::ECHO);
    });
    client.on_message(take);
    client.on_failed([](wf::TcpClient &, int state, int error, int) {
        const char *why = error ? WFGlobal::get_error_string(state, error) : "the server has ended";
        fprintf(stderr, "no connection: %s\n", why);
        exit_code = 1;
        end_wait();
    });
    if (client.connect(argv[1], port) < 0) {
        perror("cannot connect");
        return 1;
    }
    ctrl_c_group().wait();
    client.end();
    client.wait();
    return exit_code;
}
