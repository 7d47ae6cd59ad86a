// Weft - when a client comes back: delays, and which errors can pass
// SPDX-License-Identifier: Apache-2.0
#include "channel/reconnect.h"

#include <algorithm>
#include <errno.h>
#include <netdb.h>

#include "workflow/WFTask.h"

namespace wf::detail {

bool can_pass(int state, int error) {
    if (state == WFT_STATE_DNS_ERROR) // EAI_NONAME and the like: there is no such name
        return error == EAI_AGAIN || error == EAI_MEMORY || error == EAI_SYSTEM;
    if (state != WFT_STATE_SYS_ERROR) // TLS: a certificate does not become better by asking again
        return false;
    switch (error) {
    case EACCES: // the program, or the machine, must change first
    case EPERM:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case EINVAL:
    case ENOTSOCK:
    case ENOSYS:
    case ECANCELED:
        return false;
    default: // refused, unreachable, timed out, reset, no descriptors, no ports, no memory, ...
        return true;
    }
}

int reconnect_delay(const ReconnectPolicy &policy, int failures, uint64_t random) {
    int64_t delay = std::max(policy.first_delay, 0), most = std::max(policy.max_delay, 0);
    for (int i = 1; i < failures && delay < most; i++)
        delay *= 2;
    delay = std::min(delay, most);
    double jitter = std::clamp(policy.jitter, 0.0, 1.0);
    double unit = static_cast<double>(random >> 11) / static_cast<double>(UINT64_C(1) << 53);
    double shifted = static_cast<double>(delay) * (1.0 - jitter + 2.0 * jitter * unit);
    return static_cast<int>(std::min<int64_t>(static_cast<int64_t>(shifted), most));
}

} // namespace wf::detail
