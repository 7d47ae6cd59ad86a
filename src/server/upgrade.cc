// Weft - UpgradeEndpoint: from an HTTP request to a channel
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/upgrade.h"

#include <errno.h>
#include <new>
#include <strings.h>

#include "workflow/HttpUtil.h"

namespace wf {

namespace {

// Whether one of the words, which commas part, is that.
bool has_word(const std::string &words, const char *word) {
    size_t size = std::char_traits<char>::length(word);
    for (size_t at = 0; at < words.size();) {
        size_t end = std::min(words.find(',', at), words.size());
        size_t first = words.find_first_not_of(" \t", at);
        size_t last = end;
        while (last > at && (words[last - 1] == ' ' || words[last - 1] == '\t'))
            last--;
        if (first < last && last - first == size &&
            strncasecmp(words.data() + first, word, size) == 0)
            return true;
        at = end + 1;
    }
    return false;
}

} // namespace

std::string UpgradeEndpoint::get_wish(WFHttpTask *task) {
    protocol::HttpHeaderCursor cursor(task->get_req());
    std::string wish, options, some;
    if (!cursor.find("Upgrade", wish))
        return "";
    cursor.rewind();
    while (cursor.find("Connection", some))
        options += "," + some;
    return has_word(options, "upgrade") ? wish : "";
}

ChannelPtr UpgradeEndpoint::accept(WFHttpTask *task, const std::string &protocol) {
    errno = EINVAL;
    if (get_wish(task).empty())
        return {};
    errno = ENOMEM;
    Channel *channel = this->group() ? new (std::nothrow) Channel(kind_) : nullptr;
    if (!channel)
        return {};
    ChannelPtr kept(channel);
    if (task->hand_over(channel, this->group()) < 0) {
        int error = errno;
        channel->unref();
        errno = error;
        return {};
    }
    protocol::HttpResponse *answer = task->get_resp();
    answer->set_status_code("101");
    answer->set_reason_phrase("Switching Protocols");
    answer->add_header_pair("Connection", "Upgrade");
    answer->add_header_pair("Upgrade", protocol.c_str());
    return kept;
}

} // namespace wf
