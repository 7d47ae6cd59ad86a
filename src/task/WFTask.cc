// Weft - timers, go tasks, counters, and the other tasks that other tasks let go
// SPDX-License-Identifier: Apache-2.0
#include "workflow/WFTask.h"

#include "task/scope.h"

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

int WFCounterTask::describe_wait(char *text, size_t size) const {
    return snprintf(text, size, "%u more to be counted",
                    this->value.load(std::memory_order_relaxed));
}

bool WFCounterTask::count_down() {
    if (--this->value > 0)
        return false;
    this->state = WFT_STATE_SUCCESS;
    return true;
}

// From 0 on counts come to nothing.
int WFCounterTask::cut_short(int cut_with) {
    unsigned left = this->value.load(std::memory_order_relaxed);
    while (left > 0) {
        if (this->value.compare_exchange_weak(left, 0)) {
            this->state = WFT_STATE_SYS_ERROR;
            this->error = cut_with;
            return 1;
        }
    }
    errno = ENOENT;
    return -1;
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
constexpr int CUT = 4; // beside both: it was cut

bool is_second(std::atomic<int> &flag, int bit) {
    int before = flag.fetch_or(bit, std::memory_order_acq_rel);
    return before == (bit ^ (DISPATCHED | HAPPENED));
}

// Of one that was dispatched. False when it has happened.
bool cut_wait(std::atomic<int> &flag) {
    int before = DISPATCHED;
    return flag.compare_exchange_strong(before, DISPATCHED | HAPPENED | CUT);
}

// Lets it happen, once: then *taken is true. True when that was the second bit.
bool happen(std::atomic<int> &flag, bool *taken) {
    int before = flag.fetch_or(HAPPENED, std::memory_order_acq_rel);
    *taken = !(before & HAPPENED);
    return before == DISPATCHED;
}

} // namespace

void WFMailboxTask::send(void *msg) {
    bool taken;
    if (this->WFMailboxTask::deliver(msg, &taken))
        this->subtask_done();
}

bool WFMailboxTask::deliver(void *msg, bool *taken) {
    *this->mailbox = msg;
    if (!happen(this->flag, taken))
        return false;
    this->state = WFT_STATE_SUCCESS;
    return true;
}

int WFMailboxTask::cut_short(int cut_with) {
    if (!cut_wait(this->flag)) {
        errno = ENOENT;
        return -1;
    }
    this->state = WFT_STATE_SYS_ERROR;
    this->error = cut_with;
    return 1;
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
    if (--this->nleft == 0 && !this->message.load())
        this->decide(HAPPENED);
    this->unref();
    return taken ? 1 : 0;
}

// Nobody's message is taken any more; those who have not submitted still may.
int WFSelectorTask::cut_short(int cut_with) {
    void *none = nullptr;
    if (!this->message.compare_exchange_strong(none, this) || !cut_wait(this->flag)) {
        errno = ENOENT;
        return -1;
    }
    this->state = WFT_STATE_SYS_ERROR;
    this->error = cut_with;
    return 1;
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

WFConditional::~WFConditional() {
    if (this->task) {
        this->task->forget_links();
        delete this->task;
    }
}

void WFConditional::signal(void *msg) {
    bool taken;
    if (this->WFConditional::deliver(msg, &taken))
        this->subtask_done();
}

bool WFConditional::deliver(void *msg, bool *taken) {
    *this->msgbuf = msg;
    return happen(this->flag, taken);
}

int WFConditional::cut_short(int cut_with) {
    if (!cut_wait(this->flag)) {
        errno = ENOENT;
        return -1;
    }
    this->state = WFT_STATE_SYS_ERROR;
    this->error = cut_with;
    return 1;
}

void WFConditional::dispatch() {
    if (is_second(this->flag, DISPATCHED))
        this->subtask_done();
}

SubTask *WFConditional::done() {
    SeriesWork *series = series_of(this);
    if (!(this->flag & CUT)) {
        series->push_front(this->task);
        this->task = nullptr;
    }
    delete this;
    return series->pop();
}

// Between the rounds it stands in its series, behind the task it made.
void WFRepeaterTask::dispatch() {
    SubTask *made = this->create(this);
    if (made) {
        this->stays();
        series_of(this)->push_front(this);
        series_of(this)->push_front(made);
    } else {
        this->state = WFT_STATE_SUCCESS;
    }
    this->subtask_done();
}

bool WFRepeaterTask::refuse(int cut_with) {
    this->state = WFT_STATE_SYS_ERROR;
    this->error = cut_with;
    this->subtask_done();
    return true;
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
    if (wf::detail::CutGroup *group = wf::detail::TaskLink::children_of(this))
        wf::detail::SeriesScope::enter(this, group);
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
