// Weft - tutorial 10: a message that is one datagram
// SPDX-License-Identifier: Apache-2.0
//
// A datagram arrives whole or not at all, so there is nothing to cut or to put together.

#ifndef WEFT_TUTORIAL_DATAGRAM_H
#define WEFT_TUTORIAL_DATAGRAM_H

#include <string>

#include "workflow/ProtocolMessage.h"
#include "workflow/WFServer.h"
#include "workflow/WFTask.h"
#include "workflow/WFTaskFactory.h"

namespace datagram {

class Message : public protocol::ProtocolMessage {
public:
    Message() = default;
    Message(Message &&other) = default;
    Message &operator=(Message &&other) = default;

    std::string text;

private:
    int encode(struct iovec v[], int) override {
        v[0].iov_base = const_cast<char *>(text.data());
        v[0].iov_len = text.size();
        return 1;
    }

    int append(const void *buf, size_t *size) override {
        text.assign(static_cast<const char *>(buf), *size);
        return 1;
    }
};

typedef WFNetworkTask<Message, Message> Task;
typedef WFServer<Message, Message> Server;
typedef WFNetworkTaskFactory<Message, Message> Factory;

} // namespace datagram

#endif
