// Weft - the ring of slow requests
// SPDX-License-Identifier: Apache-2.0
#include "factory/slow_requests.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string.h>

namespace wf::detail {

constinit std::atomic<uint64_t> slow_threshold{100'000'000};

namespace {

constinit std::mutex mutex;
SlowRequest ring[SLOW_REQUESTS]; // under the mutex
size_t kept;                     // in all

template <size_t N>
void copy(char (&to)[N], const char *from) {
    size_t size = from ? strnlen(from, N - 1) : 0;
    if (size > 0)
        memcpy(to, from, size);
    to[size] = '\0';
}

} // namespace

void keep_slow_request(const char *method, const char *target, const char *status,
                       const struct sockaddr *peer, socklen_t peer_length, uint64_t took) {
    auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    std::lock_guard<std::mutex> lock(mutex);
    SlowRequest *request = &ring[kept++ % SLOW_REQUESTS];
    copy(request->method, method);
    copy(request->target, target);
    copy(request->status, status);
    request->peer = {};
    memcpy(&request->peer, peer, std::min<size_t>(peer_length, sizeof request->peer));
    request->took = took;
    request->ended = std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count();
}

size_t copy_slow_requests(SlowRequest *requests, size_t max) {
    std::lock_guard<std::mutex> lock(mutex);
    size_t count = std::min({max, kept, SLOW_REQUESTS});
    for (size_t i = 0; i < count; i++)
        requests[i] = ring[(kept - 1 - i) % SLOW_REQUESTS];
    return count;
}

} // namespace wf::detail
