// Weft - the toy: a secure transport for the simulator, with the shapes of TLS and none of its secrets
// SPDX-License-Identifier: Apache-2.0
#include "toy.h"

#include <algorithm>

#include "world.h"

namespace sim {

namespace {

constexpr size_t WORD = 12; // bytes of a word of the handshake, all the same
constexpr size_t RECORD = 1000;
constexpr char MASK = 0x55;

enum Word : char { HELLO = 'h', LONG_HELLO = 'H', WELCOME = 'w', AGAIN = 'a', WELL = 'e' };

} // namespace

Toy::Toy(bool client) : client_(client) {
    if (client) {
        long_ = world->rng.percent(30);
        out.append(WORD, long_ ? LONG_HELLO : HELLO);
    }
}

// Whether the next word is there, and it is that one; else step_ becomes -1 when it is another.
bool Toy::take(char word) {
    if (in_.size() < WORD)
        return false;
    if (std::any_of(in_.begin(), in_.begin() + WORD, [word](char c) { return c != word; })) {
        step_ = -1;
        return false;
    }
    in_.erase(0, WORD);
    return true;
}

int Toy::shake() {
    if (client_ && step_ == 0 && this->take(long_ ? AGAIN : WELCOME)) {
        step_ = long_ ? 1 : 2;
        if (long_)
            out.append(WORD, WELL);
    } else if (!client_ && step_ == 0 && !in_.empty()) {
        long_ = in_[0] == LONG_HELLO;
        if (this->take(long_ ? LONG_HELLO : HELLO)) {
            step_ = long_ ? 1 : 2;
            out.append(WORD, long_ ? AGAIN : WELCOME);
        }
    }
    if (step_ == 1 && this->take(client_ ? WELCOME : WELL)) {
        step_ = 2;
        if (!client_)
            out.append(WORD, WELCOME);
    }
    return step_ < 0 ? -1 : step_ == 2;
}

// A record: '[', two bytes of length, that many masked bytes. Length 0 is the notice.
ssize_t Toy::open(char *buf, size_t size) {
    if (over_)
        return -1;
    if (left_ == 0) {
        if (in_.size() < 3)
            return 0;
        size_t length = static_cast<size_t>(static_cast<unsigned char>(in_[1])) * 256 +
                        static_cast<unsigned char>(in_[2]);
        if (in_[0] != '[' || length > RECORD)
            return -1;
        if (in_.size() < 3 + length)
            return 0;
        in_.erase(0, 3);
        left_ = length;
        if (length == 0) {
            over_ = true;
            return -1;
        }
    }
    size_t n = std::min(size, left_);
    for (size_t i = 0; i < n; i++)
        buf[i] = static_cast<char>(in_[i] ^ MASK);
    in_.erase(0, n);
    left_ -= n;
    return static_cast<ssize_t>(n);
}

void Toy::seal(const char *bytes, size_t size) {
    for (size_t at = 0; at < size;) {
        size_t n = std::min(size - at, RECORD);
        out += '[';
        out += static_cast<char>(n / 256);
        out += static_cast<char>(n % 256);
        for (size_t i = 0; i < n; i++)
            out += static_cast<char>(bytes[at + i] ^ MASK);
        at += n;
    }
}

void Toy::bye() { out.append("[\0\0", 3); }

} // namespace sim
