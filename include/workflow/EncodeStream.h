// Weft public header, room: util - collects pieces of a message into an array of iovec
// SPDX-License-Identifier: Apache-2.0
//
// The array is the caller's; the stream fills it from the front. A piece is appended without
// copying (it must then stay as it is until the message is sent) or as a copy that lives as long
// as the stream. When the array is full, all pieces so far are merged into one, by copying.
// One thread at a time.

#ifndef WEFT_ENCODESTREAM_H
#define WEFT_ENCODESTREAM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include <string>
#include <utility>

class EncodeStream {
public:
    // Without an array: reset() must come before the first append.
    EncodeStream();

    // `max` vectors may be filled, at least 1.
    EncodeStream(struct iovec *vectors, int max);
    ~EncodeStream();

    EncodeStream(const EncodeStream &) = delete;
    EncodeStream &operator=(const EncodeStream &) = delete;

    // Starts afresh. All copies made so far are freed.
    void reset(struct iovec *vectors, int max);

    // The number of vectors in use.
    int size() const { return size_; }

    // The length of all pieces together.
    size_t bytes() const { return bytes_; }

    void append_nocopy(const char *data, size_t len);
    void append_nocopy(const char *data) { append_nocopy(data, strlen(data)); }
    void append_nocopy(const std::string &data) { append_nocopy(data.c_str(), data.size()); }

    void append_copy(const char *data, size_t len);
    void append_copy(const char *data) { append_copy(data, strlen(data)); }
    void append_copy(const std::string &data) { append_copy(data.c_str(), data.size()); }

    // Text and buffers are not copied; the number is written as decimal text.
    EncodeStream &operator<<(const char *data) {
        append_nocopy(data);
        return *this;
    }
    EncodeStream &operator<<(const std::string &data) {
        append_nocopy(data);
        return *this;
    }
    EncodeStream &operator<<(const std::pair<const char *, size_t> &data) {
        append_nocopy(data.first, data.second);
        return *this;
    }
    EncodeStream &operator<<(int64_t number);

private:
    struct Chunk;

    char *grab(size_t len);
    void reserve_merged(size_t len);
    void append_merged(const void *data, size_t len);
    void add_vector(const char *data, size_t len);
    void extend_single(const char *data, size_t len);
    bool extend_last_copy(const char *data, size_t len);
    void merge();
    void drop_copies();

    struct iovec *vectors_;
    int max_;
    int size_;
    size_t bytes_;
    Chunk *chunks_; // the newest first; copies are carved from it
    char *merged_;  // what vectors_[0] points at after a merge, else NULL
    size_t merged_len_;
    size_t merged_room_;
};

#endif // WEFT_ENCODESTREAM_H
