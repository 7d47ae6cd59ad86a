// Weft - sessions and incoming messages: what the kernel knows of them beside their connection
// SPDX-License-Identifier: Apache-2.0
#include "kernel/session.h"

#include <errno.h>
#include <new>

#include "kernel/channel.h"
#include "kernel/comm_waiter.h"
#include "kernel/tls_context.h"

using wf::CancelHandle;
using wf::detail::CancelBlock;
using wf::detail::SessionWait;

CommSession::CommSession()
    : target_(nullptr), conn_(nullptr), out_(nullptr), in_(nullptr), seq_(0), entry_(nullptr),
      end_state_(0), end_error_(0), deadline_(ENTRY_NEVER), lock_{0}, canceled_(0), ended_(false),
      passive_(false), in_hand_(false), handed_over_(false), phase_(CSP_IDLE), whole_at_(0),
      wait_(nullptr), cancel_block_(nullptr), successor_(nullptr), successor_group_(nullptr) {}

CommSession::~CommSession() {
    if (this->cancel_block_) {
        sys_lock(&this->cancel_block_->lock);
        this->cancel_block_->session = nullptr;
        sys_unlock(&this->cancel_block_->lock);
        this->cancel_block_->unref();
    }
    if (!this->entry_)
        return;
    if (this->in_hand_)
        this->entry_->service->requests_--;
    CommServerMachine::forsaken(this);
    if (this->handed_over_)
        CommChannelMachine::session_gone(this->entry_);
    if (this->successor_) // it comes to nothing
        this->successor_->unref();
    this->entry_->unref();
}

int CommSession::hand_over(CommChannel *channel, CommChannelGroup *group) {
    CommConnEntry *entry = this->passive_ ? this->entry_ : nullptr;
    errno = entry && this->successor_ ? EALREADY : ENOENT;
    if (!entry || this->successor_)
        return -1;
    entry->set_lock();
    bool serving = entry->state == CommConnEntry::S_SERVING && entry->session == this &&
                   !entry->link.ops->one_exchange;
    entry->unlock();
    if (!serving)
        return -1;
    this->successor_ = channel;
    this->successor_group_ = group;
    return 0;
}

void CommSession::set_deadline(int ms) { this->deadline_ = entry_after(sys_now(), ms); }

int CommSession::set_ended(bool ended) {
    if (!this->cancel_block_)
        return 0;
    sys_lock(&this->lock_);
    this->ended_ = ended;
    int canceled = this->canceled_;
    sys_unlock(&this->lock_);
    return canceled;
}

int CommSession::give_up_reason() const {
    if (int canceled = __atomic_load_n(&this->canceled_, __ATOMIC_RELAXED))
        return canceled;
    return this->has_deadline() && this->deadline_ <= sys_now() ? ETIMEDOUT : 0;
}

int64_t CommSession::get_time_left() const {
    if (!this->has_deadline())
        return -1;
    uint64_t now = sys_now();
    return this->deadline_ > now ? static_cast<int64_t>(this->deadline_ - now) : 0;
}

bool CommSession::begin_wait(SessionWait *wait, enum CommPhase phase) {
    sys_lock(&this->lock_);
    bool canceled = this->canceled_ != 0;
    if (!canceled)
        this->wait_ = wait;
    this->phase_ = static_cast<uint8_t>(phase);
    sys_unlock(&this->lock_);
    if (wf::detail::is_traced()) [[unlikely]]
        this->trace_phase(phase);
    return !canceled;
}

void CommSession::trace_phase(enum CommPhase phase) const {
    static const char *const names[] = {"idle",        "resolving", "waiting",   "connecting",
                                        "handshaking", "sending",   "receiving", "complete"};
    if (const SubTask *task = this->get_task())
        wf::detail::trace_task(wf::TraceKind::TASK_PHASE, task, names[phase]);
}

void CommSession::end_wait() {
    sys_lock(&this->lock_);
    this->wait_ = nullptr;
    sys_unlock(&this->lock_);
}

bool CommSession::is_draining() const {
    CommConnEntry *entry = this->passive_ ? this->entry_ : nullptr;
    if (!entry || !entry->service->draining_)
        return false;
    entry->set_lock();
    bool last = entry->input_size() == 0;
    entry->unlock();
    return last;
}

int CommSession::watch_peer(std::function<void()> gone) {
    CommConnEntry *entry = this->passive_ ? this->entry_ : nullptr;
    auto *watch = entry ? new (std::nothrow) wf::detail::PeerWatch{std::move(gone)} : nullptr;
    if (!watch) {
        errno = entry ? ENOMEM : ENOENT;
        return -1;
    }
    entry->set_lock();
    bool serving = entry->state == CommConnEntry::S_SERVING && entry->session == this;
    if (serving) {
        std::swap(watch, entry->watch);
        entry->want_job(); // it may have gone already
    }
    entry->unlock();
    delete watch;
    if (!serving)
        errno = ENOENT;
    return serving ? 0 : -1;
}

