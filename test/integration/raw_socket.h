// Weft - raw TCP sockets for tests that must say and see exactly which bytes pass
// SPDX-License-Identifier: Apache-2.0
//
// Blocking sockets with a limit of kPatienceMs on every wait, so a peer that stays silent makes
// a test fail and never hang. A Socket belongs to one thread at a time; a ScriptedServer runs its
// script on a thread of its own, once per accepted connection, one after another.

#ifndef WEFT_TEST_INTEGRATION_RAW_SOCKET_H
#define WEFT_TEST_INTEGRATION_RAW_SOCKET_H

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace raw {

const int kPatienceMs = 30000;

class Socket {
public:
    Socket() = default;
    explicit Socket(int fd) : fd_(fd) {}
    ~Socket() { close(); }
    Socket(Socket &&other) noexcept;
    Socket &operator=(Socket &&other) noexcept;
    Socket(const Socket &) = delete;
    Socket &operator=(const Socket &) = delete;

    // Connects to a port of 127.0.0.1, as that address if one is given; !valid() when that failed,
    // with errno.
    static Socket connect(unsigned short port, const char *from = nullptr);

    bool valid() const { return fd_ >= 0; }
    int fd() const { return fd_; }

    // Sends everything; false when the peer is gone.
    bool send(const std::string &bytes);
    // One read: what came, or "" at the end of the stream, at an error or after patience.
    std::string read_some();
    // Reads until mark has been seen (and maybe beyond), or the end.
    std::string read_until(const std::string &mark);
    // Reads until at least size bytes are there, or the end.
    std::string read_bytes(size_t size);
    // Reads until the end of the stream.
    std::string read_all();
    // Waits until the peer has closed or reset, throwing away what it sends.
    bool wait_closed();
    // True when the last read ended at the peer's FIN, at its RST.
    bool at_end() const { return at_end_; }
    bool was_reset() const { return reset_; }

    void half_close(); // Sends FIN, goes on reading.
    void reset();      // Closes with RST.
    void close();
    void small_buffers(); // So that few bytes fill the way.

    // Reads and sends end early when that descriptor has something to say.
    void stop_at(int stop_fd) { stop_fd_ = stop_fd; }

private:
    int fd_ = -1;
    int stop_fd_ = -1;
    bool at_end_ = false;
    bool reset_ = false;
};

class Listener {
public:
    // Listens on a free port of 127.0.0.1.
    explicit Listener(int backlog = 1024);
    ~Listener();
    Listener(const Listener &) = delete;
    Listener &operator=(const Listener &) = delete;

    unsigned short port() const { return port_; }
    int fd() const { return fd_; }
    // The next connection; !valid() after close() or patience.
    Socket accept();
    // Ends accept() here, and the waits of the sockets it has given.
    void close();

private:
    std::mutex mutex_;
    int fd_ = -1;
    unsigned short port_ = 0;
    int stop_pipe_[2] = {-1, -1};
};

// A server whose behaviour is a function. Connections are handled one after another, or each
// on its own thread.
class ScriptedServer {
public:
    enum Mode { ONE_BY_ONE, THREADS };
    using Script = std::function<void(Socket &, int connection)>;

    explicit ScriptedServer(Script script, Mode mode = ONE_BY_ONE);
    ~ScriptedServer();

    unsigned short port() const { return listener_.port(); }
    std::string url(const std::string &path = "/") const;
    int connections() const { return connections_.load(); }

private:
    void run();

    Script script_;
    Mode mode_;
    Listener listener_;
    std::atomic<int> connections_{0};
    std::mutex mutex_;
    std::vector<std::thread> workers_;
    std::thread thread_;
};

// A port that refuses connections: one that was free a moment ago.
unsigned short refusing_port();

// A port that swallows connection attempts: its queue is full and nobody accepts.
class BlackHole {
public:
    BlackHole();
    unsigned short port() const { return listener_.port(); }
    // False where the system lets more connections in than asked.
    bool works() const { return works_; }

private:
    Listener listener_;
    std::vector<Socket> fillers_;
    bool works_ = false;
};

} // namespace raw

#endif
