// Weft - load for a server that is being ended or replaced: the clients, and the processes
// SPDX-License-Identifier: Apache-2.0
//
// Owner and threads: see load.h.

#include "integration/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <chrono>
#include <random>

#include "integration/patience.h"

namespace {

using Clock = std::chrono::steady_clock;

// A newcomer is heard for a second after the listener was handed over. One whose own thread was
// kept from the processor for half of it proves nothing.
const std::chrono::milliseconds kPrompt(500);
// Whoever has waited so long was left by patience, and not by the server.
const std::chrono::milliseconds kHung(raw::kPatienceMs / 2);
const size_t kFaultsShown = 2000; // Bytes.

// A port where nobody listens may be given to the very socket that connects to it.
bool is_connected_to_itself(int fd) {
    sockaddr_in own = {}, peer = {};
    socklen_t own_len = sizeof own, peer_len = sizeof peer;
    return getsockname(fd, reinterpret_cast<sockaddr *>(&own), &own_len) == 0 &&
           getpeername(fd, reinterpret_cast<sockaddr *>(&peer), &peer_len) == 0 &&
           own.sin_port == peer.sin_port;
}

} // namespace

LoadServer::LoadServer() : counts_(map_counts(dir_.file("counts").c_str())) {
    // Successors are children of a process that ends; their end shall be told to this one.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::signal(SIGPIPE, SIG_IGN); // OpenSSL writes to sockets that the server has closed.
}

LoadServer::~LoadServer() {
    // What is left when a test has failed: all generations are one group.
    if (group_ > 0 && kill(-group_, SIGKILL) == 0)
        while (waitpid(-group_, nullptr, 0) > 0) {}
}

bool LoadServer::start() {
    Certificate own = Authority::common().make("loaded");
    if (!counts_ || !first_.start({WEFT_LOAD_SERVER, dir_.file("counts"), own.cert, own.key}))
        return false;
    group_ = first_.pid();
    return wait_generation(0);
}

bool LoadServer::wait_generation(int number) {
    const std::string mark = "generation " + std::to_string(number) + " ";
    std::string line;
    // Not Process::wait_line(): the first process may have ended long ago.
    bool found = eventually([&] {
        std::string all = first_.out();
        size_t at = all.find(mark);
        size_t end = at == std::string::npos ? at : all.find('\n', at);
        if (end != std::string::npos)
            line = all.substr(at, end - at);
        return !line.empty();
    });
    int pid = 0;
    return found &&
           sscanf(line.c_str() + mark.size(), "is %d, ports %hu %hu", &pid, &ports_[0],
                  &ports_[1]) == 3 &&
           (pid_ = pid) > 0;
}

int LoadServer::wait_end(pid_t pid) {
    int status = -1000;
    if (pid == first_.pid())
        status = first_.wait(60000);
    else
        eventually([&] { return waitpid(pid, &status, WNOHANG) == pid; }, 60000);
    if (pid == pid_ && status != -1000)
        pid_ = -1;
    return status;
}

void LoadServer::signal(int number) const {
    if (pid_ > 0)
        kill(pid_, number);
}

Way::Opened Way::open(unsigned short port, SSL_CTX *ctx) {
    // Ports of our own may be rare for a moment, which is nobody's fault.
    eventually([&] {
        socket_ = raw::Socket::connect(port);
        return socket_.valid() || errno != EADDRNOTAVAIL;
    });
    if (!socket_.valid() || is_connected_to_itself(socket_.fd())) {
        close();
        return REFUSED;
    }
    if (ctx)
        tls_ = std::make_unique<TlsPeer>(socket_, ctx);
    if (!tls_ || tls_->connect())
        return OPEN;
    close();
    return CUT;
}

void Way::close() {
    tls_.reset();
    socket_.close();
}

struct Load::Client {
    Way way;
    std::mt19937 dice;
    unsigned number;
    Clock::time_point opened;
    int left = 0;      // Requests that this connection is to carry yet,
    bool used = false; // and whether one was answered on it.
    long asked = 0;

    // Some take their time, so that their connection is new, or idle, when the server ends.
    void dwell() {
        if (number % 4 == 1)
            poll(nullptr, 0, static_cast<int>(dice() % 10));
    }
    bool is_prompt() const { return Clock::now() - opened < kPrompt; }
};

