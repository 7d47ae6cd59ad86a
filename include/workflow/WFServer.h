// Weft public header, room: server - WFServer: listens, and makes a task of each request
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_WFSERVER_H
#define WEFT_WFSERVER_H

#include <atomic>
#include <condition_variable>
#include <errno.h>
#include <functional>
#include <mutex>
#include <stddef.h>
#include <string>
#include <sys/socket.h>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "EndpointParams.h"
#include "WFTaskFactory.h"

struct WFServerParams {
    enum TransportType transport_type;
    size_t max_connections;    // when reached, an idle connection makes room, else the newcomer is
                               // refused
    int peer_response_timeout; // ms, for each block received or sent; -1 none, likewise below
    int receive_timeout;       // for a whole request
    int keep_alive_timeout;    // between requests; 0 closes after each
    size_t request_size_limit; // bytes of a message
    int ssl_accept_timeout;    // for the TLS handshake
};

static constexpr struct WFServerParams SERVER_PARAMS_DEFAULT = {
    /* .transport_type        = */ TT_TCP,
    /* .max_connections       = */ 2000,
    /* .peer_response_timeout = */ 10 * 1000,
    /* .receive_timeout       = */ -1,
    /* .keep_alive_timeout    = */ 60 * 1000,
    /* .request_size_limit    = */ (size_t)-1,
    /* .ssl_accept_timeout    = */ 10 * 1000,
};

// A server is started, shut down, waited for, and may then be started again. It must outlive
// wait_finish().
class WFServerBase : protected CommService {
public:
    WFServerBase(const struct WFServerParams *params_in)
        : params(*params_in), conn_count(0), tls_client_required(false) {
        this->reset();
    }
    ~WFServerBase() override {}

    // Listens. Without a family IPv4, without a host any address; port 0 lets the system pick one.
    // 0, or -1 with errno: EINVAL for a host that is none and for certificates that cannot be used,
    // EADDRINUSE and so on from the system, EALREADY when started before.
    int start(unsigned short port) { return this->start(AF_INET, NULL, port); }
    int start(int family, unsigned short port) { return this->start(family, NULL, port); }
    int start(const char *host, unsigned short port) { return this->start(AF_INET, host, port); }
    int start(int family, const char *host, unsigned short port);
    int start(const struct sockaddr *bind_addr, socklen_t addrlen);

    // The same with TLS, when both files are given: PEM, the certificate with the chain that leads
    // to its authority, and its key. EINVAL when one is missing and the transport asks for TLS,
    // EPROTONOSUPPORT for datagrams.
    int start(unsigned short port, const char *cert_file, const char *key_file) {
        return this->start(AF_INET, NULL, port, cert_file, key_file);
    }
    int start(int family, unsigned short port, const char *cert_file, const char *key_file) {
        return this->start(family, NULL, port, cert_file, key_file);
    }
    int start(const char *host, unsigned short port, const char *cert_file, const char *key_file) {
        return this->start(AF_INET, host, port, cert_file, key_file);
    }
    int start(int family, const char *host, unsigned short port, const char *cert_file,
              const char *key_file);
    int start(const struct sockaddr *bind_addr, socklen_t addrlen, const char *cert_file,
              const char *key_file);

    // Before start with TLS: asks clients for a certificate of these authorities (PEM), and refuses
    // those that show none if it is required. See also WFNetworkTask::get_tls_info().
    void set_tls_client_ca(const std::string &ca_file, bool required = true);
    // Before start: the protocols that are agreed upon (ALPN), best first, by commas. An HTTP
    // server begins with "http/1.1".
    void set_tls_alpn(const std::string &protocols) { this->tls_alpn = protocols; }
    // While running with TLS: new connections get this certificate, those there are go on. What was
    // given to clients to come back with stays good. -1 with errno: EINVAL, and nothing changes;
    // ENOTCONN when it does not run with TLS.
    int replace_certificate(const char *cert_file, const char *key_file);

    // Listens on a Unix stream socket: a path, or behind '@' a name without a file (abstract). A
    // file that an earlier server has left there is removed, one that is served is not
    // (EADDRINUSE); at the end the file is removed, unless the socket was handed over to another
    // process.
    int start_unix(const char *path);

    // Takes the address now and listens later, with start_bound(): in the clear, or with TLS when
    // both files are given. In between nobody can connect, and get_listen_addr() tells the port.
    int bind(int family, const char *host, unsigned short port);
    int start_bound() { return this->start_bound(NULL, NULL); }
    int start_bound(const char *cert_file, const char *key_file);

    // Before start: how sockets are set up, and how they listen.
    using CommService::get_max_queue_age;
    using CommService::get_max_requests;
    using CommService::set_authenticator;
    using CommService::set_filter;
    using CommService::set_guard;
    using CommService::set_listen_options;
    using CommService::set_max_queue_age;
    using CommService::set_max_requests;
    using CommService::set_socket_options;

