// Weft - a channel of the simulated program: what it is told, and what it does at random moments
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <errno.h>
#include <string.h>

#include "channels.h"
#include "kernel/worker.h"
#include "session.h"

namespace sim {

// An event function: never two at the same time. Some wait in it for long, and what was sent must
// leave all the same.
class Inside {
public:
    Inside(Chat *chat, const char *what) : chat_(chat) {
        if (chat->inside_)
            world->fail("%s is called inside of another event function of the channel", what);
        if (chat->closed)
            world->fail("%s is called behind the end of a channel", what);
        chat->inside_ = world->current()->id;
        chat->talk_->program->user_code(what);
        if (!world->rng.percent(2))
            return;
        int cookie = worker_wait_begin();
        world->nap(world->rng.spread(1 * US, 2 * SEC));
        worker_wait_end(cookie);
    }
    ~Inside() { chat_->inside_ = 0; }
    Inside(const Inside &) = delete;
    Inside &operator=(const Inside &) = delete;

private:
    Chat *chat_;
};

Chat::Chat(Talk *talk)
    : key(talk->make_key()), ledger(talk->find_ledger(key)), talk_(talk), reader_(talk) {
    talk->alive++;
}

Chat::~Chat() {
    world->trace("channel %u: deleted", key);
    talk_->program->user_code("deleting a channel");
    if (inside_)
        world->fail("a channel is deleted inside of an event function");
    if (established && !closed)
        world->fail("a channel is deleted that was not told its end");
    talk_->alive--;
}

void Chat::look_at_left(const char *buf, size_t size) {
    if (size < left_.size() || (size > 0 && memcmp(buf, left_.data(), left_.size()) != 0))
        world->fail("%zu bytes were left, and %zu others are shown", left_.size(), size);
}

int Chat::receive(const char *buf, size_t *size) {
    Inside inside(this, "receive");
    Random &rng = world->rng;
    bool polite = talk_->program->polite;
    size_t given = *size;
    if (!established || finished_ || given == 0)
        world->fail("receive is called %s", !established ? "before the channel is established"
                                            : finished_  ? "behind the peer's end"
                                                         : "without a byte");
    if (paused_ && allowed_-- <= 0)
        world->fail("receive is called while reading is stopped");
    this->look_at_left(buf, given);
    size_t taken = given;
    if (left_.size() < 20000 && rng.percent(25))
        taken = rng.percent(30) ? 0 : rng.between(0, given);
    size_t before = reader_.records;
    bool good = reader_.feed(buf, taken) && (polite || !rng.percent(1));
    left_.assign(buf + taken, given - taken);
    for (; before < reader_.records; before++)
        this->count_message();
    while (talk_->answers && rng.percent(60))
        this->say(rng.spread(0, 300));
    while (rng.percent(30))
        this->act();
    unsigned changes = changes_;
    bool stopped = paused_ && !pausing_;
    if (stopped && this->may_receive() && changes == changes_)
        world->fail("receive may go on, but reading is stopped");
    *size = taken;
    errno = EBADMSG;
    return !good ? -1 : reader_.is_inside() || !left_.empty() ? 1 : 0;
}

int Chat::finish(const char *buf, size_t size) {
    Inside inside(this, "finish");
    if (!established || finished_)
        world->fail("finish is called %s", finished_ ? "twice" : "too early");
    if (size != left_.size())
        world->fail("%zu bytes were left, but %zu are shown at the end", left_.size(), size);
    this->look_at_left(buf, size);
    bool good = reader_.feed(buf, size);
    if (good)
        reader_.ended();
    left_.clear();
    finished_ = true;
    errno = EBADMSG;
    return good && (talk_->program->polite || !world->rng.percent(2)) ? 0 : -1;
}

void Chat::check_order(const CommChannelEvent &event) {
    const CommChannelOptions &options = this->get_group()->get_options();
    bool last = event.type == CCE_ERROR || event.type == CCE_CLOSED;
    if (failed_ && event.type != CCE_CLOSED)
        world->fail("event %d comes between an error and the end", event.type);
    if (!established && !last && event.type != CCE_CONNECTING && event.type != CCE_ESTABLISHED)
        world->fail("event %d comes before the channel is established", event.type);
    if (last && (event.reason >= CCR_COUNT || (event.type == CCE_ERROR && event.error == 0)))
        world->fail("a channel ends for reason %d, error %d", event.reason, event.error);
    switch (event.type) {
    case CCE_CONNECTING:
        if (established || told_connecting_ || !options.tell_connecting || !is_client)
            world->fail("a channel is told that it connects, and should not be");
        told_connecting_ = true;
        break;
    case CCE_ESTABLISHED:
        if (established)
            world->fail("a channel is established twice");
        break;
    case CCE_HIGH_WATER:
    case CCE_LOW_WATER:
        if (high_ == (event.type == CCE_HIGH_WATER))
            world->fail("the same water mark is told twice");
        high_ = !high_;
        break;
    case CCE_FINISHED:
        if (!finished_)
            world->fail("the peer's end is told before finish()");
        break;
    case CCE_WRITTEN:
    case CCE_HEARTBEAT:
        if (event.type == CCE_WRITTEN ? !options.tell_written : options.heartbeat < 0)
            world->fail("event %d comes, and nobody has asked for it", event.type);
        break;
    default:
        break;
    }
}

void Chat::on_established() {
    uint64_t id = this->get_id();
    world->trace("channel %u: established", key);
    established = true;
    established_at = world->now;
    talk_->open++;
    if (id == 0 || !talk_->all_ids.insert(id).second)
        world->fail("the id of a channel is not its own");
    talk_->ids.push_back(id);
    CommChannel *found = CommChannel::find(id);
    if (found && found != this)
        world->fail("another channel is found by an id");
    if (found)
        found->unref();
}

void Chat::on_closed(const CommChannelEvent &event) {
    closed = true;
    talk_->open -= established ? 1 : 0;
    if (this->get_queued() > 0)
        world->fail("a channel has ended, and has bytes queued");
    if (CommChannel *found = CommChannel::find(this->get_id()))
        world->fail("a channel that has ended is found by its id%s", found == this ? "" : "?");
    // Our end was sent behind all that was accepted.
    if (event.reason == CCR_PEER_CLOSED || event.reason == CCR_FINISHED)
        ledger->is_whole = true;
    if (event.reason == CCR_CONNECT_TIMEOUT &&
        world->now < begun + static_cast<Time>(connect_ms) * MS)
        world->fail("a channel was given too little time to connect");
    if (event.reason == CCR_ABORTED && !talk_->program->ending)
        world->fail("a channel was stopped, but the engine does not end");
}

void Chat::handle(const CommChannelEvent &event) {
    Inside inside(this, "an event of a channel");
    this->check_order(event);
    world->trace("channel %u: event %d, reason %d, error %d", key, event.type, event.reason,
                 event.error);
    failed_ = failed_ || event.type == CCE_ERROR;
    if (event.type == CCE_ESTABLISHED)
        this->on_established();
    if (event.type == CCE_CLOSED) {
        this->on_closed(event);
        this->bother();
        return;
    }
    if (event.type == CCE_FINISHED && this->get_group()->get_options().half_open &&
        world->rng.percent(talk_->program->polite ? 100 : 60)) {
        if (world->rng.percent(50))
            this->end_sending();
        else
            this->later([](Chat *chat) { chat->end_sending(); });
    }
    while (world->rng.percent(event.type == CCE_ESTABLISHED ? 60 : 20))
        this->act();
}

// On another thread, after a while.
void Chat::later(std::function<void(Chat *)> what) {
    this->ref();
    talk_->program->outside([this, what = std::move(what)]() {
        what(this);
        this->unref();
    });
}

void Chat::pause(bool stop) {
    // Two that pause and resume at the same time could not say what they expect.
    if (pausing_ || !is_bound(this))
        return;
    pausing_ = true;
    changes_++;
    if (stop) {
        bool was = paused_;
        this->stop_read();
        if (!was) {
            bool own = inside_ == world->current()->id;
            allowed_ = !own && is_busy(this) ? 1 : 0;
        }
        paused_ = true;
    } else {
        paused_ = false;
        this->start_read();
    }
    pausing_ = false;
    if (stop && (talk_->program->polite || world->rng.percent(80)))
        this->later([](Chat *chat) {
            while (chat->pausing_)
                world->nap(1 * MS);
            chat->pause(false);
        });
}

// In pieces of its own, some of them empty.
CommPiece *Chat::cut(const std::string &bytes) {
    Random &rng = world->rng;
    CommPiece *first = nullptr, **last = &first;
    int most = static_cast<int>(rng.spread(1, 100));
    size_t at = 0;
    for (int i = 1; at < bytes.size() || rng.percent(20); i++) {
        size_t left = bytes.size() - at;
        size_t size =
            i >= most ? left : rng.between(0, std::min<size_t>(left, rng.spread(1, 4000)));
        Piece *piece = talk_->make_piece(bytes.substr(at, size));
        at += size;
        *last = piece;
        last = &piece->next;
    }
    return first;
}

int Chat::send_somehow(const std::string &bytes) {
    Random &rng = world->rng;
    if (rng.percent(25))
        return this->send(bytes.data(), bytes.size());
    if (rng.percent(40)) {
        CommPiece *pieces = this->cut(bytes);
        return this->send(pieces);
    }
    if (rng.percent(30)) {
        FrameOut message(talk_->program, bytes);
        return this->send(&message);
    }
    std::vector<struct iovec> vectors;
    size_t most = rng.spread(1, 120);
    for (size_t at = 0; at < bytes.size();) {
        size_t left = bytes.size() - at;
        size_t size = vectors.size() + 1 >= most ? left : rng.between(0, left / 2 + 1);
        size = std::min(size, left);
        vectors.push_back({const_cast<char *>(bytes.data()) + at, size});
        at += size;
    }
    return this->send(vectors.data(), static_cast<int>(vectors.size()));
}

void Chat::say() { this->say(world->rng.spread(0, world->rng.percent(10) ? 60000 : 1500)); }

void Chat::say(size_t size) {
    uint32_t from = world->current()->id;
    Ledger::Line &line = ledger->lines[from];
    uint32_t number = line.good + 1;
    std::string bytes = make_record(SAID, key, from, number, size);
    bool refused = refuses_ || closed;
    bool early = this->get_id() == 0;
    line.most = std::max(line.most, number);
    errno = 0;
    int result = this->send_somehow(bytes);
    int error = errno;
    if (result == 0)
        line.good = number;
    world->trace("channel %u: says record %u, %zu bytes: %d", key, number, bytes.size(),
                 result ? error : 0);
    if (result < 0 && error == 0)
        world->fail("a channel refuses to send, and does not say why");
    if (refused && (result == 0 ||
                    (error != ENOTCONN && error != EIO && error != EBADMSG && error != EOVERFLOW)))
        world->fail("a channel that has ended sends (%d, error %d)", result, error);
    if (early && result == 0 && !established && this->get_id() == 0)
        world->fail("a channel that has no connection sends");
}

void Chat::end_sending() {
    bool known = established;
    this->shutdown();
    refuses_ = refuses_ || known;
}

void Chat::end_it() {
    Random &rng = world->rng;
    bool known = established;
    switch (rng.below(4)) {
    case 0:
        this->close();
        refuses_ = refuses_ || known;
        break;
    case 1:
        this->reset();
        refuses_ = refuses_ || known;
        break;
    case 2:
        this->close_after(rng.percent(40) ? -1 : static_cast<int>(rng.spread(0, 3000)));
        break;
    default:
        this->end_after(rng.percent(40) ? -1 : static_cast<int>(rng.spread(0, 3000)),
                        CCR_HEAD_TIMEOUT);
    }
}

void Chat::look() {
    CommChannelInfo info;
    bool over = closed; // it may end between any two of the calls
    this->get_info(&info);
    if (info.state != CCS_CONNECTING && info.id != this->get_id())
        world->fail("a channel tells two ids");
    if (over && (this->get_state() != CCS_DISCONNECTED || info.local_len != 0))
        world->fail("a channel that has ended does not say so");
    wf::TlsInfo *none = nullptr;
    (void)none;
}

void Chat::bother() {
    Random &rng = world->rng;
    for (int i = rng.number(0, 3); i > 0; i--)
        this->say();
    if (rng.percent(30))
        this->end_it();
    if (rng.percent(30))
        this->shutdown();
    if (rng.percent(30))
        this->stop_read();
    if (rng.percent(30))
        this->start_read();
    this->look();
}

void Chat::act() {
    Random &rng = world->rng;
    bool polite = talk_->program->polite;
    switch (rng.below(16)) {
    case 0:
    case 1:
        if (!polite && rng.percent(40))
            this->end_it();
        break;
    case 2:
        if (!polite || rng.percent(20))
            this->end_sending();
        break;
    case 3:
    case 4:
        this->pause(true);
        break;
    case 5:
        this->pause(false);
        break;
    case 6:
        this->look();
        break;
    case 7:
        if (rng.percent(20)) { // much
            for (int i = 0; i < 20; i++)
                this->say();
        }
        break;
    default:
        this->say();
    }
}

} // namespace sim
