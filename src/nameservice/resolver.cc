// Weft - the resolver: from the host and port of a task to its target
// SPDX-License-Identifier: Apache-2.0
#include "nameservice/resolver.h"

#include <charconv>
#include <errno.h>
#include <string.h>

#include "workflow/RouteManager.h"
#include "workflow/WFDnsResolver.h"
#include "workflow/WFTaskError.h"
#include "workflow/detail/runtime.h"
#include "workflow/detail/settings.h"

namespace wf::detail {

bool parse_port(const char *text, unsigned short *port) {
    *port = 0;
    if (!text || !*text)
        return true;
    const char *end = text + strlen(text);
    auto [rest, error] = std::from_chars(text, end, *port);
    return error == std::errc() && rest == end;
}

bool Resolver::resolve(WFResolverTask *task) {
    const ParsedURI &uri = task->ns_params_.uri;
    unsigned short port;
    if (!parse_port(uri.port, &port)) {
        end(task, WFT_STATE_TASK_ERROR, WFT_ERR_URI_PORT_INVALID);
        return true;
    }
    if (!uri.host || !*uri.host) {
        end(task, WFT_STATE_DNS_ERROR, EAI_NONAME);
        return true;
    }
    DnsTable *cache = runtime_dns_cache()->table_;
    DnsKey key{uri.host, port, task->ep_params_.address_family};
    uint64_t serial = cache->serial();
    int level = task->ns_params_.retry_times > 0 ? GET_TYPE_CONFIDENT : GET_TYPE_TTL;
    const DnsCache::DnsHandle *handle = cache->get(key, level);
    if (!handle)
        return this->resolve_new(task, key, serial);
    route(task, handle->value.addrinfo);
    DnsTable::release(handle);
    return true;
}

bool Resolver::resolve_new(WFResolverTask *task, const DnsKey &key, uint64_t serial) {
    AddressList list;
    struct sockaddr_storage addr;
    socklen_t len;
    LookupTtl ttl{task->dns_ttl_default_, task->dns_ttl_min_};
    Literal literal = parse_literal(key.host.data(), key.port, &addr, &len);
    bool enough = true;
    if (literal == Literal::BAD) {
        end(task, WFT_STATE_DNS_ERROR, EAI_NONAME);
        return true;
    }
    if (literal == Literal::ADDRESS) {
        ttl = {static_cast<unsigned>(-1), static_cast<unsigned>(-1)};
        enough = list.add(reinterpret_cast<struct sockaddr *>(&addr), len);
    } else {
        enough = this->hosts()->find(key.host, key.family, key.port, &list);
        if (key.family == AF_UNSPEC)
            list.settle_loopback();
    }
    if (!enough) {
        end(task, WFT_STATE_DNS_ERROR, EAI_MEMORY);
        return true;
    }
    if (!list.empty()) {
        keep(task, key, &list, ttl);
        return true;
    }
    if (desk_.ask(key, ttl, serial, lookup_, {task, resume, task->ns_params_.session}))
        return false;
    end(task, WFT_STATE_SYS_ERROR, errno);
    return true;
}

void Resolver::keep(WFResolverTask *task, const DnsKey &key, AddressList *list,
                    const LookupTtl &ttl) {
    DnsTable *cache = runtime_dns_cache()->table_;
    const DnsCache::DnsHandle *handle = cache->put(key, list->take(), ttl.ttl_default, ttl.ttl_min);
    route(task, handle->value.addrinfo);
    DnsTable::release(handle);
}

HostsFile *Resolver::hosts() {
    std::call_once(hosts_once_, [this] { hosts_.set_path(runtime_settings()->hosts_path); });
    return &hosts_;
}

void Resolver::resume(void *client, const DeskAnswer &answer) {
    WFResolverTask *task = static_cast<WFResolverTask *>(client);
    if (answer.handle) {
        route(task, answer.handle->value.addrinfo);
        DnsTable::release(answer.handle);
    } else {
        end(task, answer.state, answer.error);
    }
    task->subtask_done();
}

void Resolver::route(WFResolverTask *task, const struct addrinfo *list) {
    const struct WFNSParams &ns = task->ns_params_;
    struct EndpointParams endpoint = task->ep_params_;
    struct addrinfo first;
    if (ns.fixed_conn)
        endpoint.max_connections = 1;
    if (ns.fixed_addr && list) {
        first = *list;
        first.ai_next = nullptr;
        list = &first;
    }
    int ret = runtime_route_manager()->get(ns.type, list, ns.info, &endpoint, ns.uri.host,
                                           ns.ssl_ctx, task->result);
    if (ret < 0)
        end(task, WFT_STATE_SYS_ERROR, errno);
    else
        end(task, WFT_STATE_SUCCESS, 0);
}

void Resolver::end(WFResolverTask *task, int state, int error) {
    task->state = state;
    task->error = error;
}

} // namespace wf::detail
