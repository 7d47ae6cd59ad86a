// Weft - the simulated program: its services, targets and threads, from the first bind to the last account
// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "channels.h"
#include "kernel/sys.h"
#include "kernel/worker.h"
#include "session.h"

namespace sim {

namespace {

struct sockaddr_in loopback(uint16_t port) {
    struct sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    addr.sin_port = htons(port);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

} // namespace

Connection::Connection(Program *program, bool unknown_in) : unknown(unknown_in), program_(program) {
    program_->account.connections++;
}

Connection::~Connection() {
    program_->user_code("deleting a connection");
    program_->account.connections--;
}

int Target::create_connect_fd() {
    program->user_code("create_connect_fd");
    return sys_socket(AF_INET, SOCK_STREAM, 0);
}

CommConnection *Target::new_connection(int) {
    program->user_code("new_connection");
    if (world->rng.ppm(world->tuning.conn_error)) {
        errno = ENOMEM;
        return nullptr;
    }
    return new Connection(program);
}

// The toy needs no context, but the kernel asks for one.
static SSL_CTX *const TOY = reinterpret_cast<SSL_CTX *>(&toy_user_code);

void Target::secure(int timeout) { this->set_ssl(TOY, timeout); }

int Target::init_ssl(SSL *) {
    program->user_code("init_ssl");
    errno = EACCES;
    return world->rng.ppm(world->tuning.session_error) ? -1 : 0;
}

void Server::secure(int timeout) { this->set_ssl(TOY, timeout); }

int Server::init_ssl(SSL *) {
    program->user_code("init_ssl");
    errno = EACCES;
    return world->rng.ppm(world->tuning.session_error) ? -1 : 0;
}

uint16_t Server::port() const {
    const struct sockaddr *addr;
    socklen_t len;
    struct sockaddr_in in;
    this->get_addr(&addr, &len);
    memcpy(&in, addr, sizeof in);
    return ntohs(in.sin_port);
}

CommSession *Server::new_session(long long, CommConnection *) {
    program->user_code("new_session");
    if (channels)
        world->fail("a service of channels is asked for a session");
    if (world->rng.ppm(world->tuning.session_error))
        return nullptr;
    return new ServerSession(program, this, program->polite);
}

int Server::create_listen_fd() {
    program->user_code("create_listen_fd");
    return sys_socket(AF_INET, datagrams ? SOCK_DGRAM : SOCK_STREAM, 0);
}

CommConnection *Server::new_connection(int) {
    program->user_code("new_connection");
    if (world->rng.ppm(world->tuning.conn_error))
        return nullptr;
    entries++;
    return new Connection(program, asks);
}

void Server::handle_stop(int) {
    program->user_code("handle_stop");
    if (stopped)
        world->fail("a service stops twice");
    stopped = true;
}

void Server::handle_unbound() {
    if (gone || !stopped || bound)
        world->fail("a service is unbound %s", gone    ? "twice"
                                               : bound ? "before unbind"
                                                       : "before it has stopped");
    check_service(this);
    program->user_code("handle_unbound");
    gone = true;
    world->wake(this, 100);
}

Program::Program() : talk(std::make_unique<Talk>(this)) {}

Program::~Program() {}

void Program::user_code(const char *what) {
    world->trace("in %s", what);
    if (world->current() && world->current()->locks)
        world->fail("%s is called with a lock held", what);
    struct worker *self = sys_self();
    if (self && self->poller && !self->out)
        world->fail("%s is called with the lease held", what);
    if (known_wait_ && world->rng.ppm(known_wait_)) {
        int cookie = worker_wait_begin();
        world->nap(world->rng.spread(1 * US, 20 * MS));
        worker_wait_end(cookie);
    }
    world->point(AT_USER);
}

void Program::outside(std::function<void()> work) {
    work_.push_back(std::move(work));
    world->wake(&work_, 1);
}

void Program::helper() {
    for (;;) {
        while (work_.empty()) {
            if (helper_done_)
                return;
            world->wait(&work_, NEVER);
        }
        std::function<void()> work = std::move(work_.front());
        work_.pop_front();
        working_++;
        if (world->rng.percent(30))
            world->nap(world->rng.spread(1 * US, 30 * MS));
        work();
        work = nullptr; // and what it holds
        working_--;
    }
}

CommSchedObject *Program::any_object(bool *hostile) {
    if (world->rng.percent(20) && group_.get_max_load() > 0) {
        *hostile = true;
        return &group_;
    }
    Target *target = targets[world->rng.below(targets.size())].get();
    *hostile = target->hostile;
    return target;
}

void Program::start_request(int chain) {
    if (gate && !sys_self())
        return;
    bool hostile;
    CommSchedObject *to = this->any_object(&hostile);
    (new ClientTask(this, to, hostile, chain))->dispatch();
}

void Program::start_timer() {
    if (gate && !sys_self())
        return;
    Timer *timer = new Timer(this, nullptr);
    if (world->rng.percent(10))
        timer->forever();
    bool cancel = world->rng.percent(30);
    if (cancel)
        timer->ref();
    bool begun = timer->begin();
    if (!cancel)
        return;
    if (begun)
        timer->cancel();
    timer->unref();
}

void Program::cancel_timer() {
    if (timers.empty())
        return;
    auto i = timers.begin();
    std::advance(i, static_cast<long>(world->rng.below(timers.size())));
    Timer *timer = *i;
    timer->ref();
    timer->cancel();
    timer->unref();
}

void Program::cancel_request() {
    if (cancels.empty())
        return;
    std::shared_ptr<Cancel> one = cancels[world->rng.below(cancels.size())];
    one->tried = true;
    if (wf::cancel(one->handle) == 0)
        one->promised = true;
}

wf::FilterVerdict Peephole::look(const void *, size_t size, wf::FilterResult *result) {
    program_->user_code("a filter");
    if (size == 0 || size > 8)
        world->fail("a filter is shown %zu bytes", size);
    result->taken = 0;
    if (size < world->rng.between(1, 3))
        return wf::FILTER_MORE;
    return program_->polite || world->rng.percent(95) ? wf::FILTER_PASS : wf::FILTER_REFUSE;
}

void Program::draw_limits(Server *server) {
    Random &rng = world->rng;
    struct CommServiceLimits limits = {};
    limits.first_byte_timeout = polite ? 60000 : static_cast<int>(rng.spread(5, 4000));
    limits.head_timeout = polite ? -1 : static_cast<int>(rng.spread(5, 4000));
    limits.min_receive_rate = polite ? 0 : static_cast<int>(rng.below(2) * rng.spread(10, 2000));
    limits.max_connections = polite || rng.percent(60) ? 0 : static_cast<size_t>(rng.between(1, 6));
    limits.first_message_timeout =
        polite || rng.percent(50) ? -1 : static_cast<int>(rng.spread(5, 4000));
    limits.authentication_timeout = polite ? 60000 : static_cast<int>(rng.spread(1, 300));
    limits.backlog_limit = polite ? 0 : (patient ? 1 : rng.below(2)) * rng.spread(1, 20000);
    limits.min_send_rate = static_cast<int>((patient ? 1 : rng.below(2)) * rng.spread(10, 20000));
    server->set_limits(&limits);
    server->set_max_queue_age(!polite && rng.percent(20) ? static_cast<int>(rng.spread(1, 50)) - 1
                                                         : -1);
    server->asks = !server->datagrams && rng.percent(25);
    wf::Authenticator authenticator;
    if (server->asks)
        authenticator = [this](wf::AuthRequest request) { this->judge(std::move(request)); };
    server->set_authenticator(std::move(authenticator));
}

void Program::bind(Server *server) {
    Random &rng = world->rng;
    this->draw_limits(server);
    server->set_max_requests(!polite && rng.percent(20) ? rng.between(1, 5) : 0);
    server->set_filter(rng.percent(25) ? filter_ : nullptr);
    server->set_guard(!polite && rng.percent(20) ? guard_ : nullptr);
    struct CommListenOptions options;
    if (rng.percent(50))
        options.accept_at_once = static_cast<int>(rng.below(3) * rng.below(20));
    options.reuse_port = rng.percent(20);
    server->set_listen_options(&options);
    server->held = false;
    server->gone = server->stopped = false;
    if (sched.bind(server) == 0) {
        server->bound = true;
        return;
    }
    server->gone = server->stopped = true;
}

void Program::unbind(Server *server) {
    if (!server->bound)
        return;
    server->bound = false;
    sched.unbind(server);
}

void Program::set_up_targets() {
    Random &rng = world->rng;
    std::vector<uint16_t> ports;
    std::vector<uint16_t> talking;
    std::set<uint16_t> secure;
    for (auto &server : servers) {
        if (server->datagrams)
            continue;
        (server->channels ? talking : ports).push_back(server->port());
        if (server->is_secure())
            secure.insert(server->port());
    }
    talk->make_targets(talking, secure);
    size_t honest = ports.size();
    int raw = polite ? 0 : rng.number(0, 2);
    for (int i = 0; i < raw; i++) {
        bool toy = rng.percent(30);
        raw_.push_back(spawn_server_peer(this, toy));
        ports.push_back(raw_.back()->port);
        if (toy)
            secure.insert(ports.back());
    }
    if (ports.empty() || (!polite && rng.percent(30)))
        ports.push_back(rng.percent(50) ? PORT_SILENT : PORT_REFUSED);
    for (size_t i = 0; i < ports.size(); i++) {
        struct sockaddr_in addr = loopback(ports[i]);
        targets.push_back(std::make_unique<Target>(this, i >= honest));
        Target *target = targets.back().get();
        int connect_ms = finite || rng.percent(80) ? static_cast<int>(rng.spread(1, 4000)) : -1;
        int response_ms = finite || rng.percent(80) ? static_cast<int>(rng.spread(1, 4000)) : -1;
        if (polite)
            connect_ms = response_ms = 60000;
        size_t load = rng.spread(1, 8);
        while (target->init(reinterpret_cast<struct sockaddr *>(&addr), sizeof addr, connect_ms,
                            response_ms, load) < 0) {} // until there is memory
        // Now and then against a peer that speaks in the clear.
        if (secure.count(ports[i]) || (i >= honest && rng.percent(10)))
            target->secure(polite                      ? 60000
                           : finite || rng.percent(80) ? static_cast<int>(rng.spread(1, 4000))
                                                       : -1);
        if (rng.percent(30) && group_.add(target) == 0)
            target->in_group = true;
    }
}

bool Program::set_up() {
    Random &rng = world->rng;
    polite = rng.percent(15);
    finite = polite || rng.percent(60);
    patient = !polite && rng.percent(5);
    deinit_early_ = !polite && !patient && rng.percent(40);
    static const unsigned waits[] = {0, 0, 5000, 50000};
    known_wait_ = rng.pick(waits);
    if (polite) {
        Tuning &t = world->tuning;
        t.accept_error = t.socket_error = t.connect_error = t.control_error = t.thread_error = 0;
        t.alloc_error = t.conn_error = t.session_error = t.lost_link = 0;
        t.fd_limit = 1000;
    }
    permits_ = rng.number(1, 4);
    if (sched.init(static_cast<size_t>(rng.number(1, 3)), static_cast<size_t>(permits_)) < 0) {
        if (net->open_count() > 0)
            world->fail("%zu descriptors are left open by a failed init", net->open_count());
        return false;
    }
    struct mpoller *pool = sched.get_communicator()->get_pool();
    pool->watch_disabled = rng.percent(10);
    sched.set_handler_mode(static_cast<CommHandlerMode>(rng.below(3)));
    toy_user_code = [this]() { this->user_code("the handshake"); };
    group_.init();
    filter_ = std::make_shared<Peephole>(this);
    guard_ = std::make_shared<wf::Guard>(); // some of the servers share it
    wf::GuardLimits guarded;
    guarded.per_address = rng.below(2) * rng.between(2, 10);
    guarded.rate = rng.percent(30) ? static_cast<double>(rng.spread(10, 10000)) : 0;
    guard_->set_limits(guarded);
    talk->make_groups();
    if (rng.percent(15)) {
        lounge_ = std::make_unique<Lounge>(rng.number(1, 3));
        sched.customize_event_handler(lounge_.get());
    }
    int count = rng.number(1, 3);
    for (int i = 0; i < count; i++)
        this->bind(this->set_up_server());
    this->set_up_targets();
    return true;
}

Server *Program::set_up_server() {
    Random &rng = world->rng;
    struct sockaddr_in addr = loopback(0);
    servers.push_back(std::make_unique<Server>(this));
    Server *server = servers.back().get();
    int response_ms = polite                      ? 60000
                      : patient                   ? -1
                      : finite || rng.percent(70) ? static_cast<int>(rng.spread(1, 4000))
                                                  : -1;
    while (server->init(reinterpret_cast<struct sockaddr *>(&addr), sizeof addr, 0, response_ms) <
           0) {}
    server->datagrams = rng.percent(20);
    if (!server->datagrams && rng.percent(30))
        server->secure(polite ? 60000 : static_cast<int>(rng.spread(5, 4000)));
    server->receive_ms = polite || rng.percent(30) ? -1 : static_cast<int>(rng.spread(1, 4000));
    server->send_ms =
        polite || patient || rng.percent(30) ? -1 : static_cast<int>(rng.spread(1, 4000));
    server->keep_ms = polite ? 60000 : rng.percent(10) ? 0 : static_cast<int>(rng.spread(1, 3000));
    server->channels = !server->datagrams && rng.percent(50);
    if (server->channels)
        server->talk_in(talk->any_group());
    return server;
}

void Program::operation() {
    Random &rng = world->rng;
    Server *server = servers[rng.below(servers.size())].get();
    switch (rng.below(24)) {
    case 14:
    case 15:
        this->cancel_request();
        break;
    case 16:
        if (server->bound && !polite && !server->holding) {
            server->holding = true;
            server->held = !server->held;
            if (server->held)
                server->pause_accepting();
            else
                server->resume_accepting();
            server->holding = false;
        }
        break;
    case 0:
    case 1:
    case 2:
    case 3:
        this->start_request(static_cast<int>(rng.spread(0, 6)));
        break;
    case 4:
        this->start_timer();
        break;
    case 5:
        this->cancel_timer();
        break;
    case 6:
    case 7:
    case 8:
        if (server->bound)
            this->spawn_peer(server);
        break;
    case 9:
        if (server->bound && !polite)
            server->drain(rng.number(-1, 2));
        break;
    case 10:
        if (polite || server->holding || rng.percent(70))
            break;
        if (server->bound)
            this->unbind(server);
        else if (server->gone)
            this->bind(server);
        break;
    case 11:
        if (permits_ > 1 && rng.percent(50)) {
            permits_--;
            sched.decrease_handler_thread();
        } else {
            permits_++;
            sched.increase_handler_thread();
        }
        break;
    case 17:
    case 18:
    case 19:
    case 20:
    case 21:
        talk->operation();
        break;
    default:
        world->nap(rng.spread(1 * US, rng.percent(10) ? 3 * SEC : 5 * MS));
    }
}

void Program::thread(int operations) {
    while (operations-- > 0 && !gate)
        this->operation();
    threads_--;
    world->wake(&threads_, 10);
}

// What nothing prevents must happen in time.
void Program::wait_until(std::function<bool()> done, Time most, const char *what) {
    Time until = world->now + most;
    while (!done()) {
        if (world->now > until)
            world->fail("waited %llu s in vain until %s: "
                        "%ld requests, %ld server sessions, %ld timers, %ld connections",
                        static_cast<unsigned long long>(most / SEC), what, account.clients,
                        account.servers, account.timers, account.connections);
        world->nap(5 * MS);
    }
}

void Program::close_down() {
    if (!deinit_early_)
        world->nap(patient ? world->rng.between(10 * SEC, 100 * SEC)
                           : world->rng.spread(1 * US, 6 * SEC));
    gate = true;
    this->wait_until([this]() { return threads_ == 0; }, 600 * SEC,
                     "the program's threads have ended");
    if (!deinit_early_ && finite) {
        this->wait_until(
            [this]() {
                while (!timers.empty() && world->rng.percent(50))
                    this->cancel_timer();
                return account.clients == 0;
            },
            3600 * SEC, "all requests have ended"); // many may wait at a target, one by one
    }
    if (polite)
        this->wait_until([this]() { return talk->wind_up(); }, 600 * SEC,
                         "all channels have ended");
    if (world->rng.percent(70)) {
        for (auto &server : servers)
            this->unbind(server.get());
        for (auto &server : servers) {
            Server *s = server.get();
            if (s->channels && !deinit_early_)
                this->wait_until([s]() { return s->gone; }, 60 * SEC,
                                 "a service of channels is unbound");
        }
        if (!deinit_early_ && world->rng.percent(20)) {
            world->nap(61 * SEC);
            talk->check_unbound();
        }
    }
    if (polite) {
        world->ending = true;
        this->wait_until([this]() { return account.servers == 0; }, 600 * SEC,
                         "all server sessions have ended");
    }
    world->trace("the engine ends");
    ending = true;
    sched.deinit();
    world->trace("the engine has ended");
    for (auto &server : servers)
        this->unbind(server.get());
}

void Program::tear_down() {
    world->ending = true;
    raw_.insert(raw_.end(), talk->raw.begin(), talk->raw.end());
    for (auto &listener : raw_)
        listener->closed();
    for (auto &listener : raw_)
        world->wake(listener.get(), 100);
    talk->bother_all();
    this->wait_until([this]() { return account.servers == 0 && work_.empty() && working_ == 0; },
                     60 * SEC, "sessions with the program are dropped");
    helper_done_ = true;
    world->wake(&work_, 10);
    for (auto &server : servers) {
        Server *s = server.get();
        this->wait_until([s]() { return s->gone; }, 60 * SEC, "handle_unbound is called");
    }
    talk->tear_down();
    if (lounge_)
        lounge_->leave();
    for (auto &target : targets) {
        check_target(target.get());
        if (target->in_group)
            group_.remove(target.get());
        target->deinit();
    }
    group_.deinit();
    for (auto &server : servers)
        server->deinit();
    if (guard_->get_connection_count() > 0)
        world->fail("the guard counts %zu connections that are gone",
                    guard_->get_connection_count());
    this->check_end();
}

void Program::check_end() {
    const Account &a = account;
    if (a.clients || a.servers || a.timers || a.connections || !timers.empty())
        world->fail("left over: %ld requests, %ld server sessions, %ld timers, %ld connections",
                    a.clients, a.servers, a.timers, a.connections);
    if (a.begun != a.succeeded + a.failed + a.stopped)
        world->fail("%ld requests begun, but %ld ended", a.begun,
                    a.succeeded + a.failed + a.stopped);
    if (net->open_count() > 0)
        world->fail("%zu descriptors are left open", net->open_count());
    world->trace("%ld requests: %ld good, %ld failed (%ld timed out), %ld stopped; "
                 "%ld served, %ld answered; timers: %ld fired, %ld canceled",
                 a.begun, a.succeeded, a.failed, a.timed_out, a.stopped, a.served, a.replied,
                 a.fired, a.canceled);
}

void Program::run() {
    Random &rng = world->rng;
    if (!this->set_up())
        return;
    world->when_quiet = [this]() { check_quiet(this); };
    world->when_failed = [this]() { print_pool(this); };
    for (int i = 0; i < 2; i++)
        world->spawn("helper", [this]() { this->helper(); });
    threads_ = rng.number(1, 4);
    for (int i = threads_; i > 0; i--)
        world->spawn("thread",
                     [this]() { this->thread(static_cast<int>(world->rng.spread(4, 120))); });
    if (deinit_early_)
        world->nap(rng.spread(1 * US, 300 * MS));
    else
        this->wait_until([this]() { return threads_ == 0; }, 600 * SEC,
                         "the program's threads have ended");
    this->close_down();
    this->tear_down();
    world->when_quiet = world->when_failed = nullptr;
}

} // namespace sim
