// Weft - unit tests of the PROXY protocol's header
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/filter.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <string.h>
#include <string>

namespace {

using wf::FilterResult;
using wf::FilterVerdict;
using wf::ProxyProtocol;

FilterResult from(const char *address) {
    FilterResult result = {};
    struct sockaddr_in in = {};
    in.sin_family = AF_INET;
    in.sin_port = htons(999);
    inet_pton(AF_INET, address, &in.sin_addr);
    memcpy(&result.addr, &in, sizeof in);
    result.addrlen = sizeof in;
    return result;
}

std::string text_of(const FilterResult &result) {
    char text[INET6_ADDRSTRLEN];
    if (result.addr.ss_family == AF_INET) {
        auto *in = reinterpret_cast<const struct sockaddr_in *>(&result.addr);
        EXPECT_EQ(result.addrlen, sizeof *in);
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        return std::string(text) + " " + std::to_string(ntohs(in->sin_port));
    }
    auto *in6 = reinterpret_cast<const struct sockaddr_in6 *>(&result.addr);
    EXPECT_EQ(result.addrlen, sizeof *in6);
    inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
    return std::string(text) + " " + std::to_string(ntohs(in6->sin6_port));
}

const std::string REST = "GET / HTTP/1.1\r\n";

// The header comes byte by byte, with something behind it: each beginning wants more, and all of it
// says the address and takes exactly the header.
void expect_header(const std::string &header, const std::string &address) {
    ProxyProtocol filter;
    for (size_t n = 1; n < header.size(); n++) {
        FilterResult result = from("192.0.2.9");
        EXPECT_EQ(filter.look(header.data(), n, &result), wf::FILTER_MORE) << n;
    }
    for (const std::string &bytes : {header, header + REST}) {
        FilterResult result = from("192.0.2.9");
        ASSERT_EQ(filter.look(bytes.data(), bytes.size(), &result), wf::FILTER_PASS) << header;
        EXPECT_EQ(result.taken, header.size());
        EXPECT_EQ(text_of(result), address);
    }
}

void expect_refused(const std::string &bytes) {
    ProxyProtocol filter;
    FilterResult result = from("192.0.2.9");
    EXPECT_EQ(filter.look(bytes.data(), bytes.size(), &result), wf::FILTER_REFUSE) << bytes;
}

std::string v2(unsigned char command, unsigned char family, const std::string &rest) {
    std::string head("\r\n\r\n\0\r\nQUIT\n", 12);
    head += static_cast<char>(command);
    head += static_cast<char>(family);
    head += static_cast<char>(rest.size() >> 8);
    head += static_cast<char>(rest.size());
    return head + rest;
}

const std::string FOUR("\xc0\x00\x02\x01\x0a\x00\x00\x01\x1f\x90\x00\x50", 12);
const std::string SIX = std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 16) +
                        std::string(15, '\0') + "\x01" + std::string("\x1f\x90\x00\x50", 4);

TEST(ProxyProtocol, Version1) {
    expect_header("PROXY TCP4 198.51.100.7 10.0.0.1 56324 443\r\n", "198.51.100.7 56324");
    expect_header("PROXY TCP6 2001:db8::7 ::1 1 65535\r\n", "2001:db8::7 1");
    expect_header("PROXY TCP4 0.0.0.0 255.255.255.255 0 0\r\n", "0.0.0.0 0");
    expect_header("PROXY UNKNOWN\r\n", "192.0.2.9 999");
    expect_header("PROXY UNKNOWN ffff::1 what ever\r\n", "192.0.2.9 999");
}

