// Weft - unit tests: framings
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <vector>

#include "workflow/wf/framing.h"

using std::string_literals::operator""s;

namespace {

std::string wrap(const wf::Framing &framing, const std::string &bytes, uint64_t type = 0) {
    wf::Wrapping around;
    EXPECT_EQ(framing.wrap(bytes.size(), type, &around), 0) << bytes.size();
    return std::string(around.head, around.head_size) + bytes +
           std::string(around.tail, around.tail_size);
}

// What comes out when the bytes arrive in pieces of `step`: "type:bytes" each.
std::vector<std::string> cut(const wf::Framing &framing, const std::string &bytes, size_t step) {
    std::vector<std::string> found;
    std::string kept;
    size_t seen = 0;
    for (size_t at = 0; at < bytes.size(); at += step) {
        kept += bytes.substr(at, step);
        wf::Frame frame;
        int result;
        while ((result = framing.cut(kept, &seen, &frame)) == 1) {
            found.push_back(std::to_string(frame.type) + ":" + std::string(frame.bytes));
            kept.erase(0, frame.size);
            seen = 0;
        }
        if (result < 0) {
            found.push_back("error " + std::to_string(errno));
            return found;
        }
    }
    if (!kept.empty())
        found.push_back("left " + std::to_string(kept.size()));
    return found;
}

using Found = std::vector<std::string>;

} // namespace

TEST(Framing, RawIsWhateverCame) {
    auto raw = wf::raw_framing();
    EXPECT_EQ(cut(*raw, "abcde", 2), (Found{"0:ab", "0:cd", "0:e"}));
    EXPECT_EQ(wrap(*raw, "abc"), "abc");
    wf::Wrapping around;
    EXPECT_EQ(raw->wrap(1, 5, &around), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST(Framing, LengthsOfAllWidthsInBothOrders) {
    for (unsigned width : {1u, 2u, 4u, 8u}) {
        for (wf::ByteOrder order : {wf::ByteOrder::BIG, wf::ByteOrder::LITTLE}) {
            for (bool itself : {false, true}) {
                wf::LengthFraming format;
                format.width = width;
                format.order = order;
                format.counts_itself = itself;
                auto framing = wf::length_framing(format);
                std::string bytes = wrap(*framing, "one") + wrap(*framing, "") +
                                    wrap(*framing, std::string(200, 'x'));
                EXPECT_EQ(bytes.size(), 203 + 3 * width);
                for (size_t step = 1; step < 12; step++)
                    EXPECT_EQ(cut(*framing, bytes, step),
                              (Found{"0:one", "0:", "0:" + std::string(200, 'x')}));
            }
        }
    }
    EXPECT_EQ(wrap(*wf::length_framing(), "abc"), "\0\0\0\3abc"s);
    EXPECT_EQ(wf::length_framing({3}), nullptr);
}

TEST(Framing, LengthsThatCannotBe) {
    wf::LengthFraming format;
    format.width = 1;
    wf::Wrapping around;
    EXPECT_EQ(wf::length_framing(format)->wrap(255, 0, &around), 0);
    EXPECT_EQ(wf::length_framing(format)->wrap(256, 0, &around), -1);
    EXPECT_EQ(errno, EMSGSIZE);
    format.counts_itself = true;
    EXPECT_EQ(wf::length_framing(format)->wrap(255, 0, &around), -1);
    EXPECT_EQ(cut(*wf::length_framing(format), "\0x"s, 2),
              (Found{"error " + std::to_string(EBADMSG)}));
    format = {};
    format.width = 8;
    format.max_size = 1000;
    std::string too_long = "error " + std::to_string(EMSGSIZE);
    EXPECT_EQ(cut(*wf::length_framing(format), "\0\0\0\0\0\0\3\351"s, 1), (Found{too_long}));
    EXPECT_EQ(cut(*wf::length_framing(format), std::string(8, '\xff'), 8), (Found{too_long}));
    EXPECT_EQ(cut(*wf::length_framing(format), "\0\0\0\0\0\0\3\350"s, 8), (Found{"left 8"}));
}

// A length that counts its head must not begin anew at 0.
TEST(Framing, LengthsThatCannotBeSaid) {
    wf::LengthFraming format;
    format.width = 1;
    format.counts_itself = true;
    format.max_size = SIZE_MAX;
    wf::Wrapping around;
    EXPECT_EQ(wf::length_framing(format)->wrap(SIZE_MAX, 0, &around), -1);
    EXPECT_EQ(errno, EMSGSIZE);
    EXPECT_EQ(wf::length_framing(format)->wrap(255, 0, &around), -1);
    EXPECT_EQ(wf::length_framing(format)->wrap(254, 0, &around), 0);
}

TEST(Framing, Delimiters) {
    auto lines = wf::delimiter_framing();
    for (size_t step = 1; step < 8; step++)
        EXPECT_EQ(cut(*lines, "one\r\ntwo\n\n\r\nend", step),
                  (Found{"0:one", "0:two", "0:", "0:", "left 3"}));
    auto words = wf::delimiter_framing("--", 5);
    for (size_t step = 1; step < 8; step++)
        EXPECT_EQ(cut(*words, "a-b--c----\r--", step), (Found{"0:a-b", "0:c", "0:", "0:\r"}));
    std::string too_long = "error " + std::to_string(EMSGSIZE);
    for (size_t step = 1; step < 8; step++) {
        EXPECT_EQ(cut(*words, "12345--123456--", step), (Found{"0:12345", too_long})) << step;
        EXPECT_EQ(cut(*words, "1234567890", step), (Found{too_long})) << step;
    }
    EXPECT_EQ(wrap(*words, "abc"), "abc--");
    EXPECT_TRUE(lines->takes_rest());
    EXPECT_FALSE(wf::length_framing()->takes_rest());
    EXPECT_EQ(wf::delimiter_framing(""), nullptr);
    EXPECT_EQ(wf::delimiter_framing(std::string(17, 'x')), nullptr);
}

TEST(Framing, Tlv) {
    for (unsigned type_width : {1u, 2u, 4u, 8u}) {
        wf::TlvFraming format;
        format.type_width = type_width;
        format.order = wf::ByteOrder::LITTLE;
        auto framing = wf::tlv_framing(format);
        std::string bytes = wrap(*framing, "one", 200) + wrap(*framing, "", 0);
        for (size_t step = 1; step < 9; step++)
            EXPECT_EQ(cut(*framing, bytes, step), (Found{"200:one", "0:"}));
    }
    EXPECT_EQ(wrap(*wf::tlv_framing(), "abc", 0x102), "\1\2\0\0\0\3abc"s);
    wf::Wrapping around;
    EXPECT_EQ(wf::tlv_framing()->wrap(1, 0x10000, &around), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(wf::tlv_framing({0, 4}), nullptr);
    EXPECT_EQ(wf::tlv_framing({2, 5}), nullptr);
}
