// Weft - what the kernel's tests share: latches, a small framed protocol, a client, a server, and the engine under test
// SPDX-License-Identifier: Apache-2.0
//
// Frames are four bytes of length, big endian, and the body. Nobody sleeps to wait for things: a
// Latch is waited for, with a patience that only a failing test uses up.
#ifndef WEFT_TEST_UNIT_KERNEL_KERNEL_SUPPORT_H
#define WEFT_TEST_UNIT_KERNEL_KERNEL_SUPPORT_H

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kernel/defer.h"
#include "kernel/worker.h"
#include "workflow/CommRequest.h"
#include "workflow/CommScheduler.h"
#include "workflow/SleepRequest.h"

namespace kt {

constexpr auto PATIENCE = std::chrono::seconds(10);

// Opens when it was counted down as often as it was made for.
class Latch {
public:
    explicit Latch(int n = 1) : left_(n) {}
    void down(int n = 1) {
        std::lock_guard<std::mutex> guard(mutex_);
        left_ -= n;
        if (left_ <= 0)
            cond_.notify_all();
    }
    bool is_open() const {
        std::lock_guard<std::mutex> guard(mutex_);
        return left_ <= 0;
    }
    int left() const {
        std::lock_guard<std::mutex> guard(mutex_);
        return left_;
    }
    // A wait that the kernel knows nothing of. False when out of patience.
    [[nodiscard]] bool wait(std::chrono::milliseconds patience = PATIENCE) const {
        std::unique_lock<std::mutex> guard(mutex_);
        return cond_.wait_for(guard, patience, [this] { return left_ <= 0; });
    }
    // One that it is told of.
    [[nodiscard]] bool known_wait() const {
        int cookie = kernel_wait_begin();
        bool ok = wait();
        kernel_wait_end(cookie);
        return ok;
    }

private:
    mutable std::mutex mutex_;
    mutable std::condition_variable cond_;
    int left_;
};

class Message : public CommMessageOut, public CommMessageIn {
public:
    std::string body;
    size_t limit = 64u << 20;                 // longer: EMSGSIZE
    int encode_error = 0;                     // encode fails with it
    std::function<void(Message &)> on_append; // before the bytes are taken
    std::function<void(int)> on_abandon;
    bool ends_at_fin = false;
    bool renews = false; // at each piece
    int pieces = 0;
    static std::string frame(const std::string &body);
    int say(const std::string &bytes) { return this->feedback(bytes.data(), bytes.size()); }

private:
    int encode(struct iovec vectors[], int max) override;
    int append(const void *buf, size_t *size) override;
    int finish() override { return ends_at_fin ? 1 : 0; }
    void abandon(int error) override {
        if (on_abandon)
            on_abandon(error);
    }
    unsigned char head_[4] = {};
    size_t have_ = 0;
    size_t want_ = 0;
};

class Service;

// A session of the server. Its owner ends it by answer() or drop().
class Served : public CommSession {
public:
    explicit Served(Service *service);
    ~Served() override;
    // Answers, and frees itself when that is through. False when it could not; then it is freed at
    // once.
    bool answer(const std::string &body);
    int push(const std::string &bytes);
    void drop(); // unanswered, by shutdown
    long long seq() const { return this->get_seq(); }
    bool is_closed() const { return !this->get_target()->has_idle_conn(); }
    CommConnection *connection() const { return this->get_connection(); }

    Message request, response;
    Service *const service;
    int send_ms = -1, keep_ms = 60000, receive_ms = -1;
    bool owned = true; // frees itself
    std::function<void(int state, int error)> on_end;

private:
    CommMessageOut *message_out() override { return &response; }
    CommMessageIn *message_in() override { return &request; }
    int send_timeout() override { return send_ms; }
    int receive_timeout() override { return receive_ms; }
    int keep_alive_timeout() override { return keep_ms; }
    void handle(int state, int error) override;
};

class Service : public CommService {
public:
    // Called when a request is complete; by default it is echoed.
    std::function<void(Served *)> process = [](Served *s) { s->answer(s->request.body); };
    std::function<void(Served *)> prepare; // at the first byte
    std::function<CommConnection *(int fd)> on_connection;
    std::function<void()> on_unbound;
    Latch unbound;
    Latch stopped;
    std::atomic<int> unbounds{0};
    std::atomic<int> sessions{0}; // made and not freed

