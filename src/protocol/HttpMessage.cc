// Weft - HTTP requests and responses as messages
// SPDX-License-Identifier: Apache-2.0
//
// The C parser knows the protocol; here it is joined to the connection: the size limit, answers
// given while a message is received, and the vectors of a message that is sent.

#include "workflow/HttpMessage.h"

#include "protocol/http_answer.h"
#include "protocol/http_internal.h"

namespace protocol {

namespace {

// A body up to this size is copied behind the header section, so that one vector holds the whole
// message.
constexpr size_t kMergedBody = 1024;

// A peer that sends interim responses without end is no server.
constexpr int kInterimMax = 64;

constexpr char kContinue[] = "HTTP/1.1 100 Continue\r\n\r\n";

bool copy_out(const char *text, std::string &to) {
    if (text == nullptr) {
        return false;
    }
    to.assign(text);
    return true;
}

} // namespace

HttpMessage::HttpMessage(bool is_resp)
    : parser(&storage_), cur_size(0), blocks_(inline_blocks_), block_count_(0),
      block_room_(INLINE_BLOCKS), output_size_(0) {
    http_parser_init(is_resp, &storage_);
}

HttpMessage::~HttpMessage() {
    if (block_count_ > 0 || blocks_ != inline_blocks_) {
        drop_blocks();
    }
    http_parser_deinit(&storage_);
}

HttpMessage::HttpMessage(HttpMessage &&message) noexcept
    : ProtocolMessage(std::move(message)), parser(&storage_), cur_size(message.cur_size) {
    http_parser_move(&storage_, &message.storage_);
    message.cur_size = 0;
    take_blocks(message);
}

HttpMessage &HttpMessage::operator=(HttpMessage &&message) noexcept {
    if (this != &message) {
        this->ProtocolMessage::operator=(std::move(message));
        drop_blocks();
        http_parser_deinit(&storage_);
        http_parser_move(&storage_, &message.storage_);
        this->cur_size = message.cur_size;
        message.cur_size = 0;
        take_blocks(message);
    }
    return *this;
}

bool HttpMessage::get_http_version(std::string &version) const {
    return copy_out(this->get_http_version(), version);
}

bool HttpMessage::set_http_version(const char *version) {
    return http_parser_set_version(version, this->parser) == 0;
}

bool HttpMessage::set_http_version(const std::string &version) {
    return this->set_http_version(version.c_str());
}

bool HttpMessage::add_header(const struct HttpMessageHeader *header) {
    return http_parser_add_header(header->name, header->name_len, header->value, header->value_len,
                                  this->parser) == 0;
}

bool HttpMessage::set_header(const struct HttpMessageHeader *header) {
    return http_parser_set_header(header->name, header->name_len, header->value, header->value_len,
                                  this->parser) == 0;
}

bool HttpMessage::add_header_pair(const std::string &name, const std::string &value) {
    return http_parser_add_header(name.data(), name.size(), value.data(), value.size(),
                                  this->parser) == 0;
}

bool HttpMessage::set_header_pair(const std::string &name, const std::string &value) {
    return http_parser_set_header(name.data(), name.size(), value.data(), value.size(),
                                  this->parser) == 0;
}

bool HttpMessage::get_parsed_body(const void **body, size_t *size) const {
    return http_parser_get_body(body, size, this->parser) == 0;
}

// The header section in one piece, and a small body with it where there is room without asking for
// memory. What is written beyond the text of the message is not taken: encoding again overwrites
// it.
int HttpMessage::encode_head(struct iovec vectors[]) {
    const size_t size = http_head_size(this->parser);
    if (size == 0) {
        errno = EBADMSG;
        return -1;
    }
    char *head = http_text_reserve(this->parser, size);
    if (head == nullptr) {
        return -1;
    }
    char *end = http_head_write(this->parser, head);
    int left = 1;
    const size_t room = static_cast<size_t>(this->parser->text_end - end);
    if (output_size_ <= kMergedBody && output_size_ <= room) {
        for (size_t i = 0; i < block_count_; i++) {
            memcpy(end, blocks_[i].data, blocks_[i].size);
            end += blocks_[i].size;
        }
        left = 0;
    }
    vectors[0].iov_base = head;
    vectors[0].iov_len = static_cast<size_t>(end - head);
    return left;
}

int HttpMessage::encode(struct iovec vectors[], int max) {
    if (max < 2) {
        errno = EOVERFLOW;
        return -1;
    }
    if (block_count_ >= static_cast<size_t>(max) && !merge_blocks()) {
        return -1;
    }
    const int left = encode_head(vectors);
    if (left <= 0) {
        return left < 0 ? -1 : 1;
    }
    for (size_t i = 0; i < block_count_; i++) {
        vectors[i + 1].iov_base = blocks_[i].data;
        vectors[i + 1].iov_len = blocks_[i].size;
    }
    return static_cast<int>(block_count_) + 1;
}

int HttpMessage::append(const void *buf, size_t *size) {
    this->parser->body_limit = this->size_limit;
    const int ret = http_parser_append_message(buf, size, this->parser);
    this->cur_size += *size;
    if (ret == -2) {
        errno = EBADMSG;
        return -1;
    }
    return ret;
}

int HttpMessage::finish() { return http_parser_end_of_input(this->parser); }

bool HttpRequest::get_method(std::string &method) const {
    return copy_out(this->get_method(), method);
}

bool HttpRequest::get_request_uri(std::string &uri) const {
    return copy_out(this->get_request_uri(), uri);
}

bool HttpRequest::set_method(const char *method) {
    return http_parser_set_method(method, this->parser) == 0;
}

bool HttpRequest::set_request_uri(const char *uri) {
    return http_parser_set_uri(uri, this->parser) == 0;
}

bool HttpRequest::set_method(const std::string &method) { return this->set_method(method.c_str()); }

bool HttpRequest::set_request_uri(const std::string &uri) {
    return this->set_request_uri(uri.c_str());
}

int HttpRequest::append(const void *buf, size_t *size) {
    const int ret = HttpMessage::append(buf, size);
    if (ret > 0) {
        return ret;
    }
    if (ret == 0) {
        return wait_for_rest();
    }
    const int status = http_parser_error_status(this->parser);
    return status != 0 ? answer_error(status, errno) : -1;
}

// The peer reads the answer before the connection ends; whether it could be sent changes nothing.
int HttpRequest::answer_error(int status, int error) {
    size_t size;
    const char *answer = http_error_answer(status, &size);
    (void)this->feedback(answer, size);
    errno = error;
    return -1;
}

// A request that came in one piece never gets here: nobody has to be told about its head.
int HttpRequest::wait_for_rest() {
    if (!head_told_ && this->cur_size > 0) {
        head_told_ = true;
        this->head_begins();
    }
    if (continued_ || !this->is_header_complete()) {
        return 0;
    }
    continued_ = true;
    this->head_complete();
    if (!this->parser->expect_continue || this->parser->body_len > 0) {
        return 0;
    }
    const size_t size = sizeof kContinue - 1;
    if (this->feedback(kContinue, size) != static_cast<int>(size)) {
        // Half of it may be on the wire, and the answer must not come behind that.
        errno = ENOBUFS;
        return -1;
    }
    return 0;
}

void HttpRequest::abandon(int error) {
    if (error == ETIMEDOUT && this->cur_size > 0) {
        (void)answer_error(408, error);
    } else if (error == EBUSY) {
        (void)answer_error(503, error);
    } else if (error == EACCES) {
        (void)answer_error(403, error);
    }
}

bool HttpResponse::get_status_code(std::string &code) const {
    return copy_out(this->get_status_code(), code);
}

bool HttpResponse::get_reason_phrase(std::string &phrase) const {
    return copy_out(this->get_reason_phrase(), phrase);
}

bool HttpResponse::set_status_code(const char *code) {
    return http_parser_set_code(code, this->parser) == 0;
}

bool HttpResponse::set_reason_phrase(const char *phrase) {
    return http_parser_set_phrase(phrase, this->parser) == 0;
}

bool HttpResponse::set_status_code(const std::string &code) {
    return this->set_status_code(code.c_str());
}

bool HttpResponse::set_reason_phrase(const std::string &phrase) {
    return this->set_reason_phrase(phrase.c_str());
}

int HttpResponse::append(const void *buf, size_t *size) {
    const char *pos = static_cast<const char *>(buf);
    const size_t avail = *size;
    size_t used = 0;
    for (;;) {
        size_t n = avail - used;
        const int ret = HttpMessage::append(pos + used, &n);
        used += n;
        *size = used;
        const char *code = this->parser->code;
        if (ret <= 0 || code[0] != '1' || memcmp(code, "101", 3) == 0) {
            return ret;
        }
        if (++interim_count_ > kInterimMax) {
            errno = EBADMSG;
            return -1;
        }
        http_parser_restart(this->parser);
        if (used == avail) {
            return 0;
        }
    }
}

} // namespace protocol
