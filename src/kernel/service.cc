// Weft - the plain parts of the public kernel classes: targets, services, sessions, messages
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <new>
#include <stdlib.h>
#include <string.h>

#include "kernel/entry.h"
#include "kernel/listener.h"

namespace {

struct sockaddr *copy_address(const struct sockaddr *addr, socklen_t len) {
    struct sockaddr *copy = static_cast<struct sockaddr *>(malloc(len));
    if (copy)
        memcpy(copy, addr, len);
    return copy;
}

constexpr int NEWEST = 1;

// A reference of a listener, if there is one.
class HeldListener {
public:
    explicit HeldListener(CommListener *listener) : listener_(listener) {}
    ~HeldListener() {
        int error = errno;
        if (listener_)
            listener_->unref();
        errno = error;
    }
    HeldListener(const HeldListener &) = delete;
    HeldListener &operator=(const HeldListener &) = delete;
    explicit operator bool() const { return listener_ != nullptr; }
    CommListener *operator->() const { return listener_; }

private:
    CommListener *listener_;
};

} // namespace

CommTarget::CommTarget() : addr_(nullptr), addrlen_(0), pool_(nullptr), owner_(nullptr) {}

CommTarget::~CommTarget() {}

int CommTarget::init(const struct sockaddr *addr_in, socklen_t len, int connect_timeout_in,
                     int response_timeout_in) {
    struct CommTargetPool *pool = new (std::nothrow) CommTargetPool;
    this->addr_ = copy_address(addr_in, len);
    if (pool)
        pool->site = job_site_create();
    if (!this->addr_ || !pool || !pool->site) {
        free(this->addr_);
        this->addr_ = nullptr;
        if (pool && pool->site)
            job_site_unref(pool->site);
        delete pool;
        errno = ENOMEM;
        return -1;
    }
    this->addrlen_ = len;
    pool->connect_timeout = connect_timeout_in;
    pool->response_timeout = response_timeout_in;
    this->pool_ = pool;
    return 0;
}

void CommTarget::deinit() {
    if (this->pool_) {
        CommClientMachine::close_idle(this);
        job_site_unref(this->pool_->site);
        tls_drop_sessions(&this->pool_->sessions);
        delete this->pool_;
        this->pool_ = nullptr;
    }
    free(this->addr_);
    this->addr_ = nullptr;
}

void CommTarget::set_ssl(SSL_CTX *ssl_ctx_in, int ssl_connect_timeout_in) {
    if (!this->pool_)
        return;
    this->pool_->ssl_ctx = ssl_ctx_in;
    this->pool_->ssl_connect_timeout = ssl_connect_timeout_in;
}

void CommTarget::set_socket_options(const struct CommSocketOptions *options) {
    if (this->pool_)
        this->pool_->sockets = *options;
}

SSL_CTX *CommTarget::get_ssl_ctx() const { return this->pool_ ? this->pool_->ssl_ctx : nullptr; }

int CommTarget::has_idle_conn() const {
    if (this->owner_)
        return CommServerMachine::is_answerable(this->owner_) ? 1 : 0;
    return this->pool_ && __atomic_load_n(&this->pool_->idle, __ATOMIC_ACQUIRE) ? 1 : 0;
}

