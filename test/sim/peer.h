// Weft - a scripted peer: a fiber that speaks on a stream of its own, in the clear or through the toy
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_TEST_SIM_PEER_H
#define WEFT_TEST_SIM_PEER_H

#include <algorithm>
#include <errno.h>
#include <functional>
#include <memory>
#include <string.h>
#include <string>

#include "program.h"
#include "toy.h"

namespace sim {

class Peer {
public:
    explicit Peer(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {
        stream_->is_raw = true;
    }
    ~Peer() {
        if (!stream_->is_closed)
            stream_->closed();
    }

    // From here on all passes through the toy. False when the other side broke the handshake off.
    bool secure(bool client) {
        char buf[512];
        toy_ = std::make_unique<Toy>(client);
        for (;;) {
            int agreed = toy_->shake();
            if (agreed < 0 || !this->write_wire(&toy_->out, 0))
                return false;
            if (agreed > 0)
                return true;
            ssize_t n = this->read_wire(buf, sizeof buf);
            if (n <= 0)
                return false;
            toy_->receive(buf, static_cast<size_t>(n));
        }
    }

    bool wait_connected() {
        while (stream_->state == Stream::CONNECTING) {
            if (!this->wait())
                return false;
        }
        return stream_->state == Stream::OPEN;
    }
    // 0 at the end, -1 when it broke or the program is over.
    ssize_t read(char *buf, size_t size) {
        if (!toy_)
            return this->read_wire(buf, size);
        for (;;) {
            ssize_t n = toy_->open(buf, size);
            if (n > 0)
                return n;
            if (n < 0)
                return toy_->is_over() ? 0 : -1;
            char raw[4096];
            n = this->read_wire(raw, sizeof raw);
            if (n <= 0) // an end without the notice is none
                return -1;
            toy_->receive(raw, static_cast<size_t>(n));
        }
    }
    // First what read_frame() has left.
    ssize_t read_on(char *buf, size_t size) {
        if (begin_ == end_)
            return this->read(buf, size);
        size_t n = std::min(size, end_ - begin_);
        memcpy(buf, buf_ + begin_, n);
        begin_ += n;
        return static_cast<ssize_t>(n);
    }
    // The stream has come to its end, and the transport has not: it was cut off.
    bool was_cut() const { return toy_ && stream_->fin_in && stream_->state == Stream::OPEN; }
    // Or an end.
    bool has_bytes() const {
        return begin_ < end_ || stream_->unread() > 0 || stream_->fin_in ||
               stream_->state != Stream::OPEN;
    }
    // Sends all, in pieces; false when it broke.
    bool write(const std::string &bytes, Time pause) {
        std::string wire = bytes;
        if (toy_) {
            toy_->seal(bytes.data(), bytes.size());
            wire.swap(toy_->out);
            toy_->out.clear();
        }
        return this->write_wire(&wire, pause);
    }
    // 1: a frame. 0: the stream ended before one began. -1: it ended within one, broke, or made no
    // sense.
    int read_frame(FrameParser *parser) {
        parser->reset();
        for (;;) {
            if (begin_ == end_) {
                size_t size =
                    world->rng.percent(20) ? world->rng.between(1, sizeof buf_) : sizeof buf_;
                ssize_t n = this->read(buf_, size);
                if (n <= 0)
                    return n == 0 && !parser->has_begun() ? 0 : -1;
                begin_ = 0;
                end_ = static_cast<size_t>(n);
            }
            size_t used;
            int result = parser->feed(buf_ + begin_, end_ - begin_, &used);
            if (result < 0 && !toy_ && (buf_[0] == 'h' || buf_[0] == 'H'))
                return -1; // a secure client that came to the wrong place
            if (result < 0)
                world->fail("a peer received broken bytes: %s", parser->wrong);
            begin_ += used;
            if (result > 0 && parser->head.kind == PUSHED)
                parser->reset();
            else if (result > 0)
                return 1;
        }
    }
    // False when it broke.
    bool shut() {
        bool good = true;
        if (toy_) {
            toy_->bye();
            good = this->write_wire(&toy_->out, 0);
        }
        return stream_->shut_sending() == 0 && good;
    }
    void reset() {
        stream_->abortive = true;
        stream_->closed();
    }
    void close() { stream_->closed(); }
    bool wait_end() {
        char waste[512];
        ssize_t n;
        while ((n = this->read(waste, sizeof waste)) > 0) {}
        return n == 0;
    }

private:
    ssize_t read_wire(char *buf, size_t size) {
        for (;;) {
            ssize_t n = stream_->receive(buf, size);
            if (n >= 0 || errno != EAGAIN)
                return n;
            if (!this->wait())
                return -1;
        }
    }
    // Takes the bytes it has sent away.
    bool write_wire(std::string *bytes, Time pause) {
        while (!bytes->empty()) {
            size_t size = bytes->size();
            if (world->rng.percent(40))
                size = world->rng.between(1, size);
            ssize_t n = stream_->send(bytes->data(), size);
            if (n > 0) {
                bytes->erase(0, static_cast<size_t>(n));
                if (pause && world->rng.percent(50))
                    world->nap(world->rng.spread(1 * US, pause));
                continue;
            }
            if (errno != EAGAIN || !this->wait())
                return false;
        }
        return true;
    }
    bool wait() { return !world->ending && world->wait(stream_.get(), world->now + 30 * SEC); }

    std::shared_ptr<Stream> stream_;
    std::unique_ptr<Toy> toy_;
    char buf_[4096];
    size_t begin_ = 0, end_ = 0;
};

// Never a frame, nor a record.
std::string garbage(size_t size);
// False when the peer has had enough before the handshake was done.
bool shake_hands(Program *program, Peer *peer);
// Each newcomer has a fiber of its own.
std::shared_ptr<Listener> spawn_listener(std::function<void(std::shared_ptr<Stream>)> serve);

} // namespace sim

#endif
