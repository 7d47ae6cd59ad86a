// Weft - tutorial 02: a server that shows the request it got
// SPDX-License-Identifier: Apache-2.0
//
// Reading a request (line, headers, body, connection) and using the callback of a server
// task, which runs when the reply is written. Page: docs/tutorial-02-http_echo_server.md

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"
#include "workflow/WFHttpServer.h"

#include "args.h"

// Three requests on a connection show keep-alive at work; then the server says good-bye.
static const long long kRequestsPerConnection = 3;

static std::string peer_name(const WFHttpTask *task) {
    struct sockaddr_storage addr = {};
    socklen_t len = sizeof addr;
    char text[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;

    if (task->get_peer_addr(reinterpret_cast<struct sockaddr *>(&addr), &len) < 0)
        return "(gone)";
    if (addr.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = reinterpret_cast<const struct sockaddr_in *>(&addr);
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        port = ntohs(v4->sin_port);
    } else if (addr.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = reinterpret_cast<const struct sockaddr_in6 *>(&addr);
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        port = ntohs(v6->sin6_port);
    }
    return std::string(text) + " port " + std::to_string(port);
}

static void on_replied(WFHttpTask *task) {
    // SUCCESS says that the bytes went to the socket, not that the peer has read them.
    printf("replied to %s, state %d, error %d\n", peer_name(task).c_str(), task->get_state(),
           task->get_error());
    fflush(stdout);
}

static void echo(WFHttpTask *task) {
    protocol::HttpRequest *req = task->get_req();
    protocol::HttpResponse *resp = task->get_resp();
    long long seq = task->get_task_seq();

    std::string text;
    text.append(req->get_method()).append(" ").append(req->get_request_uri()).append("\n");
    protocol::HttpHeaderCursor headers(req);
    std::string name, value;
    while (headers.next(name, value))
        text.append("  ").append(name).append(" = ").append(value).append("\n");

    // The copy in text lives shorter than the reply, so it is copied once more by
    // append_output_body; the request's own body outlives the reply and is borrowed.
    text.append("request ").append(std::to_string(seq + 1)).append(" of this connection\n\n");
    resp->append_output_body(text);

    protocol::HttpChunkCursor body(req);
    const void *data = NULL;
    size_t size = 0;
    while (body.next(&data, &size))
        resp->append_output_body_nocopy(data, size);

    resp->add_header_pair("Content-Type", "text/plain");
    if (seq + 1 >= kRequestsPerConnection)
        resp->set_header_pair("Connection", "close");
    task->set_callback(on_replied);
}

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc != 2 || !parse_port(argv[1], &port)) {
        fprintf(stderr,
                "usage: %s PORT\n"
                "Answers each HTTP request with the request itself, as text.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    // A limit on the request keeps a stranger from filling the memory: 413 beyond it.
    struct WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.request_size_limit = 8 * 1024 * 1024;
    WFHttpServer server(&params, echo);
    if (server.start(port) < 0) {
        perror("cannot start the server");
        return 1;
    }

    struct sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len);
    printf("listening on port %u; Ctrl-C ends\n", static_cast<unsigned>(ntohs(addr.sin_port)));
    fflush(stdout);
    ctrl_c_group().wait();
    server.stop();
    return 0;
}
