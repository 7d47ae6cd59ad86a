// Weft - several messages sent or received as one
// SPDX-License-Identifier: Apache-2.0
//
// All bytes at hand are given to the messages in turn, so nothing is left over unless the package
// is complete.

#include "workflow/PackageWrapper.h"

namespace protocol {

namespace {
// A message may need several vectors; with fewer than this the rest would not fit anyway.
constexpr int kVectorsLeft = 8;
} // namespace

ProtocolMessage *PackageWrapper::next_out(ProtocolMessage *) { return nullptr; }

ProtocolMessage *PackageWrapper::next_in(ProtocolMessage *) { return nullptr; }

int PackageWrapper::encode(struct iovec vectors[], int max) {
    int total = 0;
    while (this->message != nullptr) {
        if (max - total < kVectorsLeft) {
            errno = EOVERFLOW;
            return -1;
        }
        const int count = encode_message(this->message, vectors + total, max - total);
        if (count < 0 || count > max - total) {
            return count < 0 ? count : max + 1;
        }
        total += count;
        ProtocolMessage *next = this->next_out(this->message);
        if (next == nullptr) {
            break;
        }
        this->set_message(next);
    }
    return total;
}

int PackageWrapper::append(const void *buf, size_t *size) {
    const char *pos = static_cast<const char *>(buf);
    const size_t avail = *size;
    size_t used = 0;
    for (;;) {
        size_t n = avail - used;
        const int ret = append_message(this->message, pos + used, &n);
        used += n;
        *size = used;
        if (ret <= 0) {
            return ret;
        }
        ProtocolMessage *next = this->next_in(this->message);
        if (next == nullptr) {
            return 1;
        }
        this->set_message(next);
        this->renew();
        if (used == avail) {
            return 0;
        }
    }
}

} // namespace protocol
