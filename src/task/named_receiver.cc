// Weft - mailboxes and conditionals with a name
// SPDX-License-Identifier: Apache-2.0
//
// Who sends by name takes its receivers out of the table and puts their messages down in one go,
// under the shard's lock. What happens to a receiver then depends on whether it was dispatched:
//
//   not yet: it is not touched again. It may be started, dismissed or deleted with its series the
//       moment the lock is let go; its dispatch finds the message.
//   dispatched: it waits for nothing but this message, so nobody else can end or delete it. It is
//       kept in a chain, and goes on when the lock was let go, where its callback may do as it
//       likes: send again, make and dismiss others of the name. None of these is in the chain.
#include <type_traits>
#include <utility>

#include "task/name_table.h"
#include "task/named.h"

namespace wf::detail {

namespace {

// The bits of the flag of both classes: whoever sets the second goes on.
constexpr int DISPATCHED = 1;
constexpr int HAPPENED = 2;

template <class TASK>
class Receiver : public TASK, public NamedBase {
public:
    template <class... ARGS>
    explicit Receiver(const std::string &name, ARGS &&...args)
        : TASK(std::forward<ARGS>(args)...), NamedBase(name_table<Receiver>(), name) {
        this->enter(name);
    }

    // Takes it out of the table and puts the message down. True when it must now be told to
    // go_on(), without the lock. Needs the shard's lock.
    bool take(void *msg) {
        this->leave();
        if (this->flag.load(std::memory_order_acquire) == (DISPATCHED | HAPPENED))
            return false; // it has ended: a message sent in its callback
        *this->buffer() = msg;
        int before = this->flag.fetch_or(HAPPENED, std::memory_order_acq_rel);
        return before == DISPATCHED;
    }

    void go_on() {
        if constexpr (std::is_same_v<TASK, WFMailboxTask>)
            this->state = WFT_STATE_SUCCESS;
        this->subtask_done();
    }

    int describe(char *text, size_t size) const override { return this->print_name(text, size); }

    Receiver *following = nullptr; // in the chain of those that will be told to go on

protected:
    void receive(void *msg) {
        bool complete;
        {
            std::lock_guard lock(this->shard().mutex);
            complete = this->take(msg);
        }
        if (complete)
            this->go_on();
    }

    bool deliver(void *msg, bool *taken) override {
        std::lock_guard lock(this->shard().mutex);
        *taken = !(this->flag & HAPPENED);
        if (!*taken || !this->take(msg))
            return false;
        if constexpr (std::is_same_v<TASK, WFMailboxTask>)
            this->state = WFT_STATE_SUCCESS;
        return true;
    }

    // Whoever sends by name takes it out of the table first: then it goes on by itself.
    int cut_short(int cut_with) override {
        std::lock_guard lock(this->shard().mutex);
        int ret = this->TASK::cut_short(cut_with);
        if (ret > 0)
            this->leave();
        return ret;
    }

    ~Receiver() override {
        std::lock_guard lock(this->shard().mutex);
        this->leave();
    }

private:
    void **buffer() const {
        if constexpr (std::is_same_v<TASK, WFMailboxTask>)
            return this->mailbox;
        else
            return this->msgbuf;
    }
};

class NamedMailbox final : public Receiver<WFMailboxTask> {
public:
    using Receiver::Receiver;
    void send(void *msg) override { this->receive(msg); }
};

class NamedConditional final : public Receiver<WFConditional> {
public:
    using Receiver::Receiver;
    // tidy: allow signal - a name of the old interface, not the system's function
    void signal(void *msg) override { this->receive(msg); }
};

template <class TASK>
int deliver(const std::string &name, const void *messages, MessageAt message_at, size_t max) {
    NameTable::Shard &shard = name_table<Receiver<TASK>>().shard_of(name);
    Receiver<TASK> *chain = nullptr;
    Receiver<TASK> **end = &chain;
    size_t n = 0;
    {
        std::lock_guard lock(shard.mutex);
        for (; n < max; n++) {
            NamedBase *oldest = shard.oldest(name);
            if (!oldest)
                break;
            auto *receiver = static_cast<Receiver<TASK> *>(oldest);
            if (receiver->take(message_at(messages, n))) {
                *end = receiver;
                end = &receiver->following;
            }
        }
    }
    while (chain) {
        Receiver<TASK> *receiver = chain;
        chain = receiver->following;
        receiver->go_on();
    }
    return static_cast<int>(n);
}

} // namespace

WFMailboxTask *NamedMailboxes::create(const std::string &name, void **mailbox,
                                      MailboxCallback &&callback) {
    return new NamedMailbox(name, mailbox, std::move(callback));
}

WFMailboxTask *NamedMailboxes::create(const std::string &name, MailboxCallback &&callback) {
    return new NamedMailbox(name, std::move(callback));
}

int NamedMailboxes::send(const std::string &name, const void *messages, MessageAt message_at,
                         size_t max) {
    return deliver<WFMailboxTask>(name, messages, message_at, max);
}

WFConditional *NamedConditionals::create(const std::string &name, SubTask *task, void **msgbuf) {
    return new NamedConditional(name, task, msgbuf);
}

WFConditional *NamedConditionals::create(const std::string &name, SubTask *task) {
    return new NamedConditional(name, task);
}

int NamedConditionals::send(const std::string &name, const void *messages, MessageAt message_at,
                            size_t max) {
    return deliver<WFConditional>(name, messages, message_at, max);
}

} // namespace wf::detail
