// Weft - a program with a server and a client of channels that ends while they talk
// SPDX-License-Identifier: Apache-2.0
//
//   channel_exit_program return    main returns
//   channel_exit_program event     exit(7) is called in an event of the server
//   channel_exit_program coroutine main returns, and coroutines await messages
//
// Says a line for each channel that has ended.
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <unistd.h>

#include "workflow/WFFacilities.h"
#include "workflow/wf/coro_channel.h"
#include "workflow/wf/tcp_server.h"

static void say(const std::string &line) {
    std::string text = line + "\n";
    if (write(STDOUT_FILENO, text.data(), text.size()) < 0)
        abort();
}

// Both hear of the end.
static int converse() {
    static auto *server = new wf::TcpServer;
    static auto *talking = new WFFacilities::WaitGroup(1);
    wf::on_conversation(*server, [](wf::Conversation talk) -> wf::Task<void> {
        while (auto message = co_await talk.next())
            (void)co_await talk.send(std::move(*message));
        say("the server's has ended");
    });
    struct sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    if (server->start("127.0.0.1", 0) < 0 ||
        server->get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len) < 0)
        return 1;
    wf::spawn([port = ntohs(addr.sin_port)]() -> wf::Task<void> {
        auto talk = co_await wf::dial("127.0.0.1", port);
        (void)co_await talk.value.send("hello");
        if (co_await talk.value.next())
            talking->done();
        auto end = co_await talk.value.next();
        say(end.is_end() ? "the client's has ended" : "something else has come");
    });
    talking->wait();
    return 0;
}

int main(int argc, char *argv[]) {
    std::string how = argc > 1 ? argv[1] : "";
    if (how == "coroutine")
        return converse();
    // They outlive main, as the objects of programs that exit anywhere do.
    static auto *server = new wf::TcpServer;
    static auto *client = new wf::TcpClient;
    static auto *talking = new WFFacilities::WaitGroup(1);
    auto ended = [](wf::Channel &, CommCloseReason reason, int) {
        say(reason == CCR_ABORTED                                   ? "closed by the end"
            : reason == CCR_PEER_CLOSED || reason == CCR_PEER_RESET ? "closed by the peer"
                                                                    : "closed otherwise");
    };
    server->on_closed(ended);
    client->on_closed(ended);
    server->on_message([how](wf::Channel &channel, const wf::Frame &frame) {
        if (how == "event")
            exit(7);
        channel.send(frame.bytes);
    });
    client->on_established([](wf::Channel &channel) { channel.send("hello"); });
    client->on_message([](wf::Channel &, const wf::Frame &) { talking->done(); });
    struct sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    if (server->start("127.0.0.1", 0) < 0 ||
        server->get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len) < 0 ||
        client->connect("127.0.0.1", ntohs(addr.sin_port)) < 0)
        return 1;
    talking->wait();
    return 0;
}