int CommTarget::create_connect_fd() {
    return socket(this->addr_->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

CommConnection *CommTarget::new_connection(int) { return new (std::nothrow) CommConnection; }

CommService::CommService()
    : bind_addr_(nullptr), addrlen_(0), listen_timeout_(-1), response_timeout_(-1),
      ssl_accept_timeout_(-1), ssl_ctx_(nullptr), channels_(nullptr), site_(nullptr),
      listener_(nullptr), refs_(0), lock_{0}, conn_count_(0), max_requests_(0), requests_(0),
      handed_over_(false), draining_(false), dropped_(0), listening_now_(0) {
    this->limits_.first_byte_timeout = 10000;
    this->limits_.head_timeout = 30000;
    this->limits_.min_receive_rate = 240;
    this->limits_.max_connections = 0;
    this->limits_.first_message_timeout = 60000;
    this->limits_.authentication_timeout = 10000;
    this->limits_.backlog_limit = 64 * 1024;
    this->limits_.min_send_rate = 4096;
    memset(this->ages_, 0, sizeof this->ages_);
    memset(this->close_counts_, 0, sizeof this->close_counts_);
}

int CommService::init(const struct sockaddr *addr_in, socklen_t len, int listen_timeout_in,
                      int response_timeout_in) {
    this->bind_addr_ = copy_address(addr_in, len);
    if (!this->bind_addr_)
        return -1;
    this->site_ = job_site_create();
    if (!this->site_) {
        free(this->bind_addr_);
        this->bind_addr_ = nullptr;
        return -1;
    }
    this->addrlen_ = len;
    this->listen_timeout_ = listen_timeout_in;
    this->response_timeout_ = response_timeout_in;
    this->ssl_ctx_ = nullptr;
    this->draining_ = false;
    return 0;
}

void CommService::deinit() {
    if (this->site_)
        job_site_unref(this->site_);
    this->site_ = nullptr;
    free(this->bind_addr_);
    this->bind_addr_ = nullptr;
}

int CommService::create_listen_fd() {
    return socket(this->bind_addr_->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

CommConnection *CommService::new_connection(int) { return new (std::nothrow) CommConnection; }

int CommService::drain(int max) {
    size_t limit = max < 0 ? SIZE_MAX : static_cast<size_t>(max);
    return CommServerMachine::drain(this, limit, CCR_DRAINED);
}

CommListener *CommService::ref_listener() const {
    sys_lock(&this->lock_);
    CommListener *listener = this->listener_;
    if (listener)
        pollable_ref(listener);
    sys_unlock(&this->lock_);
    return listener;
}

void CommService::pause_accepting() {
    HeldListener listener(this->ref_listener());
    if (listener)
        listener->hold_all(true);
}

void CommService::resume_accepting() {
    HeldListener listener(this->ref_listener());
    if (listener)
        listener->hold_all(false);
}

void CommService::share_listening() {
    HeldListener listener(this->ref_listener());
    if (listener) {
        this->handed_over_ = true;
        listener->share_all();
    }
}

bool CommService::is_shared() const {
    HeldListener listener(this->ref_listener());
    return listener && listener->is_shared();
}

int CommService::dup_listen_fd() const {
    HeldListener listener(this->ref_listener());
    errno = ENOTCONN;
    return listener ? sys_dup(listener->fd) : -1;
}

int CommService::send_datagram(const void *buf, size_t size, const struct sockaddr *to,
                               socklen_t len) {
    HeldListener listener(this->ref_listener());
    errno = ENOTCONN;
    if (!listener)
        return -1;
    struct iovec one = {const_cast<void *>(buf), size};
    return listener->send_to(&one, 1, to, len) < 0 ? -1 : 0;
}

bool CommService::is_serving_here() const { return *sys_serving() == this; }

uint64_t CommService::get_dropped_count() const {
    return __atomic_load_n(&this->dropped_, __ATOMIC_RELAXED);
}

uint64_t CommService::get_close_count(enum CommCloseReason reason) const {
    return __atomic_load_n(&this->close_counts_[reason], __ATOMIC_RELAXED);
}

// The lists are linked at the newest end and read at the oldest. `listed` and the links are guarded
// by `lock`.
void CommService::link(CommConnEntry **ends, CommConnEntry *entry) {
    CommConnEntry *older = ends[NEWEST];
    while (older && older->listed_at > entry->listed_at)
        older = older->prev;
    entry->prev = older;
    entry->next = older ? older->next : ends[0];
    (older ? older->next : ends[0]) = entry;
    (entry->next ? entry->next->prev : ends[NEWEST]) = entry;
    entry->listed = true;
}

void CommService::unlink(CommConnEntry *entry) {
    CommConnEntry **ends = this->ages_[entry->listed_used ? 1 : 0];
    (entry->prev ? entry->prev->next : ends[0]) = entry->next;
    (entry->next ? entry->next->prev : ends[NEWEST]) = entry->prev;
    entry->listed = false;
}

void CommService::list_fresh(CommConnEntry *entry) {
    sys_lock(&this->lock_);
    entry->listed_used = false;
    entry->listed_at = sys_now();
    this->link(this->ages_[0], entry);
    this->conn_count_++;
    sys_unlock(&this->lock_);
}

CommConnEntry *CommService::take_oldest() {
    sys_lock(&this->lock_);
    CommConnEntry *entry = this->ages_[0][0] ? this->ages_[0][0] : this->ages_[1][0];
    if (entry) {
        this->unlink(entry);
        entry->ref();
    }
    sys_unlock(&this->lock_);
    return entry;
}

// Among those that have made a request, by the time since which it is idle.
void CommService::put_back(CommConnEntry *entry, uint64_t idle_since) {
    sys_lock(&this->lock_);
    sys_lock(&entry->mutex);
    bool closed = entry->closed;
    if (!closed)
        entry->listed_at = idle_since;
    sys_unlock(&entry->mutex);
    if (!closed) {
        entry->listed_used = true;
        this->link(this->ages_[1], entry);
    }
    sys_unlock(&this->lock_);
}

// The descriptor is closed: the connection counts no more.
void CommService::unlist(CommConnEntry *entry) {
    sys_lock(&this->lock_);
    if (entry->listed)
        this->unlink(entry);
    this->conn_count_--;
    sys_unlock(&this->lock_);
}
