// Weft - the sessions of the simulated program
// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <algorithm>
#include <errno.h>
#include <string.h>

#include "channels.h"
#include "kernel/worker.h"

namespace sim {

int FrameOut::encode(struct iovec vectors[], int max) {
    program_->user_code("encode");
    Random &rng = world->rng;
    if (rng.ppm(world->tuning.session_error)) {
        errno = rng.percent(50) ? EIO : EBADMSG;
        return rng.percent(50) ? -1 : max + 1;
    }
    int most = static_cast<int>(rng.spread(1, 40)), n = 0;
    for (size_t at = 0; at < bytes_.size(); n++) {
        size_t left = bytes_.size() - at;
        size_t size = n + 1 == most || rng.percent(20) ? left : rng.between(0, left);
        vectors[n].iov_base = bytes_.data() + at;
        vectors[n].iov_len = size;
        at += size;
    }
    return n;
}

// A frame that is no answer and no request.
int FrameIn::skip() {
    if (parser.head.kind != PUSHED)
        return 0;
    parser.reset();
    if (world->rng.percent(50))
        this->renew();
    return 1;
}

int FrameIn::append(const void *buf, size_t *size) {
    program_->user_code("append");
    Random &rng = world->rng;
    if (inside_ || over || complete)
        world->fail(over ? "append after the end of a session"
                         : "append twice at the same time, or after the end");
    inside_ = true;
    if (serving_ && !head_told_ && rng.percent(50)) {
        head_told_ = true;
        this->head_begins();
    }
    size_t given = *size, taken = rng.percent(20) ? rng.between(1, given) : given;
    size_t used = 0;
    int result = 0;
    while (result == 0 && used < taken) {
        size_t n;
        result = parser.feed(static_cast<const char *>(buf) + used, taken - used, &n);
        used += n;
        if (head_told_ && parser.has_head())
            this->head_complete();
        if (result > 0 && this->skip())
            result = 0;
    }
    if (result < 0 && strict_)
        world->fail("a message is broken: %s", parser.wrong);
    if (result == 0 && serving_ && parser.has_head() && !program_->polite && rng.percent(5)) {
        std::string note = make_frame(PUSHED, parser.head.id, 4, 0, 0);
        int n = this->feedback(note.data(), note.size());
        if (n > 0 && static_cast<size_t>(n) < note.size())
            result = -1; // half of it went out: nothing more can be said here
    }
    program_->user_code("append, leaving");
    *size = used;
    complete = result > 0;
    inside_ = false;
    errno = EBADMSG;
    return result;
}

int FrameIn::finish() {
    program_->user_code("finish");
    if (complete || over)
        world->fail("finish after the end of a message");
    complete = parser.may_end();
    return complete ? 1 : 0;
}

void FrameIn::abandon(int) {
    program_->user_code("abandon");
    std::string word = make_frame(REJECTED, 0, 8, 0, 0);
    this->feedback(word.data(), word.size());
}

namespace {

int some_timeout(bool finite, int most) {
    Random &rng = world->rng;
    if (!finite && rng.percent(20))
        return -1;
    return static_cast<int>(rng.spread(1, static_cast<uint64_t>(most)));
}

} // namespace

ClientTask::ClientTask(Program *program, CommSchedObject *object_in, bool hostile, int chain)
    : CommRequest(object_in, &program->sched), program_(program), id_(++program->last_id), size_(0),
      want_(0), flags_(0), hostile_(hostile), chain_(chain),
      mute_(world->rng.ppm(world->tuning.session_error)), begun_(world->now) {
    Random &rng = world->rng;
    size_ = rng.spread(0, rng.percent(10) ? 150000 : 3000);
    want_ = rng.spread(0, rng.percent(10) ? 150000 : 3000);
    if (rng.percent(10))
        flags_ |= CLOSE_AFTER;
    send_ms_ = some_timeout(program->finite, 4000);
    receive_ms_ = some_timeout(program->finite, 4000);
    first_ms_ = rng.percent(70) ? 0 : some_timeout(program->finite, 2000);
    keep_ms_ = rng.percent(20) ? 0 : some_timeout(false, 3000);
    if (rng.percent(30))
        this->set_wait_timeout(
            rng.percent(30) ? 0 : some_timeout(true, 2000)); // else a thread of ours hangs
    if (!program->polite && rng.percent(30)) {
        cancel_ = std::make_shared<Cancel>();
        cancel_->handle = this->get_cancel_handle();
        program->cancels.push_back(cancel_);
        std::shared_ptr<Cancel> oldest; // freed behind the change: freeing may turn the schedule
        if (program->cancels.size() > 30) {
            oldest = std::move(program->cancels.front());
            program->cancels.pop_front();
        }
    }
    if (!program->polite && rng.percent(20))
        this->set_deadline(static_cast<int>(rng.spread(1, 4000)));
    program_->account.clients++;
    program_->account.begun++;
}

ClientTask::~ClientTask() { program_->account.clients--; }

CommMessageOut *ClientTask::message_out() {
    program_->user_code("message_out");
    if (handled_)
        world->fail("message_out after handle");
    if (mute_) {
        errno = ENOMEM;
        return nullptr;
    }
    if (!out_)
        out_ = std::make_unique<FrameOut>(program_, make_frame(REQUEST, id_, size_, want_, flags_));
    return out_.get();
}

CommMessageIn *ClientTask::message_in() {
    program_->user_code("message_in");
    if (in_)
        world->fail("message_in twice");
    if (world->rng.ppm(world->tuning.session_error)) {
        errno = ENOMEM;
        return nullptr;
    }
    in_ = std::make_unique<FrameIn>(program_, false, !hostile_);
    return in_.get();
}

int ClientTask::send_timeout() { return send_ms_; }

int ClientTask::keep_alive_timeout() {
    program_->user_code("keep_alive_timeout");
    return keep_ms_;
}

void ClientTask::check_result(int result, int why) {
    Account &account = program_->account;
    bool canceled = result == CS_STATE_ERROR && why == ECANCELED;
    if (canceled && !(cancel_ && cancel_->tried) && !program_->ending)
        world->fail("request %u was canceled by nobody", id_);
    if (cancel_ && cancel_->promised && !canceled && result != CS_STATE_STOPPED)
        world->fail("request %u was canceled, but ends with state %d, error %d", id_, result, why);
    if (result == CS_STATE_SUCCESS) {
        account.succeeded++;
        if (!in_ || !in_->complete)
            world->fail("a request succeeded without an answer");
        const FrameHead &head = in_->parser.head;
        bool rejected = head.kind == REJECTED;
        if (!rejected && (head.kind != ANSWER || head.id != id_))
            world->fail("request %u was given the answer of %u", id_, head.id);
        if (!rejected && head.size != want_ && !(head.flags & UNTIL_CLOSE))
            world->fail("request %u was given an answer of %u bytes instead of %zu", id_, head.size,
                        want_);
        return;
    }
    if (result == CS_STATE_STOPPED) {
        account.stopped++;
        if (!program_->ending)
            world->fail("request %u was stopped, but the engine does not end", id_);
        return;
    }
    account.failed++;
    if (result != CS_STATE_ERROR || why == 0)
        world->fail("request %u ended with state %d, error %d", id_, result, why);
    if (why != ETIMEDOUT)
        return;
    account.timed_out++;
    if (world->now < begun_ + MS) // no timeout is shorter
        world->fail("request %u timed out too early", id_);
}

void ClientTask::handle(int result, int why) {
    program_->user_code("handle");
    if (handled_++)
        world->fail("request %u was handled twice", id_);
    world->trace("request %u ends: state %d, error %d", id_, result, why);
    if (in_)
        in_->over = true;
    CommRequest::handle(result, why);
}

SubTask *ClientTask::done() {
    program_->user_code("done");
    this->check_result(state, error);
    Program *program = program_;
    SubTask *next = nullptr;
    int chain = chain_;
    if (chain > 0 && world->rng.percent(50)) {
        bool hostile;
        CommSchedObject *to = program->any_object(&hostile);
        next = new ClientTask(program, to, hostile, chain - 1);
    }
    delete this;
    if (chain > 0 && !next)
        program->start_request(chain - 1);
    return next;
}

ServerSession::ServerSession(Program *program, Server *server, bool strict)
    : program_(program), server_(server), in_(program, true, strict) {
    program_->account.servers++;
}

ServerSession::~ServerSession() {
    program_->account.servers--;
    if (shown_ && replying_ && !ended_)
        world->trace("an answered session is dropped");
}

CommMessageIn *ServerSession::message_in() {
    program_->user_code("message_in");
    in_.connection = static_cast<Connection *>(this->get_connection());
    return world->rng.ppm(world->tuning.session_error) ? nullptr : &in_;
}

CommMessageOut *ServerSession::message_out() {
    program_->user_code("message_out");
    const FrameHead &head = in_.parser.head;
    if (world->rng.ppm(world->tuning.session_error)) {
        errno = ENOMEM;
        return nullptr;
    }
    out_ = std::make_unique<FrameOut>(
        program_, make_frame(ANSWER, head.id, std::min(head.want, 200000u), 0, 0));
    return out_.get();
}

int ServerSession::keep_alive_timeout() {
    program_->user_code("keep_alive_timeout");
    return in_.parser.head.flags & CLOSE_AFTER ? 0 : server_->keep_ms;
}

void ServerSession::handle(int state, int error) {
    program_->user_code("handle");
    if (state == CS_STATE_TOREPLY) {
        if (shown_ || !in_.complete)
            world->fail("a server session is shown %s", shown_ ? "twice" : "without a request");
        if (in_.connection->unknown && !in_.connection->admitted)
            world->fail("a request is handled that was not admitted");
        shown_ = in_.over = true;
        program_->account.served++;
        if (in_.parser.head.kind != REQUEST)
            delete this;
        else
            this->to_reply();
        return;
    }
    if (!shown_ || !replying_ || ended_)
        world->fail("a server session ends%s", ended_ ? " twice" : " that was not answered");
    if (state == CS_STATE_STOPPED && !program_->ending)
        world->fail("an answer was stopped, but the engine does not end");
    if (state == CS_STATE_ERROR && error == 0)
        world->fail("an answer failed without an error");
    ended_ = true;
    program_->account.replied++;
    if ((in_.parser.head.flags & UPGRADE) && world->rng.percent(20))
        program_->outside([this]() { delete this; });
    else
        delete this;
}

void ServerSession::to_reply() {
    Random &rng = world->rng;
    if (rng.percent(program_->polite ? 70 : 50)) {
        this->act();
    } else if (rng.percent(50)) {
        program_->outside([this]() { this->act(); });
    } else if (rng.percent(50)) {
        Timer *timer = new Timer(program_, [this](int) { this->act(); });
        if (!timer->begin())
            this->act();
    } else {
        struct Later : weft_job {
            ServerSession *session;
        };
        Later *job = new Later;
        job->session = this;
        job->run = [](struct weft_job *j) {
            ServerSession *session = static_cast<Later *>(j)->session;
            delete static_cast<Later *>(j);
            session->act();
        };
        program_->sched.get_communicator()->defer(job);
    }
}

void ServerSession::push_first() {
    std::string note = make_frame(PUSHED, in_.parser.head.id, world->rng.below(64), 0, 0);
    int n = program_->sched.push(note.data(), note.size(), this);
    if (n > 0 && static_cast<size_t>(n) < note.size())
        delete this; // half of it went out: only an end is left
    else
        this->answer();
}

void ServerSession::answer() {
    if ((in_.parser.head.flags & UPGRADE) && (program_->polite || world->rng.percent(90)))
        program_->talk->hand_over(this);
    replying_ = true;
    if (program_->sched.reply(this) < 0) {
        if (ended_)
            world->fail("reply failed, and yet the session was handled");
        delete this;
    }
}

void ServerSession::watch() {
    Program *program = program_;
    std::shared_ptr<int> told = told_;
    this->watch_peer([program, told]() {
        program->user_code("the end of a peer");
        if (++*told > 1)
            world->fail("the end of a peer is told twice");
    });
}

void ServerSession::act() {
    Random &rng = world->rng;
    if (rng.percent(20)) {
        this->watch();
        if (rng.percent(50))
            world->stall(rng.spread(1 * US, 20 * MS));
    }
    if (rng.percent(10))
        program_->start_request(0);
    if (program_->polite) {
        this->answer();
    } else if (rng.percent(10)) {
        this->push_first();
    } else if (rng.percent(4)) {
        program_->sched.shutdown(this);
        delete this;
    } else if (rng.percent(4)) {
        delete this;
    } else {
        this->answer();
    }
}

Timer::Timer(Program *program, std::function<void(int)> then)
    : program_(program), then_(std::move(then)) {
    program_->account.timers++;
    place_ = program_->timers.insert(program_->timers.end(), this);
}

Timer::~Timer() { program_->account.timers--; }

void Timer::unref() {
    if (--refs_ == 0)
        delete this;
}

// Only who cannot get a single thread is refused. Then it is gone, but for who cancels.
bool Timer::begin() {
    if (program_->sched.sleep(this) == 0)
        return true;
    if (!world->tuning.alloc_error && !world->tuning.thread_error)
        world->fail("a timer is refused");
    program_->timers.erase(place_);
    this->unref();
    return false;
}

void Timer::cancel() {
    if (program_->sched.unsleep(this) < 0)
        return;
    promised_ = true;
    if (handled_ && !kept_)
        world->fail("a timer was canceled, and had fired");
}

int Timer::duration(struct timespec *value) {
    program_->user_code("duration");
    begun_ = world->now;
    length_ = world->rng.spread(0, world->rng.percent(10) ? 12 * SEC : 50 * MS);
    value->tv_sec = forever_ ? -1 : static_cast<time_t>(length_ / SEC);
    value->tv_nsec = forever_ ? 0 : static_cast<long>(length_ % SEC);
    return 0;
}

void Timer::handle(int state, int error) {
    program_->timers.erase(place_);
    program_->user_code("handle of a timer");
    if (handled_++)
        world->fail("a timer was handled twice");
    bool complete = state == SS_STATE_COMPLETE && !forever_ && world->now >= begun_ + length_;
    bool canceled = state == SS_STATE_ERROR && error == ECANCELED;
    bool disrupted = state == SS_STATE_DISRUPTED && program_->ending;
    if (!complete && !canceled && !disrupted)
        world->fail("a timer of %llu ns ended after %llu with state %d, error %d",
                    static_cast<unsigned long long>(length_),
                    static_cast<unsigned long long>(world->now - begun_), state, error);
    kept_ = canceled || disrupted;
    if (promised_ && !kept_)
        world->fail("a timer was canceled, and fires");
    program_->account.fired += complete ? 1 : 0;
    program_->account.canceled += canceled ? 1 : 0;
    std::function<void(int)> then = std::move(then_);
    this->unref();
    if (then)
        then(state);
}

} // namespace sim
