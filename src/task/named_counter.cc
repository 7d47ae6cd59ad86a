// Weft - counters with a name
// SPDX-License-Identifier: Apache-2.0
#include "task/name_table.h"
#include "task/named.h"

namespace wf::detail {

namespace {

// A named counter has its own count, under the shard's lock; the counter below it counts only two
// things: that the target was reached, and the dispatch. So it leaves the table as soon as its
// target is reached, started or not, and counts that come later, in its callback above all, find
// nothing to count. The count below is made under the lock too: one that was not dispatched may be
// dismissed the moment the lock is let go, and one that was has nobody but who counted it out.
class NamedCounter final : public WFCounterTask, public NamedBase {
public:
    NamedCounter(const std::string &name, unsigned target, CounterCallback &&cb)
        : WFCounterTask(target > 0 ? 1 : 0, std::move(cb)),
          NamedBase(name_table<NamedCounter>(), name), left_(target) {
        if (target > 0)
            this->enter(name);
    }

    void count() override {
        bool complete = false;
        {
            std::lock_guard lock(this->shard().mutex);
            unsigned n = 1;
            this->take(&n, &complete);
        }
        if (complete)
            this->go_on();
    }

    // Takes what it needs of *n. True when that brings it to its target; *complete then says
    // whether it must be told to go_on(), without the lock. Needs the shard's lock.
    bool take(unsigned *n, bool *complete) {
        unsigned taken = *n < left_ ? *n : left_.load();
        left_ -= taken;
        *n -= taken;
        if (left_ > 0 || taken == 0)
            return false;
        this->leave();
        *complete = --this->value == 0;
        return true;
    }

    void go_on() {
        this->state = WFT_STATE_SUCCESS;
        this->subtask_done();
    }

    int describe(char *text, size_t size) const override { return this->print_name(text, size); }
    int describe_wait(char *text, size_t size) const override {
        return snprintf(text, size, "%u more to be counted", left_.load(std::memory_order_relaxed));
    }

protected:
    bool count_down() override {
        std::lock_guard lock(this->shard().mutex);
        unsigned n = 1;
        bool complete = false;
        this->take(&n, &complete);
        if (complete)
            this->state = WFT_STATE_SUCCESS;
        return complete;
    }

    // One that has reached its target goes on by itself.
    int cut_short(int cut_with) override {
        std::lock_guard lock(this->shard().mutex);
        if (left_ == 0) {
            errno = ENOENT;
            return -1;
        }
        left_ = 0;
        this->leave();
        return this->WFCounterTask::cut_short(cut_with);
    }

    ~NamedCounter() override {
        std::lock_guard lock(this->shard().mutex);
        this->leave();
    }

private:
    std::atomic<unsigned> left_; // written under the shard's lock
};

} // namespace

WFCounterTask *NamedCounters::create(const std::string &name, unsigned target,
                                     CounterCallback &&callback) {
    return new NamedCounter(name, target, std::move(callback));
}

int NamedCounters::count(const std::string &name, unsigned n) {
    NameTable::Shard &shard = name_table<NamedCounter>().shard_of(name);
    int reached = 0;
    // One at a time, since its callback may count, make and dismiss counters of the same name.
    // Those made meanwhile are younger, and `n` only reaches them if all that stood here before
    // have been served.
    while (n > 0) {
        NamedCounter *counter;
        bool complete = false;
        {
            std::lock_guard lock(shard.mutex);
            NamedBase *oldest = shard.oldest(name);
            if (!oldest)
                break;
            counter = static_cast<NamedCounter *>(oldest);
            if (!counter->take(&n, &complete))
                break;
        }
        reached++;
        if (complete)
            counter->go_on();
    }
    return reached;
}

} // namespace wf::detail
