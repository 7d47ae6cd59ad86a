// Weft - ChannelSet: all channels of a server
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <errno.h>

#include "workflow/wf/channel.h"

namespace wf {

std::vector<ChannelPtr> ChannelSet::get_channels(size_t max) {
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

std::vector<ChannelInfo> ChannelSet::get_channel_infos(size_t max) {
    std::vector<ChannelInfo> infos;
    for (const ChannelPtr &channel : this->get_channels(max)) {
        ChannelInfo info = channel->info();
        if (info.state != CCS_DISCONNECTED)
            infos.push_back(info);
    }
    return infos;
}

int ChannelSet::send(ChannelId id, std::string_view bytes, uint64_t type) {
    ChannelPtr channel = this->find(id);
    errno = ENOENT;
    return channel ? channel->send(bytes, type) : -1;
}

int ChannelSet::close(ChannelId id) {
    ChannelPtr channel = this->find(id);
    errno = ENOENT;
    if (!channel)
        return -1;
    channel->close();
    return 0;
}

// NULL with errno.
std::string *ChannelSet::wrap(std::string &&bytes, uint64_t type) {
    Wrapping around;
    if (!this->group() || kind_->framing->wrap(bytes.size(), type, &around) < 0)
        return nullptr;
    bytes.insert(0, around.head, around.head_size);
    bytes.append(around.tail, around.tail_size);
    return new std::string(std::move(bytes));
}

namespace {

void free_text(void *owner) { delete static_cast<std::string *>(owner); }

} // namespace

int ChannelSet::broadcast(std::string bytes, uint64_t type) {
    std::string *text = this->wrap(std::move(bytes), type);
    if (!text)
        return -1;
    return this->group()->broadcast(text->data(), text->size(), free_text, text);
}

int ChannelSet::broadcast(const std::vector<ChannelPtr> &channels, std::string bytes,
                          uint64_t type) {
    std::string *text = this->wrap(std::move(bytes), type);
    if (!text)
        return -1;
    std::vector<CommChannel *> some;
    some.reserve(channels.size());
    for (const ChannelPtr &channel : channels) {
        if (channel) // find() answers an empty one for whoever has gone
            some.push_back(channel.get());
    }
    return this->group()->broadcast(some.data(), some.size(), text->data(), text->size(), free_text,
                                    text);
}

} // namespace wf
