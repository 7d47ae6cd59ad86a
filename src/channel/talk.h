// Weft - Talk: what stands between the events of a channel and a coroutine that reads it
// SPDX-License-Identifier: Apache-2.0
//
// Counted: the channel holds one until CCE_CLOSED, each Conversation another, and so does every
// wait. The events come one at a time, in order; everything else on any thread. The mutex guards
// what is not constant. It is held while reading is stopped and started, so that these come in the
// order of what they follow from, and never while a coroutine is woken, a scope cut, or the program
// called.
#ifndef WEFT_SRC_CHANNEL_TALK_H
#define WEFT_SRC_CHANNEL_TALK_H

#include <deque>
#include <functional>

#include "workflow/wf/coro_channel.h"
#include "workflow/wf/sync.h"

namespace wf::detail {

// How many coroutines run, and who waits for there being none.
class TalkCount {
public:
    void enter();
    void leave();
    bool is_idle(std::function<void()> then);

private:
    std::mutex mutex_; // guards the rest
    size_t running_ = 0;
    std::vector<std::function<void()>> waiting_;
};

class Talk {
public:
    Talk(Channel &channel, const ConversationOptions &options)
        : channel_(&channel), unread_(options.unread) {}

    // Events.
    void message(const Frame &frame);
    void event(const CommChannelEvent &event);

    static Task<Incoming> next(std::shared_ptr<Talk> talk);
    static Task<Status> send(std::shared_ptr<Talk> talk, Message message);
    bool has_room() const;
    void give_back(Message &&message);
    void end();
    void close();
    // Nobody reads any more: what was kept and what still comes is dropped, and our side ends.
    void leave();
    // In the event that establishes it.
    void set_handle(Handle handle) { handle_ = std::move(handle); }
    const Handle &handle() const { return handle_; }
    Channel &channel() const { return *channel_; }

private:
    class Reading;
    class RoomWait;

    bool is_readable() const { return !messages_.empty() || ended_; }
    Incoming take(const std::shared_ptr<Talk> &self, const Status &status);
    void begin_reading();
    void add(Message &&message, bool front);
    void resume_reading(size_t limit);
    void finished(const Status &status);
    void closed(const CommChannelEvent &event);
    void wake_writers();

    const ChannelPtr channel_;
    const size_t unread_;
    Handle handle_;

    std::mutex mutex_;
    std::deque<Message> messages_;
    size_t kept_ = 0;      // bytes of messages_, with what each costs
    bool paused_ = false;  // reading is stopped by us
    bool deaf_ = false;    // what comes is dropped
    bool reading_ = false; // somebody is in next()
    bool ended_ = false;   // no message will come; how_ tells why
    bool by_us_ = false;   // the coroutine has ended it
    bool is_closed_ = false;
    Status how_;
    CommCloseReason reason_ = CCR_COUNT;
    WaitList reader_;
    WaitList writers_;
};

} // namespace wf::detail

#endif
