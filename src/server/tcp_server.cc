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

CommChannel *TcpServer::new_channel(CommConnection *) { return new (std::nothrow) Channel(kind_); }

std::vector<ChannelPtr> TcpServer::get_channels(size_t max) {
    std::vector<ChannelPtr> found;
    CommChannelGroup *group = this->group();
    if (!group)
        return found;
    // Some may come between the two looks.
    std::vector<CommChannel *> channels(std::min(max, group->get_count() + 16));
    size_t count = group->list(channels.data(), channels.size());
    found.reserve(count);
    for (size_t i = 0; i < count; i++)
        found.push_back(ChannelPtr::adopt(static_cast<Channel *>(channels[i])));
    return found;
}

std::vector<ChannelInfo> TcpServer::get_channel_infos(size_t max) {
    std::vector<ChannelInfo> infos;
    for (const ChannelPtr &channel : this->get_channels(max)) {
        ChannelInfo info = channel->info();
        if (info.state != CCS_DISCONNECTED)
            infos.push_back(info);
    }
    return infos;
}

int TcpServer::send(ChannelId id, std::string_view bytes, uint64_t type) {
    ChannelPtr channel = this->find(id);
    errno = ENOENT;
    return channel ? channel->send(bytes, type) : -1;
}

int TcpServer::close(ChannelId id) {
    ChannelPtr channel = this->find(id);
    errno = ENOENT;
    if (!channel)
        return -1;
    channel->close();
    return 0;
}

// NULL with errno.
std::string *TcpServer::wrap(std::string &&bytes, uint64_t type) {
    Wrapping around;
    if (kind_->framing->wrap(bytes.size(), type, &around) < 0)
        return nullptr;
    bytes.insert(0, around.head, around.head_size);
    bytes.append(around.tail, around.tail_size);
    return new std::string(std::move(bytes));
}

namespace {

void free_text(void *owner) { delete static_cast<std::string *>(owner); }

} // namespace

int TcpServer::broadcast(std::string bytes, uint64_t type) {
    std::string *text = this->wrap(std::move(bytes), type);
    if (!text)
        return -1;
    if (!this->group()) {
        delete text;
        return -1;
    }
    return this->group()->broadcast(text->data(), text->size(), free_text, text);
}

int TcpServer::broadcast(const std::vector<ChannelPtr> &channels, std::string bytes,
                         uint64_t type) {
    std::string *text = this->wrap(std::move(bytes), type);
    if (!text)
        return -1;
    if (!this->group()) {
        delete text;
        return -1;
    }
    std::vector<CommChannel *> some;
    some.reserve(channels.size());
    for (const ChannelPtr &channel : channels)
        some.push_back(channel.get());
    return this->group()->broadcast(some.data(), some.size(), text->data(), text->size(), free_text,
                                    text);
}

} // namespace wf
