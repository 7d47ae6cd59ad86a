// Weft - unit tests of client and server tasks over a service of the test's own; behaviour rows 74, 80 to 84, 86, 87, 9
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>

#include <gtest/gtest.h>

#include <memory>

#include "integration/raw_socket.h"
#include "task/named.h"
#include "unit/task/task_support.h"

using namespace tasktest;

namespace {

// A message of four bytes.
class Word : public CommMessageIn, public CommMessageOut {
public:
    std::string text;

private:
    int append(const void *buf, size_t *size) override {
        size_t take = std::min(*size, 4 - text.size());
        text.append(static_cast<const char *>(buf), take);
        *size = take;
        return text.size() == 4 ? 1 : 0;
    }

    int encode(struct iovec v[], int) override {
        v[0].iov_base = text.data();
        v[0].iov_len = text.size();
        return 1;
    }
};

using Task = WFNetworkTask<Word, Word>;
using Process = std::function<void(Task *)>;

class ServerTask : public WFServerTask<Word, Word> {
public:
    ServerTask(CommService *service, CommScheduler *scheduler_in, Process &process)
        : WFServerTask<Word, Word>(service, scheduler_in, process) {}
    ~ServerTask() override {}
};

class Connection : public WFConnection {
public:
    ~Connection() override {}
};

class Service : public CommService {
public:
    explicit Service(Process process) : process_(std::move(process)) {
        struct sockaddr_in addr = {};
        addr.sin_family = AF_INET;
        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(0,
                  this->init(reinterpret_cast<struct sockaddr *>(&addr), sizeof addr, -1, 10000));
        EXPECT_EQ(0, scheduler()->bind(this));
        socklen_t len = sizeof addr;
        getsockname(fd_, reinterpret_cast<struct sockaddr *>(&addr), &len);
        port = ntohs(addr.sin_port);
    }

    // Returns when the last connection and series are gone.
    void stop() {
        scheduler()->unbind(this);
        EXPECT_TRUE(unbound.wait());
        this->deinit();
    }

    unsigned short port = 0;
    Event unbound;

private:
    CommSession *new_session(long long, CommConnection *) override {
        ServerTask *task = new ServerTask(this, scheduler(), process_);
        task->set_keep_alive(10000);
        return task;
    }

    CommConnection *new_connection(int) override { return new Connection; }

    int create_listen_fd() override {
        fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return fd_;
    }

    void handle_unbound() override { unbound.set(); }

    Process process_;
    int fd_ = -1;
};

class Target : public CommSchedTarget {
public:
    explicit Target(unsigned short port) {
        struct sockaddr_in addr = {};
        addr.sin_family = AF_INET;
        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        addr.sin_port = htons(port);
        EXPECT_EQ(0, this->init(reinterpret_cast<struct sockaddr *>(&addr), sizeof addr, 10000,
                                10000, 10));
    }
    ~Target() override { this->deinit(); }

private:
    CommConnection *new_connection(int) override { return new Connection; }
};

class ClientTask : public WFClientTask<Word, Word> {
public:
    ClientTask(CommSchedObject *object_in, Process cb)
        : WFClientTask<Word, Word>(object_in, tasktest::scheduler(), std::move(cb)) {}

