// Weft - tutorial 09: an HTTPS client
// SPDX-License-Identifier: Apache-2.0
//
// Fetches a page over TLS, verified against the system's authorities, against a file of them, or
// not at all. Page: docs/tutorial-09-https.md

#include <stdio.h>
#include <string.h>
#include <string>

#include "workflow/HttpMessage.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/tls.h"

#include "args.h"

static int exit_code = 1;

static void on_answer(WFHttpTask *task) {
    int state = task->get_state();
    if (state == WFT_STATE_SUCCESS) {
        wf::TlsInfo tls;
        const void *body = NULL;
        size_t size = 0;
        if (task->get_tls_info(&tls))
            fprintf(stderr, "%s, %s, peer \"%s\"\n", tls.version.c_str(), tls.cipher.c_str(),
                    tls.server_name.c_str());
        task->get_resp()->get_parsed_body(&body, &size);
        fwrite(body, 1, size, stdout);
        fflush(stdout);
        exit_code = 0;
    } else if (state != WFT_STATE_ABORTED) {
        fprintf(stderr, "no answer: %s", WFGlobal::get_error_string(state, task->get_error()));
        if (state == WFT_STATE_SSL_ERROR)
            fprintf(stderr, " (%s)", task->get_tls_error());
        fprintf(stderr, "\n");
    }
    end_wait();
}

// Ours; the engine holds references of its own for the connections that use it.
static SSL_CTX *own_context;

// The context that the second argument asks for; *error tells when there is none.
static SSL_CTX *choose_context(const char *how, std::string *error) {
    if (strcmp(how, "--unverified") == 0)
        return wf::tls_unverified_ctx();
    wf::TlsOptions options;
    options.ca_file = how;
    options.alpn = "http/1.1";
    own_context = wf::new_tls_client_ctx(options, error);
    return own_context;
}

int main(int argc, char *argv[]) {
    if (argc < 2 || argc > 3 || strncmp(argv[1], "https://", 8) != 0) {
        fprintf(
            stderr,
            "usage: %s https://HOST[:PORT]/PATH [AUTHORITIES | --unverified]\n"
            "Fetches a page. The certificate is verified by the system's authorities, by those\n"
            "of a PEM file, or not at all.\n",
            argv[0]);
        return 2;
    }

    watch_ctrl_c();
    WFHttpTask *task = WFTaskFactory::create_http_task(argv[1], 5, 0, on_answer);
    if (argc == 3) {
        std::string error = "no OpenSSL";
        SSL_CTX *ctx = choose_context(argv[2], &error);
        if (!ctx) {
            fprintf(stderr, "cannot use %s: %s\n", argv[2], error.c_str());
            task->dismiss();
            return 2;
        }
        task->set_ssl_ctx(ctx);
    }
    task->set_deadline(10000); // all of it: name, connect, handshake, answer, redirects
    task->start();

    ctrl_c_group().wait();
    SSL_CTX_free(own_context); // NULL is fine
    return exit_code;
}
