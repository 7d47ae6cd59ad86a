// Weft - command line numbers, signals and the port of a server, shared by the tutorial programs
// SPDX-License-Identifier: Apache-2.0
//
// Nothing here is needed to use Weft: it keeps strtol, sigaction and sockaddr out of the pages.
// Called on the main thread only, but for end_wait and ctrl_c_handler.

#ifndef WEFT_TUTORIAL_ARGS_H
#define WEFT_TUTORIAL_ARGS_H

#include <atomic>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "workflow/WFFacilities.h"
#include "workflow/WFServer.h"

// True when text is a whole decimal number in [low, high]; the number goes to *value.
inline bool parse_number(const char *text, long low, long high, long *value) {
    char *end = NULL;
    errno = 0;
    *value = strtol(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *value >= low && *value <= high;
}

// Port 0 is allowed: the system then picks a free one.
inline bool parse_port(const char *text, unsigned short *port) {
    long value = 0;
    if (!parse_number(text, 0, 65535, &value))
        return false;
    *port = static_cast<unsigned short>(value);
    return true;
}

// The one group that Ctrl-C counts down. A function-local static: it exists before the
// engine's own objects, so it outlives them, whatever still runs at exit.
inline WFFacilities::WaitGroup &ctrl_c_group() {
    static WFFacilities::WaitGroup group(1);
    return group;
}

// Ends the wait in main: called once by Ctrl-C or by the last callback, whichever comes first.
// An atomic_flag and WaitGroup::done() are both allowed in a signal handler.
inline void end_wait() {
    static std::atomic_flag ended = ATOMIC_FLAG_INIT;
    if (!ended.test_and_set())
        ctrl_c_group().done();
}

inline void ctrl_c_handler(int) { end_wait(); }

// The default action comes back with the first signal (SA_RESETHAND), so a second Ctrl-C
// ends the process the hard way.
inline void watch_ctrl_c() {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = ctrl_c_handler;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ctrl_c_group();
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

// The signals of a server that waits for them by sigwait(): SIGHUP, SIGINT, SIGTERM. Called before
// the first thread is there, so that no other thread takes them.
inline sigset_t block_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return signals;
}

// Where an IPv4 server listens: with port 0 the system has chosen. 0 when it does not.
inline unsigned short port_of(const WFServerBase &server) {
    struct sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    if (server.get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len) < 0)
        return 0;
    return ntohs(addr.sin_port);
}

#endif
