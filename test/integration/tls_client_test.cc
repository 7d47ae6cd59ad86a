// Weft - integration: our client over TLS against openssl s_server and nginx
// SPDX-License-Identifier: Apache-2.0
//
// What is accepted, what is refused and in which words, and that sessions are resumed. Each test
// makes its certificates and peers itself, but for the common authority.

#include <gtest/gtest.h>

#include "integration/raw_socket.h"
#include "integration/tls_call.h"
#include "integration/workshop.h"

namespace {

// openssl s_server, which answers each GET with what it knows of the connection.
class StatusServer {
public:
    bool start(const Certificate &own, const std::vector<std::string> &more = {}) {
        std::vector<std::string> args = {"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
                                         own.cert,  "-key",     own.key,   "-www"};
        args.insert(args.end(), more.begin(), more.end());
        if (!process_.start(args))
            return false;
        std::string line = process_.wait_line("ACCEPT 127.0.0.1:");
        port_ = line.substr(line.find(':') + 1);
        return !line.empty();
    }
    std::string url(const std::string &host = "localhost") const {
        return "https://" + host + ":" + port_ + "/";
    }
    peer::Process &process() { return process_; }

private:
    std::string port_;
    peer::Process process_;
};

class TlsClient : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(peer::have("openssl"));
        ctx_ = trusting(ca_.file());
        ASSERT_TRUE(ctx_);
    }

    // Nothing but a refusal of the certificate, and for this reason.
    void expect_refused(const std::string &url, SSL_CTX *ctx, const std::string &why) {
        TlsCall call;
        ASSERT_TRUE(call.get(url, ctx));
        EXPECT_EQ(WFT_STATE_SSL_ERROR, call.state) << call.describe();
        EXPECT_EQ(SSL_ERROR_SSL, call.error) << call.describe();
        EXPECT_NE(std::string::npos, call.text.find("certificate verify failed")) << call.text;
        EXPECT_NE(std::string::npos, call.text.find(why)) << call.text;
        EXPECT_FALSE(call.agreed);
    }
    void expect_answer(const std::string &url, SSL_CTX *ctx) {
        TlsCall call;
        ASSERT_TRUE(call.get(url, ctx));
        EXPECT_EQ(WFT_STATE_SUCCESS, call.state) << call.describe();
        EXPECT_EQ("", call.text);
        EXPECT_TRUE(call.agreed);
    }

    Authority &ca_ = Authority::common();
    Context ctx_;
};

TEST_F(TlsClient, AgreesWithOpenssl) {
    for (const char *version : {"-tls1_2", "-tls1_3"}) {
        StatusServer server;
        ASSERT_TRUE(server.start(ca_.make("good"), {version}));
        TlsCall call;
        ASSERT_TRUE(call.get(server.url(), ctx_.get()));
        ASSERT_EQ(WFT_STATE_SUCCESS, call.state) << call.describe();
        EXPECT_EQ("200", call.status);
        EXPECT_NE(std::string::npos, call.body.find("New, TLSv1.")) << call.body;
        ASSERT_TRUE(call.agreed);
        EXPECT_EQ(version == std::string("-tls1_2") ? "TLSv1.2" : "TLSv1.3", call.info.version);
        EXPECT_FALSE(call.info.cipher.empty());
        EXPECT_FALSE(call.info.peer_cert.empty());
        EXPECT_FALSE(call.info.resumed);
        EXPECT_EQ("localhost", call.info.server_name);
    }
}

// The second connection goes on with the session of the first; the peer says so too.
TEST_F(TlsClient, ResumesSessions) {
    for (const char *version : {"-tls1_2", "-tls1_3"}) {
        StatusServer server;
        ASSERT_TRUE(server.start(ca_.make("good"), {version}));
        for (bool again : {false, true, true, true}) {
            TlsCall call;
            ASSERT_TRUE(call.get(server.url(), ctx_.get(), close_behind));
            ASSERT_EQ(WFT_STATE_SUCCESS, call.state) << call.describe();
            EXPECT_EQ(again, call.info.resumed) << version;
            EXPECT_EQ(again, call.body.find("Reused, TLSv1.") != std::string::npos) << call.body;
            EXPECT_FALSE(call.info.peer_cert.empty()) << "a resumed session knows its peer";
        }
        // Another context, or another name, knows nothing of that session.
        TlsCall stranger;
        ASSERT_TRUE(stranger.get(server.url(), trusting(ca_.file()).get(), close_behind));
        EXPECT_EQ(WFT_STATE_SUCCESS, stranger.state) << stranger.describe();
        EXPECT_FALSE(stranger.info.resumed);
        TlsCall other;
        ASSERT_TRUE(other.get(server.url("127.0.0.1"), ctx_.get(), close_behind));
        EXPECT_EQ(WFT_STATE_SUCCESS, other.state) << other.describe();
        EXPECT_FALSE(other.info.resumed);
    }
}

