// Weft - functions of the channel machine that the linker leads through here, for planted faults
// SPDX-License-Identifier: Apache-2.0
//
// See edges.cc. Compiled without access control.
#include <map>

#include "channels.h"
#include "kernel/channel.h"

using sim::world;

#define PAUSE        _ZN18CommChannelMachine5pauseEP15CommChannelCoreb
#define SEND         _ZN18CommChannelMachine4sendEP15CommChannelCoreP9CommPiece
#define SESSION_GONE _ZN18CommChannelMachine12session_goneEP13CommConnEntry
#define TAKE_OUT     _Z20channel_table_removem
#define LEAVE        _ZN17CommServerMachine17leave_for_channelEP13CommConnEntry
#define PASTE(a, b)  a##b
#define NAME(a, b)   PASTE(a, b)
#define REAL(name)   NAME(__real_, name)
#define WRAP(name)   NAME(__wrap_, name)

namespace {

std::map<CommChannelCore *, CommPiece *> kept_back;
CommChannel *last_closed;

// Its next share overtakes this one.
bool keeps_back(CommChannelCore *core, CommPiece *piece) {
    if (!world->planted(sim::SWAP_BROADCASTS) || sim::is_own(piece) || kept_back.count(core) ||
        !world->rng.percent(20))
        return false;
    core->channel->ref();
    kept_back[core] = piece;
    return true;
}

} // namespace

extern "C" {

void REAL(PAUSE)(CommChannelCore *core, bool paused);
void WRAP(PAUSE)(CommChannelCore *core, bool paused);
int REAL(SEND)(CommChannelCore *core, CommPiece *pieces);
int WRAP(SEND)(CommChannelCore *core, CommPiece *pieces);
void REAL(SESSION_GONE)(CommConnEntry *entry);
void WRAP(SESSION_GONE)(CommConnEntry *entry);
void REAL(TAKE_OUT)(uint64_t id);
void WRAP(TAKE_OUT)(uint64_t id);
void REAL(LEAVE)(CommConnEntry *entry);
void WRAP(LEAVE)(CommConnEntry *entry);

void WRAP(PAUSE)(CommChannelCore *core, bool paused) {
    if (paused || !world->planted(sim::KEEP_SLEEPING)) {
        REAL(PAUSE)(core, paused);
        return;
    }
    // Planted: reading goes on, but nobody is told so.
    CommConnEntry *entry = core->entry;
    entry->set_lock();
    core->read_paused = false;
    core->halted = entry->state == CommConnEntry::C_CLOSING;
    entry->unlock();
}

int WRAP(SEND)(CommChannelCore *core, CommPiece *pieces) {
    world->trace("pieces for channel %u: %zu bytes%s", static_cast<sim::Chat *>(core->channel)->key,
                 pieces ? pieces->size : 0, sim::is_own(pieces) ? "" : ", shared");
    // Planted: now and then a piece is let go before it is sent, too.
    if (world->planted(sim::RELEASE_TWICE) && pieces && world->rng.percent(5))
        pieces->release(pieces);
    // Planted: now and then the rest of a chain is forgotten.
    if (world->planted(sim::LOSE_PIECE) && pieces && pieces->next && world->rng.percent(20))
        pieces->next = nullptr;
    if (keeps_back(core, pieces))
        return 0;
    int result = REAL(SEND)(core, pieces);
    auto found = kept_back.find(core);
    if (found != kept_back.end() && !sim::is_own(pieces)) {
        CommPiece *late = found->second;
        kept_back.erase(found);
        REAL(SEND)(core, late);
        core->channel->unref();
    }
    return result;
}

void WRAP(SESSION_GONE)(CommConnEntry *entry) {
    // Planted: now and then nobody learns that the session is gone.
    if (!world->planted(sim::LOSE_HANDOVER) || !world->rng.percent(20))
        REAL(SESSION_GONE)(entry);
}

void WRAP(TAKE_OUT)(uint64_t id) {
    if (world->planted(sim::TELL_LATE) && !last_closed && world->rng.percent(20))
        last_closed = CommChannel::find(id);
    if (last_closed && !last_closed->core_->entry.load()->service) { // a client's
        last_closed->unref();
        last_closed = nullptr;
    }
    REAL(TAKE_OUT)(id);
}

void WRAP(LEAVE)(CommConnEntry *entry) {
    // Planted: one more event behind the last.
    if (CommChannel *channel = last_closed) {
        last_closed = nullptr;
        channel->handle({CCE_WRITTEN, CCR_COUNT, 0});
        channel->unref();
    }
    REAL(LEAVE)(entry);
}

} // extern "C"
