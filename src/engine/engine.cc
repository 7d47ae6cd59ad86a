// Weft - Engine: everything process-wide, in the order of its making and ending
// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <errno.h>
#include <new>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/defer.h"
#include "kernel/log.h"
#include "kernel/openssl.h"
#include "workflow/wf/pending.h"

namespace wf::detail {

namespace {

bool defer_to_engine(struct weft_job *job) {
    CommScheduler *scheduler = Engine::get().scheduler();
    if (scheduler->is_closing())
        return false;
    scheduler->get_communicator()->defer(job);
    return true;
}

[[noreturn]] void die(const char *what) {
    fprintf(stderr, "weft: cannot start %s: %s\n", what, strerror(errno));
    abort();
}

// More pollers than cores only split the batches: a poller runs to completion, and a blocked one is
// relayed.
size_t poller_count(int asked) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t most = cores > 0 ? static_cast<size_t>(cores) : 1;
    size_t wanted = asked > 0 ? static_cast<size_t>(asked) : 1;
    if (wanted <= most)
        return wanted;
    weft_log(WEFT_LOG_INFO, "poller_threads is %zu; %zu are used, as many as there are processors",
             wanted, most);
    return most;
}

} // namespace

Engine &Engine::get() {
    alignas(Engine) static unsigned char room[sizeof(Engine)];
    static Engine *engine = new (room) Engine;
    return *engine;
}

Engine::Engine() : settings_(GLOBAL_SETTINGS_DEFAULT) {
    const char *watch = getenv("WEFT_WATCH_SERIES");
    if (watch && strcmp(watch, "1") == 0)
        wf::watch_series();
    ports_ = {{"dns", "53"},      {"Dns", "53"},      {"DNS", "53"},      {"dnss", "853"},
              {"Dnss", "853"},    {"DNSs", "853"},    {"DNSS", "853"},    {"http", "80"},
              {"Http", "80"},     {"HTTP", "80"},     {"https", "443"},   {"Https", "443"},
              {"HTTPs", "443"},   {"HTTPS", "443"},   {"redis", "6379"},  {"Redis", "6379"},
              {"REDIS", "6379"},  {"rediss", "6379"}, {"Rediss", "6379"}, {"REDISS", "6379"},
              {"mysql", "3306"},  {"Mysql", "3306"},  {"MySql", "3306"},  {"MySQL", "3306"},
              {"MYSQL", "3306"},  {"mysqls", "3306"}, {"MySQLs", "3306"}, {"MYSQLS", "3306"},
              {"kafka", "9092"},  {"Kafka", "9092"},  {"KAFKA", "9092"},  {"kafkas", "9093"},
              {"Kafkas", "9093"}, {"KAFKAS", "9093"}};
}

// A function-local static is destroyed at exit before all that was made earlier: in particular
// before the objects of the program's own that were made before its first task.
void Engine::watch_exit() {
    static Guard guard;
    (void)guard;
}

CommScheduler *Engine::scheduler() {
    if (scheduler_ready_.load(std::memory_order_acquire))
        return &scheduler_;
    std::lock_guard<std::mutex> lock(mutex_);
    if (scheduler_ready_.load(std::memory_order_relaxed) || ended_)
        return &scheduler_;
    watch_exit();
    openssl_outlive_exit();
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, nullptr);
    int handlers = settings_.handler_threads;
    if (scheduler_.init(poller_count(settings_.poller_threads),
                        handlers > 0 ? static_cast<size_t>(handlers) : 1) < 0)
        die("the scheduler");
    kernel_set_defer(defer_to_engine);
    scheduler_ready_.store(true, std::memory_order_release);
    return &scheduler_;
}

Executor *Engine::start(LazyExecutor *lazy, int threads) {
    if (lazy->ready.load(std::memory_order_acquire))
        return &lazy->executor;
    std::lock_guard<std::mutex> lock(mutex_);
    if (lazy->ready.load(std::memory_order_relaxed) || ended_)
        return &lazy->executor;
    watch_exit();
    if (lazy->executor.init(threads > 0 ? static_cast<size_t>(threads) : 1) < 0)
        die("an executor");
    lazy->ready.store(true, std::memory_order_release);
    return &lazy->executor;
}

Executor *Engine::compute_executor() {
    // Asked for by every computation, and the number of processors is read from a file.
    if (compute_.ready.load(std::memory_order_acquire))
        return &compute_.executor;
    int threads = settings_.compute_threads;
    return start(&compute_,
                 threads >= 0 ? threads : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
}

IOService *Engine::io_service() {
    if (io_ready_.load(std::memory_order_acquire))
        return &io_;
    CommScheduler *scheduler = this->scheduler();
    std::lock_guard<std::mutex> lock(mutex_);
    if (io_ready_.load(std::memory_order_relaxed) || ended_)
        return &io_;
    if (io_.init(scheduler, settings_.fio_max_events) < 0)
        die("file I/O");
    io_ready_.store(true, std::memory_order_release);
    return &io_;
}

Executor *Engine::dns_executor() { return start(&dns_, settings_.dns_threads); }

ExecQueue *Engine::dns_queue() { return &dns_queue_; }

ExecQueue *Engine::exec_queue(const std::string &name) {
    std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<ExecQueue> &queue = queues_[name];
    if (!queue) {
        queue = std::make_unique<ExecQueue>();
        queue->init();
    }
    return queue.get();
}

Engine::Names *Engine::names() {
    Names *names = names_.load(std::memory_order_acquire);
    if (names)
        return names;
    std::lock_guard<std::mutex> lock(mutex_);
    names = names_.load(std::memory_order_relaxed);
    if (!names) {
        if (!ended_)
            watch_exit();
        names = new Names;
        names_.store(names, std::memory_order_release);
    }
    return names;
}

void Engine::register_port(const std::string &scheme, unsigned short port) {
    std::lock_guard<std::mutex> lock(mutex_);
    ports_.emplace(scheme, std::to_string(port)); // never replaces: callers keep the pointers
}

const char *Engine::default_port(const char *scheme) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto it = ports_.find(scheme);
    return it == ports_.end() ? nullptr : it->second.c_str();
}

void Engine::end() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        ended_ = true;
    }
    bool scheduled = scheduler_ready_.load(std::memory_order_acquire);
    if (scheduled)
        scheduler_.close();
    if (compute_.ready.load(std::memory_order_acquire))
        compute_.executor.deinit();
    if (dns_.ready.load(std::memory_order_acquire))
        dns_.executor.deinit();
    bool files = io_ready_.load(std::memory_order_acquire);
    if (files)
        io_.drain();
    kernel_set_defer(nullptr);
    if (scheduled)
        scheduler_.deinit();
    if (files)
        io_.deinit();
    delete names_.exchange(nullptr, std::memory_order_acq_rel);
    std::lock_guard<std::mutex> lock(mutex_);
    queues_.clear();
}

} // namespace wf::detail
