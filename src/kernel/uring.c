// Weft - uring: the two queues shared with the system, io_uring(7), and nothing above them
// SPDX-License-Identifier: Apache-2.0
#include "kernel/uring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/sys_file.h"

// One map for both queues; no answer is ever dropped; vectors may go once handed over; offset -1 is
// the file's position; and what would wait for a pipe does not hold a thread of the system.
static const uint32_t features_needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP |
                                        IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_RW_CUR_POS |
                                        IORING_FEAT_FAST_POLL;
static const uint8_t ops_needed[] = {IORING_OP_READ,   IORING_OP_WRITE, IORING_OP_READV,
                                     IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_ASYNC_CANCEL};

enum { PROBED = 64 };

bool uring_suffices(uint32_t features, const struct io_uring_probe *probe) {
    if ((features & features_needed) != features_needed)
        return false;
    for (size_t i = 0; i < sizeof ops_needed; i++) {
        uint8_t op = ops_needed[i];
        if (op >= probe->ops_len || !(probe->ops[op].flags & IO_URING_OP_SUPPORTED))
            return false;
    }
    return true;
}

static int check_abilities(const struct uring *ring, uint32_t features) {
    struct io_uring_probe *probe =
        calloc(1, sizeof *probe + PROBED * sizeof(struct io_uring_probe_op));
    if (!probe)
        return -1;
    int ret = sys_uring_register(ring->fd, IORING_REGISTER_PROBE, probe, PROBED);
    if (ret < 0 || !uring_suffices(features, probe)) {
        errno = ENOSYS;
        ret = -1;
    }
    free(probe);
    return ret;
}

static int map_queues(struct uring *ring, const struct io_uring_params *p) {
    size_t sq_size = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
    size_t cq_size = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    ring->map_size = sq_size > cq_size ? sq_size : cq_size;
    ring->sqes_size = p->sq_entries * sizeof(struct io_uring_sqe);
    ring->map = sys_uring_map(ring->fd, ring->map_size, IORING_OFF_SQ_RING);
    ring->sqes = sys_uring_map(ring->fd, ring->sqes_size, IORING_OFF_SQES);
    if (!ring->map || !ring->sqes)
        return -1;
    char *base = ring->map;
    ring->sq_head = (uint32_t *)(void *)(base + p->sq_off.head);
    ring->sq_tail = (uint32_t *)(void *)(base + p->sq_off.tail);
    ring->sq_flags = (uint32_t *)(void *)(base + p->sq_off.flags);
    ring->sq_mask = *(uint32_t *)(void *)(base + p->sq_off.ring_mask);
    ring->sq_entries = p->sq_entries;
    ring->sq_next = *ring->sq_tail;
    ring->cq_head = (uint32_t *)(void *)(base + p->cq_off.head);
    ring->cq_tail = (uint32_t *)(void *)(base + p->cq_off.tail);
    ring->cq_mask = *(uint32_t *)(void *)(base + p->cq_off.ring_mask);
    ring->cqes = (struct io_uring_cqe *)(void *)(base + p->cq_off.cqes);
    ring->capacity = p->cq_entries;
    // The array between tail and entries could reorder them; ours stands still.
    uint32_t *array = (uint32_t *)(void *)(base + p->sq_off.array);
    for (uint32_t i = 0; i < p->sq_entries; i++)
        array[i] = i;
    return 0;
}

int uring_init(struct uring *ring, unsigned entries, unsigned answers) {
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    memset(ring, 0, sizeof *ring);
    params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = answers > entries ? answers : entries;
    ring->fd = sys_uring_setup(entries, &params);
    if (ring->fd < 0)
        return -1;
    if (check_abilities(ring, params.features) == 0 && map_queues(ring, &params) == 0)
        return 0;
    int error = errno;
    uring_destroy(ring);
    errno = error;
    return -1;
}

void uring_destroy(struct uring *ring) {
    sys_uring_unmap(ring->sqes, ring->sqes_size);
    sys_uring_unmap(ring->map, ring->map_size);
    sys_file_close(ring->fd);
}

struct io_uring_sqe *uring_get(struct uring *ring) {
    uint32_t head = __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE);
    if (ring->sq_next - head >= ring->sq_entries)
        return NULL;
    struct io_uring_sqe *sqe = &ring->sqes[ring->sq_next++ & ring->sq_mask];
    memset(sqe, 0, sizeof *sqe);
    return sqe;
}

int uring_submit(struct uring *ring) {
    __atomic_store_n(ring->sq_tail, ring->sq_next, __ATOMIC_RELEASE);
    uint32_t waiting = ring->sq_next - __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE);
    // The system keeps answers that had no room, and gives them when it is entered for answers.
    uint32_t flags = __atomic_load_n(ring->sq_flags, __ATOMIC_RELAXED);
    bool overflown = (flags & IORING_SQ_CQ_OVERFLOW) != 0;
    if (waiting == 0 && !overflown)
        return 0;
    int taken = sys_uring_enter(ring->fd, waiting, overflown ? IORING_ENTER_GETEVENTS : 0);
    return taken < 0 ? -1 : (int)waiting - taken;
}

const struct io_uring_cqe *uring_peek(const struct uring *ring) {
    uint32_t tail = __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE);
    uint32_t head = *ring->cq_head;
    return head == tail ? NULL : &ring->cqes[head & ring->cq_mask];
}
