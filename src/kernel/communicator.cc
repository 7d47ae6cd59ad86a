// Weft - Communicator: the front of the kernel
// SPDX-License-Identifier: Apache-2.0
#include "workflow/Communicator.h"

#include <errno.h>
#include <new>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/channel.h"
#include "kernel/datagram.h"
#include "kernel/log.h"
#include "kernel/sleep.h"

int Communicator::init(size_t poller_threads, size_t handler_threads) {
    struct mpoller *made = static_cast<struct mpoller *>(malloc(sizeof *made));
    if (!made)
        return -1;
    if (mpoller_init(made, static_cast<unsigned>(poller_threads),
                     static_cast<unsigned>(handler_threads)) < 0) {
        free(made);
        return -1;
    }
    this->pool_ = made;
    this->stopping_ = false;
    this->event_handler_ = nullptr;
    return 0;
}

namespace {

// The end, for one poller.
void close_poller(struct weft_msg *, struct weft_poller *poller) {
    poller_close(poller);
    mpoller_leave(poller->pool);
}

} // namespace

void Communicator::close() {
    int cookie = worker_wait_begin();
    this->stopping_ = true;
    for (unsigned i = 0; i < this->pool_->count; i++) {
        struct weft_poller *poller = &this->pool_->pollers[i];
        if (!a32_swap(&poller->born, 1)) { // no driver yet, and none may come while this is written
            poller->closing = true;
            a32_swap(&poller->born, 0);
            if (__atomic_load_n(&poller->inbox, __ATOMIC_SEQ_CST))
                mpoller_birth(poller);
            continue;
        }
        mpoller_enter(this->pool_); // the order itself is waited for
        poller->close_order.run = close_poller;
        poller_do(poller, &poller->close_order);
    }
    mpoller_wait_empty(this->pool_);
    worker_wait_end(cookie);
}

void Communicator::deinit() {
    if (!this->stopping_) {
        // The thread would have to outlive what it stands on. (At the exit of the process a
        // callback that called exit() comes by here too, behind close(), and never returns.)
        if (mpoller_is_worker(this->pool_)) {
            fprintf(stderr, "weft: misuse: deinit() of a scheduler in one of its own callbacks\n");
            abort();
        }
        this->close();
    }
    int cookie = worker_wait_begin();
    if (this->event_handler_)
        this->event_handler_->wait();
    mpoller_stop(this->pool_);
    worker_wait_end(cookie);
    free(this->pool_);
    this->pool_ = nullptr;
}

// The gate. What passes is counted first, so that close() either is seen here or waits for it.
// ECANCELED behind the end.
bool Communicator::enter() {
    errno = ECANCELED;
    if (!this->pool_)
        return false;
    mpoller_enter(this->pool_);
    if (!this->stopping_)
        return true;
    this->leave();
    return false;
}

// Keeps errno.
void Communicator::leave() {
    int error = errno;
    mpoller_leave(this->pool_);
    errno = error;
}

int Communicator::request(CommSession *session, CommTarget *target) {
    if (session->passive_) {
        errno = EINVAL;
        return -1;
    }
    if (!this->enter())
        return -1;
    int ret = mpoller_staff(this->pool_);
    if (ret == 0)
        ret = CommClientMachine::request(this, session, target);
    this->leave();
    return ret;
}

int Communicator::reply(CommSession *session) {
    if (!session->passive_) {
        errno = session->entry_ ? EINVAL : ENOENT;
        return -1;
    }
    return CommServerMachine::reply(session);
}

int Communicator::push(const void *buf, size_t size, CommSession *session) {
    if (!session->entry_) {
        errno = ENOENT;
        return -1;
    }
    return CommServerMachine::push(session, buf, size);
}

int Communicator::shutdown(CommSession *session) {
    if (!session->passive_) {
        errno = EINVAL;
        return -1;
    }
    return CommServerMachine::shutdown(session);
}

int Communicator::bind(CommService *service) {
    if (!this->enter())
        return -1;
    bool own;
    service->listening_now_ = 0;
    int fd = CommListener::open(service, &own);
    if (fd >= 0 && service->authenticator_ && sys_socket_type(fd) == SOCK_DGRAM) {
        sys_close(fd);
        errno = EOPNOTSUPP;
        fd = -1;
    }
    int ret = fd < 0 ? -1 : this->listen(service, fd, own);
    this->leave();
    return ret;
}

