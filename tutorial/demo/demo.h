// Weft - the demo: its commands, and what they share
// SPDX-License-Identifier: Apache-2.0
//
// main.cc reads the command line and calls one of these on the main thread. Each returns the
// exit status of the process. Page: docs/tutorial-demo.md

#ifndef WEFT_DEMO_DEMO_H
#define WEFT_DEMO_DEMO_H

#include <string>

#include "workflow/WFHttpServer.h"

namespace demo {

// The back ends that one answer needs, in the order of the table and of the timeline.
enum Backend { STOCK, PRICE, RATING, BACKENDS };
extern const char *const kBackendNames[BACKENDS];

// How long each back end takes to answer, and how long the one that dawdles (?slow).
const int kDelaysMs[BACKENDS] = {20, 35, 50};
const int kSlowMs = 400;

// An answer leaves at the latest after this time, with what is there.
const int kLimitMs = 150;

// Three small HTTP servers on free ports; prints "backends PORT PORT PORT".
int run_backends();

// The server that asks them; ports in the order of Backend. Prints "front PORT".
int run_front(unsigned short port, const unsigned short (&backends)[BACKENDS]);

// One call after the other by Weft's own client, one line of the table for each.
int run_calls(const std::string &url, int count);

// in_flight calls at any time for some seconds; prints rate and latencies.
int run_load(const std::string &url, int in_flight, int seconds);

// The port that a started server listens on.
unsigned short port_of(const WFHttpServer &server);

// Returns at Ctrl-C or TERM; the second one ends the process at once.
void wait_for_ctrl_c();

} // namespace demo

#endif
