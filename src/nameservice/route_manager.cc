// Weft - RouteManager: the pool of targets, over the route table
// SPDX-License-Identifier: Apache-2.0
#include "workflow/RouteManager.h"

#include <errno.h>

#include "nameservice/route_table.h"
#include "workflow/wf/tls.h"

using wf::detail::RouteEntry;
using wf::detail::RouteKey;
using wf::detail::RouteTable;

RouteManager::RouteManager() : table_(new RouteTable) {}

RouteManager::~RouteManager() { delete table_; }

void RouteManager::clear() { table_->clear(); }

int RouteManager::get(enum TransportType type, const struct addrinfo *addrinfo,
                      const char *other_info, const struct EndpointParams *ep_params,
                      const char *hostname, SSL_CTX *ssl_ctx, RouteResult &result) {
    bool tls = wf::detail::is_tls(type);
    if (!addrinfo || ep_params->max_connections == 0) {
        errno = EINVAL;
        return -1;
    }
    if (tls && !ssl_ctx && !(ssl_ctx = wf::tls_client_ctx()))
        return -1;
    RouteKey key{type, addrinfo, ep_params, other_info ? other_info : "", "", nullptr};
    if (tls) {
        key.hostname = hostname ? hostname : "";
        key.ssl_ctx = ssl_ctx;
    }
    RouteEntry *entry = table_->get(key);
    if (!entry)
        return -1;
    entry->refresh();
    result.cookie = entry;
    result.request_object = entry->object();
    return 0;
}

void RouteManager::notify_unavailable(void *cookie, CommTarget *target) {
    if (cookie && target)
        static_cast<RouteEntry *>(cookie)->fail(target);
}

void RouteManager::notify_available(void *cookie, CommTarget *target) {
    if (cookie && target)
        static_cast<RouteEntry *>(cookie)->recover(target);
}
