// Weft - sys.h on Linux: the parts too large to inline (threads, lock contention, membarrier)
// SPDX-License-Identifier: Apache-2.0
#include "kernel/sys.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <linux/membarrier.h>

#include "kernel/metrics.h"

__thread struct worker *sys_self_tls;
__thread uint32_t sys_depth_tls;
__thread const void *sys_serving_tls;
__thread struct SubTaskFrame *sys_task_frame_tls;
__thread const void *sys_trace_origin_tls;
__thread struct metrics_block *sys_metrics_tls;

// Sections under these locks are some tens of instructions, so a short spin usually sees the owner
// leave; on one core spinning is hopeless, hence so few rounds before sleeping.
enum { LOCK_SPINS = 64 };

void sys_lock_slow(struct weft_lock *lock) WEFT_TSA(no_thread_safety_analysis) {
    for (int i = 0; i < LOCK_SPINS; i++) {
        unsigned free_word = 0;
        if (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) == 0 &&
            __atomic_compare_exchange_n(&lock->word, &free_word, 1, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return;
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }
    while (__atomic_exchange_n(&lock->word, 2, __ATOMIC_ACQUIRE) != 0)
        sys_futex_wait(&lock->word, 2, SYS_FOREVER);
}

bool sys_lacks_pwait2;

int sys_epoll_wait_ms(int epfd, struct epoll_event *events, int max, uint64_t timeout_ns) {
    uint64_t ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
    return epoll_wait(epfd, events, max, ms > INT32_MAX ? INT32_MAX : (int)ms);
}

struct start_args {
    void (*run)(struct worker *);
    struct worker *arg;
    struct sys_thread *thread;
};

static void *thread_main(void *p) {
    struct start_args args = *(struct start_args *)p;
    free(p);
    __atomic_store_n(&args.thread->number, (uint32_t)syscall(SYS_gettid), __ATOMIC_RELAXED);
    args.run(args.arg);
    return NULL;
}

// Signals are for the program's own threads: whoever is started here inherits none.
static int start_thread(pthread_t *id, void *(*run)(void *), void *arg) {
    sigset_t all, old;
    int ret;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    ret = pthread_create(id, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (ret == 0)
        return 0;
    errno = ret;
    return -1;
}

int sys_thread_start(struct sys_thread *thread, void (*run)(struct worker *), struct worker *arg) {
    struct start_args *args = malloc(sizeof *args);
    pthread_t id;

    if (!args)
        return -1;
    args->run = run;
    args->arg = arg;
    args->thread = thread;
    thread->number = 0;
    if (start_thread(&id, thread_main, args) < 0) {
        int error = errno;
        free(args);
        errno = error;
        return -1;
    }
    thread->id = (uint64_t)id;
    return 0;
}

int sys_helper_start(void *(*run)(void *), void *arg) {
    pthread_t id;
    if (start_thread(&id, run, arg) < 0)
        return -1;
    pthread_detach(id);
    return 0;
}

void sys_thread_join(struct sys_thread thread) { pthread_join((pthread_t)thread.id, NULL); }

void sys_thread_detach(struct sys_thread thread) { pthread_detach((pthread_t)thread.id); }

// proc(5), /proc/[pid]/stat: the letter behind the name, which itself may hold any character.
static bool read_state(uint32_t number, char *state) {
    char path[48], text[128];
    const char *end;
    int fd;
    ssize_t n;
    snprintf(path, sizeof path, "/proc/self/task/%u/stat", number);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof text);
    close(fd);
    end = n > 0 ? memrchr(text, ')', (size_t)n) : NULL;
    if (!end || end + 2 >= text + n)
        return false;
    *state = end[2];
    return true;
}

bool sys_thread_look(const struct sys_thread *thread, struct sys_activity *activity) {
    uint32_t number = __atomic_load_n(&thread->number, __ATOMIC_RELAXED);
    clockid_t clock;
    struct timespec used;
    char state;
    if (number == 0 || pthread_getcpuclockid((pthread_t)thread->id, &clock) != 0 ||
        clock_gettime(clock, &used) < 0 || !read_state(number, &state))
        return false;
    activity->asleep = state != 'R';
    activity->cpu_ns = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
    return true;
}

uint64_t sys_preemptions(void) {
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) < 0 ? 0 : (uint64_t)usage.ru_nivcsw;
}

static pthread_key_t end_key;
static bool end_key_made;

static void thread_ends(void *block) { metrics_take_back(block); }

static void make_end_key(void) { end_key_made = pthread_key_create(&end_key, thread_ends) == 0; }

bool sys_at_thread_end(struct metrics_block *block) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    return pthread_once(&once, make_end_key) == 0 && end_key_made &&
           pthread_setspecific(end_key, block) == 0;
}

bool sys_membarrier_init(void) {
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void sys_membarrier(void) { syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0); }
