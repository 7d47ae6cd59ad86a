// Weft - base64 (RFC 4648 section 4)
// SPDX-License-Identifier: Apache-2.0
#include "util/base64.h"

#include <stdint.h>

namespace wf {

std::string base64_encode(const std::string &bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        size_t n = bytes.size() - i < 3 ? bytes.size() - i : 3;
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (size_t k = 0; k < 4; k++)
            text += k <= n ? digits[group >> (18 - 6 * k) & 63] : '=';
    }
    return text;
}

} // namespace wf
