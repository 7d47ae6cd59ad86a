// Weft - datagrams in the simulated network: lost, delayed, out of order, and refused for want of room
// SPDX-License-Identifier: Apache-2.0
#include "datagrams.h"

#include <errno.h>
#include <map>

#include "world.h"

namespace sim {

namespace {

constexpr size_t MOST = 65507;

std::map<uint16_t, std::weak_ptr<Datagrams>> bound;

} // namespace

void Datagrams::bind(uint16_t port_in) {
    port = port_in;
    bound[port] = this->shared_from_this();
}

void Datagrams::closed() {
    is_closed = true;
    queue.clear();
    bound.erase(port);
}

ssize_t Datagrams::send(const std::string &bytes, uint16_t to) {
    if (bytes.size() > MOST) {
        errno = EMSGSIZE;
        return -1;
    }
    std::weak_ptr<Datagrams> self = this->shared_from_this();
    if (full || world->rng.ppm(world->tuning.full_write)) {
        if (!full)
            world->at(world->now + world->rng.spread(1 * US, 3 * MS), [self]() {
                if (auto socket = self.lock()) {
                    socket->full = false;
                    socket->changed(EPOLLOUT);
                }
            });
        full = true;
        errno = EAGAIN;
        return -1;
    }
    if (!world->rng.percent(5))
        world->at(world->now + world->rng.spread(1 * US, 2 * MS), [bytes, to, from = port]() {
            auto found = bound.find(to);
            auto socket = found == bound.end() ? nullptr : found->second.lock();
            if (socket && !socket->is_closed && socket->queue.size() < 50) {
                socket->queue.emplace_back(from, bytes);
                socket->changed(EPOLLIN);
            }
        });
    return static_cast<ssize_t>(bytes.size());
}

} // namespace sim