CommListener *Communicator::make_listener(CommService *service, int fd, bool own,
                                          struct weft_poller *home) {
    if (sys_socket_type(fd) == SOCK_DGRAM)
        return new (std::nothrow) CommDatagramSocket(this, service, fd, own, home);
    return new (std::nothrow) CommListener(this, service, fd, own, home);
}

int Communicator::listen(CommService *service, int fd, bool own) {
    CommListener *listener = nullptr;
    bool each = service->listening_.reuse_port && own;
    if (mpoller_staff(this->pool_) == 0) {
        listener = make_listener(service, fd, own, each ? &this->pool_->pollers[0] : nullptr);
        errno = ENOMEM;
    }
    if (!listener) {
        int error = errno;
        sys_close(fd);
        errno = error;
        return -1;
    }
    service->draining_ = service->handed_over_ = false;
    service->refs_ = 2; // the listener's, and ours until unbind
    service->listening_now_ = 1;
    if (each)
        this->listen_for_all(service, listener);
    sys_lock(&service->lock_);
    service->listener_ = listener;
    sys_unlock(&service->lock_);
    for (; listener; listener = listener->next()) {
        mpoller_enter(this->pool_);
        listener->start();
    }
    return 0;
}

// The other pollers get listeners of their own, on the same address. A program that makes its
// descriptors itself may have no more of them; then those that there are must do.
void Communicator::listen_for_all(CommService *service, CommListener *first) {
    for (unsigned i = 1; i < this->pool_->count; i++) {
        bool own;
        int fd = CommListener::open(service, &own);
        CommListener *listener =
            fd >= 0 && own ? make_listener(service, fd, own, &this->pool_->pollers[i]) : nullptr;
        if (!listener) {
            weft_log(WEFT_LOG_WARN, "of %u pollers %u listen: %s", this->pool_->count, i,
                     fd >= 0 && !own ? "no further descriptor to listen on" : strerror(errno));
            if (fd >= 0)
                sys_close(fd);
            return;
        }
        service->refs_++;
        service->listening_now_++;
        first->append(listener);
        listener->unref(); // the one before holds it now
    }
}

void Communicator::unbind(CommService *service) {
    sys_lock(&service->lock_);
    CommListener *listener = service->listener_;
    service->listener_ = nullptr;
    sys_unlock(&service->lock_);
    if (!listener)
        return;
    service->draining_ = true;
    for (CommListener *l = listener; l; l = l->next())
        l->stop(0);
    listener->unref();
    CommServerMachine::drain(service, SIZE_MAX, CCR_DRAINED);
    if (--service->refs_ == 0)
        service->handle_unbound();
}

int Communicator::connect(CommChannel *channel, CommTarget *target, CommChannelGroup *group) {
    if (!this->enter())
        return -1;
    int ret = mpoller_staff(this->pool_);
    if (ret == 0)
        ret = CommChannelMachine::connect(this, channel, target, group);
    this->leave();
    return ret;
}

int Communicator::sleep(SleepSession *session) {
    if (!this->enter()) {
        CommSleep::refuse(session);
        return 0;
    }
    int ret = mpoller_staff(this->pool_);
    if (ret == 0)
        ret = CommSleep::start(this->pool_, session);
    this->leave();
    return ret;
}

int Communicator::unsleep(SleepSession *session) { return CommSleep::cancel(session); }

int Communicator::is_handler_thread() const {
    return this->pool_ && mpoller_is_worker(this->pool_) ? 1 : 0;
}

int Communicator::increase_handler_thread() {
    mpoller_add_permits(this->pool_, 1);
    return 0;
}

int Communicator::decrease_handler_thread() {
    // Without any permit no callback would ever run.
    if (this->pool_->handler_limit <= 1) {
        errno = EINVAL;
        return -1;
    }
    mpoller_add_permits(this->pool_, -1);
    return 0;
}

void Communicator::set_handler_mode(enum CommHandlerMode mode) {
    this->pool_->mode = static_cast<enum site_mode>(mode);
}

void Communicator::defer(struct weft_job *job) { mpoller_defer(this->pool_, job); }

void Communicator::run_scheduled(void *context) {
    struct weft_job *job = static_cast<struct weft_job *>(context);
    job->run(job);
}

void Communicator::schedule(struct mpoller *pool, struct weft_job *job) {
    CommEventHandler *handler = reinterpret_cast<CommEventHandler *>(pool->owner);
    handler->schedule(run_scheduled, job);
}

void Communicator::customize_event_handler(CommEventHandler *handler) {
    this->event_handler_ = handler;
    this->pool_->owner = reinterpret_cast<struct mpoller_owner *>(handler);
    this->pool_->schedule = handler ? schedule : nullptr;
}