    // On a free port of this host.
    int bind(CommScheduler *sched, int response_ms = -1);
    void unbind() { sched_->unbind(this); }
    bool unbind_and_wait() {
        unbind();
        return unbound.known_wait();
    }
    int port() const;
    const struct sockaddr_in *address() const;
    CommScheduler *sched() const { return sched_; }

private:
    CommSession *new_session(long long seq, CommConnection *conn) override;
    CommConnection *new_connection(int fd) override;
    void handle_stop(int) override { stopped.down(); }
    void handle_unbound() override {
        unbounds++;
        if (on_unbound)
            on_unbound();
        unbound.down(); // the service may be gone from here on
    }
    CommScheduler *sched_ = nullptr;
};

class Target : public CommSchedTarget {
public:
    int start(const struct sockaddr_in *to, size_t max = 1000, int connecting = -1,
              int responding = -1) {
        return this->init(reinterpret_cast<const struct sockaddr *>(to), sizeof *to, connecting,
                          responding, max);
    }
    std::function<CommConnection *()> on_connection;

private:
    CommConnection *new_connection(int) override {
        return on_connection ? on_connection() : new CommConnection;
    }
};

// A request of a client; frees itself after the callback.
class Request : public CommRequest {
public:
    using Callback = std::function<void(Request *)>;
    Request(CommScheduler *sched, CommSchedObject *object, std::string body, Callback callback);
    Message request, response;
    Callback callback;
    int send_ms = -1, receive_ms = -1, keep_ms = 60000, first_ms = 0;
    int get_state() const { return this->state; }
    int get_error() const { return this->error; }
    int get_reason() const { return this->timeout_reason; }
    long long seq() const { return this->get_seq(); }
    CommTarget *used_target() const { return this->target; }
    CommConnection *connection() const { return this->get_connection(); }
    using CommSession::get_cancel_handle;
    using CommSession::set_deadline;
    void restart(); // from the callback: the same object once more

private:
    SubTask *done() override;
    CommMessageOut *message_out() override { return &request; }
    CommMessageIn *message_in() override { return &response; }
    int send_timeout() override { return send_ms; }
    int receive_timeout() override { return receive_ms; }
    int keep_alive_timeout() override { return keep_ms; }
    int first_timeout() override { return first_ms; }
    bool again_ = false;
};

class Timer : public SleepRequest {
public:
    using Callback = std::function<void(Timer *)>;
    Timer(CommScheduler *sched, long long ns, Callback callback);
    Callback callback;
    int get_state() const { return this->state; }
    int get_error() const { return this->error; }
    int cancel_now() { return this->cancel(); }
    struct timespec value;

private:
    int duration(struct timespec *out) override {
        *out = value;
        return 0;
    }
    SubTask *done() override;
};

// A scheduler, a service on it that echoes, and a target for that service.
class Engine {
public:
    // `mode` of the pool; the watch may be left out.
    Engine(enum CommHandlerMode mode, size_t pollers, size_t handlers = 20, bool watch = true);
    ~Engine();
    void stop(); // unbinds, waits, ends; also done by the destructor
    mpoller *pool() { return sched.get_communicator()->get_pool(); }
    mpoller_stats stats();

    // Starts a request on `object` (default: the target).
    void send(const std::string &body, Request::Callback callback,
              CommSchedObject *object = nullptr);
    // Sends and waits; the body of the answer, or "error <n>".
    std::string ask(const std::string &body, CommSchedObject *object = nullptr);
    void after(long long ns, Timer::Callback callback);

    CommScheduler sched;
    Service service;
    Target target;

private:
    bool running_ = false;
};

// Holds the leases of all pollers, so that whatever happens meanwhile stands in one batch when they
// go on.
class HeldPollers {
public:
    explicit HeldPollers(mpoller *pool);
    ~HeldPollers() { release(); }
    void release();

private:
    struct Order : weft_msg {
        HeldPollers *owner;
    };
    static void hold(struct weft_msg *msg, struct weft_poller *poller);
    std::vector<Order> orders_;
    Latch held_, go_, through_;
    bool released_ = false;
};

// The other side as a plain blocking socket.
class Peer {
public:
    Peer() = default;
    explicit Peer(int fd) : fd_(fd) {}
    Peer(Peer &&other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    Peer &operator=(Peer &&other) noexcept;
    ~Peer() { close(); }
    bool connect(int port, int receive_buffer = 0);
    void connect_later(const struct sockaddr_in *to); // begins, and waits for nothing
    bool send(const std::string &bytes);
    bool send_frame(const std::string &body) { return send(Message::frame(body)); }
    // What comes, until `size` bytes are there, or the end. Empty at the end or a reset (see
    // `error`).
    std::string receive(size_t size);
    // One frame's body; "<end>" when the connection has ended before it.
    std::string frame();
    std::string until_end();
    bool at_end() { return receive(1).empty(); }
    void finish(); // FIN
    void reset();  // RST
    void close();
    int fd() const { return fd_; }
    bool is_open() const { return fd_ >= 0; }
    int error = 0;

private:
    int fd_ = -1;
};

// A listening plain socket, for tests in which the server is a script.
class Listener {
public:
    explicit Listener(int backlog = 16);
    ~Listener();
    // Without a connection in time: a Peer without a descriptor.
    Peer accept(std::chrono::milliseconds patience = PATIENCE);
    const struct sockaddr_in *address() const { return &addr_; }

private:
    int fd_;
    struct sockaddr_in addr_;
};

inline std::string mode_name(int mode) {
    return mode == CHM_INLINE ? "inline" : mode == CHM_QUEUED ? "queued" : "auto";
}

} // namespace kt

#endif
