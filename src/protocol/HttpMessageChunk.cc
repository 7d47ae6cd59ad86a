// Weft - one chunk of a chunked body as a message
// SPDX-License-Identifier: Apache-2.0

#include <stdio.h>
#include <stdlib.h>

#include "protocol/http_chunk.h"
#include "workflow/HttpMessage.h"

namespace protocol {

namespace {

// A chunk may announce more than it brings: beyond this, room grows with what has come.
constexpr size_t kTrustedChunk = 256 * 1024;

constexpr char kLineEnd[] = "\r\n";

} // namespace

HttpMessageChunk::HttpMessageChunk()
    : data_(nullptr), data_size_(0), data_room_(0), complete_(false), size_line_{} {
    http_chunk_begin(&scan_);
}

HttpMessageChunk::~HttpMessageChunk() { free(data_); }

HttpMessageChunk::HttpMessageChunk(HttpMessageChunk &&chunk) noexcept : HttpMessageChunk() {
    *this = std::move(chunk);
}

HttpMessageChunk &HttpMessageChunk::operator=(HttpMessageChunk &&chunk) noexcept {
    if (this != &chunk) {
        this->ProtocolMessage::operator=(std::move(chunk));
        free(data_);
        scan_ = chunk.scan_;
        data_ = chunk.data_;
        data_size_ = chunk.data_size_;
        data_room_ = chunk.data_room_;
        complete_ = chunk.complete_;
        http_chunk_begin(&chunk.scan_);
        chunk.data_ = nullptr;
        chunk.data_size_ = 0;
        chunk.data_room_ = 0;
        chunk.complete_ = false;
    }
    return *this;
}

bool HttpMessageChunk::get_chunk_data(const void **data, size_t *size) const {
    if (!complete_) {
        return false;
    }
    *data = data_ != nullptr ? data_ : "";
    *size = data_size_;
    return true;
}

bool HttpMessageChunk::move_chunk_data(void **data, size_t *size) {
    if (!complete_) {
        return false;
    }
    *data = data_;
    *size = data_size_;
    data_ = nullptr;
    data_size_ = 0;
    data_room_ = 0;
    complete_ = false;
    return true;
}

bool HttpMessageChunk::set_chunk_data(const void *data, size_t size) {
    data_size_ = 0;
    complete_ = take_data(static_cast<const char *>(data), size) == 0;
    return complete_;
}

int HttpMessageChunk::encode(struct iovec vectors[], int max) {
    if (max < 3) {
        errno = EOVERFLOW;
        return -1;
    }
    const bool last = data_size_ == 0;
    const char *end = last ? "\r\n\r\n" : kLineEnd;
    const int len = snprintf(size_line_, sizeof size_line_, "%zx%s", data_size_, end);
    vectors[0].iov_base = size_line_;
    vectors[0].iov_len = static_cast<size_t>(len);
    if (last) {
        return 1;
    }
    vectors[1].iov_base = data_;
    vectors[1].iov_len = data_size_;
    vectors[2].iov_base = const_cast<char *>(kLineEnd);
    vectors[2].iov_len = sizeof kLineEnd - 1;
    return 3;
}

// A zero byte follows the data, as it does a body.
int HttpMessageChunk::take_data(const char *data, size_t size) {
    const size_t want = data_size_ + size;
    if (want >= data_room_) {
        size_t room = data_room_ * 2;
        const size_t announced = data_size_ + scan_.left;
        if (announced <= kTrustedChunk && announced > room) {
            room = announced;
        }
        room = (room < want ? want : room) + 1;
        char *grown = static_cast<char *>(realloc(data_, room));
        if (grown == nullptr) {
            errno = ENOMEM;
            return -1;
        }
        data_ = grown;
        data_room_ = room;
    }
    if (size > 0) {
        memcpy(data_ + data_size_, data, size);
    }
    data_size_ = want;
    data_[want] = '\0';
    return 0;
}

int HttpMessageChunk::append(const void *buf, size_t *size) {
    const char *begin = static_cast<const char *>(buf);
    const char *end = begin + *size;
    const char *pos = begin;
    const char *reason = nullptr;
    while (pos < end) {
        if (http_chunk_in_data(&scan_)) {
            const size_t avail = static_cast<size_t>(end - pos);
            const size_t take = avail < scan_.left ? avail : scan_.left;
            if (take_data(pos, take) < 0) {
                return -1;
            }
            http_chunk_skip(&scan_, take);
            pos += take;
            continue;
        }
        const int step = http_chunk_step(&scan_, http_parser_default_rules(), &pos, end, &reason);
        if (step == HTTP_CHUNK_BAD) {
            errno = EBADMSG;
            return -1;
        }
        if (step == HTTP_CHUNK_DATA && scan_.left > this->size_limit) {
            errno = EMSGSIZE;
            return -1;
        }
        if (step == HTTP_CHUNK_DATA_END || step == HTTP_CHUNK_END) {
            complete_ = true;
            break;
        }
    }
    *size = static_cast<size_t>(pos - begin);
    return complete_ ? 1 : 0;
}

} // namespace protocol
