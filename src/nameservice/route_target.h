// Weft - targets by transport
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_NAMESERVICE_ROUTE_TARGET_H
#define WEFT_SRC_NAMESERVICE_ROUTE_TARGET_H

#include <string>

#include "workflow/RouteManager.h"

namespace wf::detail {

// A target for the transport, not yet initialized. `server_name` is what a TLS handshake asks for
// (SNI, RFC 6066 section 3), unless it is a literal address, which must not be asked for.
[[nodiscard]] RouteManager::RouteTarget *make_route_target(enum TransportType type,
                                                           const std::string &server_name);

} // namespace wf::detail

#endif
