// Weft - compat: WFServer and WFServerTask subclasses, as RPC and web frameworks write them
// SPDX-License-Identifier: Apache-2.0
//
// new_session() overridden, an own Series started in handle(WFT_STATE_TOREPLY), the cast of a
// series to WFServerTask::Series, and a server task with neither service nor scheduler.

#include <gtest/gtest.h>

#include "workflow/HttpUtil.h"
#include "workflow/WFConnection.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFHttpServer.h"
#include "workflow/Workflow.h"

#include "integration/raw_socket.h"
#include "line_protocol.h"
#include "support.h"

using compat::Event;
using compat::Log;
using compat::port_of;

namespace {

typedef WFServerTask<line::Request, line::Response> LineServerTask;

// The RPC form: derives from Series, makes it inside handle(), and starts it.
class RpcTask : public LineServerTask {
public:
    RpcTask(CommService *service, std::function<void(line::Task *)> &proc, Log *log)
        : LineServerTask(service, WFGlobal::get_scheduler(), proc), log_(log) {}

    class RpcSeries : public LineServerTask::Series {
    public:
        explicit RpcSeries(RpcTask *t) : LineServerTask::Series(t), module_data("module") {
            this->set_callback([t](const SeriesWork *) { t->log_->add("series "); });
        }

        void *get_specific(const char *key) override {
            return std::string(key) == "module" ? &module_data : NULL;
        }

        std::string module_data;
    };

protected:
    void handle(int state_, int error_) override {
        if (state_ == WFT_STATE_TOREPLY) {
            log_->add("handle ");
            this->state = WFT_STATE_TOREPLY;
            this->target = this->get_target();
            RpcSeries *series = new RpcSeries(this);
            series->start();
        } else {
            this->LineServerTask::handle(state_, error_);
        }
    }

    // The reply is made when it is about to be sent, whatever the handler did.
    CommMessageOut *message_out() override {
        log_->add("message_out ");
        this->resp.text += "#";
        return this->LineServerTask::message_out();
    }

private:
    Log *log_;
};

class RpcServer : public line::Server {
public:
    RpcServer(std::function<void(line::Task *)> proc, Log *log)
        : line::Server(&SERVER_PARAMS_DEFAULT, std::move(proc)), log_(log) {}

protected:
    CommSession *new_session(long long, CommConnection *conn) override {
        EXPECT_NE(nullptr, conn);
        RpcTask *task = new RpcTask(this, this->process, log_);
        task->set_keep_alive(this->params.keep_alive_timeout);
        task->set_receive_timeout(this->params.receive_timeout);
        task->get_req()->set_size_limit(this->params.request_size_limit);
        return task;
    }

private:
    Log *log_;
};

TEST(ServerTask, OwnSeriesInHandle) {
    Log log;
    RpcServer server(
        [&](line::Task *task) {
            log.add("process ");
            void *data = series_of(task)->get_specific("module");
            ASSERT_NE(nullptr, data);
            EXPECT_EQ("module", *static_cast<std::string *>(data));
            task->get_resp()->text = "pong";
            series_of(task)->push_back(
                WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) { log.add("timer "); }));
            task->set_callback([&](line::Task *t) {
                EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
                log.add("callback ");
            });
        },
        &log);
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send("ping\n"));
    EXPECT_EQ("pong#\n", client.read_until("\n"));
    client.close();
    server.stop();
    EXPECT_EQ("handle process timer message_out callback series ", log.text());
}

// The web framework form: the series of any task of a request leads to the server task.
class HttpServerTask : public WFServerTask<protocol::HttpRequest, protocol::HttpResponse> {
public:
    typedef WFServerTask<protocol::HttpRequest, protocol::HttpResponse> Base;

    HttpServerTask(CommService *service, std::function<void(WFHttpTask *)> &proc)
        : Base(service, WFGlobal::get_scheduler(), proc) {}

