// Weft - tutorial 07: netstrings, encoder and parser
// SPDX-License-Identifier: Apache-2.0
//
// The parser remembers where it stands, so a message may arrive in any number of pieces.
// Owner and threads: see tutorial-07-netstring.h.

#include "tutorial-07-netstring.h"

#include <algorithm>
#include <errno.h>
#include <sys/uio.h>

namespace netstring {

static const int kDigitsMax = 9;

int Message::encode(struct iovec v[], int /* max is 2048, we need 3 */) {
    static char comma = ',';
    head_ = std::to_string(text_.size()) + ":";
    v[0].iov_base = const_cast<char *>(head_.data());
    v[0].iov_len = head_.size();
    v[1].iov_base = const_cast<char *>(text_.data());
    v[1].iov_len = text_.size();
    v[2].iov_base = &comma;
    v[2].iov_len = 1;
    return 3;
}

bool Message::take_length(char byte) {
    if (byte == ':' && digits_ > 0) {
        text_.clear();
        stage_ = length_ > 0 ? BYTES : COMMA;
        return true;
    }

    // "007:" would be a second spelling of the same length: only "0:" may begin with 0.
    bool leading_zero = digits_ > 0 && length_ == 0;
    if (byte < '0' || byte > '9' || leading_zero || digits_ == kDigitsMax) {
        errno = EBADMSG;
        return false;
    }

    length_ = length_ * 10 + static_cast<size_t>(byte - '0');
    digits_++;
    // Refused when announced, before a byte of it is kept. The server takes the limit from
    // its parameters (request_size_limit), a client from set_size_limit().
    if (length_ > size_limit) {
        errno = EMSGSIZE;
        return false;
    }
    return true;
}

int Message::append(const void *buf, size_t *size) {
    const char *begin = static_cast<const char *>(buf);
    const char *end = begin + *size;
    const char *at = begin;

    while (at < end && stage_ == LENGTH) {
        if (!take_length(*at++))
            return -1;
    }
    if (stage_ == BYTES) {
        size_t missing = length_ - text_.size();
        size_t take = std::min(missing, static_cast<size_t>(end - at));
        text_.append(at, take);
        at += take;
        if (take == missing)
            stage_ = COMMA;
    }
    if (stage_ == COMMA && at < end) {
        if (*at++ != ',') {
            errno = EBADMSG;
            return -1;
        }
        *size = static_cast<size_t>(at - begin);
        return 1;
    }
    return 0;
}

} // namespace netstring
