// Weft - WFServerBase: the life of a server
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <new>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel/openssl.h"
#include "workflow/WFServer.h"
#include "workflow/detail/runtime.h"

namespace {

// Counts itself in its server.
class CountedConnection final : public WFConnection {
public:
    explicit CountedConnection(std::atomic<size_t> *count) : count_(count) {}
    ~CountedConnection() override { --*this->count_; }

private:
    std::atomic<size_t> *count_;
};

} // namespace

void WFServerBase::reset() {
    this->given_fd = -1;
    this->phase = STOPPED;
    this->finished = false;
    this->runs = 0;
    this->scheduler = nullptr;
}

int WFServerBase::init(const struct sockaddr *bind_addr, socklen_t addrlen, const char *cert_file,
                       const char *key_file) {
    enum TransportType type = this->params.transport_type;
    bool tls = cert_file && key_file;
    if (tls && type == TT_UDP) {
        errno = EPROTONOSUPPORT;
        return -1;
    }
    if (!tls && (cert_file || key_file || type == TT_TCP_SSL || type == TT_SCTP_SSL)) {
        errno = EINVAL;
        return -1;
    }
    SSL_CTX *ctx = nullptr;
    if (tls) {
        if (openssl_load() < 0)
            return -1;
        ctx = this->new_ssl_ctx(cert_file, key_file);
        if (!ctx)
            return -1;
        this->tls_contexts.push_back(ctx);
    }
    if (this->CommService::init(bind_addr, addrlen, -1, this->params.peer_response_timeout) < 0)
        return -1;
    this->set_ssl(ctx, this->params.ssl_accept_timeout);
    struct CommServiceLimits limits = *this->get_limits();
    limits.max_connections = this->params.max_connections;
    this->set_limits(&limits);
    return 0;
}

// Needs the mutex.
int WFServerBase::open(const struct sockaddr *bind_addr, socklen_t addrlen, const char *cert_file,
                       const char *key_file) {
    if (this->init(bind_addr, addrlen, cert_file, key_file) == 0) {
        this->scheduler = wf::detail::runtime_scheduler();
        this->phase = RUNNING;
        this->finished = false;
        if (this->prepare() == 0 && this->scheduler->bind(this) == 0)
            return 0;
        int error = errno;
        this->phase = STOPPED;
        this->CommService::deinit();
        errno = error;
    }
    this->free_tls();
    return -1;
}

int WFServerBase::start(const struct sockaddr *bind_addr, socklen_t addrlen) {
    return this->start(bind_addr, addrlen, nullptr, nullptr);
}

int WFServerBase::start(const struct sockaddr *bind_addr, socklen_t addrlen, const char *cert_file,
                        const char *key_file) {
    std::lock_guard<std::mutex> lock(this->mutex);
    if (this->phase != STOPPED) {
        errno = EALREADY;
        return -1;
    }
    if (!bind_addr || addrlen < sizeof(sa_family_t)) {
        errno = EINVAL;
        return -1;
    }
    return this->open(bind_addr, addrlen, cert_file, key_file);
}

int WFServerBase::start(int family, const char *host, unsigned short port) {
    return this->start(family, host, port, nullptr, nullptr);
}

namespace {

// The address to listen on; freed by the caller. NULL with errno.
struct addrinfo *find_address(int family, const char *host, unsigned short port) {
    struct addrinfo hints = {};
    struct addrinfo *found = nullptr;
    char text[8];
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    snprintf(text, sizeof text, "%u", static_cast<unsigned>(port));
    int ret = getaddrinfo(host, text, &hints, &found);
    if (ret != 0 && ret != EAI_SYSTEM)
        errno = EINVAL;
    return ret == 0 ? found : nullptr;
}

void free_address(struct addrinfo *found) {
    int error = errno;
    freeaddrinfo(found);
    errno = error;
}

void close_quietly(int fd) {
    int error = errno;
    close(fd);
    errno = error;
}

} // namespace

