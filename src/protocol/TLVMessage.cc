// Weft - type, length, value: the simplest protocol of one's own
// SPDX-License-Identifier: Apache-2.0

#include "workflow/TLVMessage.h"

#include <arpa/inet.h>
#include <string.h>

namespace protocol {

namespace {

uint32_t read_u32(const unsigned char *from) {
    uint32_t big;
    memcpy(&big, from, sizeof big);
    return ntohl(big);
}

void write_u32(unsigned char *to, uint32_t number) {
    const uint32_t big = htonl(number);
    memcpy(to, &big, sizeof big);
}

} // namespace

int TLVMessage::encode(struct iovec vectors[], int max) {
    if (max < 2 || this->value.size() > UINT32_MAX) {
        errno = EOVERFLOW;
        return -1;
    }
    write_u32(head_, static_cast<uint32_t>(this->type));
    write_u32(head_ + 4, static_cast<uint32_t>(this->value.size()));
    vectors[0].iov_base = head_;
    vectors[0].iov_len = sizeof head_;
    if (this->value.empty()) {
        return 1;
    }
    vectors[1].iov_base = &this->value[0];
    vectors[1].iov_len = this->value.size();
    return 2;
}

int TLVMessage::append(const void *buf, size_t *size) {
    const char *pos = static_cast<const char *>(buf);
    size_t left = *size;
    if (head_received_ < sizeof head_) {
        const size_t missing = sizeof head_ - head_received_;
        const size_t take = left < missing ? left : missing;
        memcpy(head_ + head_received_, pos, take);
        head_received_ += take;
        pos += take;
        left -= take;
        if (head_received_ < sizeof head_) {
            return 0;
        }
        this->type = static_cast<int>(read_u32(head_));
        value_left_ = read_u32(head_ + 4);
        this->value.clear();
        if (value_left_ > this->size_limit) {
            errno = EMSGSIZE;
            return -1;
        }
    }
    // The string grows with what comes, never with what was merely announced.
    const size_t take = left < value_left_ ? left : value_left_;
    this->value.append(pos, take);
    value_left_ -= take;
    *size -= left - take;
    return value_left_ == 0 ? 1 : 0;
}

} // namespace protocol
