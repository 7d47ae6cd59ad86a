// Weft - Claim: a task that waits in a line until it is given something
// SPDX-License-Identifier: Apache-2.0
#include "task/claim.h"

namespace wf::detail {

// A claim in a line is the running task of its series, which therefore is alive.
void Claim::give_to_first(struct list_head *line, void *msg, Leaving *leaving) {
    while (!leaving->granted && !list_empty(line)) {
        Claim *claim = list_entry(line->next, Claim, list);
        claim->leave_line();
        if (!series_of(claim)->is_canceled()) {
            claim->grant(msg);
            leaving->granted = true;
        }
        *leaving->end = claim;
        leaving->end = &claim->following_;
        leaving->count++;
    }
}

void Claim::go_all(Claim *first) {
    while (first) {
        Claim *claim = first;
        first = claim->following_;
        claim->go();
    }
}

bool Claim::leave_line() {
    if (!this->list.next)
        return false;
    list_del(&this->list);
    this->list = {nullptr, nullptr};
    return true;
}

int Claim::cut_short(int cut_with) {
    if (!this->withdraw()) {
        errno = ENOENT;
        return -1;
    }
    this->state = WFT_STATE_SYS_ERROR;
    this->error = cut_with;
    return 1;
}

// The task does not go through the queue of the series: who cancels the series now comes too late.
SubTask *Claim::done() {
    SeriesWork *series = series_of(this);
    if (!granted_) { // with its task, as a conditional that is cut
        delete this;
        return series->pop();
    }
    SubTask *next = this->task;
    this->task = nullptr;
    next->set_pointer(series, series);
    delete this;
    return next;
}

} // namespace wf::detail