    // While running: newcomers wait in the back-log, what is connected goes on.
    using CommService::pause_accepting;
    using CommService::resume_accepting;

    // For another process that is to go on listening where this one ends (wf/restart.h): a
    // duplicate of the descriptor, the caller's; and the promise that stop() leaves it open.
    using CommService::dup_listen_fd;
    using CommService::share_listening;

    // How many connections have ended for that reason, or were refused.
    using CommService::get_close_count;
    // The connections there are (wf/connections.h).
    using CommService::get_connections;
    using CommService::get_dropped_count;
    using CommService::get_listen_options;

    // Listens on a duplicate of a descriptor that is bound, or already listening; the caller keeps
    // his own.
    int serve(int listen_fd) { return this->serve(listen_fd, NULL, NULL); }
    int serve(int listen_fd, const char *cert_file, const char *key_file);

    // shutdown() and wait_finish(). In a callback of this very server it would wait for itself: it
    // aborts instead. Does nothing to a server that is not started.
    void stop();

    // Ends listening and closes idle connections; what is under way is still answered. Returns at
    // once.
    void shutdown();

    // Waits until the last connection and the series of the last server task are gone. May be
    // called before shutdown(), and before start(); by several threads too. When a run has ended
    // already it waits for the end of the next one.
    void wait_finish();

    size_t get_conn_count() const { return this->conn_count; }

    // -1 with ENOTCONN when not started.
    int get_listen_addr(struct sockaddr *addr, socklen_t *addrlen) const;

    const struct WFServerParams *get_params() const { return &this->params; }

protected:
    struct WFServerParams params;

    int create_listen_fd() override;
    WFConnection *new_connection(int accept_fd) override;
    void delete_connection(WFConnection *conn);
    // The last before listening. -1 with errno: it does not start.
    virtual int prepare() { return 0; }
    // Everything of this run has ended: whoever waits for that goes on, and may free the server.
    void handle_unbound() override;

    // The context of a certificate; becomes the server's. By default one with what the functions
    // above ask for. An own one calls ssl_ctx_callback, with the server as its argument, when a
    // client names a server, so that get_server_ssl_ctx() chooses.
    virtual SSL_CTX *new_ssl_ctx(const char *cert_file, const char *key_file);
    // The context for a name (SNI); NULL refuses. `server_name` is NULL when the client named none.
    // Runs on a worker. Borrowed, as long as the server runs.
    virtual SSL_CTX *get_server_ssl_ctx(const char *server_name) {
        (void)server_name;
        return this->get_ssl_ctx();
    }
    static int ssl_ctx_callback(SSL *ssl, int *al, void *arg);

    std::atomic<size_t> conn_count;

private:
    enum Phase { STOPPED, RUNNING, STOPPING };

    void reset();
    int init(const struct sockaddr *bind_addr, socklen_t addrlen, const char *cert_file,
             const char *key_file);
    int open(const struct sockaddr *bind_addr, socklen_t addrlen, const char *cert_file,
             const char *key_file);
    int open_given(const char *cert_file, const char *key_file);
    void free_tls();
    void forget_path();
    void check_not_inside(const char *what) const;
    void wait_for_end_of(unsigned run);
    void shut_down(const unsigned *run);

    int given_fd;          // what serve() was given, or bind() has bound, until it listens; else -1
    std::string unix_path; // the file of our own Unix socket
    Phase phase;           // under the mutex
    bool finished;
    unsigned runs; // how many have ended
    mutable std::mutex mutex;
    std::condition_variable cond;
    CommScheduler *scheduler;
    std::string tls_client_ca;
    bool tls_client_required;
    std::string tls_alpn;
    std::vector<SSL_CTX *> tls_contexts; // owned; the last is in use, the others may be
};

template <class REQ, class RESP>
class WFServer : public WFServerBase {
public:
    // `process` runs once for each request, on a worker, and may block. The answer is sent when it
    // has returned and the series of its task has nothing more to run.
    WFServer(const struct WFServerParams *params_in,
             std::function<void(WFNetworkTask<REQ, RESP> *)> proc)
        : WFServerBase(params_in), process(std::move(proc)) {}
    WFServer(std::function<void(WFNetworkTask<REQ, RESP> *)> proc)
        : WFServerBase(&SERVER_PARAMS_DEFAULT), process(std::move(proc)) {}

protected:
    CommSession *new_session(long long seq, CommConnection *conn) override;

    std::function<void(WFNetworkTask<REQ, RESP> *)> process; // tasks keep a reference to it
};

template <class REQ, class RESP>
CommSession *WFServer<REQ, RESP>::new_session(long long, CommConnection *) {
    using factory = WFNetworkTaskFactory<REQ, RESP>;
    WFNetworkTask<REQ, RESP> *task = factory::create_server_task(this, this->process);

    task->set_keep_alive(this->params.keep_alive_timeout);
    task->set_receive_timeout(this->params.receive_timeout);
    task->get_req()->set_size_limit(this->params.request_size_limit);
    return task;
}

#endif
