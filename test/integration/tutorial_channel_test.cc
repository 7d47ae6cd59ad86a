// Weft - integration: the tutorial programs on channels and on datagrams of many peers
// SPDX-License-Identifier: Apache-2.0
//
// The port forwarder has a file of its own (tutorial_forward_test.cc).
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "integration/peer.h"
#include "integration/raw_socket.h"
#include "integration/tutorial_server.h"

namespace {

// A socket that is read line by line.
class Talker {
public:
    explicit Talker(raw::Socket socket) : socket_(std::move(socket)) {}
    explicit Talker(unsigned short port) : Talker(raw::Socket::connect(port)) {}

    bool send(const std::string &bytes) { return socket_.send(bytes); }
    // The next one, without its end. What is left of a stream that has ended is none.
    std::string line() {
        size_t end;
        while ((end = got_.find('\n')) == std::string::npos) {
            std::string some = socket_.read_some();
            if (some.empty())
                return "(no line)";
            got_ += some;
        }
        std::string line = got_.substr(0, end);
        got_.erase(0, end + 1);
        return line;
    }
    std::string all() { return got_ + socket_.read_all(); }
    raw::Socket &socket() { return socket_; }

private:
    raw::Socket socket_;
    std::string got_;
};

// A client of the chat, by hand, who has heard that it is there.
Talker join(const TutorialServer &server, const std::string &name, int in_all) {
    Talker client(server.port());
    client.send(name + "\n");
    EXPECT_EQ(client.line(), "* " + name + " is here, " + std::to_string(in_all) + " in all");
    return client;
}

// The program, with an input that the test writes.
class ChatClient {
public:
    ChatClient(unsigned short port, const std::string &name)
        : ChatClient("127.0.0.1", port, name) {}
    ChatClient(const std::string &host, unsigned short port, const std::string &name) {
        std::string fifo = dir_.file("input");
        if (mkfifo(fifo.c_str(), 0600) == 0)
            input_ = open(fifo.c_str(), O_RDWR | O_CLOEXEC);
        process_.start({"sh", "-c", "exec \"$0\" \"$1\" \"$2\" \"$3\" <\"$4\"",
                        tutorial_program("chat_client"), host, std::to_string(port), name, fifo});
    }
    ~ChatClient() {
        if (input_ >= 0)
            close(input_);
    }
    ChatClient(const ChatClient &) = delete;
    ChatClient &operator=(const ChatClient &) = delete;

