// Weft public header, room: engine - settings, ports of schemes, error texts, and the parts of the running engine
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_WFGLOBAL_H
#define WEFT_WFGLOBAL_H

#include <openssl/ssl.h>
#include <string>

#include "CommScheduler.h"
#include "DnsCache.h"
#include "EndpointParams.h"
#include "Executor.h"
#include "IOService.h"
#include "RouteManager.h"
#include "WFDnsResolver.h"
#include "WFNameService.h"
#include "WFTaskError.h"
#include "detail/settings.h"

// Takes the settings. They are read when the part they belong to is first used, so this comes
// before the first task. The strings in it are not copied.
extern void WORKFLOW_library_init(const struct WFGlobalSettings *settings);

class WFGlobal {
public:
    // The port of urls of this scheme without one. Built-in schemes cannot be changed.
    static void register_scheme_port(const std::string &scheme, unsigned short port);
    // NULL when the scheme is unknown.
    static const char *get_default_port(const std::string &scheme);

    static const struct WFGlobalSettings *get_global_settings();
    static void set_global_settings(const struct WFGlobalSettings *settings);

    // What (state, error) of a task means, in English. Never NULL.
    static const char *get_error_string(int state, int error);

    static bool increase_handler_thread();
    static bool decrease_handler_thread();
    static bool increase_compute_thread();
    static bool decrease_compute_thread();

    // The parts of the engine; each is made at its first use, and ended at exit.
    static bool is_scheduler_created();
    static CommScheduler *get_scheduler();
    // The context of clients that bring none, see wf/tls.h; borrowed. And a new one for a server,
    // without a certificate; the caller's. NULL without OpenSSL 3.
    static SSL_CTX *get_ssl_client_ctx();
    static SSL_CTX *new_ssl_server_ctx();
    static ExecQueue *get_exec_queue(const std::string &queue_name);
    static Executor *get_compute_executor();
    static IOService *get_io_service();
    static ExecQueue *get_dns_queue();
    static Executor *get_dns_executor();
    static RouteManager *get_route_manager();
    static DnsCache *get_dns_cache();
    static WFDnsResolver *get_dns_resolver();
    static WFNameService *get_name_service();

    // Brackets a wait of the calling thread: answers 1 on a thread of the engine, whose other work
    // goes on elsewhere meanwhile, else 0. The answer is the cookie for the end.
    static int sync_operation_begin();
    static void sync_operation_end(int cookie);
};

#endif
