// Weft public header, room: protocol - C++20: framings: how a stream of bytes is cut into messages
// SPDX-License-Identifier: Apache-2.0
//
// A framing finds the messages in what a peer has sent, and says what to put around one that is
// sent. The four here serve most protocols that are not somebody else's; a message class of its own
// serves the rest (wf/channel.h, on_parsed). A framing keeps nothing of a connection, so any number
// of them share one. Any thread.
#ifndef WEFT_FRAMING_H
#define WEFT_FRAMING_H

#include <memory>
#include <stddef.h>
#include <stdint.h>
#include <string>
#include <string_view>

namespace wf {

// One message, as it stands in the bytes received.
struct Frame {
    std::string_view bytes; // what the message says, without what is around it
    uint64_t type = 0;      // where the framing knows types
    size_t size = 0;        // of all of it, with what is around it
};

// What stands around a message: at most so much.
struct Wrapping {
    char head[16];
    size_t head_size = 0;
    char tail[16];
    size_t tail_size = 0;
};

class Framing {
public:
    virtual ~Framing() = default;
    // Looks for the first message in `bytes`. 1: *frame is filled; 0: more is needed; -1 with
    // errno: this can be none (EMSGSIZE when it is longer than it may be, else EBADMSG). *seen is
    // the framing's: 0 for the first bytes of a message, and what it left there when it is called
    // again with more of them.
    virtual int cut(std::string_view bytes, size_t *seen, Frame *frame) const = 0;
    // What to put around a message of that size. -1 with errno: EMSGSIZE when it is longer than can
    // be said, EINVAL for a type that cannot be said.
    virtual int wrap(size_t size, uint64_t type, Wrapping *around) const = 0;
    // The peer has ended its sending behind these bytes, which are no message yet. True if they are
    // one now.
    virtual bool takes_rest() const { return false; }
};

// Whatever has come is a message.
std::shared_ptr<const Framing> raw_framing();

enum class ByteOrder { BIG, LITTLE };

struct LengthFraming {
    unsigned width = 4; // bytes of the length: 1, 2, 4 or 8
    ByteOrder order = ByteOrder::BIG;
    bool counts_itself = false;         // the length is that of the whole, itself included
    size_t max_size = 16 * 1024 * 1024; // of the bytes of a message
};

// A length in front of each message. NULL for a width that is none of those.
std::shared_ptr<const Framing> length_framing(const LengthFraming &format = {});

// Each message ends with these 1 to 16 bytes, which stand nowhere in it. Of a line that ends with
// "\n" a "\r" before it is no part. NULL for a delimiter of another length. What is sent is not
// searched for it.
std::shared_ptr<const Framing> delimiter_framing(const std::string &delimiter = "\n",
                                                 size_t max_size = 64 * 1024);

struct TlvFraming {
    unsigned type_width = 2;   // bytes: 1, 2, 4 or 8
    unsigned length_width = 4; // likewise
    ByteOrder order = ByteOrder::BIG;
    size_t max_size = 16 * 1024 * 1024;
};

// A type, a length and that many bytes. NULL for a width that is none of those.
std::shared_ptr<const Framing> tlv_framing(const TlvFraming &format = {});

} // namespace wf

#endif
