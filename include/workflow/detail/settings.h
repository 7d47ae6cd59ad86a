// Weft public header, room: kernel - the settings of the whole process, and their defaults
// SPDX-License-Identifier: Apache-2.0
//
// A header of its own, below WFGlobal.h, so that the rooms which are only told of settings need not
// know the engine. Each part of the engine reads the settings once, when it is first used. The
// strings are not copied.

#ifndef WEFT_DETAIL_SETTINGS_H
#define WEFT_DETAIL_SETTINGS_H

#include "../EndpointParams.h"

struct WFGlobalSettings {
    struct EndpointParams endpoint_params;   // of every target that brings none of its own
    struct EndpointParams dns_server_params; // of name servers; max_connections bounds queries too
    unsigned int dns_ttl_default;            // s a resolved name is used; (unsigned)-1: for ever
    unsigned int dns_ttl_min;                // s it is trusted by a task that tries again
    int dns_threads;                         // for look-ups that block
    int poller_threads;
    int handler_threads;
    int compute_threads; // negative: one for each CPU
    int fio_max_events;
    const char *resolv_conf_path; // NULL or "": names are resolved by getaddrinfo
    const char *hosts_path;       // NULL: none is read
};

static constexpr struct WFGlobalSettings GLOBAL_SETTINGS_DEFAULT = {
    /* .endpoint_params   = */ ENDPOINT_PARAMS_DEFAULT,
    /* .dns_server_params = */ ENDPOINT_PARAMS_DEFAULT,
    /* .dns_ttl_default   = */ 3600,
    /* .dns_ttl_min       = */ 60,
    /* .dns_threads       = */ 4,
    /* .poller_threads    = */ 4,
    /* .handler_threads   = */ 20,
    /* .compute_threads   = */ -1,
    /* .fio_max_events    = */ 4096,
    /* .resolv_conf_path  = */ "/etc/resolv.conf",
    /* .hosts_path        = */ "/etc/hosts",
};

#endif
