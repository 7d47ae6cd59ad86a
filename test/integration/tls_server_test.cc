// Weft - integration: curl and openssl s_client against our server over TLS
// SPDX-License-Identifier: Apache-2.0
//
// Versions, bodies, kept connections, sessions that are resumed, protocols that are agreed upon,
// and renegotiation, which is refused.

#include <gtest/gtest.h>

#include "integration/patience.h"
#include "integration/tls_peer.h"
#include "integration/workshop.h"

namespace {

const char kGet[] = "GET /tls HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

class TlsServer : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(peer::have("curl") && peer::have("openssl"));
        Certificate own = ca_.make("server");
        ASSERT_TRUE(workshop_.start(own.cert, own.key));
        ASSERT_TRUE(dir_.write("request", kGet));
    }

    peer::Result curl(std::vector<std::string> args) {
        args.insert(args.begin(),
                    {"curl", "-sS", "--noproxy", "*", "--max-time", "60", "--cacert", ca_.file()});
        return peer::run(args);
    }
    std::string url(const std::string &path) { return workshop_.url(path, "localhost"); }

    // Sends the request and reads until we close.
    peer::Result s_client(const std::string &args) {
        return peer::run({"sh", "-c",
                          "exec openssl s_client -ign_eof -verify_return_error -CAfile " +
                              ca_.file() +
                              " -connect 127.0.0.1:" + std::to_string(workshop_.port()) + " " +
                              args + " < " + dir_.file("request")});
    }
    static bool has(const peer::Result &result, const std::string &text) {
        return (result.out + result.err).find(text) != std::string::npos;
    }

    Authority &ca_ = Authority::common();
    peer::TempDir dir_;
    Workshop workshop_;
};

TEST_F(TlsServer, CurlVerifiesUs) {
    peer::Result result = curl({url("/tls")});
    EXPECT_EQ("TLSv1.3 new alpn=http/1.1 name=localhost stranger", result.out) << result.err;
    result = curl({workshop_.url("/tls")}); // By address: no name is asked for.
    EXPECT_EQ("TLSv1.3 new alpn=http/1.1 name= stranger", result.out) << result.err;
    result = curl({"--tls-max", "1.2", url("/tls")});
    EXPECT_EQ("TLSv1.2 new alpn=http/1.1 name=localhost stranger", result.out) << result.err;
    result = curl({"--no-alpn", url("/tls")});
    EXPECT_EQ("TLSv1.3 new alpn= name=localhost stranger", result.out) << result.err;
    EXPECT_TRUE(eventually([this] { return workshop_.server().get_conn_count() == 0; }));
}

TEST_F(TlsServer, CurlKeepAlive) {
    for (const char *most : {"1.2", "1.3"}) {
        peer::Result result =
            curl({"--tls-max", most, "-w", " %{num_connects}\n", url("/hello"), url("/hello")});
        EXPECT_EQ("hello 1\nhello 0\n", result.out) << result.err;
    }
    EXPECT_EQ(2, workshop_.connections.load());
    EXPECT_EQ(4, workshop_.requests.load());
}

TEST_F(TlsServer, CurlLargeBodies) {
    const std::string body = Workshop::pattern(3000000);
    ASSERT_TRUE(dir_.write("body", body));
    for (const char *most : {"1.2", "1.3"}) {
        peer::Result result = curl({"--tls-max", most, url("/big/3000000"), url("/hello")});
        EXPECT_TRUE(body + "hello" == result.out) << result.out.size() << result.err;
        result = curl({"--tls-max", most, "--data-binary", "@" + dir_.file("body"), url("/echo")});
        EXPECT_TRUE(body == result.out) << result.out.size() << result.err;
    }
    // A reader so slow that what is sent must be held.
    peer::Result slow = curl({"--limit-rate", "8M", url("/big/3000000")});
    EXPECT_TRUE(body == slow.out) << slow.out.size() << slow.err;
}

TEST_F(TlsServer, CurlChunkedAndHead) {
    peer::Result result = curl({url("/chunked"), url("/hello")});
    EXPECT_EQ("first secondhello", result.out) << result.err;
    result = curl({"-I", "-w", "%{num_connects}\n", url("/hello"), url("/hello")});
    EXPECT_NE(std::string::npos, result.out.find("\r\n\r\n0\n")) << result.out;
}

// curl calls an answer without length and without close_notify truncated.
TEST_F(TlsServer, EndsWithACloseNotify) {
    peer::Result result = curl({"-H", "Connection: close", url("/hello")});
    EXPECT_EQ("hello", result.out) << result.err;
    raw::Socket socket = raw::Socket::connect(workshop_.port());
    Context ctx = asking();
    TlsPeer client(socket, ctx.get());
    ASSERT_TRUE(client.connect() && client.send(kGet));
    EXPECT_NE(std::string::npos, client.read_until("stranger").find("200 OK"));
    EXPECT_EQ("", client.read_some());
    EXPECT_EQ(SSL_ERROR_ZERO_RETURN, client.error()) << client.reason();
}