    // As the kernel ends it.
    void end(int state_in, int error_in) { this->handle(state_in, error_in); }
};

// A request and its answer; what a program can ask of the tasks meanwhile. Rows 74, 80, 81, 82.
TEST(Network, Row80RequestAndReply) {
    Event replied, answered;
    Log log;
    Service service([&](Task *task) {
        EXPECT_EQ(WFT_STATE_TOREPLY, task->get_state());
        EXPECT_TRUE(scheduler()->is_handler_thread());
        EXPECT_NE(nullptr, task->get_connection()); // row 81
        EXPECT_FALSE(task->closed());
        EXPECT_EQ("ping", task->get_req()->text);
        EXPECT_EQ(task, series_of(task)->get_last_task());
        log.add("process ");
        task->set_prepare([&](Task *t) {
            log.add("prepare ");
            t->get_resp()->text = "pong";
        });
        series_of(task)->push_back(
            wf::detail::make_timer(scheduler(), 0, 0, [&, task](WFTimerTask *) {
                errno = 0;
                EXPECT_EQ(nullptr, task->get_connection()); // row 81
                EXPECT_EQ(EPERM, errno);
                log.add("timer ");
            }));
        series_of(task)->set_callback([&](const SeriesWork *) { log.add("series"); });
        task->set_callback([&](Task *t) {
            EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state()); // row 82
            EXPECT_TRUE(t->closed());
            EXPECT_NE(nullptr, t->get_connection()); // row 81
            EXPECT_EQ(0, t->get_task_seq());
            log.add("callback ");
            replied.set();
        });
    });
    Target target(service.port);
    ClientTask *client = new ClientTask(&target, [&](Task *task) {
        EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
        EXPECT_EQ(TOR_NOT_TIMEOUT, task->get_timeout_reason());
        EXPECT_EQ("pong", task->get_resp()->text);
        struct sockaddr_in addr;
        socklen_t len = sizeof addr;
        EXPECT_EQ(0, task->get_peer_addr(reinterpret_cast<struct sockaddr *>(&addr), &len));
        EXPECT_EQ(service.port, ntohs(addr.sin_port));
        EXPECT_NE(nullptr, task->get_connection()); // row 74
        EXPECT_EQ(0, task->get_task_seq());
        len = 1;
        EXPECT_EQ(-1, task->get_peer_addr(reinterpret_cast<struct sockaddr *>(&addr), &len));
        EXPECT_EQ(ENOBUFS, errno);
        EXPECT_EQ(-1, task->push("x", 1));
        EXPECT_EQ(ENOENT, errno);
        answered.set();
    });
    client->get_req()->text = "ping";
    client->start();
    ASSERT_TRUE(answered.wait());
    ASSERT_TRUE(replied.wait());
    service.stop();
    EXPECT_EQ("process timer prepare callback series", log.text());
}

// A connection is used again, and says how often it was.
TEST(Network, TaskSeqCountsOnAConnection) {
    Service service([](Task *task) { task->get_resp()->text = "pong"; });
    Target target(service.port);
    for (int i = 0; i < 3; i++) {
        Event answered;
        ClientTask *client = new ClientTask(&target, [&](Task *task) {
            EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
            EXPECT_EQ(i, task->get_task_seq());
            answered.set();
        });
        client->get_req()->text = "ping";
        client->set_keep_alive(10000);
        client->start();
        ASSERT_TRUE(answered.wait());
    }
    service.stop();
}

// Before anything was reached.
TEST(Network, BeforeTheStart) {
    ClientTask *task = new ClientTask(nullptr, nullptr);
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    EXPECT_EQ(-1, task->get_state());
    EXPECT_FALSE(task->closed());
    EXPECT_EQ(-1, task->get_task_seq());
    EXPECT_EQ(ENOTCONN, errno);
    errno = 0;
    EXPECT_EQ(-1, task->get_peer_addr(reinterpret_cast<struct sockaddr *>(&addr), &len));
    EXPECT_EQ(ENOTCONN, errno);
    errno = 0;
    EXPECT_EQ(nullptr, static_cast<Task *>(task)->get_connection());
    EXPECT_EQ(ENOTCONN, errno);
    task->dismiss();
}

// A negative error of the kernel is one of TLS.
TEST(Network, TlsErrorHasItsOwnState) {
    int state = -1, error = -1;
    ClientTask *task = new ClientTask(nullptr, [&](Task *t) {
        state = t->get_state();
        error = t->get_error();
    });
    Workflow::create_series_work(task, nullptr);
    task->end(CS_STATE_ERROR, -SSL_ERROR_SSL);
    EXPECT_EQ(WFT_STATE_SSL_ERROR, state);
    EXPECT_EQ(SSL_ERROR_SSL, error);
}

TEST(Network, ConnectionRefused) {
    Event ended;
    Target target(raw::refusing_port());
    ClientTask *client = new ClientTask(&target, [&](Task *task) {
        EXPECT_EQ(WFT_STATE_SYS_ERROR, task->get_state());
        EXPECT_EQ(ECONNREFUSED, task->get_error());
        ended.set();
    });
    client->start();
    ASSERT_TRUE(ended.wait());
}

