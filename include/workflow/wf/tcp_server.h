// Weft public header, room: server - C++20: TcpServer: listens, and makes a channel of each connection
// SPDX-License-Identifier: Apache-2.0
//
// Starts, stops, listens, and takes its guard and filter as every server does (WFServer.h); what it
// does with its channels is said in front of that (wf/channel.h). stop() ends all channels in good
// order: what was sent still leaves, and a peer has two seconds to end, too.
// It waits for the coroutines of conversations (wf/coro_channel.h).
#ifndef WEFT_TCP_SERVER_H
#define WEFT_TCP_SERVER_H

#include "../WFServer.h"
#include "channel.h"

namespace wf {

class TcpServer : public WFServerBase, public ChannelSet {
public:
    TcpServer() : TcpServer(&SERVER_PARAMS_DEFAULT) {}
    // Of the parameters these count: max_connections, ssl_accept_timeout. All limits on peers stand
    // in options().
    explicit TcpServer(const struct WFServerParams *params_in) : WFServerBase(params_in) {}

private:
    int prepare() override;
    CommSession *new_session(long long, CommConnection *) override { return nullptr; }
    CommChannel *new_channel(CommConnection *conn) override;
    void handle_unbound() override;
};

} // namespace wf

#endif
