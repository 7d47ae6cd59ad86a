// Weft - TcpServer: a server of channels
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/tcp_server.h"

#include <errno.h>
#include <new>

namespace wf {

int TcpServer::prepare() {
    if (!this->group())
        return -1;
    this->set_channels(this->group());
    struct CommServiceLimits limits = *this->get_limits();
    limits.first_byte_timeout = kind_->options.first_byte_timeout;
    this->set_limits(&limits);
    return 0;
}

// All channels have ended; behind the last coroutine of a conversation.
void TcpServer::handle_unbound() {
    std::shared_ptr<detail::ChannelTap> tap = kind_->tap;
    if (!tap || tap->is_idle([this] { this->WFServerBase::handle_unbound(); }))
        this->WFServerBase::handle_unbound();
}

CommChannel *TcpServer::new_channel(CommConnection *) { return new (std::nothrow) Channel(kind_); }

} // namespace wf