// Row 83: the peer is gone before the reply; the series goes on, closed() says so, the callback has
// the error.
TEST(Network, Row83PeerGone) {
    Event in_process, replied;
    Gate *gate = nullptr;
    Task *server_task = nullptr;
    Event dispatched;
    Service service([&](Task *task) {
        task->get_resp()->text = "pong";
        server_task = task;
        gate = new Gate(&dispatched);
        series_of(task)->push_back(gate);
        task->set_callback([&](Task *t) {
            EXPECT_EQ(WFT_STATE_SYS_ERROR, t->get_state());
            EXPECT_NE(0, t->get_error());
            EXPECT_TRUE(t->closed());
            replied.set();
        });
        in_process.set();
    });
    raw::Socket peer = raw::Socket::connect(service.port);
    ASSERT_TRUE(peer.send("ping"));
    ASSERT_TRUE(dispatched.wait());
    EXPECT_FALSE(server_task->closed());
    peer.reset();
    while (!server_task->closed())
        std::this_thread::yield();
    EXPECT_EQ(0, replied.count());
    gate->open();
    ASSERT_TRUE(replied.wait());
    service.stop();
}

// Row 84: noreply closes the connection after the series; push works until then. Row 86: the
// deleter comes last.
TEST(Network, Row84NoReplyAndPush) {
    Log log;
    Service service([&](Task *task) {
        task->get_connection()->set_context(
            &log, [](void *context) { static_cast<Log *>(context)->add("deleter"); });
        task->noreply();
        EXPECT_EQ(WFT_STATE_NOREPLY, task->get_state());
        EXPECT_FALSE(task->closed());
        EXPECT_EQ(4, task->push("push", 4));
        series_of(task)->push_back(wf::detail::make_timer(
            scheduler(), 0, 0, [task](WFTimerTask *) { EXPECT_EQ(5, task->push(" more", 5)); }));
        task->set_callback([&](Task *t) {
            EXPECT_EQ(4, t->get_state());
            EXPECT_EQ(0, t->get_error());
            EXPECT_EQ(-1, t->push("late", 4));
            EXPECT_EQ(ENOENT, errno);
            EXPECT_NE(nullptr, t->get_connection());
            log.add("callback ");
        });
    });
    raw::Socket peer = raw::Socket::connect(service.port);
    ASSERT_TRUE(peer.send("ping"));
    EXPECT_EQ("push more", peer.read_all());
    service.stop();
    EXPECT_EQ("callback deleter", log.text());
}

// noreply() only has a meaning while there is a reply to come.
TEST(Network, NoReplyAfterTheReply) {
    Event replied;
    Service service([&](Task *task) {
        task->get_resp()->text = "pong";
        task->set_callback([&](Task *t) {
            t->noreply();
            EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
            replied.set();
        });
    });
    raw::Socket peer = raw::Socket::connect(service.port);
    ASSERT_TRUE(peer.send("ping"));
    EXPECT_EQ("pong", peer.read_bytes(4));
    ASSERT_TRUE(replied.wait());
    service.stop();
}

// One that is canceled is not answered: what waits is deleted, the series callback is run, the
// connection closed. The task is alive in that callback and deleted once.
TEST(Network, Row6CanceledServerSeries) {
    Log log;
    Service service([&](Task *task) {
        series_of(task)->push_back(new Say(&log, "queued "));
        task->set_callback([&](Task *) { log.add("never "); });
        series_of(task)->set_callback([&, task](const SeriesWork *series) {
            EXPECT_TRUE(series->is_canceled());
            EXPECT_EQ("ping", task->get_req()->text);
            log.add("series");
        });
        series_of(task)->cancel();
    });
    raw::Socket peer = raw::Socket::connect(service.port);
    ASSERT_TRUE(peer.send("ping"));
    EXPECT_TRUE(peer.wait_closed());
    service.stop();
    EXPECT_EQ("~queued series", log.text());
}

