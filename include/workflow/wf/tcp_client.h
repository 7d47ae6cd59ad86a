// Weft public header, room: channel - C++20: TcpClient: one channel to one peer, connected anew when it is lost
// SPDX-License-Identifier: Apache-2.0
//
// A client looks its peer's name up, connects, and has one channel (wf/channel.h) at a time. If
// asked to it comes back when that is lost: after 500 ms, then twice as long each time up to 30 s,
// each time by a random part more or less, so that many clients of one server do not come at once;
// a connection that was established begins anew with the first delay. Each connection is a channel
// of its own, with an id of its own.
//
// What can pass is tried again, what cannot is reported and ends the client; docs/about-channel.md
// has the table. Any thread may call any function.
#ifndef WEFT_TCP_CLIENT_H
#define WEFT_TCP_CLIENT_H

#include <openssl/ssl.h>
#include <string>

#include "../EndpointParams.h"
#include "channel.h"

namespace wf {

struct ReconnectPolicy {
    bool enabled = false;
    int first_delay = 500; // ms
    int max_delay = 30000; // ms
    double jitter = 0.5;   // of a delay, that it may be shorter or longer; 0 to 1
    int max_attempts = -1; // in a row that fail, the first one included; -1 any number
};

enum class ClientState {
    IDLE,       // not begun
    CONNECTING, // looks the name up, or connects
    CONNECTED,
    WAITING, // for the next attempt
    ENDED,   // end() was called, or there is no use in going on; connect() begins anew
};

class TcpClient : public ChannelOwner {
public:
    // An attempt has failed, or a connection was lost. `delay`: ms until the next attempt; -1:
    // there will be none. `state` and `error` as tasks have them (docs/about-errors.md). On a
    // worker, in order with the events of the channel.
    using Failed = std::function<void(TcpClient &, int state, int error, int delay)>;

    TcpClient();
    // Closes it and waits, as wait() does. In one of its own events but on_ended() it would wait
    // for itself: it aborts instead.
    ~TcpClient();
    TcpClient(const TcpClient &) = delete;
    TcpClient &operator=(const TcpClient &) = delete;

    // Before connect().
    void set_reconnect(const ReconnectPolicy &policy);
    void on_failed(Failed function);
    // It is over: nothing is under way, and nothing else will be called. The client may be deleted
    // in it, if nobody waits for it elsewhere.
    void on_ended(std::function<void(TcpClient &)> function);
    void set_connect_timeout(int ms);     // 10 s; -1 none
    void set_tls_timeout(int ms);         // 10 s; -1 none
    void set_tls(SSL_CTX *ctx = nullptr); // over TLS; NULL: wf::tls_client_ctx(). Borrowed

    // To a name, a literal address, or an absolute path of a Unix socket. Returns at once; events
    // tell what comes of it. -1 with errno: EALREADY while it is not ended; EINVAL for an empty
    // host; ENOMEM.
    int connect(const std::string &host, unsigned short port);

    // The channel that is established. Empty when there is none.
    ChannelPtr channel() const;
    // On it; -1 with ENOTCONN when there is none.
    int send(std::string_view bytes, uint64_t type = 0);
    ClientState state() const;
    int attempts() const; // that have failed in a row

    // No further connection, and the one that is there ends in good order: what was sent arrives.
    // Returns at once.
    void end();
    // The same, at once and without order.
    void close();
    // Waits until it is ended: until end(), and until all has come to its end. Not inside one of
    // its own events.
    void wait();

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

} // namespace wf

#endif
