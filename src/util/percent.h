// Weft - percent-decoding that leaves a plus sign alone
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_UTIL_PERCENT_H
#define WEFT_SRC_UTIL_PERCENT_H

#include <string>

namespace wf {

// In place: %XX becomes a byte; what is no such triplet stays. RFC 3986 section 2.1. (A plus sign
// stands for a blank only in forms, see StringUtil::url_decode.)
void percent_decode(std::string &str);

} // namespace wf

#endif
