// Weft - the protocol that simulated programs and peers speak
// SPDX-License-Identifier: Apache-2.0
//
// A frame is a head of 16 bytes and a body whose every byte follows from the frame's id and its
// place, so that a byte that is lost, doubled or another's is seen at once.
#ifndef WEFT_TEST_SIM_FRAME_H
#define WEFT_TEST_SIM_FRAME_H

#include <stdint.h>
#include <string>

namespace sim {

enum FrameKind : uint8_t {
    REQUEST = 'Q',
    ANSWER = 'A',
    PUSHED = 'P',  // belongs to no request; skipped by whoever receives it
    REJECTED = 'R' // the last word of a server that gives a request up
};

enum FrameFlag : uint8_t {
    UNTIL_CLOSE = 1, // the body ends with the connection, at `size` bytes or before
    CLOSE_AFTER = 2, // of a request: the answer shall be the last
    UPGRADE = 4,     // of a request: behind the answer the connection shall be a channel
};

struct FrameHead {
    uint8_t magic[2];
    uint8_t kind;
    uint8_t flags;
    uint32_t id;
    uint32_t size; // of the body
    uint32_t want; // of a request: the size of the answer's body
};

constexpr size_t FRAME_HEAD = sizeof(FrameHead);
static_assert(FRAME_HEAD == 16);

std::string make_frame(FrameKind kind, uint32_t id, size_t size, size_t want, unsigned flags);

class FrameParser {
public:
    // Takes bytes; *used says how many. 1: the frame is complete. 0: more is needed. -1: these are
    // no frame.
    int feed(const char *bytes, size_t size, size_t *used);
    // True if a connection that ends here makes it complete.
    bool may_end() const { return taken_ >= FRAME_HEAD && (head.flags & UNTIL_CLOSE); }
    bool has_begun() const { return taken_ > 0; }
    bool has_head() const { return taken_ >= FRAME_HEAD; }
    void reset() { taken_ = 0; }

    FrameHead head = {};
    const char *wrong = nullptr; // what was wrong with the frame

private:
    int fail(const char *why) {
        wrong = why;
        return -1;
    }
    size_t taken_ = 0;
};

} // namespace sim

#endif
