// Weft public header, room: protocol - HTTP/1.1 requests, responses and chunks
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_HTTPMESSAGE_H
#define WEFT_HTTPMESSAGE_H

#include "ProtocolMessage.h"
#include "http_parser.h"
#include <stddef.h>
#include <string.h>
#include <string>
#include <utility>

namespace protocol {

// A field by borrowed pointers into its message. Not ended by a zero byte.
struct HttpMessageHeader {
    const void *name;
    size_t name_len;
    const void *value;
    size_t value_len;
};

// What requests and responses have in common. A message is either received (append) or built
// (set_..., add_...), or received and then changed, as by a proxy. It embeds its parser, so that a
// small message needs no heap memory. Functions returning bool fail on text that must not stand on
// the wire (a line end in a header value: splitting a message is not possible) and when memory is
// exhausted. Source: RFC 9112.
class HttpMessage : public ProtocolMessage {
public:
    const char *get_http_version() const { return http_parser_get_version(this->parser); }
    bool get_http_version(std::string &version) const;
    bool set_http_version(const char *version);
    bool set_http_version(const std::string &version);

    bool is_chunked() const { return http_parser_chunked(this->parser) != 0; }

    // Whether the connection may serve another message: by version and Connection header.
    bool is_keep_alive() const { return http_parser_keep_alive(this->parser) != 0; }

    bool add_header(const struct HttpMessageHeader *header);
    bool set_header(const struct HttpMessageHeader *header);
    bool add_header_pair(const char *name, const char *value) {
        return http_parser_add_header(name, strlen(name), value, strlen(value), this->parser) == 0;
    }
    bool set_header_pair(const char *name, const char *value) {
        return http_parser_set_header(name, strlen(name), value, strlen(value), this->parser) == 0;
    }
    bool add_header_pair(const std::string &name, const std::string &value);
    bool set_header_pair(const std::string &name, const std::string &value);

    // The body as received; of a chunked message with its framing (HttpUtil decodes it). A zero
    // byte follows. False until the message is complete.
    bool get_parsed_body(const void **body, size_t *size) const;

    // Parts of the body to send. _nocopy borrows until the message is sent.
    bool append_output_body(const void *buf, size_t size);
    bool append_output_body_nocopy(const void *buf, size_t size);
    bool append_output_body(const char *buf);
    bool append_output_body_nocopy(const char *buf);
    bool append_output_body(const std::string &buf);
    bool append_output_body_nocopy(const std::string &buf);

    size_t get_output_body_size() const { return this->output_size_; }
    // Fills at most `max` blocks_ and returns their number.
    size_t get_output_body_blocks(const void *buf[], size_t size[], size_t max) const;
    // *size is the room in, the length out; ENOSPC when it does not fit.
    bool get_output_body_merged(void *buf, size_t *size) const;
    bool get_output_body_merged(std::string &body) const;
    void clear_output_body();

    bool is_header_complete() const { return http_parser_header_complete(this->parser) != 0; }
    bool has_connection_header() const { return http_parser_has_connection(this->parser) != 0; }
    bool has_content_length_header() const {
        return http_parser_has_content_length(this->parser) != 0;
    }
    bool has_keep_alive_header() const { return http_parser_has_keep_alive(this->parser) != 0; }

    // Takes what has come as the whole message.
    void end_parsing() { http_parser_close_message(this->parser); }

    const http_parser_t *get_parser() const { return this->parser; }

    // What this message accepts while it is received; borrowed. The process-wide default holds
    // until then.
    void set_parser_rules(const http_parser_rules_t *rules) { this->parser->rules = rules; }

protected:
    int encode(struct iovec vectors[], int max) override;
    int append(const void *buf, size_t *size) override;
    using ProtocolMessage::append;

    // The peer has closed: completes a message that lasts until then.
    int finish() override;

    http_parser_t *parser; // points to the one below
    size_t cur_size;       // bytes consumed by append so far

private:
    // A part of the body to send: borrowed or within the parser's text when room is 0, else a heap
    // block of that size.
    struct Block {
        char *data; // not owned when room is 0
        size_t size;
        size_t room;
    };

