// Weft - the one seam between the kernel and the system
// SPDX-License-Identifier: Apache-2.0
//
// Everything the kernel asks of the world goes through this header: sockets, the event back end,
// clock, futex, threads, random numbers, and "which worker am I". The kernel is built twice: with
// the real system (sys_linux.h, thin inline wrappers) and, under WEFT_SIM, with a simulated one
// whose functions live with the simulator, where each thread is a fiber. Failing calls return -1
// and set errno, as the system's own do; times are nanoseconds of one monotonic clock.
#ifndef WEFT_SRC_KERNEL_SYS_H
#define WEFT_SRC_KERNEL_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "workflow/detail/kernel_types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SYS_FOREVER UINT64_MAX

struct metrics_block; // see metrics.h
struct worker;        // a thread of the kernel, see worker.h

// A thread being run. Opaque outside sys; joined exactly once.
struct sys_thread {
    uint64_t id;
    uint32_t number; // the system's own, set by the thread itself; 0 before
};

// What a thread is doing, as the system sees it.
struct sys_activity {
    bool asleep;     // it waits for something; else it has a processor or waits for one
    uint64_t cpu_ns; // processor time it has used
};

// Where a simulated schedule may switch fibers. The real system does nothing here.
enum sys_point {
    SYS_POINT_USER_CODE, // before a call into the program
    SYS_POINT_LEASE,     // after a lease was let out, before it is taken back
};

#ifdef WEFT_SIM
#define SYS_FN
#else
#define SYS_FN static inline
#endif

// Sockets. Every descriptor made here is non-blocking and close-on-exec.
SYS_FN int sys_socket(int family, int type, int protocol);
SYS_FN int sys_bind(int fd, const struct sockaddr *addr, socklen_t len);
SYS_FN int sys_listen(int fd, int backlog);
SYS_FN int sys_accept(int fd, struct sockaddr *addr, socklen_t *len);
SYS_FN int sys_connect(int fd, const struct sockaddr *addr, socklen_t len);
SYS_FN ssize_t sys_recv(int fd, char *buf, size_t size);
// The same, and what was read stays.
SYS_FN ssize_t sys_peek(int fd, char *buf, size_t size);
// Never raises SIGPIPE.
SYS_FN ssize_t sys_sendv(int fd, const struct iovec *vectors, int count);
// One datagram, from or to an address.
SYS_FN ssize_t sys_recvfrom(int fd, char *buf, size_t size, struct sockaddr *from, socklen_t *len);
SYS_FN ssize_t sys_sendto(int fd, const struct iovec *vectors, int count, const struct sockaddr *to,
                          socklen_t len);
SYS_FN int sys_socket_type(int fd); // SOCK_STREAM and so on; -1
SYS_FN int sys_shutdown(int fd, int how);
SYS_FN int sys_close(int fd);
SYS_FN int sys_setsockopt(int fd, int level, int name, int value);
SYS_FN int sys_set_abortive(int fd); // close() will reset the connection
SYS_FN int sys_socket_error(int fd); // SO_ERROR, taken and cleared
SYS_FN bool sys_is_listening(int fd);
SYS_FN int sys_set_nonblock(int fd);
SYS_FN int sys_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
SYS_FN int sys_dup(int fd);        // close-on-exec
SYS_FN int sys_open_reserve(void); // any descriptor, to be closed when there are no others left

// The event back end.
SYS_FN int sys_epoll_create(void);
SYS_FN int sys_epoll_ctl(int epfd, int op, int fd, uint32_t events, uint64_t data);
SYS_FN int sys_epoll_wait(int epfd, struct epoll_event *events, int max, uint64_t timeout_ns);
SYS_FN int sys_eventfd(void);
SYS_FN void sys_eventfd_signal(int fd);
SYS_FN void sys_eventfd_drain(int fd);

SYS_FN uint64_t sys_now(void);
SYS_FN uint64_t sys_random(void);

// Sleep while *word == expected, at most timeout_ns; false when the time ran out.
SYS_FN bool sys_futex_wait(uint32_t *word, uint32_t expected, uint64_t timeout_ns);
SYS_FN void sys_futex_wake(uint32_t *word, int count);
SYS_FN void sys_lock(struct weft_lock *lock) WEFT_TSA(acquire_capability(lock));
// False when somebody has it, without waiting.
SYS_FN bool sys_trylock(struct weft_lock *lock) WEFT_TSA(try_acquire_capability(true, lock));
SYS_FN void sys_unlock(struct weft_lock *lock) WEFT_TSA(release_capability(lock));

// Threads. Signals stay with the program's own threads.
int sys_thread_start(struct sys_thread *thread, void (*run)(struct worker *), struct worker *arg);
void sys_thread_join(struct sys_thread thread);
// Costs some microseconds. False where the system does not tell.
bool sys_thread_look(const struct sys_thread *thread, struct sys_activity *activity);
// How often this thread has lost its processor without asking for it.
uint64_t sys_preemptions(void);
// Lets the system free the thread by itself when it ends.
void sys_thread_detach(struct sys_thread thread);
// A thread that is no worker, of which nothing is waited for but what it counts down itself. -1
// with errno.
int sys_helper_start(void *(*run)(void *), void *arg);

// The worker this thread is; NULL on every thread that is not one of the kernel's.
SYS_FN struct worker *sys_self(void);
SYS_FN void sys_set_self(struct worker *worker);
// How many in-place completions are on this thread's stack.
SYS_FN uint32_t *sys_depth(void);
// The service about whose session this thread is in a callback of the program; opaque to C.
SYS_FN const void **sys_serving(void);
// Where this thread counts (metrics.h).
SYS_FN struct metrics_block **sys_metrics(void);
// When this thread ends, metrics_take_back() gets the block. False when that cannot be.
bool sys_at_thread_end(struct metrics_block *block);
// The loop that drives tasks on this thread (subtask.cc).
struct SubTaskFrame;
SYS_FN struct SubTaskFrame **sys_task_frame(void);
// The series that this thread works for, as an identity; while somebody traces (trace.cc).
SYS_FN const void **sys_trace_origin(void);

// membarrier(PRIVATE_EXPEDITED): false when the system has none.
bool sys_membarrier_init(void);
void sys_membarrier(void);

SYS_FN void sys_point(enum sys_point point);

#ifdef __cplusplus
}
#endif

#ifndef WEFT_SIM
#include "kernel/sys_linux.h"
#endif

#endif
