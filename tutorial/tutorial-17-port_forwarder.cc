// Weft - tutorial 17: a port forwarder
// SPDX-License-Identifier: Apache-2.0
//
// Each connection that comes is joined with one to the target: bytes, the end of each side, and
// breaks go on to the other, and no side is read faster than the other one takes it. Page:
// docs/tutorial-17-port_forwarder.md

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdio.h>
#include <string>

#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/tcp_client.h"
#include "workflow/wf/tcp_server.h"

#include "args.h"

namespace {

// What a side that is read faster than the other one takes may leave in our memory.
constexpr size_t HIGH_WATER = 1024 * 1024;
constexpr size_t LOW_WATER = 256 * 1024;
constexpr int HALF_CLOSED_MS = 60 * 60 * 1000; // so long the other direction may go on

// Limits that are for servers of their own protocol: here the two ends know what they want.
void set_options(wf::ChannelOptions &options) {
    options.high_water = HIGH_WATER;
    options.low_water = LOW_WATER;
    options.half_open = true; // the end of one direction is not that of the other
    options.finish_timeout = HALF_CLOSED_MS;
    options.first_byte_timeout = options.first_message_timeout = -1; // the target may speak first
    options.backlog_limit = 0; // a reader may pause: its side is not read meanwhile
}

class Tunnel;

// All there are. Any thread.
class Tunnels {
public:
    void add(Tunnel *tunnel);
    void remove(Tunnel *tunnel);
    // What is still on its way behind a client that has gone is dropped.
    void close_all();
    bool is_closing() const { return closing_; }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::set<Tunnel *> all_;
    std::atomic<bool> closing_{false};
};

// Two channels: `down` is the one that has come, `up` leads to the target. It is freed when both
// have ended, and not in an event of `up`, whose end it waits for.
class Tunnel {
public:
    Tunnel(wf::Channel &down, Tunnels &tunnels);
    ~Tunnel() { tunnels_.remove(this); }
    Tunnel(const Tunnel &) = delete;
    Tunnel &operator=(const Tunnel &) = delete;

    // What becomes of the events of `down`.
    static void set_events(wf::TcpServer &server);

    void begin(const std::string &host, unsigned short port);
    void close_up() { up_.close(); }

private:
    void set_up_events();
    void down_closed(bool broken);
    void up_closed(bool broken);
    void end_up();
    void leave();

    Tunnels &tunnels_;
    wf::ChannelPtr down_;
    wf::ChannelPtr up_channel_; // set before `down` is read
    std::atomic<bool> connected_{false};
    std::atomic<bool> up_ended_{false};
    std::atomic<int> sides_{2};
    wf::TcpClient up_; // the first to go: nothing of it runs any more behind that
};

void Tunnels::add(Tunnel *tunnel) {
    std::lock_guard<std::mutex> lock(mutex_);
    all_.insert(tunnel);
}

void Tunnels::remove(Tunnel *tunnel) {
    std::lock_guard<std::mutex> lock(mutex_);
    all_.erase(tunnel);
    changed_.notify_all();
}

void Tunnels::close_all() {
    std::unique_lock<std::mutex> lock(mutex_);
    closing_ = true;
    for (Tunnel *tunnel : all_)
        tunnel->close_up();
    changed_.wait(lock, [this] { return all_.empty(); });
}

Tunnel::Tunnel(wf::Channel &down, Tunnels &tunnels) : tunnels_(tunnels), down_(&down) {
    tunnels.add(this);
    set_options(up_.options());
    this->set_up_events();
}

void Tunnel::set_up_events() {
    up_.on_established([this](wf::Channel &up) {
        up_channel_ = wf::ChannelPtr(&up);
        connected_ = true;
        down_->start_read();
    });
    up_.on_message([this](wf::Channel &, const wf::Frame &frame) { down_->send(frame.bytes); });
    // What waits for one side is what the other has sent.
    up_.events().high_water = [this](wf::Channel &) { down_->stop_read(); };
    up_.events().low_water = [this](wf::Channel &) { down_->start_read(); };
    up_.events().finished = [this](wf::Channel &) { down_->shutdown(); };
    up_.on_closed([this](wf::Channel &, CommCloseReason, int error) { up_closed(error != 0); });
    up_.on_failed([this](wf::TcpClient &, int state, int error, int) {
        if (!connected_) {
            fprintf(stderr, "no connection: %s\n", WFGlobal::get_error_string(state, error));
            this->up_closed(true);
        }
    });
}

void Tunnel::set_events(wf::TcpServer &server) {
    auto of = [](wf::Channel &down) { return down.context<Tunnel>().get(); };
    server.on_message([of](wf::Channel &down, const wf::Frame &frame) {
        of(down)->up_channel_->send(frame.bytes);
    });
    server.events().high_water = [of](wf::Channel &down) { of(down)->up_channel_->stop_read(); };
    server.events().low_water = [of](wf::Channel &down) { of(down)->up_channel_->start_read(); };
    server.events().finished = [of](wf::Channel &down) { of(down)->up_channel_->shutdown(); };
    server.on_closed(
        [of](wf::Channel &down, CommCloseReason, int error) { of(down)->down_closed(error != 0); });
}

void Tunnel::begin(const std::string &host, unsigned short port) {
    // The context knows the tunnel and does not own it.
    down_->set_context(std::shared_ptr<void>(std::shared_ptr<void>(), this));
    down_->stop_read(); // until there is somebody to pass it on to
    if (up_.connect(host, port) < 0) {
        perror("cannot connect");
        this->up_closed(true);
    }
}

// A break of one side is one of the other; an end in good order was passed on before.
void Tunnel::up_closed(bool broken) {
    if (broken)
        down_->reset();
    this->end_up();
}

void Tunnel::down_closed(bool broken) {
    if (broken || tunnels_.is_closing() || !connected_) {
        if (broken && connected_)
            up_channel_->reset();
        up_.close();
        this->end_up(); // nothing will tell of one that was never connected
    } else {
        up_.end(); // what was sent still goes; its end tells up_closed()
    }
    this->leave();
}

void Tunnel::end_up() {
    if (!up_ended_.exchange(true))
        this->leave();
}

void Tunnel::leave() {
    if (--sides_ == 0)
        WFTaskFactory::create_go_task("tunnel", [this] { delete this; })->start();
}

} // namespace

int main(int argc, char *argv[]) {
    unsigned short port = 0, target = 0;
    if (argc != 4 || !parse_port(argv[1], &port) || !*argv[2] || !parse_port(argv[3], &target) ||
        target == 0) {
        fprintf(stderr,
                "usage: %s PORT HOST TARGET\n"
                "Passes connections on PORT (0: a free one) on to port TARGET of HOST.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    std::string host = argv[2];
    Tunnels tunnels;
    wf::TcpServer server;
    set_options(server.options());
    Tunnel::set_events(server);
    server.on_established([&](wf::Channel &down) {
        (new Tunnel(down, tunnels))->begin(host, target); // frees itself
    });
    if (server.start(port) < 0) {
        perror("cannot start the server");
        return 1;
    }
    printf("listening on port %u; Ctrl-C ends\n", port_of(server));
    fflush(stdout);
    ctrl_c_group().wait();
    server.stop();
    tunnels.close_all();
    printf("stopped\n");
    return 0;
}
