// Weft - the toy: a secure transport for the simulator, with the shapes of TLS and none of its secrets
// SPDX-License-Identifier: Apache-2.0
//
// A handshake of one or two round trips, then records, and a notice before the end; a stream that
// ends without the notice was cut. A Toy is one end of that and moves no bytes itself: what it was
// given from the wire goes in by receive(), what is to be put on the wire is in `out`. Scripted
// peers use it over their streams, the kernel as transport_tls.h (transport_toy.cc).
#ifndef WEFT_TEST_SIM_TOY_H
#define WEFT_TEST_SIM_TOY_H

#include <stddef.h>
#include <string>
#include <sys/types.h>

namespace sim {

class Toy {
public:
    explicit Toy(bool client);

    // 1: agreed. 0: the peer's word is missing. -1: it makes no sense.
    int shake();
    void receive(const char *bytes, size_t size) { in_.append(bytes, size); }
    // Takes plain bytes out of what was received. 0: no whole record is there, -1: it makes no
    // sense, or is_over().
    ssize_t open(char *buf, size_t size);
    bool has_more() const { return !in_.empty(); }
    bool is_over() const { return over_; } // the notice came
    void seal(const char *bytes, size_t size);
    void bye();

    std::string out;

private:
    bool take(char word);

    bool client_;
    bool long_ = false; // two round trips
    int step_ = 0;
    bool over_ = false;
    size_t left_ = 0; // of the present record
    std::string in_;
};

} // namespace sim

#endif
