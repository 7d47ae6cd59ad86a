// Weft - Talk: messages kept and awaited, room waited for, and the end
// SPDX-License-Identifier: Apache-2.0
#include "channel/talk.h"

#include <errno.h>

namespace wf::detail {

namespace {

constexpr size_t COST = 64; // of a message, beside its bytes

} // namespace

void TalkCount::enter() {
    std::lock_guard lock(mutex_);
    running_++;
}

void TalkCount::leave() {
    std::vector<std::function<void()>> told;
    {
        std::lock_guard lock(mutex_);
        if (--running_ == 0)
            told.swap(waiting_);
    }
    for (const std::function<void()> &then : told)
        then();
}

bool TalkCount::is_idle(std::function<void()> then) {
    std::lock_guard lock(mutex_);
    if (running_ > 0)
        waiting_.push_back(std::move(then));
    return running_ == 0;
}

// A wait for a message, or for the end.
class Talk::Reading : private WaitList::Waiter {
public:
    explicit Reading(Talk *talk) : Waiter(&talk->reader_, &talk->mutex_), talk_(talk) {}
    bool await_ready() const {
        std::lock_guard lock(talk_->mutex_);
        return talk_->is_readable();
    }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> handle) {
        return this->wait(handle, [this] { return talk_->is_readable(); });
    }
    [[nodiscard]] Status await_resume() const { return this->status(); }

private:
    Talk *talk_;
};

// A wait for room. Whoever finds none does so before the queue is down to the low mark, and stands
// in line before that is told, since the event takes the mutex as well.
class Talk::RoomWait : private WaitList::Waiter {
public:
    explicit RoomWait(Talk *talk) : Waiter(&talk->writers_, &talk->mutex_), talk_(talk) {}
    bool await_ready() const { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> handle) {
        return this->wait(handle, [this] { return talk_->is_closed_ || talk_->has_room(); });
    }
    [[nodiscard]] Status await_resume() const { return this->status(); }

private:
    Talk *talk_;
};

// Needs the mutex. Reading stops at the bound.
void Talk::add(Message &&message, bool front) {
    kept_ += message.bytes.size() + COST;
    if (front)
        messages_.push_front(std::move(message));
    else
        messages_.push_back(std::move(message));
    if (kept_ >= unread_ && !paused_ && !ended_) {
        paused_ = true;
        channel_->stop_read();
    }
}

// Needs the mutex.
void Talk::resume_reading(size_t limit) {
    if (paused_ && kept_ <= limit) {
        paused_ = false;
        channel_->start_read();
    }
}

void Talk::message(const Frame &frame) {
    WaitList::Waiter *reader;
    {
        std::lock_guard lock(mutex_);
        if (deaf_)
            return;
        this->add({std::string(frame.bytes), frame.type}, false);
        reader = reader_.take();
    }
    if (reader)
        reader->wake();
}

void Talk::give_back(Message &&message) {
    WaitList::Waiter *reader;
    {
        std::lock_guard lock(mutex_);
        if (deaf_)
            return;
        this->add(std::move(message), true);
        reader = reader_.take();
    }
    if (reader)
        reader->wake();
}

void Talk::event(const CommChannelEvent &event) {
    if (event.type == CCE_LOW_WATER)
        this->wake_writers();
    else if (event.type == CCE_FINISHED)
        this->finished(Status::system(EPIPE));
    else if (event.type == CCE_CLOSED)
        this->closed(event);
}

void Talk::finished(const Status &status) {
    WaitList::Waiter *reader;
    {
        std::lock_guard lock(mutex_);
        ended_ = true;
        how_ = status;
        reader = reader_.take();
    }
    if (reader)
        reader->wake();
}

// The reader is woken before the scope is cut: it hears what the end was.
void Talk::closed(const CommChannelEvent &event) {
    bool by_us;
    {
        std::lock_guard lock(mutex_);
        is_closed_ = true;
        reason_ = event.reason;
        by_us = by_us_;
    }
    if (event.error < 0)
        this->finished({WFT_STATE_SSL_ERROR, -event.error});
    else
        this->finished(Status::system(event.error ? event.error : EPIPE));
    this->wake_writers();
    if (!by_us)
        (void)cancel(handle_);
}

// All of them: each sends one message, or finds that it must wait again.
void Talk::wake_writers() {
    std::vector<WaitList::Waiter *> woken;
    {
        std::lock_guard lock(mutex_);
        while (!writers_.empty())
            woken.push_back(writers_.take());
    }
    for (WaitList::Waiter *writer : woken)
        writer->wake();
}

void Talk::begin_reading() {
    std::lock_guard lock(mutex_);
    if (reading_) [[unlikely]]
        misuse("Conversation::next() while another coroutine awaits the next message of it");
    reading_ = true;
}

Incoming Talk::take(const std::shared_ptr<Talk> &self, const Status &status) {
    Incoming taken;
    std::lock_guard lock(mutex_);
    reading_ = false;
    if (!status.ok()) {
        static_cast<Status &>(taken) = status;
    } else if (messages_.empty()) {
        static_cast<Status &>(taken) = how_;
        taken.end_ = true;
        taken.reason_ = reason_;
    } else {
        static_cast<Status &>(taken) = Status::success();
        taken.value = std::move(messages_.front());
        taken.talk_ = self;
        messages_.pop_front();
        kept_ -= taken.value.bytes.size() + COST;
        this->resume_reading(unread_ / 2);
    }
    return taken;
}

Task<Incoming> Talk::next(std::shared_ptr<Talk> talk) {
    talk->begin_reading();
    Status status = co_await Reading(talk.get());
    co_return talk->take(talk, status);
}

bool Talk::has_room() const {
    CommChannelGroup *group = channel_->get_group();
    size_t high = group ? group->get_options().high_water : 0;
    return high == 0 || channel_->get_queued() <= high;
}

Task<Status> Talk::send(std::shared_ptr<Talk> talk, Message message) {
    while (!talk->has_room()) {
        Status status = co_await RoomWait(talk.get());
        if (!status.ok())
            co_return status;
        if (talk->channel().get_state() == CCS_DISCONNECTED)
            break;
    }
    if (talk->channel().send(std::move(message.bytes), message.type) < 0)
        co_return Status::system(errno);
    co_return Status::success();
}

void Talk::end() {
    {
        std::lock_guard lock(mutex_);
        by_us_ = true;
    }
    channel_->shutdown();
}

void Talk::close() {
    {
        std::lock_guard lock(mutex_);
        by_us_ = true;
    }
    channel_->close();
}

void Talk::leave() {
    std::deque<Message> dropped;
    {
        std::lock_guard lock(mutex_);
        deaf_ = true;
        by_us_ = true;
        dropped.swap(messages_);
        kept_ = 0;
        this->resume_reading(0);
    }
    channel_->shutdown();
}

} // namespace wf::detail
