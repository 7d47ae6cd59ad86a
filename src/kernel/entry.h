// Weft - CommConnEntry: what the client and the server machine have in common
// SPDX-License-Identifier: Apache-2.0
//
// One connection. `lock` guards its state, its flags and its non-blocking system calls, and is
// never held while user code runs. A thread that calls session code (new_session, append,
// message_out, encode, ...) has set `busy` and is the only one to move the machine on until it
// clears it; whatever happens meanwhile is remembered in flags and done by the thread that lets go.
//
// References: one for the life of the connection (dropped by the job that follows the closing of
// the descriptor), one for the registration, one for each session that points to it, one for a
// posted order, one for a scheduled job, one while the connection stands in its target's idle list.
//
// A connection's timer lies in its poller's wheel no later than LAZY_NS ahead, and is looked at
// when it fires: it moves if the deadline has moved. So a deadline that is further away than that
// arms nothing. `armed_at` says where it lies.
//
// Lock order: CommService::lock_ before CommConnEntry::mutex; CommTargetPool::lock and the pool's
// lock after both.
#ifndef WEFT_SRC_KERNEL_ENTRY_H
#define WEFT_SRC_KERNEL_ENTRY_H

#include <netinet/in.h>

#include "kernel/backlog.h"
#include "kernel/transport_tls.h"
#include "kernel/worker.h"
#include "workflow/Communicator.h"

namespace wf {
struct FilterResult;
}

constexpr uint64_t ENTRY_LAZY_NS = 10'000'000'000u;
constexpr uint64_t ENTRY_NEVER = UINT64_MAX;
constexpr int ENTRY_MAX_VECTORS = 2048;
constexpr size_t ENTRY_PIPELINE_MAX = 64 * 1024;
constexpr int DRAIN_GRACE_MS = 1000; // for the first byte, when another process listens on
// Limits that nobody sets (docs/safe-defaults.md).
constexpr int LINGER_IDLE_MS = 2000;               // last words: each wait
constexpr int LINGER_MS = 10000;                   // and in all
constexpr uint64_t RATE_GRACE_NS = 5'000'000'000u; // before a minimum rate counts
constexpr int CHANNEL_DRAIN_MS = 2000;             // for a peer's end, when its server stops
constexpr int TO_AUTHENTICATE = -1; // beside the CS_STATEs: to be shown to the authenticator

// What is left to send. The bytes are the message's, the vectors ours.
struct CommOutput {
    int count;
    int next;
    size_t left;          // bytes
    uint64_t block_until; // server: when the peer must have taken something
    BacklogRule rule;     // server
    struct iovec vectors[1];
};

// A session that has come to an end (or to its turn to reply), to be handled once the lock is let
// go.
struct CommOutcome {
    CommSession *session = nullptr;
    int state = 0;
    int error = 0;
    bool refused = false; // server: the handshake failed, which is to be told
};

enum class IoResult { DONE, BLOCKED, ENDED, FAILED };

class CommConnEntry : public pollable {
public:
    // Client machine, server machine, channel machine; their files say what is true in each state.
    enum State : uint8_t {
        CONNECTING,
        HANDSHAKING,
        SENDING,
        RECEIVING,
        PARKED,
        CLOSING,
        S_ACCEPTED,
        S_FILTERING,
        S_HANDSHAKING,
        S_AWAITING,
        S_RECEIVING,
        S_AUTHENTICATING,
        S_SERVING,
        S_REPLYING,
        S_LINGERING,
        S_CLOSING,
        C_CONNECTING,
        C_HANDSHAKING,
        C_UPGRADING,
        C_OPEN,
        C_PEER_CLOSED,
        C_DRAINING,
        C_HALF_CLOSED,
        C_CLOSING,
        STATE_COUNT
    };

    // `home` has counted it in its load.
    CommConnEntry(Communicator *comm, struct weft_poller *home, int fd,
                  const struct pollable_ops *ops, State first);

    void set_lock() WEFT_TSA(acquire_capability(mutex)) { sys_lock(&mutex); }
    // Lets the lock go and then gives the poller the order that the flags ask for, if any. Never
    // call it inside an order of the poller.
    void unlock() WEFT_TSA(release_capability(mutex)) {
        if (!order_wanted && !job_wanted)
            sys_unlock(&mutex);
        else
            unlock_with_order();
    }

