// Weft - the resolver: from the host and port of a task to its target
// SPDX-License-Identifier: Apache-2.0
//
// One for each WFDnsResolver; the process has one. Any thread.
#ifndef WEFT_SRC_NAMESERVICE_RESOLVER_H
#define WEFT_SRC_NAMESERVICE_RESOLVER_H

#include <mutex>

#include "nameservice/hosts_file.h"
#include "nameservice/lookup_desk.h"
#include "nameservice/lookup_getaddrinfo.h"

class WFResolverTask;

namespace wf::detail {

class Resolver {
public:
    // True when the task has its state and may end. False: it is parked, will end by itself, and
    // may be gone already.
    [[nodiscard]] bool resolve(WFResolverTask *task);

    // NULL: getaddrinfo(). Before the first task.
    void set_lookup(Lookup *lookup) { lookup_ = lookup ? lookup : &system_; }

private:
    bool resolve_new(WFResolverTask *task, const DnsKey &key, uint64_t serial);
    HostsFile *hosts();
    static void keep(WFResolverTask *task, const DnsKey &key, AddressList *list,
                     const LookupTtl &ttl);
    static void resume(void *client, const DeskAnswer &answer);
    static void route(WFResolverTask *task, const struct addrinfo *list);
    static void end(WFResolverTask *task, int state, int error);

    GetaddrinfoLookup system_;
    Lookup *lookup_ = &system_;
    std::once_flag hosts_once_;
    HostsFile hosts_;
    LookupDesk desk_;
};

// The port of a URI: digits of any number, or none for port 0. False when it is no port.
[[nodiscard]] bool parse_port(const char *text, unsigned short *port);

} // namespace wf::detail

#endif
