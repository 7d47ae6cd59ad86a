// Weft - the desk where look-ups are asked for: one at a time for each question, its answer shared by all who wait
// SPDX-License-Identifier: Apache-2.0
//
// A task that must wait is parked as a timer (an Asker), which the answer cancels, and so does who
// cancels the task: so no thread waits, the task goes on on a worker, with a permit, and at exit
// the engine ends it like any timer. If the timer fires by itself, the task's deadline has passed.
//
// Always true: an asker is in the line of a pending look-up, or its answer is fixed. Two hold it,
// its timer and the desk; the last of them frees it. The task it stands for is touched by its timer
// alone. Of the answer and a cancel the first one decides.
//
// Locks: the desk's is taken before those of the DNS cache, and held neither while a look-up is
// started nor while timers are.
#ifndef WEFT_SRC_NAMESERVICE_LOOKUP_DESK_H
#define WEFT_SRC_NAMESERVICE_LOOKUP_DESK_H

#include <atomic>
#include <mutex>
#include <unordered_map>

#include "nameservice/dns_table.h"
#include "nameservice/lookup.h"
#include "workflow/Communicator.h"
#include "workflow/DnsCache.h"

class CommScheduler;

namespace wf::detail {

// What one who asked is told.
struct DeskAnswer {
    int state = 0;
    int error = 0;
    const DnsCache::DnsHandle *handle =
        nullptr; // under WFT_STATE_SUCCESS; the receiver releases it
};

// Called once with the client that asked, on a worker, or inside ask() when the engine has ended.
typedef void (*DeskResume)(void *client, const DeskAnswer &answer);

// Who asks. The session is the one whose deadline and cancel end the wait; or NULL.
struct DeskClient {
    void *client;
    DeskResume resume;
    CommSession *session;
};

class Asker final : public SleepSession, public SessionWait {
public:
    explicit Asker(const DeskClient &asks) : asks_(asks), refs_(2), decided_(false) {}

    int duration(struct timespec *value) override;
    void handle(int state_in, int error) override;
    void interrupt() override;

    // By the desk: fixes the answer and wakes the client, if it still waits. Gives the desk's hold
    // up, and the one on the answer.
    void tell(CommScheduler *scheduler, const DeskAnswer &answer);

    [[nodiscard]] bool is_decided() const { return decided_.load(std::memory_order_acquire); }
    // Its timer has ended already: the engine has, or the deadline was that near.
    [[nodiscard]] bool is_over() const { return refs_.load(std::memory_order_acquire) == 1; }
    void unref();

    Asker *next = nullptr; // in its line

private:
    ~Asker() override = default;

    const DeskClient asks_;
    std::atomic<int> refs_;
    std::atomic<bool> decided_; // the timer is canceled by whoever sets it
    DeskAnswer answer_;         // written by that one before, read after
};

// What a question's answer is kept for, in seconds.
struct LookupTtl {
    unsigned ttl_default;
    unsigned ttl_min;
};

class LookupDesk {
public:
    LookupDesk();
    // Nothing is pending.
    ~LookupDesk();

    // Parks the client until the name is looked up. `serial` is the cache's from before the caller
    // looked there: when an answer has come in since, it is used. False when the client could not
    // be parked (errno is set).
    [[nodiscard]] bool ask(const DnsKey &key, const LookupTtl &ttl, uint64_t serial, Lookup *lookup,
                           const DeskClient &asks);

private:
    struct Pending;

    const DnsCache::DnsHandle *enter(const DnsKey &key, const LookupTtl &ttl, uint64_t serial,
                                     Asker *asker, Pending **begun);
    Asker *close(Pending *pending);

    std::mutex mutex_;
    std::unordered_map<DnsKey, Pending *, DnsKeyHash>
        pending_; // the keys are views into the values
};

} // namespace wf::detail

#endif
