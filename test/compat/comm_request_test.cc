// Weft - compat: the kernel's own classes, as a library below the task layer uses them
// SPDX-License-Identifier: Apache-2.0
//
// Communicator.h, CommScheduler.h, CommRequest.h: targets, services, sessions, groups of targets.

#include "workflow/CommRequest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "workflow/CommScheduler.h"
#include "workflow/Communicator.h"
#include "workflow/Workflow.h"

#include "integration/raw_socket.h"
#include "support.h"

using compat::Event;

namespace {

// Four bytes in, four bytes out.
class In : public CommMessageIn {
public:
    std::string bytes;

private:
    int append(const void *buf, size_t *size) override {
        size_t take = std::min(*size, 4 - bytes.size());
        bytes.append(static_cast<const char *>(buf), take);
        *size = take;
        return bytes.size() == 4 ? 1 : 0;
    }
};

class Out : public CommMessageOut {
public:
    std::string bytes;

private:
    int encode(struct iovec v[], int) override {
        v[0].iov_base = const_cast<char *>(bytes.data());
        v[0].iov_len = bytes.size();
        return 1;
    }
};

// Server side: answers with the bytes in reverse order.
class EchoSession : public CommSession {
public:
    EchoSession(CommScheduler *scheduler, Event *ended) : scheduler_(scheduler), ended_(ended) {}

private:
    CommMessageIn *message_in() override { return &in_; }
    CommMessageOut *message_out() override { return &out_; }
    int keep_alive_timeout() override { return 10000; }

    void handle(int state, int error) override {
        if (state == CS_STATE_TOREPLY) {
            out_.bytes.assign(in_.bytes.rbegin(), in_.bytes.rend());
            EXPECT_EQ(0, scheduler_->reply(this));
            return;
        }
        EXPECT_EQ(CS_STATE_SUCCESS, state) << error;
        Event *ended = ended_;
        delete this;
        ended->set();
    }

    CommScheduler *scheduler_;
    Event *ended_;
    In in_;
    Out out_;
};

class EchoService : public CommService {
public:
    explicit EchoService(CommScheduler *scheduler) : scheduler_(scheduler) {}

    int start() {
        struct sockaddr_in addr = {};
        addr.sin_family = AF_INET;
        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (this->init(reinterpret_cast<struct sockaddr *>(&addr), sizeof addr, -1, 10000) < 0)
            return -1;
        if (scheduler_->bind(this) < 0)
            return -1;
        socklen_t len = sizeof addr;
        getsockname(listen_fd_, reinterpret_cast<struct sockaddr *>(&addr), &len);
        port_ = ntohs(addr.sin_port);
        return 0;
    }

    unsigned short port() const { return port_; }

    Event unbound;
    Event replied;
    Event connections;

private:
    CommSession *new_session(long long, CommConnection *) override {
        return new EchoSession(scheduler_, &replied);
    }

    CommConnection *new_connection(int fd) override {
        connections.set();
        EXPECT_GE(fd, 0);
        return new CommConnection;
    }

    // The descriptor belongs to the kernel from here on; it is kept to learn the chosen port.
    int create_listen_fd() override {
        listen_fd_ = socket(AF_INET, SOCK_STREAM, 0);
        return listen_fd_;
    }

    void handle_unbound() override { unbound.set(); }

    CommScheduler *scheduler_;
    int listen_fd_ = -1;
    unsigned short port_ = 0;
};

class Request : public CommRequest {
public:
    Request(CommSchedObject *o, CommScheduler *s, const std::string &bytes,
            std::function<void(Request *)> callback)
        : CommRequest(o, s), callback_(std::move(callback)) {
        out_.bytes = bytes;
    }

    int get_state() const { return this->state; }
    int get_error() const { return this->error; }
    int get_reason() const { return this->timeout_reason; }
    CommTarget *used_target() const { return this->target; }
    long long seq() const { return this->get_seq(); }
    const std::string &answer() const { return in_.bytes; }

private:
    CommMessageOut *message_out() override { return &out_; }
    CommMessageIn *message_in() override { return &in_; }
    int keep_alive_timeout() override { return 10000; }

    SubTask *done() override {
        SeriesWork *series = series_of(this);
        callback_(this);
        delete this;
        return series->pop();
    }

