// Weft - compat: a protocol of lines, as a small library over Weft would define it
// SPDX-License-Identifier: Apache-2.0
//
// One message is one line ending in '\n'. Used as REQ and RESP of client and server tasks.
// Written in C++11: this is what an old user's header looks like.

#ifndef WEFT_TEST_COMPAT_LINE_PROTOCOL_H
#define WEFT_TEST_COMPAT_LINE_PROTOCOL_H

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include <string>
#include <utility>

#include "workflow/ProtocolMessage.h"
#include "workflow/WFServer.h"
#include "workflow/WFTask.h"
#include "workflow/WFTaskFactory.h"

namespace line {

class Message : public protocol::ProtocolMessage {
public:
    Message() {}
    Message(Message &&other) = default;
    Message &operator=(Message &&other) = default;

    std::string text;

protected:
    // The form with a length to write back: what follows the line is not eaten.
    int append(const void *buf, size_t *size) override {
        const char *begin = static_cast<const char *>(buf);
        const char *end = static_cast<const char *>(memchr(begin, '\n', *size));
        size_t take = end ? static_cast<size_t>(end - begin) : *size;
        if (text.size() + take > this->size_limit) {
            errno = EMSGSIZE;
            return -1;
        }
        if (memchr(begin, '\0', take)) {
            errno = EBADMSG;
            return -1;
        }
        text.append(begin, take);
        *size = take + (end ? 1 : 0);
        return end ? 1 : 0;
    }

    int encode(struct iovec v[], int max) override {
        static char newline[] = "\n";
        if (max < 2) {
            errno = EOVERFLOW;
            return -1;
        }
        v[0].iov_base = const_cast<char *>(text.data());
        v[0].iov_len = text.size();
        v[1].iov_base = newline;
        v[1].iov_len = 1;
        return 2;
    }
};

typedef Message Request;
typedef Message Response;
typedef WFNetworkTask<Request, Response> Task;
typedef WFServer<Request, Response> Server;
typedef WFNetworkTaskFactory<Request, Response> Factory;

} // namespace line

#endif
