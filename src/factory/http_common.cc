// Weft - what HTTP client and server tasks share: the Keep-Alive header
// SPDX-License-Identifier: Apache-2.0
#include "factory/http_common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <strings.h>

#include "workflow/HttpUtil.h"
#include "workflow/StringUtil.h"

namespace wf {

int http_keep_alive(const protocol::HttpMessage &message, int otherwise, long *max) {
    protocol::HttpHeaderCursor cursor(&message);
    std::string value;
    int timeout = otherwise;
    if (!cursor.find("Keep-Alive", value))
        return timeout;
    for (const std::string &part : StringUtil::split(value, ',')) {
        std::string word = StringUtil::strip(part);
        size_t equals = word.find('=');
        if (equals == std::string::npos)
            continue;
        char *end;
        long n = strtol(word.c_str() + equals + 1, &end, 10);
        if (*end != '\0' || n < 0)
            continue;
        std::string name = StringUtil::strip(word.substr(0, equals));
        if (strcasecmp(name.c_str(), "timeout") == 0)
            timeout =
                n > HTTP_KEEP_ALIVE_MAX / 1000 ? HTTP_KEEP_ALIVE_MAX : static_cast<int>(n) * 1000;
        else if (max && strcasecmp(name.c_str(), "max") == 0)
            *max = n;
    }
    return timeout;
}

int http_describe(const protocol::HttpRequest &request, const std::string &host,
                  const char *outcome, char *text, size_t size) {
    const char *method = request.get_method(), *target = request.get_request_uri();
    bool known = outcome && *outcome;
    if (!method) // moved away by the program: what was said before stands
        return snprintf(text, size, "%s", "");
    return snprintf(text, size, "%s %s%s%s%s", method, host.c_str(), target ? target : "",
                    known ? ": " : "", known ? outcome : "");
}

} // namespace wf
