// Weft public header, room: server - C++20: connections that an HTTP server hands over to channels (Upgrade)
// SPDX-License-Identifier: Apache-2.0
//
// A client that asks for another protocol in the Upgrade field (RFC 9110, section 7.8) is answered
// with 101, and from there on its connection is a channel of the endpoint, over TLS if it was. What
// the channels do is said before the server starts, as for a TcpServer; the endpoint must outlive
// the server's run. The server goes on to count them among its connections, and ends them when it
// is shut down.
#ifndef WEFT_UPGRADE_H
#define WEFT_UPGRADE_H

#include <string>

#include "../WFTaskFactory.h"
#include "channel.h"

namespace wf {

class UpgradeEndpoint : public ChannelSet {
public:
    UpgradeEndpoint() = default;
    UpgradeEndpoint(const UpgradeEndpoint &) = delete;
    UpgradeEndpoint &operator=(const UpgradeEndpoint &) = delete;

    // What the client asks for, as it says it; empty: nothing.
    static std::string get_wish(WFHttpTask *task);

    // In the server's process(), or before the task is answered: makes its answer a 101 that names
    // the protocol; the program may add header fields. When that is sent and the task's callback
    // has run, `established` is called, and then come the bytes that stood behind the request. If
    // it cannot be sent, nothing is heard of the channel. Empty with errno: EINVAL for a request
    // that does not ask for any; ENOENT when it is too late; ENOMEM.
    ChannelPtr accept(WFHttpTask *task, const std::string &protocol);
};

} // namespace wf

#endif