TEST(ProxyProtocol, Version1IsStrict) {
    for (const char *line : {"PROXY TCP4 198.51.100.7 10.0.0.1 56324\r\n",
                             "PROXY TCP4 198.51.100.7 10.0.0.1 1 2 3\r\n",
                             "PROXY TCP4  198.51.100.7 10.0.0.1 1 2\r\n",
                             "PROXY TCP4 198.51.100.7 10.0.0.1 1 2 \r\n",
                             "PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
                             "PROXY TCP6 198.51.100.7 10.0.0.1 1 2\r\n",
                             "PROXY TCP4 198.51.100.256 10.0.0.1 1 2\r\n",
                             "PROXY TCP4 198.51.100.7 10.0.0.1 65536 2\r\n",
                             "PROXY TCP4 198.51.100.7 10.0.0.1 01 2\r\n",
                             "PROXY TCP4 198.51.100.7 10.0.0.1 -1 2\r\n",
                             "PROXY TCP4 198.51.100.7 10.0.0.1 1 \r\n",
                             "PROXY TCP5 198.51.100.7 10.0.0.1 1 2\r\n",
                             "PROXY UNKNOWNS\r\n",
                             "PROXY \r\n",
                             "PROXY \n",
                             "PROXY TCP4 198.51.100.7 10.0.0.1 1 2\n",
                             "PROXY TCP4\t198.51.100.7 10.0.0.1 1 2\r\n",
                             "proxy TCP4 198.51.100.7 10.0.0.1 1 2\r\n",
                             "GET / HTTP/1.1\r\n",
                             "P ",
                             "\x16\x03\x01"})
        expect_refused(line);
    expect_refused(std::string("PROXY TCP4 198.51.100.7 10.0.0.1 1 2\0\r\n", 39));
    expect_refused("PROXY UNKNOWN " + std::string(200, 'x'));
    expect_refused("PROXY UNKNOWN " + std::string(200, 'x') + "\r\n");
}

TEST(ProxyProtocol, Version2) {
    expect_header(v2(0x21, 0x11, FOUR), "192.0.2.1 8080");
    expect_header(v2(0x21, 0x12, FOUR), "192.0.2.1 8080");
    expect_header(v2(0x21, 0x21, SIX), "2001:db8::7 8080");
    expect_header(v2(0x21, 0x11, FOUR + std::string(300, '\x04')), "192.0.2.1 8080"); // TLVs
    expect_header(v2(0x20, 0x11, FOUR), "192.0.2.9 999"); // LOCAL: of the proxy's own
    expect_header(v2(0x20, 0x00, ""), "192.0.2.9 999");
    expect_header(v2(0x21, 0x00, "whatever"), "192.0.2.9 999");
    expect_header(v2(0x21, 0x31, std::string(216, 'p')), "192.0.2.9 999");
    expect_header(v2(0x21, 0x00, std::string(4096 - 16, 'x')), "192.0.2.9 999");
}

TEST(ProxyProtocol, Version2IsStrict) {
    expect_refused(v2(0x11, 0x11, FOUR));
    expect_refused(v2(0x31, 0x11, FOUR));
    expect_refused(v2(0x22, 0x11, FOUR));
    expect_refused(v2(0x21, 0x41, FOUR));
    expect_refused(v2(0x21, 0x13, FOUR));
    expect_refused(v2(0x21, 0x11, FOUR.substr(1)));
    expect_refused(v2(0x21, 0x21, SIX.substr(1)));
    expect_refused(v2(0x21, 0x31, std::string(215, 'p')));
    expect_refused(v2(0x21, 0x00, std::string(4096 - 15, 'x')));
    std::string wrong = v2(0x21, 0x11, FOUR);
    wrong[5] = 'x';
    expect_refused(wrong);
}

TEST(ProxyProtocol, OnlyWhoIsTrustedIsBelieved) {
    ProxyProtocol filter;
    ASSERT_EQ(filter.trust("192.0.2.0/28"), 0);
    EXPECT_EQ(filter.trust("192.0.2.0/280"), -1);
    std::string line = "PROXY TCP4 198.51.100.7 10.0.0.1 1 2\r\n";
    FilterResult result = from("192.0.2.9");
    EXPECT_EQ(filter.look(line.data(), line.size(), &result), wf::FILTER_PASS);
    result = from("192.0.2.16");
    EXPECT_EQ(filter.look(line.data(), line.size(), &result), wf::FILTER_REFUSE);
    EXPECT_EQ(filter.look(line.data(), 1, &result), wf::FILTER_REFUSE);
}

} // namespace
