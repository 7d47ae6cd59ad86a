// Weft public header, room: kernel - CommChannel: one long-lived conversation on one connection
// SPDX-License-Identifier: Apache-2.0
//
// Both sides may send at any time. A channel belongs to one connection for life: a client that
// connects anew makes a new one. What most programs want stands in wf/tcp.h; this is what it is
// built on.
//
// The program's functions (receive, finish, handle, and release of pieces) run on workers with
// nothing locked, one at a time and in order for one channel, so they may block: then this channel
// is not read meanwhile, what was sent still leaves, and nobody else is held up. Everything that is
// public may be called from any thread, also inside those functions.
//
// References: the engine holds one until CCE_CLOSED has been handled; whoever wants to use a
// channel outside of its functions holds another. A channel that is over stays valid and refuses
// what it is asked to do (ENOTCONN). Usable from C++11.
#ifndef WEFT_COMMCHANNEL_H
#define WEFT_COMMCHANNEL_H

#include <atomic>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "Communicator.h"

struct CommChannelCore;
class CommChannelGroup;

// What programs see of the machine's states (docs/internals/connections.md has them all).
enum CommChannelState {
    CCS_CONNECTING,    // no byte can move yet
    CCS_CONNECTED,     // both may send
    CCS_DISCONNECTING, // one side, or both, have said that they will send no more
    CCS_DISCONNECTED
};

enum CommChannelEventType {
    CCE_CONNECTING,  // a client's: connect() is under way
    CCE_ESTABLISHED, // accepted, connected, or handed over by an HTTP session
    CCE_WRITTEN,     // all that was sent is with the system; if asked for (tell_written)
    CCE_HIGH_WATER,  // more than `high_water` bytes wait to be sent
    CCE_LOW_WATER,   // and are down to `low_water` again. The two alternate
    CCE_FINISHED,    // the peer has ended its sending; all of it was received
    CCE_HEARTBEAT,   // nothing has moved in either direction for the time `heartbeat`
    CCE_ERROR,       // it ends, and not in good order: CCE_CLOSED follows
    CCE_CLOSED       // the last: the descriptor is closed
};

struct CommChannelEvent {
    enum CommChannelEventType type;
    enum CommCloseReason reason; // of CCE_ERROR and CCE_CLOSED
    int error;                   // likewise: errno, or 0; negative: one of TLS (about-tls.md)
};

// Milliseconds, -1 none; bytes, 0 none. Fixed while a channel lives.
struct CommChannelOptions {
    size_t high_water;         // 64 MiB
    size_t low_water;          // 16 MiB
    int idle_timeout;          // nothing has moved in either direction (CCR_IDLE_TIMEOUT). -1
    int receive_timeout;       // nothing has come, whatever was sent (CCR_SILENT). -1
    int heartbeat;             // tells CCE_HEARTBEAT after so long a silence, again and again. -1
    int first_byte_timeout;    // of a server: until the peer's first byte. 10 s
    int first_message_timeout; // and until its first message is whole. 60 s
    int message_timeout;       // from the first byte of a message to its last. -1
    int min_receive_rate;      // bytes/s inside a message, after a grace of five seconds. 240
    int finish_timeout;        // behind shutdown(): until the peer ends, too. 10 s
    size_t backlog_limit;      // above so much unsent the peer is watched (about-guard.md). 64 KiB
    int min_send_rate;         // bytes/s that it must take then. 4096
    bool half_open;            // the peer's end does not bring on ours. false
    bool tell_written;         // wants CCE_WRITTEN. false
    bool tell_connecting;      // wants CCE_CONNECTING. false
    CommChannelOptions();
};

// Bytes on their way out, with their owner. Sent in order; `release` is called once, when they are
// sent or will never be, on whatever thread finds that out, with nothing locked.
struct CommPiece {
    CommPiece *next; // the channel's
    const char *data;
    size_t size;
    void (*release)(CommPiece *piece);
};

// What a channel was like at one moment.
struct CommChannelInfo {
    uint64_t id;
    enum CommChannelState state;
    bool secure; // over TLS
    struct sockaddr_storage peer, local;
    socklen_t peer_len, local_len;
    uint64_t age_ns;  // since it was made
    uint64_t idle_ns; // since a byte has moved
    uint64_t bytes_received, bytes_sent, messages;
    size_t queued; // bytes that wait to be sent
    bool read_paused;
};

class CommChannel {
public:
    // Sends as far as the socket takes it, now or with others of its batch (about-channel.md); the
    // rest is copied and follows. Never waits. 0, or -1 with errno: ENOTCONN before it is
    // established and once its own end was asked for, ENOMEM, and then nothing of it is sent;
    // EPIPE, ECONNRESET and the like when the connection is lost.
    int send(const void *buf, size_t size);
    int send(const struct iovec *vectors, int count);
    // Of a message; runs its encode() on this thread.
    int send(CommMessageOut *message);
    // The same without a copy, of one piece or a chain of them, which ends with `next` NULL. They
    // are the channel's, also when -1 is returned.
    int send(CommPiece *pieces);

