// Weft - tests of address lists: literal addresses, repetitions, loopback
// SPDX-License-Identifier: Apache-2.0
#include <net/if.h>
#include <netinet/in.h>
#include <string>
#include <sys/un.h>

#include "nameservice/resolver.h"
#include "unit/nameservice/ns_engine.h"

using wf::detail::AddressList;
using wf::detail::Literal;
using wf::detail::parse_literal;
using wf::detail::parse_port;

namespace {

Literal parse(const std::string &host, int *family = nullptr) {
    struct sockaddr_storage addr;
    socklen_t len = 0;
    Literal literal = parse_literal(host.c_str(), 80, &addr, &len);
    if (family)
        *family = literal == Literal::ADDRESS ? addr.ss_family : -1;
    return literal;
}

size_t length(const AddressList &list) {
    size_t n = 0;
    for (const struct addrinfo *node = list.get(); node; node = node->ai_next)
        n++;
    return n;
}

void add(AddressList *list, const std::vector<std::string> &ips) {
    struct addrinfo *made = make_list(ips, 1);
    EXPECT_TRUE(list->add_all(made, 80));
    wf::detail::address_list_free(made);
}

} // namespace

TEST(AddressList, LiteralsAreToldFromNames) {
    int family = 0;
    EXPECT_EQ(parse("127.0.0.1", &family), Literal::ADDRESS);
    EXPECT_EQ(family, AF_INET);
    EXPECT_EQ(parse("::1", &family), Literal::ADDRESS);
    EXPECT_EQ(family, AF_INET6);
    EXPECT_EQ(parse("::ffff:1.2.3.4", &family), Literal::ADDRESS);
    EXPECT_EQ(family, AF_INET6);
    for (const char *name :
         {"", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "01:02", ":",
          "::1::", "1e100.net", "[::1]", "::1%no-such-interface", "::1%"})
        EXPECT_EQ(parse(name), Literal::NONE) << name;
}

TEST(AddressList, ScopeIsAnInterface) {
    struct sockaddr_storage addr;
    socklen_t len;
    ASSERT_EQ(parse_literal("fe80::1%7", 80, &addr, &len), Literal::ADDRESS);
    EXPECT_EQ(reinterpret_cast<struct sockaddr_in6 *>(&addr)->sin6_scope_id, 7u);
    unsigned lo = if_nametoindex("lo");
    if (lo > 0) {
        ASSERT_EQ(parse_literal("fe80::1%lo", 80, &addr, &len), Literal::ADDRESS);
        EXPECT_EQ(reinterpret_cast<struct sockaddr_in6 *>(&addr)->sin6_scope_id, lo);
    }
}

// behaviours row 113
TEST(AddressList, PathsAreUnixSockets) {
    struct sockaddr_storage addr;
    socklen_t len;
    ASSERT_EQ(parse_literal("/tmp/socket", 80, &addr, &len), Literal::ADDRESS);
    EXPECT_EQ(addr.ss_family, AF_UNIX);
    EXPECT_STREQ(reinterpret_cast<struct sockaddr_un *>(&addr)->sun_path, "/tmp/socket");
    size_t most = sizeof(sockaddr_un::sun_path) - 1;
    EXPECT_EQ(parse("/" + std::string(most - 1, 'x')), Literal::ADDRESS);
    EXPECT_EQ(parse("/" + std::string(most, 'x')), Literal::BAD);
    EXPECT_EQ(parse("/" + std::string(100000, 'x')), Literal::BAD);
}

TEST(AddressList, RepetitionsAndExcessAreLeftOut) {
    AddressList list;
    add(&list, {"1.1.1.1", "2.2.2.2", "1.1.1.1"});
    EXPECT_EQ(length(list), 2u);
    for (int i = 0; i < 1000; i++)
        add(&list, {"3.3." + std::to_string(i / 250) + "." + std::to_string(i % 250)});
    EXPECT_EQ(length(list), wf::detail::MAX_ADDRESSES);
}

TEST(AddressList, LoopbackKeepsOneFamily) {
    AddressList mixed;
    add(&mixed, {"::1", "127.0.0.1", "127.0.0.2"});
    mixed.settle_loopback();
    EXPECT_EQ(length(mixed), 2u);
    EXPECT_EQ(mixed.get()->ai_family, AF_INET);
    add(&mixed, {"127.0.0.3"});
    EXPECT_EQ(length(mixed), 3u);

    AddressList six;
    add(&six, {"::1"});
    six.settle_loopback();
    EXPECT_EQ(length(six), 1u);

    AddressList abroad;
    add(&abroad, {"127.0.0.1", "::1", "10.0.0.1"});
    abroad.settle_loopback();
    EXPECT_EQ(length(abroad), 3u);
}

TEST(AddressList, PortsAreChecked) {
    unsigned short port = 1;
    EXPECT_TRUE(parse_port(nullptr, &port));
    EXPECT_EQ(port, 0);
    EXPECT_TRUE(parse_port("", &port));
    EXPECT_TRUE(parse_port("0000000000000000000000443", &port));
    EXPECT_EQ(port, 443);
    EXPECT_TRUE(parse_port("65535", &port));
    EXPECT_EQ(port, 65535);
    for (const char *bad : {"65536", "99999999999999999999999", "-1", "+1", "80x", " 80", "x"})
        EXPECT_FALSE(parse_port(bad, &port)) << bad;
}