int WFServerBase::start(int family, const char *host, unsigned short port, const char *cert_file,
                        const char *key_file) {
    struct addrinfo *found = find_address(family, host, port);
    if (!found)
        return -1;
    int ret = this->start(found->ai_addr, found->ai_addrlen, cert_file, key_file);
    free_address(found);
    return ret;
}

int WFServerBase::bind(int family, const char *host, unsigned short port) {
    std::lock_guard<std::mutex> lock(this->mutex);
    if (this->phase != STOPPED || this->given_fd >= 0) {
        errno = EALREADY;
        return -1;
    }
    struct addrinfo *found = find_address(family, host, port);
    if (!found)
        return -1;
    int on = 1;
    int type = this->params.transport_type == TT_UDP ? SOCK_DGRAM : SOCK_STREAM;
    int fd = socket(found->ai_family, type | SOCK_CLOEXEC, 0);
    bool stream = type == SOCK_STREAM;
    bool each = this->get_listen_options()->reuse_port; // the others shall come beside it
    if (fd >= 0 && ((stream && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) ||
                    (each && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
                    ::bind(fd, found->ai_addr, found->ai_addrlen) < 0)) {
        close_quietly(fd);
        fd = -1;
    }
    free_address(found);
    this->given_fd = fd;
    return fd < 0 ? -1 : 0;
}

int WFServerBase::start_bound(const char *cert_file, const char *key_file) {
    std::lock_guard<std::mutex> lock(this->mutex);
    if (this->phase != STOPPED || this->given_fd < 0) {
        errno = this->phase != STOPPED ? EALREADY : ENOTCONN;
        return -1;
    }
    return this->open_given(cert_file, key_file);
}

// Listens on given_fd, which create_listen_fd() takes. Needs the mutex.
int WFServerBase::open_given(const char *cert_file, const char *key_file) {
    struct sockaddr_storage addr = {};
    socklen_t len = sizeof addr;
    int ret = getsockname(this->given_fd, reinterpret_cast<struct sockaddr *>(&addr), &len);
    if (ret == 0)
        ret = this->open(reinterpret_cast<struct sockaddr *>(&addr), len, cert_file, key_file);
    if (this->given_fd >= 0) {
        close_quietly(this->given_fd);
        this->given_fd = -1;
    }
    return ret;
}

int WFServerBase::serve(int listen_fd, const char *cert_file, const char *key_file) {
    std::lock_guard<std::mutex> lock(this->mutex);
    if (this->phase != STOPPED) {
        errno = EALREADY;
        return -1;
    }
    int copy = fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return -1;
    if (this->given_fd >= 0)
        close(this->given_fd);
    this->given_fd = copy;
    return this->open_given(cert_file, key_file);
}

// A file without a server behind it refuses connections.
static bool is_left_over(const struct sockaddr_un &addr, socklen_t len) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refused = fd >= 0 &&
                   connect(fd, reinterpret_cast<const struct sockaddr *>(&addr), len) < 0 &&
                   errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return refused;
}

int WFServerBase::start_unix(const char *path) {
    struct sockaddr_un addr = {};
    size_t size = path ? strlen(path) : 0;
    if (size == 0 || size >= sizeof addr.sun_path) {
        errno = size == 0 ? EINVAL : ENAMETOOLONG;
        return -1;
    }
    addr.sun_family = AF_UNIX;
    memcpy(addr.sun_path, path, size);
    bool abstract = path[0] == '@';
    if (abstract)
        addr.sun_path[0] = '\0';
    socklen_t len =
        static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + size + (abstract ? 0 : 1));
    if (!abstract && is_left_over(addr, len))
        ::unlink(path);
    int ret = this->start(reinterpret_cast<struct sockaddr *>(&addr), len);
    if (ret == 0 && !abstract) {
        std::lock_guard<std::mutex> lock(this->mutex);
        this->unix_path = path;
    }
    return ret;
}

void WFServerBase::forget_path() {
    if (!this->unix_path.empty() && !this->is_shared())
        ::unlink(this->unix_path.c_str());
    this->unix_path.clear();
}

