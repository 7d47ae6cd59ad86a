// Weft public header, room: kernel - sessions, targets, services, and the Communicator that connects them
// SPDX-License-Identifier: Apache-2.0
//
// Timeouts are milliseconds, -1 means no limit. Functions return 0 (or a count) when good, else -1
// with errno. No exception is thrown. "A worker" is a thread of the engine; wherever a virtual
// function is said to run on one, it may block: another worker takes over what else there is to do.
#ifndef WEFT_COMMUNICATOR_H
#define WEFT_COMMUNICATOR_H

#include <atomic>
#include <functional>
#include <memory>
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "CommOptions.h"
#include "detail/kernel_types.h"
#include "detail/service_guard.h"
#include "detail/session_wait.h"
#include "detail/trace_points.h"
#include "list.h"

class CommChannel;
class CommChannelGroup;
class CommConnEntry;
class CommMessageIn;
class CommService;
class CommSession;
class CommTarget;
class Communicator;
struct CommTargetPool;
struct job_site;
struct mpoller;

namespace wf {
class CancelHandle;
struct ConnectionInfo;
class ConnectionFilter;
class Guard;
struct TlsInfo;
namespace detail {
struct CancelBlock;
struct PeerWatch;
} // namespace detail
} // namespace wf

#define CS_STATE_SUCCESS 0
#define CS_STATE_ERROR   1
#define CS_STATE_STOPPED 2
#define CS_STATE_TOREPLY 3

// How far a client's session has come; when it has ended: where it was cut off.
enum CommPhase {
    CSP_IDLE,      // not begun
    CSP_RESOLVING, // its target's name is looked up
    CSP_WAITING,
    CSP_CONNECTING,
    CSP_HANDSHAKING,
    CSP_SENDING,
    CSP_RECEIVING,
    CSP_COMPLETE
};

#define SS_STATE_COMPLETE  0
#define SS_STATE_ERROR     1
#define SS_STATE_DISRUPTED 2

// What a program hangs on a connection. Deleted, on some thread of the engine, when the connection
// has ended and the last session that used it is gone.
class CommConnection {
public:
    virtual ~CommConnection() {}
};

// One remote address with its connections. Must outlive its sessions; deinit() closes the parked
// connections.
class CommTarget {
public:
    // Copies the address.
    int init(const struct sockaddr *addr_in, socklen_t len, int connect_timeout_in,
             int response_timeout_in);
    void deinit();

    // Borrowed, valid as long as the target.
    void get_addr(const struct sockaddr **addr_out, socklen_t *len_out) const {
        *addr_out = this->addr_;
        *len_out = this->addrlen_;
    }

    // Nonzero when a reusable connection is parked; on the peer of a server session: the connection
    // still waits for the reply.
    int has_idle_conn() const;

    // Between init() and the first request.
    void set_socket_options(const struct CommSocketOptions *options);

protected:
    // Between init() and deinit().
    void set_ssl(SSL_CTX *ssl_ctx_in, int ssl_connect_timeout_in);
    SSL_CTX *get_ssl_ctx() const;

private:
    // A stream socket for the address; made non-blocking by the kernel. Runs on the requesting
    // thread.
    virtual int create_connect_fd();
    virtual CommConnection *new_connection(int connect_fd);
    virtual int init_ssl(SSL *ssl) {
        (void)ssl;
        return 0;
    }

public:
    // A request on this target has ended; called before the session's handle().
    virtual void release() {}

    CommTarget();
    virtual ~CommTarget();

private:
    struct sockaddr *addr_;
    socklen_t addrlen_;
    struct CommTargetPool *pool_; // owned; the peer of a server's connection has none
    CommConnEntry *owner_;        // on a server: the connection whose peer this is
    friend class CommChannelMachine;
    friend class CommConnEntry;
    friend class CommPeer;
    friend class CommClientMachine;
    friend class CommServerMachine;
    friend class Communicator;
    friend class CommSession;
};

// Meaning to bytes.
class CommMessageOut {
private:
    // Fills at most `max` (2048) vectors and returns their number; the bytes must stay valid until
    // the session ends. -1 with errno fails the session.
    virtual int encode(struct iovec vectors[], int max) = 0;

public:
    virtual ~CommMessageOut() {}
    friend class CommChannel;
    friend class CommClientMachine;
    friend class CommServerMachine;
    friend class Communicator;
};

