// Weft - one HTTP call of our client, made synchronously by an integration test
// SPDX-License-Identifier: Apache-2.0
//
// A Call belongs to the test and is filled by the callback; run() waits for the whole series.

#ifndef WEFT_TEST_INTEGRATION_CALL_H
#define WEFT_TEST_INTEGRATION_CALL_H

#include <functional>
#include <future>
#include <string>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

struct Call {
    int state = -1;
    int error = -1;
    int reason = -1;
    long long seq = -1;
    int callbacks = 0;
    std::string status;
    std::string body;
    protocol::HttpHeaderMap *headers = nullptr;

    Call() = default;
    ~Call() { delete headers; }
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;

    void note(WFHttpTask *task) {
        callbacks++;
        state = task->get_state();
        error = task->get_error();
        reason = task->get_timeout_reason();
        seq = task->get_task_seq();
        if (state != WFT_STATE_SUCCESS)
            return;
        task->get_resp()->get_status_code(status);
        body = protocol::HttpUtil::decode_chunked_body(task->get_resp());
        headers = new protocol::HttpHeaderMap(task->get_resp());
    }

    // False when the callback did not come within a minute.
    bool run(const std::string &url, std::function<void(WFHttpTask *)> setup = nullptr,
             int redirect_max = 0, int retry_max = 0) {
        auto ended = std::make_shared<std::promise<void>>();
        std::future<void> future = ended->get_future();
        WFHttpTask *task = WFTaskFactory::create_http_task(url, redirect_max, retry_max,
                                                           [this](WFHttpTask *t) { note(t); });
        if (setup)
            setup(task);
        Workflow::start_series_work(task, [ended](const SeriesWork *) { ended->set_value(); });
        return future.wait_for(std::chrono::seconds(60)) == std::future_status::ready;
    }
};

#endif