    std::function<void(Request *)> callback_;
    Out out_;
    In in_;
};

class KernelTest : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(0, scheduler_.init(1, 4));
        service_.reset(new EchoService(&scheduler_));
        ASSERT_EQ(0, service_->start());
    }

    // A target has connections of the scheduler, so it goes after the scheduler.
    void TearDown() override {
        if (torn_down_)
            return;
        scheduler_.unbind(service_.get());
        EXPECT_TRUE(service_->unbound.wait());
        service_->deinit();
        scheduler_.deinit();
        for (auto &target : targets_)
            target->deinit();
    }

    CommSchedTarget *make_target(unsigned short port, size_t max = 10,
                                 int response_timeout = 10000) {
        struct sockaddr_in addr = {};
        addr.sin_family = AF_INET;
        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        addr.sin_port = htons(port);
        targets_.emplace_back(new CommSchedTarget);
        EXPECT_EQ(0, targets_.back()->init(reinterpret_cast<struct sockaddr *>(&addr), sizeof addr,
                                           10000, response_timeout, max));
        return targets_.back().get();
    }

    std::vector<std::unique_ptr<CommSchedTarget>> targets_;
    CommScheduler scheduler_;
    std::unique_ptr<EchoService> service_;
    bool torn_down_ = false;
};

TEST_F(KernelTest, RequestAndReply) {
    CommSchedTarget *target = make_target(service_->port());
    EXPECT_EQ(10u, target->get_max_load());
    EXPECT_EQ(0u, target->get_cur_load());
    Event done;
    for (int i = 0; i < 3; i++) {
        Request *request = new Request(target, &scheduler_, "abcd", [&](Request *r) {
            EXPECT_EQ(CS_STATE_SUCCESS, r->get_state());
            EXPECT_EQ(0, r->get_error());
            EXPECT_EQ("dcba", r->answer());
            EXPECT_EQ(target, r->used_target());
            EXPECT_EQ(i, r->seq());
            // release() comes before handle(): the slot is free already.
            EXPECT_EQ(0u, target->get_cur_load());
            done.set();
        });
        EXPECT_EQ(target, request->get_request_object());
        EXPECT_EQ(0, request->get_wait_timeout());
        Workflow::start_series_work(request, nullptr);
        ASSERT_TRUE(done.wait(i + 1));
    }
    EXPECT_EQ(1, service_->connections.count());
    ASSERT_TRUE(service_->replied.wait(3));
}

// Row 67 with section 7 of the design: a full target queues the request; an explicit wait
// timeout keeps the old answers, EAGAIN at once for 0 and ETIMEDOUT after a blocking wait.
TEST_F(KernelTest, Row67FullTarget) {
    raw::Listener silent;
    CommSchedTarget *target = make_target(silent.port(), 1, 1000);
    Event done;
    auto timed_out = [&](Request *r) {
        EXPECT_EQ(ETIMEDOUT, r->get_error());
        EXPECT_EQ(TOR_TRANSMIT_TIMEOUT, r->get_reason());
        EXPECT_EQ(target, r->used_target());
        done.set();
    };
    Workflow::start_series_work(new Request(target, &scheduler_, "abcd", timed_out), nullptr);
    EXPECT_EQ(1u, target->get_cur_load());

    int error = 0;
    Request *hasty = new Request(target, &scheduler_, "abcd", [&](Request *r) {
        EXPECT_EQ(CS_STATE_ERROR, r->get_state());
        EXPECT_TRUE(r->used_target() == NULL);
        error = r->get_error();
    });
    hasty->set_wait_timeout(0);
    Workflow::start_series_work(hasty, nullptr);
    EXPECT_EQ(EAGAIN, error);

    int reason = 0;
    Request *patient = new Request(target, &scheduler_, "abcd", [&](Request *r) {
        error = r->get_error();
        reason = r->get_reason();
    });
    patient->set_wait_timeout(20);
    compat::Clock::time_point begin = compat::Clock::now();
    Workflow::start_series_work(patient, nullptr);
    EXPECT_EQ(ETIMEDOUT, error);
    EXPECT_EQ(TOR_WAIT_TIMEOUT, reason);
    EXPECT_GE(compat::ms_since(begin), 20.0);

    // Queued: it gets the place of the first, and its own time after that.
    Workflow::start_series_work(new Request(target, &scheduler_, "abcd", timed_out), nullptr);
    EXPECT_EQ(0, done.count());
    ASSERT_TRUE(done.wait(2));
    EXPECT_EQ(0u, target->get_cur_load());
    EXPECT_GE(compat::ms_since(begin), 1500.0);
}

