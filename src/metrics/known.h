// Weft - the words for what the kernel numbers
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_METRICS_KNOWN_H
#define WEFT_SRC_METRICS_KNOWN_H

namespace wf::detail {

const char *close_reason_name(unsigned reason); // of CommCloseReason
const char *connection_side(unsigned state);    // of CommConnEntry::State

} // namespace wf::detail

#endif
