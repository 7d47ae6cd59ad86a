// Weft - tutorial 14: a chat server
// SPDX-License-Identifier: Apache-2.0
//
// Lines. The first of a connection is a name; each further one goes to all. Page:
// docs/tutorial-14-chat.md

#include <ctype.h>
#include <mutex>
#include <set>
#include <stdio.h>
#include <string>

#include "workflow/wf/tcp_server.h"

#include "args.h"

namespace {

constexpr size_t MAX_NAME = 20;
constexpr size_t MAX_TEXT = 1000;
constexpr size_t MAX_LINE = MAX_TEXT + MAX_NAME + 20; // with what we put in front of a text
constexpr size_t MAX_BEHIND = 1024 * 1024;

// Who is here. Any thread.
class Names {
public:
    bool take(const std::string &name) {
        std::lock_guard<std::mutex> lock(mutex_);
        return names_.insert(name).second;
    }
    void give_back(const std::string &name) {
        std::lock_guard<std::mutex> lock(mutex_);
        names_.erase(name);
    }
    size_t count() {
        std::lock_guard<std::mutex> lock(mutex_);
        return names_.size();
    }

private:
    std::mutex mutex_;
    std::set<std::string> names_;
};

bool is_name(std::string_view text) {
    for (char c : text) {
        if (!isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_')
            return false;
    }
    return !text.empty() && text.size() <= MAX_NAME;
}

class Chat {
public:
    Chat() {
        server_.set_framing(wf::delimiter_framing("\n", MAX_LINE));
        server_.options().high_water = MAX_BEHIND;
        server_.options().low_water = MAX_BEHIND / 2;
        server_.on_message([this](wf::Channel &channel, const wf::Frame &frame) {
            if (auto name = channel.context<std::string>())
                this->say(channel, *name, frame.bytes);
            else
                this->welcome(channel, frame.bytes);
        });
        // So much waits for this one: it reads nothing any more, or far too slowly.
        server_.events().high_water = [](wf::Channel &channel) { channel.close(); };
        server_.on_closed([this](wf::Channel &channel, CommCloseReason, int) {
            auto name = channel.context<std::string>();
            if (!name)
                return;
            names_.give_back(*name);
            server_.broadcast("* " + *name + " has left");
        });
    }
    wf::TcpServer &server() { return server_; }

private:
    static void refuse(wf::Channel &channel, const char *why) {
        channel.send(std::string("! ") + why);
        channel.shutdown(); // behind that line
    }

    void welcome(wf::Channel &channel, std::string_view text) {
        if (channel.get_state() != CCS_CONNECTED) // it was refused, and speaks on
            return;
        if (!is_name(text)) {
            refuse(channel, "a name is 1 to 20 letters, digits, '-' and '_'");
            return;
        }
        auto name = std::make_shared<std::string>(text);
        if (!names_.take(*name)) {
            refuse(channel, "this name is taken");
            return;
        }
        channel.set_context(name);
        server_.broadcast("* " + *name + " is here, " + std::to_string(names_.count()) + " in all");
    }

    void say(wf::Channel &channel, const std::string &name, std::string_view text) {
        if (text == "/quit")
            channel.close();
        else if (text.size() > MAX_TEXT)
            channel.send("? a line has at most 1000 bytes");
        else if (!text.empty())
            server_.broadcast(name + ": " + std::string(text));
    }

    Names names_;
    wf::TcpServer server_;
};

} // namespace

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc != 2 || !parse_port(argv[1], &port)) {
        fprintf(stderr,
                "usage: %s PORT\n"
                "Lets everybody who connects to PORT (0: a free one) talk with each other.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    Chat chat;
    if (chat.server().start(port) < 0) {
        perror("cannot start the server");
        return 1;
    }
    printf("listening on port %u; Ctrl-C ends\n", port_of(chat.server()));
    fflush(stdout);
    ctrl_c_group().wait();
    chat.server().stop();
    printf("stopped\n");
    return 0;
}
