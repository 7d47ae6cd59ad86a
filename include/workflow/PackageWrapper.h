// Weft public header, room: protocol - several messages sent or received as one
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_PACKAGEWRAPPER_H
#define WEFT_PACKAGEWRAPPER_H

#include "ProtocolMessage.h"
#include <stddef.h>
#include <utility>

namespace protocol {

// Sends messages one behind the other, or receives them so, in one session. Messages are borrowed.
class PackageWrapper : public ProtocolWrapper {
private:
    // `msg` was encoded or is complete: which one follows? NULL ends the package.
    virtual ProtocolMessage *next_out(ProtocolMessage *msg);
    virtual ProtocolMessage *next_in(ProtocolMessage *msg);

protected:
    // EOVERFLOW when fewer than eight vectors are left for a message.
    int encode(struct iovec vectors[], int max) override;

    // The receive timeouts begin anew with each message.
    int append(const void *buf, size_t *size) override;

public:
    PackageWrapper(ProtocolMessage *msg) : ProtocolWrapper(msg) {}
    PackageWrapper(PackageWrapper &&wrapper) = default;
    PackageWrapper &operator=(PackageWrapper &&wrapper) = default;
};

} // namespace protocol

#endif
