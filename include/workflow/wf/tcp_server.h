// Weft public header, room: server - TcpServer: listens, and makes a channel of each connection
// SPDX-License-Identifier: Apache-2.0
//
// Starts, stops, listens, and takes its guard and filter as every server does (WFServer.h); what it
// does with its channels is said in front of that (wf/channel.h). stop() ends all channels in good
// order: what was sent still leaves, and a peer has two seconds to end, too.
#ifndef WEFT_TCP_SERVER_H
#define WEFT_TCP_SERVER_H

#include <string>
#include <vector>

#include "../WFServer.h"
#include "channel.h"

namespace wf {

class TcpServer : public WFServerBase, public ChannelOwner {
public:
    TcpServer() : TcpServer(&SERVER_PARAMS_DEFAULT) {}
    // Of the parameters these count: max_connections, ssl_accept_timeout. All limits on peers stand
    // in options().
    explicit TcpServer(const struct WFServerParams *params_in) : WFServerBase(params_in) {}

    // How many channels are there now.
    size_t get_channel_count() { return this->group() ? this->group()->get_count() : 0; }
    // At most `max` of them, in no order.
    std::vector<ChannelPtr> get_channels(size_t max = SIZE_MAX);
    // What they are like; those that end meanwhile are left out.
    std::vector<ChannelInfo> get_channel_infos(size_t max = SIZE_MAX);
    // Empty when there is none of that id, any more or here.
    ChannelPtr find(ChannelId id) { return Channel::find(id, this->group()); }
    // -1 with ENOENT, or as the channel has it.
    int send(ChannelId id, std::string_view bytes, uint64_t type = 0);
    int close(ChannelId id);

    // The same message to all, or to some; it is framed once, shared and not copied, and each
    // poller gets one order. In order with other broadcasts of this server, not with send().
    int broadcast(std::string bytes, uint64_t type = 0);
    int broadcast(const std::vector<ChannelPtr> &channels, std::string bytes, uint64_t type = 0);
    // Bytes queued in all channels.
    size_t get_backlog() { return this->group() ? this->group()->get_backlog() : 0; }

private:
    int prepare() override;
    CommSession *new_session(long long, CommConnection *) override { return nullptr; }
    CommChannel *new_channel(CommConnection *conn) override;
    std::string *wrap(std::string &&bytes, uint64_t type);
};

} // namespace wf

#endif
