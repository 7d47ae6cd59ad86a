// Weft - what the tasks of WFAlgoTaskFactory need that does not depend on their types
// SPDX-License-Identifier: Apache-2.0
#include "workflow/WFAlgoTaskFactory.h"

#include <random>
#include <unistd.h>

#include "workflow/detail/settings.h"

namespace wf::detail {

size_t sort_piece(size_t n) {
    constexpr size_t PIECES_EACH = 8, LEAST = 4096;
    long threads = runtime_settings()->compute_threads;
    if (threads < 0)
        threads = sysconf(_SC_NPROCESSORS_ONLN);
    if (threads <= 1)
        return n;
    size_t size = n / (static_cast<size_t>(threads) * PIECES_EACH);
    return size > LEAST ? size : LEAST;
}

unsigned long long shuffle_seed() {
    std::random_device device;
    return static_cast<unsigned long long>(device()) << 32 | device();
}

} // namespace wf::detail
