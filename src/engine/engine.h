// Weft - Engine: everything process-wide, in the order of its making and ending
// SPDX-License-Identifier: Apache-2.0
//
// One object for the process, in storage that is never destroyed, so that code running during
// static destruction still finds it: after the end its scheduler and executor refuse all work. Each
// part is made at its first use, under one mutex. The end comes by the destructor of a guard object
// made together with the first part, in the order of the design: the gate and what is under way on
// the network and in timers, then computations, then name look-ups, then files, then the threads,
// then the tables.
#ifndef WEFT_SRC_ENGINE_ENGINE_H
#define WEFT_SRC_ENGINE_ENGINE_H

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "workflow/WFGlobal.h"

namespace wf::detail {

class Engine {
public:
    static Engine &get();

    CommScheduler *scheduler();
    bool has_scheduler() const { return scheduler_ready_.load(std::memory_order_acquire); }
    Executor *compute_executor();
    ExecQueue *exec_queue(const std::string &name);
    IOService *io_service();
    Executor *dns_executor();
    ExecQueue *dns_queue();
    RouteManager *route_manager() { return &names()->routes; }
    DnsCache *dns_cache() { return &names()->cache; }
    WFDnsResolver *dns_resolver() { return &names()->resolver; }
    WFNameService *name_service() { return &names()->service; }

    const WFGlobalSettings *settings_pointer() const { return &settings_; }
    void set_settings(const WFGlobalSettings &settings) { settings_ = settings; }
    void register_port(const std::string &scheme, unsigned short port);
    const char *default_port(const char *scheme);

private:
    Engine();
    void end();
    void watch_exit();
    struct Guard {
        ~Guard() { Engine::get().end(); }
    };
    // An executor made at its first use.
    struct LazyExecutor {
        std::atomic<bool> ready{false};
        Executor executor;
    };
    Executor *start(LazyExecutor *lazy, int threads);
    // From a name to a target. Made anew if somebody asks after the end.
    struct Names {
        RouteManager routes;
        DnsCache cache;
        WFDnsResolver resolver;
        WFNameService service{&resolver};
    };
    Names *names();

    std::mutex mutex_;
    WFGlobalSettings settings_;
    std::atomic<bool> scheduler_ready_{false};
    bool ended_ = false;
    CommScheduler scheduler_;
    std::atomic<bool> io_ready_{false};
    IOService io_;
    LazyExecutor compute_;
    LazyExecutor dns_;
    ExecQueue dns_queue_;
    std::unordered_map<std::string, std::unique_ptr<ExecQueue>> queues_;
    std::map<std::string, std::string> ports_;
    std::atomic<Names *> names_{nullptr}; // owned
};

} // namespace wf::detail

#endif
