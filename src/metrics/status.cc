// Weft - serve_status(): the page, and what it reads
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/status.h"

#include <arpa/inet.h>
#include <chrono>
#include <netinet/in.h>
#include <string.h>
#include <string_view>
#include <vector>

#include "factory/slow_requests.h"
#include "metrics/status_page.h"
#include "util/text.h"
#include "workflow/HttpUtil.h"
#include "workflow/wf/connections.h"
#include "workflow/wf/metrics.h"

namespace wf {

namespace {

using detail::append_json;

std::string address_text(const struct sockaddr_storage &address) {
    char host[INET6_ADDRSTRLEN] = "";
    if (address.ss_family == AF_INET) {
        const auto *in = reinterpret_cast<const struct sockaddr_in *>(&address);
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        return std::string(host) + ":" + std::to_string(ntohs(in->sin_port));
    }
    if (address.ss_family == AF_INET6) {
        const auto *in6 = reinterpret_cast<const struct sockaddr_in6 *>(&address);
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        return std::string("[") + host + "]:" + std::to_string(ntohs(in6->sin6_port));
    }
    return address.ss_family == AF_UNIX ? "unix" : "";
}

void append_field(std::string *text, const char *name, std::string_view value) {
    ((*text += ",\"") += name) += "\":";
    append_json(text, value);
}

void append_field(std::string *text, const char *name, int64_t value) {
    ((*text += ",\"") += name) += "\":";
    *text += std::to_string(value);
}

void append_connections(std::string *text, const CommService *service, size_t max) {
    std::vector<ConnectionInfo> infos(max);
    infos.resize(service->get_connections(infos.data(), max));
    *text += ",\n\"connections\":[";
    for (size_t i = 0; i < infos.size(); i++) {
        const ConnectionInfo &info = infos[i];
        *text += i == 0 ? "{\"peer\":" : ",\n{\"peer\":";
        append_json(text, address_text(info.peer));
        append_field(text, "state", info.state);
        append_field(text, "age", info.age);
        append_field(text, "since", info.since);
        append_field(text, "requests", info.requests);
        *text += info.tls ? ",\"tls\":true}" : ",\"tls\":false}";
    }
    *text += ']';
}

void append_slow_requests(std::string *text) {
    std::vector<detail::SlowRequest> slow(detail::SLOW_REQUESTS);
    slow.resize(detail::copy_slow_requests(slow.data(), slow.size()));
    *text += ",\n\"slow\":[";
    for (size_t i = 0; i < slow.size(); i++) {
        const detail::SlowRequest &request = slow[i];
        *text += i == 0 ? "{\"method\":" : ",\n{\"method\":";
        append_json(text, request.method);
        append_field(text, "target", request.target);
        append_field(text, "status", request.status);
        append_field(text, "peer", address_text(request.peer));
        append_field(text, "took_us", static_cast<int64_t>(request.took / 1000));
        append_field(text, "ended", request.ended);
        *text += '}';
    }
    *text += ']';
}

std::string make_json(WFHttpTask *task, const StatusOptions &options) {
    auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    auto now = std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count();
    const auto *service = static_cast<const CommService *>(series_of(task)->get_server());
    std::string text = "{\"title\":";
    append_json(&text, options.title);
    append_field(&text, "now", now);
    if (service && options.show_connections)
        append_connections(&text, service, options.max_connections);
    if (options.show_slow_requests)
        append_slow_requests(&text);
    text += ",\n\"metrics\":";
    text += metrics_to_json(collect());
    text += "}\n";
    return text;
}

void answer(WFHttpTask *task, const char *type, std::string_view body) {
    protocol::HttpResponse *response = task->get_resp();
    response->set_header_pair("Content-Type", type);
    response->set_header_pair("Cache-Control", "no-store");
    response->set_header_pair("X-Content-Type-Options", "nosniff");
    response->append_output_body(body.data(), body.size());
}

enum class Part { NOTHING, PAGE, JSON, METRICS };

Part find_part(std::string_view target, std::string_view path) {
    target = target.substr(0, target.find('?'));
    while (!path.empty() && path.back() == '/')
        path.remove_suffix(1);
    if (target.substr(0, path.size()) != path)
        return Part::NOTHING;
    std::string_view rest = target.substr(path.size());
    if (rest.empty() || rest == "/")
        return Part::PAGE;
    if (rest == "/json")
        return Part::JSON;
    return rest == "/metrics" ? Part::METRICS : Part::NOTHING;
}

} // namespace

bool serve_status(WFHttpTask *task, const StatusOptions &options) {
    const char *target = task->get_req()->get_request_uri();
    const char *method = task->get_req()->get_method();
    Part part = find_part(target ? target : "", options.path);
    if (part == Part::NOTHING)
        return false;
    if (!method || (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)) {
        protocol::HttpUtil::set_response_status(task->get_resp(), HttpStatusMethodNotAllowed);
        task->get_resp()->set_header_pair("Allow", "GET, HEAD");
    } else if (part == Part::JSON) {
        answer(task, "application/json", make_json(task, options));
    } else if (part == Part::METRICS) {
        answer(task, "text/plain; version=0.0.4; charset=utf-8", metrics_to_prometheus(collect()));
    } else {
        // The page brings all it needs, and nothing that is shown in it can bring more.
        task->get_resp()->set_header_pair("Content-Security-Policy",
                                          "default-src 'none'; style-src 'unsafe-inline'; "
                                          "script-src 'unsafe-inline'; connect-src 'self'");
        answer(task, "text/html; charset=utf-8",
               std::string_view(detail::status_page, detail::status_page_size));
    }
    return true;
}

void set_slow_threshold(std::chrono::nanoseconds threshold) {
    detail::slow_threshold = threshold.count() > 0 ? static_cast<uint64_t>(threshold.count()) : 0;
}

} // namespace wf
