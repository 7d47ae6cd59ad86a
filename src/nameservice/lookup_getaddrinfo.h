// Weft - look-ups by getaddrinfo() of the C library, on the DNS threads
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_NAMESERVICE_LOOKUP_GETADDRINFO_H
#define WEFT_SRC_NAMESERVICE_LOOKUP_GETADDRINFO_H

#include "nameservice/lookup.h"

namespace wf::detail {

// Each look-up blocks one of the process's DNS threads while it lasts; at exit those that have not
// begun answer WFT_STATE_ABORTED.
class GetaddrinfoLookup : public Lookup {
public:
    void start(const LookupQuestion &question, LookupSink *sink) override;
};

} // namespace wf::detail

#endif
