// Weft public header, room: kernel - how sockets are set up, how services listen, and what they limit
// SPDX-License-Identifier: Apache-2.0
//
// Plain structures, copied when they are given away. Usable from C++11.
#ifndef WEFT_COMMOPTIONS_H
#define WEFT_COMMOPTIONS_H

#include <stddef.h>

// How sockets are set up. Milliseconds, but where it says seconds; -1 leaves it to the system.
struct CommSocketOptions {
    bool no_delay;      // TCP_NODELAY: small answers leave at once. true
    bool keep_alive;    // TCP keep-alive: finds peers that vanished without a word. true
    int keep_idle;      // seconds without traffic until it asks. 60
    int keep_interval;  // seconds between questions. 15
    int keep_count;     // unanswered ones until the connection is lost. 4
    int user_timeout;   // how long sent bytes may stay unacknowledged (RFC 5482). -1
    int receive_buffer; // bytes; what the system rounds and limits. -1
    int send_buffer;    // likewise. -1
    CommSocketOptions();
};

// How a service listens.
struct CommListenOptions {
    int backlog;        // connections that wait for accept; at most net.core.somaxconn. 4096
    int defer_accept;   // seconds a connection may be kept back until its first byte came; 0 off. 0
    int accept_at_once; // at most so many in one go; 0 all; -1 a fair share (ADR 8). -1
    bool reuse_port;    // one listener for each poller (SO_REUSEPORT), and no dealing out. false
    bool dual_stack;    // an IPv6 address takes IPv4 as well. true
    CommListenOptions();
};

// The limits of a service on its peers. Milliseconds, -1 none; bytes per second, 0 none.
struct CommServiceLimits {
    int first_byte_timeout; // from accept to the first byte of the first request
    int head_timeout;       // for the head of a message, where the message knows one
    int min_receive_rate;   // for the rest of such a message, after a grace of five seconds
    size_t max_connections; // when reached, one that never sent a request makes room, else the
                            // longest idle

    int first_message_timeout;  // from accept to the end of the first request
    int authentication_timeout; // from there to the authenticator's word, where there is one
    // While more bytes of an answer are unsent than backlog_limit (0: never mind), the peer must
    // take 1 KiB in one of three samples of 5 s, and min_send_rate in one of twelve.
    size_t backlog_limit;
    int min_send_rate;
};

// Why a connection of a server, or a channel, has ended or was refused.
enum CommCloseReason {
    CCR_PEER_CLOSED,         // the peer ended it
    CCR_PEER_RESET,          // or broke it
    CCR_FINISHED,            // after an answer that did not keep it alive
    CCR_NOREPLY,             // the session was shut down or dropped unanswered
    CCR_FIRST_BYTE_TIMEOUT,  // no request came in time
    CCR_IDLE_TIMEOUT,        // none came again
    CCR_BLOCK_TIMEOUT,       // the peer stopped in the middle of a message
    CCR_HEAD_TIMEOUT,        // the head took too long
    CCR_MESSAGE_TIMEOUT,     // the message did
    CCR_SLOW_RECEIVE,        // below the minimum rate
    CCR_SEND_TIMEOUT,        // the peer did not take the answer
    CCR_BAD_MESSAGE,         // append() failed
    CCR_SEND_ERROR,          // encode() or the write failed
    CCR_MADE_ROOM,           // for a newer connection
    CCR_REFUSED_FULL,        // no room could be made
    CCR_REFUSED_NO_FD,       // out of descriptors
    CCR_DRAINED,             // by drain() or unbind()
    CCR_ABORTED,             // the engine ends
    CCR_HANDSHAKE_TIMEOUT,   // the TLS handshake took too long
    CCR_HANDSHAKE_FAILED,    // or could not come to an end
    CCR_REFUSED_ADDRESS,     // the guard: its address may not come (wf/guard.h)
    CCR_REFUSED_PER_ADDRESS, // too many are there from its address
    CCR_REFUSED_RATE,        // too many came in too short a time
    CCR_REFUSED_FILTER,      // the filter, of its first bytes (wf/filter.h)
    CCR_OVERLOADED,          // more requests than may be in hand
    CCR_NO_MEMORY,           // for the connection, or for what the peer has sent

    CCR_SEND_STALLED,          // the peer takes next to nothing of a large answer
    CCR_SLOW_SEND,             // or takes it too slowly
    CCR_FIRST_MESSAGE_TIMEOUT, // the first request was not whole in time
    CCR_TOO_OLD,               // a request stood in the queue for too long
    CCR_REFUSED_AUTH,          // the authenticator (wf/authenticator.h)
    CCR_AUTH_TIMEOUT,          // which has not answered in time
    CCR_CLOSED,                // channel: the program closed it
    CCR_RESET,                 // likewise, so that the peer sees a reset
    CCR_FINISH_TIMEOUT,        // we have ended our sending, and the peer did not follow in time
    CCR_SILENT,                // the peer has said nothing for too long
    CCR_BACKLOG_FULL,          // its group had more queued than it may, and this one the most
    CCR_CONNECT_FAILED,        // a client's: the system, or the peer's, said no
    CCR_CONNECT_TIMEOUT,       // or nothing
    CCR_SELF_CONNECTED,        // TCP had connected it with itself
    CCR_COUNT
};

#endif
