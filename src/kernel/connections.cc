// Weft - a look at the connections of a service
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/connections.h"

#include <algorithm>
#include <string.h>

#include "kernel/entry.h"

namespace {

int64_t ms_since(uint64_t when, uint64_t now) {
    return now > when ? static_cast<int64_t>((now - when) / 1000000) : 0;
}

// Needs the entry's lock.
int64_t get_since(const CommConnEntry *entry, uint64_t now) {
    switch (entry->state) {
    case CommConnEntry::S_AWAITING:
    case CommConnEntry::S_RECEIVING:
        return ms_since(entry->began, now);
    case CommConnEntry::S_SERVING:
    case CommConnEntry::S_REPLYING:
        return ms_since(entry->received, now);
    default:
        return -1;
    }
}

void describe(CommConnEntry *entry, uint64_t now, wf::ConnectionInfo *info) {
    const struct sockaddr *peer;
    entry->set_lock();
    entry->target->get_addr(&peer, &info->peer_length);
    info->peer = {};
    info->peer_length = std::min(info->peer_length, socklen_t{sizeof info->peer});
    memcpy(&info->peer, peer, info->peer_length);
    info->state = CommConnEntry::state_name(static_cast<CommConnEntry::State>(entry->state));
    info->age = static_cast<uint32_t>(now / 1000000u) - entry->accepted_ms;
    info->since = get_since(entry, now);
    info->requests = entry->seq;
    info->tls = entry->link.tls != nullptr;
    sys_unlock(&entry->mutex); // nothing was asked for, so there is no order to give
}

} // namespace

size_t CommService::get_connections(struct wf::ConnectionInfo *infos, size_t max) const {
    constexpr int NEWEST = 1;
    size_t count = 0;
    uint64_t now = sys_now();
    sys_lock(&this->lock_);
    for (int used = 1; used >= 0; used--) {
        for (CommConnEntry *entry = this->ages_[used][NEWEST]; entry && count < max;
             entry = entry->prev)
            describe(entry, now, &infos[count++]);
    }
    sys_unlock(&this->lock_);
    return count;
}
