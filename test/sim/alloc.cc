// Weft - counting allocations: after a run as many blocks are alive as before it; and failing them
// SPDX-License-Identifier: Apache-2.0
//
// The kernel's own calls of malloc lead through sim_malloc (atomic_points.h) and fail as drawn, and
// so does operator new where it may, which only the kernel asks.
//
// The linker's --wrap leads malloc and free through here, and operator new too ends there. Under
// AddressSanitizer, which has its own leak check, none of this is linked.
#include <errno.h>
#include <new>
#include <stdlib.h>

#include "program.h"

namespace {

bool is_refused() { return sim::world && sim::world->rng.ppm(sim::world->tuning.alloc_error); }

void *refuse() {
    sim::world->trace("memory is refused");
    errno = ENOMEM;
    return nullptr;
}

} // namespace

extern "C" {

void *sim_malloc(size_t size);
void *sim_calloc(size_t count, size_t size);
void *sim_realloc(void *old, size_t size);

void *sim_malloc(size_t size) { return is_refused() ? refuse() : malloc(size); }
void *sim_calloc(size_t count, size_t size) {
    return is_refused() ? refuse() : calloc(count, size);
}
void *sim_realloc(void *old, size_t size) { return is_refused() ? refuse() : realloc(old, size); }

} // extern "C"

#ifdef SIM_COUNT_BLOCKS

namespace {

long alive;

} // namespace

extern "C" {

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *p);

void *__wrap_malloc(size_t size) {
    void *p = __real_malloc(size);
    alive += p ? 1 : 0;
    return p;
}

void *__wrap_calloc(size_t count, size_t size) {
    void *p = __real_calloc(count, size);
    alive += p ? 1 : 0;
    return p;
}

void *__wrap_realloc(void *old, size_t size) {
    void *p = __real_realloc(old, size);
    alive += p && !old ? 1 : 0;
    return p;
}

void __wrap_free(void *p) {
    alive -= p ? 1 : 0;
    __real_free(p);
}

} // extern "C"

namespace {

void *take(size_t size) {
    void *p = __wrap_malloc(size ? size : 1);
    if (!p)
        abort();
    return p;
}

} // namespace

void *operator new(size_t size) { return take(size); }
void *operator new[](size_t size) { return take(size); }
void *operator new(size_t size, const std::nothrow_t &) noexcept {
    return is_refused() ? refuse() : take(size);
}
void *operator new[](size_t size, const std::nothrow_t &) noexcept { return take(size); }
void operator delete(void *p) noexcept { __wrap_free(p); }
void operator delete[](void *p) noexcept { __wrap_free(p); }
void operator delete(void *p, size_t) noexcept { __wrap_free(p); }
void operator delete[](void *p, size_t) noexcept { __wrap_free(p); }

long sim::live_blocks() { return alive; }

#else

long sim::live_blocks() { return 0; }

#endif
