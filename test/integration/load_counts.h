// Weft - what a server under load has done, counted where its test can see it
// SPDX-License-Identifier: Apache-2.0
//
// Lies in a file that the test and all generations of the server have mapped, so it outlives each
// of them. Everybody adds; the test compares when all servers have ended.

#ifndef WEFT_TEST_INTEGRATION_LOAD_COUNTS_H
#define WEFT_TEST_INTEGRATION_LOAD_COUNTS_H

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

struct LoadCounts {
    std::atomic<long> generations; // Servers that have been started.
    std::atomic<long> begun;       // Requests of which the first byte was read,
    std::atomic<long> handled;     // and whose handler has run,
    std::atomic<long> replied;     // and whose answer went out,
    std::atomic<long> failed;      // or did not.
};

static_assert(std::atomic<long>::is_always_lock_free, "or it could not be shared by processes");

// Zeros at first; NULL when that cannot be had. Stays mapped until the process ends.
inline LoadCounts *map_counts(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *at = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, sizeof(LoadCounts)) == 0)
        at = mmap(nullptr, sizeof(LoadCounts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    return at == MAP_FAILED ? nullptr : static_cast<LoadCounts *>(at);
}

#endif