    // Series is protected: a derived class may name it and read its task.
    static HttpServerTask *of(SubTask *any) {
        Series *series = static_cast<Series *>(series_of(any));
        return static_cast<HttpServerTask *>(series->task);
    }
};

class Framework : public WFHttpServer {
public:
    explicit Framework(http_process_t proc) : WFHttpServer(std::move(proc)) {}

protected:
    CommSession *new_session(long long, CommConnection *) override {
        HttpServerTask *task = new HttpServerTask(this, this->process);
        task->set_keep_alive(this->params.keep_alive_timeout);
        return task;
    }
};

TEST(ServerTask, SeriesLeadsToTheTask) {
    HttpServerTask *from_timer = nullptr;
    WFHttpTask *processed = nullptr;
    Framework server([&](WFHttpTask *task) {
        processed = task;
        WFTimerTask *timer = WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *t) {
            from_timer = HttpServerTask::of(t);
            from_timer->get_resp()->set_http_version("HTTP/1.1");
            protocol::HttpUtil::set_response_status(from_timer->get_resp(), HttpStatusOK);
            from_timer->get_resp()->add_header_pair("Content-Length", "4");
            from_timer->get_resp()->append_output_body("body");
        });
        series_of(task)->push_back(timer);
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_NE(std::string::npos, client.read_until("body").find("body"));
    client.close();
    server.stop();
    EXPECT_NE(nullptr, processed);
    EXPECT_EQ(processed, from_timer);
}

// A server task on the stack with nothing behind it: made and destroyed without harm.
class Measured : public HttpServerTask {
public:
    explicit Measured(std::function<void(WFHttpTask *)> &proc) : HttpServerTask(NULL, proc) {}
    ~Measured() override {}
};

class NullTask : public WFServerTask<protocol::HttpRequest, protocol::HttpResponse> {
public:
    explicit NullTask(std::function<void(WFHttpTask *)> &proc) : WFServerTask(NULL, NULL, proc) {}
    ~NullTask() override {}

    size_t offset_of_resp() {
        return static_cast<size_t>(reinterpret_cast<char *>(&this->resp) -
                                   reinterpret_cast<char *>(this));
    }
};

TEST(ServerTask, HarmlessWithoutService) {
    std::function<void(WFHttpTask *)> proc = nullptr;
    NullTask task(proc);
    EXPECT_GT(task.offset_of_resp(), 0u);
    EXPECT_LT(task.offset_of_resp(), sizeof task);
    Measured measured(proc);
    EXPECT_EQ(-1, measured.get_state());
    EXPECT_FALSE(measured.closed());
}

// new_connection overridden: contexts, peer filters.
class GreetedConnection : public WFConnection {
public:
    explicit GreetedConnection(Log *log) : log_(log) { log_->add("open "); }
    int number = 42;

protected:
    ~GreetedConnection() override { log_->add("closed "); }

private:
    Log *log_;
};

class ConnectionServer : public line::Server {
public:
    ConnectionServer(std::function<void(line::Task *)> proc, Log *log)
        : line::Server(std::move(proc)), log_(log) {}

protected:
    WFConnection *new_connection(int accept_fd) override {
        EXPECT_GE(accept_fd, 0);
        return new GreetedConnection(log_);
    }

private:
    Log *log_;
};

TEST(ServerTask, OwnConnectionClass) {
    Log log;
    ConnectionServer server(
        [](line::Task *task) {
            GreetedConnection *connection =
                static_cast<GreetedConnection *>(task->get_connection());
            task->get_resp()->text = std::to_string(connection->number++);
        },
        &log);
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    raw::Socket client = raw::Socket::connect(port_of(server));
    ASSERT_TRUE(client.send("a\n"));
    EXPECT_EQ("42\n", client.read_until("\n"));
    ASSERT_TRUE(client.send("b\n"));
    EXPECT_EQ("43\n", client.read_until("\n"));
    client.close();
    server.stop();
    EXPECT_EQ("open closed ", log.text());
}

} // namespace
