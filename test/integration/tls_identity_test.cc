// Weft - integration: which certificate our TLS server shows, and which it asks for
// SPDX-License-Identifier: Apache-2.0
//
// Certificates by name (SNI), of clients, replaced while the server runs, and those that cannot be
// used.

#include <gtest/gtest.h>

#include <errno.h>

#include <atomic>
#include <future>
#include <map>

#include "integration/patience.h"
#include "integration/tls_call.h"
#include "integration/tls_peer.h"
#include "integration/workshop.h"

namespace {

// A server with a context for each name.
class Hotel : public WFHttpServer {
public:
    Hotel()
        : WFHttpServer([](WFHttpTask *task) {
              task->get_resp()->append_output_body(Workshop::describe_tls(task));
          }) {}
    ~Hotel() override { stop(); }

    // Before the start: guests of that name must show a certificate of this authority, if any.
    void add_room(const std::string &name, const Certificate &own, const std::string &ca_file) {
        wf::TlsOptions options;
        options.cert_file = own.cert;
        options.key_file = own.key;
        options.ca_file = ca_file;
        rooms_[name] = Context(wf::new_tls_server_ctx(options));
        ASSERT_TRUE(rooms_[name]);
    }
    unsigned short open(const Certificate &own) {
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        if (start("127.0.0.1", 0, own.cert.c_str(), own.key.c_str()) < 0 ||
            get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len) < 0)
            return 0;
        return ntohs(addr.sin_port);
    }

    std::atomic<int> nameless{0};

protected:
    SSL_CTX *get_server_ssl_ctx(const char *name) override {
        if (!name) {
            nameless++;
            return get_ssl_ctx();
        }
        auto found = rooms_.find(name);
        return found == rooms_.end() ? nullptr : found->second.get();
    }

private:
    std::map<std::string, Context> rooms_;
};

class TlsByName : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(peer::have("openssl"));
        hotel_.add_room("a.weft.test", named("a.weft.test"), "");
        hotel_.add_room("b.weft.test", named("b.weft.test"), ca_.file());
        port_ = hotel_.open(ca_.make("hotel"));
        ASSERT_NE(0, port_);
    }
    Certificate named(const std::string &name) {
        CertificateWish wish;
        wish.names = "DNS:" + name;
        return ca_.make(name, wish);
    }
    std::string url(const std::string &host) const {
        return "https://" + host + ":" + std::to_string(port_) + "/";
    }

    Authority &ca_ = Authority::common();
    Hotel hotel_;
    unsigned short port_ = 0;
};

// Each name's certificate is for that name only, so the client's own check tells them apart.
TEST_F(TlsByName, ShowsTheRightOne) {
    Context stranger = trusting(ca_.file()), known = trusting(ca_.file(), ca_.make("guest"));
    TlsCall a, b, none;
    ASSERT_TRUE(a.get(url("a.weft.test"), stranger.get()));
    EXPECT_EQ("TLSv1.3 new alpn= name=a.weft.test stranger", a.body) << a.describe();
    ASSERT_TRUE(b.get(url("b.weft.test"), known.get()));
    EXPECT_EQ("TLSv1.3 new alpn= name=b.weft.test known", b.body) << b.describe();
    EXPECT_NE(a.info.peer_cert, b.info.peer_cert);
    EXPECT_EQ(0, hotel_.nameless.load());
    ASSERT_TRUE(none.get(url("127.0.0.1"), stranger.get())); // An address is no name.
    EXPECT_EQ("TLSv1.3 new alpn= name= stranger", none.body) << none.describe();
    EXPECT_EQ(1, hotel_.nameless.load());
}

TEST_F(TlsByName, RefusesUnknownNames) {
    TlsCall unknown, localhost;
    ASSERT_TRUE(unknown.get(url("c.weft.test"), wf::tls_unverified_ctx()));
    EXPECT_EQ(WFT_STATE_SSL_ERROR, unknown.state) << unknown.describe();
    EXPECT_NE(std::string::npos, unknown.text.find("unrecognized name")) << unknown.text;
    ASSERT_TRUE(localhost.get(url("localhost"), wf::tls_unverified_ctx()));
    EXPECT_EQ(WFT_STATE_SSL_ERROR, localhost.state) << localhost.describe();
}

