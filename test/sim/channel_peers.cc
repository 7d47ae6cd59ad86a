// Weft - scripted peers of channels: polite, slow, silent, broken or rude
// SPDX-License-Identifier: Apache-2.0
#include "channels.h"
#include "peer.h"

namespace sim {

namespace {

enum PeerEnd { HALF_CLOSE, READ_ON, CLOSE, RESET, STALL, RUBBISH, IN_THE_MIDDLE, PEER_ENDS };

// One conversation.
class Partner {
public:
    Partner(Program *program, Peer *peer)
        : program_(program), peer_(peer), reader_(program->talk.get()),
          key_(program->talk->make_key()), ledger_(program->talk->find_ledger(key_)) {}

    std::string next() {
        return this->next(world->rng.spread(0, world->rng.percent(10) ? 60000 : 1500));
    }
    std::string next(size_t size) {
        return make_record(SAID, key_, 0, ++ledger_->lines[0].most, size);
    }
    void sent() { ledger_->lines[0].good = ledger_->lines[0].most; }
    bool say() { return this->say(this->next()); }
    bool say(const std::string &record) {
        if (!peer_->write(record, 1 * MS))
            return false;
        this->sent();
        return true;
    }
    // What there is; or, with `all`, to the end. False when nothing more will come.
    bool hear(bool all) {
        char buf[4096];
        while (all || peer_->has_bytes()) {
            size_t size = world->rng.percent(20) ? world->rng.between(1, sizeof buf) : sizeof buf;
            ssize_t n = peer_->read_on(buf, size);
            if (n == 0 ||
                (n < 0 && peer_->was_cut())) // a channel ended in good order cuts nothing off
                reader_.ended();
            if (n <= 0)
                return false;
            if (!reader_.feed(buf, static_cast<size_t>(n)))
                return false; // a secure channel that came to the wrong place
        }
        return true;
    }
    void talk() {
        Random &rng = world->rng;
        for (int i = static_cast<int>(rng.spread(0, 12)); i > 0; i--) {
            if (rng.percent(60) && !this->say())
                return;
            if (rng.percent(60) && !this->hear(false))
                return;
            if (rng.percent(40))
                world->nap(rng.spread(1 * US, rng.percent(10) ? 3 * SEC : 20 * MS));
        }
        this->end(static_cast<PeerEnd>(rng.below(program_->polite ? 2 : PEER_ENDS)));
    }

    // Says little, at the moments at which others do.
    void sing() {
        Random &rng = world->rng;
        for (int i = rng.number(2, 20); i > 0; i--) {
            world->nap(10 * MS - world->now % (10 * MS));
            if (rng.percent(80) && !this->say(this->next(rng.spread(0, 200))))
                return;
            if (rng.percent(50) && !this->hear(false))
                return;
        }
        this->end(static_cast<PeerEnd>(rng.below(program_->polite ? 2 : PEER_ENDS)));
    }

private:
    void end(PeerEnd how) {
        Random &rng = world->rng;
        world->trace("a peer of a channel ends with %d", how);
        switch (how) {
        case HALF_CLOSE:
            if (peer_->shut())
                ledger_->is_whole = true;
            this->hear(true);
            break;
        case READ_ON:
            this->hear(true);
            break;
        case CLOSE:
            break;
        case RESET:
            peer_->reset();
            break;
        case STALL:
            for (int i = program_->patient ? 80 : rng.number(1, 15); i > 0 && !world->ending; i--)
                world->nap(1 * SEC);
            if (rng.percent(50))
                this->hear(true);
            break;
        case RUBBISH:
            peer_->write(garbage(rng.spread(1, 20000)), 1 * MS);
            this->hear(true);
            break;
        default: {
            std::string bytes = this->next();
            peer_->write(bytes.substr(0, rng.below(bytes.size())), 0);
            world->nap(rng.spread(1 * US, 5 * SEC));
            if (rng.percent(50))
                peer_->shut();
            else if (rng.percent(30))
                peer_->reset();
        }
        }
    }

    Program *program_;
    Peer *peer_;
    Reader reader_;
    uint32_t key_;
    Ledger *ledger_;
};

// Asks for the channel, and may not wait for the answer. False when there will be none.
bool upgrade(Partner *partner, Peer *peer) {
    Random &rng = world->rng;
    uint32_t id = 0x40000000u | static_cast<uint32_t>(rng.below(0x3fffffff));
    std::string bytes = make_frame(REQUEST, id, rng.spread(0, 1000),
                                   rng.spread(0, rng.percent(10) ? 100000 : 1000), UPGRADE);
    bool early = rng.percent(40);
    if (early)
        bytes += partner->next();
    if (!peer->write(bytes, 1 * MS))
        return false;
    if (early)
        partner->sent();
    FrameParser parser;
    return peer->read_frame(&parser) > 0 && parser.head.kind == ANSWER && parser.head.id == id;
}

} // namespace

void spawn_channel_peer(Program *program, Server *server, bool upgrades, bool chorus) {
    uint16_t port = server->port();
    bool secure = server->is_secure();
    world->spawn("partner", [program, port, secure, upgrades, chorus]() {
        auto stream = std::make_shared<Stream>();
        Peer peer(stream);
        net->connect(stream, port);
        if (!peer.wait_connected())
            return;
        if (secure && !shake_hands(program, &peer))
            return;
        Partner partner(program, &peer);
        if (upgrades && !upgrade(&partner, &peer))
            return;
        if (chorus)
            partner.sing();
        else
            partner.talk();
    });
}

std::shared_ptr<Listener> spawn_channel_listener(Program *program, bool secure) {
    return spawn_listener([program, secure](std::shared_ptr<Stream> stream) {
        Peer peer(stream);
        if (secure && (program->polite || world->rng.percent(95)) && !peer.secure(false))
            return;
        Partner(program, &peer).talk();
    });
}

void Program::spawn_peer(Server *server) {
    bool upgrade = !server->channels && world->rng.percent(40);
    if (server->datagrams)
        spawn_datagram_peer(this, server);
    else if (server->channels && world->rng.percent(60))
        for (int i = world->rng.number(3, 12); i > 0; i--)
            spawn_channel_peer(this, server, false, true);
    else if (server->channels || upgrade)
        spawn_channel_peer(this, server, upgrade, false);
    else
        spawn_client_peer(this, server);
}

} // namespace sim
