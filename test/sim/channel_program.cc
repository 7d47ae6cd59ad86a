// Weft - what the simulated program has to do with channels: groups, clients, broadcasts, references that stay
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <errno.h>
#include <netinet/in.h>

#include "channels.h"
#include "kernel/sys.h"

namespace sim {

namespace {

constexpr size_t MOST_HELD = 40;

int some_time(unsigned chance, uint64_t most) {
    Random &rng = world->rng;
    return rng.percent(chance) ? static_cast<int>(rng.spread(1, most)) : -1;
}

void release_piece(CommPiece *base) {
    Piece *piece = static_cast<Piece *>(base);
    if (piece->released)
        world->fail("a piece is released twice");
    piece->released = true;
    piece->bytes.assign(piece->bytes.size(), '!'); // nobody may look at it any more
    piece->talk->program->user_code("the release of a piece");
}

void release_parcel(void *owner) {
    Parcel *parcel = static_cast<Parcel *>(owner);
    if (parcel->released)
        world->fail("what was broadcast is released twice");
    parcel->released = true;
    parcel->bytes.assign(parcel->bytes.size(), '!');
    parcel->talk->program->user_code("the release of a broadcast");
}

} // namespace

bool is_own(const CommPiece *piece) { return piece && piece->release == release_piece; }

Lounge::Lounge(int fibers) {
    for (int i = 0; i < fibers; i++)
        world->spawn("lounge", [this]() { this->work(); });
}

void Lounge::work() {
    running_++;
    for (;;) {
        if (queue_.empty()) {
            running_--;
            world->wake(&running_, 100);
            if (leaving_)
                return;
            world->wait(this, NEVER);
            running_++;
            continue;
        }
        auto [routine, context] = queue_.front();
        queue_.pop_front();
        routine(context);
    }
}

void Lounge::schedule(void (*routine)(void *), void *context) {
    if (waited_)
        world->fail("the program's executor is given something behind its end");
    world->point(AT_CALL);
    queue_.emplace_back(routine, context);
    world->wake(this, 1);
}

void Lounge::wait() {
    while (!queue_.empty() || running_ > 0)
        world->wait(&running_, NEVER);
    waited_ = true;
}

void Lounge::leave() {
    leaving_ = true;
    world->wake(this, 100);
}

Talk::Talk(Program *program_in) : program(program_in), answers(world->rng.percent(50)) {}

Talk::~Talk() {}

CommChannelOptions Talk::draw_options() {
    Random &rng = world->rng;
    bool polite = program->polite;
    CommChannelOptions o;
    o.high_water = rng.percent(50) ? 0 : rng.spread(1, 100000);
    o.low_water = rng.below(o.high_water + 1);
    o.half_open = rng.percent(40);
    o.tell_written = rng.percent(40);
    o.tell_connecting = rng.percent(40);
    o.heartbeat = some_time(40, 3000);
    if (o.heartbeat >= 0)
        o.heartbeat = std::max(o.heartbeat, 10); // a run has an end of steps
    o.min_receive_rate = o.min_send_rate = 0;
    o.first_byte_timeout = o.first_message_timeout = -1;
    o.finish_timeout = polite ? 600000 : static_cast<int>(rng.spread(1, 6000));
    o.backlog_limit = polite ? 0 : rng.below(2) * rng.spread(1, 20000);
    if (polite)
        return o;
    o.idle_timeout = some_time(30, 4000);
    o.receive_timeout = some_time(30, 4000);
    o.first_byte_timeout = some_time(50, 4000);
    o.first_message_timeout = some_time(50, 4000);
    o.message_timeout = some_time(30, 4000);
    o.min_receive_rate = static_cast<int>(rng.below(2) * rng.spread(10, 20000));
    o.min_send_rate = static_cast<int>(rng.below(2) * rng.spread(10, 20000));
    return o;
}

void Talk::make_groups() {
    Random &rng = world->rng;
    for (int i = rng.number(1, 2); i > 0; i--) {
        size_t limit = program->polite || rng.percent(60) ? 0 : rng.spread(100, 200000);
        CommChannelGroup *group;
        CommChannelOptions options = this->draw_options();
        do
            group = CommChannelGroup::create(options, limit);
        while (!group); // until there is memory
        groups_.push_back(group);
    }
}

void Talk::make_targets(const std::vector<uint16_t> &ports, const std::set<uint16_t> &secure) {
    Random &rng = world->rng;
    std::vector<uint16_t> all = ports;
    if (!program->polite && rng.percent(30))
        all.push_back(rng.percent(30) ? PORT_SILENT : rng.percent(50) ? PORT_REFUSED : PORT_SELF);
    std::set<uint16_t> toys = secure;
    if (rng.percent(50)) {
        bool toy = rng.percent(30);
        raw.push_back(spawn_channel_listener(program, toy));
        all.push_back(raw.back()->port);
        if (toy)
            toys.insert(all.back());
    }
    for (uint16_t port : all) {
        struct sockaddr_in addr = {};
        addr.sin_family = AF_INET;
        addr.sin_port = htons(port);
        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        targets_.push_back(std::make_unique<Target>(program, true));
        Target *target = targets_.back().get();
        target->connect_ms = program->polite ? 60000 : static_cast<int>(rng.spread(1, 4000));
        while (target->init(reinterpret_cast<struct sockaddr *>(&addr), sizeof addr,
                            target->connect_ms, -1, rng.spread(1, 8)) < 0) {}
        bool astray = !program->polite && rng.percent(10);
        if (toys.count(port) || astray)
            target->secure(program->polite ? 60000 : static_cast<int>(rng.spread(1, 4000)));
    }
}

uint32_t Talk::make_key() {
    ledgers_[++last_key_] = std::make_shared<Ledger>();
    return last_key_;
}

Ledger *Talk::find_ledger(uint32_t key) {
    auto found = ledgers_.find(key);
    return found == ledgers_.end() ? nullptr : found->second.get();
}

Piece *Talk::make_piece(std::string bytes) {
    pieces_.push_back(std::make_unique<Piece>());
    Piece *piece = pieces_.back().get();
    piece->talk = this;
    piece->bytes = std::move(bytes);
    piece->next = nullptr;
    piece->data = piece->bytes.data();
    piece->size = piece->bytes.size();
    piece->release = release_piece;
    return piece;
}

// Keeps a reference of its own, for a while or to the end.
void Talk::hold(Chat *chat) {
    chat->ref();
    sys_lock(&holding_);
    held_.push_back(chat);
    bool full = held_.size() > MOST_HELD;
    sys_unlock(&holding_);
    if (full)
        this->drop();
}

void Talk::drop() {
    Chat *chat = nullptr;
    sys_lock(&holding_);
    if (!held_.empty()) {
        size_t i = world->rng.below(held_.size());
        chat = held_[i];
        held_[i] = held_.back();
        held_.pop_back();
    }
    sys_unlock(&holding_);
    if (chat)
        chat->unref();
}

// With a reference: counting is a step of its own, and nobody may drop the last one before.
Chat *Talk::any_held() {
    Chat *chat = nullptr;
    sys_lock(&holding_);
    if (!held_.empty()) {
        chat = held_[world->rng.below(held_.size())];
        chat->ref();
    }
    sys_unlock(&holding_);
    return chat;
}

CommChannel *Talk::new_channel() {
    program->user_code("new_channel");
    if (world->rng.ppm(world->tuning.session_error))
        return nullptr;
    Chat *chat = new Chat(this);
    if (world->rng.percent(70))
        this->hold(chat);
    program->user_code("new_channel, leaving");
    return chat;
}

CommChannel *Server::new_channel(CommConnection *) { return program->talk->new_channel(); }

void Talk::hand_over(CommSession *session) {
    Chat *chat = new Chat(this);
    if (world->rng.percent(70))
        this->hold(chat);
    if (session->hand_over(chat, this->any_group()) < 0) {
        // Its connection may have ended before the program has seen it.
        if (program->polite && errno != ENOENT)
            world->fail("a session cannot be handed over: %d", errno);
        chat->unref();
        return;
    }
    if (world->rng.percent(20) && session->hand_over(chat, this->any_group()) == 0)
        world->fail("a session is handed over twice");
}

void Talk::connect() {
    if ((program->gate && !sys_self()) || targets_.empty())
        return;
    Target *target = targets_[world->rng.below(targets_.size())].get();
    Chat *chat = new Chat(this);
    chat->is_client = true;
    chat->connect_ms = target->connect_ms;
    chat->begun = world->now;
    if (world->rng.percent(70))
        this->hold(chat);
    CommTarget *tried;
    if (program->sched.connect(chat, target, this->any_group(), &tried) == 0)
        return;
    if (errno == 0)
        world->fail("a channel cannot connect, and nobody knows why");
    chat->unref();
}

void Talk::broadcast() {
    Random &rng = world->rng;
    if (program->gate && !sys_self())
        return;
    // In order are those of one thread through one group, whosever the channels are.
    size_t which = rng.below(groups_.size());
    CommChannelGroup *group = groups_[which];
    uint32_t from = world->current()->id * 2 + static_cast<uint32_t>(which);
    uint32_t number = ++broadcasts_[from];
    parcels_.push_back(std::make_unique<Parcel>());
    Parcel *parcel = parcels_.back().get();
    parcel->talk = this;
    parcel->bytes = make_record(BROADCAST, 0, from, number, rng.spread(0, 3000));
    const char *data = parcel->bytes.data();
    size_t size = parcel->bytes.size();
    world->trace("broadcasts number %u as thread %u, %zu bytes", number, from, size);
    if (rng.percent(50)) {
        group->broadcast(data, size, release_parcel, parcel);
        return;
    }
    std::vector<Chat *> chats;
    std::vector<CommChannel *> channels;
    sys_lock(&holding_);
    for (Chat *chat : held_) {
        if (rng.percent(50) && std::find(chats.begin(), chats.end(), chat) == chats.end()) {
            chat->ref();
            chats.push_back(chat);
        }
    }
    sys_unlock(&holding_);
    for (Chat *chat : chats) {
        channels.push_back(chat);
        if (chat->established)
            chat->ledger->owed[from].push_back(number);
        world->trace("to channel %u", chat->key);
    }
    int result =
        group->broadcast(channels.data(), channels.size(), data, size, release_parcel, parcel);
    for (Chat *chat : chats) {
        std::deque<uint32_t> &owed = chat->ledger->owed[from];
        if (result < 0 && !owed.empty() && owed.back() == number)
            owed.pop_back();
        chat->unref();
    }
}

void Talk::find() {
    if (ids.empty())
        return;
    uint64_t id = ids[world->rng.below(ids.size())];
    CommChannel *channel = CommChannel::find(id);
    if (!channel)
        return;
    if (channel->get_id() != id)
        world->fail("a channel is found by an id that is not its own");
    static_cast<Chat *>(channel)->act();
    channel->unref();
}

void Talk::operation() {
    Random &rng = world->rng;
    switch (rng.below(10)) {
    case 0:
    case 1:
        this->connect();
        break;
    case 2:
    case 3:
        this->broadcast();
        break;
    case 4:
        this->find();
        break;
    case 5:
        if (rng.percent(30))
            this->drop();
        break;
    case 6: {
        CommChannel *some[4];
        size_t n = this->any_group()->list(some, rng.below(5));
        while (n > 0)
            some[--n]->unref();
        break;
    }
    default:
        if (Chat *chat = this->any_held()) {
            if (chat->closed)
                chat->bother();
            else
                chat->act();
            chat->unref();
        }
    }
}

bool Talk::wind_up() {
    std::deque<uint64_t> known = ids;
    for (uint64_t id : known) {
        if (CommChannel *channel = CommChannel::find(id)) {
            static_cast<Chat *>(channel)->end_sending();
            static_cast<Chat *>(channel)->pause(false);
            channel->unref();
        }
    }
    return open == 0;
}

void Talk::check_unbound() {
    for (uint64_t id : ids) {
        CommChannel *channel = CommChannel::find(id);
        if (!channel)
            continue;
        Chat *chat = static_cast<Chat *>(channel);
        if (!chat->is_client && chat->established_at + 60 * SEC < world->now)
            world->fail("channel %u outlives its service", chat->key);
        chat->unref();
    }
}

void Talk::bother_all() {
    std::vector<CommChannel *> channels;
    for (Chat *chat : held_) {
        chat->bother();
        channels.push_back(chat);
    }
    for (uint64_t id : ids) {
        if (CommChannel::find(id))
            world->fail("a channel is found behind the end of the engine");
    }
    parcels_.push_back(std::make_unique<Parcel>());
    Parcel *parcel = parcels_.back().get();
    parcel->talk = this;
    groups_[0]->broadcast(channels.data(), channels.size(), parcel->bytes.data(), 0, release_parcel,
                          parcel);
    for (CommChannelGroup *group : groups_) {
        if (group->get_count() > 0 || group->get_backlog() > 0)
            world->fail("a group is left with %zu channels and %zu bytes", group->get_count(),
                        group->get_backlog());
    }
}

void Talk::tear_down() {
    while (!held_.empty())
        this->drop();
    for (auto &target : targets_) {
        check_target(target.get());
        target->deinit();
    }
    for (CommChannelGroup *group : groups_)
        group->unref();
    if (alive > 0 || open > 0)
        world->fail("left over: %ld channels, %ld of them not ended", alive, open);
    for (auto &piece : pieces_) {
        if (!piece->released)
            world->fail("a piece was not released");
    }
    for (auto &parcel : parcels_) {
        if (!parcel->released)
            world->fail("what was broadcast was not released");
    }
    for (auto &[key, ledger] : ledgers_) {
        for (auto &[from, line] : ledger->lines) {
            if (ledger->is_whole && ledger->heard_end && line.heard != line.good)
                world->fail("of channel %u's %u records of thread %u %u have arrived", key,
                            line.good, from, line.heard);
        }
    }
}

} // namespace sim
