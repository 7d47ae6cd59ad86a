// Weft - sys.h on Linux: thin inline wrappers, included by sys.h alone
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_KERNEL_SYS_LINUX_H
#define WEFT_SRC_KERNEL_SYS_LINUX_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/sanitized.h"

#ifdef __cplusplus
extern "C" {
#endif

// The kernel's only thread-local state: everything else about a thread hangs on its worker.
extern __thread struct worker *sys_self_tls;
extern __thread uint32_t sys_depth_tls;
extern __thread const void *sys_serving_tls;
extern __thread struct metrics_block *sys_metrics_tls __attribute__((tls_model("initial-exec")));
extern __thread struct SubTaskFrame *sys_task_frame_tls;
extern __thread const void *sys_trace_origin_tls;

static inline int sys_socket(int family, int type, int protocol) {
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}
static inline int sys_bind(int fd, const struct sockaddr *addr, socklen_t len) {
    return bind(fd, addr, len);
}
static inline int sys_listen(int fd, int backlog) { return listen(fd, backlog); }
static inline int sys_accept(int fd, struct sockaddr *addr, socklen_t *len) {
    return accept4(fd, addr, len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
static inline int sys_connect(int fd, const struct sockaddr *addr, socklen_t len) {
    return connect(fd, addr, len);
}

// The wrappers of glibc are points at which a thread may be cancelled. That takes two locked
// operations a call once there are threads, and a thread that were cancelled here would hold a
// lock. The sanitizers, though, see what the wrappers do.
#if defined(SYS_recvfrom) && defined(SYS_sendto) && !WEFT_SANITIZED
static inline ssize_t sys_raw_recv(int fd, void *buf, size_t size) {
    return syscall(SYS_recvfrom, fd, buf, size, 0, NULL, NULL);
}
static inline ssize_t sys_raw_send(int fd, const void *buf, size_t size) {
    return syscall(SYS_sendto, fd, buf, size, MSG_NOSIGNAL, NULL, 0);
}
#else
static inline ssize_t sys_raw_recv(int fd, void *buf, size_t size) {
    return recv(fd, buf, size, 0);
}
static inline ssize_t sys_raw_send(int fd, const void *buf, size_t size) {
    return send(fd, buf, size, MSG_NOSIGNAL);
}
#endif
static inline ssize_t sys_recv(int fd, char *buf, size_t size) {
    return sys_raw_recv(fd, buf, size);
}
static inline ssize_t sys_peek(int fd, char *buf, size_t size) {
    return recv(fd, buf, size, MSG_PEEK);
}
static inline ssize_t sys_sendv(int fd, const struct iovec *vectors, int count) {
    if (count == 1)
        return sys_raw_send(fd, vectors->iov_base, vectors->iov_len);
    struct msghdr m;
    memset(&m, 0, sizeof m);
    m.msg_iov = (struct iovec *)vectors;
    m.msg_iovlen = (size_t)count;
    return sendmsg(fd, &m, MSG_NOSIGNAL);
}
static inline ssize_t sys_recvfrom(int fd, char *buf, size_t size, struct sockaddr *from,
                                   socklen_t *len) {
    return recvfrom(fd, buf, size, 0, from, len);
}
static inline ssize_t sys_sendto(int fd, const struct iovec *vectors, int count,
                                 const struct sockaddr *to, socklen_t len) {
    struct msghdr m;
    memset(&m, 0, sizeof m);
    m.msg_name = (void *)to;
    m.msg_namelen = len;
    m.msg_iov = (struct iovec *)vectors;
    m.msg_iovlen = (size_t)count;
    return sendmsg(fd, &m, MSG_NOSIGNAL);
}
static inline int sys_socket_type(int fd) {
    int type = -1;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 ? type : -1;
}
static inline int sys_shutdown(int fd, int how) { return shutdown(fd, how); }
static inline int sys_close(int fd) { return close(fd); }
static inline int sys_setsockopt(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value);
}
static inline int sys_set_abortive(int fd) {
    struct linger l;
    l.l_onoff = 1;
    l.l_linger = 0;
    return setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}
static inline int sys_socket_error(int fd) {
    int error = 0;
    socklen_t len = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}
static inline bool sys_is_listening(int fd) {
    int on = 0;
    socklen_t len = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on != 0;
}
static inline int sys_set_nonblock(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        return -1;
    flags = fcntl(fd, F_GETFD);
    return flags < 0 || ((flags & FD_CLOEXEC) == 0 && fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
               ? -1
               : 0;
}
static inline int sys_getsockname(int fd, struct sockaddr *addr, socklen_t *len) {
    return getsockname(fd, addr, len);
}
static inline int sys_dup(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }
static inline int sys_open_reserve(void) { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

static inline int sys_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
static inline int sys_epoll_ctl(int epfd, int op, int fd, uint32_t events, uint64_t data) {
    struct epoll_event e;
    e.events = events;
    e.data.u64 = data;
    return epoll_ctl(epfd, op, fd, &e);
}
static inline struct timespec sys_timespec(uint64_t ns) {
    struct timespec t;
    t.tv_sec = (time_t)(ns / 1000000000u);
    t.tv_nsec = (long)(ns % 1000000000u);
    return t;
}
// epoll_pwait2 takes nanoseconds; plain epoll_wait rounds a timer up to the next millisecond, and
// is what is left on systems without it (Linux before 5.11, some sandboxes and valgrind), which are
// not asked again.
extern bool sys_lacks_pwait2; // atomic
int sys_epoll_wait_ms(int epfd, struct epoll_event *events, int max, uint64_t timeout_ns);
static inline int sys_epoll_wait(int epfd, struct epoll_event *events, int max,
                                 uint64_t timeout_ns) {
    struct timespec t;
    int n;
    if (timeout_ns == 0)
        return epoll_wait(epfd, events, max, 0);
    if (timeout_ns == SYS_FOREVER)
        return epoll_wait(epfd, events, max, -1);
    if (__atomic_load_n(&sys_lacks_pwait2, __ATOMIC_RELAXED))
        return sys_epoll_wait_ms(epfd, events, max, timeout_ns);
    t = sys_timespec(timeout_ns);
    n = (int)syscall(SYS_epoll_pwait2, epfd, events, max, &t, NULL, 0);
    if (n >= 0 || errno != ENOSYS)
        return n;
    __atomic_store_n(&sys_lacks_pwait2, true, __ATOMIC_RELAXED);
    return sys_epoll_wait_ms(epfd, events, max, timeout_ns);
}
static inline int sys_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
static inline void sys_eventfd_signal(int fd) {
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof one); // full means already signalled
    (void)n;
}
static inline void sys_eventfd_drain(int fd) {
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof count);
    (void)n;
}

static inline uint64_t sys_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static inline uint64_t sys_random(void) {
    uint64_t v = 0;
    if (getrandom(&v, sizeof v, GRND_NONBLOCK) != (ssize_t)sizeof v)
        v = sys_now() * 0x9e3779b97f4a7c15u;
    return v;
}

static inline bool sys_futex_wait(uint32_t *word, uint32_t expected, uint64_t timeout_ns) {
    struct timespec t;
    if (timeout_ns != SYS_FOREVER)
        t = sys_timespec(timeout_ns);
    long r = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected,
                     timeout_ns == SYS_FOREVER ? NULL : &t, NULL, 0);
    return r >= 0 || errno != ETIMEDOUT;
}
static inline void sys_futex_wake(uint32_t *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}
void sys_lock_slow(struct weft_lock *lock);
static inline void sys_lock(struct weft_lock *lock) WEFT_TSA(no_thread_safety_analysis) {
    unsigned free_word = 0;
    if (!__atomic_compare_exchange_n(&lock->word, &free_word, 1, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        sys_lock_slow(lock);
}
static inline bool sys_trylock(struct weft_lock *lock) WEFT_TSA(no_thread_safety_analysis) {
    uint32_t free_word = 0;
    return __atomic_compare_exchange_n(&lock->word, &free_word, 1, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}
static inline void sys_unlock(struct weft_lock *lock) WEFT_TSA(no_thread_safety_analysis) {
    if (__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) == 2)
        sys_futex_wake(&lock->word, 1);
}

static inline struct worker *sys_self(void) { return sys_self_tls; }
static inline void sys_set_self(struct worker *worker) { sys_self_tls = worker; }
static inline uint32_t *sys_depth(void) { return &sys_depth_tls; }
static inline const void **sys_serving(void) { return &sys_serving_tls; }
static inline struct metrics_block **sys_metrics(void) { return &sys_metrics_tls; }
static inline struct SubTaskFrame **sys_task_frame(void) { return &sys_task_frame_tls; }
static inline const void **sys_trace_origin(void) { return &sys_trace_origin_tls; }

static inline void sys_point(enum sys_point point) { (void)point; }

#ifdef __cplusplus
}
#endif

#endif
