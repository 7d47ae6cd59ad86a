// Weft - uring: the two queues shared with the system, io_uring(7), and nothing above them
// SPDX-License-Identifier: Apache-2.0
//
// Owned by whoever embeds it, who lets one thread at a time in; any thread will do. Requests are
// written into entries got from uring_get(), handed over by uring_submit(), and answered in any
// order by entries seen in uring_peek(). Who keeps the number of unanswered requests at or below
// `capacity` never loses an answer nor waits for room.
//
// Written against the system's interface and not against liburing: old programs that link the
// static library by hand name no further library.
#ifndef WEFT_SRC_KERNEL_URING_H
#define WEFT_SRC_KERNEL_URING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uring {
    int fd;
    unsigned capacity; // answers that there is room for
    // Requests: we write the tail, the system the head.
    uint32_t *sq_head, *sq_tail, *sq_flags;
    uint32_t sq_mask, sq_entries;
    uint32_t sq_next; // our tail, of which the system has seen *sq_tail
    struct io_uring_sqe *sqes;
    // Answers: the other way round.
    uint32_t *cq_head, *cq_tail;
    uint32_t cq_mask;
    struct io_uring_cqe *cqes;
    void *map; // both queues
    size_t map_size, sqes_size;
};

// -1 with errno, among others when the system's io_uring cannot do all that files need (ENOSYS).
int uring_init(struct uring *ring, unsigned entries, unsigned answers);
void uring_destroy(struct uring *ring);
// Whether a system with these features and operations will do.
bool uring_suffices(uint32_t features, const struct io_uring_probe *probe);

// An entry to fill in, all zero; NULL when there is none until the next submit.
struct io_uring_sqe *uring_get(struct uring *ring);
// Hands over what was filled in. How many the system did not take yet, which a further call hands
// over, or -1 with errno: EAGAIN, EBUSY, EINTR are for the moment only.
int uring_submit(struct uring *ring);
// The next answer, or NULL; uring_seen() lets it go.
const struct io_uring_cqe *uring_peek(const struct uring *ring);
static inline void uring_seen(struct uring *ring) {
    __atomic_store_n(ring->cq_head, *ring->cq_head + 1, __ATOMIC_RELEASE);
}

#ifdef __cplusplus
}
#endif

#endif
