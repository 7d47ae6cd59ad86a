// Weft - the last requests to HTTP servers that took long
// SPDX-License-Identifier: Apache-2.0
//
// Kept for the whole process, and a fixed number of them. A request that was fast costs one
// comparison.
#ifndef WEFT_SRC_FACTORY_SLOW_REQUESTS_H
#define WEFT_SRC_FACTORY_SLOW_REQUESTS_H

#include <atomic>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

namespace wf::detail {

constexpr size_t SLOW_REQUESTS = 64;

struct SlowRequest {
    char method[16]; // what is longer is cut
    char target[200];
    char status[4]; // of the answer; empty when there was none
    struct sockaddr_storage peer;
    uint64_t took; // ns, from the first byte to the answer
    int64_t ended; // ms since 1970
};

extern constinit std::atomic<uint64_t> slow_threshold; // ns

// `took` as CommSession::get_duration() has it.
inline bool is_slow(uint64_t took) {
    return took >= slow_threshold.load(std::memory_order_relaxed) && took != UINT64_MAX;
}

// Strings may be NULL. `ended` is filled in.
void keep_slow_request(const char *method, const char *target, const char *status,
                       const struct sockaddr *peer, socklen_t peer_length, uint64_t took);

// The latest first; returns how many.
size_t copy_slow_requests(SlowRequest *requests, size_t max);

} // namespace wf::detail

#endif
