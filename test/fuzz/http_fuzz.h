// Weft - properties of HTTP messages that hold for every input, checked by the fuzz targets
// SPDX-License-Identifier: Apache-2.0
//
// The outcome does not depend on how the input is cut; what was accepted can be written and means
// the same when it is read again; and no byte of it would be taken for a line end by another
// reader.

#ifndef WEFT_TEST_FUZZ_HTTP_FUZZ_H
#define WEFT_TEST_FUZZ_HTTP_FUZZ_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"

namespace weft_fuzz {

inline void hold(bool condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

template <class MESSAGE>
class Opened : public MESSAGE {
public:
    int feed(std::string_view piece) {
        const std::vector<char> exact(piece.begin(), piece.end());
        size_t size = exact.size();
        const int ret = this->append(exact.data(), &size);
        hold(size <= exact.size(), "no more is consumed than given");
        hold(ret != 0 || size == exact.size(), "all is consumed while more is needed");
        used += size;
        return ret;
    }

    bool closed() { return this->finish() == 1; }

    std::string wire() {
        struct iovec vectors[64];
        const int count = this->encode(vectors, 64);
        std::string text;
        for (int i = 0; i < count; i++) {
            text.append(static_cast<const char *>(vectors[i].iov_base), vectors[i].iov_len);
        }
        hold(count > 0, "an accepted message can be written");
        return text;
    }

    std::string sent;
    size_t used = 0;

protected:
    int feedback(const void *buf, size_t size) override {
        sent.append(static_cast<const char *>(buf), size);
        return static_cast<int>(size);
    }
};

// What a reader sees of a message.
struct View {
    int result = 0;
    int error = 0;
    int status = 0;
    size_t used = 0;
    std::string start_line;
    std::string body;
    std::string decoded;
    std::vector<std::pair<std::string, std::string>> fields;
    bool keep_alive = false;
    bool chunked = false;
    bool operator==(const View &) const = default;
};

inline std::string words(const protocol::HttpRequest &req) {
    return std::string(req.get_method()) + ' ' + req.get_request_uri();
}

inline std::string words(const protocol::HttpResponse &resp) {
    return std::string(resp.get_status_code()) + ' ' + resp.get_reason_phrase();
}

template <class MESSAGE>
View view(Opened<MESSAGE> *message, int result) {
    View seen;
    seen.result = result;
    if (result < 0) {
        seen.error = errno;
        seen.status = http_parser_error_status(message->get_parser());
        hold(seen.error == EBADMSG || seen.error == EMSGSIZE, "an error is one of two");
        return seen;
    }
    seen.used = message->used;
    if (result == 0 && !message->closed()) {
        return seen;
    }
    const void *body;
    size_t size;
    hold(message->get_parsed_body(&body, &size), "a complete message has a body");
    seen.body.assign(static_cast<const char *>(body), size);
    seen.decoded = protocol::HttpUtil::decode_chunked_body(message);
    seen.start_line = words(*message) + ' ' + message->get_http_version();
    protocol::HttpHeaderCursor cursor(message);
    std::string name;
    std::string value;
    while (cursor.next(name, value)) {
        hold((name + value).find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos,
             "no field holds a line end");
        seen.fields.emplace_back(name, value);
    }
    seen.keep_alive = message->is_keep_alive();
    seen.chunked = message->is_chunked();
    return seen;
}

// The first byte chooses limit and mode, the second seeds the cuts.
template <class MESSAGE, class PREPARE>
int check(const uint8_t *data, size_t size, PREPARE prepare) {
    if (size < 2) {
        return 0;
    }
    const uint8_t mode = data[0];
    uint32_t seed = data[1];
    const std::string_view input(reinterpret_cast<const char *>(data) + 2, size - 2);
    Opened<MESSAGE> whole;
    prepare(&whole, mode);
    const int whole_result = whole.feed(input);
    const View expected = view(&whole, whole_result);

    Opened<MESSAGE> pieces;
    prepare(&pieces, mode);
    std::string_view left = input;
    int result = 0;
    while (result == 0 && !left.empty()) {
        seed = seed * 1664525 + 1013904223;
        const size_t wanted = seed % 4 == 0 ? (seed >> 8) % 40 + 1 : (seed >> 8) % 3 + 1;
        const size_t take = wanted < left.size() ? wanted : left.size();
        result = pieces.feed(left.substr(0, take));
        left.remove_prefix(take);
    }
    hold(view(&pieces, result) == expected, "cutting the input changes nothing");
    if (expected.start_line.empty()) {
        return 0;
    }

    pieces.append_output_body_nocopy(expected.body);
    MESSAGE moved(std::move(static_cast<MESSAGE &>(pieces)));
    Opened<MESSAGE> rewritten;
    static_cast<MESSAGE &>(rewritten) = std::move(moved);
    const std::string text = rewritten.wire();
    Opened<MESSAGE> again;
    prepare(&again, mode);
    View reread = view(&again, again.feed(text));
    hold(reread.result == expected.result, "what was written is complete where it was");
    hold(again.used == text.size(), "nothing is left of what was written");
    reread.used = expected.used;
    if ((mode & 1) != 0) {
        // A length that a coding overrides is not written, nor is the reason for closing then.
        reread.keep_alive = expected.keep_alive;
    }
    hold(reread == expected, "what was written means the same");
    return 0;
}

} // namespace weft_fuzz

#endif
