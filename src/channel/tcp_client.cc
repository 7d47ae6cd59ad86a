// Weft - TcpClient: looks up, connects, and comes back
// SPDX-License-Identifier: Apache-2.0
//
// | state      | what is under way                                     | leaves to                    |
// |------------|-------------------------------------------------------|------------------------------|
// | IDLE       | nothing                                               | CONNECTING                   |
// | CONNECTING | a look-up, or a channel that is not established       | CONNECTED, WAITING, ENDED    |
// | CONNECTED  | a channel                                             | WAITING, ENDED               |
// | WAITING    | a timer                                               | CONNECTING, ENDED            |
// | ENDED      | what was under way comes to its end, then nothing     | CONNECTING                   |
//
// One thing is under way at a time (`busy_`), and holds a reference of the Impl, so that whoever
// waits for the end may free the client then. The mutex guards all of it and is never held while
// the program's code or the engine is called.
#include "workflow/wf/tcp_client.h"

#include <condition_variable>
#include <errno.h>
#include <mutex>
#include <random>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/reconnect.h"
#include "workflow/CommScheduler.h"
#include "workflow/WFDnsResolver.h"
#include "workflow/detail/runtime.h"
#include "workflow/detail/settings.h"
#include "workflow/wf/tls.h"

namespace wf {

class TcpClient::Impl : public std::enable_shared_from_this<Impl> {
public:
    Impl(TcpClient *client, std::shared_ptr<ChannelKind> kind)
        : client_(client), kind_(std::move(kind)) {}

    int connect(const std::string &host, unsigned short port, CommChannelGroup *group);
    void end(bool now);
    void wait();
    void observe(Channel &channel, const CommChannelEvent &event);
    ChannelPtr channel() const;

    ReconnectPolicy policy;
    Failed failed;
    std::function<void(TcpClient &)> ended;
    struct EndpointParams endpoint = ENDPOINT_PARAMS_DEFAULT;
    bool secure = false;
    SSL_CTX *ssl_ctx = nullptr;

    mutable std::mutex mutex;
    ClientState state = ClientState::IDLE;
    int failures = 0; // in a row

private:
    class Timer;

    void attempt();
    WFRouterTask *new_look_up();
    void resolved(WFRouterTask *task);
    void closed(const CommChannelEvent &event);
    void fail(int task_state, int error, bool lost);
    void sleep(int delay);
    void woken(Timer *timer, bool by_itself);
    void leave();
    void left();

    TcpClient *const client_;
    const std::shared_ptr<ChannelKind> kind_;
    CommChannelGroup *group_ = nullptr; // the client's
    std::string host_;
    std::string port_;
    std::condition_variable idle_;
    std::minstd_rand random_{std::random_device()()};

    // Of the attempt under way, for whoever moves it on.
    ParsedURI uri_;
    WFNSPolicy *name_policy_ = nullptr;
    WFNSTracing tracing_;
    RouteManager::RouteResult route_;
    CommTarget *target_ = nullptr;

    // Under the mutex.
    ChannelPtr channel_; // on its way to being established, or there
    bool established_ = false;
    std::shared_ptr<Timer> timer_;
    bool busy_ = false; // something is under way
};

// Two hold it: itself, for the engine until handle(), and whoever may cancel it.
class TcpClient::Impl::Timer final : public SleepSession {
public:
    Timer(std::shared_ptr<Impl> impl, int ms) : impl_(std::move(impl)), ms_(ms) {}
    // False when no thread can be had: the engine has none, or ends.
    static bool start(const std::shared_ptr<Timer> &timer) {
        timer->self_ = timer;
        if (detail::runtime_scheduler()->sleep(timer.get()) == 0)
            return true;
        timer->self_.reset();
        return false;
    }
    bool is_over = false; // under the client's mutex

private:
    int duration(struct timespec *value) override {
        value->tv_sec = ms_ / 1000;
        value->tv_nsec = ms_ % 1000 * 1000000L;
        return 0;
    }
    void handle(int how, int) override {
        std::shared_ptr<Timer> self = std::move(self_);
        impl_->woken(this, how == SS_STATE_COMPLETE);
    }

