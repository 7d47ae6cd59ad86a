// Weft - what HTTP client and server tasks share: the Keep-Alive header
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_FACTORY_HTTP_COMMON_H
#define WEFT_SRC_FACTORY_HTTP_COMMON_H

#include <string>

#include "workflow/HttpMessage.h"

namespace wf {

constexpr int HTTP_KEEP_ALIVE_MAX = 300 * 1000;

// The timeout a message's Keep-Alive header names, in milliseconds; `otherwise` when it names none.
// *max becomes its number of requests, if `max` is not NULL and there is one.
[[nodiscard]] int http_keep_alive(const protocol::HttpMessage &message, int otherwise, long *max);

// No connection is kept idle longer than five minutes.
[[nodiscard]] inline int http_cap_keep_alive(int ms) {
    return ms < 0 || ms > HTTP_KEEP_ALIVE_MAX ? HTTP_KEEP_ALIVE_MAX : ms;
}

// For SubTask::describe(): "GET example.com/path: 200", like snprintf(). Without an outcome what
// stands before it.
int http_describe(const protocol::HttpRequest &request, const std::string &host,
                  const char *outcome, char *text, size_t size);

} // namespace wf

#endif
