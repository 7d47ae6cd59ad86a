// Weft - tests of the hosts file: what is read, what is skipped, when it is read again
// SPDX-License-Identifier: Apache-2.0
#include "nameservice/hosts_file.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "unit/nameservice/ns_engine.h"

using wf::detail::AddressList;
using wf::detail::HostsFile;

namespace {

class HostsFileTest : public testing::Test {
protected:
    HostsFileTest() {
        std::string pattern = std::filesystem::temp_directory_path() / "weft-hosts-XXXXXX";
        EXPECT_NE(mkdtemp(pattern.data()), nullptr);
        dir = pattern;
        path = dir + "/hosts";
        hosts.set_path(path.c_str());
    }
    ~HostsFileTest() override { std::filesystem::remove_all(dir); }

    // A new file each time, so that its inode tells the versions apart within one tick of the file
    // system's clock.
    void write(const std::string &text) {
        std::ofstream(dir + "/new") << text;
        std::filesystem::rename(dir + "/new", path);
    }

    size_t count(const std::string &name, int family = AF_UNSPEC) {
        AddressList list;
        EXPECT_TRUE(hosts.find(name, family, 8080, &list));
        size_t n = 0;
        for (const struct addrinfo *node = list.get(); node; node = node->ai_next) {
            n++;
            auto *in = reinterpret_cast<const struct sockaddr_in *>(node->ai_addr);
            EXPECT_EQ(ntohs(in->sin_port), 8080);
        }
        return n;
    }

    FakeClock clock;
    std::string dir;
    std::string path;
    HostsFile hosts;
};

} // namespace

TEST_F(HostsFileTest, ReadsWhatHostsFilesHold) {
    write("127.0.0.1\tlocalhost\n"
          "# 1.1.1.1 commented\n"
          "\n"
          "10.0.0.1 one uno # ein\n"
          "  10.0.0.2   two\r\n"
          "10.0.0.3 one\n"
          "::1 localhost ip6-localhost\n"
          "fe80::1%3 scoped\n"
          "10.0.0.4 last");
    EXPECT_EQ(count("localhost"), 2u);
    EXPECT_EQ(count("localhost", AF_INET), 1u);
    EXPECT_EQ(count("localhost", AF_INET6), 1u);
    EXPECT_EQ(count("one"), 2u);
    EXPECT_EQ(count("uno"), 1u);
    EXPECT_EQ(count("UNO."), 1u);
    EXPECT_EQ(count("two"), 1u);
    EXPECT_EQ(count("two", AF_INET6), 0u);
    EXPECT_EQ(count("scoped"), 1u);
    EXPECT_EQ(count("last"), 1u);
    for (const char *absent : {"commented", "ein", "10.0.0.1", "", ".", "#"})
        EXPECT_EQ(count(absent), 0u) << absent;
}

TEST_F(HostsFileTest, SkipsNonsense) {
    std::string text = "no address here\n1.2.3 short\n999.1.1.1 large\n1.1.1.1\n1.1.1.1 \n:::: x\n";
    text += std::string("1.1.1.1 nul\0inside\n", 19);
    text += "10.0.0.9 " + std::string(1 << 20, 'x') + " after\n";
    text += std::string(1 << 20, 'y') + " name\n";
    text += "1.1.1.1%eth0 scope\n\xff\xfe\x80 bytes\n10.0.0.1 good\n";
    write(text);
    EXPECT_EQ(count("good"), 1u);
    EXPECT_EQ(count("after"), 1u);
    EXPECT_EQ(count(std::string(1 << 20, 'x')), 1u);
    for (const char *absent : {"short", "large", "name", "bytes", "x", "here", "scope"})
        EXPECT_EQ(count(absent), 0u) << absent;
}

TEST_F(HostsFileTest, ManyAddressesAreCutOff) {
    std::string text;
    for (int i = 0; i < 5000; i++)
        text += "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250) + " many\n";
    write(text);
    EXPECT_EQ(count("many"), wf::detail::MAX_ADDRESSES);
}

TEST_F(HostsFileTest, ChangesAreSeenAfterASecond) {
    write("10.0.0.1 a\n");
    EXPECT_EQ(count("a"), 1u);
    write("10.0.0.1 a\n10.0.0.2 a\n10.0.0.3 b\n");
    clock.advance_ms(999);
    EXPECT_EQ(count("a"), 1u);
    EXPECT_EQ(count("b"), 0u);
    clock.advance_ms(1);
    EXPECT_EQ(count("b"), 1u);
    EXPECT_EQ(count("a"), 2u);
    std::filesystem::remove(path);
    clock.advance_ms(1000);
    EXPECT_EQ(count("a"), 0u);
    write("10.0.0.1 a\n");
    clock.advance_ms(1000);
    EXPECT_EQ(count("a"), 1u);
}

TEST_F(HostsFileTest, AbsentOrOddFilesAreEmpty) {
    EXPECT_EQ(count("a"), 0u);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    clock.advance(1);
    EXPECT_EQ(count("a"), 0u) << "and a pipe without a writer holds nobody up";
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    clock.advance(1);
    EXPECT_EQ(count("a"), 0u);
    hosts.set_path(nullptr);
    EXPECT_EQ(count("a"), 0u);
    hosts.set_path("");
    EXPECT_EQ(count("a"), 0u);
}

TEST_F(HostsFileTest, IsReadAgainUnderUse) {
    write("10.0.0.1 a\n");
    std::vector<std::thread> threads;
    std::atomic<bool> over{false};
    std::atomic<int> lost{0};
    for (int i = 0; i < 3; i++) {
        threads.emplace_back([&] {
            while (!over)
                lost += count("a") == 1 ? 0 : 1;
        });
    }
    for (int i = 0; i < 100; i++) {
        write("10.0.0.1 a\n10.0.0.2 b" + std::to_string(i) + "\n");
        clock.advance(1);
        count("b");
    }
    over = true;
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(lost, 0);
    clock.advance(1);
    EXPECT_EQ(count("b99"), 1u);
}