    void type(const std::string &line) {
        std::string text = line + "\n";
        EXPECT_EQ(write(input_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    peer::Process &process() { return process_; }

private:
    peer::TempDir dir_;
    peer::Process process_;
    int input_ = -1;
};

std::string tlv(unsigned type, const std::string &bytes) {
    std::string head = {0,
                        static_cast<char>(type),
                        0,
                        0,
                        static_cast<char>(bytes.size() >> 8),
                        static_cast<char>(bytes.size())};
    return head + bytes;
}

// A socket for datagrams to one port of this machine.
class UdpClient {
public:
    explicit UdpClient(unsigned short port) : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        struct sockaddr_in to = {};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        struct timeval patience = {raw::kPatienceMs / 1000, 0};
        setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        EXPECT_EQ(connect(fd_, reinterpret_cast<struct sockaddr *>(&to), sizeof to), 0);
    }
    ~UdpClient() { close(fd_); }
    UdpClient(const UdpClient &) = delete;
    UdpClient &operator=(const UdpClient &) = delete;

    void send(const std::string &text) {
        EXPECT_EQ(::send(fd_, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    }
    // The next that contains that, whatever comes before it. "" after patience.
    std::string wait(const std::string &mark) {
        char some[2048];
        for (ssize_t n; (n = recv(fd_, some, sizeof some, 0)) >= 0;) {
            std::string text(some, static_cast<size_t>(n));
            if (text.find(mark) != std::string::npos)
                return text;
        }
        return "";
    }

private:
    int fd_;
};

} // namespace

TEST(TutorialChannel, BadCommandLines) {
    const std::vector<std::vector<std::string>> lines = {
        {"chat_server"},
        {"chat_server", "x"},
        {"chat_server", "1", "2"},
        {"chat_client", "127.0.0.1", "0", "me"},
        {"chat_client", "127.0.0.1", "80"},
        {"chat_client", "", "80", "me"},
        {"chat_client", "127.0.0.1", "80", ""},
        {"kv_server"},
        {"kv_server", "70000"},
        {"tlv_server"},
        {"tlv_server", "0", "100"},
        {"tlv_server", "0", "0", "100"},
        {"tlv_server", "0", "100", "soon"},
        {"tlv_client", "127.0.0.1"},
        {"tlv_client", "127.0.0.1", "port"},
        {"tlv_client", "", "80"},
        {"port_forwarder", "0"},
        {"port_forwarder", "0", "127.0.0.1", "0"},
        {"port_forwarder", "0", "", "80"},
        {"port_forwarder", "x", "127.0.0.1", "80"},
        {"udp_peers"},
        {"udp_peers", "0", "0"},
        {"udp_peers", "0", "-5"},
        {"udp_peers", "--help"},
    };
    for (std::vector<std::string> line : lines) {
        std::string text;
        for (const std::string &word : line)
            text += word + " ";
        line[0] = tutorial_program(line[0]);
        peer::Result result = peer::run(line);
        EXPECT_EQ(result.status, 2) << text;
        EXPECT_NE(result.err.find("usage: "), std::string::npos) << text;
        EXPECT_EQ(result.out, "") << text;
    }
}

TEST(TutorialChannel, PortThatIsTaken) {
    raw::Listener taken;
    for (const char *name : {"chat_server", "kv_server", "tlv_server"}) {
        peer::Result result = peer::run({tutorial_program(name), std::to_string(taken.port())});
        EXPECT_EQ(result.status, 1) << name;
        EXPECT_NE(result.err.find("cannot start"), std::string::npos) << result.err;
    }
}

TEST(TutorialChannel, Chat) {
    TutorialServer server({"chat_server", "0"});
    ASSERT_NE(server.port(), 0);
    Talker ada = join(server, "ada", 1), bob = join(server, "bob", 2);
    EXPECT_EQ(ada.line(), "* bob is here, 2 in all");
    ASSERT_TRUE(ada.send("hello\r\n"));
    EXPECT_EQ(ada.line(), "ada: hello");
    EXPECT_EQ(bob.line(), "ada: hello");
    // Names that are none, or somebody else's.
    for (const char *name :
         {"ada\n", "\n", "a b\nghost\n", "abcdefghijklmnopqrstu\n", "\xc3\xa4\n"}) {
        Talker other(server.port());
        ASSERT_TRUE(other.send(name));
        EXPECT_EQ(other.all().substr(0, 2), "! ") << name;
    }
    // A line that is too long is answered, one that is far too long ends the connection.
    ASSERT_TRUE(bob.send(std::string(1001, 'x') + "\nstill here\n"));
    EXPECT_EQ(bob.line(), "? a line has at most 1000 bytes");
    EXPECT_EQ(ada.line(), "bob: still here");
    ASSERT_TRUE(bob.send(std::string(5000, 'x')));
    EXPECT_TRUE(bob.socket().wait_closed());
    EXPECT_EQ(ada.line(), "* bob has left");
    Talker again = join(server, "bob", 2);
    ASSERT_TRUE(again.send("/quit\n"));
    EXPECT_EQ(again.all(), "");
    server.expect_clean_end(); // with somebody in the room
    EXPECT_TRUE(ada.socket().wait_closed());
}

// Somebody who reads nothing is sent away; the others lose no line.
TEST(TutorialChannel, ChatWithAStuckReader) {
    TutorialServer server({"chat_server", "0"});
    ASSERT_NE(server.port(), 0);
    Talker stuck = join(server, "stuck", 1), writer = join(server, "writer", 2);
    stuck.socket().small_buffers();
    std::string line(1000, 'x'), heard;
    // The system's own buffers take some megabytes before anything waits.
    for (int i = 0; i < 100000 && heard != "* stuck has left"; i++) {
        ASSERT_TRUE(writer.send(line + "\n"));
        heard = writer.line();
        ASSERT_TRUE(heard == "writer: " + line || heard == "* stuck has left") << i;
    }
    EXPECT_EQ(heard, "* stuck has left");
    EXPECT_EQ(writer.line(), "writer: " + line);
    server.expect_clean_end();
}

TEST(TutorialChannel, ChatClient) {
    TutorialServer server({"chat_server", "0"});
    ASSERT_NE(server.port(), 0);
    Talker ada = join(server, "ada", 1);
    ChatClient bob(server.port(), "bob");
    EXPECT_EQ(bob.process().wait_line("bob is here"), "* bob is here, 2 in all");
    EXPECT_EQ(ada.line(), "* bob is here, 2 in all");
    bob.type("good morning");
    EXPECT_EQ(ada.line(), "bob: good morning");
    ASSERT_TRUE(ada.send("good evening\n"));
    EXPECT_EQ(bob.process().wait_line("good evening"), "ada: good evening");
    EXPECT_EQ(ada.line(), "ada: good evening");
    // Two of a name cannot be, and nothing gets better by trying again.
    ChatClient second(server.port(), "bob");
    EXPECT_EQ(second.process().wait(), 1);
    EXPECT_EQ(second.process().out(), "! this name is taken\n");
    bob.process().signal(SIGINT);
    EXPECT_EQ(bob.process().wait(), 0) << bob.process().err();
    EXPECT_EQ(ada.line(), "* bob has left");
    server.expect_clean_end();
}

TEST(TutorialChannel, ChatClientComesBack) {
    raw::Listener listener;
    ChatClient client("127.0.0.1", listener.port(), "ada");
    for (int i = 0; i < 3; i++) {
        Talker peer(listener.accept());
        ASSERT_TRUE(peer.socket().valid());
        ASSERT_EQ(peer.line(), "ada");
        std::string greeting = "round " + std::to_string(i);
        ASSERT_TRUE(peer.send(greeting + "\n"));
        EXPECT_EQ(client.process().wait_line(greeting), greeting);
        client.type("line " + std::to_string(i));
        EXPECT_EQ(peer.line(), "line " + std::to_string(i));
        if (i == 1)
            peer.socket().reset();
    }
    client.process().signal(SIGTERM);
    EXPECT_EQ(client.process().wait(), 0);
    EXPECT_NE(client.process().err().find("next attempt in"), std::string::npos);
    // What cannot pass ends it.
    ChatClient lost("no-such-host.invalid", 80, "ada");
    EXPECT_EQ(lost.process().wait(), 1);
    EXPECT_NE(lost.process().err().find("no connection"), std::string::npos);
}

TEST(TutorialChannel, LineProtocol) {
    TutorialServer server({"kv_server", "0"});
    ASSERT_NE(server.port(), 0);
    const std::vector<std::vector<std::string>> talk = {
        {"GET a", "NONE"},
        {"SET a one two  three", "OK"},
        {"GET a\r", "VALUE one two  three"},
        {"SET a ", "OK"},
        {"GET a", "VALUE "},
        {"DEL a", "OK"},
        {"DEL a", "NONE"},
        {"SET a", "ERROR usage: SET key value"},
        {"GET a b", "ERROR usage: GET key"},
        {"DEL a ", "ERROR usage: DEL key"},
        {"GET", "ERROR a key has 1 to 250 bytes"},
        {"GET " + std::string(251, 'k'), "ERROR a key has 1 to 250 bytes"},
        {"get a", "ERROR unknown command, try GET, SET, DEL or QUIT"},
        {"", "ERROR unknown command, try GET, SET, DEL or QUIT"},
        {"SET a " + std::string(5000, 'v'), "ERROR line too long"},
        {"GET a", "NONE"},
    };
    Talker client(server.port());
    std::string lines, answers;
    for (const std::vector<std::string> &exchange : talk) {
        ASSERT_TRUE(client.send(exchange[0] + "\n"));
        EXPECT_EQ(client.line(), exchange[1]) << exchange[0].substr(0, 40);
        lines += exchange[0] + "\n";
        answers += exchange[1] + "\n";
    }
    // All in one, and nothing behind the end.
    ASSERT_TRUE(client.send(lines + "QUIT\nGET a\n"));
    EXPECT_EQ(client.all(), answers + "BYE\n");
    // No line without an end is waited for.
    raw::Socket endless = raw::Socket::connect(server.port());
    ASSERT_TRUE(endless.send(std::string(100000, 'x')));
    EXPECT_TRUE(endless.wait_closed());
    server.expect_clean_end();
}

// Who sends without reading is not read; nothing is lost when he reads at last.
TEST(TutorialChannel, LineProtocolWithoutReading) {
    constexpr size_t COUNT = 20000;
    TutorialServer server({"kv_server", "0"});
    ASSERT_NE(server.port(), 0);
    std::string value(2000, 'v'), answer = "VALUE " + value + "\n";
    raw::Socket client = raw::Socket::connect(server.port());
    ASSERT_TRUE(client.send("SET key " + value + "\n"));
    ASSERT_EQ(client.read_until("\n"), "OK\n");
    std::string wishes;
    for (size_t i = 0; i < COUNT; i++)
        wishes += "GET key\n";
    std::thread sender([&] { EXPECT_TRUE(client.send(wishes)); });
    size_t got = 0;
    bool good = true;
    while (got < COUNT * answer.size() && good) {
        std::string some = client.read_some();
        good = !some.empty() && some[0] == answer[got % answer.size()];
        got += some.size();
    }
    sender.join();
    EXPECT_EQ(got, COUNT * answer.size());
    EXPECT_TRUE(good);
    server.expect_clean_end();
}

TEST(TutorialChannel, Heartbeat) {
    TutorialServer server({"tlv_server", "0", "20", "3600000"});
    ASSERT_NE(server.port(), 0);
    raw::Socket client = raw::Socket::connect(server.port());
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(client.read_bytes(6).substr(0, 6), tlv(2, ""));
        ASSERT_TRUE(client.send(tlv(3, "")));
    }
    server.expect_clean_end();
    server.process().wait_line("has ended");
}

TEST(TutorialChannel, HeartbeatFindsADeadPeer) {
    TutorialServer server({"tlv_server", "0", "3600000", "100"});
    ASSERT_NE(server.port(), 0);
    raw::Socket client = raw::Socket::connect(server.port());
    EXPECT_TRUE(client.wait_closed());
    EXPECT_NE(server.process().wait_line("nothing came for too long"), "");
    server.expect_clean_end();
}

TEST(TutorialChannel, TypesOfTlv) {
    TutorialServer server({"tlv_server", "0"});
    ASSERT_NE(server.port(), 0);
    raw::Socket client = raw::Socket::connect(server.port());
    std::string sent = tlv(1, "hello") + tlv(2, "x") + tlv(3, "") + tlv(1, ""),
                answer = tlv(1, "hello") + tlv(3, "x") + tlv(1, "");
    for (char c : sent)
        ASSERT_TRUE(client.send(std::string(1, c)));
    EXPECT_EQ(client.read_bytes(answer.size()), answer);
    ASSERT_TRUE(client.send(tlv(77, "?")));
    EXPECT_EQ(client.read_all(), tlv(4, "unknown type 77"));
    raw::Socket greedy = raw::Socket::connect(server.port());
    ASSERT_TRUE(greedy.send(std::string("\0\1\0\1\0\1", 6))); // 64 KiB and a byte
    EXPECT_TRUE(greedy.wait_closed());

    std::string port = std::to_string(server.port());
    peer::Result result =
        peer::run({tutorial_program("tlv_client"), "127.0.0.1", port, "one", "", "two three"});
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.out, "echo: one\necho: \necho: two three\n");
    server.expect_clean_end();
    result = peer::run({tutorial_program("tlv_client"), "127.0.0.1", port, "x"});
    EXPECT_EQ(result.status, 1);
    EXPECT_NE(result.err.find("Connection refused"), std::string::npos) << result.err;
}

TEST(TutorialChannel, ClientAnswersPings) {
    TutorialServer server({"tlv_server", "0", "20", "3600000"});
    ASSERT_NE(server.port(), 0);
    peer::Process client;
    client.start({tutorial_program("tlv_client"), "127.0.0.1", std::to_string(server.port())});
    EXPECT_NE(client.wait_line("answered a ping"), "");
    client.signal(SIGINT);
    EXPECT_EQ(client.wait(), 0) << client.err();
    EXPECT_NE(server.process().wait_line("has ended"), "");
    server.expect_clean_end();
}

TEST(TutorialChannel, UdpPeers) {
    TutorialServer server({"udp_peers", "0", "20"});
    ASSERT_NE(server.port(), 0);
    UdpClient one(server.port()), two(server.port());
    one.send("hello");
    EXPECT_EQ(one.wait("hello"), "1: hello");
    one.send("again");
    EXPECT_EQ(one.wait("again"), "2: again");
    EXPECT_EQ(one.wait("tick"), "tick, peers: 1");
    two.send("");
    EXPECT_EQ(two.wait("1: "), "1: ");
    EXPECT_EQ(one.wait("peers: 2"), "tick, peers: 2");
    EXPECT_EQ(two.wait("peers: 2"), "tick, peers: 2");
    two.send("all good morning");
    EXPECT_NE(one.wait("says good morning").find("127.0.0.1:"), std::string::npos);
    EXPECT_NE(two.wait("says good morning"), "");
    two.send("leave");
    EXPECT_EQ(two.wait("left"), "left");
    EXPECT_EQ(one.wait("peers: 1"), "tick, peers: 1");
    server.expect_clean_end();
}
