// Weft - compat: TLV messages and packages of several messages in one session
// SPDX-License-Identifier: Apache-2.0
//
// TLVMessage.h, PackageWrapper.h over real connections, as libraries use them.

#include <gtest/gtest.h>

#include <vector>

#include "workflow/PackageWrapper.h"
#include "workflow/TLVMessage.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "integration/raw_socket.h"
#include "support.h"

using compat::Event;
using compat::port_of;
using protocol::TLVMessage;

namespace {

typedef WFNetworkTask<TLVMessage, TLVMessage> TlvTask;
typedef WFServer<TLVMessage, TLVMessage> TlvServer;
typedef WFNetworkTaskFactory<TLVMessage, TLVMessage> TlvFactory;

TEST(Tlv, ClientAndServer) {
    TlvServer server([](TlvTask *task) {
        task->get_resp()->set_type(task->get_req()->get_type() + 1);
        task->get_resp()->set_value(*task->get_req()->get_value() + "!");
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    Event done;
    TlvTask *task =
        TlvFactory::create_client_task(TT_TCP, "127.0.0.1", port_of(server), 0, [&](TlvTask *t) {
            EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
            EXPECT_EQ(8, t->get_resp()->get_type());
            EXPECT_EQ("value!", *t->get_resp()->get_value());
            done.set();
        });
    task->get_req()->set_type(7);
    task->get_req()->set_value("value");
    task->start();
    ASSERT_TRUE(done.wait());
    server.stop();
}

// The wire: four bytes of type, four of length, the value; pieces and pipelining.
TEST(Tlv, Wire) {
    TlvServer server(
        [](TlvTask *task) { task->get_resp()->set_value(*task->get_req()->get_value()); });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    const std::string request("\0\0\0\5\0\0\0\3abc\0\0\0\5\0\0\0\0", 19);
    const std::string answer("\0\0\0\0\0\0\0\3abc\0\0\0\0\0\0\0\0", 19);
    for (char c : request)
        ASSERT_TRUE(client.send(std::string(1, c)));
    EXPECT_EQ(answer, client.read_bytes(answer.size()));
    server.stop();
}

// A list of messages sent as one request, and received as one response until an empty one comes.
class Train : public protocol::PackageWrapper {
public:
    Train() : PackageWrapper(NULL) {}

    std::vector<TLVMessage> cars;

    void load(const std::vector<std::string> &values) {
        cars.clear();
        for (const std::string &value : values) {
            cars.emplace_back();
            cars.back().set_value(value);
        }
        next_ = 0;
        this->set_message(&cars[0]);
    }

    void make_ready() {
        cars.reserve(100); // Elements must not move while they are wrapped.
        cars.emplace_back();
        this->set_message(&cars[0]);
    }

private:
    protocol::ProtocolMessage *next_out(protocol::ProtocolMessage *) override {
        return ++next_ < cars.size() ? &cars[next_] : NULL;
    }

    protocol::ProtocolMessage *next_in(protocol::ProtocolMessage *last) override {
        if (static_cast<TLVMessage *>(last)->get_value()->empty())
            return NULL;
        cars.emplace_back();
        return &cars.back();
    }

    size_t next_ = 0;
};

class TrainTask : public WFComplexClientTask<TLVMessage, TLVMessage> {
public:
    TrainTask(task_callback_t &&cb) : WFComplexClientTask(0, std::move(cb)) {}
    Train out;
    Train in;

protected:
    CommMessageOut *message_out() override { return &out; }
    CommMessageIn *message_in() override {
        in.make_ready();
        return &in;
    }
};

TEST(Package, ManyMessagesInOneSession) {
    // Answers each car; the empty one is the last of a train.
    raw::ScriptedServer server([](raw::Socket &peer, int) {
        std::string all = peer.read_bytes(8 + 3 + 8 + 3 + 8);
        peer.send(all.substr(0, 5)); // The answer is the request, in two pieces.
        peer.send(all.substr(5));
        peer.wait_closed();
    });
    Event done;
    TrainTask *task = new TrainTask([&](TlvTask *t) {
        Train &in = static_cast<TrainTask *>(t)->in;
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state()) << t->get_error();
        EXPECT_EQ(3u, in.cars.size());
        if (in.cars.size() == 3) {
            EXPECT_EQ("one", *in.cars[0].get_value());
            EXPECT_EQ("two", *in.cars[1].get_value());
        }
        done.set();
    });
    ParsedURI uri;
    ASSERT_EQ(0, URIParser::parse("tlv://127.0.0.1:" + std::to_string(server.port()), uri));
    task->init(std::move(uri));
    task->out.load({"one", "two", ""});
    task->start();
    ASSERT_TRUE(done.wait());
}

// feedback(): a small answer while the message is still coming in.
class Polite : public protocol::ProtocolMessage {
public:
    std::string text;

protected:
    int append(const void *buf, size_t *size) override {
        text.append(static_cast<const char *>(buf), *size);
        if (text.find('?') != std::string::npos && !asked_) {
            asked_ = true;
            EXPECT_EQ(3, this->feedback("yes", 3));
        }
        return text.find('\n') == std::string::npos ? 0 : 1;
    }

    int encode(struct iovec v[], int) override {
        v[0].iov_base = const_cast<char *>(text.data());
        v[0].iov_len = text.size();
        return 1;
    }

private:
    bool asked_ = false;
};

TEST(ProtocolMessage, Feedback) {
    typedef WFServer<Polite, Polite> PoliteServer;
    PoliteServer server(
        [](WFNetworkTask<Polite, Polite> *task) { task->get_resp()->text = "done\n"; });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send("may I?"));
    EXPECT_EQ("yes", client.read_bytes(3));
    ASSERT_TRUE(client.send("\n"));
    EXPECT_EQ("done\n", client.read_until("\n"));
    server.stop();
}

} // namespace
