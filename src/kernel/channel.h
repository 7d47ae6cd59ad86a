// Weft - the channel machine: a duplex conversation on one connection
// SPDX-License-Identifier: Apache-2.0
//
// The third machine that moves a CommConnEntry. A client's entry begins in it; a server's comes to
// it from the server machine, as C_OPEN straight after accept, filter and handshake, or as
// C_UPGRADING when an answer has handed it over.
//
// `core` is what the machine keeps beside the entry, all of it under the entry's lock unless it
// says otherwise. Reading, and telling the program, is for the thread that has set `busy`; writing
// goes on meanwhile, by whoever finds room, so a program that blocks in an event holds up nothing
// but its own channel's reading.
//
// Owners: the core is part of the program's CommChannel, which holds one reference of the entry for
// life; the entry holds one of the channel until CCE_CLOSED was handled. That is also when the
// entry leaves its service, not when the last reference goes: whoever keeps a channel keeps memory,
// and no server.
//
// Pieces leave the queue under the lock and are released, which is the program's code, once it is
// let go: in between they stand in `done`.
#ifndef WEFT_SRC_KERNEL_CHANNEL_H
#define WEFT_SRC_KERNEL_CHANNEL_H

#include <errno.h>

#include "kernel/backlog.h"
#include "kernel/entry.h"
#include "workflow/CommChannel.h"

// A queue of pieces, linked through them.
struct PieceQueue {
    CommPiece *first = nullptr;
    CommPiece **last = &first;

    PieceQueue() = default;
    PieceQueue(const PieceQueue &) = delete;
    PieceQueue &operator=(const PieceQueue &) = delete;
    void append(CommPiece *piece) {
        piece->next = nullptr;
        *last = piece;
        last = &piece->next;
    }
    CommPiece *take() {
        CommPiece *piece = first;
        first = piece->next;
        if (!first)
            last = &first;
        return piece;
    }
    void put_back(CommPiece *piece) {
        piece->next = first;
        first = piece;
        if (!piece->next)
            last = &piece->next;
    }
    // All of `other`, which is empty afterwards.
    void append_all(PieceQueue *other) {
        if (!other->first)
            return;
        *last = other->first;
        last = other->last;
        other->first = nullptr;
        other->last = &other->first;
    }
};

// The lists of a group, which pollers share out among themselves.
constexpr unsigned CHANNEL_GROUP_SHARDS = 16;

struct CommChannelCore {
    explicit CommChannelCore(CommChannel *channel_in) : channel(channel_in) {}

    // What every message needs stands first, side by side.
    CommChannel *const channel;
    CommChannelGroup *group = nullptr; // counted; set once, before `entry`
    // Counted; set once, under its lock. The program may hold the channel, and use it, before.
    std::atomic<CommConnEntry *> entry{nullptr};
    std::atomic<bool> halted{false}; // what may_receive() tells; written under the lock

    // What the program is still to be told, oldest first where the order is not fixed.
    bool tell_connecting : 1 = false;
    bool tell_established : 1 = false;
    bool tell_written : 1 = false;
    bool tell_heartbeat : 1 = false;
    bool tell_finish : 1 = false; // finish(), then CCE_FINISHED
    bool told_finish : 1 = false;
    bool told_high : 1 = false; // the last mark that was told
    bool is_high : 1 = false;   // the last that was crossed
    bool read_paused : 1 = false;
    bool needs_more : 1 = false; // receive() has seen all of `input`
    bool in_message : 1 = false;
    bool broken : 1 = false; // writing has failed: what the peer has said is read before it ends
    bool was_paused : 1 = false; // since receive() was called last
    bool unwanted : 1 = false;   // close() came while a handshake had the connection
    bool cut_wanted : 1 = false; // the group has more queued than it may
    bool look_again : 1 = false; // at the limits on the peer, once what it has said was looked at
    bool ending : 1 = false;     // the service is drained: end in good order
    bool was_established : 1 = false;
    bool leaving : 1 = false; // what was put off is being sent
    unsigned bulk : 2 = 0;    // so much comes at a time that it is not received ahead; counts down
    uint8_t crossings = 0;    // of water marks that were not told
    int error = 0;            // why it ended

    // Bytes that go out when the poller's batch is done, or before whatever else is done with our
    // side. Only while `queue` and the transport hold nothing. While the poller sends them they are
    // `leaving`, and what comes behind them is queued until it has.
    weft_block *late = nullptr;
    PieceQueue queue;
    PieceQueue done;
    uint64_t bytes_received = 0, bytes_sent = 0;
    uint64_t message_bytes = 0;        // of the message under way
    std::atomic<uint64_t> messages{0}; // counted by the reader without the lock
    uint64_t last_received = 0;
    uint64_t last_moved = 0; // either way

    std::atomic<size_t> queued{0}; // bytes to be sent; written under the lock
    size_t first_sent = 0;         // bytes of the first piece that are sent
    size_t counted = 0;            // of those, what the group knows of
    BacklogRule backlog{0, 0};

    struct sockaddr_in6 peer = {}; // larger addresses (Unix sockets) are not kept
    socklen_t peer_len = 0;