TEST_F(TlsServer, SClientOfEachVersion) {
    for (const char *version : {"1_2", "1_3"}) {
        peer::Result result = s_client(std::string("-tls") + version);
        EXPECT_EQ(0, result.status) << result.err;
        EXPECT_TRUE(has(result, "Verify return code: 0 (ok)")) << result.out << result.err;
        EXPECT_TRUE(has(result, " new alpn= name= stranger")) << result.out << result.err;
    }
    for (const char *old : {"-tls1", "-tls1_1"}) {
        peer::Result result = s_client(std::string(old) + " -cipher ALL:@SECLEVEL=0");
        EXPECT_NE(0, result.status);
        EXPECT_TRUE(has(result, "alert protocol version")) << result.out << result.err;
        EXPECT_FALSE(has(result, "200 OK"));
    }
    EXPECT_EQ(2, workshop_.requests.load());
}

TEST_F(TlsServer, SClientResumes) {
    for (const char *version : {"1_2", "1_3"}) {
        const std::string with = std::string("-tls") + version, kept = dir_.file(version);
        peer::Result result = s_client(with + " -sess_out " + kept);
        EXPECT_TRUE(has(result, "New, TLSv1.")) << result.out << result.err;
        EXPECT_TRUE(has(result, " new alpn=")) << result.out << result.err;
        result = s_client(with + " -sess_in " + kept);
        EXPECT_TRUE(has(result, "Reused, TLSv1.")) << result.out << result.err;
        EXPECT_TRUE(has(result, " resumed alpn=")) << result.out << result.err;
        // Without tickets nothing is kept for the client, and nothing is lost.
        result = s_client(with + " -no_ticket");
        EXPECT_TRUE(has(result, " new alpn=")) << result.out << result.err;
    }
}

TEST_F(TlsServer, SClientProtocols) {
    peer::Result result = s_client("-alpn http/1.1");
    EXPECT_TRUE(has(result, "ALPN protocol: http/1.1")) << result.out << result.err;
    EXPECT_TRUE(has(result, " alpn=http/1.1 ")) << result.out;
    result = s_client("-alpn h2,http/1.1");
    EXPECT_TRUE(has(result, "ALPN protocol: http/1.1")) << result.out << result.err;
    for (const char *other : {"h2", "http/1.0", "http/1.1x", "http/1."}) {
        result = s_client(std::string("-alpn ") + other);
        EXPECT_NE(0, result.status);
        EXPECT_TRUE(has(result, "alert no application protocol")) << result.out << result.err;
    }
    EXPECT_EQ(2, workshop_.requests.load());
}

// The client gives up, as OpenSSL does when it is refused; everybody else is served.
TEST_F(TlsServer, RefusesToRenegotiate) {
    Context ctx = asking();
    SSL_CTX_set_max_proto_version(ctx.get(), TLS1_2_VERSION);
    for (int i = 0; i < 3; i++) {
        raw::Socket socket = raw::Socket::connect(workshop_.port());
        TlsPeer client(socket, ctx.get());
        ASSERT_TRUE(client.connect()) << client.reason();
        ASSERT_TRUE(client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
        EXPECT_NE(std::string::npos, client.read_until("hello").find("200 OK"));
        SSL_renegotiate(client.ssl());
        SSL_do_handshake(client.ssl()); // Sends the wish.
        EXPECT_EQ("", client.read_some());
        EXPECT_EQ("no renegotiation", client.reason());
    }
    EXPECT_TRUE(eventually([this] { return workshop_.server().get_conn_count() == 0; }));
    EXPECT_EQ("hello", curl({url("/hello")}).out);
}

// New keys in the middle of a TLS 1.3 connection, asked for by the client many times.
TEST_F(TlsServer, UpdatesKeys) {
    Context ctx = asking();
    raw::Socket socket = raw::Socket::connect(workshop_.port());
    TlsPeer client(socket, ctx.get());
    ASSERT_TRUE(client.connect()) << client.reason();
    for (int i = 0; i < 20; i++) {
        ASSERT_EQ(1, SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED));
        ASSERT_TRUE(client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")) << client.reason();
        ASSERT_NE(std::string::npos, client.read_until("hello").find("200 OK")) << client.reason();
    }
}

// Each byte of a request in a record of its own, several requests in one, and a half-closed client.
TEST_F(TlsServer, AnyCutOfRecords) {
    const std::string request = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
    Context ctx = asking();
    raw::Socket socket = raw::Socket::connect(workshop_.port());
    TlsPeer client(socket, ctx.get());
    ASSERT_TRUE(client.connect()) << client.reason();
    for (char byte : request)
        ASSERT_TRUE(client.send(std::string(1, byte)));
    EXPECT_NE(std::string::npos, client.read_until("hello").find("200 OK"));
    ASSERT_TRUE(client.send(request + request + kGet));
    client.say_goodbye(); // We have said all; what was asked is still answered.
    std::string all = client.read_until("stranger");
    EXPECT_NE(std::string::npos, all.find("hello"));
    EXPECT_NE(std::string::npos, all.rfind("TLSv1.3 new"));
    EXPECT_EQ("", client.read_some());
    EXPECT_EQ(SSL_ERROR_ZERO_RETURN, client.error()) << client.reason();
    EXPECT_EQ(4, workshop_.requests.load());
}

} // namespace
