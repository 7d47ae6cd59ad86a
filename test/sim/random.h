// Weft - the one source of chance of a simulated run
// SPDX-License-Identifier: Apache-2.0
//
// Everything a run draws comes from here, so a seed names a run. Nothing may be drawn that depends
// on an address, on the real clock, or on whether the run is being traced.
#ifndef WEFT_TEST_SIM_RANDOM_H
#define WEFT_TEST_SIM_RANDOM_H

#include <stddef.h>
#include <stdint.h>

namespace sim {

class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}

    // splitmix64: any seed is good, also 0.
    uint64_t next() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    // In [0, n).
    uint64_t below(uint64_t n) { return n ? next() % n : 0; }
    uint64_t between(uint64_t least, uint64_t most) { return least + below(most - least + 1); }
    int number(int least, int most) {
        return least + static_cast<int>(below(static_cast<uint64_t>(most - least + 1)));
    }
    // True in `parts` of a million draws.
    bool ppm(unsigned parts) { return parts && next() % 1000000u < parts; }
    bool percent(unsigned parts) { return next() % 100u < parts; }
    // Small values are as likely as large ones.
    uint64_t spread(uint64_t least, uint64_t most) {
        uint64_t top = least + 1;
        while (top < most && next() % 4 != 0)
            top *= 2;
        return between(least, top < most ? top : most);
    }
    template <class T, size_t N>
    const T &pick(const T (&of)[N]) {
        return of[below(N)];
    }

private:
    uint64_t state_;
};

} // namespace sim

#endif