Load::Load(Kind kind, unsigned short port, SSL_CTX *ctx) : kind_(kind), port_(port), ctx_(ctx) {}

void Load::start(int clients) {
    for (int i = 0; i < clients; i++)
        threads_.emplace_back([this, i] { run(static_cast<unsigned>(i)); });
}

void Load::join() {
    for (std::thread &thread : threads_)
        thread.join();
    threads_.clear();
}

void Load::stop() {
    over_ = true;
    join();
}

std::string Load::faults() {
    std::lock_guard<std::mutex> lock(mutex_);
    return faults_;
}

void Load::miss(std::atomic<long> *count, const std::string &fault) {
    std::lock_guard<std::mutex> lock(mutex_);
    ++*count;
    if (faults_.size() < kFaultsShown)
        faults_ += fault + "\n";
}

void Load::run(unsigned number) {
    Client client;
    client.dice.seed(number);
    client.number = number;
    while (!over_ && ask(&client)) {}
}

// Sees to it that there is a connection; false when there is none to be had.
bool Load::reach(Client *client) {
    while (!client->way.is_open()) {
        client->used = false;
        client->left = client->number % 4 == 0 ? 1 : 1 + static_cast<int>(client->dice() % 30);
        client->opened = Clock::now();
        Way::Opened opened = client->way.open(port_, ctx_);
        if (opened == Way::OPEN)
            return true;
        if (opened == Way::REFUSED)
            miss(&refused, "refused");
        else if (client->is_prompt())
            miss(&cut, "cut in its handshake");
        if (over_ || (opened == Way::REFUSED && kind_ == UNTIL_REFUSED))
            return false;
    }
    return true;
}

// One request, made until it is answered. False when the client shall end.
bool Load::ask(Client *client) {
    const std::string id = std::to_string(client->number) + "-" + std::to_string(client->asked++);
    const std::string path = client->dice() % 4 == 0 ? "/slow/" : "/echo/";
    const bool in_two = client->dice() % 8 == 0;
    for (;;) {
        if (!reach(client))
            return false;
        client->dwell();
        Way *way = &client->way;
        std::string request = "GET " + path + id + " HTTP/1.1\r\nHost: x\r\n" +
                              (client->left == 1 ? "Connection: close\r\n\r\n" : "\r\n");
        if (in_two) {
            way->send(request.substr(0, 10));
            poll(nullptr, 0, 3); // The slowness itself.
            request.erase(0, 10);
        }
        // A send that fails is no answer yet: an earlier one may be there all the same.
        way->send(request);
        bool prompt = client->is_prompt();
        std::string all;
        Clock::time_point sent = Clock::now();
        Got got = read_answer(way, id, &all);
        if (got == ANSWER || got == LAST_ANSWER) {
            answered++;
            client->used = true;
            if (got == LAST_ANSWER || --client->left == 0)
                way->close();
            return true;
        }
        way->close();
        if (got == PART) {
            miss(&broken, "broken answer to " + path + id + ": '" + all.substr(0, 120) + "'");
            return true;
        }
        if (Clock::now() - sent > kHung)
            miss(&broken, "neither an answer to " + path + id + " nor an end");
        else if (client->used)
            repeated++;
        else if (prompt)
            miss(&cut, "no answer to " + path + id + (in_two ? ", sent in two pieces" : ""));
    }
}

Load::Got Load::read_answer(Way *way, const std::string &expected, std::string *all) {
    size_t body = std::string::npos;
    size_t size = 0;
    for (;;) {
        std::string more = way->read_some();
        if (more.empty())
            return all->empty() ? NOTHING : PART;
        *all += more;
        if (body == std::string::npos) {
            size_t end = all->find("\r\n\r\n");
            size_t length = all->find("Content-Length: ");
            if (end == std::string::npos)
                continue;
            if (all->compare(0, 15, "HTTP/1.1 200 OK") != 0 || length > end)
                return PART;
            body = end + 4;
            size = strtoul(all->c_str() + length + 16, nullptr, 10);
        }
        if (all->size() - body < size)
            continue;
        if (all->substr(body) != expected)
            return PART;
        size_t close = all->find("Connection: close");
        return close < body ? LAST_ANSWER : ANSWER;
    }
}
