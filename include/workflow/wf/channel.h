// Weft public header, room: channel - C++20: Channel: a conversation of messages, and what a program does with it
// SPDX-License-Identifier: Apache-2.0
//
// A channel is one connection of a TcpServer or TcpClient (wf/tcp_server.h, wf/tcp_client.h), or
// one that an HTTP server has handed over (wf/upgrade.h). Messages arrive and leave at any time,
// cut out of the stream by a framing or by a message class.
//
// Events run on workers, in order and one at a time for one channel, with nothing locked. They may
// block: then this channel is not read meanwhile, and nobody else is held up. All other functions
// may be called from any thread and never wait; on a channel that has ended they do nothing and
// answer ENOTCONN.
//
// Whoever needs a channel outside of its events keeps a ChannelPtr, or its id. Neither keeps the
// connection alive.
#ifndef WEFT_CHANNEL_H
#define WEFT_CHANNEL_H

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../CommChannel.h"
#include "../ProtocolMessage.h"
#include "framing.h"

namespace wf {

class Channel;
using ChannelId = uint64_t;
using ChannelState = CommChannelState;
using ChannelOptions = CommChannelOptions;
using ChannelInfo = CommChannelInfo;

// What an authentication says (ChannelEvents::authenticate).
enum class AuthVerdict {
    ACCEPT, // this message was the proof, and those behind it are for `message`
    PASS,   // the same, but this message is for `message`, too
    MORE,   // the next message is asked about as well
    LATER,  // Channel::authenticate() will say; nothing is read until then
    REFUSE, // the channel is closed (CCR_REFUSED_AUTH)
};

// What a program does. All may be missing.
struct ChannelEvents {
    // Server: accepted. Client: connected. From here on it can send.
    std::function<void(Channel &)> established;
    std::function<void(Channel &)> connecting;
    // A message; `frame` is valid during the call.
    std::function<void(Channel &, const Frame &frame)> message;
    // All that was sent is with the system.
    std::function<void(Channel &)> written;
    // Too much waits to be sent, and little enough again (ChannelOptions).
    std::function<void(Channel &)> high_water, low_water;
    // The peer will send no more. Unless `half_open`, our end follows behind what is queued.
    std::function<void(Channel &)> finished;
    // Nothing has moved for a while: the time for a ping.
    std::function<void(Channel &)> heartbeat;
    // It ends and not in good order; `closed` follows.
    std::function<void(Channel &, CommCloseReason, int error)> error;
    // The last event.
    std::function<void(Channel &, CommCloseReason, int error)> closed;
    // Sees all of the above but messages, behind the function for it.
    std::function<void(Channel &, const CommChannelEvent &)> any;
    // Asked about the first messages, before anybody else sees one. Must have said yes within
    // `authentication_timeout`.
    std::function<AuthVerdict(Channel &, const Frame &frame)> authenticate;
    int authentication_timeout = 10000; // ms, -1 none
};

namespace detail {

// What stands between the channels of an owner and coroutines (wf/coro_channel.h). Gets the
// messages in place of ChannelEvents::message, and sees each event behind the program's functions
// for it.
class ChannelTap {
public:
    virtual ~ChannelTap() = default;
    virtual void message(Channel &channel, const Frame &frame) = 0;
    virtual void event(Channel &channel, const CommChannelEvent &event) = 0;
    // Whether nothing of it runs. Else `then` is called once when the last has ended, on any
    // thread; more can only come with a new connection.
    virtual bool is_idle(std::function<void()> then) = 0;

protected:
    // What it keeps with a channel; written and read in events.
    static std::shared_ptr<void> &slot(Channel &channel);
};

} // namespace detail

// Shared by all channels of a server or client, and fixed while there are any.
struct ChannelKind {
    ChannelEvents events;
    ChannelOptions options;
    std::shared_ptr<const Framing> framing = raw_framing();
    // In place of the framing: a new message that takes the bytes, and who gets it when it is
    // whole.
    std::function<std::unique_ptr<CommMessageIn>()> new_message;
    std::function<void(Channel &, CommMessageIn &)> parsed;
    // ChannelEvents::authenticate for those.
    std::function<AuthVerdict(Channel &, CommMessageIn &)> authenticate_parsed;
    // For the owner: sees each event behind the program's functions for it, but CCE_ESTABLISHED
    // before them.
    std::function<void(Channel &, const CommChannelEvent &)> observer;
    // Not beside new_message.
    std::shared_ptr<detail::ChannelTap> tap;
    // Bytes queued in all channels; beyond, the one with most is closed (CCR_BACKLOG_FULL).
    // 0 none.
    size_t backlog_limit = 256u << 20;
};

// Keeps the object, not the connection.
class ChannelPtr {
public:
    ChannelPtr() = default;
    explicit ChannelPtr(Channel *channel);
    ChannelPtr(const ChannelPtr &other) : ChannelPtr(other.channel_) {}
    ChannelPtr(ChannelPtr &&other) noexcept : channel_(std::exchange(other.channel_, nullptr)) {}
    ChannelPtr &operator=(ChannelPtr other) noexcept {
        std::swap(channel_, other.channel_);
        return *this;
    }
    ~ChannelPtr();
    // Takes a reference over.
    static ChannelPtr adopt(Channel *channel);
    Channel *get() const { return channel_; }
    Channel *operator->() const { return channel_; }
    Channel &operator*() const { return *channel_; }
    explicit operator bool() const { return channel_ != nullptr; }
    bool operator==(const ChannelPtr &other) const { return channel_ == other.channel_; }

private:
    Channel *channel_ = nullptr;
};

class Channel final : public CommChannel {
public:
    // Sends one message, with what the framing puts around it. 0, or -1 with errno as
    // CommChannel::send() has them, and EMSGSIZE and EINVAL from the framing. The text is copied if
    // the socket does not take it at once; a string that is moved is not.
    int send(std::string_view bytes, uint64_t type = 0);
    int send(const char *text, uint64_t type = 0) {
        return this->send(std::string_view(text), type);
    }
    int send(std::string &&bytes, uint64_t type = 0);
    // Without a copy: the bytes must stay until `done` is called, once, on any thread, when they
    // are sent or will never be.
    int send_borrowed(std::string_view bytes, std::function<void()> done, uint64_t type = 0);
    // Of a message class; nothing is put around it.
    int send(CommMessageOut &message) { return CommChannel::send(&message); }
    // As it is.
    int send_raw(std::string_view bytes) { return CommChannel::send(bytes.data(), bytes.size()); }

