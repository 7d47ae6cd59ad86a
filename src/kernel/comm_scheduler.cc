// Weft - targets with a limit on their connections, groups of them, and the scheduler
// SPDX-License-Identifier: Apache-2.0
//
// A target's load is counted under its own lock, or, while it is a member of a group, under the
// group's, so that the group can compare its members. The group's lock goes before a target's own.
// A released slot goes to the first waiter of the target, then of the group; threads that block are
// woken and look for themselves.
#include "workflow/CommScheduler.h"

#include <algorithm>
#include <errno.h>
#include <limits.h>
#include <new>
#include <stdlib.h>
#include <string.h>

#include "kernel/comm_waiter.h"
#include "kernel/sys.h"
#include "kernel/worker.h"

namespace {

// Loads and limits change under a lock, and may be read without.
void increase(size_t *value, size_t n) { __atomic_store_n(value, *value + n, __ATOMIC_RELAXED); }
void decrease(size_t *value, size_t n) { __atomic_store_n(value, *value - n, __ATOMIC_RELAXED); }

// Blocks the calling thread until *word differs from `seen`, at most until `until` (ns). False when
// time is up.
bool wait_word(uint32_t *word, uint32_t seen, uint64_t until) {
    uint64_t now = sys_now();
    if (until != SYS_FOREVER && now >= until)
        return false;
    int cookie = worker_wait_begin();
    sys_futex_wait(word, seen, until == SYS_FOREVER ? SYS_FOREVER : until - now);
    worker_wait_end(cookie);
    return true;
}

void wake_one(uint32_t *word, uint32_t blocked) {
    a32_add(word, 1);
    if (blocked > 0)
        sys_futex_wake(word, 1);
}

// The wait timeout, cut by the session's deadline.
uint64_t wait_until(int timeout, const CommSession *session) {
    int64_t left = session ? session->get_time_left() : -1;
    int64_t ns = timeout < 0 ? -1 : static_cast<int64_t>(timeout) * 1000000;
    if (ns < 0 || (left >= 0 && left < ns))
        ns = left;
    return ns < 0 ? SYS_FOREVER : sys_now() + static_cast<uint64_t>(ns);
}

// A thread that blocks for a session: all who block there look again.
class BlockedWait final : public wf::detail::SessionWait {
public:
    explicit BlockedWait(uint32_t *word) : word_(word) {}

    // False when the time is up, or the session was canceled.
    bool wait(CommSession *session, uint32_t seen, uint64_t until) {
        if (!session)
            return wait_word(word_, seen, until);
        if (!session->begin_wait(this, CSP_WAITING))
            return false;
        bool in_time = wait_word(word_, seen, until);
        session->end_wait();
        return in_time;
    }

private:
    void interrupt() override {
        a32_add(word_, 1);
        sys_futex_wake(word_, INT_MAX);
    }

    uint32_t *word_;
};

// Tries `take` under the lock until it gives a target or the time is up: EAGAIN, or ETIMEDOUT after
// a wait. `lock` takes the lock and says which: a target's changes when it joins a group.
template <class LOCK, class TAKE>
CommTarget *acquire_blocking(CommSession *session, int wait_timeout, LOCK lock, uint32_t *freed,
                             uint32_t *blocked, TAKE take) WEFT_TSA(no_thread_safety_analysis) {
    uint64_t until = wait_until(wait_timeout, session);
    BlockedWait wait(freed);
    uint32_t counted = 0; // whether this thread is one of the blocked
    for (bool in_time = true;;) {
        struct weft_lock *held = lock();
        *blocked -= counted;
        CommTarget *target = take();
        uint32_t seen = __atomic_load_n(freed, __ATOMIC_RELAXED);
        counted = !target && wait_timeout != 0 && in_time ? 1 : 0;
        *blocked += counted;
        sys_unlock(held);
        if (target)
            return target;
        if (!counted) {
            errno = wait_timeout == 0 ? EAGAIN : ETIMEDOUT;
            return nullptr;
        }
        in_time = wait.wait(session, seen, until);
    }
}

} // namespace

CommTarget *CommSchedObject::acquire_for(CommSession *session, int wait_timeout) {
    int64_t left = session ? session->get_time_left() : -1;
    int64_t ms = left < 0 ? INT_MAX : std::min<int64_t>((left + 999999) / 1000000, INT_MAX);
    if (left >= 0 && (wait_timeout < 0 || ms < wait_timeout))
        wait_timeout = static_cast<int>(ms);
    return this->acquire(wait_timeout);
}

CommTarget *CommSchedObject::acquire_or_park(CommWaiter *, bool *parked) {
    *parked = false;
    return this->acquire(0);
}

bool CommSchedObject::unpark(CommWaiter *) { return false; }

CommSchedTarget::CommSchedTarget()
    : group(nullptr), connect_ms(-1), own_lock{0},
      load_lock(&own_lock), waiters{nullptr, nullptr, 0}, freed(0), blocked(0), just_freed(false) {}

