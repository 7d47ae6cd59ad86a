// Weft - CommListener: the listening descriptor of a bound service
// SPDX-License-Identifier: Apache-2.0
#include "kernel/listener.h"

#include <errno.h>
#include <limits.h>
#include <new>
#include <string.h>

#include "kernel/log.h"
#include "kernel/reserve.h"
#include "kernel/socket_options.h"
#include "workflow/detail/container_of.h"

namespace {

constexpr int MAX_SHARE = 64; // newcomers that a long wait makes up for in one go
constexpr uint32_t PAUSE_MIN_MS = 10;
constexpr uint32_t PAUSE_MAX_MS = 500; // newcomers shall be served within a second again

// A socket that already has an address (port, path) keeps it.
bool is_bound(int fd) {
    struct sockaddr_storage addr = {};
    socklen_t len = sizeof addr;
    if (sys_getsockname(fd, reinterpret_cast<struct sockaddr *>(&addr), &len) < 0)
        return false;
    if (addr.ss_family == AF_INET)
        return reinterpret_cast<struct sockaddr_in *>(&addr)->sin_port != 0;
    if (addr.ss_family == AF_INET6)
        return reinterpret_cast<struct sockaddr_in6 *>(&addr)->sin6_port != 0;
    return len > sizeof(sa_family_t);
}

} // namespace

const struct pollable_ops CommListener::ops = {
    .event = on_event,
    .release = on_release,
    .abort = on_abort,
    .stream = nullptr,
};

CommListener::CommListener(Communicator *comm, CommService *service, int fd_in, bool own,
                           struct weft_poller *home)
    : pollable{&ops, home ? home : mpoller_pick(comm->get_pool()), 2, POLLER_NO_SLOT, fd_in},
      comm_(comm), service_(service), own_(own), home_(home), next_(nullptr), held_(0), stopped_(0),
      stop_error_(0), starved_(0), pause_ms_(PAUSE_MIN_MS), seen_(0), looks_(0), renewing_(0) {
    DescriptorReserve::add_user();
    start_order_.run = run_start;
    stop_order_.run = run_stop;
    renew_order_.run = run_renew;
    resume_.msg.run = run_resume;
    resume_.timer.prev = nullptr;
    ended_.run = run_ended;
    let_go_.run = run_let_go;
    start_order_.listener = stop_order_.listener = renew_order_.listener = this;
    resume_.listener = ended_.listener = let_go_.listener = this;
}

int CommListener::open(CommService *service, bool *own) {
    int fd = service->create_listen_fd();
    if (fd < 0)
        return -1;
    struct sockaddr_storage addr = {};
    socklen_t len = sizeof addr;
    bool ok = sys_set_nonblock(fd) == 0;
    *own = ok && !sys_is_listening(fd);
    SocketKind kind(fd, service->bind_addr_->sa_family);
    const CommListenOptions &options = service->listening_;
    if (*own)
        ok = (is_bound(fd) || (apply_before_bind(options, fd, kind) == 0 &&
                               sys_bind(fd, service->bind_addr_, service->addrlen_) == 0)) &&
             (!kind.stream || sys_listen(fd, options.backlog) == 0);
    if (ok) {
        apply_socket_options(service->sockets_, fd, kind);
        apply_to_listener(options, fd, kind);
    }
    // Port 0 stands for one that the system picks: the service shall know which.
    if (ok && sys_getsockname(fd, reinterpret_cast<struct sockaddr *>(&addr), &len) == 0 &&
        len <= service->addrlen_)
        memcpy(service->bind_addr_, &addr, len);
    if (ok)
        return fd;
    int error = errno;
    sys_close(fd);
    errno = error;
    return -1;
}

ssize_t CommListener::send_to(const struct iovec *, int, const struct sockaddr *, socklen_t) {
    errno = EOPNOTSUPP;
    return -1;
}

void CommListener::start() { poller_do(poller, &start_order_); }

