// Weft - sys.h in the simulator: every call may turn the schedule, fail as drawn, and checks how it is used
// SPDX-License-Identifier: Apache-2.0
#include "kernel/sys.h"

#include <algorithm>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "datagrams.h"
#include "kernel/metrics.h"
#include "kernel/worker.h"
#include "net.h"
#include "world.h"

using sim::net;
using sim::world;

namespace {

constexpr unsigned MOST_IDLE_LOOKS = 1000;

uint16_t port_of(const struct sockaddr *addr) {
    struct sockaddr_in in;
    memcpy(&in, addr, sizeof in);
    return ntohs(in.sin_port);
}

void give_address(uint16_t port, struct sockaddr *addr, socklen_t *len) {
    struct sockaddr_in in = {};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(addr, &in, std::min<size_t>(*len, sizeof in));
    *len = sizeof in;
}

bool drawn_error(unsigned ppm, std::initializer_list<int> errors) {
    if (!world->rng.ppm(ppm))
        return false;
    errno = errors.begin()[world->rng.below(errors.size())];
    return true;
}

std::shared_ptr<sim::Stream> stream(int fd) {
    auto s = net->as<sim::Stream>(fd);
    if (!s)
        world->fail("descriptor %d is no stream any more: somebody uses one that was closed", fd);
    return s;
}

// NULL for a listener and for datagrams.
std::shared_ptr<sim::Stream> stream_or_listener(int fd) {
    auto file = net->as<sim::File>(fd);
    auto socket = std::dynamic_pointer_cast<sim::Stream>(file);
    if (!socket && !std::dynamic_pointer_cast<sim::Listener>(file) &&
        !std::dynamic_pointer_cast<sim::Datagrams>(file))
        world->fail("descriptor %d is no socket", fd);
    return socket;
}

} // namespace

