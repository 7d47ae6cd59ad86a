// Weft - the protocol that simulated programs and peers speak
// SPDX-License-Identifier: Apache-2.0
#include "frame.h"

#include <algorithm>
#include <string.h>

namespace sim {

namespace {

constexpr uint32_t MOST_BODY = 1u << 20;

char pattern(uint32_t id, size_t place) {
    return static_cast<char>((id * 2654435761u + static_cast<uint32_t>(place) * 40503u) >> 8);
}

} // namespace

std::string make_frame(FrameKind kind, uint32_t id, size_t size, size_t want, unsigned flags) {
    FrameHead head = {{'W', 'F'},
                      kind,
                      static_cast<uint8_t>(flags),
                      id,
                      static_cast<uint32_t>(size),
                      static_cast<uint32_t>(want)};
    std::string frame(FRAME_HEAD + size, '\0');
    memcpy(frame.data(), &head, FRAME_HEAD);
    for (size_t i = 0; i < size; i++)
        frame[FRAME_HEAD + i] = pattern(id, i);
    return frame;
}

int FrameParser::feed(const char *bytes, size_t size, size_t *used) {
    *used = 0;
    if (taken_ < FRAME_HEAD) {
        size_t n = std::min(FRAME_HEAD - taken_, size);
        memcpy(reinterpret_cast<char *>(&head) + taken_, bytes, n);
        taken_ += n;
        *used = n;
        if (taken_ >= 2 && (head.magic[0] != 'W' || head.magic[1] != 'F'))
            return this->fail("no frame begins here");
        if (taken_ < FRAME_HEAD)
            return 0;
        if (head.size > MOST_BODY || !strchr("QAPR", head.kind))
            return this->fail("the head of a frame is wrong");
    }
    size_t begin = taken_ - FRAME_HEAD;
    size_t n = std::min(head.size - begin, size - *used);
    for (size_t i = 0; i < n; i++) {
        if (bytes[*used + i] != pattern(head.id, begin + i))
            return this->fail("a byte of a frame's body is wrong");
    }
    *used += n;
    taken_ += n;
    return taken_ == FRAME_HEAD + head.size ? 1 : 0;
}

} // namespace sim
