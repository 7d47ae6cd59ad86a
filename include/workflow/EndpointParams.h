// Weft public header, room: kernel - how to reach an endpoint: transport, limits, timeouts
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_ENDPOINTPARAMS_H
#define WEFT_ENDPOINTPARAMS_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

enum TransportType { TT_TCP = 0, TT_UDP = 1, TT_SCTP = 2, TT_TCP_SSL = 3, TT_SCTP_SSL = 4 };

struct EndpointParams {
    int address_family;      // AF_UNSPEC, AF_INET or AF_INET6: which addresses of a name to use
    size_t max_connections;  // to one address; 0 is invalid
    int connect_timeout;     // ms, -1 none; likewise below
    int response_timeout;    // for each block received or sent
    int ssl_connect_timeout; // for the TLS handshake
    bool use_tls_sni;
};

static constexpr struct EndpointParams ENDPOINT_PARAMS_DEFAULT = {
    /* .address_family      = */ AF_UNSPEC,
    /* .max_connections     = */ 200,
    /* .connect_timeout     = */ 10 * 1000,
    /* .response_timeout    = */ 10 * 1000,
    /* .ssl_connect_timeout = */ 10 * 1000,
    /* .use_tls_sni         = */ false,
};

#endif
