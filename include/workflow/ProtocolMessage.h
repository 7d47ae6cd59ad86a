// Weft public header, room: protocol - the base of all protocol messages, and of wrappers around them
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_PROTOCOLMESSAGE_H
#define WEFT_PROTOCOLMESSAGE_H

#include "Communicator.h"
#include <errno.h>
#include <stddef.h>
#include <sys/uio.h>
#include <utility>

namespace protocol {

// Bytes to meaning and back. A message of one's own overrides encode() and exactly one of the two
// append(). One thread at a time uses a message; append() and encode() are called by workers of the
// engine.
class ProtocolMessage : public CommMessageOut, public CommMessageIn {
protected:
    // Fills at most `max` vectors, whose bytes stay valid until the message is sent. The number
    // filled, or -1 with errno. Here: ENOSYS.
    int encode(struct iovec vectors[], int max) override;

    // Takes received bytes; *size becomes the number consumed. 1: complete, 0: more needed, -1 with
    // errno. Here: passes all to the next.
    int append(const void *buf, size_t *size) override;

    // The simple form, which consumes all. Here: ENOSYS.
    virtual int append(const void *buf, size_t size);

public:
    // The largest message this one will become by append(), in bytes; each message enforces it with
    // EMSGSIZE.
    void set_size_limit(size_t limit) { this->size_limit = limit; }
    size_t get_size_limit() const { return this->size_limit; }

    // Anything that shall live as long as the message, which deletes it.
    class Attachment {
    public:
        virtual ~Attachment() {}
    };

    // Does not delete the one before.
    void set_attachment(Attachment *att) { this->attachment_ = att; }
    Attachment *get_attachment() { return this->attachment_; }
    const Attachment *get_attachment() const { return this->attachment_; }

protected:
    // These go through the wrapper, if there is one: only the outermost message is known to the
    // connection.
    int feedback(const void *buf, size_t size) override;
    void renew() override;
    void head_begins();
    void head_complete();

    ProtocolMessage *inner() override { return this; }

    // The peer has ended its sending: 1 if that completes the message.
    int finish() override { return 0; }

    // The incomplete message is about to be given up; a last answer may be sent by feedback().
    void abandon(int error) override { (void)error; }

    size_t size_limit;

private:
    Attachment *attachment_;
    ProtocolMessage *wrapper_;

public:
    ProtocolMessage() : size_limit((size_t)-1), attachment_(NULL), wrapper_(NULL) {}
    ~ProtocolMessage() override;

    // Limit and attachment move; a wrapper stays with the message it wraps.
    ProtocolMessage(ProtocolMessage &&message) noexcept;
    ProtocolMessage &operator=(ProtocolMessage &&message) noexcept;

    ProtocolMessage(const ProtocolMessage &) = delete;
    ProtocolMessage &operator=(const ProtocolMessage &) = delete;

    friend class ProtocolWrapper;
};

// A message that stands for another, and may change its bytes on the way. The wrapped message is
// borrowed.
class ProtocolWrapper : public ProtocolMessage {
protected:
    int encode(struct iovec vectors[], int max) override;
    int append(const void *buf, size_t *size) override;
    ProtocolMessage *inner() override;
    int finish() override;
    void abandon(int error) override;

    // From now on this is wrapped.
    void set_message(ProtocolMessage *msg);

    // For derived wrappers: what the wrapped message itself does.
    static int encode_message(ProtocolMessage *msg, struct iovec vectors[], int max) {
        return msg->encode(vectors, max);
    }

    static int append_message(ProtocolMessage *msg, const void *buf, size_t *size) {
        return msg->append(buf, size);
    }

    ProtocolMessage *message;

public:
    ProtocolWrapper(ProtocolMessage *msg);
    ~ProtocolWrapper() override;
    ProtocolWrapper(ProtocolWrapper &&wrapper) noexcept;
    ProtocolWrapper &operator=(ProtocolWrapper &&wrapper) noexcept;
};

} // namespace protocol

#endif
