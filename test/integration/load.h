// Weft - load for a server that is being ended or replaced, and the account of what its clients got
// SPDX-License-Identifier: Apache-2.0
//
// A Load belongs to the test and runs each client on a thread of its own, with one request under
// way at a time. Some clients make a connection for each request, some keep theirs for many, some
// ask for answers that take a while, some send their request in two pieces. The account is added
// to by all of them.

#ifndef WEFT_TEST_INTEGRATION_LOAD_H
#define WEFT_TEST_INTEGRATION_LOAD_H

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "integration/certificates.h"
#include "integration/load_counts.h"
#include "integration/peer.h"
#include "integration/raw_socket.h"
#include "integration/tls_peer.h"

// The process of load_server.cc, and those that come after it.
class LoadServer {
public:
    LoadServer();
    ~LoadServer();
    LoadServer(const LoadServer &) = delete;
    LoadServer &operator=(const LoadServer &) = delete;

    bool start();
    // Waits until that generation serves; from then on it is the one that is meant below.
    bool wait_generation(int number);
    // Waits for the end of that process: 0 when it ended well. In the order of the generations.
    int wait_end(pid_t pid);
    void signal(int number) const;

    pid_t pid() const { return pid_; }
    unsigned short port(bool tls) const { return ports_[tls ? 1 : 0]; }
    const LoadCounts &counts() const { return *counts_; }
    std::string err() const { return first_.err(); }

private:
    peer::TempDir dir_;
    peer::Process first_;
    LoadCounts *counts_;
    pid_t pid_ = -1;
    pid_t group_ = -1;
    unsigned short ports_[2] = {0, 0};
};

// A connection in the clear or through TLS.
class Way {
public:
    enum Opened { OPEN, REFUSED, CUT }; // CUT: in the handshake of TLS.

    // No context: in the clear.
    Opened open(unsigned short port, SSL_CTX *ctx);
    bool is_open() const { return socket_.valid(); }
    bool send(const std::string &bytes) { return tls_ ? tls_->send(bytes) : socket_.send(bytes); }
    std::string read_some() { return tls_ ? tls_->read_some() : socket_.read_some(); }
    void close();

private:
    raw::Socket socket_;
    std::unique_ptr<TlsPeer> tls_;
};

class Load {
public:
    // UNTIL_REFUSED: the server ends, so a client ends when nobody listens any more, and a
    // connection that nobody has read from may be closed. UNTIL_STOPPED: somebody always serves.
    enum Kind { UNTIL_REFUSED, UNTIL_STOPPED };

    Load(Kind kind, unsigned short port, SSL_CTX *ctx);
    ~Load() { stop(); }
    Load(const Load &) = delete;
    Load &operator=(const Load &) = delete;

    void start(int clients);
    // Waits until the clients have their answers, or are refused.
    void join();
    void stop();

    std::atomic<long> answered{0}; // Requests with a whole and right answer.
    // Requests on a connection that had been used: it ended before the first byte of an answer, and
    // the request was made again on a new one (RFC 9112, 9.3.1).
    std::atomic<long> repeated{0};
    std::atomic<long> refused{0}; // Connections that nobody took.
    std::atomic<long> cut{0};     // New connections that ended before the first byte of an answer.
    std::atomic<long> broken{0};  // Answers that ended too early, were wrong ones, or never came.
    // The first things that went wrong, in words.
    std::string faults();

private:
    struct Client;
    enum Got { ANSWER, LAST_ANSWER, NOTHING, PART };

    void run(unsigned number);
    bool ask(Client *client);
    bool reach(Client *client);
    void miss(std::atomic<long> *count, const std::string &fault);
    static Got read_answer(Way *way, const std::string &expected, std::string *all);

    Kind kind_;
    unsigned short port_;
    SSL_CTX *ctx_;
    std::atomic<bool> over_{false};
    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::string faults_;
};

#endif
