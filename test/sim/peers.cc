// Weft - scripted peers: clients and servers that are polite, slow, silent, broken or rude
// SPDX-License-Identifier: Apache-2.0
//
// Each is a fiber with a stream of its own and no descriptor. A peer waits on its stream; it leaves
// when the program is over.
#include <algorithm>
#include <errno.h>
#include <map>
#include <string.h>

#include "datagrams.h"
#include "peer.h"

namespace sim {

std::string garbage(size_t size) {
    std::string bytes(size, '\0');
    for (char &c : bytes)
        c = static_cast<char>(world->rng.below(256));
    if (size > 0)
        bytes[0] = '#'; // never a frame
    return bytes;
}

namespace {

uint32_t peer_id() {
    static const uint32_t tag = 0x80000000u; // apart from the ids of the program's own requests
    return tag | static_cast<uint32_t>(world->rng.below(0x7fffffff));
}

struct Asked {
    uint32_t id;
    uint32_t want;
};

std::string some_requests(std::vector<Asked> *asked, int most) {
    Random &rng = world->rng;
    std::string bytes;
    int count = rng.number(1, most);
    for (int i = 0; i < count; i++) {
        Asked a = {peer_id(),
                   static_cast<uint32_t>(rng.spread(0, rng.percent(10) ? 100000 : 2000))};
        bytes +=
            make_frame(REQUEST, a.id, rng.spread(0, rng.percent(10) ? 70000 : 1000), a.want, 0);
        asked->push_back(a);
    }
    return bytes;
}

// Answers come in the order of the requests. Where nothing may go wrong, all of them come.
bool check_answers(Program *program, Peer *peer, const std::vector<Asked> &asked, bool all) {
    FrameParser parser;
    for (const Asked &a : asked) {
        int result = peer->read_frame(&parser);
        if (result <= 0) {
            if (all && program->polite && !program->gate)
                world->fail("a pipelined request was not answered");
            return false;
        }
        if (parser.head.kind == REJECTED)
            return false;
        if (parser.head.id != a.id || parser.head.size != a.want)
            world->fail("answers are out of order: %x instead of %x", parser.head.id, a.id);
    }
    return true;
}

// Or not at all, for longer than any limit.
void read_slowly(Peer *peer) {
    char some[1500];
    size_t most = world->rng.below(2) * world->rng.between(100, sizeof some);
    for (int i = 0; i < 80 && !world->ending; i++) {
        world->nap(1 * SEC);
        if (most > 0 && peer->read(some, most) <= 0)
            return;
    }
}

enum ClientScript {
    PIPELINE,
    HALF_CLOSE,
    DRIP,
    SILENT,
    BREAK_OFF,
    RUDE,
    LATE_READER,
    SLOW_READER,
    SECOND_THOUGHT,
    CLIENT_SCRIPTS
};

void play_client(Program *program, Peer *peer) {
    Random &rng = world->rng;
    std::vector<Asked> asked;
    auto script =
        static_cast<ClientScript>(program->polite ? rng.below(2) : rng.below(CLIENT_SCRIPTS));
    std::string bytes = some_requests(&asked, script == LATE_READER ? 20 : 6);
    if (script == SLOW_READER)
        bytes += make_frame(REQUEST, peer_id(), 0, rng.between(1000, 200000), 0);
    world->trace("plays client %d with %zu requests", script, asked.size());
    switch (script) {
    case PIPELINE:
        if (peer->write(bytes, 2 * MS))
            check_answers(program, peer, asked, true);
        break;
    case HALF_CLOSE:
        if (!peer->write(bytes, 2 * MS))
            break;
        peer->shut();
        check_answers(program, peer, asked, true);
        peer->wait_end();
        break;
    case DRIP:
        for (size_t i = 0; i < bytes.size() && i < 60; i++) {
            if (!peer->write(bytes.substr(i, 1), 0))
                return;
            world->nap(rng.spread(1 * US, 300 * MS));
        }
        peer->wait_end();
        break;
    case SILENT:
        peer->wait_end();
        break;
    case BREAK_OFF:
        peer->write(bytes.substr(0, rng.below(bytes.size() + 1)), 0);
        world->nap(rng.spread(1 * US, 50 * MS));
        if (rng.percent(50))
            peer->reset();
        break;
    case RUDE:
        peer->write(garbage(rng.spread(1, 20000)), 1 * MS);
        if (rng.percent(50)) { // the server's last word may come, and then an end
            FrameParser parser;
            while (peer->read_frame(&parser) > 0) {}
        }
        break;
    case LATE_READER:
        peer->write(bytes, 0);
        world->nap(rng.spread(1 * MS, 5 * SEC));
        if (rng.percent(70))
            check_answers(program, peer, asked, false);
        break;
    case SLOW_READER:
        if (peer->write(bytes, 0))
            read_slowly(peer);
        break;
    default:
        if (!peer->write(bytes, 0) || !check_answers(program, peer, asked, false))
            break;
        world->nap(rng.spread(1 * US, 4 * SEC));
        asked.clear();
        if (peer->write(some_requests(&asked, 3), 0))
            check_answers(program, peer, asked, false);
    }
}

enum ServerScript {
    ANSWERS,
    EARLY,
    TO_THE_END,
    NONSENSE,
    HALF,
    MUTE,
    HANGS_UP,
    TALKS_ON,
    SERVER_SCRIPTS
};

// One request. False when that was the last.
bool play_server(Peer *peer) {
    Random &rng = world->rng;
    FrameParser parser;
    auto script = static_cast<ServerScript>(rng.percent(40) ? 0 : rng.below(SERVER_SCRIPTS));
    if (script == HANGS_UP) {
        world->nap(rng.spread(1 * US, 20 * MS));
        if (rng.percent(50))
            peer->reset();
        return false;
    }
    if (script == EARLY) { // says what it has to say before it has heard the request
        peer->write(make_frame(REJECTED, 0, rng.spread(0, 500), 0, 0), 1 * MS);
        return rng.percent(50) && peer->read_frame(&parser) > 0;
    }
    if (peer->read_frame(&parser) <= 0)
        return false;
    std::string answer = make_frame(ANSWER, parser.head.id, parser.head.want, 0, 0);
    switch (script) {
    case TO_THE_END: {
        std::string body =
            make_frame(ANSWER, parser.head.id, parser.head.want + 100, 0, UNTIL_CLOSE);
        peer->write(body.substr(0, FRAME_HEAD + rng.below(parser.head.want + 100)), 1 * MS);
        return false;
    }
    case NONSENSE:
        peer->write(garbage(rng.spread(1, 3000)), 1 * MS);
        return false;
    case HALF:
        peer->write(answer.substr(0, rng.below(answer.size())), 1 * MS);
        world->nap(rng.spread(1 * US, 300 * MS));
        if (rng.percent(50))
            peer->reset();
        return false;
    case MUTE:
        peer->wait_end();
        return false;
    case TALKS_ON:
        peer->write(answer + garbage(rng.spread(1, 100)), 1 * MS);
        return false;
    default:
        if (rng.percent(20) && !peer->write(make_frame(PUSHED, 0, 9, 0, 0), 1 * MS))
            return false;
        return peer->write(answer, 3 * MS) && !rng.percent(10);
    }
}

} // namespace

// Some never come to the end of the handshake, some have never heard of it.
bool shake_hands(Program *program, Peer *peer) {
    Random &rng = world->rng;
    if (program->polite || rng.percent(80))
        return peer->secure(true);
    if (rng.percent(30))
        return true;
    peer->write(rng.percent(50) ? garbage(rng.spread(1, 100)) : std::string(rng.below(12), 'h'),
                1 * MS);
    world->nap(rng.spread(1 * US, 3 * SEC));
    if (rng.percent(30))
        peer->reset();
    else if (rng.percent(50))
        peer->wait_end();
    return false;
}

void spawn_client_peer(Program *program, Server *server) {
    uint16_t port = server->port();
    bool secure = server->is_secure();
    world->spawn("client", [program, port, secure]() {
        auto stream = std::make_shared<Stream>();
        Peer peer(stream);
        net->connect(stream, port);
        if (!peer.wait_connected())
            return;
        if (secure && !shake_hands(program, &peer))
            return;
        play_client(program, &peer);
    });
}

// Sends requests, some of them no messages at all, and looks at what comes back.
static void play_datagrams(Program *program, Datagrams *socket, uint16_t server) {
    Random &rng = world->rng;
    std::map<uint32_t, uint32_t> asked;
    for (int i = rng.number(1, 6); i > 0; i--) {
        uint32_t id = peer_id(), want = static_cast<uint32_t>(rng.spread(0, 2000));
        std::string bytes = make_frame(REQUEST, id, rng.spread(0, 1000), want, 0);
        if (!program->polite && rng.percent(20))
            bytes = rng.percent(50) ? garbage(rng.below(50)) : bytes.substr(0, bytes.size() / 2);
        else
            asked[id] = want;
        socket->send(bytes, server);
        if (rng.percent(50))
            world->nap(rng.spread(1 * US, 5 * MS));
    }
    Time until = world->now + rng.spread(1 * MS, 3 * SEC);
    while (!world->ending && world->now < until) {
        if (socket->queue.empty()) {
            world->wait(socket, until);
            continue;
        }
        std::string bytes = socket->queue.front().second;
        socket->queue.pop_front();
        FrameParser parser;
        size_t used = 0;
        if (parser.feed(bytes.data(), bytes.size(), &used) <= 0 || used != bytes.size())
            world->fail("a datagram is no whole answer: %s", parser.wrong);
        auto found = asked.find(parser.head.id);
        if (parser.head.kind == ANSWER &&
            (found == asked.end() || found->second != parser.head.size))
            world->fail("a datagram answers nothing that was asked");
    }
}

void spawn_datagram_peer(Program *program, Server *server) {
    uint16_t port = server->port();
    world->spawn("datagrams", [program, port]() {
        auto socket = std::make_shared<Datagrams>();
        socket->bind(net->free_port());
        play_datagrams(program, socket.get(), port);
        socket->closed();
    });
}

static void accept_all(Listener *listener,
                       const std::function<void(std::shared_ptr<Stream>)> &serve) {
    for (;;) {
        while (listener->queue.empty()) {
            if (listener->is_closed)
                return;
            world->wait(listener, NEVER);
        }
        std::shared_ptr<Stream> stream = listener->queue.front();
        listener->queue.pop_front();
        world->spawn("server", [stream, serve]() { serve(stream); });
    }
}

std::shared_ptr<Listener> spawn_listener(std::function<void(std::shared_ptr<Stream>)> serve) {
    auto listener = std::make_shared<Listener>();
    listener->port = net->free_port();
    listener->backlog = 64;
    net->listen(listener);
    world->spawn("acceptor", [listener, serve]() { accept_all(listener.get(), serve); });
    return listener;
}

std::shared_ptr<Listener> spawn_server_peer(Program *, bool secure) {
    return spawn_listener([secure](std::shared_ptr<Stream> stream) {
        Peer peer(stream);
        if (secure && world->rng.percent(95) && !peer.secure(false))
            return;
        while (!world->ending && play_server(&peer)) {}
    });
}

} // namespace sim
