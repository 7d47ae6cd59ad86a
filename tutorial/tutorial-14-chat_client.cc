// Weft - tutorial 14: a chat client
// SPDX-License-Identifier: Apache-2.0
//
// Sends what is typed, prints what others say, and comes back when the server was away. Page:
// docs/tutorial-14-chat.md

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string>
#include <unistd.h>

#include "workflow/WFGlobal.h"
#include "workflow/wf/tcp_client.h"

#include "args.h"

namespace {

class ChatClient {
public:
    explicit ChatClient(const std::string &name) {
        if (pipe(over_) < 0)
            over_[0] = over_[1] = -1;
        client_.set_framing(wf::delimiter_framing());
        wf::ReconnectPolicy policy;
        policy.enabled = true;
        client_.set_reconnect(policy);
        client_.on_established([name](wf::Channel &channel) { channel.send(name); });
        client_.on_message([this](wf::Channel &, const wf::Frame &frame) {
            printf("%.*s\n", static_cast<int>(frame.bytes.size()), frame.bytes.data());
            fflush(stdout);
            if (frame.bytes.substr(0, 2) == "! ") // we are not wanted: no use in coming back
                this->give_up();
        });
        client_.on_failed([this](wf::TcpClient &, int state, int error, int delay) {
            const char *why = error ? WFGlobal::get_error_string(state, error) : "it has ended";
            fprintf(stderr, "no connection: %s\n", why);
            if (delay < 0)
                this->give_up();
            else
                fprintf(stderr, "next attempt in %d ms\n", delay);
        });
    }
    ~ChatClient() {
        client_.end();
        client_.wait();
        ::close(over_[0]);
        ::close(over_[1]);
    }

    bool connect(const char *host, unsigned short port) { return client_.connect(host, port) == 0; }

    // Until the input ends, or a signal comes: true. False when there is no use in going on.
    bool talk() {
        struct pollfd both[2] = {{STDIN_FILENO, POLLIN, 0}, {over_[0], POLLIN, 0}};
        sigset_t none;
        sigemptyset(&none);
        for (;;) {
            // Signals are blocked but in here.
            if (ppoll(both, 2, nullptr, &none) < 0)
                return errno == EINTR;
            if (both[1].revents)
                return false;
            if (both[0].revents && !this->read_input())
                return true;
        }
    }

private:
    void give_up() {
        client_.end();
        if (write(over_[1], "x", 1) < 0)
            perror("write");
    }

    bool read_input() {
        char some[4096];
        ssize_t n = read(STDIN_FILENO, some, sizeof some);
        if (n <= 0)
            return false;
        typed_.append(some, static_cast<size_t>(n));
        for (size_t end; (end = typed_.find('\n')) != std::string::npos; typed_.erase(0, end + 1)) {
            if (client_.send(std::string_view(typed_).substr(0, end)) < 0)
                fprintf(stderr, "not sent: %s\n", strerror(errno));
        }
        return true;
    }

    int over_[2];
    std::string typed_;
    wf::TcpClient client_;
};

} // namespace

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc != 4 || !parse_port(argv[2], &port) || port == 0 || !*argv[1] || !*argv[3]) {
        fprintf(stderr,
                "usage: %s HOST PORT NAME\n"
                "Takes part in a chat: sends the lines of its input, prints those of the others.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    block_signals();
    ChatClient client(argv[3]);
    if (!client.connect(argv[1], port)) {
        perror("cannot connect");
        return 1;
    }
    return client.talk() ? 0 : 1;
}
