// Weft - conversations: their handles, and the coroutines that hold them
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/coro_channel.h"

#include <errno.h>

#include "channel/talk.h"
#include "kernel/log.h"

namespace wf {

namespace {

using detail::Talk;
using detail::TalkCount;

using Function = std::function<Task<void>(Conversation)>;

constexpr size_t HIGH_WATER = 256u << 10;
constexpr size_t LOW_WATER = 64u << 10;

void set_options(ChannelOptions *options) {
    options->half_open = true;
    options->high_water = HIGH_WATER;
    options->low_water = LOW_WATER;
}

// Goes on behind the event it stands in, on a worker.
struct Later {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { detail::resume_later(handle); }
    void await_resume() const noexcept {}
};

void log_exception([[maybe_unused]] const detail::Outcome<void> &outcome) {
    const char *what = "an unknown type";
#if defined(__cpp_exceptions)
    try {
        std::rethrow_exception(outcome.exception);
    } catch (const std::exception &exception) {
        what = exception.what();
        weft_log(WEFT_LOG_ERROR, "the coroutine of a conversation ended by an exception: %s", what);
        return;
    } catch (...) {}
#endif
    weft_log(WEFT_LOG_ERROR, "the coroutine of a conversation ended by an exception: %s", what);
}

// The function stays until its coroutine is gone.
Task<void> call(std::shared_ptr<const Function> function, std::shared_ptr<Talk> talk) {
    co_await (*function)(Conversation(std::move(talk)));
}

Task<void> converse(std::shared_ptr<const Function> function, std::shared_ptr<Talk> talk,
                    std::shared_ptr<TalkCount> count) {
    co_await Later{};
    {
        detail::Outcome<void> outcome;
        co_await detail::keep(call(std::move(function), talk), &outcome);
        if (!outcome.value) {
            log_exception(outcome);
            talk->close();
        }
    }
    talk->leave();
    talk.reset();
    // Whoever waits for this may free what the function refers to: nothing of it is left here.
    count->leave();
}

// Of on_conversation(): a coroutine for each channel.
class Conversations final : public detail::ChannelTap {
public:
    Conversations(Function function, const ConversationOptions &options)
        : function_(std::make_shared<const Function>(std::move(function))), options_(options) {}

    void message(Channel &channel, const Frame &frame) override {
        if (auto talk = std::static_pointer_cast<Talk>(slot(channel)))
            talk->message(frame);
    }
    void event(Channel &channel, const CommChannelEvent &event) override {
        if (event.type == CCE_ESTABLISHED)
            this->begin(channel);
        auto talk = std::static_pointer_cast<Talk>(slot(channel));
        if (event.type == CCE_CLOSED)
            slot(channel).reset();
        if (talk)
            talk->event(event);
    }
    bool is_idle(std::function<void()> then) override { return count_->is_idle(std::move(then)); }

private:
    void begin(Channel &channel) {
        auto talk = std::make_shared<Talk>(channel, options_);
        slot(channel) = talk;
        count_->enter();
        auto *root = new detail::RootScope;
        talk->set_handle(root->scope.handle());
        detail::run_detached(root->scope, root, converse(function_, talk, count_));
    }

    const std::shared_ptr<const Function> function_;
    const ConversationOptions options_;
    const std::shared_ptr<TalkCount> count_ = std::make_shared<TalkCount>();
};

} // namespace

void on_conversation(ChannelOwner &owner, std::function<Task<void>(Conversation)> function,
                     ConversationOptions options) {
    set_options(&owner.options());
    owner.set_tap(std::make_shared<Conversations>(std::move(function), options));
}

DialOptions::DialOptions() { set_options(&channel); }

void Incoming::give_back() {
    if (std::shared_ptr<detail::Talk> talk = std::move(talk_))
        talk->give_back(std::move(value));
    static_cast<Status &>(*this) = Status();
}

Task<Incoming> Conversation::next() const { return Talk::next(talk_); }

Task<Status> Conversation::send(std::string bytes, uint64_t type) const {
    return Talk::send(talk_, {std::move(bytes), type});
}

Task<Status> Conversation::send(Message message) const {
    return Talk::send(talk_, std::move(message));
}

int Conversation::try_send(std::string_view bytes, uint64_t type) const {
    if (talk_->has_room())
        return talk_->channel().send(bytes, type);
    errno = EAGAIN;
    return -1;
}

void Conversation::end() const { talk_->end(); }
void Conversation::close() const { talk_->close(); }
Handle Conversation::handle() const { return talk_->handle(); }
Channel &Conversation::channel() const { return talk_->channel(); }

} // namespace wf
