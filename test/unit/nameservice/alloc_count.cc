// Weft - an operator new that counts, for tests that something allocates nothing
// SPDX-License-Identifier: Apache-2.0
#include <new>
#include <stdlib.h>

#include "unit/nameservice/ns_engine.h"

namespace {

thread_local size_t allocations;

} // namespace

size_t allocations_of_this_thread() { return allocations; }

void *operator new(size_t size, const std::nothrow_t &) noexcept {
    allocations++;
    return malloc(size);
}

void *operator new(size_t size) {
    void *block = operator new(size, std::nothrow);
    if (!block)
        abort();
    return block;
}

void operator delete(void *block) noexcept { free(block); }
void operator delete(void *block, size_t) noexcept { free(block); }
void operator delete(void *block, const std::nothrow_t &) noexcept { free(block); }
