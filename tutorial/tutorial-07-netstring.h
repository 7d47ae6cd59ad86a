// Weft - tutorial 07: netstrings, a protocol of our own
// SPDX-License-Identifier: Apache-2.0
//
// A netstring is "<length in decimal>:<bytes>,". One message is one netstring, in both
// directions. Owner: whoever holds the task. append() is called by the worker that reads the
// connection, encode() by the one that sends; never both at once for one message.

#ifndef WEFT_TUTORIAL_NETSTRING_H
#define WEFT_TUTORIAL_NETSTRING_H

#include <string>

#include "workflow/ProtocolMessage.h"
#include "workflow/WFServer.h"
#include "workflow/WFTask.h"
#include "workflow/WFTaskFactory.h"

namespace netstring {

class Message : public protocol::ProtocolMessage {
public:
    Message() : stage_(LENGTH), length_(0), digits_(0) {}

    // Moving is what retries need: the library makes a fresh response in place.
    Message(Message &&other) = default;
    Message &operator=(Message &&other) = default;

    const std::string &text() const { return text_; }
    void set_text(const std::string &text) { text_ = text; }

private:
    // Fills v with the bytes to send; they must stay valid until they are sent, which is why
    // the head is a member. Returns the number of vectors used.
    int encode(struct iovec v[], int max) override;

    // Eats received bytes. Returns 1 when the message is complete, 0 when more is needed, -1
    // with errno when it is broken. *size says how much there is, and then how much was eaten:
    // what follows the comma belongs to the next message and stays where it is.
    int append(const void *buf, size_t *size) override;

    // True while the byte is fine; errno tells what was wrong.
    bool take_length(char byte);

    enum Stage { LENGTH, BYTES, COMMA };

    std::string head_;
    std::string text_;
    Stage stage_;
    size_t length_;
    int digits_;
};

typedef Message Request;
typedef Message Response;

typedef WFNetworkTask<Request, Response> Task;
typedef WFServer<Request, Response> Server;
typedef WFNetworkTaskFactory<Request, Response> Factory;

} // namespace netstring

#endif
