// Weft - targets by transport
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_NAMESERVICE_ROUTE_TARGET_H
#define WEFT_SRC_NAMESERVICE_ROUTE_TARGET_H

#include <string>

#include "workflow/RouteManager.h"

namespace wf::detail {

// A target for the transport, not yet initialized. `host` is what a TLS handshake asks for and
// verifies (kernel/tls_context.h).
[[nodiscard]] RouteManager::RouteTarget *make_route_target(enum TransportType type,
                                                           const std::string &host);

} // namespace wf::detail

#endif