void CommListener::run_start(struct weft_msg *msg, struct weft_poller *poller) {
    CommListener *self = static_cast<Part<weft_msg> *>(msg)->listener;
    if (a32_load(
            &self->stopped_)) // the stop came first: from the driver itself, which need not post
        return;
    if (poller_register(poller, self, self->see_interest()) < 0)
        self->stop_error_ = errno;
    if (self->stop_error_ || poller->closing)
        self->stop(self->stop_error_);
}

void CommListener::stop(int error) {
    if (a32_swap(&stopped_, 1))
        return;
    if (error)
        stop_error_ = error;
    if (a32_load(&own_) && sys_is_listening(fd)) // nobody can connect any more when this returns;
                                                 // the poller closes the descriptor
        sys_shutdown(fd, SHUT_RDWR);
    poller_do(poller, &stop_order_);
}

void CommListener::on_abort(struct pollable *node) {
    CommListener *self = static_cast<CommListener *>(node);
    self->stop(0);
    self->abort_sessions();
}

void CommListener::run_stop(struct weft_msg *msg, struct weft_poller *poller) {
    CommListener *self = static_cast<Part<weft_msg> *>(msg)->listener;
    poller_disarm(poller, &self->resume_);
    if (self->slot != POLLER_NO_SLOT) {
        poller_unregister(poller, self, true);
        pollable_unref(self);
    }
    poller_ready(poller, &self->ended_);
}

// The end, where program code may run.
void CommListener::run_ended(struct weft_job *job) {
    CommListener *self = static_cast<Part<weft_job> *>(job)->listener;
    CommService *service = self->service_;
    struct mpoller *pool = self->comm_->get_pool();
    if (--service->listening_now_ == 0)
        service->handle_stop(self->stop_error_);
    pollable_unref(self);
    mpoller_leave(pool);
}

void CommListener::on_release(struct pollable *node) {
    CommListener *self = static_cast<CommListener *>(node);
    CommService *service = self->service_;
    // Not before: a worker that lost the poller may have been about to accept.
    sys_close(self->fd);
    DescriptorReserve::remove_user();
    CommListener *next = self->next_;
    delete self;
    if (next)
        pollable_unref(next);
    if (--service->refs_ == 0)
        service->handle_unbound();
}

// How many may be taken in one go. By default one, and one more for each batch of events that was
// full since the last time: a poller with a thousand busy connections hears of its listener once in
// a round of them, and newcomers would wait for seconds.
int CommListener::share() {
    int most = service_->listening_.accept_at_once;
    if (most >= 0)
        return most > 0 ? most : INT_MAX;
    uint32_t looks = a32_load(&poller->full_looks);
    uint32_t passed = looks - a32_swap(&looks_, looks);
    return passed < MAX_SHARE ? 1 + static_cast<int>(passed) : MAX_SHARE;
}

void CommListener::on_event(struct pollable *node, uint32_t events) {
    CommListener *self = static_cast<CommListener *>(node);
    struct mpoller *pool = self->comm_->get_pool();
    const struct worker *worker = sys_self();
    // Counted first: a stop that is not seen below comes later, and the end then waits for what is
    // accepted here.
    mpoller_enter(pool);
    if (events & EPOLLOUT)
        self->can_write();
    for (int left = self->share(); left > 0 && !a32_load(&self->stopped_); left--) {
        if (a32_load(&self->held_))
            break;
        // Whoever lost the poller leaves the rest to its successor, who is told again.
        if (!self->take_one() || (worker && worker->poller != self->poller))
            break;
    }
    mpoller_leave(pool);
}

bool CommListener::take_one() {
    // Goes first: a newcomer that took the last descriptor instead would be the last to be seen,
    // for without a reserve those behind it could not even be closed.
    if (!DescriptorReserve::allows() && !DescriptorReserve::renew()) {
        count_starved();
        pause();
        return false;
    }
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    int conn = sys_accept(fd, reinterpret_cast<struct sockaddr *>(&addr), &len);
    if (conn >= 0) {
        take(conn, reinterpret_cast<struct sockaddr *>(&addr), len);
        return true;
    }
    if (errno == EAGAIN || errno == EBADF)
        return false;
    if (errno == EINVAL) { // somebody else has shut it down: it would say so for ever
        stop(EINVAL);
        return false;
    }
    if (DescriptorReserve::is_want(errno)) {
        count_starved();
        if (DescriptorReserve::refuse_one(fd))
            end_want();
        else
            pause();
        return false;
    }
    return true; // a connection that died in the queue, or an interruption: look again
}

