// Weft public header, room: nameservice - the pool of targets: who connects to the same place shares connections
// SPDX-License-Identifier: Apache-2.0

#ifndef WEFT_ROUTEMANAGER_H
#define WEFT_ROUTEMANAGER_H

#include <atomic>
#include <netdb.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <string>
#include <sys/socket.h>
#include <sys/types.h>

#include "CommScheduler.h"
#include "EndpointParams.h"
#include "WFConnection.h"

namespace wf {
namespace detail {
class RouteEntry;
class RouteTable;
} // namespace detail
} // namespace wf

// Finds or makes the target for a set of addresses. Any thread may call any function. What was made
// lives as long as the manager, so results stay valid until exit.
class RouteManager {
public:
    // Where to send: filled by get(). Both pointers are borrowed from the manager.
    class RouteResult {
    public:
        void *cookie; // for the two notify functions
        CommSchedObject *request_object;

        RouteResult() : cookie(NULL), request_object(NULL) {}
        void clear() {
            this->cookie = NULL;
            this->request_object = NULL;
        }
    };

    // One address with its connections, each of which is a WFConnection.
    class RouteTarget : public CommSchedTarget {
    public:
        // Holds a reference on ctx, which may be NULL. Timeouts in milliseconds, -1 none. -1 with
        // errno: EINVAL when max_connections is 0, ENOMEM.
        int init(const struct sockaddr *addr_in, socklen_t len, SSL_CTX *ctx, int connecting,
                 int handshaking, int responding, size_t max_connections);
        void deinit();

        void release() override;

        int state; // 0; for whoever owns a fixed connection, who can see by it that it was made
                   // anew

        RouteTarget();

    private:
        CommConnection *new_connection(int connect_fd) override;

        wf::detail::RouteEntry *entry_; // told when a request ends while `leaving_`
        std::atomic<bool> leaving_;
        friend class wf::detail::RouteEntry;
    };

public:
    // The target, or for several addresses the group, of that transport, info string, endpoint
    // parameters, TLS context and set of addresses, in any order. `hostname` counts for TLS, where
    // it is the name the peer is asked for and must prove, and without a context the process's own
    // is used (wf/tls.h). 0, or -1 with errno: EINVAL (no address, or max_connections 0), ENOSYS
    // (no OpenSSL on this system), ENOMEM.
    int get(enum TransportType type, const struct addrinfo *addrinfo, const std::string &other_info,
            const struct EndpointParams *ep_params, const std::string &hostname, SSL_CTX *ssl_ctx,
            RouteResult &result) {
        return this->get(type, addrinfo, other_info.c_str(), ep_params, hostname.c_str(), ssl_ctx,
                         result);
    }
    // The same without making strings; NULL stands for "".
    int get(enum TransportType type, const struct addrinfo *addrinfo, const char *other_info,
            const struct EndpointParams *ep_params, const char *hostname, SSL_CTX *ssl_ctx,
            RouteResult &result);

    // A request to `target` failed, or was answered. Of several addresses, a failing one is left
    // alone for 30 seconds unless it is the last; an answer brings it back. Nothing happens for
    // NULL.
    static void notify_unavailable(void *cookie, CommTarget *target);
    static void notify_available(void *cookie, CommTarget *target);

    // Frees every target; what get() answered is void. No request may be under way any more, nor
    // another call.
    void clear();

    RouteManager();
    // Like clear().
    ~RouteManager();

private:
    RouteManager(const RouteManager &);
    RouteManager &operator=(const RouteManager &);

    wf::detail::RouteTable *table_;
};

#endif
