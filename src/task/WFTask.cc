// Weft - timers, go tasks, counters, and the other tasks that other tasks let go
// SPDX-License-Identifier: Apache-2.0
#include "workflow/WFTask.h"

SubTask *WFTimerTask::done() {
    SeriesWork *series = series_of(this);
    if (this->callback)
        this->callback(this);
    delete this;
    return series->pop();
}

SubTask *WFGoTask::done() {
    SeriesWork *series = series_of(this);
    if (this->callback)
        this->callback(this);
    delete this;
    return series->pop();
}

void WFCounterTask::dispatch() {
    // Counted in full already: nobody else may touch it any more, so the last count needs no locked
    // instruction. It is set to 0 all the same, for programs that count once more in the callback.
    if (this->value.load(std::memory_order_acquire) == 1) {
        this->value.store(0, std::memory_order_relaxed);
        this->state = WFT_STATE_SUCCESS;
        this->subtask_done();
        return;
    }
    this->WFCounterTask::count();
}

SubTask *WFCounterTask::done() {
    SeriesWork *series = series_of(this);
    if (this->callback)
        this->callback(this);
    delete this;
    return series->pop();
}

// Tasks that end when they were dispatched and something else has happened, in either order: two
// bits, and whoever sets the second goes on. Setting one again does nothing.
namespace {

constexpr int DISPATCHED = 1;
constexpr int HAPPENED = 2;

bool is_second(std::atomic<int> &flag, int bit) {
    int before = flag.fetch_or(bit, std::memory_order_acq_rel);
    return before == (bit ^ (DISPATCHED | HAPPENED));
}

} // namespace

void WFMailboxTask::send(void *msg) {
    *this->mailbox = msg;
    if (is_second(this->flag, HAPPENED)) {
        this->state = WFT_STATE_SUCCESS;
        this->subtask_done();
    }
}

void WFMailboxTask::dispatch() {
    if (is_second(this->flag, DISPATCHED)) {
        this->state = WFT_STATE_SUCCESS;
        this->subtask_done();
    }
}

SubTask *WFMailboxTask::done() {
    SeriesWork *series = series_of(this);
    if (this->callback)
        this->callback(this);
    delete this;
    return series->pop();
}

WFSelectorTask::WFSelectorTask(size_t candidates, std::function<void(WFSelectorTask *)> &&cb)
    : message(nullptr), flag(candidates > 0 ? 0 : HAPPENED), nleft(candidates),
      callback(std::move(cb)), refs_(candidates + 1) {}

int WFSelectorTask::submit(void *msg) {
    void *none = nullptr;
    bool taken = msg && this->message.compare_exchange_strong(none, msg);
    if (taken)
        this->decide(HAPPENED);
    if (--this->nleft == 0 && !this->get_message())
        this->decide(HAPPENED);
    this->unref();
    return taken ? 1 : 0;
}

void WFSelectorTask::dispatch() { this->decide(DISPATCHED); }

void WFSelectorTask::decide(int how) {
    if (!is_second(this->flag, how))
        return;
    if (this->get_message()) {
        this->state = WFT_STATE_SUCCESS;
    } else {
        this->state = WFT_STATE_SYS_ERROR;
        this->error = ENOMSG;
    }
    this->subtask_done();
}

SubTask *WFSelectorTask::done() {
    SeriesWork *series = series_of(this);
    if (this->callback)
        this->callback(this);
    this->unref();
    return series->pop();
}

void WFSelectorTask::unref() {
    if (--this->refs_ == 0)
        delete this;
}

WFConditional::~WFConditional() { delete this->task; }

void WFConditional::signal(void *msg) {
    *this->msgbuf = msg;
    if (is_second(this->flag, HAPPENED))
        this->subtask_done();
}

void WFConditional::dispatch() {
    if (is_second(this->flag, DISPATCHED))
        this->subtask_done();
}

SubTask *WFConditional::done() {
    SeriesWork *series = series_of(this);
    series->push_front(this->task);
    this->task = nullptr;
    delete this;
    return series->pop();
}

// Between the rounds it stands in its series, behind the task it made.
void WFRepeaterTask::dispatch() {
    SubTask *made = this->create(this);
    if (made) {
        series_of(this)->push_front(this);
        series_of(this)->push_front(made);
    } else {
        this->state = WFT_STATE_SUCCESS;
    }
    this->subtask_done();
}

SubTask *WFRepeaterTask::done() {
    SeriesWork *series = series_of(this);
    if (this->state != WFT_STATE_UNDEFINED) {
        if (this->callback)
            this->callback(this);
        delete this;
    }
    return series->pop();
}

WFModuleTask::~WFModuleTask() {
    if (!this->is_finished())
        this->dismiss_recursive();
}

void WFModuleTask::dispatch() {
    this->first = this->start_first();
    this->ParallelTask::dispatch();
}

SubTask *WFModuleTask::done() {
    SeriesWork *series = series_of(this);
    if (this->callback)
        this->callback(this);
    delete this;
    return series->pop();
}
