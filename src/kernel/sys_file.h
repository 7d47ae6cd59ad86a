// Weft - the seam between the kernel and the system, for files: thin inline wrappers
// SPDX-License-Identifier: Apache-2.0
//
// Apart from sys.h, because files are never simulated: the simulated kernel is built without those
// who include this header. Failing calls return -1 and set errno.
#ifndef WEFT_SRC_KERNEL_SYS_FILE_H
#define WEFT_SRC_KERNEL_SYS_FILE_H

#include <fcntl.h>
#include <linux/io_uring.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline int sys_file_flags(int fd) { return fcntl(fd, F_GETFL); }
static inline int sys_file_close(int fd) { return close(fd); }

static inline ssize_t sys_file_readv(int fd, const struct iovec *iov, int count, off_t offset) {
    return offset == -1 ? readv(fd, iov, count) : preadv(fd, iov, count, offset);
}
static inline ssize_t sys_file_writev(int fd, const struct iovec *iov, int count, off_t offset) {
    return offset == -1 ? writev(fd, iov, count) : pwritev(fd, iov, count, offset);
}
static inline int sys_file_sync(int fd, int data_only) {
    return data_only ? fdatasync(fd) : fsync(fd);
}

static inline int sys_uring_setup(unsigned entries, struct io_uring_params *params) {
    return (int)syscall(SYS_io_uring_setup, entries, params);
}
static inline int sys_uring_enter(int fd, unsigned to_submit, unsigned flags) {
    return (int)syscall(SYS_io_uring_enter, fd, to_submit, 0, flags, NULL, 0);
}
static inline int sys_uring_register(int fd, unsigned opcode, void *arg, unsigned count) {
    return (int)syscall(SYS_io_uring_register, fd, opcode, arg, count);
}
// Memory of a ring; NULL when it cannot be had.
static inline void *sys_uring_map(int fd, size_t size, uint64_t offset) {
    void *place =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);
    return place == MAP_FAILED ? NULL : place;
}
static inline void sys_uring_unmap(void *place, size_t size) {
    if (place)
        munmap(place, size);
}

#ifdef __cplusplus
}
#endif

#endif
