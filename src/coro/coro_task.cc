// Weft - coroutines and tasks
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/coro_task.h"

#include "kernel/cut.h"
#include "workflow/HttpUtil.h"

namespace wf {

CoroutineTask *create_coroutine_task(Task<void> task) { return new CoroutineTask(std::move(task)); }

// Its link gives the group of what it awaits; one that nobody can reach has a scope of its own.
void CoroutineTask::dispatch() {
    if (detail::CutGroup *group = detail::TaskLink::children_of(this))
        scope_.emplace(group);
    else
        scope_.emplace(static_cast<detail::CoroScope *>(nullptr));
    run(*scope_, this);
}

detail::Detached CoroutineTask::run(detail::CoroScope &, CoroutineTask *self) {
    detail::Outcome<void> outcome;
    co_await detail::keep(std::move(self->task_), &outcome);
    self->state = outcome.value ? WFT_STATE_SUCCESS : WFT_STATE_TASK_ERROR;
    self->error = outcome.value ? 0 : WFT_ERR_TASK_EXCEPTION;
    self->subtask_done();
}

SubTask *CoroutineTask::done() {
    SeriesWork *series = series_of(this);
    if (callback_)
        callback_(this);
    delete this;
    return series->pop();
}

Task<HttpResult> http_request(std::string url, HttpOptions options) {
    WFHttpTask *task = WFTaskFactory::create_http_task(url, options.redirect_max,
                                                       options.retry_max, nullptr);
    protocol::HttpRequest *request = task->get_req();
    request->set_method(options.method);
    for (const auto &[name, value] : options.headers)
        request->set_header_pair(name, value);
    if (!options.body.empty())
        request->append_output_body(options.body);
    co_return co_await task;
}

Task<HttpResult> http_get(std::string url) { return http_request(std::move(url)); }

} // namespace wf
