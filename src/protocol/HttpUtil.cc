// Weft - conveniences over HTTP messages
// SPDX-License-Identifier: Apache-2.0
//
// The chunk cursor walks what the parser has accepted, yet trusts no length: a body may have been
// cut by end_parsing().

#include "workflow/HttpUtil.h"

#include "protocol/http_answer.h"
#include "protocol/http_chars.h"
#include "protocol/http_defaults.h"

namespace protocol {

namespace {

std::string lower_case(const char *text, size_t size) {
    std::string lower(text, size);
    for (char &c : lower) {
        c = http_lower(c);
    }
    return lower;
}

std::string lower_case(const std::string &text) { return lower_case(text.data(), text.size()); }

std::string to_string(const void *data, size_t size) {
    return std::string(static_cast<const char *>(data), size);
}

int hex_value(char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

} // namespace

void HttpUtil::set_response_status(HttpResponse *resp, int status_code) {
    const char *phrase = http_status_phrase(status_code);
    // The message is not const; only the access is.
    http_parser_set_status(const_cast<http_parser_t *>(resp->get_parser()), status_code,
                           phrase != nullptr ? phrase : "Unknown");
}

std::string HttpUtil::decode_chunked_body(const HttpMessage *msg) {
    std::string body;
    HttpChunkCursor cursor(msg);
    const void *chunk;
    size_t size;
    while (cursor.next(&chunk, &size)) {
        body.append(static_cast<const char *>(chunk), size);
    }
    return body;
}

HttpHeaderMap::HttpHeaderMap(const HttpMessage *message) {
    HttpHeaderCursor cursor(message);
    struct HttpMessageHeader header;
    while (cursor.next(&header)) {
        map_[lower_case(static_cast<const char *>(header.name), header.name_len)].push_back(
            to_string(header.value, header.value_len));
    }
}

bool HttpHeaderMap::key_exists(std::string key) { return map_.count(lower_case(key)) > 0; }

std::string HttpHeaderMap::get(std::string key) {
    std::string value;
    (void)this->get(std::move(key), value);
    return value;
}

bool HttpHeaderMap::get(std::string key, std::string &value) {
    const auto found = map_.find(lower_case(key));
    if (found == map_.end()) {
        return false;
    }
    value = found->second.front();
    return true;
}

std::vector<std::string> HttpHeaderMap::get_strict(std::string key) {
    std::vector<std::string> values;
    (void)this->get_strict(std::move(key), values);
    return values;
}

bool HttpHeaderMap::get_strict(std::string key, std::vector<std::string> &values) {
    const auto found = map_.find(lower_case(key));
    if (found == map_.end()) {
        return false;
    }
    values = found->second;
    return true;
}

HttpHeaderCursor::HttpHeaderCursor(const HttpMessage *message) {
    http_header_cursor_init(&this->cursor, message->get_parser());
}

HttpHeaderCursor::~HttpHeaderCursor() { http_header_cursor_deinit(&this->cursor); }

bool HttpHeaderCursor::next(struct HttpMessageHeader *header) {
    return http_header_cursor_next(&header->name, &header->name_len, &header->value,
                                   &header->value_len, &this->cursor) == 0;
}

bool HttpHeaderCursor::next(std::string &name, std::string &value) {
    struct HttpMessageHeader header;
    if (!this->next(&header)) {
        return false;
    }
    name = to_string(header.name, header.name_len);
    value = to_string(header.value, header.value_len);
    return true;
}

bool HttpHeaderCursor::find(struct HttpMessageHeader *header) {
    return http_header_cursor_find(header->name, header->name_len, &header->value,
                                   &header->value_len, &this->cursor) == 0;
}

bool HttpHeaderCursor::find(const std::string &name, std::string &value) {
    struct HttpMessageHeader header = {name.data(), name.size(), nullptr, 0};
    if (!this->find(&header)) {
        return false;
    }
    value = to_string(header.value, header.value_len);
    return true;
}

bool HttpHeaderCursor::erase() { return http_header_cursor_erase(&this->cursor) == 0; }

bool HttpHeaderCursor::find_and_erase(struct HttpMessageHeader *header) {
    return this->find(header) && this->erase();
}

bool HttpHeaderCursor::find_and_erase(const std::string &name) {
    struct HttpMessageHeader header = {name.data(), name.size(), nullptr, 0};
    return this->find_and_erase(&header);
}

HttpChunkCursor::HttpChunkCursor(const HttpMessage *message)
    : body_(nullptr), body_size_(0), pos_(0), chunked_(message->is_chunked()), end_(false) {
    const void *body;
    if (message->get_parsed_body(&body, &body_size_)) {
        body_ = static_cast<const char *>(body);
    } else {
        body_size_ = 0;
    }
    this->rewind();
}

void HttpChunkCursor::rewind() {
    pos_ = 0;
    end_ = body_size_ == 0;
}

bool HttpChunkCursor::next(const void **chunk, size_t *size) {
    if (end_) {
        return false;
    }
    if (!chunked_) {
        end_ = true;
        *chunk = body_;
        *size = body_size_;
        return true;
    }
    size_t length = 0;
    while (pos_ < body_size_ && http_is(body_[pos_], HTTP_CHAR_HEX)) {
        length = length << 4 | static_cast<size_t>(hex_value(body_[pos_]));
        pos_++;
    }
    while (pos_ < body_size_ && body_[pos_] != '\n') {
        pos_++;
    }
    pos_++;
    if (length == 0 || pos_ > body_size_ || length > body_size_ - pos_) {
        end_ = true;
        return false;
    }
    *chunk = body_ + pos_;
    *size = length;
    pos_ += length + 2;
    return true;
}

} // namespace protocol