CommSchedTarget::~CommSchedTarget() {}

int CommSchedTarget::init(const struct sockaddr *addr_in, socklen_t len, int connect_timeout_in,
                          int response_timeout_in, size_t max_connections) {
    if (max_connections == 0) {
        errno = EINVAL;
        return -1;
    }
    if (this->CommTarget::init(addr_in, len, connect_timeout_in, response_timeout_in) < 0)
        return -1;
    this->connect_ms = connect_timeout_in;
    this->max_load = max_connections;
    this->cur_load = 0;
    this->group = nullptr;
    this->load_lock = &this->own_lock;
    return 0;
}

int CommSchedTarget::init(const struct sockaddr *addr_in, socklen_t len, SSL_CTX *ssl_ctx_in,
                          int connect_timeout_in, int ssl_connect_timeout_in,
                          int response_timeout_in, size_t max_connections) {
    int ret = this->init(addr_in, len, connect_timeout_in, response_timeout_in, max_connections);
    if (ret >= 0)
        this->set_ssl(ssl_ctx_in, ssl_connect_timeout_in);
    return ret;
}

void CommSchedTarget::deinit() { this->CommTarget::deinit(); }

int CommSchedTarget::waiter_timeout() { return this->connect_ms; }

// Takes the lock that guards the load now, and says which it was.
struct weft_lock *CommSchedTarget::lock_load() WEFT_TSA(no_thread_safety_analysis) {
    for (;;) {
        struct weft_lock *lock = __atomic_load_n(&this->load_lock, __ATOMIC_ACQUIRE);
        sys_lock(lock);
        if (lock == __atomic_load_n(&this->load_lock, __ATOMIC_ACQUIRE))
            return lock;
        sys_unlock(lock); // it joined or left a group meanwhile
    }
}

// Needs load_lock.
bool CommSchedTarget::take_slot() {
    if (this->cur_load >= this->max_load)
        return false;
    increase(&this->cur_load, 1);
    if (this->group)
        increase(&this->group->cur_load, 1);
    return true;
}

CommTarget *CommSchedTarget::acquire_for(CommSession *session, int wait_timeout) {
    return acquire_blocking(
        session, wait_timeout, [this]() { return this->lock_load(); }, &this->freed, &this->blocked,
        [this]() -> CommTarget * { return this->take_slot() ? this : nullptr; });
}

CommTarget *CommSchedTarget::acquire_or_park(CommWaiter *waiter, bool *parked)
    WEFT_TSA(no_thread_safety_analysis) {
    struct weft_lock *held = this->lock_load();
    bool taken = !this->waiters.first && this->take_slot();
    *parked = !taken && waiter && waiter->enter(&this->waiters);
    sys_unlock(held);
    if (!taken)
        errno = EAGAIN;
    return taken ? this : nullptr;
}

bool CommSchedTarget::unpark(CommWaiter *waiter) WEFT_TSA(no_thread_safety_analysis) {
    struct weft_lock *held = this->lock_load();
    bool was_in = waiter->is_in_line();
    if (was_in)
        waiter->leave();
    sys_unlock(held);
    return was_in;
}

void CommSchedTarget::release() WEFT_TSA(no_thread_safety_analysis) {
    struct weft_lock *held = this->lock_load();
    CommSchedGroup *above = this->group;
    decrease(&this->cur_load, 1);
    this->just_freed = true;
    if (above)
        decrease(&above->cur_load, 1);
    CommWaiter *waiter = this->waiters.first;
    if (!waiter && above)
        waiter = above->waiters.first;
    if (waiter && this->take_slot()) {
        waiter->grant(this);
    } else { // threads that block are rare, so nobody is woken unless there is one
        wake_one(&this->freed, this->blocked);
        if (above)
            wake_one(&above->freed, above->blocked);
    }
    sys_unlock(held);
}

CommSchedGroup::CommSchedGroup()
    : lock{0}, members(nullptr), member_count(0), member_room(0), waiters{nullptr, nullptr, 0},
      freed(0), blocked(0) {}

CommSchedGroup::~CommSchedGroup() {}

int CommSchedGroup::init() {
    this->member_count = this->member_room = 0;
    this->members = nullptr;
    this->max_load = this->cur_load = 0;
    return 0;
}

void CommSchedGroup::deinit() {
    free(this->members);
    this->members = nullptr;
    this->member_count = this->member_room = 0;
}

int CommSchedGroup::add(CommSchedTarget *target) {
    int error = 0;
    sys_lock(&this->lock);
    sys_lock(&target->own_lock); // nobody is inside while the lock changes
    if (target->group == this)
        error = EEXIST;
    else if (target->group)
        error = EINVAL;
    else if (target->cur_load > 0 || target->waiters.first)
        error = EBUSY;
    if (!error && this->member_count == this->member_room) {
        size_t room = this->member_room ? 2 * this->member_room : 8;
        void *grown = realloc(this->members, room * sizeof(CommSchedTarget *));
        if (grown) {
            this->members = static_cast<CommSchedTarget **>(grown);
            this->member_room = room;
        } else {
            error = ENOMEM;
        }
    }
    if (!error) {
        this->members[this->member_count++] = target;
        increase(&this->max_load, target->max_load);
        target->group = this;
        __atomic_store_n(&target->load_lock, &this->lock, __ATOMIC_RELEASE);
        while (this->waiters.first && target->take_slot())
            this->waiters.first->grant(target);
    }
    sys_unlock(&target->own_lock);
    sys_unlock(&this->lock);
    if (error)
        errno = error;
    return error ? -1 : 0;
}

