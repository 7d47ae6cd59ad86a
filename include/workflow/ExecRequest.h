// Weft public header, room: kernel - ExecRequest: a computation as a task
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_EXECREQUEST_H
#define WEFT_EXECREQUEST_H

#include <errno.h>

#include "Executor.h"
#include "SubTask.h"

class ExecRequest : public SubTask, public ExecSession {
public:
    ExecRequest(ExecQueue *queue_in, Executor *executor_in)
        : state(-1), error(0), queue(queue_in), executor(executor_in) {}

    ExecQueue *get_request_queue() const { return this->queue; }
    void set_request_queue(ExecQueue *queue_in) { this->queue = queue_in; }

    // An executor that ends answers ES_STATE_CANCELED, any other failure ES_STATE_ERROR, on this
    // thread.
    void dispatch() override {
        if (this->executor->request(this, this->queue) >= 0)
            return;
        if (errno == ECANCELED)
            this->handle(ES_STATE_CANCELED, 0);
        else
            this->handle(ES_STATE_ERROR, errno);
    }

protected:
    // One that has begun goes on to its end.
    int cut_short(int cut_with) override {
        if (this->executor->withdraw(this, this->queue) < 0)
            return -1;
        this->state = ES_STATE_ERROR;
        this->error = cut_with;
        return 1;
    }
    bool refuse(int cut_with) override {
        this->handle(ES_STATE_ERROR, cut_with);
        return true;
    }

    int state;
    int error;
    ExecQueue *queue;
    Executor *executor;

    const SubTask *get_task() const override { return this; }

    void handle(int state_in, int error_in) override {
        this->state = state_in;
        this->error = error_in;
        this->subtask_done();
    }
};

#endif
