// Weft public header, room: task - WFFileTask: a read, write or sync of a file as a task
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_DETAIL_FILE_TASK_H
#define WEFT_DETAIL_FILE_TASK_H

#include <functional>
#include <stddef.h>
#include <utility>

#include "../IORequest.h"
#include "../Workflow.h"
#include "task_mark.h"
#include "task_support.h"

// Made by WFTaskFactory::create_pread_task() and its like. The callback runs on a worker; or inside
// start(), when the request could not even be made. cancel() ends one early, see IORequest.
template <class ARGS>
class WFFileTask : public IORequest, private wf::detail::TaskMark<wf::detail::TASK_FILE> {
public:
    void start() {
        wf::detail::check_start(this, "WFFileTask::start()");
        Workflow::start_series_work(this, nullptr);
    }

    void dismiss() {
        wf::detail::check_dismiss(this, "WFFileTask::dismiss()");
        delete this;
    }

    ARGS *get_args() { return &this->args; }
    const ARGS *get_args() const { return &this->args; }

    // In the callback: how many bytes were read or written, 0 of a sync; -1 unless the state is
    // WFT_STATE_SUCCESS.
    long get_retval() const { return this->state == IOS_STATE_SUCCESS ? this->get_res() : -1; }

    void *user_data;

    int get_state() const { return this->state; }
    int get_error() const { return this->error; }

    void set_callback(std::function<void(WFFileTask<ARGS> *)> cb) {
        this->callback = std::move(cb);
    }

protected:
    SubTask *done() override {
        SeriesWork *series = series_of(this);

        if (this->callback)
            this->callback(this);

        delete this;
        return series->pop();
    }

    ARGS args;
    std::function<void(WFFileTask<ARGS> *)> callback;

public:
    WFFileTask(IOService *service_in, std::function<void(WFFileTask<ARGS> *)> &&cb)
        : IORequest(service_in), user_data(NULL), args(), callback(std::move(cb)) {}

protected:
    ~WFFileTask() override {}
};

#endif
