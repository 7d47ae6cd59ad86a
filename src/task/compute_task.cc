// Weft - go tasks, and the time limits of go and thread tasks
// SPDX-License-Identifier: Apache-2.0
#include "workflow/detail/compute_task.h"

namespace wf::detail {

bool run_body(void (*body)(void *), void *arg) {
#if defined(__cpp_exceptions)
    try {
        body(arg);
    } catch (...) { // whatever it was, the thread is not the body's to end
        return false;
    }
#else
    body(arg);
#endif
    return true;
}

void GoTask::execute() {
    if (this->func)
        this->threw = !run_body([](void *arg) { static_cast<GoTask *>(arg)->func(); }, this);
}

void GoTask::handle(int state_in, int error_in) {
    if (state_in == ES_STATE_FINISHED && this->threw) {
        state_in = WFT_STATE_TASK_ERROR;
        error_in = WFT_ERR_TASK_EXCEPTION;
    }
    this->WFGoTask::handle(state_in, error_in);
}

TimeLimit::TimeLimit(Limited *limited, time_t seconds, long nanoseconds)
    : limited_(limited), seconds_(seconds), nanoseconds_(nanoseconds), ended_(false), refs_(1) {}

int TimeLimit::arm(CommScheduler *scheduler) {
    this->refs_++;
    int ret = scheduler->sleep(this);
    if (ret < 0)
        this->refs_--;
    return ret;
}

int TimeLimit::duration(struct timespec *value) {
    value->tv_sec = this->seconds_;
    value->tv_nsec = this->nanoseconds_;
    return 0;
}

// A scheduler that ends says DISRUPTED: the task then is the executor's to end.
void TimeLimit::handle(int state_in, int) {
    if (state_in == SS_STATE_COMPLETE && this->end())
        this->limited_->limit_reached();
    this->unref();
}

void TimeLimit::unref() {
    if (--this->refs_ == 0)
        delete this;
}

} // namespace wf::detail
