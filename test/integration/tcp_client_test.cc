// Weft - integration: TcpClient against servers that refuse, vanish, come back, and speak TLS
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <errno.h>
#include <gtest/gtest.h>
#include <memory>
#include <netdb.h>
#include <string>
#include <thread>
#include <vector>

#include "integration/certificates.h"
#include "integration/channel_support.h"
#include "integration/patience.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTask.h"
#include "workflow/wf/upgrade.h"

namespace {

void record_events(wf::ChannelOwner &owner, Record &record) {
    owner.events().any = [&record](wf::Channel &, const CommChannelEvent &event) {
        record.add(event_name(event));
    };
}

void record_failures(wf::TcpClient &client, Record &record) {
    client.on_failed([&record](wf::TcpClient &, int state, int error, int delay) {
        record.add("failed " + std::to_string(state) + " " + std::to_string(error) +
                   (delay < 0 ? " for good" : ""));
    });
}

std::string failure(int state, int error, bool for_good) {
    return "failed " + std::to_string(state) + " " + std::to_string(error) +
           (for_good ? " for good" : "");
}

void echo(wf::ChannelOwner &owner) {
    owner.on_message([](wf::Channel &channel, const wf::Frame &frame) {
        channel.send(frame.bytes, frame.type);
    });
}

wf::ReconnectPolicy quickly() {
    wf::ReconnectPolicy policy;
    policy.enabled = true;
    policy.first_delay = 5;
    policy.max_delay = 40;
    return policy;
}

} // namespace

TEST(TcpClient, TalksToAServer) {
    wf::TcpServer server;
    echo(server);
    server.set_framing(wf::length_framing());
    unsigned short port = listen_on_free_port(server);
    Record record, answers;
    {
        wf::TcpClient client;
        client.set_framing(wf::length_framing());
        record_events(client, record);
        client.on_message(
            [&](wf::Channel &, const wf::Frame &frame) { answers.add(std::string(frame.bytes)); });
        EXPECT_EQ(client.send("too early"), -1);
        EXPECT_EQ(errno, ENOTCONN);
        ASSERT_EQ(client.connect("127.0.0.1", port), 0);
        EXPECT_EQ(client.connect("127.0.0.1", port), -1);
        EXPECT_EQ(errno, EALREADY);
        ASSERT_TRUE(record.wait("established"));
        EXPECT_EQ(client.state(), wf::ClientState::CONNECTED);
        ASSERT_EQ(client.send("hello"), 0);
        ASSERT_EQ(client.send(""), 0);
        ASSERT_TRUE(answers.wait(2));
        EXPECT_EQ(answers.lines(), (std::vector<std::string>{"hello", ""}));
        client.end();
        client.wait();
        EXPECT_EQ(client.state(), wf::ClientState::ENDED);
        EXPECT_EQ(record.lines().front(), "connecting");
        EXPECT_EQ(record.lines().back(), "closed " + std::to_string(CCR_FINISHED));
        // And once more.
        ASSERT_EQ(client.connect("localhost", port), 0);
        ASSERT_TRUE(eventually([&] { return client.state() == wf::ClientState::CONNECTED; }));
        ASSERT_EQ(client.send("again"), 0);
        ASSERT_TRUE(answers.wait(3));
    }
    server.stop();
}

TEST(TcpClient, ReportsARefusal) {
    Record record;
    wf::TcpClient client;
    record_events(client, record);
    record_failures(client, record);
    ASSERT_EQ(client.connect("127.0.0.1", raw::refusing_port()), 0);
    client.wait();
    EXPECT_EQ(record.count(failure(WFT_STATE_SYS_ERROR, ECONNREFUSED, true)), 1u);
    EXPECT_EQ(record.count("established"), 0u);
    EXPECT_EQ(record.count("closed " + std::to_string(CCR_CONNECT_FAILED)), 1u);
    EXPECT_EQ(client.state(), wf::ClientState::ENDED);
}

