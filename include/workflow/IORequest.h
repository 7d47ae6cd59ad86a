// Weft public header, room: kernel - IORequest: a request to a file as a task
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_IOREQUEST_H
#define WEFT_IOREQUEST_H

#include <errno.h>

#include "IOService.h"
#include "SubTask.h"

class IORequest : public SubTask, public IOSession {
public:
    IORequest(IOService *service_in) : state(-1), error(0), service(service_in) {}

    // What fails at once calls handle() on this thread; a service that ends answers
    // IOS_STATE_STOPPED.
    void dispatch() override {
        if (this->service->request(this) >= 0)
            return;
        if (errno == ECANCELED)
            this->handle(IOS_STATE_STOPPED, 0);
        else
            this->handle(IOS_STATE_ERROR, errno);
    }

    // On any thread while the task lives. 0: it ends with IOS_STATE_ERROR, ECANCELED, or the system
    // has been asked for that, and may answer with the result instead. -1 with ENOENT: too late, or
    // not started.
    int cancel() { return this->service->cancel(this); }

protected:
    int state;
    int error;
    IOService *service;

    int cut_short(int cut_with) override {
        (void)cut_with; // handle() will ask for it
        return this->cancel();
    }
    bool refuse(int cut_with) override {
        this->handle(IOS_STATE_ERROR, cut_with);
        return true;
    }

    void handle(int state_in, int error_in) override {
        if (state_in == IOS_STATE_ERROR && error_in == ECANCELED && this->cut_error())
            error_in = this->cut_error();
        this->state = state_in;
        this->error = error_in;
        this->subtask_done();
    }
};

#endif