TEST_F(TlsClient, RefusesVersionsBelow12) {
    StatusServer server;
    ASSERT_TRUE(server.start(ca_.make("good"), {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}));
    TlsCall call;
    ASSERT_TRUE(call.get(server.url(), ctx_.get()));
    EXPECT_EQ(WFT_STATE_SSL_ERROR, call.state);
    EXPECT_EQ(SSL_ERROR_SSL, call.error);
    EXPECT_NE(std::string::npos, call.text.find("protocol version")) << call.text;
}

TEST_F(TlsClient, RefusesWhoSignsForHimself) {
    CertificateWish wish;
    wish.self_signed = true;
    StatusServer server;
    ASSERT_TRUE(server.start(ca_.make("self", wish)));
    expect_refused(server.url(), ctx_.get(), "self-signed certificate");
}

TEST_F(TlsClient, RefusesAnUnknownAuthority) {
    Authority stranger;
    StatusServer server;
    ASSERT_TRUE(server.start(stranger.make("strange")));
    expect_refused(server.url(), ctx_.get(), "unable to get local issuer certificate");
    // So does the default context: the system trusts none of ours.
    expect_refused(server.url(), nullptr, "unable to get local issuer certificate");
    expect_answer(server.url(), trusting(stranger.file()).get());
}

TEST_F(TlsClient, RefusesWhatHasExpired) {
    CertificateWish wish;
    wish.expired = true;
    StatusServer server;
    ASSERT_TRUE(server.start(ca_.make("expired", wish)));
    expect_refused(server.url(), ctx_.get(), "certificate has expired");
}

TEST_F(TlsClient, RefusesACertificateOfClients) {
    CertificateWish wish;
    wish.purpose = "clientAuth";
    StatusServer server;
    ASSERT_TRUE(server.start(ca_.make("purpose", wish)));
    expect_refused(server.url(), ctx_.get(), "purpose");
}

// An authority that only a leaf claims to be.
TEST_F(TlsClient, RefusesALeafAsAuthority) {
    Certificate leaf = ca_.make("no_authority");
    Certificate below = ca_.make_below(leaf, "below_leaf");
    StatusServer server;
    ASSERT_TRUE(server.start(below, {"-cert_chain", leaf.cert}));
    expect_refused(server.url(), ctx_.get(), "invalid CA certificate");
}

TEST_F(TlsClient, RefusesAnotherHost) {
    CertificateWish wish;
    wish.names = "DNS:a.weft.test,DNS:*.b.weft.test";
    StatusServer server;
    ASSERT_TRUE(server.start(ca_.make("names", wish)));
    expect_answer(server.url("a.weft.test"), ctx_.get());
    expect_answer(server.url("A.WEFT.test"), ctx_.get());
    expect_refused(server.url("b.weft.test"), ctx_.get(), "hostname mismatch");
    expect_refused(server.url("localhost"), ctx_.get(), "hostname mismatch");
    expect_refused(server.url("127.0.0.1"), ctx_.get(), "IP address mismatch");
}

TEST_F(TlsClient, KnowsWildcards) {
    CertificateWish wish;
    wish.names = "DNS:*.weft.test";
    StatusServer server;
    ASSERT_TRUE(server.start(ca_.make("wildcard", wish)));
    expect_answer(server.url("a.weft.test"), ctx_.get());
    expect_refused(server.url("localhost"), ctx_.get(), "hostname mismatch");
    wish.names = "DNS:*.test,DNS:a*.weft.test";
    StatusServer too_wide;
    ASSERT_TRUE(too_wide.start(ca_.make("too_wide", wish)));
    expect_refused(too_wide.url("a.weft.test"), ctx_.get(), "hostname mismatch");
}

