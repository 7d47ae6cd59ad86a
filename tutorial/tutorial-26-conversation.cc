// Weft - tutorial 26: conversations as coroutines: a room where people talk, and a visitor
// SPDX-License-Identifier: Apache-2.0
//
//   conversation serve PORT SECONDS
//   conversation visit HOST PORT NAME LINE...
//
// Lines. The server asks who has come, waits for the name SECONDS at most, and then passes on to
// all what each says. The page is docs/tutorial-26-conversation.md.
#include <algorithm>
#include <mutex>
#include <stdio.h>
#include <string>
#include <vector>

#include "workflow/wf/coro_channel.h"
#include "workflow/wf/tcp_server.h"

#include "args.h"

namespace {

constexpr size_t MAX_LINE = 1000;

// Who is here. Any thread.
class Room {
public:
    void enter(const wf::Conversation &talk) {
        std::lock_guard<std::mutex> lock(mutex_);
        here_.push_back(talk);
    }
    void leave(const wf::Conversation &talk) {
        std::lock_guard<std::mutex> lock(mutex_);
        here_.erase(std::find(here_.begin(), here_.end(), talk));
    }
    // Nobody waits for somebody else here, so whoever is too far behind has to go.
    void say(const std::string &text) {
        std::lock_guard<std::mutex> lock(mutex_);
        for (const wf::Conversation &talk : here_) {
            if (talk.try_send(text) < 0)
                talk.close();
        }
    }

private:
    std::mutex mutex_;
    std::vector<wf::Conversation> here_;
};

// One visitor, from the first word to the last. When it returns, the connection ends behind what
// was sent.
wf::Task<void> receive(Room *room, std::chrono::seconds patience, wf::Conversation talk) {
    (void)co_await talk.send("who are you?");
    wf::Incoming name = co_await wf::with_timeout(patience, talk.next());
    if (name.is_timeout() && !name.is_end())
        (void)co_await talk.send("too late");
    if (!name)
        co_return;

    room->enter(talk);
    room->say("* " + name->bytes + " is here");
    while (wf::Incoming line = co_await talk.next())
        room->say(name->bytes + ": " + line->bytes);
    room->leave(talk);
    room->say("* " + name->bytes + " has left");
}

int serve(unsigned short port, std::chrono::seconds patience) {
    watch_ctrl_c();
    Room room;
    wf::TcpServer server;
    server.set_framing(wf::delimiter_framing("\n", MAX_LINE));
    wf::on_conversation(server, [&room, patience](wf::Conversation talk) {
        return receive(&room, patience, std::move(talk));
    });
    if (server.start(port) < 0) {
        perror("cannot start the server");
        return 1;
    }
    printf("listening on port %u; Ctrl-C ends\n", port_of(server));
    fflush(stdout);
    ctrl_c_group().wait();
    server.stop(); // behind the last coroutine
    printf("stopped\n");
    return 0;
}

// Says its lines, then listens until the server ends.
wf::Task<int> visit(std::string host, unsigned short port, std::vector<std::string> lines) {
    wf::DialOptions options;
    options.framing = wf::delimiter_framing("\n", 2 * MAX_LINE);
    wf::Result<wf::Conversation> dialed = co_await wf::dial(host, port, options);
    if (!dialed) {
        fprintf(stderr, "%s: %s\n", host.c_str(), dialed.message().c_str());
        co_return 1;
    }
    wf::Conversation talk = dialed.value;
    for (std::string &line : lines) {
        wf::Status sent = co_await talk.send(std::move(line));
        if (!sent) {
            fprintf(stderr, "cannot send: %s\n", sent.message().c_str());
            co_return 1;
        }
    }
    talk.end();
    wf::Incoming heard;
    while ((heard = co_await talk.next()))
        printf("%s\n", heard->bytes.c_str());
    co_return heard.error == EPIPE ? 0 : 1; // in good order, or not
}

} // namespace

int main(int argc, char *argv[]) {
    std::string what = argc > 1 ? argv[1] : "";
    unsigned short port = 0;
    long seconds = 0;
    if (what == "serve" && argc == 4 && parse_port(argv[2], &port) &&
        parse_number(argv[3], 1, 3600, &seconds))
        return serve(port, std::chrono::seconds(seconds));
    if (what == "visit" && argc >= 5 && parse_port(argv[3], &port))
        return wf::run(visit(argv[2], port, std::vector<std::string>(argv + 4, argv + argc)));
    fprintf(stderr,
            "usage: %s serve PORT SECONDS\n"
            "       %s visit HOST PORT NAME LINE...\n"
            "Lets everybody who connects to PORT (0: a free one) talk with each other.\n",
            argv[0], argv[0]);
    return 2;
}