// A group picks the member with the smallest load ratio.
TEST_F(KernelTest, Group) {
    raw::Listener silent;
    CommSchedTarget *answering = make_target(service_->port(), 1);
    CommSchedTarget *waiting = make_target(silent.port(), 1, 1000);
    CommSchedGroup group;
    ASSERT_EQ(0, group.init());
    EXPECT_EQ(0, group.add(waiting));
    EXPECT_LT(group.add(waiting), 0);
    EXPECT_EQ(EEXIST, errno);
    EXPECT_EQ(1u, group.get_max_load());

    Event done;
    Request *held = new Request(&group, &scheduler_, "abcd", [&](Request *r) {
        EXPECT_EQ(ETIMEDOUT, r->get_error());
        done.set();
    });
    Workflow::start_series_work(held, nullptr);
    EXPECT_EQ(1u, group.get_cur_load());
    EXPECT_EQ(0, group.add(answering));
    EXPECT_EQ(2u, group.get_max_load());
    EXPECT_LT(group.remove(waiting), 0);
    EXPECT_EQ(EBUSY, errno);

    Request *request = new Request(&group, &scheduler_, "1234", [&](Request *r) {
        EXPECT_EQ("4321", r->answer());
        EXPECT_EQ(answering, r->used_target());
        done.set();
    });
    Workflow::start_series_work(request, nullptr);
    ASSERT_TRUE(done.wait(2));
    EXPECT_EQ(0u, group.get_cur_load());
    EXPECT_EQ(0, group.remove(waiting));
    EXPECT_LT(group.remove(waiting), 0);
    EXPECT_EQ(ENOENT, errno);
    EXPECT_EQ(0, group.remove(answering));
    group.deinit();
}

// drain() closes idle connections and says how many.
TEST_F(KernelTest, Drain) {
    raw::Socket idle[3];
    for (raw::Socket &socket : idle) {
        socket = raw::Socket::connect(service_->port());
        ASSERT_TRUE(socket.send("abcd"));
        ASSERT_EQ("dcba", socket.read_bytes(4));
    }
    ASSERT_TRUE(service_->replied.wait(3));
    EXPECT_EQ(1, service_->drain(1));
    EXPECT_TRUE(idle[0].wait_closed()); // The one that is idle longest.
    EXPECT_EQ(2, service_->drain(-1));
    EXPECT_TRUE(idle[1].wait_closed());
    EXPECT_TRUE(idle[2].wait_closed());
}

// Bad arguments are refused with the errno of the old interface.
TEST(Kernel, BadArguments) {
    CommSchedTarget target;
    struct sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    EXPECT_LT(target.init(reinterpret_cast<struct sockaddr *>(&addr), sizeof addr, 1, 1, 0), 0);
    EXPECT_EQ(EINVAL, errno);
    Communicator communicator;
    EXPECT_LT(communicator.init(0, 1), 0);
    EXPECT_EQ(EINVAL, errno);
}

// A user's executor for all handle() calls: one thread and a queue.
class OwnThread : public CommEventHandler {
public:
    OwnThread() : thread_([this]() { work(); }) {}
    ~OwnThread() override { finish(); }

    std::thread::id id() const { return thread_.get_id(); }

private:
    struct Item {
        void (*routine)(void *);
        void *context;
    };

    void schedule(void (*routine)(void *), void *context) override {
        std::lock_guard<std::mutex> lock(mutex_);
        items_.push_back(Item{routine, context});
        condition_.notify_one();
    }

    // Everything that was scheduled has run when this returns.
    void wait() override { finish(); }

    void finish() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            over_ = true;
            condition_.notify_one();
        }
        if (thread_.joinable())
            thread_.join();
    }

    void work() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            condition_.wait(lock, [this]() { return over_ || !items_.empty(); });
            if (items_.empty())
                return;
            Item item = items_.front();
            items_.pop_front();
            lock.unlock();
            item.routine(item.context);
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable condition_;
    std::deque<Item> items_;
    bool over_ = false;
    std::thread thread_;
};

TEST_F(KernelTest, CustomizedEventHandler) {
    std::unique_ptr<OwnThread> own(new OwnThread);
    std::thread::id id = own->id();
    scheduler_.customize_event_handler(own.get());
    CommSchedTarget *target = make_target(service_->port());
    Event done;
    for (int i = 0; i < 5; i++) {
        Request *request = new Request(target, &scheduler_, "abcd", [&](Request *r) {
            EXPECT_EQ("dcba", r->answer());
            EXPECT_EQ(id, std::this_thread::get_id());
            done.set();
        });
        Workflow::start_series_work(request, nullptr);
    }
    ASSERT_TRUE(done.wait(5));
    // The handler must outlive the scheduler, so the usual end is brought forward.
    TearDown();
    torn_down_ = true;
}

// The number of handlers can be moved while the scheduler runs.
TEST(Kernel, HandlerThreads) {
    CommScheduler scheduler;
    ASSERT_EQ(0, scheduler.init(1, 1));
    EXPECT_FALSE(scheduler.is_handler_thread());
    EXPECT_EQ(0, scheduler.increase_handler_thread());
    EXPECT_EQ(0, scheduler.decrease_handler_thread());
    scheduler.deinit();
}

} // namespace
