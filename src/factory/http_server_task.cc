// Weft - the HTTP server task: defaults of the answer, keep-alive
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "factory/http_common.h"
#include "factory/slow_requests.h"
#include "kernel/metrics.h"
#include "protocol/http_defaults.h"
#include "util/block_cache.h"
#include "workflow/HttpUtil.h"
#include "workflow/WFTaskFactory.h"

using protocol::HttpRequest;
using protocol::HttpResponse;

namespace {

class HttpServerTask final : public WFServerTask<HttpRequest, HttpResponse>,
                             public wf::BlockCached<HttpServerTask> {
public:
    HttpServerTask(CommService *service, std::function<void(WFHttpTask *)> &process)
        : WFServerTask(service, wf::detail::runtime_scheduler(), process), alive_(false),
          head_only_(false), max_(-1), asked_(-1) {}

    int describe(char *text, size_t size) const override {
        // Before the reply the code is the one that stands ready, and says nothing.
        const char *code =
            this->state == WFT_STATE_TOREPLY ? nullptr : this->resp.get_status_code();
        return wf::http_describe(this->req, "", code, text, size);
    }

protected:
    void handle(int state_in, int error_in) override;
    CommMessageOut *message_out() override;

private:
    void keep_as_slow();
    bool allows_body() const;
    // Of the answer, which is ours to change.
    http_parser_t *parser() { return const_cast<http_parser_t *>(this->resp.get_parser()); }

    // What the request says, noted before the program may move it away.
    bool alive_;
    bool head_only_;
    long max_;
    int asked_;
};

void HttpServerTask::handle(int state_in, int error_in) {
    if (state_in == WFT_STATE_TOREPLY) {
        const char *method = this->req.get_method();
        this->alive_ = this->req.is_keep_alive();
        this->head_only_ = method && strcmp(method, "HEAD") == 0;
        if (this->alive_ && this->req.has_keep_alive_header())
            this->asked_ = wf::http_keep_alive(this->req, -1, &this->max_);
    } else if (wf::detail::is_slow(this->get_duration())) [[unlikely]] {
        this->keep_as_slow();
    }
    this->WFServerTask::handle(state_in, error_in);
}

// 1xx, 204 and 304 have no body (RFC 9110 section 6.4.1), and no length is told of what cannot be.
bool HttpServerTask::allows_body() const {
    const char *code = this->resp.get_status_code();
    return code[0] != '1' && strcmp(code, "204") != 0 && strcmp(code, "304") != 0;
}

CommMessageOut *HttpServerTask::message_out() {
    CommMessageOut *out = this->WFServerTask::message_out(); // runs prepare
    HttpResponse *answer = &this->resp;
    if (!answer->get_http_version())
        answer->set_http_version("HTTP/1.1");
    const char *code = answer->get_status_code();
    if (!code) {
        protocol::HttpUtil::set_response_status(answer, HttpStatusOK);
        code = answer->get_status_code();
    } else if (!answer->get_reason_phrase()) {
        answer->set_reason_phrase("Unknown");
    }
    metric_inc(METRIC_HTTP_ANSWERS + (code[0] & 15u)); // by the first digit
    if (!answer->is_chunked() && !answer->has_content_length_header() && this->allows_body()) {
        http_parser_add_length(this->parser(), answer->get_output_body_size());
    }
    if (this->head_only_)
        answer->clear_output_body();

    bool alive = answer->has_connection_header() ? answer->is_keep_alive() : this->alive_;
    if (!alive || this->is_draining() || (this->max_ >= 0 && this->get_seq() >= this->max_))
        this->keep_alive_timeo = 0;
    else if (this->keep_alive_timeo != 0 && this->asked_ >= 0)
        this->keep_alive_timeo = this->asked_;
    if (this->keep_alive_timeo != 0)
        this->keep_alive_timeo = wf::http_cap_keep_alive(this->keep_alive_timeo);
    if (!answer->has_connection_header())
        http_parser_add_connection(this->parser(), this->keep_alive_timeo != 0);
    return out;
}

void HttpServerTask::keep_as_slow() {
    const struct sockaddr *peer;
    socklen_t length;
    this->target->get_addr(&peer, &length);
    wf::detail::keep_slow_request(this->req.get_method(), this->req.get_request_uri(),
                                  this->resp.get_status_code(), peer, length, this->get_duration());
}

} // namespace

WFHttpTask *WFServerTaskFactory::create_http_task(CommService *service,
                                                  std::function<void(WFHttpTask *)> &process) {
    return new HttpServerTask(service, process);
}
