// Weft - detail/runtime.h and WFGlobal, over the Engine
// SPDX-License-Identifier: Apache-2.0
#include "workflow/detail/runtime.h"

#include <netdb.h>
#include <string.h>

#include "engine/engine.h"
#include "kernel/defer.h"
#include "kernel/tls_context.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTask.h"

using wf::detail::Engine;

namespace wf::detail {

CommScheduler *runtime_scheduler() { return Engine::get().scheduler(); }
Executor *runtime_compute_executor() { return Engine::get().compute_executor(); }
ExecQueue *runtime_exec_queue(const char *name) { return Engine::get().exec_queue(name); }
Executor *runtime_dns_executor() { return Engine::get().dns_executor(); }
ExecQueue *runtime_dns_queue() { return Engine::get().dns_queue(); }
IOService *runtime_io_service() { return Engine::get().io_service(); }
RouteManager *runtime_route_manager() { return Engine::get().route_manager(); }
DnsCache *runtime_dns_cache() { return Engine::get().dns_cache(); }
WFDnsResolver *runtime_dns_resolver() { return Engine::get().dns_resolver(); }
WFNameService *runtime_name_service() { return Engine::get().name_service(); }
const struct WFGlobalSettings *runtime_settings() { return Engine::get().settings_pointer(); }
const char *runtime_default_port(const char *scheme) { return Engine::get().default_port(scheme); }
const char *runtime_error_text(int state, int error) {
    return WFGlobal::get_error_string(state, error);
}
int runtime_wait_begin() { return kernel_wait_begin(); }
void runtime_wait_end(int cookie) { kernel_wait_end(cookie); }

} // namespace wf::detail

void WORKFLOW_library_init(const struct WFGlobalSettings *settings) {
    WFGlobal::set_global_settings(settings);
}

void WFGlobal::register_scheme_port(const std::string &scheme, unsigned short port) {
    Engine::get().register_port(scheme, port);
}

const char *WFGlobal::get_default_port(const std::string &scheme) {
    return Engine::get().default_port(scheme.c_str());
}
const struct WFGlobalSettings *WFGlobal::get_global_settings() {
    return Engine::get().settings_pointer();
}
void WFGlobal::set_global_settings(const struct WFGlobalSettings *settings) {
    Engine::get().set_settings(*settings);
}

bool WFGlobal::increase_handler_thread() { return get_scheduler()->increase_handler_thread() == 0; }
bool WFGlobal::decrease_handler_thread() { return get_scheduler()->decrease_handler_thread() == 0; }
bool WFGlobal::increase_compute_thread() { return get_compute_executor()->increase_thread() == 0; }
bool WFGlobal::decrease_compute_thread() { return get_compute_executor()->decrease_thread() == 0; }

bool WFGlobal::is_scheduler_created() { return Engine::get().has_scheduler(); }
CommScheduler *WFGlobal::get_scheduler() { return Engine::get().scheduler(); }
SSL_CTX *WFGlobal::get_ssl_client_ctx() { return wf::tls_client_ctx(); }
SSL_CTX *WFGlobal::new_ssl_server_ctx() { return wf::detail::tls_bare_server_ctx(); }
ExecQueue *WFGlobal::get_exec_queue(const std::string &name) {
    return Engine::get().exec_queue(name);
}
Executor *WFGlobal::get_compute_executor() { return Engine::get().compute_executor(); }
IOService *WFGlobal::get_io_service() { return Engine::get().io_service(); }
ExecQueue *WFGlobal::get_dns_queue() { return Engine::get().dns_queue(); }
Executor *WFGlobal::get_dns_executor() { return Engine::get().dns_executor(); }
RouteManager *WFGlobal::get_route_manager() { return Engine::get().route_manager(); }
DnsCache *WFGlobal::get_dns_cache() { return Engine::get().dns_cache(); }
WFDnsResolver *WFGlobal::get_dns_resolver() { return Engine::get().dns_resolver(); }
WFNameService *WFGlobal::get_name_service() { return Engine::get().name_service(); }

int WFGlobal::sync_operation_begin() { return kernel_wait_begin(); }
void WFGlobal::sync_operation_end(int cookie) { kernel_wait_end(cookie); }

namespace {

struct ErrorText {
    int error;
    const char *text;
};

constexpr ErrorText TASK_ERRORS[] = {
    {WFT_ERR_URI_PARSE_FAILED, "the URL cannot be parsed"},
    {WFT_ERR_URI_SCHEME_INVALID, "the scheme of the URL is not known here"},
    {WFT_ERR_URI_PORT_INVALID, "the port of the URL is invalid"},
    {WFT_ERR_UPSTREAM_UNAVAILABLE, "no server of the upstream is available"},
    {WFT_ERR_HTTP_BAD_REDIRECT_HEADER, "the redirect has no usable Location"},
    {WFT_ERR_HTTP_PROXY_CONNECT_FAILED, "the HTTP proxy refused to connect"},
    {WFT_ERR_REDIS_ACCESS_DENIED, "Redis denied the access"},
    {WFT_ERR_REDIS_COMMAND_DISALLOWED, "this Redis command is not allowed here"},
    {WFT_ERR_MYSQL_HOST_NOT_ALLOWED, "MySQL does not allow this host"},
    {WFT_ERR_MYSQL_ACCESS_DENIED, "MySQL denied the access"},
    {WFT_ERR_MYSQL_INVALID_CHARACTER_SET, "the MySQL character set is not known"},
    {WFT_ERR_MYSQL_COMMAND_DISALLOWED, "this MySQL command is not allowed here"},
    {WFT_ERR_MYSQL_QUERY_NOT_SET, "no MySQL query was set"},
    {WFT_ERR_MYSQL_SSL_NOT_SUPPORTED, "the MySQL server has no TLS"},
    {WFT_ERR_TASK_EXCEPTION, "the computation threw an exception"},
};

constexpr ErrorText SSL_ERRORS[] = {
    {SSL_ERROR_NONE, "TLS: no error"},
    {SSL_ERROR_SSL, "TLS: protocol error"},
    {SSL_ERROR_WANT_READ, "TLS: wants to read"},
    {SSL_ERROR_WANT_WRITE, "TLS: wants to write"},
    {SSL_ERROR_SYSCALL, "TLS: system call failed"},
    {SSL_ERROR_ZERO_RETURN, "TLS: the peer has ended the session"},
};

template <size_t N>
const char *find_text(const ErrorText (&table)[N], int error, const char *otherwise) {
    for (const ErrorText &row : table) {
        if (row.error == error)
            return row.text;
    }
    return otherwise;
}

} // namespace

const char *WFGlobal::get_error_string(int state, int error) {
    switch (state) {
    case WFT_STATE_SUCCESS:
        return "Success";
    case WFT_STATE_TOREPLY:
        return "To Reply";
    case WFT_STATE_NOREPLY:
        return "No Reply";
    case WFT_STATE_SYS_ERROR:
        return strerror(error);
    case WFT_STATE_SSL_ERROR:
        return find_text(SSL_ERRORS, error, "TLS: unknown error");
    case WFT_STATE_DNS_ERROR:
        return gai_strerror(error);
    case WFT_STATE_TASK_ERROR:
        return find_text(TASK_ERRORS, error, "Unknown");
    case WFT_STATE_ABORTED:
        return "Aborted";
    case WFT_STATE_UNDEFINED:
        return "Undefined";
    default:
        return "Unknown";
    }
}
