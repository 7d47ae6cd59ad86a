// Weft - type, length, value
// SPDX-License-Identifier: Apache-2.0

#include "workflow/TLVMessage.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace {

class Message : public protocol::TLVMessage {
public:
    using TLVMessage::append;
    using TLVMessage::encode;

    std::string wire() {
        struct iovec vectors[2];
        const int count = this->encode(vectors, 2);
        std::string text;
        for (int i = 0; i < count; i++) {
            text.append(static_cast<const char *>(vectors[i].iov_base), vectors[i].iov_len);
        }
        return text;
    }
};

TEST(TLVMessage, OnTheWire) {
    Message message;
    message.set_type(0x01020304);
    message.set_value("abc");
    EXPECT_EQ(message.wire(), std::string("\1\2\3\4\0\0\0\3abc", 11));
    message.set_type(-1);
    message.set_value("");
    EXPECT_EQ(message.wire(), std::string("\xff\xff\xff\xff\0\0\0\0", 8));
}

TEST(TLVMessage, ReceivedHoweverCut) {
    const std::string text("\0\0\0\7\0\0\0\5hello", 13);
    for (size_t cut = 0; cut <= text.size(); cut++) {
        Message message;
        size_t first = cut;
        const int ret = message.append(text.data(), &first);
        EXPECT_EQ(first, cut);
        EXPECT_EQ(ret, cut == text.size() ? 1 : 0);
        if (ret == 0) {
            const std::string rest = text.substr(cut) + "more";
            size_t second = rest.size();
            EXPECT_EQ(message.append(rest.data(), &second), 1);
            EXPECT_EQ(second, rest.size() - 4) << "what follows is left";
        }
        EXPECT_EQ(message.get_type(), 7);
        EXPECT_EQ(*message.get_value(), "hello");
    }
}

TEST(TLVMessage, AnEmptyValueIsWhole) {
    Message message;
    size_t size = 8;
    EXPECT_EQ(message.append("\0\0\0\1\0\0\0\0", &size), 1);
    EXPECT_EQ(*message.get_value(), "");
}

TEST(TLVMessage, TheLimitActsBeforeTheValue) {
    Message message;
    message.set_size_limit(4);
    size_t size = 8;
    errno = 0;
    EXPECT_EQ(message.append("\0\0\0\1\0\0\0\5", &size), -1);
    EXPECT_EQ(errno, EMSGSIZE);
}

TEST(TLVMessage, ALargeAnnouncementTakesNoMemory) {
    Message message;
    size_t size = 9;
    EXPECT_EQ(message.append("\0\0\0\1\xff\xff\xff\xffx", &size), 0);
    EXPECT_LT(message.get_value()->capacity(), 1000u);
}

TEST(TLVMessage, Moves) {
    Message from;
    from.set_type(5);
    from.set_value("value");
    Message to;
    static_cast<protocol::TLVMessage &>(to) = std::move(static_cast<protocol::TLVMessage &>(from));
    EXPECT_EQ(to.get_type(), 5);
    EXPECT_EQ(*to.get_value(), "value");
}

} // namespace
