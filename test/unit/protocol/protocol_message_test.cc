// Weft - the base of messages, and wrappers
// SPDX-License-Identifier: Apache-2.0

#include "workflow/ProtocolMessage.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace {

using protocol::ProtocolMessage;
using protocol::ProtocolWrapper;

// Everything protected, made visible.
class Plain : public ProtocolMessage {
public:
    using ProtocolMessage::abandon;
    using ProtocolMessage::append;
    using ProtocolMessage::encode;
    using ProtocolMessage::feedback;
    using ProtocolMessage::finish;
    using ProtocolMessage::inner;
    using ProtocolMessage::renew;
};

// A message of a user: the simple append, which consumes all.
class Word : public Plain {
public:
    std::string text;
    int abandoned = 0;

protected:
    int append(const void *buf, size_t size) override {
        text.append(static_cast<const char *>(buf), size);
        return text.back() == '.' ? 1 : 0;
    }

    int encode(struct iovec vectors[], int) override {
        vectors[0].iov_base = &text[0];
        vectors[0].iov_len = text.size();
        return 1;
    }

    int finish() override { return 1; }
    void abandon(int error) override { abandoned = error; }
};

class Outer : public ProtocolWrapper {
public:
    explicit Outer(ProtocolMessage *msg) : ProtocolWrapper(msg) {}
    Outer(Outer &&) = default;
    Outer &operator=(Outer &&) = default;
    using ProtocolWrapper::abandon;
    using ProtocolWrapper::append;
    using ProtocolWrapper::encode;
    using ProtocolWrapper::finish;
    using ProtocolWrapper::inner;
    using ProtocolWrapper::message;

    std::string sent;
    int renewed = 0;

protected:
    int feedback(const void *buf, size_t size) override {
        sent.append(static_cast<const char *>(buf), size);
        return static_cast<int>(size);
    }

    void renew() override { renewed++; }
};

TEST(ProtocolMessage, DoesNothingOfItself) {
    Plain message;
    struct iovec vectors[1];
    size_t size = 3;
    errno = 0;
    EXPECT_EQ(message.encode(vectors, 1), -1);
    EXPECT_EQ(errno, ENOSYS);
    errno = 0;
    EXPECT_EQ(message.append("abc", &size), -1);
    EXPECT_EQ(errno, ENOSYS);
    EXPECT_EQ(message.finish(), 0);
    EXPECT_EQ(message.inner(), &message);
    EXPECT_EQ(message.get_size_limit(), static_cast<size_t>(-1));
    EXPECT_EQ(message.feedback("x", 1), -1) << "no connection";
    message.renew();
    message.abandon(ETIMEDOUT);
}

TEST(ProtocolMessage, TheSimpleAppendConsumesAll) {
    Word word;
    Plain &message = word;
    size_t size = 3;
    EXPECT_EQ(message.append("abc", &size), 0);
    EXPECT_EQ(size, 3u);
    size = 2;
    EXPECT_EQ(message.append("d.", &size), 1);
    EXPECT_EQ(word.text, "abcd.");
}

TEST(ProtocolWrapper, PassesBytesInwards) {
    Word word;
    Outer outer(&word);
    size_t size = 2;
    EXPECT_EQ(outer.append("a.", &size), 1);
    struct iovec vectors[1];
    EXPECT_EQ(outer.encode(vectors, 1), 1);
    EXPECT_EQ(vectors[0].iov_len, 2u);
    EXPECT_EQ(outer.inner(), &word);
    EXPECT_EQ(outer.finish(), 1);
    outer.abandon(ETIMEDOUT);
    EXPECT_EQ(word.abandoned, ETIMEDOUT);
}

TEST(ProtocolWrapper, PassesCallsForTheConnectionOutwards) {
    Word word;
    Outer middle(&word);
    EXPECT_EQ(word.feedback("ab", 2), 2);
    word.renew();
    EXPECT_EQ(middle.sent, "ab");
    EXPECT_EQ(middle.renewed, 1);
    ProtocolWrapper outer(&word);
    Outer outermost(&outer);
    EXPECT_EQ(word.feedback("cd", 2), 2);
    EXPECT_EQ(outermost.sent, "cd");
    EXPECT_EQ(middle.sent, "ab");
    EXPECT_EQ(outermost.inner(), &word);
}

TEST(ProtocolWrapper, MovesWithItsMessage) {
    Word word;
    Outer first(&word);
    first.set_size_limit(9);
    Outer second(std::move(first));
    EXPECT_EQ(first.message, nullptr);
    EXPECT_EQ(second.get_size_limit(), 9u);
    EXPECT_EQ(word.feedback("x", 1), 1);
    EXPECT_EQ(second.sent, "x");
    Word other;
    Outer third(&other);
    third = std::move(second);
    EXPECT_EQ(third.message, &word);
    EXPECT_EQ(word.feedback("y", 1), 1);
    EXPECT_EQ(third.sent, "xy");
}

} // namespace
