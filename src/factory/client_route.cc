// Weft - what of a client task does not depend on its messages
// SPDX-License-Identifier: Apache-2.0
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "workflow/WFTaskFactory.h"
#include "workflow/detail/runtime.h"
#include "workflow/detail/settings.h"

namespace wf::detail {

namespace {

// A port of a url is digits of any length.
bool is_port(const char *text) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && port > 0 && port <= 65535;
}

} // namespace

int complete_port(ParsedURI *uri) {
    if (uri->port && *uri->port)
        return is_port(uri->port) ? 0 : WFT_ERR_URI_PORT_INVALID;
    const char *port = uri->scheme ? runtime_default_port(uri->scheme) : nullptr;
    if (!port)
        return WFT_ERR_URI_SCHEME_INVALID;
    free(uri->port);
    uri->port = strdup(port);
    return uri->port ? 0 : WFT_ERR_URI_PORT_INVALID;
}

void parse_failure(const ParsedURI &uri, int *state, int *error) {
    if (uri.state == URI_STATE_ERROR) {
        *state = WFT_STATE_SYS_ERROR;
        *error = uri.error;
    } else {
        *state = WFT_STATE_TASK_ERROR;
        *error = WFT_ERR_URI_PARSE_FAILED;
    }
}

int route_address(enum TransportType type, const struct sockaddr *addr, socklen_t addrlen,
                  const std::string &info, SSL_CTX *ssl_ctx, bool fixed_conn,
                  RouteManager::RouteResult *result) {
    if (!addr || addrlen < sizeof(sa_family_t))
        return EINVAL;
    struct EndpointParams params = runtime_settings()->endpoint_params;
    struct addrinfo single = {};
    single.ai_family = addr->sa_family;
    single.ai_socktype = SOCK_STREAM;
    single.ai_addr = const_cast<struct sockaddr *>(addr);
    single.ai_addrlen = addrlen;
    if (fixed_conn)
        params.max_connections = 1;
    return runtime_route_manager()->get(type, &single, info.c_str(), &params, "", ssl_ctx,
                                        *result) < 0
               ? errno
               : 0;
}

bool may_fail_here() {
    CommScheduler *scheduler = runtime_scheduler();
    return scheduler->is_handler_thread() || scheduler->is_closing();
}

} // namespace wf::detail
