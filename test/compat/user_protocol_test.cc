// Weft - compat: a user's protocol over WFServer and WFNetworkTaskFactory
// SPDX-License-Identifier: Apache-2.0
//
// ProtocolMessage.h, WFServer<REQ, RESP>, WFNetworkTaskFactory; rows 65, 70 and 80.

#include <sys/socket.h>

#include <gtest/gtest.h>

#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/Workflow.h"

#include "integration/raw_socket.h"
#include "line_protocol.h"
#include "support.h"

using compat::Event;
using compat::port_of;

namespace {

void shout(line::Task *task) { task->get_resp()->text = task->get_req()->text + "!"; }

std::string line_url(unsigned short port) { return "line://127.0.0.1:" + std::to_string(port); }

struct Answer {
    int state = -1;
    int error = -1;
    long long seq = -1;
    std::string text;
};

// One request and its answer; keep_alive in milliseconds.
Answer ask(unsigned short port, const std::string &text, int keep_alive = 0,
           size_t size_limit = static_cast<size_t>(-1)) {
    Answer answer;
    Event done;
    line::Task *task =
        line::Factory::create_client_task(TT_TCP, line_url(port), 0, [&](line::Task *t) {
            answer.state = t->get_state();
            answer.error = t->get_error();
            answer.seq = t->get_task_seq();
            answer.text = t->get_resp()->text;
            done.set();
        });
    task->get_req()->text = text;
    task->get_resp()->set_size_limit(size_limit);
    task->set_keep_alive(keep_alive);
    task->start();
    EXPECT_TRUE(done.wait());
    return answer;
}

TEST(UserProtocol, RequestAndResponse) {
    line::Server server(shout);
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    Answer answer = ask(port_of(server), "hello");
    EXPECT_EQ(WFT_STATE_SUCCESS, answer.state);
    EXPECT_EQ("hello!", answer.text);
    EXPECT_EQ(0, answer.seq);
    server.stop();
}

// Row 65: kept connections are used again, the sequence number counts.
TEST(UserProtocol, Row65KeepAlive) {
    line::Server server(shout);
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    for (int i = 0; i < 3; i++) {
        Answer answer = ask(port_of(server), "x", 10000);
        EXPECT_EQ(WFT_STATE_SUCCESS, answer.state);
        EXPECT_EQ(i, answer.seq);
    }
    // The default of this factory is to close.
    EXPECT_EQ(3, ask(port_of(server), "x").seq);
    EXPECT_EQ(0, ask(port_of(server), "x").seq);
    server.stop();
}

// All five forms of the factory reach the server.
TEST(UserProtocol, FactoryForms) {
    line::Server server(shout);
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    unsigned short port = port_of(server);
    Event done;
    int good = 0;
    auto callback = [&](line::Task *t) {
        if (t->get_state() == WFT_STATE_SUCCESS && t->get_resp()->text == "x!")
            good++;
    };
    ParsedURI uri;
    ASSERT_EQ(0, URIParser::parse(line_url(port), uri));
    struct sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    addr.sin_port = htons(port);
    const struct sockaddr *generic = reinterpret_cast<const struct sockaddr *>(&addr);
    line::Task *tasks[] = {
        line::Factory::create_client_task(TT_TCP, "127.0.0.1", port, 0, callback),
        line::Factory::create_client_task(TT_TCP, line_url(port), 0, callback),
        line::Factory::create_client_task(TT_TCP, uri, 0, callback),
        line::Factory::create_client_task(TT_TCP, generic, sizeof addr, 0, callback),
    };
    SeriesWork *series = Workflow::create_series_work(WFTaskFactory::create_empty_task(),
                                                      [&](const SeriesWork *) { done.set(); });
    for (line::Task *task : tasks) {
        task->get_req()->text = "x";
        series->push_back(task);
    }
    series->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(4, good);
    server.stop();
}

// Row 70: a size limit on the response: SYS_ERROR/EMSGSIZE; a broken message: EBADMSG.
TEST(UserProtocol, Row70ParserErrorsOnTheClient) {
    line::Server server([](line::Task *task) {
        task->get_resp()->text =
            task->get_req()->text == "nul" ? std::string("a\0b", 3) : std::string(100, 'y');
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    Answer answer = ask(port_of(server), "long", 0, 10);
    EXPECT_EQ(WFT_STATE_SYS_ERROR, answer.state);
    EXPECT_EQ(EMSGSIZE, answer.error);
    answer = ask(port_of(server), "nul");
    EXPECT_EQ(WFT_STATE_SYS_ERROR, answer.state);
    EXPECT_EQ(EBADMSG, answer.error);
    server.stop();
}

// Row 70: the server's own limit: the client only sees the connection go.
TEST(UserProtocol, Row70SizeLimitOnTheServer) {
    struct WFServerParams params = SERVER_PARAMS_DEFAULT;
    params.request_size_limit = 8;
    line::Server server(&params, shout);
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    Answer answer = ask(port_of(server), "much too long for this server");
    EXPECT_EQ(WFT_STATE_SYS_ERROR, answer.state);
    EXPECT_EQ(ECONNRESET, answer.error);
    EXPECT_EQ("short!", ask(port_of(server), "short").text);
    server.stop();
}

// The message arrives byte by byte; bytes behind it belong to the next request (row 92, the
// compatible improvement: pipelined requests are all answered, in order).
TEST(UserProtocol, Row92PiecesAndPipelining) {
    line::Server server(shout);
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.valid());
    for (char c : std::string("abc\n"))
        ASSERT_TRUE(client.send(std::string(1, c)));
    EXPECT_EQ("abc!\n", client.read_until("\n"));
    std::string requests, answers;
    for (int i = 0; i < 50; i++) {
        requests += std::to_string(i) + "\n";
        answers += std::to_string(i) + "!\n";
    }
    ASSERT_TRUE(client.send(requests));
    EXPECT_EQ(answers, client.read_bytes(answers.size()));
    server.stop();
}

// A large message both ways, bigger than every socket buffer.
TEST(UserProtocol, LargeMessage) {
    line::Server server(shout);
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    std::string text(20 * 1024 * 1024, 'w');
    Answer answer = ask(port_of(server), text);
    EXPECT_EQ(WFT_STATE_SUCCESS, answer.state);
    EXPECT_EQ(text + "!", answer.text);
    server.stop();
}

// An attachment is owned by its message and survives the re-creation of the response at a retry.
class Counted : public protocol::ProtocolMessage::Attachment {
public:
    explicit Counted(int *deaths) : deaths_(deaths) {}
    ~Counted() override { ++*deaths_; }

private:
    int *deaths_;
};

TEST(UserProtocol, Row72AttachmentAndLimitSurviveARetry) {
    // The first connection is cut after the request, the second is answered.
    raw::ScriptedServer server([](raw::Socket &peer, int number) {
        peer.read_until("\n");
        if (number > 0)
            peer.send("answer\n");
    });
    int deaths = 0;
    Event done;
    line::Task *task =
        line::Factory::create_client_task(TT_TCP, line_url(server.port()), 1, [&](line::Task *t) {
            EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
            EXPECT_EQ("answer", t->get_resp()->text);
            EXPECT_EQ(1234u, t->get_resp()->get_size_limit());
            EXPECT_NE(nullptr, t->get_resp()->get_attachment());
            EXPECT_EQ(0, deaths);
            done.set();
        });
    task->get_req()->text = "q";
    task->get_resp()->set_size_limit(1234);
    task->get_resp()->set_attachment(new Counted(&deaths));
    Event deleted;
    Workflow::start_series_work(task, [&](const SeriesWork *) { deleted.set(); });
    ASSERT_TRUE(done.wait());
    ASSERT_TRUE(deleted.wait());
    EXPECT_EQ(1, deaths);
    EXPECT_EQ(2, server.connections());
}

// WFFacilities::request over a plain complex client task.
TEST(UserProtocol, FacilitiesRequest) {
    line::Server server(shout);
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    line::Request req;
    req.text = "sync";
    WFFacilities::WFNetworkResult<line::Response> result =
        WFFacilities::request<line::Request, line::Response>(TT_TCP, line_url(port_of(server)),
                                                             std::move(req), 0);
    EXPECT_EQ(WFT_STATE_SUCCESS, result.task_state);
    EXPECT_EQ(0, result.task_error);
    EXPECT_EQ("sync!", result.resp.text);

    line::Request other;
    other.text = "async";
    auto future = WFFacilities::async_request<line::Request, line::Response>(
        TT_TCP, line_url(port_of(server)), std::move(other), 0);
    EXPECT_EQ("async!", future.get().resp.text);
    server.stop();
}

} // namespace
