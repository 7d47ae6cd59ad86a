// Weft - waiting for a fact that nobody announces
// SPDX-License-Identifier: Apache-2.0
//
// Some facts can only be looked at (a counter of the server, the state of a process). This looks
// often and gives up late; a test that can be told by an event must not use it.

#ifndef WEFT_TEST_INTEGRATION_PATIENCE_H
#define WEFT_TEST_INTEGRATION_PATIENCE_H

#include <poll.h>

#include <chrono>

template <class Predicate>
bool eventually(Predicate holds, int limit_ms = 20000) {
    auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
    while (!holds()) {
        if (std::chrono::steady_clock::now() > limit)
            return false;
        poll(nullptr, 0, 1);
    }
    return true;
}

#endif