    // After AuthVerdict::LATER.
    void authenticate(bool accepted);

    ChannelInfo info() const;
    std::string peer_text() const; // "192.0.2.1:8080", "[2001:db8::1]:80", "unix"

    // Whatever the program hangs on it; gone with the channel. Set it in an event, for others to
    // read.
    void set_context(std::shared_ptr<void> context) { context_ = std::move(context); }
    template <class T>
    std::shared_ptr<T> context() const {
        return std::static_pointer_cast<T>(context_);
    }

    explicit Channel(std::shared_ptr<const ChannelKind> kind) : kind_(std::move(kind)) {}
    static ChannelPtr find(ChannelId id, const CommChannelGroup *group);
    // Whether this thread is inside an event of such a channel; and a way to be.
    static bool runs_events_of(const ChannelKind *kind);
    static void run_for(const ChannelKind *kind, const std::function<void()> &function);

private:
    enum class Auth : uint8_t { NONE, WAITING, LATER, DONE };

    ~Channel() override = default;
    int receive(const char *buf, size_t *size) override;
    int finish(const char *buf, size_t size) override;
    void handle(const CommChannelEvent &event) override;
    int take_frames(const char *buf, size_t *size);
    int take_messages(const char *buf, size_t *size);
    bool deliver(const Frame &frame);
    void deliver_parsed();
    bool ask(const std::function<AuthVerdict()> &question);
    void call(const CommChannelEvent &event);

