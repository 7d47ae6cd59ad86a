// Weft public header, room: kernel - targets with a limit on their connections, groups of them, and the scheduler
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_COMMSCHEDULER_H
#define WEFT_COMMSCHEDULER_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "Communicator.h"

class CommSchedGroup;
class CommSchedTarget;
class CommScheduler;
class CommWaiter;

// Something that can supply a target: a target itself, or a group.
class CommSchedObject {
public:
    size_t get_max_load() const { return __atomic_load_n(&this->max_load, __ATOMIC_RELAXED); }
    size_t get_cur_load() const { return __atomic_load_n(&this->cur_load, __ATOMIC_RELAXED); }

private:
    // A target with a free connection, its load counted. wait_timeout 0: EAGAIN when full; else the
    // calling thread blocks so long (ETIMEDOUT; -1 without limit).
    virtual CommTarget *acquire(int wait_timeout) = 0;
    // The same for a session: ends early when that one is canceled, or its deadline passes.
    virtual CommTarget *acquire_for(CommSession *session, int wait_timeout);
    // Like acquire(0), but a full object keeps the waiter (returns NULL, *parked true) and gives it
    // a target later.
    virtual CommTarget *acquire_or_park(CommWaiter *waiter, bool *parked);
    // Takes a waiter back; false when it has been given a target meanwhile.
    virtual bool unpark(CommWaiter *waiter);
    virtual int waiter_timeout() { return 0; }

protected:
    size_t max_load;
    size_t cur_load;

public:
    CommSchedObject() : max_load(0), cur_load(0) {}
    virtual ~CommSchedObject() {}
    friend class CommScheduler;
    friend class CommWaiter;
};

// First in, first out; bounded. Under the lock of the object it belongs to.
struct CommWaiterList {
    CommWaiter *first;
    CommWaiter *last;
    size_t count;
};

class CommSchedTarget : public CommSchedObject, public CommTarget {
public:
    int init(const struct sockaddr *addr, socklen_t addrlen, int connect_timeout,
             int response_timeout, size_t max_connections);
    int init(const struct sockaddr *addr, socklen_t addrlen, SSL_CTX *ssl_ctx, int connect_timeout,
             int ssl_connect_timeout, int response_timeout, size_t max_connections);
    void deinit();

    // For subclasses of CommScheduler and for requests that were not begun after all.
    void release() override;

    CommSchedTarget();
    ~CommSchedTarget() override;

private:
    CommTarget *acquire(int wait_timeout) override { return this->acquire_for(NULL, wait_timeout); }
    CommTarget *acquire_for(CommSession *session, int wait_timeout) override;
    CommTarget *acquire_or_park(CommWaiter *waiter, bool *parked) override;
    bool unpark(CommWaiter *waiter) override;
    int waiter_timeout() override;
    bool take_slot();
    struct weft_lock *lock_load();

    CommSchedGroup *group; // changed only while no load is on the target
    int connect_ms;
    struct weft_lock own_lock;
    struct weft_lock *load_lock; // own_lock, or the group's
    CommWaiterList waiters;
    uint32_t freed;   // futex word: bumped at each release, for threads that block
    uint32_t blocked; // how many do
    bool just_freed;  // on ties a group prefers a target that may have an idle connection
    friend class CommSchedGroup;
    friend class CommScheduler;
    friend class CommWaiter;
};

// Supplies the member with the smallest ratio of load to limit.
class CommSchedGroup : public CommSchedObject {
public:
    int init();
    void deinit();
    // EEXIST: it is a member of this group; EINVAL: of another; EBUSY: it has load.
    int add(CommSchedTarget *target);
    // ENOENT: not a member; EBUSY: it has load.
    int remove(CommSchedTarget *target);

    CommSchedGroup();
    ~CommSchedGroup() override;

private:
    CommTarget *acquire(int wait_timeout) override { return this->acquire_for(NULL, wait_timeout); }
    CommTarget *acquire_for(CommSession *session, int wait_timeout) override;
    CommTarget *acquire_or_park(CommWaiter *waiter, bool *parked) override;
    bool unpark(CommWaiter *waiter) override;
    int waiter_timeout() override;
    CommSchedTarget *pick();

    struct weft_lock lock;
    CommSchedTarget **members;
    size_t member_count;
    size_t member_room;
    CommWaiterList waiters;
    uint32_t freed;
    uint32_t blocked;
    friend class CommSchedTarget;
};

class CommScheduler {
public:
    int init(size_t poller_threads, size_t handler_threads) {
        return this->comm.init(poller_threads, handler_threads);
    }
    void close() { this->comm.close(); }
    void deinit() { this->comm.deinit(); }
    // The engine ends; what is begun now ends as stopped.
    bool is_closing() const { return this->comm.is_closing(); }

    // Acquires a target, waiting as acquire() does, and begins the session on it. *target is NULL
    // when there was none.
    int request(CommSession *session, CommSchedObject *object, int wait_timeout,
                CommTarget **target);

    // The same, but a full object parks the session: no thread waits. Later `resume` is called on a
    // worker: with a target before the session is begun on it (state 0), and with the state and
    // error if that failed or never came. Returns 0 when begun, 1 when parked, -1 with errno.
    int request_or_park(CommSession *session, CommSchedObject *object, CommTarget **target,
                        void (*resume)(CommSession *session, CommTarget *target, int state,
                                       int error));

    // Connects a channel to a target of the object, if that is not full (EAGAIN). *target, unless
    // NULL, is the one that was tried. 0: the channel's reference is the engine's, and the target
    // is released before CCE_CLOSED. Else -1 with errno.
    int connect(CommChannel *channel, CommSchedObject *object, CommChannelGroup *group,
                CommTarget **target);

    int reply(CommSession *session) { return this->comm.reply(session); }
    int shutdown(CommSession *session) { return this->comm.shutdown(session); }
    int push(const void *buf, size_t size, CommSession *session) {
        return this->comm.push(buf, size, session);
    }
    int bind(CommService *service) { return this->comm.bind(service); }
    void unbind(CommService *service) { this->comm.unbind(service); }
    int sleep(SleepSession *session) { return this->comm.sleep(session); }
    int unsleep(SleepSession *session) { return this->comm.unsleep(session); }
    int is_handler_thread() const { return this->comm.is_handler_thread(); }
    int increase_handler_thread() { return this->comm.increase_handler_thread(); }
    int decrease_handler_thread() { return this->comm.decrease_handler_thread(); }
    void customize_event_handler(CommEventHandler *handler) {
        this->comm.customize_event_handler(handler);
    }
    void set_handler_mode(enum CommHandlerMode mode) { this->comm.set_handler_mode(mode); }
    Communicator *get_communicator() { return &this->comm; }

    CommScheduler() {}
    virtual ~CommScheduler() {}

private:
    Communicator comm;
    friend class CommWaiter;
};

#endif