TEST_F(TlsByName, EachNameHasItsOwnDemands) {
    TlsCall b;
    ASSERT_TRUE(b.get(url("b.weft.test"), trusting(ca_.file()).get()));
    EXPECT_NE(WFT_STATE_SUCCESS, b.state);
    EXPECT_EQ("", b.body);
}

// A session that was begun where nobody asks for a certificate must not open the door where
// somebody does: the session says nothing about who comes. (In TLS 1.2 the name is the session's,
// whatever the client asks for now.)
TEST_F(TlsByName, ASessionIsNoCertificateElsewhere) {
    peer::TempDir dir;
    dir.write("request", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    auto s_client = [&](const std::string &args) {
        peer::Result result = peer::run(
            {"sh", "-c",
             "exec openssl s_client -ign_eof -connect 127.0.0.1:" + std::to_string(port_) + " " +
                 args + " < " + dir.file("request")});
        return result.out + result.err;
    };
    auto contains = [](const std::string &text, const std::string &part) {
        return text.find(part) != std::string::npos;
    };
    const std::string kept = dir.file("session");
    for (const char *version : {"-tls1_2 ", "-tls1_3 "}) {
        for (const char *from : {"-servername a.weft.test ", "-noservername "}) {
            const std::string with = version + std::string(from);
            std::string out = s_client(with + "-sess_out " + kept);
            ASSERT_TRUE(contains(out, "new alpn=") && contains(out, "stranger")) << out;
            out = s_client(with + "-sess_in " + kept + " -sess_out " + kept);
            EXPECT_TRUE(contains(out, "resumed alpn=")) << out;
            out = s_client(version + std::string("-servername b.weft.test -sess_in ") + kept);
            EXPECT_FALSE(contains(out, "name=b.weft.test stranger")) << out;
        }
    }
}

// Who it is stands in the session of the right name.
TEST_F(TlsByName, ResumesUnderTheSameName) {
    Context known = trusting(ca_.file(), ca_.make("guest"));
    for (const char *how : {"new", "resumed", "resumed"}) {
        TlsCall call;
        ASSERT_TRUE(call.get(url("b.weft.test"), known.get(), close_behind));
        EXPECT_EQ(std::string("TLSv1.3 ") + how + " alpn= name=b.weft.test known", call.body)
            << call.describe();
    }
}

class TlsOfClients : public ::testing::Test {
protected:
    bool start(bool required) {
        Certificate own = ca_.make("server");
        workshop_.server().set_tls_client_ca(ca_.file(), required);
        return workshop_.start(own.cert, own.key);
    }
    void get(TlsCall *call, const Context &ctx) {
        ASSERT_TRUE(call->get(workshop_.url("/tls"), ctx.get(), close_behind));
    }

    Authority &ca_ = Authority::common();
    Workshop workshop_;
};

TEST_F(TlsOfClients, Required) {
    ASSERT_TRUE(start(true));
    Context known = trusting(ca_.file(), ca_.make("client")), stranger = trusting(ca_.file());
    TlsCall first, again, none;
    get(&first, known);
    EXPECT_EQ("TLSv1.3 new alpn= name= known", first.body) << first.describe();
    get(&again, known); // Who it is stands in the session.
    EXPECT_EQ("TLSv1.3 resumed alpn= name= known", again.body) << again.describe();
    get(&none, stranger);
    EXPECT_EQ(WFT_STATE_SSL_ERROR, none.state) << none.describe();
    EXPECT_NE(std::string::npos, none.text.find("certificate required")) << none.text;
    EXPECT_EQ(2, workshop_.requests.load());
}

TEST_F(TlsOfClients, NotRequired) {
    ASSERT_TRUE(start(false));
    Context known = trusting(ca_.file(), ca_.make("client")), stranger = trusting(ca_.file());
    TlsCall with, without;
    get(&with, known);
    EXPECT_EQ("TLSv1.3 new alpn= name= known", with.body) << with.describe();
    get(&without, stranger);
    EXPECT_EQ("TLSv1.3 new alpn= name= stranger", without.body) << without.describe();
}

// One that is shown must be good, required or not.
TEST_F(TlsOfClients, RefusesBadOnes) {
    ASSERT_TRUE(start(false));
    Authority other;
    CertificateWish expired, server_only;
    expired.expired = true;
    server_only.purpose = "serverAuth";
    TlsCall strange, old, wrong;
    get(&strange, trusting(ca_.file(), other.make("strange")));
    EXPECT_EQ(WFT_STATE_SSL_ERROR, strange.state) << strange.describe();
    EXPECT_NE(std::string::npos, strange.text.find("unknown ca")) << strange.text;
    get(&old, trusting(ca_.file(), ca_.make("old", expired)));
    EXPECT_EQ(WFT_STATE_SSL_ERROR, old.state) << old.describe();
    EXPECT_NE(std::string::npos, old.text.find("certificate expired")) << old.text;
    get(&wrong, trusting(ca_.file(), ca_.make("wrong", server_only)));
    EXPECT_EQ(WFT_STATE_SSL_ERROR, wrong.state) << wrong.describe();
    EXPECT_EQ(0, workshop_.requests.load());
}

class TlsReplaced : public ::testing::Test {
protected:
    void SetUp() override {
        one_ = ca_.make("one");
        two_ = ca_.make("two");
        ASSERT_TRUE(workshop_.start(one_.cert, one_.key));
    }
    int replace(const std::string &cert, const std::string &key) {
        errno = 0;
        return workshop_.server().replace_certificate(cert.c_str(), key.c_str());
    }
    // Which certificate a new connection sees.
    std::string shown() {
        TlsCall call;
        EXPECT_TRUE(call.get(workshop_.url("/tls"), trusting(ca_.file()).get(), close_behind));
        const auto *der = reinterpret_cast<const unsigned char *>(call.info.peer_cert.data());
        X509 *cert = d2i_X509(nullptr, &der, static_cast<long>(call.info.peer_cert.size()));
        char text[256] = "";
        if (cert)
            X509_NAME_oneline(X509_get_subject_name(cert), text, sizeof text);
        X509_free(cert);
        return text;
    }

    Authority &ca_ = Authority::common();
    Certificate one_, two_;
    Workshop workshop_;
};

TEST_F(TlsReplaced, WhileConnectionsGoOn) {
    Context ctx = trusting(ca_.file());
    TlsCall before, after;
    ASSERT_TRUE(before.get(workshop_.url("/hello"), ctx.get()));
    EXPECT_EQ("/CN=Weft test, one", shown());
    ASSERT_EQ(0, replace(two_.cert, two_.key));
    EXPECT_EQ("/CN=Weft test, two", shown());
    ASSERT_TRUE(after.get(workshop_.url("/hello"), ctx.get()));
    EXPECT_EQ("hello", after.body) << after.describe();
    EXPECT_EQ(1, after.seq) << "the kept connection goes on";
    EXPECT_EQ(before.info.peer_cert, after.info.peer_cert);
    for (int i = 0; i < 10; i++)
        ASSERT_EQ(0, replace(i % 2 ? two_.cert : one_.cert, i % 2 ? two_.key : one_.key));
    EXPECT_EQ("/CN=Weft test, two", shown());
}

// What was given to clients to come back with stays good, and the new one gives such things too.
TEST_F(TlsReplaced, SessionsGoOn) {
    Context ctx = trusting(ca_.file());
    for (bool resumed : {false, true, true}) {
        TlsCall call;
        ASSERT_TRUE(call.get(workshop_.url("/tls"), ctx.get(), close_behind));
        EXPECT_EQ(resumed, call.info.resumed) << call.describe();
        ASSERT_EQ(0, replace(two_.cert, two_.key));
    }
}

TEST_F(TlsReplaced, NotByWhatCannotBeUsed) {
    const std::string missing = ca_.dir().file("missing");
    const std::string pairs[][2] = {{two_.cert, one_.key}, {missing, two_.key},
                                    {two_.cert, missing},  {two_.key, two_.cert},
                                    {two_.cert, ""},       {"", ""}};
    for (const auto &pair : pairs) {
        EXPECT_EQ(-1, replace(pair[0], pair[1])) << pair[0] << " " << pair[1];
        EXPECT_EQ(EINVAL, errno) << pair[0] << " " << pair[1];
    }
    errno = 0;
    EXPECT_EQ(-1, workshop_.server().replace_certificate(nullptr, two_.key.c_str()));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ("/CN=Weft test, one", shown());
}

TEST_F(TlsReplaced, OnlyWhereItRunsWithTls) {
    Workshop plain;
    ASSERT_TRUE(plain.start());
    errno = 0;
    EXPECT_EQ(-1, plain.server().replace_certificate(two_.cert.c_str(), two_.key.c_str()));
    EXPECT_EQ(ENOTCONN, errno);
    workshop_.stop();
    EXPECT_EQ(-1, replace(two_.cert, two_.key));
    EXPECT_EQ(ENOTCONN, errno);
    // It starts again, with another one.
    ASSERT_TRUE(workshop_.start(two_.cert, two_.key));
    EXPECT_EQ("/CN=Weft test, two", shown());
}

// Connections and replacements at the same time.
TEST_F(TlsReplaced, UnderLoad) {
    std::atomic<bool> over(false);
    std::thread replacing([&] {
        for (int i = 0; !over; i++)
            EXPECT_EQ(0, replace(i % 2 ? two_.cert : one_.cert, i % 2 ? two_.key : one_.key));
    });
    Context ctx = trusting(ca_.file());
    for (int i = 0; i < 40; i++) {
        TlsCall call;
        EXPECT_TRUE(call.get(workshop_.url("/hello"), ctx.get(), close_behind));
        EXPECT_EQ("hello", call.body) << call.describe();
    }
    over = true;
    replacing.join();
}

TEST(TlsStart, NotWithWhatCannotBeUsed) {
    Authority &ca = Authority::common();
    Certificate one = ca.make("one"), two = ca.make("two");
    WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    WFHttpServer server(&params, [](WFHttpTask *) {});
    const std::string missing = ca.dir().file("missing");
    auto expect_invalid = [](WFHttpServer *refused, const char *cert, const char *key) {
        errno = 0;
        EXPECT_EQ(-1, refused->start("127.0.0.1", 0, cert, key));
        EXPECT_EQ(EINVAL, errno);
    };
    expect_invalid(&server, one.cert.c_str(), nullptr);
    expect_invalid(&server, nullptr, one.key.c_str());
    expect_invalid(&server, one.cert.c_str(), two.key.c_str());
    expect_invalid(&server, one.cert.c_str(), missing.c_str());
    expect_invalid(&server, missing.c_str(), one.key.c_str());
    server.set_tls_client_ca(missing);
    expect_invalid(&server, one.cert.c_str(), one.key.c_str());
    server.set_tls_client_ca("");
    server.set_tls_alpn("h2,,x");
    expect_invalid(&server, one.cert.c_str(), one.key.c_str());
    server.set_tls_alpn("");
    EXPECT_EQ(0, server.start("127.0.0.1", 0, one.cert.c_str(), one.key.c_str()));
    server.stop();
    EXPECT_EQ(0, server.start("127.0.0.1", 0));
    server.stop();
    params.transport_type = TT_TCP_SSL;
    WFHttpServer strict(&params, [](WFHttpTask *) {});
    expect_invalid(&strict, nullptr, nullptr);
    errno = 0;
    EXPECT_EQ(-1, strict.start("127.0.0.1", 0));
    EXPECT_EQ(EINVAL, errno);
}

// 64 requests at once, each body checked, over kept connections and over new ones.
TEST(TlsTogether, SixtyFour) {
    Authority &ca = Authority::common();
    Certificate own = ca.make("server");
    Workshop workshop;
    ASSERT_TRUE(workshop.start(own.cert, own.key));
    Context ctx = trusting(ca.file());
    for (bool keep : {true, false, true}) {
        const int kCount = 64;
        std::atomic<int> good(0);
        std::promise<void> ended;
        ParallelWork *all =
            Workflow::create_parallel_work([&ended](const ParallelWork *) { ended.set_value(); });
        for (int i = 0; i < kCount; i++) {
            const std::string body = Workshop::pattern(static_cast<size_t>(1000 * i + i));
            WFHttpTask *task = WFTaskFactory::create_http_task(
                workshop.url("/echo"), 0, 0, [&good, body](WFHttpTask *t) {
                    EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state())
                        << t->get_error() << t->get_tls_error();
                    good += protocol::HttpUtil::decode_chunked_body(t->get_resp()) == body;
                });
            task->set_ssl_ctx(ctx.get());
            task->set_keep_alive(keep ? 60000 : 0);
            task->get_req()->set_method(HttpMethodPost);
            task->get_req()->append_output_body(body);
            all->add_series(Workflow::create_series_work(task, nullptr));
        }
        all->start();
        ASSERT_EQ(std::future_status::ready, ended.get_future().wait_for(std::chrono::seconds(60)));
        EXPECT_EQ(kCount, good.load());
    }
    EXPECT_EQ(3 * 64, workshop.requests.load());
}

} // namespace
