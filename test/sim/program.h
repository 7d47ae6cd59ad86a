// Weft - the simulated program: what uses the kernel, and keeps account of all it is promised
// SPDX-License-Identifier: Apache-2.0
//
// Some threads of its own make requests (alone, in chains, through full targets and groups), set
// and cancel timers, bind and unbind services, and answer from outside; scripted peers call its
// services or are called. Everything the kernel calls goes through user_code(), which checks that
// the kernel holds nothing there, and may stay for long.
#ifndef WEFT_TEST_SIM_PROGRAM_H
#define WEFT_TEST_SIM_PROGRAM_H

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "frame.h"
#include "net.h"
#include "workflow/CommRequest.h"
#include "workflow/CommScheduler.h"
#include "workflow/wf/authenticator.h"
#include "workflow/wf/cancel.h"
#include "workflow/wf/filter.h"
#include "workflow/wf/guard.h"
#include "world.h"

namespace sim {

class Lounge;
class Program;
class Server;
class Talk;
class Timer;

// Lives as long as its connection.
class Connection : public CommConnection {
public:
    explicit Connection(Program *program, bool unknown_in = false);
    ~Connection() override;
    const bool unknown; // nothing of it may be handled before it is admitted
    bool shown = false; // the authenticator has seen it
    bool admitted = false;

private:
    Program *program_;
};

class Target : public CommSchedTarget {
public:
    Target(Program *program_in, bool hostile_in) : hostile(hostile_in), program(program_in) {}
    void secure(int timeout);
    const bool hostile; // answers may be garbage
    bool in_group = false;
    int connect_ms = -1; // of a target of channels

private:
    int create_connect_fd() override;
    CommConnection *new_connection(int fd) override;
    int init_ssl(SSL *ssl) override;
    Program *program;
};

class Server : public CommService {
public:
    explicit Server(Program *program_in) : program(program_in) {}
    uint16_t port() const;
    void secure(int timeout);
    bool datagrams = false;
    bool is_secure() const { return this->get_ssl_ctx() != nullptr; }

    bool bound = false;   // by the program
    bool gone = true;     // handle_unbound was called
    bool held = false;    // accepts nothing for now
    bool holding = false; // one of the program's threads is about to change that
    bool stopped = true;  // handle_stop was
    uint64_t entries = 0; // connections that became the kernel's
    int receive_ms = -1, send_ms = -1, keep_ms = 0;
    bool asks = false;     // has an authenticator
    bool channels = false; // its connections are
    void talk_in(CommChannelGroup *group) { this->set_channels(group); }

private:
    CommSession *new_session(long long seq, CommConnection *conn) override;
    CommChannel *new_channel(CommConnection *conn) override;
    void handle_stop(int error) override;
    void handle_unbound() override;
    int create_listen_fd() override;
    CommConnection *new_connection(int fd) override;
    int init_ssl(SSL *ssl) override;
    Program *program;
};

// Looks at the first bytes of connections, and takes none.
class Peephole : public wf::ConnectionFilter {
public:
    explicit Peephole(Program *program) : program_(program) {}

private:
    wf::FilterVerdict look(const void *bytes, size_t size, wf::FilterResult *result) override;
    size_t max_bytes() const override { return 8; }
    bool tells_address() const override { return tells_address_; }

    Program *program_;
    bool tells_address_ = world->rng.percent(50);
};

// What a run counts; all of it must come out even.
struct Account {
    long clients = 0, servers = 0, timers = 0, connections = 0; // alive
    long begun = 0, succeeded = 0, failed = 0, stopped = 0, timed_out = 0;
    long served = 0, replied = 0;
    long fired = 0, canceled = 0;
};

// A request that may be cancelled, also when it is long gone.
struct Cancel {
    wf::CancelHandle handle;
    bool tried = false;
    bool promised = false; // the kernel said that it will end so
};

class Program {
public:
    Program();
    ~Program();
    void run();

    // To be called first in everything that the kernel calls.
    void user_code(const char *what);
    // Runs something on a thread that is not the kernel's.
    void outside(std::function<void()> work);
    // Some target or group.
    CommSchedObject *any_object(bool *hostile);
    void start_request(int chain);
    void start_timer();
    void cancel_timer();
    void cancel_request();
    // The authenticator of services that have one.
    void judge(wf::AuthRequest request);

    CommScheduler sched;
    Account account;
    bool ending = false;  // deinit has been called
    bool gate = false;    // threads of the program begin nothing more
    bool polite = false;  // servers answer everything, and nothing fails
    bool finite = false;  // every wait has an end
    bool patient = false; // lasts for long, and leaves slow peers to the backlog rule
    uint32_t last_id = 0;
    std::list<Timer *> timers; // that may be cancelled
    std::deque<std::shared_ptr<Cancel>> cancels;
    std::vector<std::unique_ptr<Server>> servers;
    std::vector<std::unique_ptr<Target>> targets;
    std::unique_ptr<Talk> talk;

private:
    bool set_up(); // false when the system denied an engine
    void set_up_targets();
    Server *set_up_server();
    void spawn_peer(Server *server);
    void draw_limits(Server *server);
    void bind(Server *server);
    void unbind(Server *server);
    void thread(int operations);
    void operation();
    void helper();
    void wait_until(std::function<bool()> done, Time most, const char *what);
    void close_down();
    void tear_down();
    void check_end();

    CommSchedGroup group_;
    std::unique_ptr<Lounge> lounge_;
    std::shared_ptr<wf::Guard> guard_;
    std::shared_ptr<wf::ConnectionFilter> filter_;
    std::vector<std::shared_ptr<Listener>> raw_;
    std::deque<std::function<void()>> work_;
    int threads_ = 0;
    int working_ = 0; // helpers that are at it
    unsigned known_wait_ = 0;
    int permits_ = 1;
    bool helper_done_ = false;
    bool deinit_early_ = false;
};

// peers.cc: scripted peers, each a fiber.
void spawn_client_peer(Program *program, Server *server);
void spawn_datagram_peer(Program *program, Server *server);
std::shared_ptr<Listener> spawn_server_peer(Program *program, bool secure);

// checks.cc
void check_quiet(Program *program);
void check_channel(const CommConnEntry *entry); // channel_checks.cc
void print_pool(Program *program);
void check_service(CommService *service);
void check_target(CommTarget *target);
void check_pool_at_stop(struct mpoller *pool);

// transport_toy.cc: what the handshake calls of the program.
extern std::function<void()> toy_user_code;

// edges.cc: how often each edge of the machines' tables was crossed, in memory that outlives a
// crash.
struct EdgeCounts {
    uint64_t crossed[32][32];
};
extern EdgeCounts *edges;
void print_edges();

// alloc.cc: blocks that are allocated now; 0 where that is not counted.
long live_blocks();

} // namespace sim

#endif