    const std::shared_ptr<const ChannelKind> kind_;
    std::shared_ptr<void> context_;
    std::unique_ptr<CommMessageIn> message_; // that takes bytes now
    size_t seen_ = 0;                        // of the framing
    std::atomic<Auth> auth_{Auth::NONE};
    std::shared_ptr<void> tapped_; // of the tap
    friend class ChannelPtr;
    friend class detail::ChannelTap;
};

inline std::shared_ptr<void> &detail::ChannelTap::slot(Channel &channel) { return channel.tapped_; }
inline ChannelPtr::ChannelPtr(Channel *channel) : channel_(channel) {
    if (channel_)
        channel_->ref();
}
inline ChannelPtr::~ChannelPtr() {
    if (channel_)
        channel_->unref();
}
inline ChannelPtr ChannelPtr::adopt(Channel *channel) {
    ChannelPtr made;
    made.channel_ = channel;
    return made;
}

// What TcpServer and TcpClient share: the program says what it does before the first connection.
class ChannelOwner {
public:
    // Before start() or connect().
    ChannelEvents &events() { return kind_->events; }
    ChannelOptions &options() { return kind_->options; }
    void set_framing(std::shared_ptr<const Framing> framing) {
        kind_->framing = std::move(framing);
    }
    void set_backlog_limit(size_t bytes) { kind_->backlog_limit = bytes; }
    void on_message(std::function<void(Channel &, const Frame &)> function) {
        kind_->events.message = std::move(function);
    }
    void on_established(std::function<void(Channel &)> function) {
        kind_->events.established = std::move(function);
    }
    void on_closed(std::function<void(Channel &, CommCloseReason, int error)> function) {
        kind_->events.closed = std::move(function);
    }
    // Messages of a class: M is a CommMessageIn that can be made without arguments. The function
    // may move it away.
    template <class M>
    void on_parsed(std::function<void(Channel &, M &)> function) {
        kind_->new_message = [] { return std::make_unique<M>(); };
        kind_->parsed = [function = std::move(function)](Channel &channel, CommMessageIn &message) {
            if (function)
                function(channel, static_cast<M &>(message));
        };
    }
    // ChannelEvents::authenticate for messages of a class, with on_parsed().
    template <class M>
    void authenticate_parsed(std::function<AuthVerdict(Channel &, M &)> function) {
        if (!function) {
            kind_->authenticate_parsed = nullptr;
            return;
        }
        kind_->authenticate_parsed = [function = std::move(function)](Channel &channel,
                                                                      CommMessageIn &message) {
            return function(channel, static_cast<M &>(message));
        };
    }

    // For wf::on_conversation(). What is in its place is replaced.
    void set_tap(std::shared_ptr<detail::ChannelTap> tap) { kind_->tap = std::move(tap); }
    // Waits until no coroutine of a conversation runs any more (wf/coro_channel.h). Not inside one.
    void wait_conversations();

protected:
    ChannelOwner() : kind_(std::make_shared<ChannelKind>()) {}
    ~ChannelOwner();
    // The group, made at the first call. NULL with errno: ENOMEM; EINVAL when what was said of the
    // channels cannot be.
    CommChannelGroup *group();
    std::shared_ptr<ChannelKind> kind_;

private:
    CommChannelGroup *group_ = nullptr;
};

// The same for those that have many: what can be done with all of them, or with one of an id.
class ChannelSet : public ChannelOwner {
public:
    // How many are there now.
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
    // poller gets one order. In order with other broadcasts of this set, not with send().
    int broadcast(std::string bytes, uint64_t type = 0);
    int broadcast(const std::vector<ChannelPtr> &channels, std::string bytes, uint64_t type = 0);
    // Bytes queued in all channels.
    size_t get_backlog() { return this->group() ? this->group()->get_backlog() : 0; }

private:
    std::string *wrap(std::string &&bytes, uint64_t type);
};

} // namespace wf

#endif
