// Weft - the encode stream against a plain string, with arrays of every small size
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <limits.h>
#include <sys/uio.h>

#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "workflow/EncodeStream.h"

namespace {

std::string text_of(const EncodeStream &stream, const struct iovec *vectors) {
    std::string res;

    for (int i = 0; i < stream.size(); i++) {
        EXPECT_GT(vectors[i].iov_len, 0u);
        res.append(static_cast<const char *>(vectors[i].iov_base), vectors[i].iov_len);
    }
    EXPECT_EQ(stream.bytes(), res.size());
    return res;
}

TEST(encode_stream, starts_empty) {
    struct iovec vectors[2];
    EncodeStream stream(vectors, 2);
    EncodeStream bare;

    EXPECT_EQ(stream.size(), 0);
    EXPECT_EQ(stream.bytes(), 0u);
    EXPECT_EQ(bare.size(), 0);
    EXPECT_EQ(bare.bytes(), 0u);
    stream.append_nocopy("");
    stream.append_copy("", 0);
    EXPECT_EQ(stream.size(), 0);
}

TEST(encode_stream, nocopy_points_at_the_callers_bytes) {
    struct iovec vectors[4];
    EncodeStream stream(vectors, 4);
    std::string text = "text";
    const char *literal = "literal";

    stream.append_nocopy(text);
    stream.append_nocopy(literal);
    stream.append_nocopy(literal, 3);
    EXPECT_EQ(stream.size(), 3);
    EXPECT_EQ(vectors[0].iov_base, text.data());
    EXPECT_EQ(vectors[1].iov_base, literal);
    EXPECT_EQ(text_of(stream, vectors), "textliterallit");
}

TEST(encode_stream, copies_survive_their_source) {
    struct iovec vectors[8];
    EncodeStream stream(vectors, 8);

    {
        std::string gone = "gone";
        stream.append_copy(gone);
        gone = "XXXX";
        stream.append_nocopy("|");
        stream.append_copy("abcdef", 3);
        stream.append_copy("g");
    }
    EXPECT_EQ(text_of(stream, vectors), "gone|abcg");
    // Two copies in a row share a vector.
    EXPECT_EQ(stream.size(), 3);
}

TEST(encode_stream, operators) {
    struct iovec vectors[16];
    EncodeStream stream(vectors, 16);
    std::string text = "b";

    stream << "a" << text << std::pair<const char *, size_t>("cX", 1) << int64_t{0} << int64_t{-7}
           << int64_t{INT64_MAX} << "," << int64_t{INT64_MIN};
    EXPECT_EQ(text_of(stream, vectors), "abc0-79223372036854775807,-9223372036854775808");
}

TEST(encode_stream, merge_leaves_room_for_the_rest) {
    struct iovec vectors[3];
    EncodeStream stream(vectors, 3);
    std::string text;

    for (int i = 0; i < 100; i++) {
        stream.append_nocopy("0123456789", static_cast<size_t>(i % 10 + 1));
        text.append("0123456789", static_cast<size_t>(i % 10 + 1));
        ASSERT_LE(stream.size(), 3);
        ASSERT_EQ(text_of(stream, vectors), text);
    }
}

TEST(encode_stream, reset_starts_afresh) {
    struct iovec vectors[2], others[2];
    EncodeStream stream(vectors, 2);

    for (int i = 0; i < 10; i++)
        stream << "text" << int64_t{i};
    stream.reset(others, 2);
    EXPECT_EQ(stream.size(), 0);
    EXPECT_EQ(stream.bytes(), 0u);
    stream << "new" << int64_t{1} << "more";
    EXPECT_EQ(text_of(stream, others), "new1more");
}

TEST(encode_stream, random_pieces_agree_with_a_string) {
    std::mt19937 draw(3);

    for (int max = 1; max <= 9; max++) {
        std::vector<struct iovec> vectors(static_cast<size_t>(max));
        EncodeStream stream(vectors.data(), max);
        std::deque<std::string> kept;
        std::string model;

        for (int step = 0; step < 400; step++) {
            size_t len = draw() % 10 == 0 ? draw() % 5000 : draw() % 20;
            std::string piece(len, static_cast<char>('a' + step % 26));

            model += piece;
            if (draw() % 2) {
                stream.append_copy(piece);
            } else {
                kept.push_back(piece);
                stream.append_nocopy(kept.back());
            }
            ASSERT_LE(stream.size(), max);
            ASSERT_EQ(text_of(stream, vectors.data()), model) << "max " << max;
        }
    }
}

TEST(encode_stream_death, append_without_vectors) {
    EncodeStream stream;

    EXPECT_DEATH(stream.append_nocopy("x"), "without vectors");
}

} // namespace
