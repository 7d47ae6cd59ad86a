// Weft - integration: the file server of tutorial 23, asked by curl
// SPDX-License-Identifier: Apache-2.0

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <fstream>

#include "integration/peer.h"
#include "integration/raw_socket.h"
#include "integration/tutorial_server.h"

namespace {

// A directory with a secret beside it; all is removed in the end.
class Tree {
public:
    Tree() {
        char name[] = "/tmp/weft_www_XXXXXX";
        base_ = mkdtemp(name);
        mkdir(path("www").c_str(), 0755);
        mkdir(path("www/sub").c_str(), 0755);
        put("secret.txt", "secret");
        put("www/index.html", "<p>index</p>");
        put("www/a file.txt", "with a blank");
        put("www/empty.txt", "");
        put("www/sub/inner.css", "p {}");
        link("secret.txt", "../secret.txt");
        link("absolute.txt", path("secret.txt"));
        link("up", "..");
        link("alias.css", "sub/inner.css");
        link("round", "round");
    }
    ~Tree() { peer::run({"rm", "-r", base_}); }
    std::string path(const std::string &name) const { return base_ + "/" + name; }
    void put(const std::string &name, const std::string &content) const {
        std::ofstream(path(name), std::ios::binary) << content;
    }

private:
    void link(const std::string &name, const std::string &to) const {
        EXPECT_EQ(0, symlink(to.c_str(), path("www/" + name).c_str()));
    }
    std::string base_;
};

class FileServer : public testing::Test {
protected:
    FileServer() : server({"file_server", "0", tree.path("www")}) {}

    peer::Result curl(std::vector<std::string> options, const std::string &target) {
        std::vector<std::string> line = {"curl", "-s", "--path-as-is", "--max-time", "60"};
        line.insert(line.end(), options.begin(), options.end());
        line.push_back("http://127.0.0.1:" + std::to_string(server.port()) + target);
        return peer::run(line, 70000);
    }
    std::string status(const std::string &target) {
        return curl({"-o", "/dev/null", "-w", "%{http_code}"}, target).out;
    }

