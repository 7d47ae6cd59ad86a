// Weft - tutorial 10: a UDP client
// SPDX-License-Identifier: Apache-2.0
//
// Sends a text as one datagram, again and again until an answer comes. Page:
// docs/tutorial-10-udp.md

#include <stdio.h>

#include "workflow/WFGlobal.h"

#include "args.h"
#include "tutorial-10-datagram.h"

static int exit_code = 1;

static void on_answer(datagram::Task *task) {
    if (task->get_state() == WFT_STATE_SUCCESS) {
        printf("%s\n", task->get_resp()->text.c_str());
        exit_code = 0;
    } else {
        fprintf(stderr, "no answer: %s\n",
                WFGlobal::get_error_string(task->get_state(), task->get_error()));
    }
    end_wait();
}

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc != 4 || !parse_port(argv[2], &port) || port == 0) {
        fprintf(stderr,
                "usage: %s HOST PORT TEXT\n"
                "Sends TEXT as a datagram, up to four times, and prints the answer.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    datagram::Task *task =
        datagram::Factory::create_client_task(TT_UDP, argv[1], port, 3, on_answer);
    task->get_req()->text = argv[3];
    task->set_receive_timeout(500); // of each attempt: a datagram may be lost both ways
    task->start();

    ctrl_c_group().wait();
    return exit_code;
}