// An address stands in the certificate as one, and a name that looks like one is none.
TEST_F(TlsClient, ChecksAddresses) {
    CertificateWish wish;
    wish.names = "IP:127.0.0.1";
    StatusServer server;
    ASSERT_TRUE(server.start(ca_.make("address", wish)));
    expect_answer(server.url("127.0.0.1"), ctx_.get());
    expect_refused(server.url("localhost"), ctx_.get(), "hostname mismatch");
    wish.names = "DNS:127.0.0.1,IP:127.0.0.2";
    StatusServer other;
    ASSERT_TRUE(other.start(ca_.make("not_address", wish)));
    expect_refused(other.url("127.0.0.1"), ctx_.get(), "IP address mismatch");
}

// Off for a task, off for the process, and on again.
TEST_F(TlsClient, VerifiesUnlessTold) {
    Authority stranger;
    StatusServer server;
    ASSERT_TRUE(server.start(stranger.make("strange")));
    EXPECT_TRUE(wf::get_tls_verify());
    expect_refused(server.url(), nullptr, "unable to get local issuer certificate");
    expect_answer(server.url(), wf::tls_unverified_ctx());
    expect_refused(server.url(), nullptr, "unable to get local issuer certificate");
    wf::set_tls_verify(false);
    EXPECT_FALSE(wf::get_tls_verify());
    expect_answer(server.url(), nullptr);
    wf::set_tls_verify(true);
    expect_refused(server.url(), nullptr, "unable to get local issuer certificate");
}

TEST_F(TlsClient, ShowsItsCertificate) {
    const std::vector<std::string> demand = {"-Verify", "2", "-verify_return_error", "-CAfile",
                                             ca_.file()};
    Certificate own = ca_.make("client");
    for (const char *version : {"-tls1_2", "-tls1_3"}) {
        std::vector<std::string> args = demand;
        args.push_back(version);
        StatusServer server;
        ASSERT_TRUE(server.start(ca_.make("good"), args));
        TlsCall known;
        ASSERT_TRUE(known.get(server.url(), trusting(ca_.file(), own).get()));
        EXPECT_EQ(WFT_STATE_SUCCESS, known.state) << known.describe();
        EXPECT_NE(std::string::npos, known.body.find("Weft test, client"));
        // In TLS 1.3 the refusal comes behind the client's handshake.
        TlsCall stranger;
        ASSERT_TRUE(stranger.get(server.url(), ctx_.get()));
        EXPECT_NE(WFT_STATE_SUCCESS, stranger.state);
    }
}

TEST(TlsContext, SaysWhatIsWrong) {
    Authority &ca = Authority::common();
    Certificate one = ca.make("one"), two = ca.make("two");
    auto expect_none = [](const wf::TlsOptions &options, const char *why) {
        std::string error;
        errno = 0;
        EXPECT_EQ(nullptr, wf::new_tls_client_ctx(options, &error));
        EXPECT_EQ(EINVAL, errno);
        EXPECT_NE(std::string::npos, error.find(why)) << error;
    };
    wf::TlsOptions options;
    options.ca_file = ca.dir().file("missing");
    expect_none(options, "No such file or directory");
    ca.dir().write("garbage", "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n");
    options.ca_file = ca.dir().file("garbage");
    expect_none(options, "authorities");
    options = wf::TlsOptions();
    options.cert_file = one.cert;
    options.key_file = two.key;
    expect_none(options, "key values mismatch");
    options.key_file = "";
    expect_none(options, "key");
    options = wf::TlsOptions();
    for (const std::string &bad : {std::string("h2,,http/1.1"), std::string(","),
                                   std::string(256, 'x'), std::string("h2,")}) {
        options.alpn = bad;
        expect_none(options, "protocols");
    }
    options.alpn = "h2,http/1.1";
    Context ctx(wf::new_tls_client_ctx(options));
    EXPECT_TRUE(ctx);
}

class TlsNginx : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(peer::have("nginx") && peer::have("openssl"));
        own_ = ca_.make("nginx");
        ctx_ = trusting(ca_.file());
    }
    bool start(const std::string &more = "") {
        return nginx_.start("ssl_certificate " + own_.cert + "; ssl_certificate_key " + own_.key +
                                ";\n" + more,
                            " ssl") &&
               nginx_.dir().write("html/big", Workshop::pattern(3000000));
    }
    std::string url(const std::string &path) const {
        return "https://localhost:" + std::to_string(nginx_.port()) + path;
    }

    Authority &ca_ = Authority::common();
    Certificate own_;
    Context ctx_;
    peer::Nginx nginx_;
};