    Tree tree;
    TutorialServer server;
};

TEST_F(FileServer, GivesFilesWithLengthAndType) {
    peer::Result result = curl({"-i"}, "/sub/inner.css?v=1");
    EXPECT_EQ(0u, result.out.find("HTTP/1.1 200 OK\r\n")) << result.out;
    EXPECT_NE(std::string::npos, result.out.find("Content-Length: 4\r\n")) << result.out;
    EXPECT_NE(std::string::npos, result.out.find("Content-Type: text/css\r\n")) << result.out;
    EXPECT_NE(std::string::npos, result.out.find("\r\n\r\np {}")) << result.out;
    EXPECT_EQ("<p>index</p>", curl({}, "/").out);
    EXPECT_EQ("with a blank", curl({}, "/a%20file.txt").out);
    EXPECT_EQ("p {}", curl({}, "/alias.css").out) << "a link that stays inside";
    EXPECT_EQ("p {}", curl({}, "//sub//inner.css").out);
    EXPECT_EQ("200", status("/empty.txt"));
    EXPECT_EQ("", curl({}, "/empty.txt").out);
    server.expect_clean_end();
}

TEST_F(FileServer, HeadHasALengthAndNoBody) {
    peer::Result result = curl({"--head"}, "/index.html");
    EXPECT_EQ(0u, result.out.find("HTTP/1.1 200 OK\r\n")) << result.out;
    EXPECT_NE(std::string::npos, result.out.find("Content-Length: 12\r\n")) << result.out;
    EXPECT_EQ(std::string::npos, result.out.find("index")) << result.out;
    EXPECT_EQ("404", curl({"--head", "-o", "/dev/null", "-w", "%{http_code}"}, "/none").out);
}

TEST_F(FileServer, RefusesWhatIsNotThere) {
    for (const char *target : {"/none", "/index.html/x", "/sub", "/sub/", "/none/../none2/x"})
        EXPECT_EQ(strstr(target, "..") ? "403" : "404", status(target)) << target;
    EXPECT_EQ("404", status("/" + std::string(300, 'x')));
    EXPECT_EQ("405", curl({"-d", "x", "-o", "/dev/null", "-w", "%{http_code}"}, "/").out);
    EXPECT_EQ("400", status("/a%00b"));
}

TEST_F(FileServer, StaysInside) {
    for (const char *target : {"/../secret.txt", "/sub/../../secret.txt", "/%2e%2e/secret.txt",
                               "/sub/%2e%2e/index.html", "/..", "/secret.txt", "/absolute.txt",
                               "/up/secret.txt", "/up/www/index.html", "/round"}) {
        EXPECT_EQ("403", status(target)) << target;
        EXPECT_EQ(std::string::npos, curl({}, target).out.find("secret")) << target;
    }
    server.expect_clean_end();
}

// No file, but a FIFO: it is not waited for.
TEST_F(FileServer, DoesNotWaitForAFifo) {
    ASSERT_EQ(0, mkfifo(tree.path("www/fifo").c_str(), 0644));
    EXPECT_EQ("404", status("/fifo"));
}

// Of several pieces, many at a time.
TEST_F(FileServer, LargeOnes) {
    std::string content;
    for (unsigned i = 0; content.size() < 5u << 20; i++)
        content += std::to_string(i * 2654435761u);
    tree.put("www/big", content);
    std::vector<std::string> line = {
        "curl", "-s", "--fail", "--max-time", "60", "--parallel", "--no-progress-meter"};
    const int COUNT = 8;
    for (int i = 0; i < COUNT; i++) {
        line.push_back("-o");
        line.push_back(tree.path("got" + std::to_string(i)));
        line.push_back("http://127.0.0.1:" + std::to_string(server.port()) + "/big");
    }
    peer::Result result = peer::run(line, 70000);
    ASSERT_EQ(0, result.status) << result.err;
    for (int i = 0; i < COUNT; i++) {
        std::ifstream in(tree.path("got" + std::to_string(i)), std::ios::binary);
        std::string got((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
        EXPECT_TRUE(got == content) << got.size();
    }
    server.expect_clean_end();
}

// Beyond the limit nothing is read, but the length is told.
TEST_F(FileServer, TooLargeOnes) {
    int fd = open(tree.path("www/huge").c_str(), O_WRONLY | O_CREAT, 0644);
    ASSERT_EQ(0, ftruncate(fd, (64 << 20) + 1)); // takes no room on the disk
    close(fd);
    EXPECT_EQ("501", status("/huge"));
    peer::Result result = curl({"--head"}, "/huge");
    EXPECT_NE(std::string::npos, result.out.find("Content-Length: 67108865\r\n")) << result.out;
}

// A client that goes away in the middle leaves the server well. (Sanitizers judge the leaks.)
TEST_F(FileServer, OneThatHangsUp) {
    tree.put("www/big", std::string(8u << 20, 'x'));
    {
        raw::Socket client = raw::Socket::connect(server.port());
        client.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_NE(std::string::npos, client.read_until("\r\n\r\n").find("200 OK"));
    }
    EXPECT_EQ("<p>index</p>", curl({}, "/").out);
    server.expect_clean_end();
}

TEST(FileServerTutorial, BadCommandLines) {
    for (const std::vector<std::string> &rest :
         std::vector<std::vector<std::string>>{{}, {"0"}, {"x", "/tmp"}, {"0", "/tmp", "more"}}) {
        std::vector<std::string> line = {tutorial_program("file_server")};
        line.insert(line.end(), rest.begin(), rest.end());
        peer::Result result = peer::run(line);
        EXPECT_EQ(2, result.status);
        EXPECT_NE(std::string::npos, result.err.find("usage: "));
    }
    peer::Result result = peer::run({tutorial_program("file_server"), "0", "/none/such"});
    EXPECT_EQ(1, result.status);
}

} // namespace
