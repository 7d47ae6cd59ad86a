// Weft - tutorial 18: one UDP socket, many peers
// SPDX-License-Identifier: Apache-2.0
//
// Answers each datagram with how many came, and tells all peers something now and then. Page:
// docs/tutorial-18-udp_peers.md

#include <chrono>
#include <map>
#include <mutex>
#include <stdio.h>
#include <string>
#include <vector>

#include "workflow/wf/udp_socket.h"

#include "args.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t MAX_PEERS = 1000;
constexpr auto FORGET_AFTER = std::chrono::seconds(30);

// Who has sent something lately. Any thread.
class Peers {
public:
    // How many have come from there, this one included. 0: there is no room for another peer.
    unsigned long count(const wf::UdpPeer &from) {
        std::lock_guard<std::mutex> lock(mutex_);
        auto at = peers_.find(from.text());
        if (at == peers_.end() && peers_.size() >= MAX_PEERS)
            return 0;
        Known &known = at == peers_.end() ? peers_[from.text()] : at->second;
        known.peer = from;
        known.last = Clock::now();
        return ++known.datagrams;
    }
    void forget(const wf::UdpPeer &peer) {
        std::lock_guard<std::mutex> lock(mutex_);
        peers_.erase(peer.text());
    }
    // Without those that are silent for too long: they are forgotten.
    std::vector<wf::UdpPeer> list() {
        std::vector<wf::UdpPeer> all;
        std::lock_guard<std::mutex> lock(mutex_);
        for (auto at = peers_.begin(); at != peers_.end();) {
            if (Clock::now() - at->second.last > FORGET_AFTER) {
                at = peers_.erase(at);
                continue;
            }
            all.push_back(at->second.peer);
            ++at;
        }
        return all;
    }

private:
    struct Known {
        wf::UdpPeer peer;
        unsigned long datagrams = 0;
        Clock::time_point last;
    };

    std::mutex mutex_;
    std::map<std::string, Known> peers_;
};

class Meeting {
public:
    Meeting() {
        socket_.on_message([this](const wf::UdpPeer &from, std::string_view bytes) {
            this->take(from, std::string(bytes));
        });
    }
    wf::UdpSocket &socket() { return socket_; }

    void tell_all(const std::string &text) {
        for (const wf::UdpPeer &peer : peers_.list())
            socket_.send(peer, text); // one that cannot be reached is no reason to stop
    }
    void tick() {
        std::vector<wf::UdpPeer> all = peers_.list();
        std::string text = "tick, peers: " + std::to_string(all.size());
        for (const wf::UdpPeer &peer : all)
            socket_.send(peer, text);
    }

private:
    void take(const wf::UdpPeer &from, const std::string &text) {
        if (text == "leave") {
            peers_.forget(from);
            socket_.send(from, "left");
            return;
        }
        unsigned long count = peers_.count(from);
        if (count == 0)
            socket_.send(from, "sorry, too many peers");
        else if (text.compare(0, 4, "all ") == 0)
            this->tell_all(from.text() + " says " + text.substr(4));
        else
            socket_.send(from, std::to_string(count) + ": " + text);
    }

    Peers peers_;
    wf::UdpSocket socket_;
};

} // namespace

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    long every = 1000;
    if (argc < 2 || argc > 3 || !parse_port(argv[1], &port) ||
        (argc == 3 && !parse_number(argv[2], 1, 3600000, &every))) {
        fprintf(
            stderr,
            "usage: %s PORT [EVERY]\n"
            "Answers datagrams on PORT (0: a free one), and tells all peers how many they are,\n"
            "every EVERY milliseconds (1000). \"all TEXT\" goes to all, \"leave\" takes leave.\n",
            argv[0]);
        return 2;
    }

    watch_ctrl_c();
    Meeting meeting;
    if (meeting.socket().start(port) < 0) {
        perror("cannot start the server");
        return 1;
    }
    printf("listening on port %u; Ctrl-C ends\n", port_of(meeting.socket()));
    fflush(stdout);
    while (ctrl_c_group().wait(static_cast<int>(every)) == std::future_status::timeout)
        meeting.tick();
    meeting.socket().stop();
    printf("stopped\n");
    return 0;
}
