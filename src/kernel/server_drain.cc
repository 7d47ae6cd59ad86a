// Weft - the server machine: idle connections, and how they make room
// SPDX-License-Identifier: Apache-2.0
#include "kernel/channel.h"

namespace {

// No request is under way, and none has begun.
bool is_idle(const CommConnEntry *entry) {
    return entry->state == CommConnEntry::S_AWAITING ||
           entry->state == CommConnEntry::S_HANDSHAKING ||
           entry->state == CommConnEntry::S_FILTERING || CommChannelMachine::is_idle(entry);
}

} // namespace

bool CommServerMachine::close_idle(CommConnEntry *entry, CommCloseReason reason) {
    if (CommChannelMachine::is_channel(entry))
        return CommChannelMachine::drain(entry, reason);
    if (!is_idle(entry) || entry->busy || entry->input_size() > 0)
        return false;
    if (entry->state != CommConnEntry::S_AWAITING)
        return drain_one(entry, reason);
    // Read once more: a request whose first byte is here counts as accepted.
    char buf[4096];
    size_t size = sizeof buf;
    if (entry->receive(buf, &size) == IoResult::DONE) {
        entry->readable = true;
        keep_input(entry, buf, size);
        entry->want_job();
        return false;
    }
    return drain_one(entry, reason);
}

// Closes it; but where another process goes on with the same listener, a newcomer must not notice:
// its request may be on the way.
bool CommServerMachine::drain_one(CommConnEntry *entry, CommCloseReason reason) {
    if (CommChannelMachine::is_channel(entry))
        return CommChannelMachine::drain(entry, reason);
    if (reason == CCR_DRAINED && entry->service->handed_over_ && entry->seq == 0) {
        entry->set_deadline(entry_min(entry->deadline, entry_after(sys_now(), DRAIN_GRACE_MS)));
        return false;
    }
    close(entry, reason);
    return true;
}

bool CommServerMachine::make_room(CommService *service) {
    return drain(service, 1, CCR_MADE_ROOM) > 0;
}

// Lists are in order of the time since which a connection is idle, as it was known when it was put
// there. One that was used since is found out of place and put where it belongs now, so serving a
// request costs no list operation.
int CommServerMachine::drain(CommService *service, size_t max, CommCloseReason reason) {
    int closed = 0;
    for (size_t looked = 2 * service->conn_count_; looked > 0 && static_cast<size_t>(closed) < max;
         looked--) {
        CommConnEntry *entry = service->take_oldest();
        if (!entry)
            break;
        entry->set_lock();
        bool idle = is_idle(entry);
        bool in_place = idle && entry->listed_at == entry->began;
        bool done = (in_place || max == SIZE_MAX) && close_idle(entry, reason);
        uint64_t since = idle && !in_place ? entry->began : sys_now();
        entry->unlock();
        if (done)
            closed++;
        else
            service->put_back(entry, since);
        entry->unref_on_worker();
    }
    // Whoever drains the service for good may have looked while we had one in hand.
    if (service->draining_ && max != SIZE_MAX)
        closed += drain(service, SIZE_MAX, CCR_DRAINED);
    return closed;
}
