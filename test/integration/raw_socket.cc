// Weft - raw TCP sockets for tests: the system calls behind raw_socket.h
// SPDX-License-Identifier: Apache-2.0
//
// Owner and threads: see raw_socket.h.

#include "integration/raw_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace raw {

namespace {

sockaddr_in loopback(unsigned short port) {
    sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    addr.sin_port = htons(port);
    return addr;
}

const sockaddr *generic(const sockaddr_in &addr) {
    return reinterpret_cast<const sockaddr *>(&addr);
}

// poll() skips a descriptor of -1.
bool wait_for(int fd, short events, int timeout_ms, int stop_fd = -1) {
    pollfd items[2] = {{fd, events, 0}, {stop_fd, POLLIN, 0}};
    int n;
    do {
        n = poll(items, 2, timeout_ms);
    } while (n < 0 && errno == EINTR);
    return n > 0 && items[0].revents;
}

} // namespace

Socket::Socket(Socket &&other) noexcept
    : fd_(std::exchange(other.fd_, -1)), stop_fd_(other.stop_fd_), at_end_(other.at_end_),
      reset_(other.reset_) {}

Socket &Socket::operator=(Socket &&other) noexcept {
    if (this != &other) {
        close();
        fd_ = std::exchange(other.fd_, -1);
        stop_fd_ = other.stop_fd_;
        at_end_ = other.at_end_;
        reset_ = other.reset_;
    }
    return *this;
}

Socket Socket::connect(unsigned short port, const char *from) {
    Socket made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in addr = loopback(port);
    int on = 1;
    setsockopt(made.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in own = loopback(0);
    if (from)
        inet_pton(AF_INET, from, &own.sin_addr);
    if ((from && ::bind(made.fd_, generic(own), sizeof own) < 0) ||
        ::connect(made.fd_, generic(addr), sizeof addr) < 0) {
        int error = errno;
        made.close();
        errno = error;
    }
    return made;
}

bool Socket::send(const std::string &bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
        if (!wait_for(fd_, POLLOUT, kPatienceMs, stop_fd_))
            return false;
        ssize_t n =
            ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n < 0)
            return false;
        sent += static_cast<size_t>(n);
    }
    return true;
}

std::string Socket::read_some() {
    char buffer[65536];
    ssize_t n;
    if (at_end_ || !wait_for(fd_, POLLIN, kPatienceMs, stop_fd_))
        return "";
    do {
        n = ::recv(fd_, buffer, sizeof buffer, 0);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        at_end_ = true;
        reset_ = n < 0;
        return "";
    }
    return std::string(buffer, static_cast<size_t>(n));
}

std::string Socket::read_until(const std::string &mark) {
    std::string all;
    while (all.find(mark) == std::string::npos) {
        std::string more = read_some();
        if (more.empty())
            break;
        all += more;
    }
    return all;
}

std::string Socket::read_bytes(size_t size) {
    std::string all;
    while (all.size() < size) {
        std::string more = read_some();
        if (more.empty())
            break;
        all += more;
    }
    return all;
}

std::string Socket::read_all() {
    std::string all;
    for (;;) {
        std::string more = read_some();
        if (more.empty())
            return all;
        all += more;
    }
}

bool Socket::wait_closed() {
    while (!read_some().empty())
        continue;
    return at_end_;
}

void Socket::half_close() { ::shutdown(fd_, SHUT_WR); }

void Socket::reset() {
    linger hard = {1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
}

void Socket::close() {
    if (fd_ >= 0)
        ::close(fd_);
    fd_ = -1;
}

void Socket::small_buffers() {
    int size = 4096;
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

Listener::Listener(int backlog) {
    sockaddr_in addr = loopback(0);
    socklen_t len = sizeof addr;
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(fd_, generic(addr), sizeof addr) == 0 && ::listen(fd_, backlog) == 0 &&
        ::getsockname(fd_, reinterpret_cast<sockaddr *>(&addr), &len) == 0)
        port_ = ntohs(addr.sin_port);
    if (pipe2(stop_pipe_, O_CLOEXEC) < 0)
        port_ = 0;
}

Listener::~Listener() {
    close();
    ::close(fd_);
    ::close(stop_pipe_[0]);
}

Socket Listener::accept() {
    pollfd items[2] = {{fd_, POLLIN, 0}, {stop_pipe_[0], POLLIN, 0}};
    int n;
    do {
        n = poll(items, 2, kPatienceMs);
    } while (n < 0 && errno == EINTR);
    if (n <= 0 || items[1].revents)
        return Socket();
    Socket accepted(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
    accepted.stop_at(stop_pipe_[0]);
    return accepted;
}

void Listener::close() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stop_pipe_[1] >= 0)
        ::close(stop_pipe_[1]); // The reader of the pipe sees its end.
    stop_pipe_[1] = -1;
}

ScriptedServer::ScriptedServer(Script script, Mode mode)
    : script_(std::move(script)), mode_(mode), thread_([this]() { run(); }) {}

ScriptedServer::~ScriptedServer() {
    listener_.close();
    thread_.join();
    for (std::thread &worker : workers_)
        worker.join();
}

std::string ScriptedServer::url(const std::string &path) const {
    return "http://127.0.0.1:" + std::to_string(port()) + path;
}

void ScriptedServer::run() {
    for (;;) {
        Socket peer = listener_.accept();
        if (!peer.valid())
            return;
        int number = connections_++;
        if (mode_ == ONE_BY_ONE) {
            script_(peer, number);
            continue;
        }
        auto shared = std::make_shared<Socket>(std::move(peer));
        workers_.emplace_back([this, shared, number]() {
            script_(*shared, number);
            shared->close();
        });
    }
}

unsigned short refusing_port() {
    Listener listener(0);
    return listener.port();
}

BlackHole::BlackHole() : listener_(0) {
    // Connections are tried until one of them hangs: from then on all of them do.
    for (int i = 0; i < 16 && !works_; i++) {
        int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        sockaddr_in addr = loopback(listener_.port());
        int rc = ::connect(fd, generic(addr), sizeof addr);
        bool open = rc == 0 || (errno == EINPROGRESS && wait_for(fd, POLLOUT, 200));
        fillers_.emplace_back(fd);
        works_ = !open;
    }
}

} // namespace raw