// Bytes to meaning.
class CommMessageIn {
private:
    // Takes received bytes; *size says how many there are, and on return how many were consumed. 1:
    // the message is complete. 0: more is needed. -1 with errno: it can never be. Runs on a worker,
    // one call at a time.
    virtual int append(const void *buf, size_t *size) = 0;

    // The peer has ended its sending in good order. 1: that completes the message. 0: it does not
    // (ECONNRESET).
    virtual int finish() { return 0; }

    // The kernel is about to give this message of a server's peer up, incomplete for `error`
    // (ETIMEDOUT), or has no room for it although it is complete (EBUSY). A last answer may be sent
    // by feedback().
    virtual void abandon(int error) { (void)error; }

protected:
    // Sends a small piece at once, without waiting; legal inside append() and abandon(). Returns
    // the bytes sent, or -1.
    virtual int feedback(const void *buf, size_t size);

    // Begins the receive timeouts anew: another package of the same session follows.
    virtual void renew();

    // The deepest wrapped message.
    virtual CommMessageIn *inner() { return this; }

    // A message with a head tells the kernel when its first byte came, and when the head is whole,
    // so that a server's limits on slow peers hold: a time for the whole head, then a minimum rate
    // for the rest.
    void head_begins();
    void head_complete();

public:
    CommMessageIn() : entry_(NULL) {}
    virtual ~CommMessageIn() {}

private:
    CommConnEntry *entry_;
    friend class CommChannel;
    friend class CommConnEntry;
    friend class CommClientMachine;
    friend class CommServerMachine;
    friend class Communicator;
    friend class CommSession;
};

// One request and its response.
class CommSession {
private:
    virtual CommMessageOut *message_out() = 0;
    virtual CommMessageIn *message_in() = 0;
    virtual int send_timeout() { return -1; }
    virtual int receive_timeout() { return -1; }
    // How long the connection may be kept afterwards; 0 closes it.
    virtual int keep_alive_timeout() { return 0; }
    // Of a client: limits the wait for the first byte of the answer, and lets the receive timeout
    // begin there.
    virtual int first_timeout() { return 0; }
    // The end, or on a server first CS_STATE_TOREPLY. Exactly once each; the connection's state is
    // final by then.
    virtual void handle(int state, int error) = 0;

protected:
    CommTarget *get_target() const { return this->target_; }
    CommConnection *get_connection() const { return this->conn_; }
    CommMessageOut *get_message_out() const { return this->out_; }
    CommMessageIn *get_message_in() const { return this->in_; }
    // How many sessions were before on the connection.
    long long get_seq() const { return this->seq_; }
    // When the session ended with an error of TLS: what OpenSSL says about it, in English. Valid as
    // long as the session. Else "", or what became of its connection afterwards.
    const char *get_tls_error() const;
    // What the handshake of this session's connection came to (wf/tls.h). False without TLS.
    bool get_tls_info(struct wf::TlsInfo *info) const;
    // A client's: where it is, or was cut off.
    enum CommPhase get_phase() const { return static_cast<enum CommPhase>(this->phase_); }
    // All of a client's session, from waiting for a connection to the last byte, must end within so
    // many milliseconds from now; -1 none. With the other timeouts the earlier wins. Sessions that
    // are begun again keep it. Before it is begun.
    void set_deadline(int ms);
    bool has_deadline() const { return this->deadline_ != UINT64_MAX; }
    // ECANCELED when it was canceled, ETIMEDOUT when its deadline has passed: there is no use in
    // beginning it, or beginning it again. Else 0.
    int give_up_reason() const;
    // For a session that ends without handle(), or begins again: from the end on a cancel is too
    // late. Returns the error of one that came before, or 0.
    int set_ended(bool ended);
    // A handle for wf::cancel() (wf/cancel.h), before the session has ended.
    wf::CancelHandle get_cancel_handle();
    // Of a server's session that waits for its reply: `gone` will be called, once and on a worker,
    // when the peer ends or breaks the connection, or the engine ends; not once the reply has
    // begun. It may run beside the program's work on the session, so it touches nothing of it but
    // what is made for that. -1 with ENOENT when it is too late.
    int watch_peer(std::function<void()> gone);
    // Of a server's session: its service is drained, and no request waits behind this one: so the
    // answer should say that it is the last.
    bool is_draining() const;
    // Of a server's session that was answered: nanoseconds from its first byte to that. Else
    // UINT64_MAX.
    uint64_t get_duration() const { return this->deadline_; }
    // Of a session that is a task: that, for those who trace.
    virtual const SubTask *get_task() const { return NULL; }
    // Brackets a callback about this session that does not come from handle() itself, so that a
    // wait for its own service is noticed there too.
    const void *begin_callback() const;
    static void end_callback(const void *before);

public:
    // For the engine: where a client's session waits from here on. False when it was canceled
    // before; nothing is to be taken back then.
    bool begin_wait(wf::detail::SessionWait *wait, enum CommPhase phase);
    void end_wait();
    // In whole nanoseconds from now, at least 0; -1 without a deadline.
    int64_t get_time_left() const;
    // Of a server's session that waits for its reply: when that is sent and this session is gone,
    // its connection becomes the channel, with whatever bytes stand behind the request; the group
    // must stay as long as the service is bound. Takes the reference over: a channel whose reply
    // could not be sent hears of nothing. When its connection ends before this session is gone, the
    // thread that deletes the session tells it. -1 with ENOENT when it is too late or the
    // connection cannot be one (datagrams), EALREADY the second time; then the reference is still
    // the caller's.
    int hand_over(CommChannel *channel, CommChannelGroup *group);

