// Weft - dial(): a client of one connection, awaited and then owned by its conversation
// SPDX-License-Identifier: Apache-2.0
//
// The client keeps itself until it has ended; whoever dials keeps it as well, to end it when the
// wait is cut. The conversation holds its channel only: the end of that is the client's, too.
#include <errno.h>

#include "channel/talk.h"
#include "workflow/wf/coro_channel.h"

namespace wf {

namespace {

using detail::Talk;
using detail::WaitList;

// What comes of the attempt.
class DialTap final : public detail::ChannelTap {
public:
    explicit DialTap(const ConversationOptions &options) : options_(options) {}

    void message(Channel &channel, const Frame &frame) override {
        if (auto talk = std::static_pointer_cast<Talk>(slot(channel)))
            talk->message(frame);
    }
    void event(Channel &channel, const CommChannelEvent &event) override {
        if (event.type == CCE_ESTABLISHED) {
            auto talk = std::make_shared<Talk>(channel, options_);
            slot(channel) = talk;
            this->settle(talk, Status::success());
            return;
        }
        auto talk = std::static_pointer_cast<Talk>(slot(channel));
        if (event.type == CCE_CLOSED)
            slot(channel).reset();
        if (talk)
            talk->event(event);
    }
    bool is_idle(std::function<void()>) override { return true; }

    // Only the first counts, and none behind take().
    void settle(std::shared_ptr<Talk> talk, const Status &status) {
        WaitList::Waiter *waiter;
        {
            std::lock_guard lock(mutex_);
            if (settled_)
                return;
            settled_ = true;
            talk_ = std::move(talk);
            status_ = status;
            waiter = waiters_.take();
        }
        if (waiter)
            waiter->wake();
    }
    // Once, also when the wait was cut: a channel holds the tap, so that the tap must not go on
    // holding the channel's conversation.
    Status take(std::shared_ptr<Talk> *talk) {
        std::lock_guard lock(mutex_);
        settled_ = true;
        *talk = std::move(talk_);
        return status_;
    }

    class Wait : private WaitList::Waiter {
    public:
        explicit Wait(DialTap *tap) : Waiter(&tap->waiters_, &tap->mutex_), tap_(tap) {}
        bool await_ready() const { return false; }
        template <class P>
        bool await_suspend(std::coroutine_handle<P> handle) {
            return this->wait(handle, [this] { return tap_->settled_; });
        }
        [[nodiscard]] Status await_resume() const { return this->status(); }

    private:
        DialTap *tap_;
    };

private:
    const ConversationOptions options_;
    std::mutex mutex_; // guards the rest
    WaitList waiters_;
    bool settled_ = false;
    std::shared_ptr<Talk> talk_;
    Status status_;
    friend class Wait;
};

struct Dialed {
    TcpClient client;
    std::shared_ptr<Dialed> self; // until it has ended
};

std::shared_ptr<Dialed> make_client(const std::shared_ptr<DialTap> &tap,
                                    const DialOptions &options) {
    auto dialed = std::make_shared<Dialed>();
    TcpClient &client = dialed->client;
    client.options() = options.channel;
    client.set_framing(options.framing);
    client.set_tap(tap);
    client.set_connect_timeout(options.connect_timeout);
    client.set_tls_timeout(options.tls_timeout);
    if (options.tls)
        client.set_tls(options.tls_ctx);
    client.on_failed([tap](TcpClient &, int state, int error, int) {
        tap->settle(nullptr, {state, error});
    });
    client.on_ended([tap, self = dialed.get()](TcpClient &) {
        tap->settle(nullptr, Status::system(ECANCELED)); // unless it was told more
        std::shared_ptr<Dialed> last = std::move(self->self);
    });
    return dialed;
}

// Handles of the conversation point into this: the last one ends it.
struct Held {
    explicit Held(std::shared_ptr<Talk> talk_in) : talk(std::move(talk_in)) {}
    Held(const Held &) = delete;
    Held &operator=(const Held &) = delete;
    ~Held() { talk->leave(); }
    std::shared_ptr<Talk> talk;
};

Conversation hold(std::shared_ptr<Talk> talk) {
    Talk *plain = talk.get();
    return Conversation(std::shared_ptr<Talk>(std::make_shared<Held>(std::move(talk)), plain));
}

} // namespace

Task<Result<Conversation>> dial(std::string host, unsigned short port, DialOptions options) {
    auto tap = std::make_shared<DialTap>(options.conversation);
    std::shared_ptr<Dialed> dialed = make_client(tap, options);
    dialed->self = dialed;
    if (dialed->client.connect(host, port) < 0) {
        Status status = Status::system(errno);
        dialed->self.reset();
        co_return Result<Conversation>(status);
    }
    Status status = co_await DialTap::Wait(tap.get());
    std::shared_ptr<Talk> talk;
    Status told = tap->take(&talk);
    if (!status.ok()) {
        dialed->client.close();
        co_return Result<Conversation>(status);
    }
    status = told;
    if (!talk)
        co_return Result<Conversation>(status);
    co_return Result<Conversation>(status, hold(std::move(talk)));
}

} // namespace wf
