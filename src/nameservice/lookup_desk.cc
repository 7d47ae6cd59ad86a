// Weft - the desk where look-ups are asked for: one at a time for each question, its answer shared by all who wait
// SPDX-License-Identifier: Apache-2.0
#include "nameservice/lookup_desk.h"

#include <errno.h>
#include <string>
#include <time.h>
#include <utility>

#include "workflow/CommScheduler.h"
#include "workflow/WFTask.h"
#include "workflow/detail/runtime.h"

namespace wf::detail {

// A look-up under way. Owns itself from enter() to answer().
struct LookupDesk::Pending final : LookupSink {
    Pending(LookupDesk *desk_in, const DnsKey &key_in, const LookupTtl &ttl_in)
        : desk(desk_in), question{std::string(key_in.host), key_in.family, key_in.port},
          ttl(ttl_in) {}
    virtual ~Pending() = default;

    DnsKey key() const { return {question.host, question.port, question.family}; }
    void answer(LookupAnswer &answer) override;

    LookupDesk *const desk;
    const LookupQuestion question;
    const LookupTtl ttl;
    Asker *first = nullptr; // under the desk's lock
    Asker **tail = &first;
};

int Asker::duration(struct timespec *value) {
    int64_t left = asks_.session ? asks_.session->get_time_left() : -1;
    value->tv_sec = left < 0 ? -1 : static_cast<time_t>(left / 1000000000);
    value->tv_nsec = left < 0 ? 0 : static_cast<long>(left % 1000000000);
    return 0;
}

void Asker::handle(int state_in, int) {
    DeskAnswer told;
    DeskClient asks = asks_;
    if (asks.session)
        asks.session->end_wait();
    // Only whoever decided has canceled the timer. After any other end an answer may come yet.
    if (state_in == SS_STATE_ERROR) {
        std::swap(told, answer_);
    } else if (state_in == SS_STATE_COMPLETE) {
        told.state = WFT_STATE_SYS_ERROR;
        told.error = ETIMEDOUT;
    } else {
        told.state = WFT_STATE_ABORTED;
    }
    this->unref();
    asks.resume(asks.client, told);
}

void Asker::tell(CommScheduler *scheduler, const DeskAnswer &answer) {
    if (!decided_.exchange(true, std::memory_order_acq_rel)) {
        answer_ = answer;
        scheduler->unsleep(this);
    } else if (answer.handle) {
        DnsTable::release(answer.handle);
    }
    this->unref();
}

void Asker::interrupt() {
    if (decided_.exchange(true, std::memory_order_acq_rel))
        return;
    answer_.state = WFT_STATE_SYS_ERROR;
    answer_.error = ECANCELED;
    runtime_scheduler()->unsleep(this);
}

void Asker::unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1)
        return;
    if (answer_.handle)
        DnsTable::release(answer_.handle);
    delete this;
}

LookupDesk::LookupDesk() = default;
LookupDesk::~LookupDesk() = default;

bool LookupDesk::ask(const DnsKey &key, const LookupTtl &ttl, uint64_t serial, Lookup *lookup,
                     const DeskClient &asks) {
    CommScheduler *scheduler = runtime_scheduler();
    // The client may be gone as soon as it sleeps, and the text of the key with it.
    std::string host(key.host);
    DnsKey kept{host, key.port, key.family};
    Asker *asker = new Asker(asks);
    CommSession *session = asks.session; // gone too, then
    if (session && !session->begin_wait(asker, CSP_RESOLVING))
        asker->interrupt();
    if (scheduler->sleep(asker) < 0) {
        int error = errno;
        if (session)
            session->end_wait();
        errno = error;
        asker->unref();
        asker->unref(); // NOLINT(clang-analyzer-cplusplus.NewDelete) - it was made with two
                        // references
        return false;
    }
    bool canceled = asker->is_decided();
    if (canceled) // perhaps before there was a timer
        scheduler->unsleep(asker);
    if (canceled || asker->is_over()) {
        asker->unref();
        return true;
    }
    Pending *begun = nullptr;
    DeskAnswer answer;
    answer.handle = this->enter(kept, ttl, serial, asker, &begun);
    if (answer.handle)
        asker->tell(scheduler, answer);
    else if (begun)
        lookup->start(begun->question, begun);
    return true;
}

const DnsCache::DnsHandle *LookupDesk::enter(const DnsKey &key, const LookupTtl &ttl,
                                             uint64_t serial, Asker *asker, Pending **begun) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto it = pending_.find(key);
    Pending *pending = it == pending_.end() ? nullptr : it->second;
    if (!pending) {
        // A look-up that was pending when the caller missed the cache may have been answered since.
        const DnsCache::DnsHandle *handle = runtime_dns_cache()->table_->get_newer(key, serial);
        if (handle)
            return handle;
        pending = *begun = new Pending(this, key, ttl);
        pending_.emplace(pending->key(), pending);
    }
    *pending->tail = asker;
    pending->tail = &asker->next;
    return nullptr;
}

// From here on the question may be asked anew. Returns the line.
Asker *LookupDesk::close(Pending *pending) {
    std::lock_guard<std::mutex> lock(mutex_);
    pending_.erase(pending->key());
    return pending->first;
}

void LookupDesk::Pending::answer(LookupAnswer &answer) {
    DeskAnswer told;
    told.state = answer.state;
    told.error = answer.error;
    if (answer.state == WFT_STATE_SUCCESS) {
        if (question.family == AF_UNSPEC)
            answer.addresses.settle_loopback();
        if (answer.addresses.empty()) {
            told.state = WFT_STATE_DNS_ERROR;
            told.error = EAI_NONAME;
        } else {
            // In the cache before the question is closed: who comes in between finds one of them.
            DnsTable *table = runtime_dns_cache()->table_;
            told.handle =
                table->put(this->key(), answer.addresses.take(), ttl.ttl_default, ttl.ttl_min);
        }
    }
    CommScheduler *scheduler = runtime_scheduler();
    const DnsCache::DnsHandle *mine = told.handle;
    Asker *asker = desk->close(this);
    delete this;
    while (asker) {
        Asker *next = asker->next;
        if (mine)
            DnsTable::retain(mine);
        asker->tell(scheduler, told);
        asker = next;
    }
    if (mine)
        DnsTable::release(mine);
}

} // namespace wf::detail