    CommSession();
    // An unanswered server session closes its connection.
    virtual ~CommSession();

private:
    struct Job : weft_job {
        CommSession *session;
    };

    void set_phase(enum CommPhase phase) {
        this->phase_ = static_cast<uint8_t>(phase);
        if (wf::detail::is_traced())
            this->trace_phase(phase);
    }
    void trace_phase(enum CommPhase phase) const;

    CommTarget *target_;
    CommConnection *conn_;
    CommMessageOut *out_;
    CommMessageIn *in_;
    long long seq_;
    CommConnEntry *entry_; // a counted reference
    Job job_;
    int end_state_;
    int end_error_;
    uint64_t deadline_;     // monotonic clock; UINT64_MAX: none. A server's: see get_duration()
    struct weft_lock lock_; // of a client's: guards entry_, wait_ and canceled_
    uint8_t canceled_;      // the error: ECANCELED, ETIMEDOUT; 0 if it was not
    bool ended_;       // under lock_, and only of one that has a handle: no attempt is under way
    bool passive_;     // made by a service
    bool in_hand_;     // counted by it
    bool handed_over_; // its connection is a channel now
    uint8_t phase_;
    uint64_t whole_at_;                     // a server's: when its request was, if that counts
    wf::detail::SessionWait *wait_;         // where it waits, if it does
    wf::detail::CancelBlock *cancel_block_; // shared with handles, once there was one
    CommChannel *successor_;                // what its connection will be; a reference
    CommChannelGroup *successor_group_;
    friend class CommMessageIn;
    friend class CommChannelMachine;
    friend class CommConnEntry;
    friend class CommClientMachine;
    friend class CommRequest;
    friend class CommScheduler;
    friend class CommServerMachine;
    friend class Communicator;
    friend struct wf::detail::CancelBlock;
};

// One listening address with its live connections.
class CommService : public wf::detail::ServiceGuard {
public:
    int init(const struct sockaddr *addr_in, socklen_t len, int listen_timeout_in,
             int response_timeout_in);
    void deinit();

    // Closes up to `max` idle connections (-1: all) and returns how many.
    int drain(int max);

    void get_addr(const struct sockaddr **addr_out, socklen_t *len_out) const {
        *addr_out = this->bind_addr_;
        *len_out = this->addrlen_;
    }

