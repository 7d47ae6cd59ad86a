// Weft public header, room: protocol - type, length, value: the simplest protocol of one's own
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_TLVMESSAGE_H
#define WEFT_TLVMESSAGE_H

#include "ProtocolMessage.h"
#include <stddef.h>
#include <stdint.h>
#include <string>
#include <utility>

namespace protocol {

// On the wire: type (4 bytes), length of the value (4 bytes), both big-endian, value. A length
// beyond the size limit fails with EMSGSIZE before any of the value is kept.
class TLVMessage : public ProtocolMessage {
public:
    int get_type() const { return this->type; }
    void set_type(int type_value) { this->type = type_value; }

    std::string *get_value() { return &this->value; }
    void set_value(std::string text) { this->value = std::move(text); }

protected:
    int encode(struct iovec vectors[], int max) override;
    int append(const void *buf, size_t *size) override;
    using ProtocolMessage::append;

    int type;
    std::string value;

private:
    unsigned char head_[8]; // as received so far, or as sent
    size_t head_received_;
    size_t value_left_;

public:
    TLVMessage() : type(0), head_received_(0), value_left_(0) {}
    TLVMessage(TLVMessage &&message) = default;
    TLVMessage &operator=(TLVMessage &&message) = default;
};

using TLVRequest = TLVMessage;
using TLVResponse = TLVMessage;

} // namespace protocol

#endif
