// Weft - the channels of the simulated program, and what passes through them
// SPDX-License-Identifier: Apache-2.0
//
// Bytes of a channel are records: a head of 16 bytes, and a body whose every byte follows from who
// has sent it, as which of his, and its place. A Ledger is kept for each direction of each
// conversation: what its sender has tried and was promised, and what the other side has heard. So a
// hole, a repetition, bytes of another conversation, and two records of one thread out of order are
// seen by whoever reads them.
#ifndef WEFT_TEST_SIM_CHANNELS_H
#define WEFT_TEST_SIM_CHANNELS_H

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "program.h"
#include "workflow/CommChannel.h"

namespace sim {

class Peer;
class Talk;

enum RecordKind : uint8_t { SAID = 'S', BROADCAST = 'B' };

struct RecordHead {
    uint8_t kind;
    uint8_t zero;
    uint16_t size; // of the body
    uint32_t key;  // of the sender's ledger; of a broadcast: 0
    uint32_t from; // which thread
    uint32_t number;
};

constexpr size_t RECORD_HEAD = sizeof(RecordHead);
static_assert(RECORD_HEAD == 16);

std::string make_record(RecordKind kind, uint32_t key, uint32_t from, uint32_t number, size_t size);

// What one side of a conversation says.
struct Ledger {
    struct Line {
        uint32_t good = 0;  // the last that was accepted
        uint32_t most = 0;  // the last that was tried
        uint32_t heard = 0; // by the other side
    };
    std::map<uint32_t, Line> lines; // by thread
    // Broadcasts that were sent to this channel by name: not to be passed over by a later one of
    // the same thread.
    std::map<uint32_t, std::deque<uint32_t>> owed;
    std::map<uint32_t, uint32_t> last_broadcast; // heard
    bool is_whole = false;  // ended in good order: the other side must hear all of it
    bool heard_end = false; // and it has heard the end
};

// Takes what comes, and looks at each byte.
class Reader {
public:
    explicit Reader(Talk *talk) : talk_(talk) {}
    // False for what a hostile peer may say; what nobody may say fails the run.
    bool feed(const char *bytes, size_t size);
    bool is_inside() const { return taken_ > 0; }
    // The stream has come to a good end.
    void ended();

    size_t records = 0;

private:
    void begin();
    void note_broadcast(uint32_t from, uint32_t number);

    Talk *talk_;
    Ledger *ledger_ = nullptr;
    RecordHead head_ = {};
    size_t taken_ = 0;
    size_t total_ = 0;
    std::vector<std::pair<uint32_t, uint32_t>> early_; // broadcasts before the sender was known
};

// Freed at the end of the run, so that whoever lets it go twice is seen.
struct Piece : CommPiece {
    Talk *talk;
    std::string bytes;
    bool released = false;
};

struct Parcel {
    Talk *talk;
    std::string bytes;
    bool released = false;
};

class Chat : public CommChannel {
public:
    explicit Chat(Talk *talk);
    // Something that a program may do with a channel, at any time.
    void act();
    void say();
    void say(size_t size);
    void end_sending();
    void pause(bool stop);
    // Whatever is asked of it, it must refuse.
    void bother();

    int connect_ms = -1; // of a client
    Time begun = 0;
    bool is_client = false;
    Time established_at = 0;
    bool established = false, closed = false;
    const uint32_t key;
    Ledger *const ledger;

private:
    ~Chat() override;
    int receive(const char *buf, size_t *size) override;
    int finish(const char *buf, size_t size) override;
    void handle(const CommChannelEvent &event) override;
    void check_order(const CommChannelEvent &event);
    void on_established();
    void on_closed(const CommChannelEvent &event);
    void look_at_left(const char *buf, size_t size);
    int send_somehow(const std::string &bytes);
    CommPiece *cut(const std::string &bytes);
    void end_it();
    void look();
    void later(std::function<void(Chat *)> what);

    friend class Inside;
    Talk *talk_;
    Reader reader_;
    unsigned inside_ = 0;  // the fiber that is in an event function
    bool refuses_ = false; // its own end was asked for
    bool failed_ = false, high_ = false, finished_ = false, told_connecting_ = false;
    bool paused_ = false, pausing_ = false;
    unsigned changes_ = 0; // of that
    int allowed_ = 0;      // calls of receive() that were under way when it was paused
    std::string left_;
};

// The program's own executor.
class Lounge : public CommEventHandler {
public:
    explicit Lounge(int fibers);
    void leave();

private:
    void schedule(void (*routine)(void *), void *context) override;
    void wait() override;
    void work();

    std::deque<std::pair<void (*)(void *), void *>> queue_;
    int running_ = 0;
    bool waited_ = false, leaving_ = false;
};

// All that the program has to do with channels.
class Talk {
public:
    explicit Talk(Program *program);
    ~Talk();
    void make_groups();
    void make_targets(const std::vector<uint16_t> &ports, const std::set<uint16_t> &secure);
    CommChannelGroup *any_group() { return groups_[world->rng.below(groups_.size())]; }
    // NULL when the program has none for it.
    CommChannel *new_channel();
    void hand_over(CommSession *session);
    void operation();
    // Ends all that are open, in good order; true when none is left.
    bool wind_up();
    // All services were unbound, long ago: of channels of servers only new ones may be left.
    void check_unbound();
    // The engine has ended, and nothing may work any more.
    void bother_all();
    void tear_down();

    uint32_t make_key(); // of a ledger of its own
    Ledger *find_ledger(uint32_t key);
    Piece *make_piece(std::string bytes);
    void hold(Chat *chat);

    Program *const program;
    long alive = 0;     // channels
    long open = 0;      // between their first event and the last
    const bool answers; // what is heard, with little
    std::deque<uint64_t> ids;
    std::set<uint64_t> all_ids;
    std::vector<std::shared_ptr<Listener>> raw;

private:
    void connect();
    void broadcast();
    void find();
    void drop();
    Chat *any_held();
    CommChannelOptions draw_options();

    std::vector<CommChannelGroup *> groups_;
    struct weft_lock holding_ = {0}; // guards held_
    std::vector<Chat *> held_;       // each with a reference
    std::vector<std::unique_ptr<Target>> targets_;
    std::map<uint32_t, std::shared_ptr<Ledger>> ledgers_;
    std::deque<std::unique_ptr<Piece>> pieces_;
    std::deque<std::unique_ptr<Parcel>> parcels_;
    std::map<uint32_t, uint32_t> broadcasts_; // of each thread
    uint32_t last_key_ = 0;
};

// channel_peers.cc: one that speaks with a channel, at once or behind a request that asks for it.
void spawn_channel_peer(Program *program, Server *server, bool upgrade, bool chorus);
std::shared_ptr<Listener> spawn_channel_listener(Program *program, bool secure);

// channel_checks.cc
bool is_busy(const CommChannel *channel);
bool is_bound(const CommChannel *channel);

// Whether the program has made it.
bool is_own(const CommPiece *piece);

} // namespace sim

#endif
