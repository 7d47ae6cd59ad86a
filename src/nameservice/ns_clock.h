// Weft - the clock of the room nameservice, which tests may replace
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_NAMESERVICE_NS_CLOCK_H
#define WEFT_SRC_NAMESERVICE_NS_CLOCK_H

#include <stdint.h>

namespace wf::detail {

typedef int64_t (*NsClock)();

// Milliseconds of the monotonic clock, to a few milliseconds. Any thread.
[[nodiscard]] int64_t ns_now_ms();

// Another clock for the whole process; NULL restores the real one. For tests. Any thread.
void ns_set_clock(NsClock clock);

} // namespace wf::detail

#endif
