// Weft - the status page as it is sent
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_METRICS_STATUS_PAGE_H
#define WEFT_SRC_METRICS_STATUS_PAGE_H

#include <stddef.h>

namespace wf::detail {

// Self-contained; reads "json" below its own path.
extern const char status_page[];
extern const size_t status_page_size;

} // namespace wf::detail

#endif