extern "C" {

void sim_atomic_point(void);
void sim_atomic_point(void) {
    if (world)
        world->point(sim::AT_ATOMIC);
}

int sys_socket(int, int type, int) {
    world->point(sim::AT_CALL);
    if (drawn_error(world->tuning.socket_error, {EMFILE, ENOBUFS}))
        return -1;
    if (type == SOCK_DGRAM)
        return net->add(std::make_shared<sim::Datagrams>());
    return net->add(std::make_shared<sim::Stream>());
}

int sys_bind(int fd, const struct sockaddr *addr, socklen_t) {
    world->point(sim::AT_CALL);
    uint16_t port = port_of(addr);
    if (auto socket = net->as<sim::Datagrams>(fd)) {
        socket->bind(port ? port : net->free_port());
        return 0;
    }
    stream(fd)->port = port ? port : net->free_port();
    return 0;
}

int sys_listen(int fd, int backlog) {
    world->point(sim::AT_CALL);
    auto listener = std::make_shared<sim::Listener>();
    listener->port = stream(fd)->port;
    listener->reuse_port = stream(fd)->reuse_port;
    listener->backlog = static_cast<size_t>(std::min(backlog, world->rng.number(2, 64)));
    if (net->listen(listener) < 0)
        return -1;
    net->replace(fd, listener);
    world->trace("listen(%d) port %u", fd, listener->port);
    return 0;
}

int sys_accept(int fd, struct sockaddr *addr, socklen_t *len) {
    world->point(sim::AT_CALL);
    if (!net->is_open(fd)) { // a listener may be closed while another thread looks into it
        errno = EBADF;
        return -1;
    }
    auto listener = net->as<sim::Listener>(fd);
    if (!listener)
        world->fail("accept(%d): the descriptor was closed and is another's now", fd);
    if (drawn_error(world->tuning.interrupted, {EINTR}))
        return -1;
    if (listener->is_closed) { // shut down
        errno = EINVAL;
        return -1;
    }
    if (listener->queue.empty()) {
        errno = EAGAIN;
        return -1;
    }
    if (drawn_error(world->tuning.accept_error, {EMFILE, ENFILE, ENOBUFS}))
        return -1;
    std::shared_ptr<sim::Stream> s = listener->queue.front();
    if (drawn_error(world->tuning.accept_error, {ECONNABORTED})) {
        listener->queue.pop_front();
        s->abortive = true;
        s->closed();
        return -1;
    }
    int made = net->add(s);
    if (made < 0)
        return -1;
    listener->queue.pop_front();
    if (addr)
        give_address(static_cast<uint16_t>(40000 + made), addr, len);
    world->trace("accept(%d) = %d", fd, made);
    return made;
}

int sys_connect(int fd, const struct sockaddr *addr, socklen_t) {
    world->point(sim::AT_CALL);
    auto s = stream(fd);
    if (drawn_error(world->tuning.connect_error, {EADDRNOTAVAIL, ENETUNREACH, ECONNREFUSED}))
        return -1;
    net->connect(s, port_of(addr));
    world->trace("connect(%d) port %u", fd, s->port);
    errno = EINPROGRESS;
    return -1;
}

ssize_t sys_peek(int fd, char *buf, size_t size) {
    world->point(sim::AT_CALL);
    auto s = stream(fd);
    if (drawn_error(world->tuning.interrupted, {EINTR}))
        return -1;
    // Planted: what was only to be looked at is gone.
    ssize_t n = world->planted(sim::EAT_PEEKED) ? s->receive(buf, size) : s->peek(buf, size);
    world->trace("peek(%d) = %zd%s%s", fd, n, n < 0 ? " " : "", n < 0 ? strerror(errno) : "");
    return n;
}

ssize_t sys_recv(int fd, char *buf, size_t size) {
    world->point(sim::AT_CALL);
    auto s = stream(fd);
    if (drawn_error(world->tuning.interrupted, {EINTR}))
        return -1;
    ssize_t n = s->receive(buf, size);
    world->trace("recv(%d) = %zd%s%s", fd, n, n < 0 ? " " : "", n < 0 ? strerror(errno) : "");
    return n;
}

ssize_t sys_sendv(int fd, const struct iovec *vectors, int count) {
    world->point(sim::AT_CALL);
    auto s = stream(fd);
    if (drawn_error(world->tuning.interrupted, {EINTR}))
        return -1;
    std::string bytes;
    for (int i = 0; i < count && bytes.size() < 262144; i++)
        bytes.append(static_cast<const char *>(vectors[i].iov_base), vectors[i].iov_len);
    ssize_t n = s->send(bytes.data(), bytes.size());
    world->trace("send(%d, %zu) = %zd%s%s", fd, bytes.size(), n, n < 0 ? " " : "",
                 n < 0 ? strerror(errno) : "");
    return n;
}

int sys_socket_type(int fd) { return net->as<sim::Datagrams>(fd) ? SOCK_DGRAM : SOCK_STREAM; }

ssize_t sys_recvfrom(int fd, char *buf, size_t size, struct sockaddr *from, socklen_t *len) {
    world->point(sim::AT_CALL);
    auto socket = net->as<sim::Datagrams>(fd);
    if (!socket)
        world->fail("recvfrom(%d): somebody uses a descriptor that was closed", fd);
    if (drawn_error(world->tuning.interrupted, {EINTR, ECONNREFUSED}))
        return -1;
    if (socket->queue.empty()) {
        errno = EAGAIN;
        return -1;
    }
    auto [port, bytes] = socket->queue.front();
    socket->queue.pop_front();
    size_t n = std::min(size, bytes.size());
    memcpy(buf, bytes.data(), n);
    give_address(port, from, len);
    return static_cast<ssize_t>(n);
}

ssize_t sys_sendto(int fd, const struct iovec *vectors, int count, const struct sockaddr *to,
                   socklen_t) {
    world->point(sim::AT_CALL);
    auto socket = net->as<sim::Datagrams>(fd);
    if (!socket)
        world->fail("sendto(%d): somebody uses a descriptor that was closed", fd);
    std::string bytes;
    for (int i = 0; i < count; i++)
        bytes.append(static_cast<const char *>(vectors[i].iov_base), vectors[i].iov_len);
    return socket->send(bytes, port_of(to));
}

int sys_shutdown(int fd, int how) {
    world->point(sim::AT_CALL);
    world->trace("shutdown(%d)", fd);
    if (how == SHUT_RDWR) {
        auto listener = net->as<sim::Listener>(fd);
        if (!listener)
            world->fail("shutdown(%d): only a listener is shut on both sides", fd);
        listener->closed();
        return 0;
    }
    if (how != SHUT_WR)
        world->fail("shutdown(%d, %d): only the sending side is expected", fd, how);
    return stream(fd)->shut_sending();
}

int sys_close(int fd) {
    world->point(sim::AT_CALL);
    world->trace("close(%d)", fd);
    return net->close(fd);
}

int sys_setsockopt(int fd, int level, int name, int value) {
    auto socket = stream_or_listener(fd);
    if (socket && level == SOL_SOCKET && name == SO_REUSEPORT)
        socket->reuse_port = value != 0;
    return 0;
}

int sys_set_abortive(int fd) {
    stream(fd)->abortive = true;
    return 0;
}

int sys_socket_error(int fd) {
    world->point(sim::AT_CALL);
    auto s = stream(fd);
    int error = s->error;
    s->error = 0;
    return error;
}

bool sys_is_listening(int fd) { return net->as<sim::Listener>(fd) != nullptr; }

int sys_set_nonblock(int fd) {
    net->get(fd);
    return 0;
}

int sys_getsockname(int fd, struct sockaddr *addr, socklen_t *len) {
    if (auto socket = net->as<sim::Datagrams>(fd)) {
        give_address(socket->port, addr, len);
        return 0;
    }
    auto listener = net->as<sim::Listener>(fd);
    auto socket = listener ? nullptr : stream(fd);
    give_address(listener        ? listener->port
                 : socket->local ? socket->local
                                 : socket->port,
                 addr, len);
    return 0;
}

// Nothing in the simulated program asks for one.
int sys_dup(int) {
    world->point(sim::AT_CALL);
    errno = EMFILE;
    return -1;
}

int sys_open_reserve(void) {
    world->point(sim::AT_CALL);
    return net->add(std::make_shared<sim::File>());
}

int sys_epoll_create(void) { return net->add(std::make_shared<sim::Epoll>()); }

int sys_epoll_ctl(int epfd, int op, int fd, uint32_t events, uint64_t data) {
    world->point(sim::AT_CALL);
    world->trace("epoll_ctl(%d, %s, %d, %x)", epfd,
                 op == EPOLL_CTL_ADD   ? "add"
                 : op == EPOLL_CTL_MOD ? "mod"
                                       : "del",
                 fd, events);
    return net->as<sim::Epoll>(epfd)->control(op, fd, net->get(fd), events, data);
}

int sys_epoll_wait(int epfd, struct epoll_event *events, int max, uint64_t timeout_ns) {
    // Who loses the processor between a look at the clock and here sleeps that much longer on a
    // real system; the checks would take that for a deadline that was missed.
    sim::Time until = timeout_ns == SYS_FOREVER ? sim::NEVER : world->current()->clock + timeout_ns;
    world->point(sim::AT_CALL);
    auto epoll = net->as<sim::Epoll>(epfd);
    if (timeout_ns != SYS_FOREVER && timeout_ns != 0 && world->rng.percent(30))
        until += world->rng.spread(1, 100 * sim::US); // a sleeper is never woken early, but late
    int n = epoll->fetch(events, max);
    if (n == 0 && timeout_ns != 0) {
        if (drawn_error(world->tuning.interrupted, {EINTR}))
            return -1;
        if (world->wait(epoll.get(), until) && world->rng.ppm(world->tuning.late_look))
            world->stall(world->rng.spread(50 * sim::US, 10 * sim::MS));
        n = epoll->fetch(events, max);
    }
    if (n > 0)
        world->trace("epoll_wait(%d) = %d", epfd, n);
    epoll->idle_looks = n == 0 && timeout_ns == 0 ? epoll->idle_looks + 1 : 0;
    if (epoll->idle_looks > MOST_IDLE_LOOKS)
        world->fail("a poller spins: it looked %u times without waiting, and found nothing",
                    MOST_IDLE_LOOKS);
    return n;
}

int sys_eventfd(void) { return net->add(std::make_shared<sim::EventCounter>()); }

void sys_eventfd_signal(int fd) {
    world->point(sim::AT_CALL);
    if (world->planted(sim::SKIP_WAKE) && world->rng.ppm(3000))
        return;
    auto event = net->as<sim::EventCounter>(fd);
    event->count++;
    event->changed(EPOLLIN);
}

void sys_eventfd_drain(int fd) { net->as<sim::EventCounter>(fd)->count = 0; }

uint64_t sys_now(void) {
    world->point(sim::AT_CALL);
    if (world->current())
        world->current()->clock = world->now;
    return world->now;
}

uint64_t sys_random(void) { return world->rng.next(); }

bool sys_futex_wait(uint32_t *word, uint32_t expected, uint64_t timeout_ns) {
    world->point(sim::AT_CALL);
    if (*word != expected || world->rng.ppm(world->tuning.early_wake))
        return true;
    return world->wait(word, timeout_ns == SYS_FOREVER ? sim::NEVER : world->now + timeout_ns);
}

void sys_futex_wake(uint32_t *word, int count) {
    world->point(sim::AT_CALL);
    world->wake(word, count);
}

// The word holds who owns the lock, so that a wrong use is seen.
void sys_lock(struct weft_lock *lock) WEFT_TSA(no_thread_safety_analysis) {
    world->point(sim::AT_LOCK);
    sim::Fiber *self = world->current();
    unsigned id = self ? self->id : UINT32_MAX;
    if (lock->word == id)
        world->fail("a lock is taken twice by the same thread");
    while (lock->word != 0)
        world->wait(&lock->word, sim::NEVER);
    lock->word = id;
    if (self)
        self->locks++;
}

bool sys_trylock(struct weft_lock *lock) WEFT_TSA(no_thread_safety_analysis) {
    world->point(sim::AT_LOCK);
    sim::Fiber *self = world->current();
    if (lock->word != 0)
        return false;
    lock->word = self ? self->id : UINT32_MAX;
    if (self)
        self->locks++;
    return true;
}

void sys_unlock(struct weft_lock *lock) WEFT_TSA(no_thread_safety_analysis) {
    sim::Fiber *self = world->current();
    if (lock->word != (self ? self->id : UINT32_MAX))
        world->fail("a lock is let go by a thread that does not hold it");
    lock->word = 0;
    if (self)
        self->locks--;
    world->wake(&lock->word, 1);
    world->point(sim::AT_UNLOCK);
}

// Executors and file threads are not simulated.
int sys_helper_start(void *(*)(void *), void *) {
    errno = EAGAIN;
    return -1;
}

int sys_thread_start(struct sys_thread *thread, void (*run)(struct worker *), struct worker *arg) {
    world->point(sim::AT_CALL);
    // The first is not drawn: without any, nothing would begin (mpoller_staff).
    if (arg->pool->workers > 0 && drawn_error(world->tuning.thread_error, {EAGAIN}))
        return -1;
    sim::Fiber *fiber = world->spawn("worker", [run, arg]() { run(arg); });
    thread->id = fiber->id;
    world->trace("starts %s", fiber->name.c_str());
    return 0;
}

// A fiber that is stalled may be either: asleep in the program's code, or without a processor.
bool sys_thread_look(const struct sys_thread *thread, struct sys_activity *activity) {
    world->point(sim::AT_CALL);
    sim::Fiber *fiber = world->find(static_cast<unsigned>(thread->id));
    if (!fiber)
        world->fail("a thread is looked at that is not there");
    if (world->rng.percent(10))
        return false;
    activity->asleep = fiber->state == sim::Fiber::BLOCKED || world->rng.percent(50);
    activity->cpu_ns = world->rng.percent(50) ? world->now : 0;
    return true;
}

uint64_t sys_preemptions(void) { return world->rng.percent(95) ? 0 : world->now; }

void sys_thread_join(struct sys_thread thread) {
    world->point(sim::AT_CALL);
    sim::Fiber *fiber = world->find(static_cast<unsigned>(thread.id));
    if (!fiber || fiber->detached)
        world->fail("a thread is joined that is not there");
    while (fiber->state != sim::Fiber::DONE)
        world->wait(fiber, sim::NEVER);
    world->reap(fiber);
}

void sys_thread_detach(struct sys_thread thread) {
    sim::Fiber *fiber = world->find(static_cast<unsigned>(thread.id));
    if (!fiber || fiber->detached)
        world->fail("a thread is detached that is not there");
    fiber->detached = true;
}

struct worker *sys_self(void) {
    sim::Fiber *self = world->current();
    return self ? self->self : nullptr;
}

void sys_set_self(struct worker *worker) { world->current()->self = worker; }

uint32_t *sys_depth(void) { return &world->current()->depth; }
const void **sys_serving(void) { return &world->current()->serving; }

// All fibers are one thread, which counts in a block that is no memory of a run.
struct metrics_block **sys_metrics(void) {
    static struct metrics_block block;
    static struct metrics_block *mine = &block;
    return &mine;
}

bool sys_at_thread_end(struct metrics_block *) { return false; }

struct SubTaskFrame **sys_task_frame(void) {
    return &world->current()->task_frame;
}

const void **sys_trace_origin(void) { return &world->current()->trace_origin; }

bool sys_membarrier_init(void) { return world->tuning.membarrier; }

void sys_membarrier(void) { world->point(sim::AT_CALL); }

void sys_point(enum sys_point point) {
    world->point(point == SYS_POINT_USER_CODE ? sim::AT_USER : sim::AT_LEASE);
}

} // extern "C"
