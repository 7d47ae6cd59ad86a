// Weft - WFResolverTask and WFDnsResolver: the resolver as task and policy
// SPDX-License-Identifier: Apache-2.0
#include "workflow/WFDnsResolver.h"

#include <utility>

#include "nameservice/resolver.h"
#include "workflow/detail/runtime.h"
#include "workflow/detail/settings.h"

void WFResolverTask::dispatch() {
    if (wf::detail::runtime_dns_resolver()->resolver_->resolve(this))
        this->subtask_done();
}

SubTask *WFResolverTask::done() { return this->WFRouterTask::done(); }

WFDnsResolver::WFDnsResolver() : resolver_(new wf::detail::Resolver) {}

WFDnsResolver::~WFDnsResolver() { delete resolver_; }

WFRouterTask *WFDnsResolver::create_router_task(const struct WFNSParams *params,
                                                router_callback_t callback) {
    const struct WFGlobalSettings *settings = wf::detail::runtime_settings();
    return new WFResolverTask(params, settings->dns_ttl_default, settings->dns_ttl_min,
                              &settings->endpoint_params, std::move(callback));
}

void WFDnsResolver::set_lookup(wf::detail::Lookup *lookup) { resolver_->set_lookup(lookup); }
