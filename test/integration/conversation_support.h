// Weft - for tests of conversations: a server of lines whose channels are held by coroutines
// SPDX-License-Identifier: Apache-2.0
//
// Belongs to the test that makes it; its coroutines may refer to what is declared before it.

#ifndef WEFT_TEST_INTEGRATION_CONVERSATION_SUPPORT_H
#define WEFT_TEST_INTEGRATION_CONVERSATION_SUPPORT_H

#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "compat/support.h"
#include "integration/channel_support.h"
#include "integration/patience.h"
#include "workflow/wf/coro_channel.h"
#include "workflow/wf/coro_task.h"
#include "workflow/wf/sync.h"

using compat::Event;
using wf::Conversation;
using wf::Status;
using wf::Task;

// For ever, unless it is cut.
inline Task<Status> wait_for_cut() { return wf::sleep(std::chrono::hours(1000)); }

inline Task<void> echo(Conversation talk) {
    while (wf::Incoming message = co_await talk.next()) {
        if (!co_await talk.send(std::move(*message)))
            co_return;
    }
}

class TalkServer {
public:
    TalkServer() { server.set_framing(wf::delimiter_framing()); }
    ~TalkServer() { server.stop(); }
    unsigned short start(std::function<Task<void>(Conversation)> function,
                         wf::ConversationOptions options = {}) {
        wf::on_conversation(server, std::move(function), options);
        return this->start();
    }
    unsigned short start() {
        unsigned short port = listen_on_free_port(server);
        EXPECT_NE(0, port);
        return port;
    }
    wf::TcpServer server;
};

inline wf::DialOptions lines() {
    wf::DialOptions options;
    options.framing = wf::delimiter_framing();
    return options;
}

#endif
