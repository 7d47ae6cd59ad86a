// Weft - Channel: messages out of bytes and back, and the program's events
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <future>
#include <new>
#include <stdio.h>
#include <string.h>

#include "workflow/detail/runtime.h"

namespace wf {

namespace {

// Bytes with a string behind them.
struct StringPiece : CommPiece {
    std::string text;

    static CommPiece *make(std::string &&text) {
        auto *piece = new (std::nothrow) StringPiece;
        if (!piece)
            return nullptr;
        piece->text = std::move(text);
        piece->next = nullptr;
        piece->data = piece->text.data();
        piece->size = piece->text.size();
        piece->release = [](CommPiece *p) { delete static_cast<StringPiece *>(p); };
        return piece;
    }
};

// The program's own bytes.
struct BorrowedPiece : CommPiece {
    std::function<void()> done;

    static CommPiece *make(std::string_view bytes, std::function<void()> &done) {
        auto *piece = new (std::nothrow) BorrowedPiece;
        if (!piece)
            return nullptr;
        piece->done = std::move(done);
        piece->next = nullptr;
        piece->data = bytes.data();
        piece->size = bytes.size();
        piece->release = [](CommPiece *p) {
            std::unique_ptr<BorrowedPiece> owned(static_cast<BorrowedPiece *>(p));
            owned->done();
        };
        return piece;
    }
};

// The few bytes around a message, kept with the piece.
struct EdgePiece : CommPiece {
    char bytes[16];