    enum { INLINE_BLOCKS = 2 };

    bool add_block(char *data, size_t size, size_t room);
    void take_blocks(HttpMessage &message);
    void drop_blocks();
    bool merge_blocks();
    int encode_head(struct iovec vectors[]);

    http_parser_t storage_;
    Block *blocks_;
    size_t block_count_;
    size_t block_room_;
    size_t output_size_;
    Block inline_blocks_[INLINE_BLOCKS];

public:
    HttpMessage(bool is_resp);
    ~HttpMessage() override;

    // Bodies keep their addresses. The source is empty afterwards.
    HttpMessage(HttpMessage &&message) noexcept;
    HttpMessage &operator=(HttpMessage &&message) noexcept;
};

class HttpRequest : public HttpMessage {
public:
    const char *get_method() const { return http_parser_get_method(this->parser); }
    const char *get_request_uri() const { return http_parser_get_uri(this->parser); }
    bool get_method(std::string &method) const;
    bool get_request_uri(std::string &uri) const;

    bool set_method(const char *method);
    bool set_request_uri(const char *uri);
    bool set_method(const std::string &method);
    bool set_request_uri(const std::string &uri);

protected:
    // Answers "100 Continue" when asked for, and a request that breaks the rules with its status,
    // by feedback().
    int append(const void *buf, size_t *size) override;
    using HttpMessage::append;

    // Answers 408 to a request that did not come in time.
    void abandon(int error) override;

private:
    int answer_error(int status, int error);
    int wait_for_rest();

    bool head_told_; // the kernel knows how much of the head has come
    bool continued_; // "100 Continue" was sent, or is no longer due

public:
    HttpRequest() : HttpMessage(false), head_told_(false), continued_(false) {}
    HttpRequest(HttpRequest &&request) = default;
    HttpRequest &operator=(HttpRequest &&request) = default;
};

class HttpResponse : public HttpMessage {
public:
    const char *get_status_code() const { return http_parser_get_code(this->parser); }
    const char *get_reason_phrase() const { return http_parser_get_phrase(this->parser); }
    bool get_status_code(std::string &code) const;
    bool get_reason_phrase(std::string &phrase) const;

    // Three digits.
    bool set_status_code(const char *code);
    bool set_reason_phrase(const char *phrase);
    bool set_status_code(const std::string &code);
    bool set_reason_phrase(const std::string &phrase);

    // No body follows, whatever the header says: the response to a HEAD request.
    void parse_zero_body() { http_parser_set_zero_body(this->parser); }

protected:
    // Drops interim responses (1xx) other than 101.
    int append(const void *buf, size_t *size) override;
    using HttpMessage::append;

private:
    int interim_count_;

public:
    HttpResponse() : HttpMessage(true), interim_count_(0) {}
    HttpResponse(HttpResponse &&response) = default;
    HttpResponse &operator=(HttpResponse &&response) = default;
};

// One chunk of a chunked body, received or sent alone. The last chunk has no data.
class HttpMessageChunk : public ProtocolMessage {
public:
    // Borrowed. False until the whole chunk is there.
    bool get_chunk_data(const void **data, size_t *size) const;

    // The same, but the caller owns the memory from now on and gives it back by free().
    bool move_chunk_data(void **data, size_t *size);

    // Copies. No data makes the last chunk.
    bool set_chunk_data(const void *data, size_t size);

protected:
    int encode(struct iovec vectors[], int max) override;
    int append(const void *buf, size_t *size) override;
    using ProtocolMessage::append;

private:
    int take_data(const char *data, size_t size);

    http_chunk_scan_t scan_;
    char *data_;
    size_t data_size_;
    size_t data_room_;
    bool complete_;
    char size_line_[24];

public:
    HttpMessageChunk();
    ~HttpMessageChunk() override;
    HttpMessageChunk(HttpMessageChunk &&chunk) noexcept;
    HttpMessageChunk &operator=(HttpMessageChunk &&chunk) noexcept;
};

} // namespace protocol

#endif
