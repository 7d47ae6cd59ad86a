// Weft - tutorial 09: an HTTPS server
// SPDX-License-Identifier: Apache-2.0
//
// The echo of what the handshake came to. SIGHUP reads the certificate again, while connections go
// on. Page: docs/tutorial-09-https.md

#include <signal.h>
#include <stdio.h>
#include <string>

#include "workflow/WFHttpServer.h"
#include "workflow/wf/tls.h"

#include "args.h"

static void answer(WFHttpTask *task) {
    wf::TlsInfo tls;
    task->get_tls_info(&tls);
    std::string text = tls.version + " " + tls.cipher + (tls.resumed ? ", resumed" : "") + "\n";
    task->get_resp()->add_header_pair("Content-Type", "text/plain");
    task->get_resp()->append_output_body(text);
}

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc != 4 || !parse_port(argv[1], &port)) {
        fprintf(
            stderr,
            "usage: %s PORT CERTIFICATE KEY\n"
            "Answers HTTPS requests on PORT (0: a free one). The files are PEM, the first with\n"
            "the chain that leads to its authority. SIGHUP reads them again.\n",
            argv[0]);
        return 2;
    }

    sigset_t signals = block_signals(); // for sigwait() below

    WFHttpServer server(answer);
    if (server.start(port, argv[2], argv[3]) < 0) {
        perror("cannot start the server");
        return 1;
    }
    printf("listening on port %hu; Ctrl-C ends\n", port_of(server));
    fflush(stdout);

    int signal = 0;
    while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) {
        if (server.replace_certificate(argv[2], argv[3]) == 0)
            printf("the certificate was read again\n");
        else
            perror("the old certificate stays");
        fflush(stdout);
    }
    server.stop();
    printf("stopped\n");
    return 0;
}
