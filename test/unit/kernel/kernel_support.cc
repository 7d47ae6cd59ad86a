// Weft - what the kernel's tests share
// SPDX-License-Identifier: Apache-2.0
#include "kernel_support.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

namespace kt {

namespace {

struct sockaddr_in loopback(int port) {
    struct sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    addr.sin_port = htons(static_cast<uint16_t>(port));
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

} // namespace

std::string Message::frame(const std::string &body) {
    uint32_t n = htonl(static_cast<uint32_t>(body.size()));
    return std::string(reinterpret_cast<char *>(&n), 4) + body;
}

int Message::encode(struct iovec vectors[], int) {
    if (encode_error) {
        errno = encode_error;
        return -1;
    }
    uint32_t n = htonl(static_cast<uint32_t>(body.size()));
    memcpy(head_, &n, sizeof n);
    vectors[0] = {head_, 4};
    vectors[1] = {const_cast<char *>(body.data()), body.size()};
    return body.empty() ? 1 : 2;
}

int Message::append(const void *buf, size_t *size) {
    const char *bytes = static_cast<const char *>(buf);
    size_t taken = 0;
    pieces++;
    if (on_append)
        on_append(*this);
    if (renews)
        this->renew();
    if (have_ == 0)
        this->head_begins();
    while (have_ < 4 && taken < *size)
        head_[have_++] = static_cast<unsigned char>(bytes[taken++]);
    if (have_ < 4)
        return 0;
    if (body.empty() && want_ == 0) {
        uint32_t n;
        memcpy(&n, head_, sizeof n);
        want_ = ntohl(n);
        this->head_complete();
        if (want_ >= 0xf0000000u || want_ > limit) {
            errno = want_ > limit && want_ < 0xf0000000u ? EMSGSIZE : EBADMSG;
            return -1;
        }
    }
    size_t n = std::min(*size - taken, want_ - body.size());
    body.append(bytes + taken, n);
    *size = taken + n;
    return body.size() == want_ ? 1 : 0;
}

Served::Served(Service *service_in) : service(service_in) { service->sessions++; }

Served::~Served() { service->sessions--; }

void Served::handle(int state, int error) {
    if (state == CS_STATE_TOREPLY) {
        service->process(this);
        return;
    }
    if (on_end)
        on_end(state, error);
    if (owned)
        delete this;
}

bool Served::answer(const std::string &body) {
    response.body = body;
    if (service->sched()->reply(this) == 0)
        return true;
    if (owned)
        delete this;
    return false;
}

int Served::push(const std::string &bytes) {
    return service->sched()->push(bytes.data(), bytes.size(), this);
}

void Served::drop() {
    service->sched()->shutdown(this);
    delete this;
}

int Service::bind(CommScheduler *sched, int response_ms) {
    struct sockaddr_in addr = loopback(0);
    sched_ = sched;
    if (this->init(reinterpret_cast<struct sockaddr *>(&addr), sizeof addr, -1, response_ms) < 0)
        return -1;
    return sched->bind(this);
}

const struct sockaddr_in *Service::address() const {
    const struct sockaddr *addr;
    socklen_t len;
    this->get_addr(&addr, &len);
    return reinterpret_cast<const struct sockaddr_in *>(addr);
}

int Service::port() const { return ntohs(address()->sin_port); }

CommSession *Service::new_session(long long, CommConnection *) {
    Served *session = new Served(this);
    if (prepare)
        prepare(session);
    return session;
}

CommConnection *Service::new_connection(int fd) {
    return on_connection ? on_connection(fd) : new CommConnection;
}

Request::Request(CommScheduler *sched, CommSchedObject *object_in, std::string body,
                 Callback callback_in)
    : CommRequest(object_in, sched), callback(std::move(callback_in)) {
    request.body = std::move(body);
}

void Request::restart() { again_ = true; }

SubTask *Request::done() {
    if (callback)
        callback(this);
    if (again_) {
        again_ = false;
        response = Message();
        return this;
    }
    delete this;
    return nullptr;
}

Timer::Timer(CommScheduler *sched, long long ns, Callback callback_in)
    : SleepRequest(sched), callback(std::move(callback_in)) {
    value.tv_sec = static_cast<time_t>(ns < 0 ? -1 : ns / 1000000000);
    value.tv_nsec = static_cast<long>(ns < 0 ? 0 : ns % 1000000000);
}

SubTask *Timer::done() {
    if (callback)
        callback(this);
    delete this;
    return nullptr;
}

Engine::Engine(enum CommHandlerMode mode, size_t pollers, size_t handlers, bool watch) {
    if (sched.init(pollers, handlers) < 0)
        abort();
    sched.set_handler_mode(mode);
    pool()->watch_disabled = !watch;
    if (service.bind(&sched) < 0 || target.start(service.address()) < 0)
        abort();
    running_ = true;
}

Engine::~Engine() { stop(); }

void Engine::stop() {
    if (!running_)
        return;
    running_ = false;
    service.unbind();
    sched.deinit();
    target.deinit();
    EXPECT_TRUE(service.unbound.wait());
    EXPECT_EQ(service.sessions, 0);
    EXPECT_EQ(service.unbounds, 1);
    service.deinit();
}

mpoller_stats Engine::stats() {
    sys_lock(&pool()->lock);
    const mpoller_stats &now = pool()->stats;
    mpoller_stats copy = {}; // without `looks`, which is counted under no lock
    copy.relays = now.relays;
    copy.given = now.given;
    copy.queued = now.queued;
    sys_unlock(&pool()->lock);
    return copy;
}

void Engine::send(const std::string &body, Request::Callback callback, CommSchedObject *object) {
    (new Request(&sched, object ? object : &target, body, std::move(callback)))->dispatch();
}

std::string Engine::ask(const std::string &body, CommSchedObject *object) {
    Latch done;
    std::string answer;
    send(
        body,
        [&](Request *r) {
            answer = r->get_state() == CS_STATE_SUCCESS ? r->response.body
                                                        : "error " + std::to_string(r->get_error());
            done.down();
        },
        object);
    return done.known_wait() ? answer : "<no answer>";
}

void Engine::after(long long ns, Timer::Callback callback) {
    (new Timer(&sched, ns, std::move(callback)))->dispatch();
}

HeldPollers::HeldPollers(mpoller *pool)
    : orders_(pool->count), held_(static_cast<int>(pool->count)),
      through_(static_cast<int>(pool->count)) {
    for (unsigned i = 0; i < pool->count; i++) {
        orders_[i].owner = this;
        orders_[i].run = hold;
        poller_do(&pool->pollers[i], &orders_[i]);
    }
    EXPECT_TRUE(held_.wait());
}

void HeldPollers::hold(struct weft_msg *msg, struct weft_poller *) {
    HeldPollers *self = static_cast<Order *>(msg)->owner;
    self->held_.down();
    EXPECT_TRUE(self->go_.wait());
    self->through_.down();
}

void HeldPollers::release() {
    if (released_)
        return;
    released_ = true;
    go_.down();
    EXPECT_TRUE(through_.wait());
}

Peer &Peer::operator=(Peer &&other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

bool Peer::connect(int port, int receive_buffer) {
    struct sockaddr_in addr = loopback(port);
    close();
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0)
        setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return ::connect(fd_, reinterpret_cast<struct sockaddr *>(&addr), sizeof addr) == 0;
}

void Peer::connect_later(const struct sockaddr_in *to) {
    close();
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int ret = ::connect(fd_, reinterpret_cast<const struct sockaddr *>(to), sizeof *to);
    EXPECT_TRUE(ret == 0 || errno == EINPROGRESS);
}

bool Peer::send(const std::string &bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
        ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) {
            error = errno;
            return false;
        }
        sent += static_cast<size_t>(n);
    }
    return true;
}

