// Weft - the base of all protocol messages, and of wrappers around them
// SPDX-License-Identifier: Apache-2.0
//
// A wrapper and its message know each other: calls for bytes go inwards, calls for the connection
// go outwards.

#include "workflow/ProtocolMessage.h"

namespace protocol {

int ProtocolMessage::encode(struct iovec[], int) {
    errno = ENOSYS;
    return -1;
}

int ProtocolMessage::append(const void *buf, size_t *size) { return this->append(buf, *size); }

int ProtocolMessage::append(const void *, size_t) {
    errno = ENOSYS;
    return -1;
}

int ProtocolMessage::feedback(const void *buf, size_t size) {
    return wrapper_ != nullptr ? wrapper_->feedback(buf, size) : CommMessageIn::feedback(buf, size);
}

void ProtocolMessage::renew() {
    if (wrapper_ != nullptr) {
        wrapper_->renew();
    } else {
        CommMessageIn::renew();
    }
}

void ProtocolMessage::head_begins() {
    if (wrapper_ != nullptr) {
        wrapper_->head_begins();
    } else {
        CommMessageIn::head_begins();
    }
}

void ProtocolMessage::head_complete() {
    if (wrapper_ != nullptr) {
        wrapper_->head_complete();
    } else {
        CommMessageIn::head_complete();
    }
}

ProtocolMessage::~ProtocolMessage() { delete attachment_; }

// The bases hold nothing but the link to a connection, which stays where it is.
ProtocolMessage::ProtocolMessage(ProtocolMessage &&message) noexcept
    : CommMessageOut(), CommMessageIn(), size_limit(message.size_limit),
      attachment_(message.attachment_), wrapper_(nullptr) {
    message.size_limit = static_cast<size_t>(-1);
    message.attachment_ = nullptr;
}

ProtocolMessage &ProtocolMessage::operator=(ProtocolMessage &&message) noexcept {
    if (this != &message) {
        this->size_limit = message.size_limit;
        message.size_limit = static_cast<size_t>(-1);
        delete attachment_;
        attachment_ = message.attachment_;
        message.attachment_ = nullptr;
    }
    return *this;
}

ProtocolWrapper::ProtocolWrapper(ProtocolMessage *msg) : message(nullptr) {
    this->set_message(msg);
}

ProtocolWrapper::~ProtocolWrapper() {
    // The message may be gone already, so it is not touched: whoever uses it again wraps it again.
}

ProtocolWrapper::ProtocolWrapper(ProtocolWrapper &&wrapper) noexcept
    : ProtocolMessage(std::move(wrapper)), message(nullptr) {
    this->set_message(wrapper.message);
    wrapper.message = nullptr;
}

ProtocolWrapper &ProtocolWrapper::operator=(ProtocolWrapper &&wrapper) noexcept {
    if (this != &wrapper) {
        this->ProtocolMessage::operator=(std::move(wrapper));
        this->set_message(wrapper.message);
        wrapper.message = nullptr;
    }
    return *this;
}

void ProtocolWrapper::set_message(ProtocolMessage *msg) {
    this->message = msg;
    if (msg != nullptr) {
        msg->wrapper_ = this;
    }
}

int ProtocolWrapper::encode(struct iovec vectors[], int max) {
    return this->message->encode(vectors, max);
}

int ProtocolWrapper::append(const void *buf, size_t *size) {
    return this->message->append(buf, size);
}

ProtocolMessage *ProtocolWrapper::inner() { return this->message->inner(); }

int ProtocolWrapper::finish() { return this->message->finish(); }

void ProtocolWrapper::abandon(int error) { this->message->abandon(error); }

} // namespace protocol