    // Ends our sending behind what is queued, and goes on receiving until the peer ends, too.
    void shutdown();
    // Ends both at once; what is queued is dropped.
    void close();
    // The same after so many milliseconds from now, unless it has ended by then. -1: not any more.
    void close_after(int ms);
    // close() that makes the peer see a reset.
    void reset();

    // Nothing more is handed to receive() until start_read(), once a call of it that is under way
    // has returned, which it should do soon (may_receive). The system goes on to take bytes until
    // its buffers are full, so the peer feels it. An end or a break of the connection may be found
    // late.
    void stop_read();
    void start_read();

    // Unlike any other of this process, for ever. 0 before it has a connection.
    uint64_t get_id() const;
    enum CommChannelState get_state() const;
    size_t get_queued() const; // bytes
    void get_info(struct CommChannelInfo *info) const;
    // What the handshake came to. False without TLS, or before it was done.
    bool get_tls_info(struct wf::TlsInfo *info) const;
    CommChannelGroup *get_group() const;

    void ref();
    void unref();
    // The channel with that id, with a reference for the caller. NULL when there is none (any
    // more).
    static CommChannel *find(uint64_t id);

protected:
    CommChannel();
    virtual ~CommChannel();

    // For receive(): whether it may go on. False once reading was stopped or the channel ends.
    bool may_receive() const;
    // A message was whole.
    void count_message();
    // close() for a reason.
    void end(enum CommCloseReason reason);
    // The same after so many milliseconds from now, unless this is called again. -1: not any more.
    void end_after(int ms, enum CommCloseReason reason);
    // Calls a message's append(), or its finish(), for receive() and finish(). Its feedback() sends
    // on this channel.
    int append(CommMessageIn *message, const char *buf, size_t *size);
    static int finish(CommMessageIn *message);
    // What the service of an accepted connection has hung on it.
    CommConnection *get_connection() const;

private:
    // Bytes have come. *size: how many were taken; the others are shown again, in front of what
    // comes next, or behind start_read(). 1: in the middle of a message, so its limits of time run;
    // 0: between two; -1 with errno: this can be no conversation (CCR_BAD_MESSAGE).
    virtual int receive(const char *buf, size_t *size) = 0;
    // The peer has ended its sending. `buf`: what receive() has left. -1 with errno: it was cut off
    // (CCR_BAD_MESSAGE). CCE_FINISHED follows otherwise.
    virtual int finish(const char *buf, size_t size);
    virtual void handle(const struct CommChannelEvent &event) = 0;

    CommChannel(const CommChannel &) = delete;
    CommChannel &operator=(const CommChannel &) = delete;

    struct CommChannelCore *core_; // owned; NULL when there was no memory
    std::atomic<uint32_t> refs_;
    friend class CommChannelMachine;
    friend class CommChannelGroup;
    friend class CommServerMachine;
    friend class Communicator;
    friend struct CommChannelCore;
};

// Channels that belong together: those of a server, or of a client. Counted; each channel holds a
// reference.
class CommChannelGroup {
public:
    // `backlog_limit`: of the bytes queued in all; when exceeded, the channel with most of them is
    // closed (CCR_BACKLOG_FULL). 0 none. NULL without memory.
    static CommChannelGroup *create(const struct CommChannelOptions &options,
                                    size_t backlog_limit = 0);
    void ref();
    void unref();
    const struct CommChannelOptions &get_options() const { return this->options_; }

    // How many are between CCE_ESTABLISHED and CCE_CLOSED.
    size_t get_count() const;
    // At most `max` of them, each with a reference for the caller, into `channels`. Returns how
    // many.
    size_t list(CommChannel **channels, size_t max) const;
    size_t get_backlog() const; // bytes queued in all

    // Sends the same bytes to all that are in the group now, or to `count` of them: they are shared
    // and not copied, and each poller gets one order. In order with other broadcasts, not with
    // send(). Whoever ends meanwhile is left out. `release` is called once, as for a piece. -1 with
    // ENOMEM; then released, and nothing is sent.
    int broadcast(const char *data, size_t size, void (*release)(void *owner), void *owner);
    int broadcast(CommChannel *const *channels, size_t count, const char *data, size_t size,
                  void (*release)(void *owner), void *owner);

private:
    CommChannelGroup(const struct CommChannelOptions &options, size_t backlog_limit);
    ~CommChannelGroup();
    struct Shard;
    struct Payload;
    struct Share;
    struct Broadcast;

    void add(struct CommChannelCore *core);
    void remove(struct CommChannelCore *core);
    bool note_backlog(size_t before, size_t after);
    void cut_greatest();
    static Broadcast *make_order(size_t count, Payload *payload);
    static void send_share(struct CommChannelCore *core, Payload *payload);
    void post(Broadcast **orders, bool good);
    int send_orders(Broadcast **orders, Payload *payload, bool good, void (*release)(void *owner),
                    void *owner);
    Shard *shard(const struct CommChannelCore *core) const;

    const struct CommChannelOptions options_;
    const size_t backlog_limit_;
    std::atomic<uint32_t> refs_;
    std::atomic<size_t> count_;
    std::atomic<size_t> backlog_;
    Shard *shards_;
    friend class CommChannelMachine;
};

#endif
