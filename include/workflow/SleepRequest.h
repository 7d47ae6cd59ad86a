// Weft public header, room: kernel - SleepRequest: a timer as a task
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SLEEPREQUEST_H
#define WEFT_SLEEPREQUEST_H

#include <errno.h>

#include "CommScheduler.h"
#include "Communicator.h"
#include "SubTask.h"

class SleepRequest : public SubTask, public SleepSession {
public:
    SleepRequest(CommScheduler *scheduler_in) : state(-1), error(0), scheduler(scheduler_in) {}

    // Arms the timer. A failure (EINVAL) calls handle(SS_STATE_ERROR, errno) on this thread.
    void dispatch() override {
        if (this->scheduler->sleep(this) < 0)
            this->handle(SS_STATE_ERROR, errno);
    }

protected:
    // Ends the timer early: handle(SS_STATE_ERROR, ECANCELED) follows. -1/ENOENT when it has fired.
    int cancel() { return this->scheduler->unsleep(this); }

    int state;
    int error;
    CommScheduler *scheduler;

    void handle(int state_in, int error_in) override {
        if (state_in == SS_STATE_ERROR && error_in == ECANCELED && this->cut_error())
            error_in = this->cut_error();
        this->state = state_in;
        this->error = error_in;
        this->subtask_done();
    }

    int cut_short(int cut_with) override {
        (void)cut_with; // handle() will ask for it
        return this->cancel();
    }
};

#endif
