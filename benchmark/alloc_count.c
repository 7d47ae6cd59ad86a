// Weft - counts heap allocations of a program it is preloaded into
// SPDX-License-Identifier: Apache-2.0
//
// LD_PRELOAD=liballoc_count.so WEFT_ALLOC_FILE=/path program
// The counts live in a page shared through that file, so that another process can read them at any
// moment, and so that forked workers add to the same ones. Without the variable nothing is counted.
// Any thread of the program may call in, also before main.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// The names under which glibc keeps its own allocator reachable, beside the ones replaced here.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *ptr, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

// What the reader of the file sees: two 64-bit numbers.
struct counts {
    uint64_t calls;
    uint64_t bytes;
};

static struct counts own; // where counts go until the file is mapped, and if there is none
static struct counts *counts = &own;

__attribute__((constructor)) static void map_counts(void) {
    const char *path = getenv("WEFT_ALLOC_FILE");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    void *page;

    if (fd < 0) {
        return;
    }
    if (ftruncate(fd, sizeof(struct counts)) == 0) {
        page = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED) {
            counts = page;
        }
    }
    close(fd);
}

static void count(size_t bytes) {
    __atomic_fetch_add(&counts->calls, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&counts->bytes, bytes, __ATOMIC_RELAXED);
}

void *malloc(size_t size) {
    count(size);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    count(n * size);
    return __libc_calloc(n, size);
}

void *realloc(void *ptr, size_t size) {
    count(size);
    return __libc_realloc(ptr, size);
}

void *memalign(size_t alignment, size_t size) {
    count(size);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **ptr, size_t alignment, size_t size) {
    void *got = memalign(alignment, size);

    if (!got) {
        return ENOMEM;
    }
    *ptr = got;
    return 0;
}
