// Weft - coroutines and tasks
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/coro_task.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

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

namespace {

class File {
public:
    explicit File(const std::string &path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
    ~File() {
        if (fd_ >= 0)
            close(fd_);
    }
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    int fd() const { return fd_; }

private:
    int fd_;
};

constexpr size_t PIECE = 256u << 10;

} // namespace

Task<Result<std::string>> read_file(std::string path, size_t most) {
    File file(path);
    if (file.fd() < 0)
        co_return Result<std::string>(Status::system(errno));
    std::string text;
    for (;;) {
        size_t size = text.size();
        text.resize(size + PIECE);
        WFFileIOTask *task = WFTaskFactory::create_pread_task(file.fd(), text.data() + size, PIECE,
                                                              static_cast<off_t>(size), nullptr);
        Result<long> got = co_await task;
        if (!got.ok())
            co_return Result<std::string>(got);
        text.resize(size + static_cast<size_t>(got.value));
        if (text.size() > most)
            co_return Result<std::string>(Status::system(EFBIG));
        if (got.value == 0)
            co_return Result<std::string>(got, std::move(text));
    }
}

Task<HttpResult> http_request(std::string url, HttpOptions options) {
    WFHttpTask *task =
        WFTaskFactory::create_http_task(url, options.redirect_max, options.retry_max, nullptr);
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