CancelHandle CommSession::get_cancel_handle() {
    if (!this->cancel_block_)
        this->cancel_block_ = new CancelBlock(this);
    a32_add(&this->cancel_block_->refs, 1);
    return CancelHandle(this->cancel_block_);
}

namespace wf {

CancelHandle::CancelHandle(const CancelHandle &other) : block_(other.block_) {
    if (block_)
        a32_add(&block_->refs, 1);
}

CancelHandle::~CancelHandle() {
    if (block_)
        block_->unref();
}

int cancel(const CancelHandle &handle) { return detail::cancel_session(handle, ECANCELED); }

namespace detail {

bool session_is_there(const CancelHandle &handle) {
    CancelBlock *block = handle.block_;
    sys_lock(&block->lock);
    bool there = block->session;
    sys_unlock(&block->lock);
    return there;
}

int cancel_session(const CancelHandle &handle, int error) {
    CancelBlock *block = handle.block_;
    CommConnEntry *held = nullptr;
    int ret = -1;
    if (block) {
        sys_lock(&block->lock);
        if (block->session)
            ret = CommClientMachine::cancel(block->session, error, &held);
        sys_unlock(&block->lock);
    }
    if (held)
        held->unref_on_worker();
    if (ret < 0)
        errno = ENOENT;
    return ret;
}

} // namespace detail

} // namespace wf

const void *CommSession::begin_callback() const {
    const void *before = *sys_serving();
    *sys_serving() = this->entry_ ? this->entry_->service : nullptr;
    return before;
}

// A connection that goes on may come to an error of its own at any time; one that is being closed
// says nothing new.
const char *CommSession::get_tls_error() const {
    CommConnEntry *entry = this->entry_;
    if (!entry)
        return "";
    entry->set_lock();
    bool closing =
        entry->state == CommConnEntry::CLOSING || entry->state == CommConnEntry::S_CLOSING;
    const char *text = closing ? tls_error_text(&entry->link) : "";
    entry->unlock();
    return text;
}

bool CommSession::get_tls_info(wf::TlsInfo *info) const {
    CommConnEntry *entry = this->entry_;
    if (!entry)
        return false;
    entry->set_lock();
    bool agreed = entry->state != CommConnEntry::HANDSHAKING && tls_is_established(&entry->link);
    if (agreed)
        wf::detail::tls_describe(&entry->link, info);
    entry->unlock();
    return agreed;
}

void CommSession::end_callback(const void *before) { *sys_serving() = before; }

namespace {

// Inside append() and abandon() the calling thread moves the machine, so the state can only be one
// of these: for a message that is whole, and given up all the same, one of the last two.
bool is_receiving(const CommConnEntry *entry) {
    return entry->state == CommConnEntry::RECEIVING || entry->state == CommConnEntry::S_RECEIVING ||
           (entry->busy && (entry->state == CommConnEntry::S_AUTHENTICATING ||
                            entry->state == CommConnEntry::S_SERVING));
}

} // namespace

int CommMessageIn::feedback(const void *buf, size_t size) {
    int n = -1;
    if (!this->entry_) {
        errno = ENOTCONN;
        return -1;
    }
    this->entry_->set_lock();
    if (is_receiving(this->entry_)) {
        n = CommConnEntry::send_now(this->entry_, buf, size);
    } else if (CommChannelMachine::is_channel(this->entry_) && this->entry_->channel) {
        CommChannelCore *core = this->entry_->channel; // which is inside receive(), and so stays
        this->entry_->unlock();
        struct iovec one = {const_cast<void *>(buf), size};
        return CommChannelMachine::send(core, &one, 1) < 0 ? -1 : static_cast<int>(size);
    } else {
        errno = ENOENT;
    }
    int error = errno;
    this->entry_->unlock();
    errno = error;
    return n;
}

void CommMessageIn::renew() {
    if (!this->entry_)
        return;
    this->entry_->set_lock();
    this->entry_->renewed = true;
    this->entry_->unlock();
}

void CommMessageIn::head_begins() {
    if (!this->entry_)
        return;
    this->entry_->set_lock();
    this->entry_->in_head = true;
    this->entry_->unlock();
}

void CommMessageIn::head_complete() {
    if (!this->entry_)
        return;
    this->entry_->set_lock();
    this->entry_->in_head = false;
    this->entry_->has_head = true;
    this->entry_->unlock();
}
