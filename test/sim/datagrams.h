// Weft - datagrams in the simulated network: lost, delayed, out of order, and refused for want of room
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_TEST_SIM_DATAGRAMS_H
#define WEFT_TEST_SIM_DATAGRAMS_H

#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "net.h"

namespace sim {

// A datagram socket. Scripted peers own one without a descriptor.
class Datagrams : public File, public std::enable_shared_from_this<Datagrams> {
public:
    uint32_t mask() override {
        return (queue.empty() ? 0u : static_cast<uint32_t>(EPOLLIN)) |
               (full ? 0u : static_cast<uint32_t>(EPOLLOUT));
    }
    void closed() override;
    void bind(uint16_t port_in);
    // -1 and errno: EAGAIN, or EMSGSIZE.
    ssize_t send(const std::string &bytes, uint16_t to);

    uint16_t port = 0;
    bool full = false;
    bool is_closed = false;
    std::deque<std::pair<uint16_t, std::string>> queue; // from where, and what
};

} // namespace sim

#endif