    // Before bind.
    void set_limits(const struct CommServiceLimits *limits_in) { this->limits_ = *limits_in; }
    const struct CommServiceLimits *get_limits() const { return &this->limits_; }
    // Before bind.
    void set_listen_options(const struct CommListenOptions *options) {
        this->listening_ = *options;
    }
    void set_socket_options(const struct CommSocketOptions *options) { this->sockets_ = *options; }
    // Before bind. Asked for each newcomer (wf/guard.h); NULL for none. Others may have it too.
    void set_guard(std::shared_ptr<wf::Guard> guard) { this->guard_ = std::move(guard); }
    // Before bind. Sees the first bytes of each connection (wf/filter.h); NULL for none.
    void set_filter(std::shared_ptr<wf::ConnectionFilter> filter) {
        this->filter_ = std::move(filter);
    }
    const struct CommListenOptions *get_listen_options() const { return &this->listening_; }
    // While bound: newcomers wait in the back-log, what is connected goes on.
    void pause_accepting();
    void resume_accepting();
    // While bound: other processes listen on the same descriptor, so the end of this service must
    // not end theirs, and who was accepted but has not said anything yet is still heard for a
    // second.
    void share_listening();
    bool is_shared() const;
    // A duplicate of the listening descriptor (the first, with reuse_port); the caller's. -1 with
    // ENOTCONN when not bound.
    int dup_listen_fd() const;
    // Requests that may be in the program's hand at the same time, from the moment one is whole
    // until its session is gone; 0: any number. A further one is not queued: it is answered as the
    // message can (HTTP: 503), and its connection ended (CCR_OVERLOADED). At any time.
    void set_max_requests(size_t max) { this->max_requests_ = max; }
    size_t get_max_requests() const { return this->max_requests_; }
    // How many connections ended for this reason so far.
    uint64_t get_close_count(enum CommCloseReason reason) const;
    // The connections there are (wf/connections.h), at most `max`: first those that have made a
    // request, the latest before the others. Returns how many. While bound.
    size_t get_connections(struct wf::ConnectionInfo *infos, size_t max) const;
    // Of a datagram service: how many answers were thrown away because the socket took no more.
    uint64_t get_dropped_count() const;

protected:
    // Of a datagram service, while bound: to anybody. What the socket does not take waits, within
    // bounds, or is dropped. 0, or -1 with errno: ENOTCONN when not bound, EMSGSIZE, ...
    int send_datagram(const void *buf, size_t size, const struct sockaddr *to, socklen_t len);
    // Before bind: its connections are channels of that group, each made by new_channel(), and not
    // sequences of requests. The group must stay as long as the service is bound.
    void set_channels(CommChannelGroup *group) { this->channels_ = group; }
    // Whether this thread is inside handle() of a session of this service.
    bool is_serving_here() const;

    void set_ssl(SSL_CTX *ssl_ctx_in, int ssl_accept_timeout_in) {
        this->ssl_ctx_ = ssl_ctx_in;
        this->ssl_accept_timeout_ = ssl_accept_timeout_in;
    }
    SSL_CTX *get_ssl_ctx() const { return this->ssl_ctx_; }
    // For the connections that come from now on, while bound. The one before must stay as long as
    // the service is bound.
    void replace_ssl_ctx(SSL_CTX *ssl_ctx_in) { this->ssl_ctx_ = ssl_ctx_in; }

private:
    // The first byte of a request has come. On a worker.
    virtual CommSession *new_session(long long seq, CommConnection *conn) = 0;
    // A connection may talk now. With one reference, which becomes the engine's. On a worker. NULL
    // closes the connection (CCR_NO_MEMORY).
    virtual CommChannel *new_channel(CommConnection *conn) {
        (void)conn;
        return NULL;
    }
    // Listening has ended.
    virtual void handle_stop(int error) { (void)error; }
    // Unbound, and the last connection and session are gone. The service may be freed in it.
    virtual void handle_unbound() = 0;
    virtual int create_listen_fd();
    virtual CommConnection *new_connection(int accept_fd);
    virtual int init_ssl(SSL *ssl) {
        (void)ssl;
        return 0;
    }

public:
    CommService();
    virtual ~CommService() {}

private:
    struct sockaddr *bind_addr_;
    socklen_t addrlen_;
    int listen_timeout_;
    int response_timeout_;
    int ssl_accept_timeout_;
    std::atomic<SSL_CTX *> ssl_ctx_;
    struct CommServiceLimits limits_;
    struct CommListenOptions listening_;
    struct CommSocketOptions sockets_;
    std::shared_ptr<wf::Guard> guard_;
    std::shared_ptr<wf::ConnectionFilter> filter_;
    CommChannelGroup *channels_; // borrowed; NULL: sessions
    struct job_site *site_;
    class CommListener *listener_;  // the first; the others hang on it
    std::atomic<int> refs_;         // bound, and each connection
    mutable struct weft_lock lock_; // guards the two lists
    CommConnEntry *ages_[2][2]; // [used][newest]: connections without a request so far; the others,
                                // by last found used
    std::atomic<size_t> conn_count_;
    std::atomic<size_t> max_requests_;
    std::atomic<size_t> requests_;  // in hand, of those that came while there was a limit
    std::atomic<bool> handed_over_; // see share_listening()
    std::atomic<bool> draining_;    // unbound, or about to be: answers end their connection
    void list_fresh(CommConnEntry *entry);
    CommConnEntry *take_oldest();
    void put_back(CommConnEntry *entry, uint64_t idle_since);
    void unlist(CommConnEntry *entry);
    void link(CommConnEntry **ends, CommConnEntry *entry);
    void unlink(CommConnEntry *entry);
    uint64_t close_counts_[CCR_COUNT];
    uint64_t dropped_;               // atomic
    std::atomic<int> listening_now_; // listeners that have not ended
    class CommListener *ref_listener() const;
    friend class CommChannelMachine;
    friend class CommConnEntry;
    friend class CommListener;
    friend class CommServerMachine;
    friend class CommSession;
    friend class Communicator;
};

