// Weft - ids of channels: a table of slots, each with the number of times it was used
// SPDX-License-Identifier: Apache-2.0
//
// An id is uses (36 bits), slot (22 bits) and shard (6 bits). A slot that was used up is never used
// again, so an id stands for one channel for ever; slots that were let go wait in a queue, so it
// takes long until one is. Shards keep pollers out of each other's way. Any thread.
#include <stdlib.h>

#include "kernel/channel.h"

namespace {

constexpr unsigned SHARDS = 64;
constexpr unsigned SLOT_BITS = 22;
constexpr uint32_t MAX_SLOTS = 1u << SLOT_BITS;
constexpr uint64_t MAX_USES = (UINT64_C(1) << 36) - 1;
constexpr uint32_t NONE = UINT32_MAX;

struct Slot {
    CommChannelCore *core;
    uint64_t uses;
    uint32_t next_free;
};

struct TableShard {
    struct weft_lock lock = {0}; // guards the rest
    Slot *slots = nullptr;       // kept for the life of the process
    uint32_t count = 0;          // that were ever used
    uint32_t room = 0;
    uint32_t first_free = NONE, last_free = NONE;

    uint32_t take();
    void give_back(uint32_t slot);
};

TableShard shards[SHARDS];

// A slot whose `uses` is new; NONE without memory.
uint32_t TableShard::take() {
    uint32_t slot = first_free;
    if (slot != NONE) {
        first_free = slots[slot].next_free;
        if (first_free == NONE)
            last_free = NONE;
        slots[slot].uses++;
        return slot;
    }
    if (count == room) {
        uint32_t more = room ? room * 2 : 64;
        Slot *grown =
            room < MAX_SLOTS ? static_cast<Slot *>(realloc(slots, more * sizeof(Slot))) : nullptr;
        if (!grown)
            return NONE;
        slots = grown;
        room = more;
    }
    slots[count] = {nullptr, 1, NONE};
    return count++;
}

void TableShard::give_back(uint32_t slot) {
    slots[slot].core = nullptr;
    if (slots[slot].uses == MAX_USES)
        return;
    slots[slot].next_free = NONE;
    if (last_free == NONE)
        first_free = slot;
    else
        slots[last_free].next_free = slot;
    last_free = slot;
}

struct Place {
    TableShard *shard;
    uint32_t slot;
    uint64_t uses;

    explicit Place(uint64_t id)
        : shard(&shards[id % SHARDS]), slot(static_cast<uint32_t>(id / SHARDS % MAX_SLOTS)),
          uses(id / SHARDS / MAX_SLOTS) {}
    // Under the lock.
    bool is_taken() const {
        return slot < shard->count && shard->slots[slot].core && shard->slots[slot].uses == uses;
    }
};

} // namespace

uint64_t channel_table_add(CommChannelCore *core, unsigned shard) {
    TableShard *self = &shards[shard % SHARDS];
    uint64_t id = 0;
    sys_lock(&self->lock);
    uint32_t slot = self->take();
    if (slot != NONE) {
        self->slots[slot].core = core;
        id = (self->slots[slot].uses * MAX_SLOTS + slot) * SHARDS + shard % SHARDS;
    }
    sys_unlock(&self->lock);
    return id;
}

void channel_table_remove(uint64_t id) {
    Place place(id);
    sys_lock(&place.shard->lock);
    if (place.is_taken())
        place.shard->give_back(place.slot);
    sys_unlock(&place.shard->lock);
}

#ifdef WEFT_SIM
void channel_table_clear() {
    for (TableShard &shard : shards) {
        free(shard.slots);
        shard = TableShard();
    }
}
#endif

CommChannel *CommChannel::find(uint64_t id) {
    Place place(id);
    CommChannel *channel = nullptr;
    sys_lock(&place.shard->lock);
    if (place.is_taken()) { // so the engine's own reference is still there
        channel = place.shard->slots[place.slot].core->channel;
        channel->ref();
    }
    sys_unlock(&place.shard->lock);
    return channel;
}
