// Weft - CommChannel: what programs call
// SPDX-License-Identifier: Apache-2.0
#include "kernel/channel.h"

#include <errno.h>
#include <new>
#include <string.h>

#include "kernel/tls_context.h"

CommChannel::CommChannel() : core_(new (std::nothrow) CommChannelCore(this)), refs_(1) {}

CommChannel::~CommChannel() {
    CommChannelCore *core = this->core_;
    if (core && core->entry) {
        core->group->unref();
        core->entry.load()->unref(); // of one that has ended only the memory is left
    }
    delete core;
}

namespace {

// A channel that was never connected has nothing to do anything with.
bool is_bound(const CommChannelCore *core) {
    errno = ENOTCONN;
    return core && core->entry;
}

} // namespace

int CommChannel::send(const void *buf, size_t size) {
    struct iovec one = {const_cast<void *>(buf), size};
    return this->send(&one, 1);
}

int CommChannel::send(const struct iovec *vectors, int count) {
    return is_bound(this->core_) ? CommChannelMachine::send(this->core_, vectors, count) : -1;
}

int CommChannel::send(CommMessageOut *message) {
    struct iovec vectors[ENTRY_MAX_VECTORS];
    int count = message->encode(vectors, ENTRY_MAX_VECTORS);
    if (count > ENTRY_MAX_VECTORS)
        errno = EOVERFLOW;
    return count < 0 || count > ENTRY_MAX_VECTORS ? -1 : this->send(vectors, count);
}

int CommChannel::send(CommPiece *pieces) {
    if (is_bound(this->core_))
        return CommChannelMachine::send(this->core_, pieces);
    while (pieces) {
        CommPiece *piece = pieces;
        pieces = piece->next;
        piece->release(piece);
    }
    errno = ENOTCONN;
    return -1;
}

void CommChannel::shutdown() {
    if (is_bound(this->core_))
        CommChannelMachine::shutdown(this->core_);
}

void CommChannel::close() {
    if (is_bound(this->core_))
        CommChannelMachine::close(this->core_, CCR_CLOSED);
}

void CommChannel::close_after(int ms) {
    if (is_bound(this->core_))
        CommChannelMachine::close_after(this->core_, &this->core_->ends_at, ms);
}

void CommChannel::end(CommCloseReason reason) {
    if (is_bound(this->core_))
        CommChannelMachine::close(this->core_, reason);
}

void CommChannel::end_after(int ms, CommCloseReason reason) {
    if (!is_bound(this->core_))
        return;
    this->core_->limit_reason = reason;
    CommChannelMachine::close_after(this->core_, &this->core_->limit_at, ms);
}

void CommChannel::reset() {
    if (is_bound(this->core_))
        CommChannelMachine::close(this->core_, CCR_RESET);
}

void CommChannel::stop_read() {
    if (is_bound(this->core_))
        CommChannelMachine::pause(this->core_, true);
}

void CommChannel::start_read() {
    if (is_bound(this->core_))
        CommChannelMachine::pause(this->core_, false);
}

uint64_t CommChannel::get_id() const { return this->core_ ? this->core_->id.load() : 0; }

size_t CommChannel::get_queued() const { return this->core_ ? this->core_->queued.load() : 0; }

CommChannelGroup *CommChannel::get_group() const {
    return is_bound(this->core_) ? this->core_->group : nullptr;
}

bool CommChannel::may_receive() const { return !this->core_->halted; }

// By the reader alone, so no addition in one piece is needed.
void CommChannel::count_message() {
    std::atomic<uint64_t> *messages = &this->core_->messages;
    messages->store(messages->load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

CommConnection *CommChannel::get_connection() const {
    return is_bound(this->core_) ? this->core_->entry.load()->conn : nullptr;
}

int CommChannel::finish(const char *, size_t) { return 0; }

int CommChannel::append(CommMessageIn *message, const char *buf, size_t *size) {
    message->entry_ = this->core_->entry;
    return message->append(buf, size);
}

int CommChannel::finish(CommMessageIn *message) { return message->finish(); }

void CommChannel::ref() { this->refs_++; }

void CommChannel::unref() {
    if (--this->refs_ == 0)
        delete this;
}

namespace {

CommChannelState state_of(const CommConnEntry *entry) {
    switch (entry->state) {
    case CommConnEntry::C_CONNECTING:
    case CommConnEntry::C_HANDSHAKING:
    case CommConnEntry::C_UPGRADING:
        return CCS_CONNECTING;
    case CommConnEntry::C_OPEN:
        return CCS_CONNECTED;
    case CommConnEntry::C_PEER_CLOSED:
    case CommConnEntry::C_DRAINING:
    case CommConnEntry::C_HALF_CLOSED:
        return CCS_DISCONNECTING;
    default:
        return CCS_DISCONNECTED;
    }
}

} // namespace

CommChannelState CommChannel::get_state() const {
    if (!is_bound(this->core_))
        return CCS_CONNECTING;
    CommConnEntry *entry = this->core_->entry;
    entry->set_lock();
    CommChannelState state = state_of(entry);
    entry->unlock();
    return state;
}

void CommChannel::get_info(CommChannelInfo *info) const {
    memset(info, 0, sizeof *info);
    info->state = CCS_CONNECTING;
    if (!is_bound(this->core_))
        return;
    const CommChannelCore *core = this->core_;
    CommConnEntry *entry = core->entry;
    uint64_t now = sys_now();
    entry->set_lock();
    info->id = core->id;
    info->state = state_of(entry);
    info->secure = tls_is_established(&entry->link);
    info->age_ns = now - core->opened_at;
    info->idle_ns = core->last_moved && now > core->last_moved ? now - core->last_moved : 0;
    info->bytes_received = core->bytes_received;
    info->bytes_sent = core->bytes_sent;
    info->messages = core->messages;
    info->queued = core->queued;
    info->read_paused = core->read_paused;
    memcpy(&info->peer, &core->peer, core->peer_len);
    info->peer_len = core->peer_len;
    info->local_len = sizeof info->local;
    if (entry->fd < 0 ||
        sys_getsockname(entry->fd, reinterpret_cast<struct sockaddr *>(&info->local),
                        &info->local_len) < 0)
        info->local_len = 0;
    entry->unlock();
}

bool CommChannel::get_tls_info(wf::TlsInfo *info) const {
    if (!is_bound(this->core_))
        return false;
    CommConnEntry *entry = this->core_->entry;
    entry->set_lock();
    bool agreed = entry->state >= CommConnEntry::C_OPEN &&
                  entry->state != CommConnEntry::C_CLOSING && tls_is_established(&entry->link);
    if (agreed)
        wf::detail::tls_describe(&entry->link, info);
    entry->unlock();
    return agreed;
}
