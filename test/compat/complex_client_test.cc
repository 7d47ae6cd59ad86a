// Weft - compat: WFComplexClientTask subclasses, as RPC libraries write their clients
// SPDX-License-Identifier: Apache-2.0
//
// Login before the request, own redirect, check_request, init_failed, connection info.

#include <errno.h>

#include <gtest/gtest.h>

#include "workflow/WFGlobal.h"
#include "workflow/Workflow.h"

#include "integration/raw_socket.h"
#include "line_protocol.h"
#include "support.h"

using compat::Event;
using compat::Log;
using compat::port_of;

namespace {

// Sends a login line first on each new connection, and the user's request after it.
class LoginTask : public WFComplexClientTask<line::Request, line::Response> {
public:
    LoginTask(int retry_max, Log *log, task_callback_t &&cb)
        : WFComplexClientTask(retry_max, std::move(cb)), log_(log) {}

    bool refuse = false;

protected:
    bool check_request() override {
        log_->add("check ");
        if (!refuse)
            return true;
        this->state = WFT_STATE_TASK_ERROR;
        this->error = 4711;
        return false;
    }

    CommMessageOut *message_out() override {
        if (this->get_seq() == 0) {
            log_->add("login ");
            login_.text = "login " + this->info_;
            logging_in_ = true;
            return &login_;
        }
        log_->add("request ");
        logging_in_ = false;
        return this->WFComplexClientTask::message_out();
    }

    // The login needs the connection for one more request, whatever the user set.
    int keep_alive_timeout() override {
        return logging_in_ ? 10000 : this->WFComplexClientTask::keep_alive_timeout();
    }

    bool finish_once() override {
        if (!logging_in_ || this->state != WFT_STATE_SUCCESS)
            return true;
        log_->add("(" + this->resp.text + ") ");
        if (this->resp.text != "welcome") {
            this->disable_retry();
            this->state = WFT_STATE_TASK_ERROR;
            this->error = 4712;
            return true;
        }
        this->clear_resp();
        return false;
    }

    bool init_success() override {
        log_->add("init ");
        this->set_info("user");
        return true;
    }

    void init_failed() override { log_->add("init_failed "); }

private:
    Log *log_;
    line::Request login_;
    bool logging_in_ = false;
};

class ComplexClient : public ::testing::Test {
protected:
    ComplexClient()
        : server_([](line::Task *task) {
              const std::string &text = task->get_req()->text;
              if (text == "login user")
                  task->get_resp()->text = "welcome";
              else
                  task->get_resp()->text = text + "?";
          }) {}

    void SetUp() override { ASSERT_EQ(0, server_.start("127.0.0.1", 0)); }
    void TearDown() override { server_.stop(); }

    LoginTask *make(const std::string &url, std::function<void(line::Task *)> callback) {
        LoginTask *task = new LoginTask(0, &log_, std::move(callback));
        ParsedURI uri;
        URIParser::parse(url, uri);
        task->init(std::move(uri));
        task->set_transport_type(TT_TCP);
        task->get_req()->text = "q";
        task->set_keep_alive(10000);
        return task;
    }

    std::string url() { return "line://127.0.0.1:" + std::to_string(port_of(server_)); }

