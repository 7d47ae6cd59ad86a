// Weft - a small engine for the tests of the room nameservice, in place of the room engine
// SPDX-License-Identifier: Apache-2.0
#include "unit/nameservice/ns_engine.h"

#include <arpa/inet.h>
#include <atomic>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "nameservice/ns_clock.h"
#include "workflow/WFTask.h"
#include "workflow/detail/runtime.h"

using wf::detail::AddressList;
using wf::detail::LookupAnswer;

namespace {

NsEngine *current;
std::atomic<int64_t> fake_now;

int64_t fake_clock() { return fake_now.load(); }

} // namespace

namespace wf::detail {

CommScheduler *runtime_scheduler() { return &current->scheduler; }
Executor *runtime_compute_executor() { return &current->dns_executor; }
ExecQueue *runtime_exec_queue(const char *) { return &current->dns_queue; }
Executor *runtime_dns_executor() { return &current->dns_executor; }
ExecQueue *runtime_dns_queue() { return &current->dns_queue; }
RouteManager *runtime_route_manager() { return &current->routes; }
DnsCache *runtime_dns_cache() { return &current->cache; }
WFDnsResolver *runtime_dns_resolver() { return &current->resolver; }
WFNameService *runtime_name_service() { return &current->names; }
const struct WFGlobalSettings *runtime_settings() { return &current->settings; }
const char *runtime_default_port(const char *) { return nullptr; }
int runtime_wait_begin() { return 0; }
void runtime_wait_end(int) {}

} // namespace wf::detail

NsEngine::NsEngine() : settings(GLOBAL_SETTINGS_DEFAULT), names(&resolver) {
    settings.hosts_path = nullptr;
    EXPECT_EQ(scheduler.init(2, 4), 0);
    EXPECT_EQ(dns_executor.init(2), 0);
    EXPECT_EQ(dns_queue.init(), 0);
    current = this;
}

void NsEngine::end() {
    if (ended)
        return;
    ended = true;
    scheduler.close();
    dns_executor.deinit();
    scheduler.deinit();
    dns_queue.deinit();
    routes.clear();
    cache.clear();
}

FakeClock::FakeClock() {
    fake_now = 1'000'000;
    wf::detail::ns_set_clock(fake_clock);
}

FakeClock::~FakeClock() { wf::detail::ns_set_clock(nullptr); }

void FakeClock::advance_ms(int64_t ms) { fake_now += ms; }

void FakeLookup::start(const wf::detail::LookupQuestion &question, wf::detail::LookupSink *sink) {
    std::lock_guard<std::mutex> lock(mutex_);
    std::string text = question.host + ":" + std::to_string(question.port) + "/";
    text += question.family == AF_INET ? "4" : question.family == AF_INET6 ? "6" : "any";
    questions_.push_back(text);
    open_.emplace_back(sink, question.port);
    changed_.notify_all();
}

void FakeLookup::wait_for(size_t n) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return questions_.size() >= n; });
}

size_t FakeLookup::asked() {
    std::lock_guard<std::mutex> lock(mutex_);
    return questions_.size();
}

std::string FakeLookup::question(size_t i) {
    std::lock_guard<std::mutex> lock(mutex_);
    return questions_.at(i);
}

void FakeLookup::answer(const std::vector<std::string> &ips) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return !open_.empty(); });
    auto [sink, port] = open_.front();
    open_.erase(open_.begin());
    lock.unlock();
    LookupAnswer answer;
    answer.state = ips.empty() ? WFT_STATE_DNS_ERROR : WFT_STATE_SUCCESS;
    answer.error = ips.empty() ? EAI_NONAME : 0;
    struct addrinfo *list = make_list(ips, port);
    EXPECT_TRUE(answer.addresses.add_all(list, port));
    wf::detail::address_list_free(list);
    sink->answer(answer);
}

bool FakeLookup::has_open() {
    std::lock_guard<std::mutex> lock(mutex_);
    return !open_.empty();
}

void FakeLookup::answer_rest() {
    while (this->has_open())
        this->answer("");
}

router_callback_t Results::callback() {
    return [this](WFRouterTask *task) {
        std::lock_guard<std::mutex> lock(mutex_);
        all_.push_back({task->get_state(), task->get_error(), *task->get_result()});
        changed_.notify_all();
    };
}

std::vector<Results::One> Results::wait_for(size_t n) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return all_.size() >= n; });
    return all_;
}

size_t Results::count() {
    std::lock_guard<std::mutex> lock(mutex_);
    return all_.size();
}

WFNSParams *NsTest::params(const char *host, const char *port) {
    uris_.push_back(std::make_unique<ParsedURI>());
    ParsedURI *uri = uris_.back().get();
    uri->host = host ? strdup(host) : nullptr;
    uri->port = port ? strdup(port) : nullptr;
    params_.emplace_back(
        new WFNSParams{TT_TCP, *uri, "", nullptr, false, false, 0, nullptr, nullptr});
    return params_.back().get();
}

WFRouterTask *NsTest::task(const char *host, const char *port, int retry_times,
                           const struct EndpointParams *endpoint) {
    WFNSParams *ns = this->params(host, port);
    ns->retry_times = retry_times;
    if (!endpoint)
        return engine->resolver.create_router_task(ns, results.callback());
    return new WFResolverTask(ns, 3600, 60, endpoint, results.callback());
}

std::string address_of(const RouteManager::RouteResult &route) {
    auto *target = dynamic_cast<RouteManager::RouteTarget *>(route.request_object);
    if (!target)
        return "not one target";
    const struct sockaddr *addr;
    socklen_t len;
    target->get_addr(&addr, &len);
    char text[INET6_ADDRSTRLEN] = "";
    if (addr->sa_family == AF_UNIX)
        return reinterpret_cast<const struct sockaddr_un *>(addr)->sun_path;
    if (addr->sa_family == AF_INET) {
        auto *in = reinterpret_cast<const struct sockaddr_in *>(addr);
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        return std::string(text) + ":" + std::to_string(ntohs(in->sin_port));
    }
    auto *in6 = reinterpret_cast<const struct sockaddr_in6 *>(addr);
    inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(in6->sin6_port));
}

struct addrinfo *make_list(const std::vector<std::string> &ips, unsigned short port) {
    AddressList list;
    for (const std::string &ip : ips) {
        struct sockaddr_storage addr;
        socklen_t len;
        EXPECT_TRUE(wf::detail::parse_ip(ip, port, &addr, &len)) << ip;
        EXPECT_TRUE(list.add(reinterpret_cast<struct sockaddr *>(&addr), len));
    }
    return list.take();
}
