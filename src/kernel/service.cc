// Weft - the plain parts of the public kernel classes: targets, services, sessions, messages
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <new>

#include "kernel/entry.h"

namespace {

struct sockaddr *copy_address(const struct sockaddr *addr, socklen_t len) {
    struct sockaddr *copy = static_cast<struct sockaddr *>(malloc(len));
    if (copy)
        memcpy(copy, addr, len);
    return copy;
}

constexpr int NEWEST = 1;

} // namespace

CommTarget::CommTarget()
    : addr(nullptr), addrlen(0), connect_timeout(-1), response_timeout(-1), ssl_connect_timeout(-1), ssl_ctx(nullptr),
      lock{0}, idle(nullptr), owner(nullptr), site(nullptr) {}

CommTarget::~CommTarget() {}

int CommTarget::init(const struct sockaddr *addr_in, socklen_t len, int connect_timeout_in, int response_timeout_in) {
    this->addr = copy_address(addr_in, len);
    if (!this->addr)
        return -1;
    this->site = job_site_create();
    if (!this->site) {
        free(this->addr);
        this->addr = nullptr;
        return -1;
    }
    this->addrlen = len;
    this->connect_timeout = connect_timeout_in;
    this->response_timeout = response_timeout_in;
    this->ssl_ctx = nullptr;
    this->ssl_connect_timeout = 0;
    return 0;
}

void CommTarget::deinit() {
    CommClientMachine::close_idle(this);
    if (this->site)
        job_site_unref(this->site);
    this->site = nullptr;
    free(this->addr);
    this->addr = nullptr;
}

int CommTarget::has_idle_conn() const {
    if (this->owner)
        return CommServerMachine::is_answerable(this->owner) ? 1 : 0;
    return __atomic_load_n(&this->idle, __ATOMIC_ACQUIRE) ? 1 : 0;
}

int CommTarget::create_connect_fd() { return socket(this->addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0); }

CommConnection *CommTarget::new_connection(int) { return new (std::nothrow) CommConnection; }

CommService::CommService()
    : bind_addr(nullptr), addrlen(0), listen_timeout(-1), response_timeout(-1), ssl_accept_timeout(-1),
      ssl_ctx(nullptr), site(nullptr), listener(nullptr), refs(0), lock{0}, conn_count(0), draining(false) {
    this->limits.first_byte_timeout = 10000;
    this->limits.head_timeout = 30000;
    this->limits.min_receive_rate = 240;
    this->limits.max_connections = 0;
    memset(this->ages, 0, sizeof this->ages);
    memset(this->close_counts, 0, sizeof this->close_counts);
}

int CommService::init(const struct sockaddr *addr_in, socklen_t len, int listen_timeout_in, int response_timeout_in) {
    this->bind_addr = copy_address(addr_in, len);
    if (!this->bind_addr)
        return -1;
    this->site = job_site_create();
    if (!this->site) {
        free(this->bind_addr);
        this->bind_addr = nullptr;
        return -1;
    }
    this->addrlen = len;
    this->listen_timeout = listen_timeout_in;
    this->response_timeout = response_timeout_in;
    this->ssl_ctx = nullptr;
    this->draining = false;
    return 0;
}

void CommService::deinit() {
    if (this->site)
        job_site_unref(this->site);
    this->site = nullptr;
    free(this->bind_addr);
    this->bind_addr = nullptr;
}

int CommService::create_listen_fd() { return socket(this->bind_addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0); }

CommConnection *CommService::new_connection(int) { return new (std::nothrow) CommConnection; }

int CommService::drain(int max) {
    size_t limit = max < 0 ? SIZE_MAX : static_cast<size_t>(max);
    return CommServerMachine::drain(this, limit, CCR_DRAINED);
}

uint64_t CommService::get_close_count(enum CommCloseReason reason) const {
    return __atomic_load_n(&this->close_counts[reason], __ATOMIC_RELAXED);
}

// The lists are linked at the newest end and read at the oldest. `listed` and the links are guarded by `lock`.
void CommService::link(CommConnEntry **ends, CommConnEntry *entry) {
    entry->next = nullptr;
    entry->prev = ends[NEWEST];
    (entry->prev ? entry->prev->next : ends[0]) = entry;
    ends[NEWEST] = entry;
    entry->listed = true;
}

void CommService::unlink(CommConnEntry *entry) {
    CommConnEntry **ends = this->ages[entry->listed_used ? 1 : 0];
    (entry->prev ? entry->prev->next : ends[0]) = entry->next;
    (entry->next ? entry->next->prev : ends[NEWEST]) = entry->prev;
    entry->listed = false;
}

void CommService::list_fresh(CommConnEntry *entry) {
    sys_lock(&this->lock);
    entry->listed_used = false;
    this->link(this->ages[0], entry);
    this->conn_count++;
    sys_unlock(&this->lock);
}

CommConnEntry *CommService::take_oldest(bool *fresh_one) {
    sys_lock(&this->lock);
    CommConnEntry *entry = this->ages[0][0] ? this->ages[0][0] : this->ages[1][0];
    if (entry) {
        *fresh_one = !entry->listed_used;
        this->unlink(entry);
        entry->ref();
    }
    sys_unlock(&this->lock);
    return entry;
}

void CommService::put_back(CommConnEntry *entry, bool was_used) {
    sys_lock(&this->lock);
    sys_lock(&entry->mutex);
    bool closed = entry->closed;
    sys_unlock(&entry->mutex);
    if (!closed) {
        entry->listed_used = was_used;
        this->link(this->ages[was_used ? 1 : 0], entry);
    }
    sys_unlock(&this->lock);
}

// The descriptor is closed: the connection counts no more.
void CommService::unlist(CommConnEntry *entry) {
    sys_lock(&this->lock);
    if (entry->listed)
        this->unlink(entry);
    this->conn_count--;
    sys_unlock(&this->lock);
}

CommSession::CommSession()
    : target(nullptr), conn(nullptr), out(nullptr), in(nullptr), seq(0), entry(nullptr), end_state(0), end_error(0),
      passive(false) {}

CommSession::~CommSession() {
    if (!this->entry)
        return;
    CommServerMachine::forsaken(this);
    this->entry->unref();
}

namespace {

// Inside append() and abandon() the calling thread moves the machine, so the state can only be one of these.
bool is_receiving(const CommConnEntry *entry) {
    return entry->state == CommConnEntry::RECEIVING || entry->state == CommConnEntry::S_RECEIVING;
}

} // namespace

int CommMessageIn::feedback(const void *buf, size_t size) {
    int n = -1;
    if (!this->entry) {
        errno = ENOTCONN;
        return -1;
    }
    this->entry->set_lock();
    if (is_receiving(this->entry))
        n = CommConnEntry::send_now(this->entry, buf, size);
    else
        errno = ENOENT;
    int error = errno;
    this->entry->unlock();
    errno = error;
    return n;
}

void CommMessageIn::renew() {
    if (!this->entry)
        return;
    this->entry->set_lock();
    this->entry->renewed = true;
    this->entry->unlock();
}

void CommMessageIn::head_begins() {
    if (!this->entry)
        return;
    this->entry->set_lock();
    this->entry->in_head = true;
    this->entry->unlock();
}

void CommMessageIn::head_complete() {
    if (!this->entry)
        return;
    this->entry->set_lock();
    this->entry->in_head = false;
    this->entry->has_head = true;
    this->entry->unlock();
}