std::string Peer::receive(size_t size) {
    std::string bytes;
    char buf[16384];
    while (bytes.size() < size) {
        struct pollfd p = {fd_, POLLIN, 0};
        int patience = static_cast<int>(std::chrono::milliseconds(PATIENCE).count());
        if (poll(&p, 1, patience) <= 0) {
            ADD_FAILURE() << "the peer waited in vain";
            break;
        }
        ssize_t n = recv(fd_, buf, std::min(sizeof buf, size - bytes.size()), 0);
        error = n < 0 ? errno : 0;
        if (n <= 0)
            break;
        bytes.append(buf, static_cast<size_t>(n));
    }
    return bytes;
}

std::string Peer::frame() {
    std::string head = receive(4);
    if (head.size() < 4)
        return "<end>";
    uint32_t n;
    memcpy(&n, head.data(), sizeof n);
    n = ntohl(n);
    std::string body = receive(n);
    return body.size() == n ? body : "<end>";
}

std::string Peer::until_end() { return receive(SIZE_MAX); }

void Peer::finish() { shutdown(fd_, SHUT_WR); }

void Peer::reset() {
    struct linger l = {1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close();
}

void Peer::close() {
    if (fd_ >= 0)
        ::close(fd_);
    fd_ = -1;
}

Listener::Listener(int backlog)
    : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), addr_(loopback(0)) {
    socklen_t len = sizeof addr_;
    if (::bind(fd_, reinterpret_cast<struct sockaddr *>(&addr_), len) < 0 ||
        listen(fd_, backlog) < 0 ||
        getsockname(fd_, reinterpret_cast<struct sockaddr *>(&addr_), &len) < 0)
        abort();
}

Listener::~Listener() { ::close(fd_); }

Peer Listener::accept(std::chrono::milliseconds patience) {
    struct pollfd p = {fd_, POLLIN, 0};
    if (poll(&p, 1, static_cast<int>(patience.count())) <= 0)
        return Peer();
    int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return Peer(fd);
}

} // namespace kt
