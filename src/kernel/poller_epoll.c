// Weft - the event back end of a poller on epoll(7)
// SPDX-License-Identifier: Apache-2.0
#include "kernel/poller_backend.h"

static int epoll_init(struct weft_poller *poller) {
    poller->backend_fd = sys_epoll_create();
    return poller->backend_fd < 0 ? -1 : 0;
}

static void epoll_destroy(struct weft_poller *poller) { sys_close(poller->backend_fd); }

static int epoll_add(struct weft_poller *poller, int fd, uint32_t events, uint64_t name) {
    return sys_epoll_ctl(poller->backend_fd, EPOLL_CTL_ADD, fd, events, name);
}

static int epoll_modify(struct weft_poller *poller, int fd, uint32_t events, uint64_t name) {
    return sys_epoll_ctl(poller->backend_fd, EPOLL_CTL_MOD, fd, events, name);
}

static void epoll_remove(struct weft_poller *poller, int fd) {
    sys_epoll_ctl(poller->backend_fd, EPOLL_CTL_DEL, fd, 0, 0);
}

static int epoll_wait_batch(struct weft_poller *poller, uint64_t timeout) {
    return sys_epoll_wait(poller->backend_fd, poller->batch, POLLER_BATCH, timeout);
}

const struct poller_backend poller_epoll = {
    epoll_init, epoll_destroy, epoll_add, epoll_modify, epoll_remove, epoll_wait_batch,
};
