// Weft - compat: what the C++11 program offers to the test that links it
// SPDX-License-Identifier: Apache-2.0

#ifndef WEFT_TEST_COMPAT_CXX11_PROGRAM_H
#define WEFT_TEST_COMPAT_CXX11_PROGRAM_H

#include <string>

// An HTTP server and a client task over loopback: returns "<text> from C++11".
std::string cxx11_round_trip(const std::string &text);

// 1 + 2 + ... + n, each number in a thread task of its own.
int cxx11_parallel_sum(int n);

// Runs a graph of three nodes and returns how many ran.
int cxx11_graph_nodes();

// Sorts the numbers n, n - 1, ... 1 side by side; true when they are in order.
bool cxx11_sorts(int n);

// Sends through named mailboxes, a guard, a pool and a queue; "box cond guard pool queue".
std::string cxx11_messages();

#endif
