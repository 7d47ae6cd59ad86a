// Weft - guards: tasks that run while they hold a resource known by its name
// SPDX-License-Identifier: Apache-2.0
//
// A resource has an entry in the table exactly while it is held; the guards that wait for it are in
// the entry's line, in the order of their dispatch. Who holds it is nobody's business: whoever
// releases it, it goes on to the next, or the entry goes.
//
// The table lives as long as the process and is never destroyed, as timers end while static objects
// are. Without entries it holds no memory of its own.
#include "task/guards.h"

#include <functional>
#include <map>
#include <mutex>
#include <new>

#include "task/claim.h"
#include "task/named.h"

namespace wf::detail {

namespace {

struct Shard {
    std::mutex mutex;
    std::map<std::string, struct list_head> held;
};

constexpr size_t SHARDS = 16;

struct Table {
    Shard shards[SHARDS];
};

Shard &shard_of(const std::string &name) {
    alignas(Table) static unsigned char room[sizeof(Table)];
    static Table *table = new (room) Table;
    return table->shards[std::hash<std::string>()(name) % SHARDS];
}

class Guard final : public Claim {
public:
    Guard(const std::string &name, SubTask *task_in) : Claim(task_in), name_(name) {}
    Guard(const std::string &name, SubTask *task_in, void **msgbuf_in)
        : Claim(task_in, msgbuf_in), name_(name) {}

    int describe(char *text, size_t size) const override {
        return snprintf(text, size, "%s", name_.c_str());
    }
    int describe_wait(char *text, size_t size) const override {
        return snprintf(text, size, "another holds \"%s\"", name_.c_str());
    }

protected:
    void dispatch() override {
        {
            Shard &shard = shard_of(name_);
            std::lock_guard lock(shard.mutex);
            auto [at, is_new] = shard.held.try_emplace(name_);
            if (!is_new) {
                list_add_tail(&this->list, &at->second);
                return; // it may be gone as soon as the lock is
            }
            INIT_LIST_HEAD(&at->second);
            this->grant(nullptr);
        }
        this->go();
    }

    bool withdraw() override {
        std::lock_guard lock(shard_of(name_).mutex);
        return this->leave_line();
    }

private:
    std::string name_;
};

void pass_on(const std::string &name, void *msg, Claim::Leaving *leaving) {
    Shard &shard = shard_of(name);
    std::lock_guard lock(shard.mutex);
    auto at = shard.held.find(name);
    if (at == shard.held.end())
        return;
    Claim::give_to_first(&at->second, msg, leaving);
    if (!leaving->granted)
        shard.held.erase(at);
}

} // namespace

WFConditional *Guards::create(const std::string &name, SubTask *task) {
    return new Guard(name, task);
}

WFConditional *Guards::create(const std::string &name, SubTask *task, void **msgbuf) {
    return new Guard(name, task, msgbuf);
}

int Guards::release(const std::string &name, void *msg) {
    Claim::Leaving leaving;
    pass_on(name, msg, &leaving);
    bool granted = leaving.granted;
    Claim::go_all(leaving.first);
    return granted ? 1 : 0;
}

// An engine that ends still runs the timer's callback, so what was granted goes on in any case.
int Guards::release_later(const std::string &name, void *msg, CommScheduler *scheduler) {
    Claim::Leaving leaving;
    pass_on(name, msg, &leaving);
    Claim *first = leaving.first;
    bool granted = leaving.granted;
    if (first)
        make_timer(scheduler, 0, 0, [first](WFTimerTask *) { Claim::go_all(first); })->start();
    return granted ? 1 : 0;
}

} // namespace wf::detail
