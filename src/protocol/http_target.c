// Weft - request targets and host values
// SPDX-License-Identifier: Apache-2.0
//
// Pure checks over borrowed bytes. A target that two servers could read differently is refused.
// Source: RFC 9112, section 3.2; RFC 3986, section 3.2.2.

#include <arpa/inet.h>
#include <string.h>

#include "protocol/http_chars.h"
#include "protocol/http_internal.h"

enum { PORT_MAX = 65535 };

static int target_bytes_ok(const http_parser_t *parser, const char *base, const char *pos,
                           const char *end) {
    pos = http_span_target(base, pos, end);
    while (pos < end) {
        const unsigned char c = (unsigned char)*pos;
        if (!parser->rules->allow_raw_target || (c != '#' && c < 0x80)) {
            return 0;
        }
        pos = http_span_target(base, pos + 1, end);
    }
    return 1;
}

static int port_ok(const char *pos, const char *end) {
    unsigned port = 0;
    for (; pos < end; pos++) {
        if (!http_is(*pos, HTTP_CHAR_DIGIT)) {
            return 0;
        }
        port = port * 10 + (unsigned)(*pos - '0');
        if (port > PORT_MAX) {
            return 0;
        }
    }
    return 1;
}

// An address between brackets. Future versions of the literal are nobody's practice and refused.
static int literal_ok(const char *pos, const char *end) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr;
    const size_t len = (size_t)(end - pos);
    if (len >= sizeof text) {
        return 0;
    }
    memcpy(text, pos, len);
    text[len] = '\0';
    return strlen(text) == len && inet_pton(AF_INET6, text, &addr) == 1;
}

static const char *name_end(const char *pos, const char *end) {
    while (pos < end && http_is(*pos, HTTP_CHAR_HOST)) {
        if (*pos == '%') {
            if (end - pos < 3 || !http_is(pos[1], HTTP_CHAR_HEX) ||
                !http_is(pos[2], HTTP_CHAR_HEX)) {
                return pos;
            }
            pos += 2;
        }
        pos++;
    }
    return pos;
}

const char *http_check_host(const char *base, const char *host, size_t len, int need_port) {
    const char *end = host + len;
    const char *pos = host;
    if (len > 0 && *host == '[') {
        const char *close = (const char *)memchr(host, ']', len);
        if (close == NULL || !literal_ok(host + 1, close)) {
            return "bad address in host";
        }
        pos = close + 1;
    } else {
        pos = http_span_common(base, host, end, 0);
        pos = pos == end || *pos == ':' ? pos : name_end(pos, end);
    }
    if (pos == end) {
        return need_port ? "port missing" : NULL;
    }
    if (*pos != ':' || !port_ok(pos + 1, end)) {
        return "bad host";
    }
    if (need_port && (pos == host || pos + 1 == end)) {
        return "host or port missing";
    }
    return NULL;
}

static int is_letter(char c) {
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'z';
}

// scheme "://" authority, then a path or query or nothing.
static const char *check_absolute(const char *base, const char *target, const char *end) {
    const char *pos = target;
    while (pos < end && (is_letter(*pos) || http_is(*pos, HTTP_CHAR_DIGIT) || *pos == '+' ||
                         *pos == '-' || *pos == '.')) {
        pos++;
    }
    if (!is_letter(*target) || end - pos < 3 || memcmp(pos, "://", 3) != 0) {
        return "bad request target";
    }
    pos += 3;
    const char *authority = pos;
    while (pos < end && *pos != '/' && *pos != '?') {
        pos++;
    }
    if (pos == authority || *authority == ':') {
        return "no host in request target";
    }
    return http_check_host(base, authority, (size_t)(pos - authority), 0);
}

const char *http_check_target(const http_parser_t *parser, const char *base, const char *method,
                              size_t method_len, const char *target, size_t len) {
    const char *end = target + len;
    if (len == 0 || !target_bytes_ok(parser, base, target, end)) {
        return "bad byte in request target";
    }
    if (method_len == 7 && memcmp(method, "CONNECT", 7) == 0) {
        return http_check_host(base, target, len, 1);
    }
    if (*target == '/') {
        return NULL;
    }
    if (*target == '*') {
        const int options = method_len == 7 && memcmp(method, "OPTIONS", 7) == 0;
        return len == 1 && options ? NULL : "asterisk without OPTIONS";
    }
    return check_absolute(base, target, end);
}
