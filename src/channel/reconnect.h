// Weft - when a client comes back: delays, and which errors can pass
// SPDX-License-Identifier: Apache-2.0
//
// Pure functions. The table of errors stands in docs/about-channel.md.
#ifndef WEFT_SRC_CHANNEL_RECONNECT_H
#define WEFT_SRC_CHANNEL_RECONNECT_H

#include <stdint.h>

#include "workflow/wf/tcp_client.h"

namespace wf::detail {

// Whether another attempt may come to something. State and error as tasks have them.
[[nodiscard]] bool can_pass(int state, int error);

// In ms, behind so many failures in a row (at least 1). `random`: any number.
[[nodiscard]] int reconnect_delay(const ReconnectPolicy &policy, int failures, uint64_t random);

} // namespace wf::detail

#endif
