// Weft - collects pieces of a message into an array of iovec
// SPDX-License-Identifier: Apache-2.0
//
// Owned by a message while it is encoded; one thread. Copies are carved from chunks, and a copy
// that directly follows another one in the same chunk extends its vector. A merge moves
// everything into one buffer that doubles, so that a message of n bytes costs O(n) in all
// however small the array is; chunks are free again after it.
// Always true: the vectors in use hold bytes_ bytes together, none of them empty; when merged_ is
// set, the first one is exactly it.

#include "workflow/EncodeStream.h"

#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <charconv>

struct EncodeStream::Chunk {
    Chunk *next;
    size_t used;
    size_t room;

    char *data() { return reinterpret_cast<char *>(this + 1); }
};

namespace {

constexpr size_t kChunkBytes = 1024;

[[noreturn]] void die(const char *why) {
    fprintf(stderr, "EncodeStream: %s\n", why);
    abort();
}

} // namespace

EncodeStream::EncodeStream() : EncodeStream(nullptr, 0) {}

EncodeStream::EncodeStream(struct iovec *vectors, int max)
    : vectors_(vectors), max_(max), size_(0), bytes_(0), chunks_(nullptr), merged_(nullptr),
      merged_len_(0), merged_room_(0) {}

EncodeStream::~EncodeStream() {
    drop_copies();
    free(merged_);
}

void EncodeStream::reset(struct iovec *vectors, int max) {
    drop_copies();
    free(merged_);
    merged_ = nullptr;
    merged_len_ = 0;
    merged_room_ = 0;
    vectors_ = vectors;
    max_ = max;
    size_ = 0;
    bytes_ = 0;
}

void EncodeStream::drop_copies() {
    while (chunks_) {
        Chunk *next = chunks_->next;

        free(chunks_);
        chunks_ = next;
    }
}

// Room for a copy, valid until the next merge or reset.
char *EncodeStream::grab(size_t len) {
    if (!chunks_ || chunks_->room - chunks_->used < len) {
        size_t room = std::max(len, kChunkBytes);
        Chunk *chunk = static_cast<Chunk *>(malloc(sizeof(Chunk) + room));

        if (!chunk)
            die("out of memory");

        chunk->next = chunks_;
        chunk->used = 0;
        chunk->room = room;
        chunks_ = chunk;
    }

    char *place = chunks_->data() + chunks_->used;
    chunks_->used += len;
    return place;
}

void EncodeStream::reserve_merged(size_t len) {
    if (len <= merged_room_)
        return;

    merged_room_ = std::max(len, merged_room_ * 2);
    merged_ = static_cast<char *>(realloc(merged_, merged_room_));
    if (!merged_)
        die("out of memory");
}

void EncodeStream::append_merged(const void *data, size_t len) {
    memcpy(merged_ + merged_len_, data, len);
    merged_len_ += len;
}

// All pieces become the first vector. The array is full; with a single vector it stays so.
void EncodeStream::merge() {
    if (max_ <= 0)
        die("append without vectors to fill");

    int first_apart = merged_len_ > 0 ? 1 : 0;

    reserve_merged(bytes_);
    for (int i = first_apart; i < size_; i++)
        append_merged(vectors_[i].iov_base, vectors_[i].iov_len);

    size_ = 0;
    bytes_ = 0;
    add_vector(merged_, merged_len_);
    drop_copies();
}

void EncodeStream::add_vector(const char *data, size_t len) {
    vectors_[size_].iov_base = const_cast<char *>(data);
    vectors_[size_].iov_len = len;
    size_++;
    bytes_ += len;
}

// Only when a merge made no place: there is one vector and it is the merged buffer.
void EncodeStream::extend_single(const char *data, size_t len) {
    reserve_merged(merged_len_ + len);
    append_merged(data, len);
    size_ = 0;
    bytes_ = 0;
    add_vector(merged_, merged_len_);
}

void EncodeStream::append_nocopy(const char *data, size_t len) {
    if (len == 0)
        return;

    if (size_ == max_)
        merge();

    if (size_ == max_)
        extend_single(data, len);
    else
        add_vector(data, len);
}

bool EncodeStream::extend_last_copy(const char *data, size_t len) {
    if (size_ == 0 || !chunks_ || chunks_->room - chunks_->used < len)
        return false;

    struct iovec *last = &vectors_[size_ - 1];
    char *place = chunks_->data() + chunks_->used;

    if (static_cast<char *>(last->iov_base) + last->iov_len != place)
        return false;

    memcpy(place, data, len);
    chunks_->used += len;
    last->iov_len += len;
    bytes_ += len;
    return true;
}

void EncodeStream::append_copy(const char *data, size_t len) {
    if (len == 0 || extend_last_copy(data, len))
        return;

    if (size_ == max_)
        merge();

    if (size_ == max_) {
        extend_single(data, len);
        return;
    }

    char *copy = grab(len);
    memcpy(copy, data, len);
    add_vector(copy, len);
}

EncodeStream &EncodeStream::operator<<(int64_t number) {
    char text[24];
    auto res = std::to_chars(text, text + sizeof text, number);

    append_copy(text, static_cast<size_t>(res.ptr - text));
    return *this;
}
