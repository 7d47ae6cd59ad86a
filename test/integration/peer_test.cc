// Weft - integration: the fixture itself, nginx and node answering plain sockets
// SPDX-License-Identifier: Apache-2.0
//
// When these fail the machine lacks something, and Weft is not to blame.

#include "integration/peer.h"

#include <gtest/gtest.h>

#include "integration/raw_socket.h"

namespace {

TEST(Peer, RunsPrograms) {
    peer::Result result = peer::run({"sh", "-c", "echo out; echo err >&2; exit 3"});
    EXPECT_EQ(3, result.status);
    EXPECT_EQ("out\n", result.out);
    EXPECT_EQ("err\n", result.err);
    EXPECT_EQ(-1000, [] {
        peer::Process process;
        process.start({"sleep", "100"});
        EXPECT_TRUE(process.running());
        return process.wait(10);
    }());
}

TEST(Peer, NginxAnswers) {
    ASSERT_TRUE(peer::have("nginx"));
    peer::Nginx nginx;
    ASSERT_TRUE(nginx.start("location /hello { return 200 'from nginx'; }"));
    raw::Socket client = raw::Socket::connect(nginx.port());
    ASSERT_TRUE(client.send("GET /hello HTTP/1.0\r\n\r\n"));
    EXPECT_NE(std::string::npos, client.read_all().find("from nginx")) << nginx.log();
}

TEST(Peer, NodeAnswers) {
    ASSERT_TRUE(peer::have("node"));
    peer::NodeServer node;
    ASSERT_TRUE(node.start("serve(http.createServer((q, r) => r.end('from node')));"));
    raw::Socket client = raw::Socket::connect(node.port());
    ASSERT_TRUE(client.send("GET / HTTP/1.0\r\n\r\n"));
    EXPECT_NE(std::string::npos, client.read_all().find("from node")) << node.process().err();
}

TEST(Peer, RawSockets) {
    raw::ScriptedServer server([](raw::Socket &peer, int number) {
        std::string text = peer.read_until("\n");
        peer.send(std::to_string(number) + text);
    });
    for (int i = 0; i < 3; i++) {
        raw::Socket client = raw::Socket::connect(server.port());
        ASSERT_TRUE(client.send("x\n"));
        EXPECT_EQ(std::to_string(i) + "x\n", client.read_all());
    }
    EXPECT_FALSE(raw::Socket::connect(raw::refusing_port()).valid());
}

TEST(Peer, BlackHoleSwallows) {
    raw::BlackHole hole;
    EXPECT_TRUE(hole.works());
}

} // namespace
