// Weft - compat: values, field orders and class shapes that programs are compiled against
// SPDX-License-Identifier: Apache-2.0
//
// Section 9 of the behaviour table. Most of this is decided by the compiler; the tests say so.

#include <errno.h>
#include <string.h>

#include <gtest/gtest.h>

#include <type_traits>

#include "workflow/EndpointParams.h"
#include "workflow/WFConnection.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFGraphTask.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFServer.h"
#include "workflow/WFTask.h"
#include "workflow/WFTaskError.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "cxx11_program.h"

// 9.3: numbers that other libraries assert.
static_assert(WFT_STATE_UNDEFINED == -1, "state");
static_assert(WFT_STATE_SUCCESS == 0 && CS_STATE_SUCCESS == 0, "state");
static_assert(WFT_STATE_SYS_ERROR == 1 && CS_STATE_ERROR == 1, "state");
static_assert(WFT_STATE_ABORTED == 2 && CS_STATE_STOPPED == 2, "state");
static_assert(WFT_STATE_TOREPLY == 3 && CS_STATE_TOREPLY == 3, "state");
static_assert(WFT_STATE_NOREPLY == 4, "state");
static_assert(WFT_STATE_SSL_ERROR == 65, "state");
static_assert(WFT_STATE_DNS_ERROR == 66, "state");
static_assert(WFT_STATE_TASK_ERROR == 67, "state");
static_assert(TOR_NOT_TIMEOUT == 0 && TOR_WAIT_TIMEOUT == 1, "reason");
static_assert(TOR_CONNECT_TIMEOUT == 2 && TOR_TRANSMIT_TIMEOUT == 3, "reason");
static_assert(SS_STATE_COMPLETE == 0 && SS_STATE_ERROR == 1 && SS_STATE_DISRUPTED == 2, "sleep");
static_assert(ES_STATE_FINISHED == 0 && ES_STATE_ERROR == 1 && ES_STATE_CANCELED == 2, "exec");
static_assert(TT_TCP == 0 && TT_UDP == 1 && TT_SCTP == 2, "transport");
static_assert(TT_TCP_SSL == 3 && TT_SCTP_SSL == 4, "transport");
static_assert(WFT_ERR_URI_PARSE_FAILED == 1001 && WFT_ERR_URI_SCHEME_INVALID == 1002, "error");
static_assert(WFT_ERR_URI_PORT_INVALID == 1003 && WFT_ERR_UPSTREAM_UNAVAILABLE == 1004, "error");
static_assert(WFT_ERR_HTTP_BAD_REDIRECT_HEADER == 2001, "error");
static_assert(WFT_ERR_HTTP_PROXY_CONNECT_FAILED == 2002, "error");
static_assert(WFT_ERR_REDIS_ACCESS_DENIED == 3001, "error");
static_assert(WFT_ERR_MYSQL_SSL_NOT_SUPPORTED == 4006, "error");
static_assert(WFT_ERR_KAFKA_CGROUP_ASSIGN_FAILED == 5013, "error");
static_assert(WFT_ERR_CONSUL_CHECK_RESPONSE_FAILED == 6002, "error");

// 9.3: the defaults are constants that can be copied at compile time, aggregates in field order.
static_assert(ENDPOINT_PARAMS_DEFAULT.max_connections == 200, "endpoint");
static_assert(ENDPOINT_PARAMS_DEFAULT.connect_timeout == 10000, "endpoint");
static_assert(ENDPOINT_PARAMS_DEFAULT.response_timeout == 10000, "endpoint");
static_assert(ENDPOINT_PARAMS_DEFAULT.ssl_connect_timeout == 10000, "endpoint");
static_assert(!ENDPOINT_PARAMS_DEFAULT.use_tls_sni, "endpoint");
static_assert(GLOBAL_SETTINGS_DEFAULT.dns_ttl_default == 3600, "settings");
static_assert(GLOBAL_SETTINGS_DEFAULT.dns_ttl_min == 60, "settings");
static_assert(GLOBAL_SETTINGS_DEFAULT.dns_threads == 4, "settings");
static_assert(GLOBAL_SETTINGS_DEFAULT.poller_threads == 4, "settings");
static_assert(GLOBAL_SETTINGS_DEFAULT.handler_threads == 20, "settings");
static_assert(GLOBAL_SETTINGS_DEFAULT.compute_threads == -1, "settings");
static_assert(GLOBAL_SETTINGS_DEFAULT.fio_max_events == 4096, "settings");
static_assert(SERVER_PARAMS_DEFAULT.max_connections == 2000, "server");
static_assert(SERVER_PARAMS_DEFAULT.peer_response_timeout == 10000, "server");
static_assert(SERVER_PARAMS_DEFAULT.receive_timeout == -1, "server");
static_assert(SERVER_PARAMS_DEFAULT.keep_alive_timeout == 60000, "server");
static_assert(SERVER_PARAMS_DEFAULT.request_size_limit == static_cast<size_t>(-1), "server");
static_assert(SERVER_PARAMS_DEFAULT.ssl_accept_timeout == 10000, "server");
static_assert(HTTP_SERVER_PARAMS_DEFAULT.keep_alive_timeout == 60000, "server");