// A request that never becomes whole ends unseen.
TEST(Network, IncompleteRequest) {
    int calls = 0;
    Service service([&](Task *) { calls++; });
    raw::Socket peer = raw::Socket::connect(service.port);
    ASSERT_TRUE(peer.send("pi"));
    peer.half_close();
    EXPECT_TRUE(peer.wait_closed());
    service.stop();
    EXPECT_EQ(0, calls);
}

// Row 87: a service is unbound only when the last series is gone, the callbacks it holds included.
TEST(Network, Row87UnboundAfterTheLastSeries) {
    Log log;
    Event dispatched;
    Gate *gate = nullptr;
    std::unique_ptr<Service> service(new Service([&](Task *task) {
        auto held = std::make_shared<Obituary>(&log, "freed ");
        task->get_resp()->text = "pong";
        gate = new Gate(&dispatched);
        series_of(task)->push_back(gate);
        series_of(task)->set_callback([held](const SeriesWork *) {});
    }));
    raw::Socket peer = raw::Socket::connect(service->port);
    ASSERT_TRUE(peer.send("ping"));
    ASSERT_TRUE(dispatched.wait());
    scheduler()->unbind(service.get());
    EXPECT_EQ(0, service->unbound.count());
    gate->open();
    EXPECT_EQ("pong", peer.read_bytes(4));
    ASSERT_TRUE(service->unbound.wait());
    log.add("unbound");
    service->deinit();
    service.reset();
    EXPECT_EQ("freed unbound", log.text());
}

// Behaviours 9: with neither service nor scheduler, on the stack.
TEST(Network, Section9ServerTaskOnTheStack) {
    Process process = nullptr;
    ServerTask task(nullptr, nullptr, process);
    EXPECT_EQ(-1, task.get_state());
    EXPECT_FALSE(task.closed());
    EXPECT_EQ(nullptr, series_of(&task));
    EXPECT_EQ(-1, task.push("x", 1));
}

// Behaviours 9.6: a series of the program's own, made and started in handle(), and reached from any
// task of the request.
class OwnSeriesTask : public ServerTask {
public:
    OwnSeriesTask(CommService *service, CommScheduler *scheduler_in, Process &process, Log *log)
        : ServerTask(service, scheduler_in, process), log_(log) {}

    class OwnSeries : public Series {
    public:
        explicit OwnSeries(OwnSeriesTask *t) : Series(t), own(t) {}
        ~OwnSeries() override { own->log_->add("~series "); }
        void *get_specific(const char *) override { return this; }
        OwnSeriesTask *own;
    };

    static ServerTask *of(SubTask *any) {
        return static_cast<ServerTask *>(static_cast<Series *>(series_of(any))->task);
    }

    ~OwnSeriesTask() override { log_->add("~task"); }

protected:
    void handle(int state_in, int error_in) override {
        if (state_in != WFT_STATE_TOREPLY) {
            this->ServerTask::handle(state_in, error_in);
            return;
        }
        this->state = WFT_STATE_TOREPLY;
        this->target = this->get_target();
        (new OwnSeries(this))->start();
    }

private:
    Log *log_;
};

class OwnSeriesService : public Service {
public:
    OwnSeriesService(Process process, Log *log)
        : Service(nullptr), own_process_(std::move(process)), log_(log) {}

private:
    CommSession *new_session(long long, CommConnection *) override {
        return new OwnSeriesTask(this, scheduler(), own_process_, log_);
    }

    Process own_process_;
    Log *log_;
};

TEST(Network, Section9OwnSeries) {
    Log log;
    OwnSeriesService service(
        [&](Task *task) {
            EXPECT_EQ(static_cast<SeriesWork *>(series_of(task)->get_specific("")),
                      series_of(task));
            series_of(task)->push_back(
                new Call([](SubTask *any) { OwnSeriesTask::of(any)->get_resp()->text = "pong"; }));
        },
        &log);
    raw::Socket peer = raw::Socket::connect(service.port);
    ASSERT_TRUE(peer.send("ping"));
    EXPECT_EQ("pong", peer.read_bytes(4));
    EXPECT_TRUE(peer.wait_closed());
    service.stop();
    EXPECT_EQ("~series ~task", log.text());
}

} // namespace
