// Weft - makes each atomic operation of the simulated kernel a point, and its memory one that may fail
// SPDX-License-Identifier: Apache-2.0
//
// Put in front of every source of the kernel by the compiler's -include. A macro does not expand
// itself again, so each name below still means the built-in function. The standard headers come
// first: they take back what was defined before them.
#ifndef WEFT_TEST_SIM_ATOMIC_POINTS_H
#define WEFT_TEST_SIM_ATOMIC_POINTS_H

#ifdef __cplusplus
// The counts of std::shared_ptr are no points: the simulator has such pointers too, and the linker
// keeps one copy of their functions for both. <memory> itself would bring <atomic>, which is ours.
#include <bits/shared_ptr.h>
#include <cstdlib>
#include <string>
#endif
#include <stddef.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif
void sim_atomic_point(void);
void *sim_malloc(size_t size);
void *sim_calloc(size_t count, size_t size);
void *sim_realloc(void *old, size_t size);
#ifdef __cplusplus
}
#endif

#define malloc(size)        sim_malloc(size)
#define calloc(count, size) sim_calloc(count, size)
#define realloc(old, size)  sim_realloc(old, size)

#define __atomic_load_n(...)     (sim_atomic_point(), __atomic_load_n(__VA_ARGS__))
#define __atomic_store_n(...)    (sim_atomic_point(), __atomic_store_n(__VA_ARGS__))
#define __atomic_exchange_n(...) (sim_atomic_point(), __atomic_exchange_n(__VA_ARGS__))
#define __atomic_fetch_add(...)  (sim_atomic_point(), __atomic_fetch_add(__VA_ARGS__))
#define __atomic_fetch_sub(...)  (sim_atomic_point(), __atomic_fetch_sub(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) \
    (sim_atomic_point(), __atomic_compare_exchange_n(__VA_ARGS__))

#endif
