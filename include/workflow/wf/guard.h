// Weft public header, room: kernel - who may connect to a server, how many at once, and how fast
// SPDX-License-Identifier: Apache-2.0
//
// A guard is asked for each newcomer straight after accept(), before anything is allocated, and for
// each datagram. Several servers may share one; then its limits are for all of them together. All
// of it may be changed while they run, from any thread. Whom it turns away is closed without a word
// and counted (CCR_REFUSED_ADDRESS, CCR_REFUSED_PER_ADDRESS, CCR_REFUSED_RATE). Unix sockets have
// no address, so only the rate is for them.
//
// What it knows of addresses takes bounded room: at most 65,536 of them, and those that have no
// connection and have not come for long make room first. Beyond that, connections are not counted
// while no limit is for single addresses, and turned away while one is. Usable from C++11.
#ifndef WEFT_GUARD_H
#define WEFT_GUARD_H

#include <stddef.h>
#include <string>
#include <sys/socket.h>
#include <vector>

#include "../Communicator.h"

namespace wf {

// 0 is no limit, everywhere.
struct GuardLimits {
    size_t per_address;  // connections at the same time from one address
    double rate;         // newcomers each second, in all
    size_t burst;        // that many may come at once; 0: as many as in a second, at least 1
    double address_rate; // likewise, from one address
    size_t address_burst;
    // How much of an address makes it one: the first 32 bits of IPv4 and 64 of IPv6, since whoever
    // has one IPv6 address mostly has the whole of its network.
    unsigned ipv4_bits;
    unsigned ipv6_bits;

    GuardLimits();
};

class Guard {
public:
    Guard();
    ~Guard();
    Guard(const Guard &) = delete;
    Guard &operator=(const Guard &) = delete;

    // A block is "192.0.2.0/24", "2001:db8::/32", or an address alone; bits behind the length do
    // not count. The longest block that holds an address decides, and of a block that stands in
    // both lists the denial. Who is in no block may come if no block is allowed. IPv4 in the shape
    // of IPv6 (::ffff:192.0.2.1) is IPv4, and other blocks of IPv6 hold none of it. -1 with EINVAL
    // for what is no block; then nothing has changed.
    int allow(const std::string &block);
    int deny(const std::string &block);
    // Takes it out of both lists. -1 with ENOENT when it is in none.
    int forget(const std::string &block);
    // Both lists anew, at one moment.
    int set_blocks(const std::vector<std::string> &allowed, const std::vector<std::string> &denied);

    // -1 with EINVAL: a rate below zero, or more bits than an address has; with EBUSY: other bits
    // while there are connections. Those that are there already stay and count.
    int set_limits(const GuardLimits &limits);
    GuardLimits get_limits() const;

    // Connections that were let in and are still there.
    size_t get_connection_count() const;
    // Addresses that are remembered now.
    size_t get_address_count() const;

    // For the engine. CCR_COUNT: it may come in. *counted: until leave() with the same address it
    // is one of the connections there. NULL for a datagram.
    enum CommCloseReason admit(const struct sockaddr *addr, socklen_t len, bool *counted);
    void leave(const struct sockaddr *addr, socklen_t len);

private:
    class Impl;
    Impl *impl_;
};

} // namespace wf

#endif
