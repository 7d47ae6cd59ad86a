// Weft - the descriptor that is kept back
// SPDX-License-Identifier: Apache-2.0
#include "kernel/reserve.h"

#include <errno.h>

namespace {

constexpr int LOST = -1; // also while it is in use
constexpr int UNAVAILABLE = -2;

struct weft_lock reserve_lock = {0};
int reserve = LOST; // written under the lock, read without it
size_t users;       // under the lock

void set(int fd) { __atomic_store_n(&reserve, fd, __ATOMIC_SEQ_CST); }

// With the lock.
void open_anew() {
    int fd = sys_open_reserve();
    set(fd >= 0 ? fd : DescriptorReserve::is_want(errno) ? LOST : UNAVAILABLE);
}

} // namespace

bool DescriptorReserve::is_want(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

void DescriptorReserve::add_user() {
    sys_lock(&reserve_lock);
    if (users++ == 0)
        open_anew();
    sys_unlock(&reserve_lock);
}

void DescriptorReserve::remove_user() {
    sys_lock(&reserve_lock);
    if (--users == 0 && reserve >= 0) {
        sys_close(reserve);
        set(LOST);
    }
    sys_unlock(&reserve_lock);
}

bool DescriptorReserve::allows() { return __atomic_load_n(&reserve, __ATOMIC_SEQ_CST) != LOST; }

bool DescriptorReserve::renew() {
    sys_lock(&reserve_lock);
    if (reserve == LOST)
        open_anew();
    bool there = reserve != LOST;
    sys_unlock(&reserve_lock);
    return there;
}

bool DescriptorReserve::refuse_one(int listen_fd) {
    bool refused = false;
    sys_lock(&reserve_lock);
    int fd = reserve;
    if (fd >= 0) {
        // Said before it is given up, so that whoever gets it in accepting sees that.
        set(LOST);
        sys_close(fd);
        int conn = sys_accept(listen_fd, nullptr, nullptr);
        if (conn >= 0) {
            sys_close(conn);
            refused = true;
        }
        open_anew();
    }
    refused = refused && reserve != LOST;
    sys_unlock(&reserve_lock);
    return refused;
}