    // The one place that changes the state, and asserts the edge.
    void set_state(State next) WEFT_TSA(requires_capability(mutex));
    static const char *state_name(State state);
    static bool is_legal(State from, State to);

    // The rest needs the lock, unless it says otherwise.
    void note(uint32_t events); // what the back end has reported
    void set_deadline(uint64_t when);
    void want_job() { job_wanted = true; }
    // Reads into `buf`; *size is how much came. DONE, BLOCKED, ENDED at FIN, FAILED with errno.
    // Updates `readable`.
    IoResult receive(char *buf, size_t *size);
    // The same, of what was received already: `n` as of recv(), with errno.
    IoResult note_received(ssize_t n, bool drained);
    // Reads what nobody will see: the bytes as they are on the wire.
    IoResult discard(char *buf, size_t *size);
    // Writes as much as the socket takes: DONE, BLOCKED, FAILED with errno. *done counts whole
    // vectors, the one after them is advanced; *moved counts bytes.
    IoResult put(struct iovec *vectors, int count, int *done, size_t *moved);
    // Writes `vectors`, keeping what did not fit. DONE, BLOCKED (something is unsent), FAILED with
    // errno.
    IoResult send(struct iovec *vectors, int count);
    IoResult flush();
    void await_room();
    bool is_unsent() const { return output || link.held > 0; }
    void drop_output();
    // What a FAILED means to a session: an error of the system, or the negative of one of TLS.
    int link_error() const { return link.error ? -link.error : errno; }
    // Goes on with the handshake; lets the lock go meanwhile. `prepare` comes first, once, and may
    // call the program.
    IoResult handshake(bool (*prepare)(CommConnEntry *)) WEFT_TSA(requires_capability(mutex));
    size_t input_size() const { return input ? input->end - input->begin : 0; }
    bool save_input(const char *bytes, size_t size);
    bool save_input(weft_block *block); // which is the entry's from here on
    void drop_input();

    // Without the lock: gives a session's message bytes until it is complete, refuses (-1), or has
    // taken them all. *taken is how many.
    static int append(CommSession *session, const char *buf, size_t size, size_t *taken);
    // With the lock: sends beside the session's own messages, or not at all.
    static int send_now(CommConnEntry *entry, const void *buf, size_t size);
    void ref() { pollable_ref(this); }
    void unref() { pollable_unref(this); }
    // For threads of the program: if this is the last reference, the program's deleters run on a
    // worker all the same. Takes the lock.
    void unref_on_worker();
    // With the lock, when a result has come that deliver() will hand on: the connection may end as
    // soon as the lock is let go, but a program's own executor must be given the result before it
    // is waited for.
    void announce(const CommOutcome &outcome) const {
        if (outcome.session && comm->pool_->schedule)
            mpoller_enter(comm->pool_);
    }
    // Hands a session's result to a thread that may run its `handle`: this one, if it may. With
    // `later` never in place.
    void deliver(const CommOutcome &outcome, bool later);
    // Calls handle(), noting whose session this thread is in.
    static void handle(CommSession *session, CommService *service, int state, int error);
    // Moves the machine that it is in. Lets the lock go.
    void go_on() WEFT_TSA(release_capability(mutex));
    // Gives the session its reference to this entry. Returns the entry it had before, if any: its
    // reference is the caller's, to be dropped without a lock, since the program's deleters may
    // run.
    [[nodiscard]] CommConnEntry *attach(CommSession *session_in);
    // The same for a client's session, which others may cancel meanwhile.
    [[nodiscard]] CommConnEntry *attach_client(CommSession *session_in)
        WEFT_TSA(requires_capability(mutex));
    // The engine ends: schedules the end of this connection. Called by its poller.
    static void on_abort(struct pollable *node);
    // Closes, with the lock held; the poller does the rest.
    void begin_close(State closing) WEFT_TSA(requires_capability(mutex));

