// Weft public header, room: nameservice - the default policy: a host name, a literal address or a path to its target
// SPDX-License-Identifier: Apache-2.0

#ifndef WEFT_WFDNSRESOLVER_H
#define WEFT_WFDNSRESOLVER_H

#include <functional>
#include <utility>

#include "EndpointParams.h"
#include "WFNameService.h"

namespace wf {
namespace detail {
class Lookup;
class Resolver;
} // namespace detail
} // namespace wf

// Resolves the host of params->uri, in this order: the DNS cache; literal IPv4 or IPv6 address, or
// absolute path of a unix socket; hosts file; a look-up, which all tasks that ask the same at that
// time share, without a thread waiting. The first three end on the thread that called dispatch(),
// the last on a worker.
//
// Ends with WFT_STATE_SUCCESS; WFT_STATE_DNS_ERROR and an EAI_* code; WFT_STATE_TASK_ERROR and
// WFT_ERR_URI_PORT_INVALID; WFT_STATE_SYS_ERROR and an errno; or WFT_STATE_ABORTED at exit.
class WFResolverTask : public WFRouterTask {
public:
    WFResolverTask(const struct WFNSParams *ns_params, unsigned int dns_ttl_default,
                   unsigned int dns_ttl_min, const struct EndpointParams *ep_params,
                   router_callback_t &&cb)
        : WFRouterTask(std::move(cb)), ns_params_(*ns_params), dns_ttl_default_(dns_ttl_default),
          dns_ttl_min_(dns_ttl_min), ep_params_(*ep_params) {}

    // For subclasses, which set the other fields before they call WFResolverTask::dispatch().
    WFResolverTask(const struct WFNSParams *ns_params, router_callback_t &&cb)
        : WFRouterTask(std::move(cb)), ns_params_(*ns_params), dns_ttl_default_(0), dns_ttl_min_(0),
          ep_params_(ENDPOINT_PARAMS_DEFAULT) {}

protected:
    void dispatch() override;
    SubTask *done() override;

    ~WFResolverTask() override {}

    struct WFNSParams ns_params_;
    unsigned int dns_ttl_default_; // s
    unsigned int dns_ttl_min_;
    struct EndpointParams ep_params_;

private:
    friend class wf::detail::Resolver;
};

class WFDnsResolver : public WFNSPolicy {
public:
    // Resolves with the parameters of the process's settings.
    WFRouterTask *create_router_task(const struct WFNSParams *params,
                                     router_callback_t callback) override;

    // What to ask for names that neither cache nor hosts file knows, instead of getaddrinfo() on
    // the DNS threads; NULL restores that. Borrowed. Before the first task.
    void set_lookup(wf::detail::Lookup *lookup);

    WFDnsResolver();
    ~WFDnsResolver() override;

private:
    WFDnsResolver(const WFDnsResolver &);
    WFDnsResolver &operator=(const WFDnsResolver &);

    wf::detail::Resolver *resolver_;
    friend class WFResolverTask;
};

#endif
