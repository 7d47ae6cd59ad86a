// Weft - tutorial 03: an HTTP proxy
// SPDX-License-Identifier: Apache-2.0
//
// A server whose handler adds a client task to its own series: the reply leaves after the
// fetch has ended, and no thread waits meanwhile. Page: docs/tutorial-03-http_proxy.md

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <string>
#include <strings.h>
#include <utility>
#include <vector>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"
#include "workflow/StringUtil.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "args.h"

static const size_t kBodyLimit = 64 * 1024 * 1024;

// Headers that concern one connection and must not travel on (RFC 9110, section 7.6.1).
static void remove_hop_headers(protocol::HttpMessage *message) {
    static const char *const fixed[] = {"Connection",          "Keep-Alive", "Proxy-Connection",
                                        "Proxy-Authorization", "TE",         "Upgrade"};
    std::vector<std::string> names(fixed, fixed + sizeof fixed / sizeof fixed[0]);
    protocol::HttpHeaderCursor cursor(message);
    std::string value;
    while (cursor.find("Connection", value)) {
        for (const std::string &name : StringUtil::split_filter_empty(value, ','))
            names.push_back(StringUtil::strip(name));
    }
    for (const std::string &name : names) {
        cursor.rewind();
        while (cursor.find_and_erase(name))
            cursor.rewind();
    }
}

static void refuse(protocol::HttpResponse *resp, int status, const std::string &why) {
    protocol::HttpUtil::set_response_status(resp, status);
    resp->add_header_pair("Content-Type", "text/plain");
    resp->append_output_body(why + "\n");
}

// The received body becomes the body to send, without a copy: moving the message keeps its
// buffer alive. A chunked body travels with its chunk framing, as the header still says.
static void reuse_body(protocol::HttpMessage *message) {
    const void *body = NULL;
    size_t size = 0;
    if (message->get_parsed_body(&body, &size) && size > 0)
        message->append_output_body_nocopy(body, size);
}

static void on_fetched(WFHttpTask *fetch) {
    WFHttpTask *task = static_cast<WFHttpTask *>(fetch->user_data);
    protocol::HttpResponse *resp = task->get_resp();
    int state = fetch->get_state();

    if (state != WFT_STATE_SUCCESS) {
        bool late = state == WFT_STATE_SYS_ERROR && fetch->get_error() == ETIMEDOUT;
        refuse(resp, late ? HttpStatusGatewayTimeout : HttpStatusBadGateway,
               std::string("proxy: ") + WFGlobal::get_error_string(state, fetch->get_error()));
        return;
    }

    reuse_body(fetch->get_resp());
    *resp = std::move(*fetch->get_resp());
    remove_hop_headers(resp);
    resp->set_http_version("HTTP/1.1");
    resp->add_header_pair("Via", "1.1 weft-tutorial");
}

// Moves the request of the server task into the client task. The client task was made from
// the URL, so it knows the path and the Host that the origin expects: keep those two.
static void hand_over_request(protocol::HttpRequest *from, protocol::HttpRequest *to) {
    std::string path, host;
    to->get_request_uri(path);
    {
        protocol::HttpHeaderCursor cursor(to);
        cursor.find("Host", host);
    }
    reuse_body(from);
    *to = std::move(*from);
    remove_hop_headers(to);
    to->set_request_uri(path);
    to->set_header_pair("Host", host.c_str());
    to->add_header_pair("Via", "1.1 weft-tutorial");
}

static void forward(WFHttpTask *task) {
    protocol::HttpRequest *req = task->get_req();
    std::string method, uri;
    req->get_method(method);
    req->get_request_uri(uri);

    if (method == HttpMethodConnect) {
        refuse(task->get_resp(), HttpStatusNotImplemented, "proxy: no tunnels here, only http://");
        return;
    }
    if (strncasecmp(uri.c_str(), "http://", 7) != 0) {
        refuse(task->get_resp(), HttpStatusBadRequest, "proxy: ask with a whole http:// URL");
        return;
    }

    WFHttpTask *fetch = WFTaskFactory::create_http_task(uri, 0, 0, on_fetched);
    hand_over_request(req, fetch->get_req());
    fetch->get_resp()->set_size_limit(kBodyLimit);
    fetch->user_data = task;
    *series_of(task) << fetch;
}

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc != 2 || !parse_port(argv[1], &port)) {
        fprintf(stderr,
                "usage: %s PORT\n"
                "A forward proxy for http:// on PORT; try curl -x 127.0.0.1:PORT URL\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    struct WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.request_size_limit = kBodyLimit;
    WFHttpServer server(&params, forward);
    if (server.start("127.0.0.1", port) < 0) {
        perror("cannot start the proxy");
        return 1;
    }

    struct sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len);
    printf("listening on 127.0.0.1 port %u; Ctrl-C ends\n",
           static_cast<unsigned>(ntohs(addr.sin_port)));
    fflush(stdout);
    ctrl_c_group().wait();
    server.stop();
    return 0;
}