// A wait for time.
class SleepSession {
private:
    // How long, from now. tv_sec < 0: until canceled. tv_nsec outside [0, 1e9): EINVAL.
    virtual int duration(struct timespec *value) = 0;
    // On a worker, exactly once.
    virtual void handle(int state, int error) = 0;

public:
    SleepSession() : poller_(NULL), state_(0) { this->timed_.timer.prev = NULL; }
    virtual ~SleepSession() {}

private:
    union {
        struct weft_poll_timer timed_;
        struct weft_job job_; // once out of the wheel
    };
    struct weft_poller *poller_;
    uint32_t state_; // see sleep.cc
    friend class CommSleep;
    friend class Communicator;
};

// A program's own executor, in place of the engine's workers, for every handle().
class CommEventHandler {
private:
    virtual void schedule(void (*routine)(void *), void *context) = 0;
    virtual void wait() = 0;

public:
    virtual ~CommEventHandler() {}
    friend class Communicator;
};

// How completions are run: on the thread that read the message, or through a queue; AUTO decides by
// measuring.
enum CommHandlerMode { CHM_AUTO = 0, CHM_INLINE = 1, CHM_QUEUED = 2 };

class Communicator {
public:
    int init(size_t poller_threads, size_t handler_threads);
    // The gate: new work is refused from here on, and sessions and timers end as stopped, on
    // workers. Returns when all connections are closed and all timers handled; callbacks of
    // sessions may still run.
    void close();
    // Closes, unless that was done, and joins the threads: every callback has returned. Not inside
    // a callback of its own, which aborts with a message.
    void deinit();
    bool is_closing() const { return this->stopping_; }

    int request(CommSession *session, CommTarget *target);
    int reply(CommSession *session);
    int push(const void *buf, size_t size, CommSession *session);
    int shutdown(CommSession *session);

    int bind(CommService *service);
    void unbind(CommService *service);

    // Connects a channel (CommChannel.h). The target must stay until it has ended. 0: its reference
    // is the engine's now, and CCE_CLOSED will come. Else -1 with errno, and it is still the
    // caller's.
    int connect(CommChannel *channel, CommTarget *target, CommChannelGroup *group);

    int sleep(SleepSession *session);
    // Ends a timer early with ECANCELED. ENOENT: it has fired or was canceled before.
    int unsleep(SleepSession *session);

    int is_handler_thread() const;
    int increase_handler_thread();
    int decrease_handler_thread();
    void customize_event_handler(CommEventHandler *handler);
    // Before the first request or bind.
    void set_handler_mode(enum CommHandlerMode mode);

    // Runs a job on a worker, soon.
    void defer(struct weft_job *job);
    struct mpoller *get_pool() const {
        return this->pool_;
    }

    Communicator() : pool_(NULL), event_handler_(NULL), stopping_(false) {}
    virtual ~Communicator() {}

private:
    static void schedule(struct mpoller *pool, struct weft_job *job);
    static void run_scheduled(void *context);
    bool enter();
    void leave();
    int listen(CommService *service, int fd, bool own);
    class CommListener *make_listener(CommService *service, int fd, bool own,
                                      struct weft_poller *home);
    void listen_for_all(CommService *service, class CommListener *first);

    struct mpoller *pool_;
    CommEventHandler *event_handler_;
    std::atomic<bool> stopping_;
    friend class CommChannelMachine;
    friend class CommConnEntry;
    friend class CommListener;
    friend class CommClientMachine;
    friend class CommServerMachine;
    friend class CommSleep;
    friend class CommService;
};

#endif
