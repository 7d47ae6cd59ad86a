// Weft - the header of the PROXY protocol, versions 1 and 2
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <new>
#include <string.h>

#include "workflow/wf/filter.h"

namespace wf {

namespace {

constexpr size_t V1_MOST = 107; // with the end of the line
constexpr char V1_MARK[] = "PROXY ";
constexpr unsigned char V2_MARK[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                       0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
constexpr size_t V2_HEAD = 16;
constexpr size_t V2_MOST = 4096; // the head and what follows it

enum Family { NOBODY = 0, IPV4 = 1, IPV6 = 2, UNIX = 3 };

void set_ipv4(FilterResult *result, const void *address, uint16_t port) {
    struct sockaddr_in in = {};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    memcpy(&in.sin_addr, address, sizeof in.sin_addr);
    memcpy(&result->addr, &in, sizeof in);
    result->addrlen = sizeof in;
}

void set_ipv6(FilterResult *result, const void *address, uint16_t port) {
    struct sockaddr_in6 in6 = {};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    memcpy(&in6.sin6_addr, address, sizeof in6.sin6_addr);
    memcpy(&result->addr, &in6, sizeof in6);
    result->addrlen = sizeof in6;
}

// Digits without zeros in front.
bool parse_port(const std::string &text, uint16_t *port) {
    if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0') ||
        !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }))
        return false;
    unsigned long value = std::stoul(text);
    *port = static_cast<uint16_t>(value);
    return value <= 65535;
}

// The line, without its end and "PROXY ": family, two addresses, two ports, one space apart.
bool parse_line(const std::string &line, FilterResult *result) {
    if (line.compare(0, 7, "UNKNOWN") == 0)
        return line.size() == 7 || line[7] == ' ';
    std::string words[5];
    size_t at = 0;
    for (std::string &word : words) {
        size_t end = std::min(line.find(' ', at), line.size());
        word = line.substr(at, end - at);
        if (word.empty() || (&word != &words[4] && end == line.size()))
            return false;
        at = end + 1;
    }
    uint16_t from, to;
    if (at <= line.size() || !parse_port(words[3], &from) || !parse_port(words[4], &to))
        return false;
    unsigned char source[16], target[16];
    int family = words[0] == "TCP4" ? AF_INET : words[0] == "TCP6" ? AF_INET6 : AF_UNSPEC;
    if (family == AF_UNSPEC || inet_pton(family, words[1].c_str(), source) != 1 ||
        inet_pton(family, words[2].c_str(), target) != 1)
        return false;
    if (family == AF_INET)
        set_ipv4(result, source, from);
    else
        set_ipv6(result, source, from);
    return true;
}

FilterVerdict look_v1(const char *bytes, size_t size, FilterResult *result) {
    const char *end = static_cast<const char *>(memchr(bytes, '\n', std::min(size, V1_MOST)));
    if (!end)
        return size < V1_MOST ? FILTER_MORE : FILTER_REFUSE;
    size_t length = static_cast<size_t>(end - bytes) + 1;
    size_t mark = sizeof V1_MARK - 1;
    if (length < mark + 2 || end[-1] != '\r' || memchr(bytes, '\0', length))
        return FILTER_REFUSE;
    try {
        if (!parse_line(std::string(bytes + mark, length - mark - 2), result))
            return FILTER_REFUSE;
    } catch (const std::bad_alloc &) {
        return FILTER_REFUSE;
    }
    result->taken = length;
    return FILTER_PASS;
}

uint16_t number(const unsigned char *bytes) {
    return static_cast<uint16_t>(bytes[0] << 8 | bytes[1]);
}

FilterVerdict look_v2(const unsigned char *bytes, size_t size, FilterResult *result) {
    if (size < V2_HEAD)
        return FILTER_MORE;
    unsigned command = bytes[12] & 0xfu, family = bytes[13] >> 4u, protocol = bytes[13] & 0xfu;
    size_t length = number(bytes + 14);
    static const size_t room[] = {0, 12, 36, 216};
    if (bytes[12] >> 4u != 2 || command > 1 || family > UNIX || protocol > 2 ||
        V2_HEAD + length > V2_MOST)
        return FILTER_REFUSE;
    bool proxied = command == 1;
    if (proxied && length < room[family])
        return FILTER_REFUSE;
    if (size < V2_HEAD + length)
        return FILTER_MORE;
    const unsigned char *addresses = bytes + V2_HEAD; // both addresses, both ports
    if (proxied && family == IPV4)
        set_ipv4(result, addresses, number(addresses + 8));
    else if (proxied && family == IPV6)
        set_ipv6(result, addresses, number(addresses + 32));
    result->taken = V2_HEAD + length;
    return FILTER_PASS;
}

bool begins(const void *bytes, size_t size, const void *mark, size_t length) {
    return memcmp(bytes, mark, std::min(size, length)) == 0;
}

} // namespace

size_t ProxyProtocol::max_bytes() const { return V2_MOST; }

enum FilterVerdict ProxyProtocol::look(const void *bytes, size_t size,
                                       struct FilterResult *result) {
    auto *from = reinterpret_cast<const struct sockaddr *>(&result->addr);
    if (this->trusted_.admit(from, result->addrlen, nullptr) != CCR_COUNT)
        return FILTER_REFUSE;
    if (begins(bytes, size, V2_MARK, sizeof V2_MARK))
        return look_v2(static_cast<const unsigned char *>(bytes), size, result);
    if (begins(bytes, size, V1_MARK, sizeof V1_MARK - 1))
        return look_v1(static_cast<const char *>(bytes), size, result);
    return FILTER_REFUSE;
}

} // namespace wf
