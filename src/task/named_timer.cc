// Weft - timers: plain, canceled from the start, and with a name
// SPDX-License-Identifier: Apache-2.0
#include "task/name_table.h"
#include "task/named.h"

namespace wf::detail {

namespace {

class Timer : public WFTimerTask {
public:
    Timer(CommScheduler *scheduler_in, time_t seconds, long nanoseconds, TimerCallback &&cb)
        : WFTimerTask(scheduler_in, std::move(cb)),
          seconds_(seconds >= 0 && seconds < FOREVER ? static_cast<uint32_t>(seconds) : FOREVER),
          nanoseconds_(nanoseconds >= 0 && nanoseconds < 1000000000
                           ? static_cast<int32_t>(nanoseconds)
                           : -1) {}

    int describe(char *text, size_t size) const override {
        return snprintf(text, size, "%.3f ms",
                        static_cast<double>(seconds_) * 1e3 +
                            static_cast<double>(nanoseconds_) / 1e6);
    }

protected:
    int duration(struct timespec *value) override {
        value->tv_sec = seconds_ == FOREVER ? -1 : static_cast<time_t>(seconds_);
        value->tv_nsec = nanoseconds_;
        return 0;
    }

private:
    // Beyond what the kernel counts, which takes that for ever, as it does what is negative.
    static constexpr uint32_t FOREVER = UINT32_MAX;
    uint32_t seconds_;
    int32_t nanoseconds_; // -1: none that is valid, which the kernel refuses
};

static_assert(sizeof(Timer) + sizeof(SeriesWork) <= 304,
              "a started timer, with what malloc adds, is 320 bytes");

class CanceledTimer : public Timer {
public:
    CanceledTimer(CommScheduler *scheduler_in, TimerCallback &&cb)
        : Timer(scheduler_in, 0, 0, std::move(cb)) {}

protected:
    void handle(int state_in, int error_in) override {
        if (state_in == SS_STATE_COMPLETE) {
            state_in = SS_STATE_ERROR;
            error_in = ECANCELED;
        }
        this->WFTimerTask::handle(state_in, error_in);
    }
};

// The life of a named timer: created (in the table) - armed (in the table) - handled (out of it). A
// cancel takes it out of the table and marks it; the mark alone decides the result, since handle()
// reads it under the shard's lock. Telling the kernel only makes the end come soon. That happens
// under the lock too, so the timer cannot go meanwhile: handle() waits for the lock.
class NamedTimer final : public Timer, public NamedBase {
public:
    NamedTimer(CommScheduler *scheduler_in, const std::string &name, time_t seconds,
               long nanoseconds, TimerCallback &&cb)
        : Timer(scheduler_in, seconds, nanoseconds, std::move(cb)),
          NamedBase(name_table<NamedTimer>(), name) {
        this->enter(name);
    }

    int describe(char *text, size_t size) const override { return this->print_name(text, size); }

    // Needs the shard's lock.
    void cancel_by_name() {
        this->leave();
        canceled_ = true;
        if (armed_)
            this->scheduler->unsleep(this);
    }

protected:
    void dispatch() override;
    void handle(int state_in, int error_in) override;

    int duration(struct timespec *value) override {
        if (canceled_) { // before the start: a time that is over at once
            value->tv_sec = 0;
            value->tv_nsec = 0;
            return 0;
        }
        return this->Timer::duration(value);
    }

    ~NamedTimer() override {
        std::lock_guard lock(this->shard().mutex);
        this->leave();
    }

private:
    void settle(int state_in, int error_in);

    bool armed_ = false; // the kernel knows it; under the shard's lock, like the next
    bool canceled_ = false;
};

// The timer whose dispatch() this thread is in. Of a kernel that is ending, handle() comes inside
// sleep().
thread_local NamedTimer *dispatching = nullptr;

// The lock is held until the kernel has the timer: a cancel then comes either before or after that,
// and never into it.
void NamedTimer::dispatch() {
    std::unique_lock lock(this->shard().mutex);
    armed_ = true;
    dispatching = this;
    int ret = this->scheduler->sleep(this);
    bool ended = dispatching != this;
    dispatching = nullptr;
    if (ret >= 0 && !ended)
        return; // it may be gone as soon as the lock is
    if (ret < 0)
        this->settle(SS_STATE_ERROR, errno);
    lock.unlock();
    this->subtask_done();
}

void NamedTimer::handle(int state_in, int error_in) {
    if (dispatching == this) {
        this->settle(state_in, error_in);
        dispatching = nullptr;
        return;
    }
    {
        std::lock_guard lock(this->shard().mutex);
        this->settle(state_in, error_in);
    }
    this->subtask_done();
}

void NamedTimer::settle(int state_in, int error_in) {
    this->leave();
    if (canceled_ && state_in == SS_STATE_COMPLETE) {
        state_in = SS_STATE_ERROR;
        error_in = ECANCELED;
    } else if (!canceled_ && state_in == SS_STATE_ERROR && error_in == ECANCELED &&
               this->cut_error()) {
        error_in = this->cut_error();
    }
    this->state = state_in;
    this->error = error_in;
}

} // namespace

WFTimerTask *make_timer(CommScheduler *scheduler, time_t seconds, long nanoseconds,
                        TimerCallback &&callback) {
    return new Timer(scheduler, seconds, nanoseconds, std::move(callback));
}

WFTimerTask *make_canceled_timer(CommScheduler *scheduler, TimerCallback &&callback) {
    return new CanceledTimer(scheduler, std::move(callback));
}

WFTimerTask *NamedTimers::create(CommScheduler *scheduler, const std::string &name, time_t seconds,
                                 long nanoseconds, TimerCallback &&callback) {
    return new NamedTimer(scheduler, name, seconds, nanoseconds, std::move(callback));
}

int NamedTimers::cancel(const std::string &name, size_t max) {
    NameTable::Shard &shard = name_table<NamedTimer>().shard_of(name);
    std::lock_guard lock(shard.mutex);
    int canceled = 0;
    for (; max > 0; max--) {
        NamedBase *oldest = shard.oldest(name);
        if (!oldest)
            break;
        static_cast<NamedTimer *>(oldest)->cancel_by_name();
        canceled++;
    }
    return canceled;
}

} // namespace wf::detail
