// Weft - compat: one HTTP call made synchronously by a test, with everything its callback saw
// SPDX-License-Identifier: Apache-2.0
//
// A Call belongs to the test; run() returns after the series of the task has ended.

#ifndef WEFT_TEST_COMPAT_HTTP_CALL_H
#define WEFT_TEST_COMPAT_HTTP_CALL_H

#include <functional>
#include <string>
#include <thread>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "support.h"

namespace compat {

struct Call {
    int state = -1;
    int error = -1;
    int reason = -1;
    long long seq = -1;
    int calls = 0;
    bool on_handler = false;
    bool has_connection = false;
    std::string status;
    std::string body;
    std::string version;

    void note(WFHttpTask *task) {
        calls++;
        state = task->get_state();
        error = task->get_error();
        reason = task->get_timeout_reason();
        on_handler = WFGlobal::get_scheduler()->is_handler_thread() != 0;
        has_connection = task->get_connection() != NULL;
        seq = has_connection ? task->get_task_seq() : -1;
        if (state == WFT_STATE_SUCCESS) {
            task->get_resp()->get_status_code(status);
            task->get_resp()->get_http_version(version);
            body = protocol::HttpUtil::decode_chunked_body(task->get_resp());
        }
    }

    // Runs the call; setup may change the task before it starts.
    bool run(const std::string &url, int redirect_max = 0, int retry_max = 0,
             std::function<void(WFHttpTask *)> setup = nullptr) {
        Event ended;
        WFHttpTask *task = WFTaskFactory::create_http_task(url, redirect_max, retry_max,
                                                           [this](WFHttpTask *t) { note(t); });
        if (setup)
            setup(task);
        Workflow::start_series_work(task, [&ended](const SeriesWork *) { ended.set(); });
        return ended.wait();
    }
};

} // namespace compat

#endif
