// Weft - Claim: a task that waits in a line until it is given something
// SPDX-License-Identifier: Apache-2.0
#include "task/claim.h"

namespace wf::detail {

// A claim in a line is the running task of its series, which therefore is alive.
void Claim::give_to_first(struct list_head *line, void *msg, Leaving *leaving) {
    while (!leaving->granted && !list_empty(line)) {
        Claim *claim = list_entry(line->next, Claim, list);
        list_del(&claim->list);
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

// The task does not go through the queue of the series: who cancels the series now comes too late.
SubTask *Claim::done() {
    SeriesWork *series = series_of(this);
    if (!granted_) {
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