    struct weft_lock mutex;
    uint8_t state;
    bool busy : 1;         // true exactly when a thread is inside session code of this connection
    bool readable : 1;     // an edge came and was not read to its end
    bool writable : 1;     // likewise for writing
    bool hangup : 1;       // the edge bore RDHUP, HUP or ERR: a short read does not end the data
    bool eof : 1;          // the peer has ended its sending
    bool timed_out : 1;    // the deadline passed while busy, or waits for the job
    bool aborted : 1;      // the engine ends, or what send_error says
    bool canceled : 1;     // client: the session was; it ends so, whatever happens meanwhile
    bool order_wanted : 1; // unlock() shall post the order
    bool order_posted : 1; // it is on its way
    bool job_wanted : 1;   // unlock() shall put the job on the ready list
    bool job_posted : 1;   // it stands there
    bool want_write : 1;   // the back end shall report writability
    bool polls_write : 1;  // it does
    bool closed : 1;       // the descriptor is closed and the life reference goes with the job
    bool gone : 1;         // that reference was dropped
    bool unlisted : 1;     // channel: it counts nowhere any more, so the program may be told
    bool in_head : 1;      // server: the head of the message is awaited (head_begins)
    bool has_head : 1;     // server: the message knows a head, and it is complete
    bool renewed : 1;      // the message asked for new receive timeouts
    bool admitted : 1;     // server: the guard counts it
    bool request_sent : 1; // client: nothing of the request is left to send
    bool has_session : 1;  // channel: the session that has handed it over is still there
    bool over : 1;         // channel: the program has heard the last of it
    bool listed_used;      // server: in the list of those that have made a request
    bool listed;           // stands in the list of its target or service; under that one's lock
    uint8_t close_reason;  // server: CommCloseReason
    int send_error; // client: why the request could not be sent in full; server: 0, or ENOMEM

    // So far, and down to `seq`, what every event touches, side by side (ADR 16).
    struct weft_link link;
    Communicator *comm;
    CommService *service;
    union {
        CommSession *session;
        struct CommChannelCore *channel; // in the states of the channel machine
    };
    weft_block *input; // received bytes that no session has taken yet
    job_site *site;
    uint64_t began; // the message, the idle time, or the lingering
    long long seq;  // sessions that were before the present one

    CommTarget *target;
    CommConnection *conn;
    wf::detail::PeerWatch *watch; // server, while serving: whom to tell that the peer has gone
    CommOutput *output;
    CommConnEntry *prev, *next;
    int receive_ms; // the session's timeouts, asked for while no lock was held
    union {
        int first_ms;         // client
        uint32_t accepted_ms; // server: when, by a clock that begins anew every 49 days
    };
    int keep_alive; // ms, as the session asked; server: kept while the reply is under way
    // server: since when it was idle, when it was put in order of that; client: when it had sent
    uint64_t listed_at;
    uint64_t deadline;
    uint64_t armed_at;
    uint64_t received; // bytes of the message; server, while serving and replying: when it began
    weft_poll_timer timer;
    weft_msg order;
    weft_job job;

private:
    void unlock_with_order() WEFT_TSA(release_capability(mutex));
    IoResult take(const struct transport *ops_in, char *buf, size_t *size);
    static void run_order(struct weft_msg *msg, struct weft_poller *driver);
    static void run_timer(struct weft_msg *msg, struct weft_poller *driver);
    static void run_job(struct weft_job *job);
    static void run_last_job(CommConnEntry *entry) WEFT_TSA(release_capability(entry->mutex));
    static void run_delivery(struct weft_job *job);
    static void run_deferred_delivery(struct weft_job *job);
    void tend(struct weft_poller *driver) WEFT_TSA(requires_capability(mutex));
    void shut(struct weft_poller *driver) WEFT_TSA(requires_capability(mutex));
    void post_job(struct weft_poller *driver) WEFT_TSA(requires_capability(mutex));
    void arm(struct weft_poller *driver) WEFT_TSA(requires_capability(mutex));

protected:
    ~CommConnEntry();
};

inline bool deadline_passed(const CommConnEntry *entry) { return entry->deadline <= sys_now(); }
inline uint64_t entry_after(uint64_t now, int ms) {
    return ms < 0 ? ENTRY_NEVER : now + static_cast<uint64_t>(ms) * 1000000u;
}
inline uint64_t entry_min(uint64_t a, uint64_t b) { return a < b ? a : b; }