// 9.6: class shapes that derived classes stand on.
static_assert(std::is_base_of<SubTask, CommRequest>::value, "shape");
static_assert(std::is_base_of<CommSession, CommRequest>::value, "shape");
static_assert(std::is_base_of<SubTask, SleepRequest>::value, "shape");
static_assert(std::is_base_of<SleepSession, SleepRequest>::value, "shape");
static_assert(std::is_base_of<SubTask, ExecRequest>::value, "shape");
static_assert(std::is_base_of<ExecSession, ExecRequest>::value, "shape");
static_assert(std::is_base_of<CommRequest, WFHttpTask>::value, "shape");
static_assert(std::is_base_of<SleepRequest, WFTimerTask>::value, "shape");
static_assert(std::is_base_of<WFGenericTask, WFCounterTask>::value, "shape");
static_assert(std::is_base_of<WFGenericTask, WFGraphTask>::value, "shape");
static_assert(std::is_base_of<ExecRequest, WFGoTask>::value, "shape");
static_assert(std::is_base_of<ParallelTask, ParallelWork>::value, "shape");
static_assert(std::is_base_of<CommConnection, WFConnection>::value, "shape");
static_assert(std::is_base_of<CommSchedObject, CommSchedTarget>::value, "shape");
static_assert(std::is_base_of<CommTarget, CommSchedTarget>::value, "shape");
static_assert(std::is_base_of<CommSchedObject, CommSchedGroup>::value, "shape");
static_assert(std::is_base_of<CommMessageIn, protocol::ProtocolMessage>::value, "shape");
static_assert(std::is_base_of<CommMessageOut, protocol::ProtocolMessage>::value, "shape");
static_assert(std::is_base_of<protocol::ProtocolMessage, protocol::HttpMessage>::value, "shape");
static_assert(std::is_base_of<protocol::HttpMessage, protocol::HttpRequest>::value, "shape");
static_assert(
    std::is_same<WFHttpServer, WFServer<protocol::HttpRequest, protocol::HttpResponse>>::value,
    "WFHttpServer is an alias");
static_assert(
    std::is_same<WFHttpTask, WFNetworkTask<protocol::HttpRequest, protocol::HttpResponse>>::value,
    "WFHttpTask is an alias");
static_assert(std::is_same<WFEmptyTask, WFGenericTask>::value, "alias");
static_assert(std::is_same<WFDynamicTask, WFGenericTask>::value, "alias");

// 9.6: no stack tasks.
static_assert(!std::is_destructible<WFTimerTask>::value, "protected destructor");
static_assert(!std::is_destructible<WFGoTask>::value, "protected destructor");
static_assert(!std::is_destructible<WFHttpTask>::value, "protected destructor");
static_assert(!std::is_destructible<WFCounterTask>::value, "protected destructor");
static_assert(!std::is_destructible<WFGenericTask>::value, "protected destructor");
static_assert(!std::is_destructible<SeriesWork>::value, "protected destructor");
static_assert(!std::is_destructible<ParallelWork>::value, "protected destructor");

// Messages move and do not copy.
static_assert(std::is_move_constructible<protocol::HttpResponse>::value, "move");
static_assert(std::is_move_assignable<protocol::HttpResponse>::value, "move");
static_assert(!std::is_copy_constructible<protocol::HttpResponse>::value, "no copy");
static_assert(std::is_move_constructible<protocol::ProtocolMessage>::value, "move");
static_assert(!std::is_copy_constructible<protocol::ProtocolMessage>::value, "no copy");