TEST(TcpClient, ReportsWhatCannotPassAtOnce) {
    Record record;
    wf::TcpClient client;
    client.set_reconnect(quickly());
    record_failures(client, record);
    ASSERT_EQ(client.connect("no-such-host.invalid", 80), 0);
    client.wait();
    ASSERT_EQ(record.lines().size(), 1u);
    EXPECT_NE(record.lines()[0].find("for good"), std::string::npos) << record.lines()[0];
    EXPECT_EQ(client.connect("", 80), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST(TcpClient, GivesUpAfterSoManyAttempts) {
    Record record;
    wf::TcpClient client;
    wf::ReconnectPolicy policy = quickly();
    policy.max_attempts = 4;
    client.set_reconnect(policy);
    record_failures(client, record);
    ASSERT_EQ(client.connect("127.0.0.1", raw::refusing_port()), 0);
    client.wait();
    ASSERT_EQ(record.lines().size(), 4u);
    EXPECT_EQ(record.count(failure(WFT_STATE_SYS_ERROR, ECONNREFUSED, false)), 3u);
    EXPECT_EQ(record.lines()[3], failure(WFT_STATE_SYS_ERROR, ECONNREFUSED, true));
}

// One for each connection, which frees itself.
TEST(TcpClient, MayBeDeletedWhenItHasEnded) {
    wf::TcpServer server;
    echo(server);
    unsigned short port = listen_on_free_port(server), nobody = raw::refusing_port();
    Record record;
    for (int i = 0; i < 60; i++) {
        auto *client = new wf::TcpClient;
        client->on_established([](wf::Channel &channel) { channel.send("x"); });
        client->on_message([](wf::Channel &channel, const wf::Frame &) { channel.shutdown(); });
        client->on_ended([&record](wf::TcpClient &over) {
            EXPECT_EQ(over.state(), wf::ClientState::ENDED);
            delete &over;
            record.add("ended");
        });
        ASSERT_EQ(client->connect("127.0.0.1", i % 3 ? port : nobody), 0);
    }
    EXPECT_TRUE(record.wait(60));
    server.stop();
}

TEST(TcpClient, TimesOutWhereNobodyAnswers) {
    raw::BlackHole hole;
    if (!hole.works())
        return; // this system lets more connections in than asked
    Record record;
    wf::TcpClient client;
    client.set_connect_timeout(100);
    record_events(client, record);
    record_failures(client, record);
    ASSERT_EQ(client.connect("127.0.0.1", hole.port()), 0);
    client.wait();
    EXPECT_EQ(record.count(failure(WFT_STATE_SYS_ERROR, ETIMEDOUT, true)), 1u);
    EXPECT_EQ(record.count("closed " + std::to_string(CCR_CONNECT_TIMEOUT)), 1u);
}

TEST(TcpClient, AnEndCutsAnyWaitShort) {
    Record record;
    wf::TcpClient client;
    wf::ReconnectPolicy policy;
    policy.enabled = true;
    policy.first_delay = policy.max_delay = 3600 * 1000;
    client.set_reconnect(policy);
    record_failures(client, record);
    ASSERT_EQ(client.connect("127.0.0.1", raw::refusing_port()), 0);
    ASSERT_TRUE(record.wait(1));
    ASSERT_TRUE(eventually([&] { return client.state() == wf::ClientState::WAITING; }));
    client.end();
    client.wait();
    EXPECT_EQ(client.state(), wf::ClientState::ENDED);
}

// The server goes and comes back on the same port; each connection is a channel of its own.
TEST(TcpClient, ComesBackToAServerThatDoes) {
    Record record, ids;
    wf::TcpClient client;
    client.set_reconnect(quickly());
    record_events(client, record);
    client.on_established([&](wf::Channel &channel) {
        ids.add(std::to_string(channel.get_id()));
        channel.send("x");
    });
    unsigned short port = 0;
    for (size_t round = 1; round <= 5; round++) {
        wf::TcpServer server;
        Record greetings;
        server.options().finish_timeout = 100;
        server.on_message([&](wf::Channel &, const wf::Frame &) { greetings.add("came"); });
        if (port == 0) {
            port = listen_on_free_port(server);
            ASSERT_EQ(client.connect("127.0.0.1", port), 0);
        } else {
            ASSERT_TRUE(eventually([&] { return server.start("127.0.0.1", port) == 0; }));
        }
        ASSERT_TRUE(greetings.wait(1)) << round;
        server.stop();
        EXPECT_EQ(greetings.lines().size(), 1u);
    }
    client.close();
    client.wait();
    std::vector<std::string> all = ids.lines();
    EXPECT_EQ(all.size(), 5u);
    for (size_t i = 1; i < all.size(); i++)
        EXPECT_NE(all[i], all[i - 1]);
}

TEST(TcpClient, OverTls) {
    Authority &authority = Authority::common();
    Certificate own = authority.make("channel");
    wf::TcpServer server;
    echo(server);
    unsigned short port = listen_on_free_port(server, own.cert.c_str(), own.key.c_str());
    ASSERT_NE(port, 0);
    Context trust = trusting(authority.file());
    Record answers, record;
    wf::TcpClient client;
    client.set_tls(trust.get());
    record_failures(client, record);
    std::atomic<size_t> size{0};
    client.on_established([&](wf::Channel &channel) {
        wf::TlsInfo info;
        EXPECT_TRUE(channel.get_tls_info(&info));
        EXPECT_EQ(info.version, "TLSv1.3");
        EXPECT_TRUE(channel.info().secure);
        channel.send(std::string(1 << 20, 't'));
    });
    client.on_message([&](wf::Channel &, const wf::Frame &frame) {
        size += frame.bytes.size();
        if (size == 1 << 20)
            answers.add("all");
    });
    ASSERT_EQ(client.connect("127.0.0.1", port), 0);
    ASSERT_TRUE(answers.wait("all"));
    client.end();
    client.wait();
    // Without trust it is refused, and that cannot pass.
    wf::TcpClient other;
    other.set_tls();
    other.set_reconnect(quickly());
    record_failures(other, record);
    ASSERT_EQ(other.connect("127.0.0.1", port), 0);
    other.wait();
    ASSERT_EQ(record.lines().size(), 1u);
    EXPECT_EQ(record.lines()[0].substr(0, 9), "failed " + std::to_string(WFT_STATE_SSL_ERROR));
    EXPECT_NE(record.lines()[0].find("for good"), std::string::npos);
    server.stop();
}

TEST(TcpClient, ATlsPeerThatIsNone) {
    wf::TcpServer server; // in the clear
    server.on_established([](wf::Channel &channel) { channel.send("220 hello\r\n"); });
    unsigned short port = listen_on_free_port(server);
    Record record;
    wf::TcpClient client;
    client.set_tls();
    record_events(client, record);
    record_failures(client, record);
    ASSERT_EQ(client.connect("127.0.0.1", port), 0);
    client.wait();
    EXPECT_EQ(record.count("closed " + std::to_string(CCR_HANDSHAKE_FAILED)), 1u);
    EXPECT_EQ(record.count("established"), 0u);
    server.stop();
}

// It takes the connection, and then says nothing to our hello.
TEST(TcpClient, ATlsPeerThatIsSilent) {
    raw::Listener silent;
    Record record;
    wf::TcpClient client;
    client.set_tls();
    client.set_tls_timeout(100);
    record_events(client, record);
    ASSERT_EQ(client.connect("127.0.0.1", silent.port()), 0);
    client.wait();
    EXPECT_EQ(record.count("closed " + std::to_string(CCR_HANDSHAKE_TIMEOUT)), 1u);
    EXPECT_EQ(record.count("established"), 0u);
}

// The other way round: half a hello, and others are served meanwhile.
TEST(TcpClient, AServerCutsAHandshakeThatDoesNotEnd) {
    Certificate own = Authority::common().make("half");
    struct WFServerParams params = SERVER_PARAMS_DEFAULT;
    params.ssl_accept_timeout = 200;
    wf::TcpServer server(&params);
    unsigned short port = listen_on_free_port(server, own.cert.c_str(), own.key.c_str());
    ASSERT_NE(port, 0);
    raw::Socket half = raw::Socket::connect(port);
    ASSERT_TRUE(half.send("\x16\x03\x01\x02"));
    EXPECT_TRUE(half.wait_closed());
    EXPECT_TRUE(eventually([&] { return server.get_close_count(CCR_HANDSHAKE_TIMEOUT) == 1; }));
    EXPECT_EQ(server.get_channel_count(), 0u);
    server.stop();
}

// An HTTP server hands a connection over; what stands behind the request is the channel's.
TEST(Upgrade, AnHttpConnectionBecomesAChannel) {
    wf::UpgradeEndpoint endpoint;
    Record record;
    record_events(endpoint, record);
    endpoint.set_framing(wf::delimiter_framing());
    endpoint.on_message([](wf::Channel &channel, const wf::Frame &frame) {
        channel.send("you said " + std::string(frame.bytes));
    });
    WFHttpServer server([&](WFHttpTask *task) {
        if (wf::UpgradeEndpoint::get_wish(task) != "lines") {
            EXPECT_FALSE(endpoint.accept(task, "lines") && false);
            task->get_resp()->append_output_body("plain");
            return;
        }
        EXPECT_TRUE(endpoint.accept(task, "lines"));
        EXPECT_FALSE(endpoint.accept(task, "lines"));
        EXPECT_EQ(errno, EALREADY);
        task->set_callback([&record](WFHttpTask *) { record.add("callback"); });
    });
    ASSERT_EQ(server.start("127.0.0.1", 0), 0);
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
    raw::Socket client = raw::Socket::connect(ntohs(addr.sin_port));
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_NE(client.read_until("plain").find("200 OK"), std::string::npos);
    ASSERT_TRUE(client.send("GET /chat HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n"
                            "Upgrade: lines\r\n\r\nfirst\nsec"));
    std::string answer = client.read_until("you said first\n");
    EXPECT_EQ(answer.substr(0, 34), "HTTP/1.1 101 Switching Protocols\r\n");
    EXPECT_NE(answer.find("Upgrade: lines\r\n"), std::string::npos);
    EXPECT_EQ(answer.find("Content-Length"), std::string::npos);
    ASSERT_TRUE(client.send("ond\n"));
    EXPECT_EQ(client.read_until("\n"), "you said second\n");
    EXPECT_EQ(record.lines().at(0), "callback");
    EXPECT_EQ(record.lines().at(1), "established");
    EXPECT_EQ(endpoint.get_channel_count(), 1u);
    std::thread reader([&] {
        client.read_all(); // the end of the server is that of the channel, too
        client.close();
    });
    server.stop();
    reader.join();
    EXPECT_EQ(record.lines().back(), "closed " + std::to_string(CCR_DRAINED));
    EXPECT_EQ(endpoint.get_channel_count(), 0u);
}