    const std::shared_ptr<Impl> impl_;
    const int ms_;
    std::shared_ptr<Timer> self_;
};

int TcpClient::Impl::connect(const std::string &host, unsigned short port,
                             CommChannelGroup *group) {
    errno = EINVAL;
    if (host.empty())
        return -1;
    {
        std::lock_guard<std::mutex> lock(mutex);
        errno = EALREADY;
        if (busy_)
            return -1;
        busy_ = true;
        state = ClientState::CONNECTING;
        failures = 0;
    }
    host_ = host;
    port_ = std::to_string(port);
    group_ = group;
    this->attempt();
    return 0;
}

WFRouterTask *TcpClient::Impl::new_look_up() {
    WFNameService *service = detail::runtime_name_service();
    const struct WFGlobalSettings *settings = detail::runtime_settings();
    struct WFNSParams params = {secure ? TT_TCP_SSL : TT_TCP,
                                uri_,
                                "channel",
                                ssl_ctx,
                                false,
                                false,
                                failures,
                                &tracing_,
                                nullptr};
    auto self = this->shared_from_this();
    auto callback = [self](WFRouterTask *task) { self->resolved(task); };
    name_policy_ = service->get_policy(uri_.host);
    if (name_policy_ != service->get_default_policy())
        return name_policy_->create_router_task(&params, callback);
    endpoint.address_family = settings->endpoint_params.address_family;
    endpoint.max_connections = 1u << 30; // a channel is not one of those that are shared
    return new WFResolverTask(&params, settings->dns_ttl_default, settings->dns_ttl_min, &endpoint,
                              callback);
}

void TcpClient::Impl::attempt() {
    free(uri_.host);
    free(uri_.port);
    uri_.host = strdup(host_.c_str());
    uri_.port = strdup(port_.c_str());
    tracing_ = WFNSTracing();
    route_.clear();
    target_ = nullptr;
    if (!uri_.host || !uri_.port)
        this->fail(WFT_STATE_SYS_ERROR, ENOMEM, false);
    else
        Workflow::start_series_work(this->new_look_up(), nullptr);
}

void TcpClient::Impl::resolved(WFRouterTask *task) {
    if (task->get_state() != WFT_STATE_SUCCESS) {
        this->fail(task->get_state(), task->get_error(), false);
        return;
    }
    route_ = *task->get_result();
    ChannelPtr channel = ChannelPtr::adopt(new Channel(kind_));
    {
        std::lock_guard<std::mutex> lock(mutex);
        channel_ = channel;
        established_ = false;
    }
    channel->ref(); // the engine's
    if (detail::runtime_scheduler()->connect(channel.get(), route_.request_object, group_,
                                             &target_) < 0) {
        int error = errno;
        channel->unref();
        this->fail(WFT_STATE_SYS_ERROR, error, false);
        return;
    }
    bool is_ended;
    {
        std::lock_guard<std::mutex> lock(mutex);
        is_ended = state == ClientState::ENDED;
    }
    if (is_ended) // before there was anything to close
        channel->close();
}

void TcpClient::Impl::observe(Channel &, const CommChannelEvent &event) {
    auto self = this->shared_from_this(); // whoever waits for the end may free the client then
    if (event.type == CCE_CLOSED) {
        this->closed(event);
        return;
    }
    if (event.type != CCE_ESTABLISHED)
        return;
    {
        std::lock_guard<std::mutex> lock(mutex);
        if (state == ClientState::CONNECTING)
            state = ClientState::CONNECTED;
        failures = 0;
        established_ = true;
    }
    name_policy_->success(&route_, &tracing_, target_);
}

void TcpClient::Impl::closed(const CommChannelEvent &event) {
    bool lost;
    {
        std::lock_guard<std::mutex> lock(mutex);
        lost = established_;
    }
    bool tls = event.error < 0;
    this->fail(tls ? WFT_STATE_SSL_ERROR : WFT_STATE_SYS_ERROR, tls ? -event.error : event.error,
               lost);
}

// An attempt came to nothing, or the connection is lost: what comes next, if anything.
void TcpClient::Impl::fail(int task_state, int error, bool lost) {
    if (!lost && route_.cookie)
        name_policy_->failed(&route_, &tracing_, target_);
    if (tracing_.deleter)
        tracing_.deleter(tracing_.data);
    tracing_ = WFNSTracing();
    int delay = -1;
    bool told;
    {
        std::lock_guard<std::mutex> lock(mutex);
        channel_ = {};
        established_ = false;
        failures = lost ? 0 : failures + 1;
        told = state != ClientState::ENDED;
        bool again = told && policy.enabled && detail::can_pass(task_state, error) &&
                     (policy.max_attempts < 0 || failures < policy.max_attempts);
        if (again)
            delay = detail::reconnect_delay(policy, failures,
                                            static_cast<uint64_t>(random_()) * 0x9e3779b97f4a7c15u);
        state = again ? ClientState::WAITING : ClientState::ENDED;
    }
    if (told && failed)
        Channel::run_for(kind_.get(), [&] { failed(*client_, task_state, error, delay); });
    if (delay >= 0)
        this->sleep(delay);
    else
        this->leave();
}

void TcpClient::Impl::sleep(int delay) {
    auto timer = std::make_shared<Timer>(this->shared_from_this(), delay);
    if (!Timer::start(timer)) {
        {
            std::lock_guard<std::mutex> lock(mutex);
            state = ClientState::ENDED;
        }
        this->leave();
        return;
    }
    {
        std::lock_guard<std::mutex> lock(mutex);
        if (timer->is_over)
            return;
        if (state != ClientState::ENDED) {
            timer_ = timer;
            return;
        }
    }
    detail::runtime_scheduler()->unsleep(timer.get());
}

void TcpClient::Impl::woken(Timer *timer, bool by_itself) {
    bool again;
    {
        std::lock_guard<std::mutex> lock(mutex);
        timer->is_over = true;
        if (timer_.get() == timer)
            timer_.reset();
        again = by_itself && state == ClientState::WAITING;
        state = again ? ClientState::CONNECTING : ClientState::ENDED;
    }
    if (again)
        this->attempt();
    else
        this->leave();
}

// Behind the last coroutine of a conversation.
void TcpClient::Impl::leave() {
    auto self = this->shared_from_this();
    std::shared_ptr<detail::ChannelTap> tap = kind_->tap;
    if (!tap || tap->is_idle([self] { self->left(); }))
        this->left();
}

// From here on the client may be gone, but for whoever is told so.
void TcpClient::Impl::left() {
    auto tell = ended;
    {
        std::lock_guard<std::mutex> lock(mutex);
        busy_ = false;
        idle_.notify_all();
    }
    if (tell) // outside of its events, so that it may be deleted
        Channel::run_for(nullptr, [&] { tell(*client_); });
}

void TcpClient::Impl::end(bool now) {
    std::shared_ptr<Timer> timer;
    ChannelPtr channel;
    bool established;
    {
        std::lock_guard<std::mutex> lock(mutex);
        if (state == ClientState::IDLE)
            return;
        state = ClientState::ENDED;
        timer = std::move(timer_);
        channel = channel_;
        established = established_;
    }
    if (timer)
        detail::runtime_scheduler()->unsleep(timer.get());
    if (!channel)
        return;
    if (now || !established)
        channel->close();
    else
        channel->shutdown();
}

void TcpClient::Impl::wait() {
    if (Channel::runs_events_of(kind_.get())) {
        fprintf(stderr, "weft: misuse: a TcpClient waits for its end in one of its own events\n");
        abort();
    }
    int cookie = detail::runtime_wait_begin();
    {
        std::unique_lock<std::mutex> lock(mutex);
        while (busy_)
            idle_.wait(lock);
    }
    detail::runtime_wait_end(cookie);
}

ChannelPtr TcpClient::Impl::channel() const {
    std::lock_guard<std::mutex> lock(mutex);
    return established_ ? channel_ : ChannelPtr();
}

TcpClient::TcpClient() : impl_(std::make_shared<Impl>(this, kind_)) {
    kind_->observer = [impl = impl_.get()](Channel &channel, const CommChannelEvent &event) {
        impl->observe(channel, event);
    };
}

TcpClient::~TcpClient() {
    impl_->end(true);
    impl_->wait();
}

void TcpClient::set_reconnect(const ReconnectPolicy &policy) { impl_->policy = policy; }
void TcpClient::on_failed(Failed function) { impl_->failed = std::move(function); }
void TcpClient::on_ended(std::function<void(TcpClient &)> function) {
    impl_->ended = std::move(function);
}

void TcpClient::set_connect_timeout(int ms) { impl_->endpoint.connect_timeout = ms; }
void TcpClient::set_tls_timeout(int ms) { impl_->endpoint.ssl_connect_timeout = ms; }

void TcpClient::set_tls(SSL_CTX *ctx) {
    impl_->secure = true;
    impl_->ssl_ctx = ctx;
}

int TcpClient::connect(const std::string &host, unsigned short port) {
    CommChannelGroup *group = this->group();
    return group ? impl_->connect(host, port, group) : -1;
}

ChannelPtr TcpClient::channel() const { return impl_->channel(); }

int TcpClient::send(std::string_view bytes, uint64_t type) {
    ChannelPtr channel = this->channel();
    errno = ENOTCONN;
    return channel ? channel->send(bytes, type) : -1;
}

ClientState TcpClient::state() const {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    return impl_->state;
}

int TcpClient::attempts() const {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    return impl_->failures;
}

void TcpClient::end() { impl_->end(false); }
void TcpClient::close() { impl_->end(true); }
void TcpClient::wait() { impl_->wait(); }

} // namespace wf