void CommListener::take(int conn, const struct sockaddr *addr, socklen_t len) {
    if (DescriptorReserve::allows()) {
        end_want();
        CommServerMachine::accepted(comm_, service_, home_, conn, addr, len);
        return;
    }
    sys_close(conn);
    errno = EMFILE;
    count_starved();
    (void)DescriptorReserve::renew(); // where it fails the next look pauses
}

// The next pause is a short one.
void CommListener::end_want() {
    if (a32_load(&pause_ms_) != PAUSE_MIN_MS)
        a32_store(&pause_ms_, PAUSE_MIN_MS);
}

void CommListener::count_starved() {
    int error = errno;
    __atomic_fetch_add(&service_->close_counts_[CCR_REFUSED_NO_FD], 1, __ATOMIC_RELAXED);
    weft_log(WEFT_LOG_WARN, "a connection was refused: %s", strerror(error));
}

void CommListener::pause() {
    a32_swap(&starved_, 1);
    renew_interest();
}

// One order at a time; it finds the latest wishes. What is wished for behind it is found by
// run_let_go().
void CommListener::renew_interest() {
    if (!comm_->enter())
        return;
    if (a32_swap(&renewing_, 1)) {
        comm_->leave();
        return;
    }
    pollable_ref(this); // the order's
    poller_do(poller, &renew_order_);
}

// By the driver, who then asks for exactly that.
uint32_t CommListener::see_interest() {
    uint32_t wanted = interest();
    a32_store(&seen_, wanted);
    return wanted;
}

void CommListener::run_renew(struct weft_msg *msg, struct weft_poller *poller) {
    CommListener *self = static_cast<Part<weft_msg> *>(msg)->listener;
    bool starved = a32_swap(&self->starved_, 0) != 0;
    bool live = self->slot != POLLER_NO_SLOT && !poller->closing;
    uint32_t wanted = self->see_interest();
    poller_ready(poller, &self->let_go_);
    if (!live)
        return;
    if (starved && poller_modify(poller, self, 0) == 0) {
        uint32_t ms = a32_load(&self->pause_ms_);
        poller_disarm(poller, &self->resume_);
        poller_arm(poller, &self->resume_, poller->now + ms * UINT64_C(1000000));
        a32_store(&self->pause_ms_, 2 * ms < PAUSE_MAX_MS ? 2 * ms : PAUSE_MAX_MS);
    } else if (!wheel_has(&self->resume_.timer)) {
        poller_modify(poller, self, wanted);
    }
}

// Drops the order's reference where program code may run.
void CommListener::run_let_go(struct weft_job *job) {
    CommListener *self = static_cast<Part<weft_job> *>(job)->listener;
    Communicator *comm = self->comm_;
    a32_swap(&self->renewing_, 0);
    if (a32_load(&self->starved_) || self->interest() != a32_load(&self->seen_))
        self->renew_interest();
    pollable_unref(self);
    comm->leave();
}

void CommListener::run_resume(struct weft_msg *msg, struct weft_poller *poller) {
    struct weft_poll_timer *base = WEFT_CONTAINER_OF(msg, weft_poll_timer, msg);
    CommListener *self = static_cast<Part<weft_poll_timer> *>(base)->listener;
    if (self->slot != POLLER_NO_SLOT)
        poller_modify(poller, self, self->see_interest());
}

void CommListener::append(CommListener *other) {
    CommListener *last = this;
    while (last->next_)
        last = last->next_;
    pollable_ref(other);
    last->next_ = other;
}

void CommListener::share_all() {
    for (CommListener *l = this; l; l = l->next_)
        a32_store(&l->own_, 0);
}

void CommListener::hold_all(bool held) {
    for (CommListener *l = this; l; l = l->next_)
        l->hold(held);
}

void CommListener::hold(bool held) {
    a32_swap(&held_, held ? 1 : 0);
    renew_interest();
}
