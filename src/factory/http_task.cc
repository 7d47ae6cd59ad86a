// Weft - the HTTP client task: defaults of the request, keep-alive, redirects
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "factory/http_common.h"
#include "kernel/tls_context.h"
#include "util/base64.h"
#include "util/block_cache.h"
#include "util/percent.h"
#include "workflow/HttpUtil.h"
#include "workflow/WFTaskFactory.h"

using protocol::HttpHeaderCursor;
using protocol::HttpRequest;
using protocol::HttpResponse;

namespace {

constexpr int HTTP_KEEP_ALIVE_DEFAULT = 60 * 1000;

class HttpClientTask final : public WFComplexClientTask<HttpRequest, HttpResponse>,
                             public wf::BlockCached<HttpClientTask> {
public:
    HttpClientTask(int redirect_max, int retry_max, http_callback_t &&cb)
        : WFComplexClientTask(retry_max, std::move(cb)), redirect_max_(redirect_max),
          redirect_count_(0), keep_alive_asked_(0), authorized_(false) {
        this->req.set_method("GET");
        this->req.set_http_version("HTTP/1.1");
        this->keep_alive_timeo = HTTP_KEEP_ALIVE_DEFAULT;
    }

    int describe(char *text, size_t size) const override;

protected:
    bool init_success() override;
    void init_failed() override { this->req.set_request_uri("/"); }
    bool check_request() override;
    CommMessageOut *message_out() override;
    CommMessageIn *message_in() override;
    int keep_alive_timeout() override;
    bool finish_once() override;
    WFRouterTask *route() override;

private:
    bool follow_redirect();
    bool read_location(ParsedURI *uri);
    void adapt_method(long code);

    int redirect_max_;
    int redirect_count_;
    int keep_alive_asked_;
    bool authorized_; // the Authorization header came from the url's user info
    std::string first_host_;
};

bool is_scheme(const char *scheme, const char *name) {
    return scheme && strcasecmp(scheme, name) == 0;
}

// Host and port as they stand in the Host header: without the scheme's own port, IPv6 in brackets.
std::string host_value(const ParsedURI &uri) {
    std::string host = uri.host ? uri.host : "";
    if (host.find(':') != std::string::npos)
        host = "[" + host + "]";
    if (host[0] == '/') // a Unix socket has no name
        return "localhost";
    const char *usual = is_scheme(uri.scheme, "https") ? "443" : "80";
    if (uri.port && strtoul(uri.port, nullptr, 10) != strtoul(usual, nullptr, 10))
        host += std::string(":") + uri.port;
    return host;
}

std::string target_of(const ParsedURI &uri) {
    std::string target = uri.path && uri.path[0] ? uri.path : "/";
    if (uri.query && uri.query[0])
        target += std::string("?") + uri.query;
    return target;
}

int HttpClientTask::describe(char *text, size_t size) const {
    const char *outcome = nullptr;
    if (this->state == WFT_STATE_SUCCESS)
        outcome = this->resp.get_status_code();
    else if (this->state >= 0)
        outcome = wf::detail::runtime_error_text(this->state, this->error);
    return wf::http_describe(this->req, host_value(this->uri_), outcome, text, size);
}

bool HttpClientTask::init_success() {
    bool tls = is_scheme(this->uri_.scheme, "https");
    if (!tls && !is_scheme(this->uri_.scheme, "http")) {
        this->state = WFT_STATE_TASK_ERROR;
        this->error = WFT_ERR_URI_SCHEME_INVALID;
        this->init_failed();
        return false;
    }
    std::string path = target_of(this->uri_);
    std::string host = host_value(this->uri_);
    bool other_host =
        !this->first_host_.empty() && strcasecmp(host.c_str(), this->first_host_.c_str()) != 0;
    if (this->first_host_.empty())
        this->first_host_ = host;
    this->set_transport_type(tls ? TT_TCP_SSL : TT_TCP);
    if (!this->req.set_request_uri(path) || !this->req.set_header_pair("Host", host)) {
        this->state = WFT_STATE_TASK_ERROR;
        this->error = WFT_ERR_URI_PARSE_FAILED;
        return false;
    }
    if (this->uri_.userinfo && this->uri_.userinfo[0]) {
        std::string user = this->uri_.userinfo;
        wf::percent_decode(user);
        this->req.set_header_pair("Authorization", "Basic " + wf::base64_encode(user));
        this->authorized_ = true;
    } else if (other_host &&
               this->authorized_) { // what the user told one host is none of another's business
        HttpHeaderCursor cursor(&this->req);
        cursor.find_and_erase("Authorization");
        this->authorized_ = false;
    }
    return true;
}

bool HttpClientTask::check_request() { return true; }

WFRouterTask *HttpClientTask::route() {
    if (this->type_ == TT_TCP_SSL && !this->ssl_ctx_)
        this->ssl_ctx_ = wf::detail::tls_shared_client_ctx("http/1.1");
    return this->WFComplexClientTask::route();
}

CommMessageOut *HttpClientTask::message_out() {
    // May change the request (prepare); what is added below must see that.
    CommMessageOut *out = this->WFClientTask::message_out();
    HttpRequest *request = &this->req;
    const char *method = request->get_method();
    bool has_body = request->get_output_body_size() > 0;
    bool wants_length =
        has_body || (method && (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0));
    if (wants_length && !request->is_chunked() && !request->has_content_length_header())
        request->add_header_pair("Content-Length", std::to_string(request->get_output_body_size()));

    this->keep_alive_asked_ = this->keep_alive_timeo;
    if (request->has_connection_header()) {
        if (!request->is_keep_alive())
            this->keep_alive_asked_ = 0;
    } else if (this->keep_alive_timeo == 0) {
        request->add_header_pair("Connection", "close");
    } else {
        request->add_header_pair("Connection", "Keep-Alive");
    }
    if (this->keep_alive_asked_ != 0 && request->has_keep_alive_header())
        this->keep_alive_asked_ = wf::http_keep_alive(*request, this->keep_alive_asked_, nullptr);
    this->keep_alive_asked_ = wf::http_cap_keep_alive(this->keep_alive_asked_);
    return out;
}

CommMessageIn *HttpClientTask::message_in() {
    const char *method = this->req.get_method();
    if (method && strcmp(method, "HEAD") == 0)
        this->resp.parse_zero_body();
    return this->WFClientTask::message_in();
}

int HttpClientTask::keep_alive_timeout() {
    return this->resp.is_keep_alive() ? this->keep_alive_asked_ : 0;
}

bool HttpClientTask::finish_once() {
    if (this->state == WFT_STATE_SUCCESS && this->redirect_count_ < this->redirect_max_ &&
        this->follow_redirect()) {
        this->redirect_count_++;
        return true;
    }
    return true;
}

// The Location header as an absolute url; relative ones refer to the present one (RFC 3986
// section 5.2, paths with dots are left to the server).
bool HttpClientTask::read_location(ParsedURI *uri) {
    HttpHeaderCursor cursor(&this->resp);
    std::string location;
    if (!cursor.find("Location", location) || location.empty())
        return false;
    if (location.compare(0, 2, "//") == 0) {
        location = std::string(this->uri_.scheme) + ":" + location;
    } else if (location.find("://") == std::string::npos ||
               location.find("://") > location.find_first_of("/?#")) {
        std::string host = this->uri_.host ? this->uri_.host : "";
        std::string base = std::string(this->uri_.scheme) + "://";
        base += host.find(':') == std::string::npos ? host : "[" + host + "]";
        base += std::string(":") + this->uri_.port;
        if (location[0] == '?') {
            base += this->uri_.path ? this->uri_.path : "/";
        } else if (location[0] != '/') {
            std::string path = this->uri_.path ? this->uri_.path : "/";
            base += path.substr(0, path.rfind('/') + 1);
        }
        location = base + location;
    }
    return URIParser::parse(location, *uri) == 0;
}

void HttpClientTask::adapt_method(long code) {
    const char *method = this->req.get_method();
    bool keeps = code == HttpStatusTemporaryRedirect || code == HttpStatusPermanentRedirect ||
                 !method || strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (keeps)
        return;
    this->req.set_method("GET");
    this->req.clear_output_body();
    HttpHeaderCursor cursor(&this->req);
    cursor.find_and_erase("Content-Length");
    cursor.rewind();
    cursor.find_and_erase("Transfer-Encoding");
}

// True when the task was sent elsewhere, or ended for want of a usable Location.
bool HttpClientTask::follow_redirect() {
    const char *text = this->resp.get_status_code();
    long code = text ? strtol(text, nullptr, 10) : 0; // three digits, or the parser had refused it
    if (code != 301 && code != 302 && code != 303 && code != 307 && code != 308)
        return false;
    ParsedURI uri;
    if (!this->read_location(&uri)) {
        this->state = WFT_STATE_TASK_ERROR;
        this->error = WFT_ERR_HTTP_BAD_REDIRECT_HEADER;
        return true;
    }
    this->adapt_method(code);
    this->set_redirect(uri);
    return true;
}

WFHttpTask *make_task(ParsedURI &&uri, int redirect_max, int retry_max,
                      http_callback_t &&callback) {
    auto *task = new HttpClientTask(redirect_max, retry_max, std::move(callback));
    task->init(std::move(uri));
    return task;
}

} // namespace

WFHttpTask *WFTaskFactory::create_http_task(const std::string &url, int redirect_max, int retry_max,
                                            http_callback_t callback) {
    ParsedURI uri;
    URIParser::parse(url, uri);
    return make_task(std::move(uri), redirect_max, retry_max, std::move(callback));
}

WFHttpTask *WFTaskFactory::create_http_task(const ParsedURI &uri, int redirect_max, int retry_max,
                                            http_callback_t callback) {
    return make_task(ParsedURI(uri), redirect_max, retry_max, std::move(callback));
}