int WFServerBase::create_listen_fd() {
    if (this->given_fd >= 0) {
        int fd = this->given_fd;
        this->given_fd = -1;
        return fd;
    }
    const struct sockaddr *addr;
    socklen_t len;
    int on = 1;
    this->get_addr(&addr, &len);
    bool sctp =
        this->params.transport_type == TT_SCTP || this->params.transport_type == TT_SCTP_SSL;
    int type = this->params.transport_type == TT_UDP ? SOCK_DGRAM : SOCK_STREAM;
    int fd = socket(addr->sa_family, type | SOCK_CLOEXEC, sctp ? IPPROTO_SCTP : 0);
    if (fd >= 0 && type == SOCK_STREAM) // for datagrams it would share the port
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return fd;
}

WFConnection *WFServerBase::new_connection(int) {
    WFConnection *conn = new (std::nothrow) CountedConnection(&this->conn_count);
    if (conn)
        ++this->conn_count;
    return conn;
}

void WFServerBase::delete_connection(WFConnection *conn) {
    delete static_cast<CommConnection *>(conn);
}

int WFServerBase::get_listen_addr(struct sockaddr *addr_out, socklen_t *addrlen) const {
    std::lock_guard<std::mutex> lock(this->mutex);
    const struct sockaddr *addr;
    socklen_t len;
    if (this->phase == STOPPED && this->given_fd >= 0) // bound, but not listening yet
        return getsockname(this->given_fd, addr_out, addrlen);
    if (this->phase == STOPPED) {
        errno = ENOTCONN;
        return -1;
    }
    this->get_addr(&addr, &len);
    if (*addrlen < len) {
        errno = ENOBUFS;
        return -1;
    }
    memcpy(addr_out, addr, len);
    *addrlen = len;
    return 0;
}

void WFServerBase::shutdown() { this->shut_down(nullptr); }

// Only that run, if one is given: another thread may have ended it and begun the next.
void WFServerBase::shut_down(const unsigned *run) {
    {
        std::lock_guard<std::mutex> lock(this->mutex);
        if (this->phase != RUNNING || (run && *run != this->runs))
            return;
        this->phase = STOPPING;
        this->forget_path();
    }
    this->scheduler->unbind(this);
}

// Nothing may touch this object after the mutex was let go: whoever waits may free it.
void WFServerBase::handle_unbound() {
    std::lock_guard<std::mutex> lock(this->mutex);
    this->finished = true;
    this->cond.notify_all();
}

void WFServerBase::stop() {
    this->check_not_inside("stop");
    unsigned run;
    {
        std::lock_guard<std::mutex> lock(this->mutex);
        if (this->phase == STOPPED)
            return;
        run = this->runs;
    }
    this->shut_down(&run);
    this->wait_for_end_of(run);
}

void WFServerBase::wait_finish() {
    this->check_not_inside("wait_finish");
    unsigned run;
    {
        std::lock_guard<std::mutex> lock(this->mutex);
        run = this->runs;
    }
    this->wait_for_end_of(run);
}

// The first of those who wait tidies up.
void WFServerBase::wait_for_end_of(unsigned run) {
    int cookie = wf::detail::runtime_wait_begin();
    {
        std::unique_lock<std::mutex> lock(this->mutex);
        while (!this->finished && this->runs == run)
            this->cond.wait(lock);
        if (this->runs == run) {
            this->finished = false;
            this->CommService::deinit();
            this->free_tls();
            this->phase = STOPPED;
            this->runs++;
            this->cond.notify_all();
        }
    }
    wf::detail::runtime_wait_end(cookie);
}

// In process, in a callback of a server task, or in one of another task of its series.
void WFServerBase::check_not_inside(const char *what) const {
    const CommService *self = this;
    if (!this->is_serving_here() && !SubTask::is_inside(self))
        return;
    fprintf(stderr, "weft: %s() was called in a callback of the server it is to wait for\n", what);
    abort();
}
