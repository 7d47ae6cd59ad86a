// Weft public header, room: util - the process-wide engine as the rooms below it see it
// SPDX-License-Identifier: Apache-2.0
//
// Declarations only: this header includes nothing, so that every room may use it; the functions are
// defined in the room engine, which creates each part at its first use and ends it at exit. None of
// them returns NULL.
#ifndef WEFT_DETAIL_RUNTIME_H
#define WEFT_DETAIL_RUNTIME_H

class CommScheduler;
class DnsCache;
class ExecQueue;
class Executor;
class IOService;
class RouteManager;
class WFDnsResolver;
class WFNameService;
struct WFGlobalSettings;

namespace wf {
namespace detail {

CommScheduler *runtime_scheduler();
Executor *runtime_compute_executor();
// The queue of that name; made at its first mention, kept until exit.
ExecQueue *runtime_exec_queue(const char *name);
Executor *runtime_dns_executor();
ExecQueue *runtime_dns_queue();
IOService *runtime_io_service();
RouteManager *runtime_route_manager();
DnsCache *runtime_dns_cache();
WFDnsResolver *runtime_dns_resolver();
WFNameService *runtime_name_service();
const struct WFGlobalSettings *runtime_settings();
// What state and error of a task mean, in English; kept for ever.
const char *runtime_error_text(int state, int error);
// The port of a scheme, as text; NULL when unknown.
const char *runtime_default_port(const char *scheme);

// Brackets a wait of the calling thread: on a thread of the engine, others take over what it would
// have done. Answers a cookie for the end. May be called on any thread, also before the engine has
// started.
int runtime_wait_begin();
void runtime_wait_end(int cookie);

} // namespace detail
} // namespace wf

#endif
