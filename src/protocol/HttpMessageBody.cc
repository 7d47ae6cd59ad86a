// Weft - the body of an HTTP message that is sent
// SPDX-License-Identifier: Apache-2.0
//
// A list of blocks: borrowed ones, copies in the text of the message while they are small, and heap
// blocks with room to spare, into which small pieces are gathered so that they do not become a
// vector each.

#include <stdlib.h>

#include <algorithm>
#include <iterator>

#include "protocol/http_internal.h"
#include "workflow/HttpMessage.h"

namespace protocol {

namespace {

// A copy up to this size may use the room of the message, if that room is there; the header section
// needs some too.
constexpr size_t kTextCopy = 256;

constexpr size_t kHeapRoomMin = 512;
constexpr size_t kHeapRoomMax = 64 * 1024;

} // namespace

bool HttpMessage::add_block(char *data, size_t size, size_t room) {
    if (block_count_ == block_room_) {
        const size_t wanted = block_room_ > 0 ? block_room_ * 2 : size_t{INLINE_BLOCKS};
        Block *grown = static_cast<Block *>(malloc(wanted * sizeof(Block)));
        if (grown == nullptr) {
            return false;
        }
        std::copy(blocks_, blocks_ + block_count_, grown);
        if (blocks_ != inline_blocks_) {
            free(blocks_);
        }
        blocks_ = grown;
        block_room_ = wanted;
    }
    // blocks_ points to the inline ones at first, which the analyzer does not see.
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage)
    blocks_[block_count_] = Block{data, size, room};
    block_count_++;
    output_size_ += size;
    return true;
}

void HttpMessage::drop_blocks() {
    this->clear_output_body();
    if (blocks_ != inline_blocks_) {
        free(blocks_);
    }
}

// The parser has moved already: small copies went along with its inline text.
void HttpMessage::take_blocks(HttpMessage &message) {
    block_count_ = message.block_count_;
    block_room_ = message.block_room_;
    output_size_ = message.output_size_;
    if (message.blocks_ == message.inline_blocks_) {
        blocks_ = inline_blocks_;
        std::copy(std::begin(message.inline_blocks_),
                  std::begin(message.inline_blocks_) + block_count_, std::begin(inline_blocks_));
    } else {
        blocks_ = message.blocks_;
    }
    for (size_t i = 0; i < block_count_; i++) {
        const uintptr_t offset = reinterpret_cast<uintptr_t>(blocks_[i].data) -
                                 reinterpret_cast<uintptr_t>(message.storage_.inline_text);
        if (offset < sizeof storage_.inline_text) {
            blocks_[i].data = storage_.inline_text + offset;
        }
    }
    message.blocks_ = message.inline_blocks_;
    message.block_count_ = 0;
    message.block_room_ = INLINE_BLOCKS;
    message.output_size_ = 0;
}

bool HttpMessage::append_output_body(const void *buf, size_t size) {
    const char *from = static_cast<const char *>(buf);
    if (size == 0) {
        return true;
    }
    Block *last = block_count_ > 0 ? &blocks_[block_count_ - 1] : nullptr;
    if (last != nullptr && last->room - std::min(last->size, last->room) >= size) {
        memcpy(last->data + last->size, from, size);
        last->size += size;
        output_size_ += size;
        return true;
    }
    const size_t room = static_cast<size_t>(this->parser->text_end - this->parser->text_pos);
    if (size <= kTextCopy && size <= room / 2) {
        char *copy = http_text_alloc(this->parser, size);
        memcpy(copy, from, size);
        if (last != nullptr && last->room == 0 && last->data + last->size == copy) {
            last->size += size;
            output_size_ += size;
            return true;
        }
        return add_block(copy, size, 0);
    }
    size_t heap_room = last != nullptr ? std::min(last->room * 2, kHeapRoomMax) : 0;
    heap_room = std::max({heap_room, kHeapRoomMin, size});
    char *data = static_cast<char *>(malloc(heap_room));
    if (data == nullptr) {
        return false;
    }
    memcpy(data, from, size);
    if (!add_block(data, size, heap_room)) {
        free(data);
        return false;
    }
    return true;
}

bool HttpMessage::append_output_body_nocopy(const void *buf, size_t size) {
    return size == 0 || add_block(static_cast<char *>(const_cast<void *>(buf)), size, 0);
}

bool HttpMessage::append_output_body(const char *buf) {
    return this->append_output_body(buf, strlen(buf));
}

bool HttpMessage::append_output_body_nocopy(const char *buf) {
    return this->append_output_body_nocopy(buf, strlen(buf));
}

bool HttpMessage::append_output_body(const std::string &buf) {
    return this->append_output_body(buf.data(), buf.size());
}

bool HttpMessage::append_output_body_nocopy(const std::string &buf) {
    return this->append_output_body_nocopy(buf.data(), buf.size());
}

size_t HttpMessage::get_output_body_blocks(const void *buf[], size_t size[], size_t max) const {
    const size_t count = std::min(max, block_count_);
    for (size_t i = 0; i < count; i++) {
        buf[i] = blocks_[i].data;
        size[i] = blocks_[i].size;
    }
    return count;
}

bool HttpMessage::get_output_body_merged(void *buf, size_t *size) const {
    if (*size < output_size_) {
        errno = ENOSPC;
        return false;
    }
    char *to = static_cast<char *>(buf);
    for (size_t i = 0; i < block_count_; i++) {
        memcpy(to, blocks_[i].data, blocks_[i].size);
        to += blocks_[i].size;
    }
    *size = output_size_;
    return true;
}

bool HttpMessage::get_output_body_merged(std::string &body) const {
    body.clear();
    body.reserve(output_size_);
    for (size_t i = 0; i < block_count_; i++) {
        body.append(blocks_[i].data, blocks_[i].size);
    }
    return true;
}

void HttpMessage::clear_output_body() {
    for (size_t i = 0; i < block_count_; i++) {
        if (blocks_[i].room > 0) {
            free(blocks_[i].data);
        }
    }
    block_count_ = 0;
    output_size_ = 0;
}

bool HttpMessage::merge_blocks() {
    size_t size = output_size_;
    char *whole = static_cast<char *>(malloc(size));
    if (whole == nullptr) {
        return false;
    }
    (void)this->get_output_body_merged(whole, &size);
    this->clear_output_body();
    if (!add_block(whole, size, size)) {
        free(whole);
        return false;
    }
    return true;
}

} // namespace protocol