    line::Server server_;
    Log log_;
    Event done_;
};

TEST_F(ComplexClient, LoginThenRequest) {
    std::string text;
    auto callback = [&](line::Task *t) {
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
        text = t->get_resp()->text;
        done_.set();
    };
    make(url(), callback)->start();
    ASSERT_TRUE(done_.wait());
    EXPECT_EQ("q?", text);
    EXPECT_EQ("init check login (welcome) request ", log_.text());
    // The connection is kept and logged in.
    make(url(), callback)->start();
    ASSERT_TRUE(done_.wait(2));
    EXPECT_EQ("init check login (welcome) request init check request ", log_.text());
}

TEST_F(ComplexClient, CheckRequestRefuses) {
    LoginTask *task = make(url(), [&](line::Task *t) {
        EXPECT_EQ(WFT_STATE_TASK_ERROR, t->get_state());
        EXPECT_EQ(4711, t->get_error());
        done_.set();
    });
    task->refuse = true;
    task->start();
    ASSERT_TRUE(done_.wait());
    EXPECT_EQ("init check ", log_.text());
}

// Row 60: a URL that does not parse: init_failed, then the error in the callback.
TEST_F(ComplexClient, Row60BadUrl) {
    LoginTask *task = make("::not a url::", [&](line::Task *t) {
        EXPECT_EQ(WFT_STATE_TASK_ERROR, t->get_state());
        EXPECT_EQ(WFT_ERR_URI_PARSE_FAILED, t->get_error());
        EXPECT_TRUE(WFGlobal::get_scheduler()->is_handler_thread());
        done_.set();
    });
    task->start();
    ASSERT_TRUE(done_.wait());
    EXPECT_EQ("init_failed ", log_.text());
}

// A scheme that nobody knows needs a port in the URL: 1002 otherwise.
TEST_F(ComplexClient, Row60UnknownSchemeWithoutPort) {
    make("line://127.0.0.1", [&](line::Task *t) {
        EXPECT_EQ(WFT_STATE_TASK_ERROR, t->get_state());
        EXPECT_EQ(WFT_ERR_URI_SCHEME_INVALID, t->get_error());
        done_.set();
    })->start();
    ASSERT_TRUE(done_.wait());
}

// set_redirect() inside finish_once() sends the task to another place, with a fresh response.
class RedirectTask : public WFComplexClientTask<line::Request, line::Response> {
public:
    RedirectTask(const std::string &url, task_callback_t &&cb)
        : WFComplexClientTask(0, std::move(cb)) {
        ParsedURI uri;
        URIParser::parse(url, uri);
        this->init(uri);
    }

    int hops = 0;

protected:
    bool finish_once() override {
        if (this->state == WFT_STATE_SUCCESS && this->resp.text.compare(0, 3, "go ") == 0) {
            ParsedURI uri;
            hops++;
            URIParser::parse(this->resp.text.substr(3), uri);
            this->set_redirect(uri);
        }
        return true;
    }
};

TEST_F(ComplexClient, Redirect) {
    std::string target = url();
    line::Server pointer([&](line::Task *task) { task->get_resp()->text = "go " + target; });
    ASSERT_EQ(0, pointer.start("127.0.0.1", 0));
    int hops = 0;
    std::string text;
    std::string port;
    RedirectTask *task = new RedirectTask(
        "line://127.0.0.1:" + std::to_string(port_of(pointer)), [&](line::Task *t) {
            EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
            text = t->get_resp()->text;
            hops = static_cast<RedirectTask *>(t)->hops;
            port = static_cast<RedirectTask *>(t)->get_current_uri()->port;
            done_.set();
        });
    task->get_req()->text = "q";
    task->start();
    ASSERT_TRUE(done_.wait());
    EXPECT_EQ("q?", text);
    EXPECT_EQ(1, hops);
    EXPECT_EQ(std::to_string(port_of(server_)), port);
    pointer.stop();
}

// The context of a complex task: the third template argument.
struct Context {
    int value = 5;
};

TEST_F(ComplexClient, TypedContext) {
    typedef WFComplexClientTask<line::Request, line::Response, Context> ContextTask;
    ContextTask *task = new ContextTask(0, [&](line::Task *t) {
        EXPECT_EQ(6, static_cast<ContextTask *>(t)->get_mutable_ctx()->value);
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
        done_.set();
    });
    ParsedURI uri;
    ASSERT_EQ(0, URIParser::parse(url(), uri));
    task->init(std::move(uri));
    task->get_mutable_ctx()->value++;
    EXPECT_FALSE(task->is_fixed_addr());
    EXPECT_FALSE(task->is_fixed_conn());
    EXPECT_EQ(TT_TCP, task->get_transport_type());
    task->get_req()->text = "q";
    task->start();
    ASSERT_TRUE(done_.wait());
}

// Initialised with an address instead of a URL.
TEST_F(ComplexClient, InitWithAnAddress) {
    struct sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    addr.sin_port = htons(port_of(server_));
    typedef WFComplexClientTask<line::Request, line::Response> PlainTask;
    PlainTask *task = new PlainTask(0, [&](line::Task *t) {
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state()) << t->get_error();
        EXPECT_EQ("q?", t->get_resp()->text);
        done_.set();
    });
    task->init(TT_TCP, reinterpret_cast<struct sockaddr *>(&addr), sizeof addr, "info");
    task->get_req()->text = "q";
    task->start();
    ASSERT_TRUE(done_.wait());
}

} // namespace
