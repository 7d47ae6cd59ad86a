// Weft - tutorial 16: what client and server agree on
// SPDX-License-Identifier: Apache-2.0
//
// Each message is a type of two bytes, a length of four, both big-endian, and that many bytes.

#ifndef WEFT_TUTORIAL_TLV_H
#define WEFT_TUTORIAL_TLV_H

#include <memory>

#include "workflow/wf/framing.h"

namespace tlv {

enum Type : uint64_t {
    ECHO = 1,  // is sent back as it is
    PING = 2,  // is answered with PONG and the same bytes
    PONG = 3,  // is not answered
    ERROR = 4, // in words; the sender ends the conversation behind it
};

inline std::shared_ptr<const wf::Framing> framing() {
    wf::TlvFraming format;
    format.max_size = 64 * 1024;
    return wf::tlv_framing(format);
}

} // namespace tlv

#endif
