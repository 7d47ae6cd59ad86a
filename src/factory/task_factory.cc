// Weft - WFTaskFactory: timers, counters, dynamic tasks
// SPDX-License-Identifier: Apache-2.0
#include "workflow/WFTaskFactory.h"

#include <new>

#include "workflow/detail/runtime.h"

namespace {

class TimerTask : public WFTimerTask {
public:
    TimerTask(time_t seconds, long nanoseconds, timer_callback_t &&cb)
        : WFTimerTask(wf::detail::runtime_scheduler(), std::move(cb)) {
        time_.tv_sec = seconds;
        time_.tv_nsec = nanoseconds;
    }

protected:
    int duration(struct timespec *value) override {
        *value = time_;
        return 0;
    }

private:
    struct timespec time_;
};

// Canceled at its start.
class CanceledTimerTask final : public WFTimerTask {
public:
    explicit CanceledTimerTask(timer_callback_t &&cb) : WFTimerTask(wf::detail::runtime_scheduler(), std::move(cb)) {}

protected:
    int duration(struct timespec *value) override {
        value->tv_sec = -1;
        value->tv_nsec = 0;
        return 0;
    }

    void dispatch() override {
        this->WFTimerTask::dispatch();
        this->cancel();
    }
};

class DynamicTask final : public WFDynamicTask {
public:
    explicit DynamicTask(dynamic_create_t &&create) : create_(std::move(create)) {}

protected:
    void dispatch() override {
        wf::detail::series_prepend(series_of(this), create_(this));
        this->state = WFT_STATE_SUCCESS;
        this->subtask_done();
    }

private:
    dynamic_create_t create_;
};

} // namespace

WFTimerTask *WFTaskFactory::create_timer_task(time_t seconds, long nanoseconds, timer_callback_t callback) {
    return new TimerTask(seconds, nanoseconds, std::move(callback));
}

WFTimerTask *WFTaskFactory::create_timer_task(unsigned int microseconds, timer_callback_t callback) {
    return new TimerTask(microseconds / 1000000, microseconds % 1000000 * 1000L, std::move(callback));
}

WFTimerTask *WFTaskFactory::create_timer_task(timer_callback_t callback) {
    return new CanceledTimerTask(std::move(callback));
}

WFDynamicTask *WFTaskFactory::create_dynamic_task(dynamic_create_t create) {
    return new DynamicTask(std::move(create));
}
