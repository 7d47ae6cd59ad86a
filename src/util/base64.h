// Weft - base64 (RFC 4648 section 4)
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_UTIL_BASE64_H
#define WEFT_SRC_UTIL_BASE64_H

#include <string>

namespace wf {

// Always padded, without line ends.
[[nodiscard]] std::string base64_encode(const std::string &bytes);

} // namespace wf

#endif