// What a target keeps for its connections. Not part of it, since every connection of a server
// carries a target for the peer's address.
struct CommTargetPool {
    struct weft_lock lock = {0};
    CommConnEntry *idle = nullptr; // parked connections, latest first; under the lock
    job_site *site = nullptr;      // owned
    SSL_CTX *ssl_ctx = nullptr;
    struct tls_sessions sessions = {}; // under the lock
    CommSocketOptions sockets;
    int connect_timeout = -1;
    int response_timeout = -1;
    int ssl_connect_timeout = 0;

    void take_out(CommConnEntry *entry); // needs the lock
};

// The server side of an entry carries the peer's address as a target.
class CommPeer : public CommTarget {
public:
    void set(CommConnEntry *owner_in, const struct sockaddr *from, socklen_t len);
    ~CommPeer() override;

private:
    struct sockaddr_in6 room_; // larger addresses (Unix sockets) are not kept
};

class CommServerEntry : public CommConnEntry {
public:
    using CommConnEntry::CommConnEntry;
    CommPeer peer;
};

class CommClientEntry final : public CommConnEntry {
public:
    using CommConnEntry::CommConnEntry;
};

// The client machine (client_machine.cc). Functions that take an entry hold its lock when called
// and when they return; some let it go in between while session code runs.
class CommClientMachine {
    friend class CommChannelMachine;

public:
    static int request(Communicator *comm, CommSession *session, CommTarget *target);
    // 0 when the session will end as canceled, else -1. The caller keeps the session alive, and
    // lets *held go where program code may run.
    static int cancel(CommSession *session, int error, CommConnEntry **held);
    static void close_idle(CommTarget *target);
    // Moves the machine on as far as it goes. Lets the lock go.
    static void run(CommConnEntry *entry) WEFT_TSA(release_capability(entry->mutex));
    static const struct pollable_ops ops;

private:
    static CommConnEntry *connect(Communicator *comm, CommTarget *target,
                                  const struct pollable_ops *machine, CommConnEntry::State first);
    static CommConnEntry *take_idle(CommTarget *target);
    static bool reuse(CommConnEntry *entry, CommSession *session);
    static bool step(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static bool connected(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static bool open_tls(CommConnEntry *entry);
    static bool shake_hands(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void keep_tls_session(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void begin_send(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void sent(CommConnEntry *entry, IoResult result)
        WEFT_TSA(requires_capability(entry->mutex));
    static bool read_answer(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void feed(CommConnEntry *entry, const char *buf, size_t size, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void complete(CommConnEntry *entry, int keep_alive, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void peer_ended(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void fail(CommConnEntry *entry, int state, int error, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void leave_idle(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void set_receive_deadline(CommConnEntry *entry, uint64_t now)
        WEFT_TSA(requires_capability(entry->mutex));
    static void set_deadline(CommConnEntry *entry, uint64_t when)
        WEFT_TSA(requires_capability(entry->mutex));
    static void on_event(struct pollable *node, uint32_t events);
    static void on_release(struct pollable *node);
};

// The server machine (server_machine.cc). The same rule for locks.
class CommServerMachine {
    friend class CommChannelMachine;
    friend class CommDatagramSocket;

public:
    // A new descriptor, which becomes the machine's.
    // `home` is NULL when it shall be dealt to any poller.
    static void accepted(Communicator *comm, CommService *service, struct weft_poller *home, int fd,
                         const struct sockaddr *addr, socklen_t len);
    static void datagram(Communicator *comm, CommService *service, class CommDatagramSocket *socket,
                         const char *buf, size_t size, const struct sockaddr *from, socklen_t len);
    static int reply(CommSession *session);
    static int shutdown(CommSession *session);
    static int push(CommSession *session, const void *buf, size_t size);
    static void forsaken(CommSession *session);
    // For a session that is about to be handled: true when that is not to be, or not yet. Then it
    // is gone, or another's.
    static bool divert(CommSession *session);
    // The authenticator's answer, on any thread: 0, or -1 with ENOENT. The session is the
    // machine's.
    static int admit(CommSession *session);
    static int refuse(CommSession *session);
    static bool is_answerable(CommConnEntry *entry);
    static int drain(CommService *service, size_t max, CommCloseReason reason);
    // Moves the machine on as far as it goes. Lets the lock go.
    static void run(CommConnEntry *entry) WEFT_TSA(release_capability(entry->mutex));
    static const struct pollable_ops ops;
    static const struct pollable_ops datagram_ops;

private:
    static void count(CommService *service, CommCloseReason reason);
    static void abort_all(CommService *service, struct weft_poller *home);
    static bool asks_guard_later(const CommService *service);
    static void give_place_back(class CommServerEntry *entry);
    static void begin(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void await(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static bool filter(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void pass(CommConnEntry *entry, char *buf, const wf::FilterResult &result)
        WEFT_TSA(requires_capability(entry->mutex));
    static bool is_admitted(CommService *service, const struct sockaddr *from, socklen_t len,
                            bool *counted);
    static void turn_away(CommService *service, CommCloseReason reason, int fd,
                          const struct sockaddr *from, socklen_t len, bool counted);
    static void settle(class CommServerEntry *entry, CommService *service, CommConnection *conn,
                       const struct sockaddr *from, socklen_t len);
    static bool make_room(CommService *service);
    static bool open_tls(CommConnEntry *entry);
    static bool shake_hands(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static bool close_idle(CommConnEntry *entry, CommCloseReason reason)
        WEFT_TSA(requires_capability(entry->mutex));
    static bool drain_one(CommConnEntry *entry, CommCloseReason reason)
        WEFT_TSA(requires_capability(entry->mutex));
    static bool step(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static CommSession *begin_session(CommConnEntry *entry);
    static bool takes_in_hand(CommService *service, CommSession *session);
    static bool read_request(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void feed(CommConnEntry *entry, const char *buf, size_t size, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void keep_input(CommConnEntry *entry, const char *bytes, size_t size)
        WEFT_TSA(requires_capability(entry->mutex));
    static bool buffer_pipeline(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void give_up(CommConnEntry *entry, CommCloseReason reason, int error)
        WEFT_TSA(requires_capability(entry->mutex));
    static void time_out(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void authenticate(CommSession *session);
    static int end_authentication(CommSession *session, CommCloseReason reason, int error);
    static bool drop_if_old(CommSession *session);
    static void set_first_deadline(CommConnEntry *entry, uint64_t when)
        WEFT_TSA(requires_capability(entry->mutex));
    static uint64_t first_message_end(const CommConnEntry *entry, uint64_t now);
    static bool is_first_late(const CommConnEntry *entry, uint64_t now);
    static void begin_unsent(CommConnEntry *entry, int send_timeout)
        WEFT_TSA(requires_capability(entry->mutex));
    static void set_reply_deadline(CommConnEntry *entry)
        WEFT_TSA(requires_capability(entry->mutex));
    static void reply_timed_out(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void end_reply(CommConnEntry *entry, int state, int error, CommCloseReason reason,
                          CommOutcome *out) WEFT_TSA(requires_capability(entry->mutex));
    static bool flush_reply(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void replied(CommConnEntry *entry, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static void reply_failed(CommConnEntry *entry, int state, int error, CommOutcome *out)
        WEFT_TSA(requires_capability(entry->mutex));
    static bool linger(CommConnEntry *entry) WEFT_TSA(requires_capability(entry->mutex));
    static void begin_linger(CommConnEntry *entry, CommCloseReason reason)
        WEFT_TSA(requires_capability(entry->mutex));
    static void close(CommConnEntry *entry, CommCloseReason reason)
        WEFT_TSA(requires_capability(entry->mutex));
    static void set_receive_deadline(CommConnEntry *entry, uint64_t now)
        WEFT_TSA(requires_capability(entry->mutex));
    static void on_event(struct pollable *node, uint32_t events);
    static void on_release(struct pollable *node);
    static void on_datagram_release(struct pollable *node);
    static void leave_service(CommService *service);
    static void leave_for_channel(CommConnEntry *entry);
};

#endif
