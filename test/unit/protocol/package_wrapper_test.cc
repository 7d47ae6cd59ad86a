// Weft - several messages as one
// SPDX-License-Identifier: Apache-2.0

#include "workflow/PackageWrapper.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "workflow/TLVMessage.h"

namespace {

using protocol::PackageWrapper;
using protocol::ProtocolMessage;
using protocol::TLVMessage;

class Package : public PackageWrapper {
public:
    explicit Package(std::vector<TLVMessage> *all) : PackageWrapper(all->data()), all_(all) {}
    Package(Package &&) = default;
    using PackageWrapper::append;
    using PackageWrapper::encode;

    int renewed = 0;

private:
    ProtocolMessage *following(ProtocolMessage *msg) {
        TLVMessage *next = static_cast<TLVMessage *>(msg) + 1;
        return next < all_->data() + all_->size() ? next : nullptr;
    }

    ProtocolMessage *next_out(ProtocolMessage *msg) override { return following(msg); }
    ProtocolMessage *next_in(ProtocolMessage *msg) override { return following(msg); }
    void renew() override { renewed++; }

    std::vector<TLVMessage> *all_;
};

std::string wire(std::vector<TLVMessage> *messages) {
    Package package(messages);
    struct iovec vectors[64];
    const int count = package.encode(vectors, 64);
    std::string text;
    for (int i = 0; i < count; i++) {
        text.append(static_cast<const char *>(vectors[i].iov_base), vectors[i].iov_len);
    }
    return text;
}

std::vector<TLVMessage> three() {
    std::vector<TLVMessage> messages(3);
    for (int i = 0; i < 3; i++) {
        messages[static_cast<size_t>(i)].set_type(i);
        messages[static_cast<size_t>(i)].set_value(std::string(static_cast<size_t>(i), 'v'));
    }
    return messages;
}

TEST(PackageWrapper, RoundTripHoweverCut) {
    std::vector<TLVMessage> out = three();
    const std::string text = wire(&out) + "rest";
    for (size_t cut = 1; cut < text.size() - 4; cut++) {
        std::vector<TLVMessage> in(3);
        Package package(&in);
        size_t first = cut;
        ASSERT_EQ(package.append(text.data(), &first), 0) << cut;
        ASSERT_EQ(first, cut);
        size_t second = text.size() - cut;
        ASSERT_EQ(package.append(text.data() + cut, &second), 1) << cut;
        EXPECT_EQ(second, text.size() - cut - 4);
        EXPECT_EQ(in[2].get_type(), 2);
        EXPECT_EQ(*in[2].get_value(), "vv");
        EXPECT_EQ(package.renewed, 2);
    }
}

TEST(PackageWrapper, OneMessageUnlessTold) {
    TLVMessage message;
    message.set_value("x");
    class Open : public PackageWrapper {
    public:
        using PackageWrapper::encode;
        using PackageWrapper::PackageWrapper;
    };
    Open open(&message);
    struct iovec vectors[8];
    EXPECT_EQ(open.encode(vectors, 8), 2);
}

TEST(PackageWrapper, FailsWhenVectorsRunOut) {
    std::vector<TLVMessage> out = three();
    Package package(&out);
    struct iovec vectors[10];
    errno = 0;
    EXPECT_EQ(package.encode(vectors, 10), -1);
    EXPECT_EQ(errno, EOVERFLOW);
}

TEST(PackageWrapper, AFailingMessageFailsThePackage) {
    std::vector<TLVMessage> in(3);
    in[1].set_size_limit(0);
    std::vector<TLVMessage> out = three();
    const std::string text = wire(&out);
    Package package(&in);
    size_t size = text.size();
    EXPECT_EQ(package.append(text.data(), &size), -1);
    EXPECT_EQ(errno, EMSGSIZE);
}

} // namespace
