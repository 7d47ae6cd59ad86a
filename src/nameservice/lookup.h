// Weft - the seam between the resolver and whatever knows how to look a name up
// SPDX-License-Identifier: Apache-2.0
//
// getaddrinfo() on the DNS threads implements it here (lookup_getaddrinfo.h); a DNS client in a
// room above may too, and tests do. WFDnsResolver::set_lookup() plugs one in.
#ifndef WEFT_SRC_NAMESERVICE_LOOKUP_H
#define WEFT_SRC_NAMESERVICE_LOOKUP_H

#include <string>

#include "nameservice/address_list.h"

namespace wf::detail {

struct LookupQuestion {
    std::string host;
    int family; // AF_UNSPEC, AF_INET or AF_INET6
    unsigned short port;
};

// What came of it: a state of tasks (WFT_STATE_*) with its error, and the addresses under
// WFT_STATE_SUCCESS. Ports in the addresses need not be set.
struct LookupAnswer {
    int state = 0;
    int error = 0;
    AddressList addresses;
};

// Whoever asked.
class LookupSink {
public:
    // Exactly once for each start(), on any thread, also inside start() itself. Runs no user code.
    // The sink may be gone when it returns.
    virtual void answer(LookupAnswer &answer) = 0;

protected:
    ~LookupSink() = default;
};

class Lookup {
public:
    // Begins a look-up and does not wait for its end. The question is valid until the answer. Never
    // asked the same question again before it has answered it. Called on any thread, several at
    // once.
    virtual void start(const LookupQuestion &question, LookupSink *sink) = 0;

    virtual ~Lookup() = default;
};

} // namespace wf::detail

#endif