    uint64_t opened_at = 0;
    uint64_t last_sent = 0;           // while draining
    uint64_t message_at = 0;          // the message's first byte; later by each pause
    uint64_t paused_at = 0;           // stop_read()
    uint64_t beat_at = 0;             // the last heartbeat told
    uint64_t ends_at = ENTRY_NEVER;   // close_after()
    uint64_t limit_at = ENTRY_NEVER;  // end_after()
    uint64_t finish_at = ENTRY_NEVER; // behind our end
    std::atomic<CommCloseReason> limit_reason{CCR_COUNT};
    std::atomic<uint64_t> id{0}; // set once, before `entry`
    unsigned shard = 0;          // likewise: of the group's lists

    struct Delivery : weft_job {
        CommChannelCore *core;
    } delivery;
    CommChannelCore *group_next = nullptr, *group_prev = nullptr; // under the shard's lock
    bool in_group = false;                                        // likewise

    const CommChannelOptions &options() const { return group->get_options(); }
};

// Functions that take an entry hold its lock when called and when they return, unless they say
// otherwise; some let it go in between while the program's code runs.
class CommChannelMachine {
public:
    static bool is_channel(const CommConnEntry *entry) {
        return entry->state >= CommConnEntry::C_CONNECTING;
    }
    // A client's. Without a lock. The reference of the creator becomes the entry's.
    static int connect(Communicator *comm, CommChannel *channel, CommTarget *target,
                       CommChannelGroup *group);
    // A server's connection has become a channel: the program is asked for it by the next run.
    static void open(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    // Likewise, of a session that was answered.
    static void take_over(CommConnEntry *entry, CommSession *session)
        WEFT_TSA(requires_capability(entry->mutex));
    // That session is gone: the channel begins. Without a lock.
    static void session_gone(CommConnEntry *entry);
    // Moves the machine on as far as it goes. Lets the lock go.
    static void run(CommConnEntry *entry) WEFT_TSA(release_capability(entry->mutex));
    // The service wants it gone. True when it goes.
    static bool drain(CommConnEntry *entry, CommCloseReason reason)
        WEFT_TSA(requires_capability(entry->mutex));
    static bool is_idle(const CommConnEntry *entry);
    // What pollable_stream says of them. Of entries of servers too: they may not be channels (yet).
    static void *const *on_ahead(struct pollable *node, uint32_t events);
    static void on_received(struct pollable *node, const struct poll_received *received);
    static bool on_flush(struct pollable *node, bool patient, weft_block **block);
    static void on_flushed(struct pollable *node, weft_block *block, ssize_t sent);
    // Calls `use` with the engine, under the lock, unless the channel has ended: behind its end the
    // engine may be gone, and its pollers.
    template <class Use>
    static void if_live(const CommChannelCore *core, Use use) {
        CommConnEntry *entry = core->entry;
        entry->set_lock();
        if (entry->state != CommConnEntry::C_CLOSING)
            use(entry->poller->pool);
        entry->unlock();
    }
    static const struct pollable_stream stream;
    static const struct pollable_ops client_ops;

    // What the public functions ask for. Without a lock.
    static int send(CommChannelCore *core, const struct iovec *vectors, int count);
    static int send(CommChannelCore *core, CommPiece *piece);
    static void shutdown(CommChannelCore *core);
    static void close(CommChannelCore *core, CommCloseReason reason);
    // `limit`: the core's own.
    static void close_after(CommChannelCore *core, uint64_t *limit, int ms);
    static void pause(CommChannelCore *core, bool paused);

private:
    friend class CommChannelGroup;
    // QUEUED: the program's code is to be run by another thread, which `busy` is for. LEFT: it has
    // heard the last.
    enum Step { REST, AGAIN, QUEUED, LEFT };

    // channel_machine.cc
    static void run_here(CommConnEntry *entry, bool here)
        WEFT_TSA(release_capability(entry->mutex));
    static void run_delivery(struct weft_job *job);
    static Step step(CommConnEntry *entry, bool *here) WEFT_TSA(requires_capability(entry->mutex));
    static bool begin_program(CommConnEntry *entry, bool *here)
        WEFT_TSA(requires_capability(entry->mutex));
    static void look_at_limits(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static bool has_event(const CommChannelCore *core);
    static CommChannelEvent take_event(CommChannelCore *core);
    static Step tell(CommConnEntry *entry, bool *here) WEFT_TSA(requires_capability(entry->mutex));
    static Step tell_closed(CommConnEntry *entry, bool *here)
        WEFT_TSA(requires_capability(entry->mutex));
    static void leave(CommConnEntry *entry) WEFT_TSA(release_capability(entry->mutex));
    static bool connected(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static bool is_self(const CommConnEntry *entry);
    static bool shake_hands(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void establish(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static int bind(CommChannelCore *core, CommConnEntry *entry, CommChannelGroup *group);
    static bool attach(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void end(CommConnEntry *entry, CommCloseReason reason, int error)
        WEFT_TSA(requires_capability(entry->mutex));
    static void on_event(struct pollable *node, uint32_t events);
    static void on_release(struct pollable *node);

    // channel_read.cc
    static Step read(CommConnEntry *entry, bool *here) WEFT_TSA(requires_capability(entry->mutex));
    static bool has_unseen_input(const CommConnEntry *entry);
    static bool is_unread(const CommConnEntry *entry);
    static bool has_only_to_read(const CommConnEntry *entry);
    static bool is_at_rest(const CommConnEntry *entry);
    static bool may_read_ahead(const CommConnEntry *entry);
    static void read_ahead(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void lack_memory(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void take_received(CommConnEntry *entry, const struct poll_received *received)
        WEFT_TSA(requires_capability(entry->mutex));
    static IoResult receive(CommConnEntry *entry, char *buf, size_t *size)
        WEFT_TSA(requires_capability(entry->mutex));
    static void note_received(CommConnEntry *entry, size_t size, uint64_t now)
        WEFT_TSA(requires_capability(entry->mutex));
    static void not_received(CommConnEntry *entry, IoResult result)
        WEFT_TSA(requires_capability(entry->mutex));
    static void feed(CommConnEntry *entry, const char *buf, size_t size, weft_block *kept)
        WEFT_TSA(requires_capability(entry->mutex));
    static void keep_rest(CommConnEntry *entry, const char *rest, size_t size, weft_block *kept)
        WEFT_TSA(requires_capability(entry->mutex));
    static void finish(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static uint64_t begin_limit(const CommConnEntry *entry);
    static void set_begin_deadline(CommConnEntry *entry)
        WEFT_TSA(requires_capability(entry->mutex));
    static void time_out(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static CommCloseReason find_overdue(CommConnEntry *entry, uint64_t now)
        WEFT_TSA(requires_capability(entry->mutex));
    static uint64_t find_receive_limit(const CommConnEntry *entry, CommCloseReason *reason);
    static void renew_deadline(CommConnEntry *entry, uint64_t now)
        WEFT_TSA(requires_capability(entry->mutex));

    // channel_send.cc
    static void write(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static IoResult flush_some(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void note_moved(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void moved(CommConnEntry *entry, size_t bytes)
        WEFT_TSA(requires_capability(entry->mutex));
    static void took(CommConnEntry *entry, size_t bytes)
        WEFT_TSA(requires_capability(entry->mutex));
    static bool put_off(CommConnEntry *entry, const struct iovec *vectors, int count, size_t total)
        WEFT_TSA(requires_capability(entry->mutex));
    static int send_now(CommConnEntry *entry, const struct iovec *vectors, int count, size_t total)
        WEFT_TSA(requires_capability(entry->mutex));
    static void send_last_words(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void send_late(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void drop_queue(CommChannelCore *core);
    static void settle_late(CommConnEntry *entry, const weft_block *block, ssize_t sent)
        WEFT_TSA(requires_capability(entry->mutex));
    static void settle_sent(CommConnEntry *entry, IoResult result)
        WEFT_TSA(requires_capability(entry->mutex));
    static void queue(CommConnEntry *entry, CommPiece *piece, size_t sent, IoResult result)
        WEFT_TSA(requires_capability(entry->mutex));
    static void note_queue(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void note_group(CommChannelCore *core);
    static void written(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void write_failed(CommConnEntry *entry, int error)
        WEFT_TSA(requires_capability(entry->mutex));
    static bool end_if_done(CommConnEntry *entry, CommCloseReason reason)
        WEFT_TSA(requires_capability(entry->mutex));
    static void end_sending(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static bool may_send(const CommConnEntry *entry);
    static void wake(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void release_done(CommConnEntry *entry, CommChannelCore *core)
        WEFT_TSA(release_capability(entry->mutex));
    static void release_pieces(CommConnEntry *entry, CommChannelCore *core)
        WEFT_TSA(release_capability(entry->mutex));
    static void release_all(PieceQueue *pieces);
};

// Brackets the program's code, with nothing locked. What errno tells of it is to be read inside.
// `ended`: when it was over, where it was timed; else it stays as it is.
class ProgramCall {
public:
    ProgramCall(CommConnEntry *entry, CommService *service, uint64_t *ended = nullptr)
        : entry_(entry), ended_(ended), before_(*sys_serving()) {
        sys_point(SYS_POINT_USER_CODE);
        *sys_serving() = service;
        if (entry->site)
            job_site_begin(entry->site, &probe_);
    }
    ~ProgramCall() {
        if (entry_->site) {
            job_site_end(entry_->site, &probe_);
            if (ended_)
                *ended_ = probe_.end;
        }
        *sys_serving() = before_;
    }
    ProgramCall(const ProgramCall &) = delete;
    ProgramCall &operator=(const ProgramCall &) = delete;

private:
    CommConnEntry *entry_;
    uint64_t *ended_;
    const void *before_;
    struct site_probe probe_;
};

// Ids of channels: a slot and how often it was used. Any thread.
uint64_t channel_table_add(CommChannelCore *core, unsigned shard);
void channel_table_remove(uint64_t id);
#ifdef WEFT_SIM
// Between two runs, when no channel is left: each begins as a process does.
void channel_table_clear();
#endif

#endif
