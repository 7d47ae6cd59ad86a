// Weft - the clock of the room nameservice, which tests may replace
// SPDX-License-Identifier: Apache-2.0
#include "nameservice/ns_clock.h"

#include <atomic>
#include <time.h>

namespace wf::detail {

namespace {

int64_t coarse_ms() {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

std::atomic<NsClock> current{coarse_ms};

} // namespace

int64_t ns_now_ms() { return current.load(std::memory_order_acquire)(); }

void ns_set_clock(NsClock clock) {
    current.store(clock ? clock : coarse_ms, std::memory_order_release);
}

} // namespace wf::detail