TEST_F(TlsNginx, BodiesOverAKeptConnection) {
    ASSERT_TRUE(start("location = /hello { return 200 hello; }"));
    for (int i = 0; i < 3; i++) {
        TlsCall small, big;
        ASSERT_TRUE(small.get(url("/hello"), ctx_.get()));
        ASSERT_EQ("hello", small.body) << small.describe() << nginx_.log();
        EXPECT_EQ(2 * i, small.seq);
        ASSERT_TRUE(big.get(url("/big"), ctx_.get()));
        EXPECT_TRUE(Workshop::pattern(3000000) == big.body) << big.describe();
        EXPECT_EQ(2 * i + 1, big.seq);
    }
}

// A large request that nginx hands on to our own server, which echoes it.
TEST_F(TlsNginx, LargeRequest) {
    Workshop workshop;
    Certificate mine = ca_.make("behind");
    ASSERT_TRUE(workshop.start(mine.cert, mine.key));
    ASSERT_TRUE(start("location / { proxy_pass " + workshop.url("") +
                      "; proxy_http_version 1.1; "
                      "proxy_ssl_verify on; proxy_ssl_trusted_certificate " +
                      ca_.file() + "; proxy_ssl_name localhost; }"));
    const std::string body = Workshop::pattern(3000000);
    for (int i = 0; i < 2; i++) {
        TlsCall call;
        ASSERT_TRUE(call.get(url("/echo"), ctx_.get(), [&body](WFHttpTask *task) {
            task->get_req()->set_method(HttpMethodPost);
            task->get_req()->append_output_body_nocopy(body);
        }));
        EXPECT_TRUE(body == call.body) << call.describe() << nginx_.log();
    }
}

TEST_F(TlsNginx, AgreesOnTheProtocol) {
    ASSERT_TRUE(start("location / { return 200 $ssl_alpn_protocol; }"));
    TlsCall call;
    ASSERT_TRUE(call.get(url("/"), ctx_.get()));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state) << call.describe();
    EXPECT_EQ("", call.info.alpn); // An own context asks for what its maker wants: nothing.
    wf::TlsOptions options;
    options.ca_file = ca_.file();
    options.alpn = "http/1.1";
    Context ctx(wf::new_tls_client_ctx(options));
    TlsCall chosen;
    ASSERT_TRUE(chosen.get(url("/"), ctx.get()));
    EXPECT_EQ("http/1.1", chosen.info.alpn) << chosen.describe();
}

// Sessions outlive their connections, not their peer.
TEST_F(TlsNginx, ResumesByTicket) {
    ASSERT_TRUE(start("location / { return 200 $ssl_session_reused; }"));
    TlsCall first, second;
    ASSERT_TRUE(first.get(url("/"), ctx_.get(), close_behind));
    EXPECT_EQ(".", first.body) << first.describe() << nginx_.log();
    ASSERT_TRUE(second.get(url("/"), ctx_.get(), close_behind));
    EXPECT_EQ("r", second.body) << second.describe();
    EXPECT_TRUE(second.info.resumed);
}

// From TLS to plain text and from plain text to TLS.
TEST_F(TlsNginx, Redirects) {
    Workshop plain;
    ASSERT_TRUE(plain.start());
    ASSERT_TRUE(start("location /down { return 302 " + plain.url("/hello") +
                      "; }\nlocation = /hello { return 200 secure; }"));
    TlsCall down;
    ASSERT_TRUE(down.get(url("/down"), ctx_.get(), nullptr, 2));
    EXPECT_EQ("hello", down.body) << down.describe();
    EXPECT_FALSE(down.agreed);

    raw::ScriptedServer up([this](raw::Socket &peer, int) {
        peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: " +
                  url("/hello") + "\r\n\r\n");
        peer.wait_closed();
    });
    TlsCall secure;
    ASSERT_TRUE(secure.get(up.url(), ctx_.get(), nullptr, 2));
    EXPECT_EQ("secure", secure.body) << secure.describe();
    EXPECT_TRUE(secure.agreed);
    TlsCall refused;
    ASSERT_TRUE(refused.get(up.url(), nullptr, nullptr, 2));
    EXPECT_EQ(WFT_STATE_SSL_ERROR, refused.state);
}

} // namespace