namespace {

// 9.3: settings are copied, changed, and given to the library by plain programs.
TEST(Contracts, SettingsAreCopyable) {
    struct WFGlobalSettings settings = GLOBAL_SETTINGS_DEFAULT;
    settings.endpoint_params.max_connections = 5;
    EXPECT_EQ(5u, settings.endpoint_params.max_connections);
    EXPECT_STREQ("/etc/resolv.conf", settings.resolv_conf_path);
    EXPECT_STREQ("/etc/hosts", settings.hosts_path);
    // Positional initialisation pins the order of the fields.
    struct EndpointParams endpoint = {AF_INET, 1, 2, 3, 4, true};
    EXPECT_EQ(AF_INET, endpoint.address_family);
    EXPECT_EQ(1u, endpoint.max_connections);
    EXPECT_EQ(2, endpoint.connect_timeout);
    EXPECT_EQ(3, endpoint.response_timeout);
    EXPECT_EQ(4, endpoint.ssl_connect_timeout);
    EXPECT_TRUE(endpoint.use_tls_sni);
    struct WFServerParams server = {TT_UDP, 1, 2, 3, 4, 5, 6};
    EXPECT_EQ(TT_UDP, server.transport_type);
    EXPECT_EQ(1u, server.max_connections);
    EXPECT_EQ(2, server.peer_response_timeout);
    EXPECT_EQ(3, server.receive_timeout);
    EXPECT_EQ(4, server.keep_alive_timeout);
    EXPECT_EQ(5u, server.request_size_limit);
    EXPECT_EQ(6, server.ssl_accept_timeout);
}

// 9.1 and 9.2: a program compiled as C++11 with -fno-exceptions, linked into this one.
TEST(Contracts, Cxx11Program) {
    EXPECT_EQ("hello from C++11", cxx11_round_trip("hello"));
    EXPECT_EQ(55, cxx11_parallel_sum(10));
    EXPECT_EQ(3, cxx11_graph_nodes());
    EXPECT_TRUE(cxx11_sorts(100000));
    EXPECT_EQ("box cond guard pool queue", cxx11_messages());
}

// WFGlobal: error strings are never NULL and known ones are sensible.
TEST(Contracts, ErrorStrings) {
    EXPECT_STREQ(strerror(ECONNREFUSED),
                 WFGlobal::get_error_string(WFT_STATE_SYS_ERROR, ECONNREFUSED));
    EXPECT_STREQ("Success", WFGlobal::get_error_string(WFT_STATE_SUCCESS, 0));
    EXPECT_STREQ("To Reply", WFGlobal::get_error_string(WFT_STATE_TOREPLY, 0));
    EXPECT_STREQ("No Reply", WFGlobal::get_error_string(WFT_STATE_NOREPLY, 0));
    EXPECT_STREQ("Aborted", WFGlobal::get_error_string(WFT_STATE_ABORTED, 0));
    EXPECT_STREQ("Undefined", WFGlobal::get_error_string(WFT_STATE_UNDEFINED, 0));
    EXPECT_STREQ("Unknown", WFGlobal::get_error_string(12345, 0));
    for (int state = -1; state < 70; state++) {
        for (int error : {0, 1, -2, 1001, 2001, 99999})
            EXPECT_NE(nullptr, WFGlobal::get_error_string(state, error));
    }
}

TEST(Contracts, SchemePorts) {
    EXPECT_STREQ("80", WFGlobal::get_default_port("http"));
    EXPECT_STREQ("80", WFGlobal::get_default_port("HTTP"));
    EXPECT_STREQ("443", WFGlobal::get_default_port("https"));
    EXPECT_STREQ("6379", WFGlobal::get_default_port("redis"));
    EXPECT_STREQ("3306", WFGlobal::get_default_port("mysql"));
    static int round = 0; // A registration stays for the life of the process.
    std::string scheme = "compat-scheme-" + std::to_string(round++);
    EXPECT_EQ(nullptr, WFGlobal::get_default_port(scheme));
    WFGlobal::register_scheme_port(scheme, 4711);
    EXPECT_STREQ("4711", WFGlobal::get_default_port(scheme));
    WFGlobal::register_scheme_port("http", 4711);
    EXPECT_STREQ("80", WFGlobal::get_default_port("http"));
}

} // namespace