int CommSchedGroup::remove(CommSchedTarget *target) {
    int error = ENOENT;
    sys_lock(&this->lock);
    if (target->group == this)
        error = target->cur_load > 0 || target->waiters.first ? EBUSY : 0;
    for (size_t i = 0; !error && i < this->member_count; i++) {
        if (this->members[i] != target)
            continue;
        this->members[i] = this->members[--this->member_count];
        decrease(&this->max_load, target->max_load);
        target->group = nullptr;
        __atomic_store_n(&target->load_lock, &target->own_lock, __ATOMIC_RELEASE);
        break;
    }
    sys_unlock(&this->lock);
    if (error)
        errno = error;
    return error ? -1 : 0;
}

// The member with the smallest ratio of load to limit; on ties one that was just released. Needs
// the lock.
CommSchedTarget *CommSchedGroup::pick() {
    CommSchedTarget *best = nullptr;
    for (size_t i = 0; i < this->member_count; i++) {
        CommSchedTarget *t = this->members[i];
        if (t->cur_load >= t->max_load)
            continue;
        size_t mine = best ? t->cur_load * best->max_load : 0;
        size_t others = best ? best->cur_load * t->max_load : 1;
        if (mine < others || (mine == others && t->just_freed && !best->just_freed))
            best = t;
    }
    if (best) {
        best->take_slot();
        best->just_freed = false;
    }
    return best;
}

CommTarget *CommSchedGroup::acquire_for(CommSession *session, int wait_timeout) {
    return acquire_blocking(
        session, wait_timeout,
        [this]() WEFT_TSA(no_thread_safety_analysis) {
            sys_lock(&this->lock);
            return &this->lock;
        },
        &this->freed, &this->blocked, [this]() -> CommTarget * { return this->pick(); });
}

CommTarget *CommSchedGroup::acquire_or_park(CommWaiter *waiter, bool *parked) {
    sys_lock(&this->lock);
    CommSchedTarget *target = this->waiters.first ? nullptr : this->pick();
    *parked = !target && this->member_count > 0 && waiter && waiter->enter(&this->waiters);
    sys_unlock(&this->lock);
    if (!target)
        errno = EAGAIN;
    return target;
}

bool CommSchedGroup::unpark(CommWaiter *waiter) {
    sys_lock(&this->lock);
    bool was_in = waiter->is_in_line();
    if (was_in)
        waiter->leave();
    sys_unlock(&this->lock);
    return was_in;
}

int CommSchedGroup::waiter_timeout() {
    sys_lock(&this->lock);
    int ms = this->member_count ? this->members[0]->connect_ms : -1;
    sys_unlock(&this->lock);
    return ms;
}

int CommScheduler::connect(CommChannel *channel, CommSchedObject *object, CommChannelGroup *group,
                           CommTarget **target) {
    CommTarget *found = object->acquire(0);
    if (target)
        *target = found;
    if (!found)
        return -1;
    if (this->comm.connect(channel, found, group) == 0)
        return 0;
    int error = errno;
    found->release();
    errno = error;
    return -1;
}

int CommScheduler::request(CommSession *session, CommSchedObject *object, int wait_timeout,
                           CommTarget **target) {
    session->set_phase(CSP_WAITING);
    int given_up = session->give_up_reason();
    *target = given_up ? nullptr : object->acquire_for(session, wait_timeout);
    if (!*target) {
        if (!given_up)
            given_up = session->give_up_reason();
        if (given_up)
            errno = given_up;
        return -1;
    }
    if (this->comm.request(session, *target) == 0)
        return 0;
    int error = errno;
    (*target)->release();
    errno = error;
    return -1;
}

int CommScheduler::request_or_park(CommSession *session, CommSchedObject *object,
                                   CommTarget **target,
                                   void (*resume)(CommSession *, CommTarget *, int, int)) {
    bool parked = false;
    session->set_phase(CSP_WAITING);
    *target = object->acquire_or_park(nullptr, &parked);
    if (!*target) { // full: only now is a waiter worth making
        CommWaiter *waiter = new (std::nothrow) CommWaiter(&this->comm, session, object, resume);
        if (!waiter) {
            errno = ENOMEM;
            return -1;
        }
        int ret = waiter->park(target);
        if (ret != 0)
            return ret;
    }
    if (this->comm.request(session, *target) == 0)
        return 0;
    int error = errno;
    (*target)->release();
    errno = error;
    return -1;
}
