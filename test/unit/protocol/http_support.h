// Weft - HTTP messages opened for tests: what would go through a connection is recorded
// SPDX-License-Identifier: Apache-2.0

#ifndef WEFT_TEST_UNIT_PROTOCOL_HTTP_SUPPORT_H
#define WEFT_TEST_UNIT_PROTOCOL_HTTP_SUPPORT_H

#include <errno.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"

namespace weft_test {

template <class MESSAGE>
class Opened : public MESSAGE {
public:
    using MESSAGE::abandon;
    using MESSAGE::encode;
    using MESSAGE::finish;

    // Feeds one piece from a block of exactly its size, so that reading beyond it is seen by a
    // sanitizer.
    int feed(std::string_view piece) {
        const std::vector<char> exact(piece.begin(), piece.end());
        size_t size = exact.size();
        errno = 0;
        const int ret = this->append(exact.data(), &size);
        used += size;
        return ret;
    }

    // Feeds pieces until the message ends; pieces behind the end are not looked at.
    int feed_all(const std::vector<std::string_view> &pieces) {
        int ret = 0;
        for (const std::string_view piece : pieces) {
            ret = this->feed(piece);
            if (ret != 0) {
                break;
            }
        }
        return ret;
    }

    std::string wire() {
        struct iovec vectors[2048];
        const int count = this->encode(vectors, 2048);
        std::string text;
        for (int i = 0; i < count; i++) {
            text.append(static_cast<const char *>(vectors[i].iov_base), vectors[i].iov_len);
        }
        vector_count = count;
        return text;
    }

    std::string body() const {
        const void *data;
        size_t size;
        if (!this->get_parsed_body(&data, &size)) {
            return "(none)";
        }
        return std::string(static_cast<const char *>(data), size);
    }

    std::vector<std::pair<std::string, std::string>> fields() const {
        std::vector<std::pair<std::string, std::string>> all;
        protocol::HttpHeaderCursor cursor(this);
        std::string name;
        std::string value;
        while (cursor.next(name, value)) {
            all.emplace_back(name, value);
        }
        return all;
    }

    std::string sent;     // by feedback()
    size_t used = 0;      // bytes consumed by feed()
    int vector_count = 0; // of the last wire()
    int feedback_result = 1;

protected:
    int feedback(const void *buf, size_t size) override {
        if (feedback_result < 0) {
            errno = EAGAIN;
            return -1;
        }
        sent.append(static_cast<const char *>(buf), size);
        return static_cast<int>(size);
    }
};

using Request = Opened<protocol::HttpRequest>;
using Response = Opened<protocol::HttpResponse>;
using Chunk = Opened<protocol::HttpMessageChunk>;

inline std::string repeat(size_t count, std::string_view text) {
    std::string all;
    all.reserve(count * text.size());
    for (size_t i = 0; i < count; i++) {
        all.append(text);
    }
    return all;
}

} // namespace weft_test

#endif