    static CommPiece *make(const char *from, size_t size) {
        auto *piece = new (std::nothrow) EdgePiece;
        if (!piece)
            return nullptr;
        memcpy(piece->bytes, from, size);
        piece->next = nullptr;
        piece->data = piece->bytes;
        piece->size = size;
        piece->release = [](CommPiece *p) { delete static_cast<EdgePiece *>(p); };
        return piece;
    }
};

void drop(CommPiece *piece) {
    if (piece)
        piece->release(piece);
}

// The chain of head, body and tail; what it is made of is dropped without memory.
CommPiece *wrap_piece(const Wrapping &around, CommPiece *body) {
    CommPiece *head = around.head_size ? EdgePiece::make(around.head, around.head_size) : nullptr;
    CommPiece *tail = around.tail_size ? EdgePiece::make(around.tail, around.tail_size) : nullptr;
    if (!body || (around.head_size && !head) || (around.tail_size && !tail)) {
        drop(head);
        drop(body);
        drop(tail);
        errno = ENOMEM;
        return nullptr;
    }
    body->next = tail;
    if (!head)
        return body;
    head->next = body;
    return head;
}

// Whose events this thread runs now.
thread_local const ChannelKind *running = nullptr;

class Running {
public:
    explicit Running(const ChannelKind *kind) : before_(running) { running = kind; }
    ~Running() { running = before_; }
    Running(const Running &) = delete;
    Running &operator=(const Running &) = delete;

private:
    const ChannelKind *before_;
};

constexpr size_t SMALL = 4096; // cheaper to copy than to keep

} // namespace

int Channel::send(std::string_view bytes, uint64_t type) {
    Wrapping around;
    if (kind_->framing->wrap(bytes.size(), type, &around) < 0)
        return -1;
    // Without the empty ones: a single vector is sent at less cost.
    struct iovec vectors[3];
    int count = 0;
    if (around.head_size > 0)
        vectors[count++] = {around.head, around.head_size};
    if (!bytes.empty())
        vectors[count++] = {const_cast<char *>(bytes.data()), bytes.size()};
    if (around.tail_size > 0)
        vectors[count++] = {around.tail, around.tail_size};
    return CommChannel::send(vectors, count);
}

int Channel::send(std::string &&bytes, uint64_t type) {
    if (bytes.size() <= SMALL)
        return this->send(std::string_view(bytes), type);
    Wrapping around;
    if (kind_->framing->wrap(bytes.size(), type, &around) < 0)
        return -1;
    CommPiece *pieces = wrap_piece(around, StringPiece::make(std::move(bytes)));
    return pieces ? CommChannel::send(pieces) : -1;
}

int Channel::send_borrowed(std::string_view bytes, std::function<void()> done, uint64_t type) {
    Wrapping around;
    CommPiece *body = nullptr;
    if (kind_->framing->wrap(bytes.size(), type, &around) == 0) {
        errno = ENOMEM;
        body = BorrowedPiece::make(bytes, done);
    }
    if (!body) {
        int error = errno;
        done();
        errno = error;
        return -1;
    }
    // A piece frees itself, which the analyzer does not see.
    CommPiece *pieces = wrap_piece(around, body); // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks)
    return pieces ? CommChannel::send(pieces) : -1;
}

void Channel::handle(const CommChannelEvent &event) {
    Running here(kind_.get());
    const ChannelEvents &events = kind_->events;
    if (event.type == CCE_ESTABLISHED && (events.authenticate || kind_->authenticate_parsed)) {
        auth_ = Auth::WAITING;
        if (events.authentication_timeout >= 0)
            this->end_after(events.authentication_timeout, CCR_AUTH_TIMEOUT);
    }
    bool first = event.type == CCE_ESTABLISHED;
    if (kind_->observer && first)
        kind_->observer(*this, event);
    this->call(event);
    if (events.any)
        events.any(*this, event);
    if (kind_->tap)
        kind_->tap->event(*this, event);
    if (kind_->observer && !first)
        kind_->observer(*this, event);
}

void Channel::call(const CommChannelEvent &event) {
    const ChannelEvents &events = kind_->events;
    const std::function<void(Channel &)> *function = nullptr;
    switch (event.type) {
    case CCE_CONNECTING:
        function = &events.connecting;
        break;
    case CCE_ESTABLISHED:
        function = &events.established;
        break;
    case CCE_WRITTEN:
        function = &events.written;
        break;
    case CCE_HIGH_WATER:
        function = &events.high_water;
        break;
    case CCE_LOW_WATER:
        function = &events.low_water;
        break;
    case CCE_FINISHED:
        function = &events.finished;
        break;
    case CCE_HEARTBEAT:
        function = &events.heartbeat;
        break;
    case CCE_ERROR:
        if (events.error)
            events.error(*this, event.reason, event.error);
        return;
    case CCE_CLOSED:
        if (events.closed)
            events.closed(*this, event.reason, event.error);
        return;
    }
    if (function && *function)
        (*function)(*this);
}

bool Channel::runs_events_of(const ChannelKind *kind) { return running == kind; }

void Channel::run_for(const ChannelKind *kind, const std::function<void()> &function) {
    Running here(kind);
    function();
}

int Channel::receive(const char *buf, size_t *size) {
    Running here(kind_.get());
    return kind_->new_message ? this->take_messages(buf, size) : this->take_frames(buf, size);
}

// Whether reading may go on.
bool Channel::deliver(const Frame &frame) {
    this->count_message();
    auto question = [&] { return kind_->events.authenticate(*this, frame); };
    if (auth_ == Auth::WAITING && !this->ask(question))
        return this->may_receive();
    if (kind_->tap)
        kind_->tap->message(*this, frame);
    else if (kind_->events.message)
        kind_->events.message(*this, frame);
    return this->may_receive();
}

void Channel::deliver_parsed() {
    std::unique_ptr<CommMessageIn> whole = std::move(message_);
    this->count_message();
    auto question = [&] { return kind_->authenticate_parsed(*this, *whole); };
    if (auth_ != Auth::WAITING || this->ask(question))
        kind_->parsed(*this, *whole);
}

int Channel::take_frames(const char *buf, size_t *size) {
    std::string_view left(buf, *size);
    Frame frame;
    int result = 0;
    while (!left.empty()) {
        result = kind_->framing->cut(left, &seen_, &frame);
        if (result < 0)
            return -1;
        if (result == 0)
            break;
        seen_ = 0;
        left.remove_prefix(frame.size);
        if (!this->deliver(frame))
            break;
    }
    *size -= left.size();
    return !left.empty() && result == 0 ? 1 : 0;
}

int Channel::take_messages(const char *buf, size_t *size) {
    size_t taken = 0;
    while (taken < *size && this->may_receive()) {
        if (!message_ && !(message_ = kind_->new_message())) {
            errno = ENOMEM;
            return -1;
        }
        size_t n = *size - taken;
        int result = this->append(message_.get(), buf + taken, &n);
        taken += n;
        if (result < 0)
            return -1;
        if (result == 0 && n == 0) { // takes nothing and wants more: it would never end
            errno = EBADMSG;
            return -1;
        }
        if (result == 0)
            continue;
        this->deliver_parsed();
    }
    *size = taken;
    return message_ ? 1 : 0;
}

int Channel::finish(const char *buf, size_t size) {
    Running here(kind_.get());
    if (message_) {
        if (CommChannel::finish(message_.get()) <= 0) {
            errno = ECONNRESET;
            return -1;
        }
        this->deliver_parsed();
    }
    if (size == 0)
        return 0;
    if (!kind_->framing->takes_rest()) {
        errno = ECONNRESET;
        return -1;
    }
    this->deliver({std::string_view(buf, size), 0, size});
    return 0;
}

// Whether the message is for the program as well.
bool Channel::ask(const std::function<AuthVerdict()> &question) {
    // Set before the question: the answer may come from another thread before it is back.
    auth_ = Auth::LATER;
    this->stop_read();
    AuthVerdict verdict = question();
    if (verdict == AuthVerdict::LATER)
        return false;
    if (verdict == AuthVerdict::MORE) {
        auth_ = Auth::WAITING;
        this->start_read();
        return false;
    }
    this->authenticate(verdict != AuthVerdict::REFUSE);
    return verdict == AuthVerdict::PASS;
}

void Channel::authenticate(bool accepted) {
    Auth later = Auth::LATER;
    if (!auth_.compare_exchange_strong(later, Auth::DONE))
        return;
    if (!accepted) {
        this->end(CCR_REFUSED_AUTH);
        return;
    }
    this->end_after(-1, CCR_AUTH_TIMEOUT);
    this->start_read();
}

ChannelInfo Channel::info() const {
    ChannelInfo info;
    this->get_info(&info);
    return info;
}

std::string Channel::peer_text() const {
    ChannelInfo info = this->info();
    char host[INET6_ADDRSTRLEN] = "";
    if (info.peer.ss_family == AF_INET) {
        const auto *in = reinterpret_cast<const struct sockaddr_in *>(&info.peer);
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        return std::string(host) + ":" + std::to_string(ntohs(in->sin_port));
    }
    if (info.peer.ss_family == AF_INET6) {
        const auto *in = reinterpret_cast<const struct sockaddr_in6 *>(&info.peer);
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        return "[" + std::string(host) + "]:" + std::to_string(ntohs(in->sin6_port));
    }
    return info.peer.ss_family == AF_UNIX ? "unix" : "";
}

ChannelPtr Channel::find(ChannelId id, const CommChannelGroup *group) {
    CommChannel *found = CommChannel::find(id);
    if (found && found->get_group() == group)
        return ChannelPtr::adopt(static_cast<Channel *>(found));
    if (found)
        found->unref();
    return {};
}

void ChannelOwner::wait_conversations() {
    std::shared_ptr<detail::ChannelTap> tap = kind_->tap;
    auto ended = std::make_shared<std::promise<void>>();
    if (!tap || tap->is_idle([ended] { ended->set_value(); }))
        return;
    int cookie = detail::runtime_wait_begin();
    ended->get_future().wait();
    detail::runtime_wait_end(cookie);
}

ChannelOwner::~ChannelOwner() {
    this->wait_conversations();
    if (group_)
        group_->unref();
}

CommChannelGroup *ChannelOwner::group() {
    // A framing that cannot be made is NULL; coroutines are given frames.
    if (!kind_->framing || (kind_->tap && kind_->new_message)) {
        errno = EINVAL;
        return nullptr;
    }
    if (!group_) {
        kind_->options.tell_written =
            kind_->options.tell_written || kind_->events.written || kind_->events.any;
        kind_->options.tell_connecting =
            kind_->options.tell_connecting || kind_->events.connecting || kind_->events.any;
        errno = ENOMEM;
        group_ = CommChannelGroup::create(kind_->options, kind_->backlog_limit);
    }
    return group_;
}

} // namespace wf
