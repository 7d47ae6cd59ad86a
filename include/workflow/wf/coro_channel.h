// Weft public header, room: channel - C++20: conversations: channels whose messages are awaited by coroutines
// SPDX-License-Identifier: Apache-2.0
//
//   wf::TcpServer server;
//   server.set_framing(wf::delimiter_framing());
//   wf::on_conversation(server, [](wf::Conversation talk) -> wf::Task<void> {
//       while (auto message = co_await talk.next())
//           (void)co_await talk.send(std::move(message->bytes));
//   });
//
// Who owns what. A Conversation is a handle, copied freely; all copies speak of the same channel.
// One of on_conversation() is ended by its coroutine: when that returns, our side ends behind what
// is queued (Channel::shutdown()), and what the peer still says is dropped. When an exception
// leaves it, that is logged and the channel closed at once. One of dial() is ended, in good order,
// by the last copy of its handle. Copies that are kept elsewhere can send as long as it lasts.
//
// Threads. The coroutine never runs inside an event of its channel: it begins, and goes on, behind
// the event, on a worker, mostly the one that has read the message. So it may block like any
// callback: others take over, and the channel goes on taking messages up to its bound. And it may
// wait for what waits for the events, such as the end of a client. Messages keep their order, since
// one coroutine at a time reads; a second next() meanwhile is misuse and ends the process.
// Everything else may be called from any thread, by any number of coroutines.
//
// Reading. Messages own their bytes. Those that nobody awaits yet are kept up to
// ConversationOptions::unread bytes, then reading stops until half of that is taken, and the peer
// feels it. Nothing is lost or reordered. The end is told as a value, behind what came before it:
// EPIPE when it is in good order, else the error of the channel. The peer's end is no end of ours
// (ChannelOptions::half_open is set): what was heard can still be answered.
//
// A cut (with_timeout(), any(), wf::cancel()) ends the wait, and never costs a message: what comes
// meanwhile is for the next next(), and what a part of any() has taken that lost the race goes
// back. What has come already needs no wait, and is given in a scope that was cut, too.
//
// When the channel has ended, and neither the coroutine's return nor its end() or close() was why,
// the scope of its coroutine is cut with ECANCELED: its stop token is told, and what it awaits
// ends. That is so for errors, for limits, and for the stop of the server. next() still gives what
// is kept, then the end. (While reading is stopped an end may be found late.)
//
// Servers, clients and endpoints wait for their coroutines: stop() and wait_finish() of a
// TcpServer, wait() and the destructor of a TcpClient, the destructor of an UpgradeEndpoint, and
// wait_conversations() of any. None of these may be called in such a coroutine.
#ifndef WEFT_CORO_CHANNEL_H
#define WEFT_CORO_CHANNEL_H

#include "coro.h"
#include "tcp_client.h"

namespace wf {

namespace detail {
class Talk;
} // namespace detail

struct Message {
    std::string bytes;
    uint64_t type = 0; // where the framing knows types

    Message() = default;
    Message(std::string bytes_in, uint64_t type_in = 0)
        : bytes(std::move(bytes_in)), type(type_in) {}
};

// What next() gives: a message, or why there is none. ECANCELED and ETIMEDOUT of a cut scope when
// is_end() is false: then a later next() may give one.
class [[nodiscard]] Incoming : public Result<Message> {
public:
    Incoming() = default;
    Incoming(Incoming &&other) = default;
    Incoming &operator=(Incoming &&other) = default;
    // Without a message: as get().
    Message &operator*() & { return this->get(); }
    Message &&operator*() && { return std::move(*this).get(); }
    Message *operator->() { return &this->get(); }
    // The conversation is over: no message will come any more.
    bool is_end() const { return end_; }
    // Why the channel has closed; CCR_COUNT as long as it has not.
    CommCloseReason reason() const { return reason_; }
    // The message is put back: the next next() gives it. any() does that with those of the losers.
    void give_back();

private:
    std::shared_ptr<detail::Talk> talk_; // of a message
    bool end_ = false;
    CommCloseReason reason_ = CCR_COUNT;
    friend class detail::Talk;
};

// On one that is empty nothing but its test may be called.
class Conversation {
public:
    Conversation() = default;
    explicit operator bool() const { return talk_ != nullptr; }
    bool operator==(const Conversation &other) const { return talk_ == other.talk_; }

    // The next message.
    Task<Incoming> next() const;
    // Waits until no more than `high_water` bytes are queued, and then sends; who waits goes on at
    // `low_water`. Success: it is with the channel. Else nothing of it was sent: ECANCELED or
    // ETIMEDOUT when the wait was cut; otherwise as Channel::send().
    Task<Status> send(std::string bytes, uint64_t type = 0) const;
    Task<Status> send(Message message) const;
    // Without waiting: -1 with EAGAIN when there is no room; otherwise as Channel::send().
    int try_send(std::string_view bytes, uint64_t type = 0) const;

    // Our side ends behind what is queued, and next() goes on until the peer ends, too.
    void end() const;
    // Both sides end at once.
    void close() const;
    // Of the coroutine that on_conversation() has started: cancels it. Empty for dial().
    Handle handle() const;
    // To ask about the connection, and to send by its other functions. Its reading is not to be
    // stopped or started, and it is not to be shut down, by these.
    Channel &channel() const;

    // For the library.
    explicit Conversation(std::shared_ptr<detail::Talk> talk) : talk_(std::move(talk)) {}

private:
    std::shared_ptr<detail::Talk> talk_;
};

struct ConversationOptions {
    size_t unread = 64u << 10; // bytes kept for next(), each message counted with 64 more
};

// From now on a coroutine holds the conversation on each channel of a server, a client or an
// endpoint, which does not begin before. It begins behind `established`; what authenticate() takes
// is not for it. `function` is kept as long as it is needed, so a lambda may have captures; it runs
// for many channels at once. ChannelEvents::message is not called any more, all others are.
// Sets half_open, and water marks of 256 and 64 KiB: options() that are changed behind it count.
// Not beside on_parsed(): EINVAL at the start.
void on_conversation(ChannelOwner &owner, std::function<Task<void>(Conversation)> function,
                     ConversationOptions options = {});

struct DialOptions {
    std::shared_ptr<const Framing> framing = raw_framing();
    bool tls = false;
    SSL_CTX *tls_ctx = nullptr;  // NULL: wf::tls_client_ctx(). Borrowed
    int connect_timeout = 10000; // ms, -1 none
    int tls_timeout = 10000;     // ms, -1 none
    ChannelOptions channel;      // half_open and the water marks as on_conversation() sets them
    ConversationOptions conversation;
    DialOptions();
};

// Connects once, as TcpClient::connect() does, and gives the conversation when it is established.
// When the wait is cut nothing of it stays. Coming back after a loss is the caller's loop, or that
// of a TcpClient with on_conversation().
Task<Result<Conversation>> dial(std::string host, unsigned short port, DialOptions options = {});

} // namespace wf

#endif
