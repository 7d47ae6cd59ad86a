// Weft - Claim: a task that waits in a line until it is given something
// SPDX-License-Identifier: Apache-2.0
//
// Guards, and the conditionals of WFResourcePool and WFMessageQueue. Whoever owns the line has a
// lock. A derived dispatch() takes it, and there either grants the claim or puts it in the line;
// whoever has something to give takes it, and calls give_to_first(). What was granted goes on by
// go() or go_all(), without the lock, since tasks and callbacks run in it.
//
// Always holds: what is granted is not lost. The claim's task becomes the running task of the
// series without a step between, so no cancel of the series comes in between; and of a series that
// was canceled before, the claim is passed over, and ends without its task.
#ifndef WEFT_SRC_TASK_CLAIM_H
#define WEFT_SRC_TASK_CLAIM_H

#include "workflow/WFTask.h"
#include "workflow/list.h"

namespace wf::detail {

class Claim : public WFConditional {
public:
    explicit Claim(SubTask *task_in) : WFConditional(task_in) { this->check(); }
    Claim(SubTask *task_in, void **msgbuf_in) : WFConditional(task_in, msgbuf_in) { this->check(); }

    // Only what it waits for lets it go.
    // tidy: allow signal - a name of the old interface, not the system's function
    void signal(void *) override {}

    // Claims that have left their line, in its order.
    struct Leaving {
        Claim *first = nullptr;
        Claim **end = &first;
        long count = 0;
        bool granted = false; // the last of them

        Leaving() = default;
        Leaving(const Leaving &) = delete;
        Leaving &operator=(const Leaving &) = delete;
    };

    // Takes claims from the front of the line until one was granted msg: those before it belong to
    // canceled series. Needs the line's lock.
    static void give_to_first(struct list_head *line, void *msg, Leaving *leaving);

    // Lets them go on, in their order.
    static void go_all(Claim *first);

    struct list_head list = {nullptr, nullptr}; // its place in the line, NULL outside

protected:
    // Needs the lock. The caller, or give_to_first()'s, lets it go on.
    void grant(void *msg) {
        *this->msgbuf = msg;
        granted_ = true;
    }

    void go() { this->subtask_done(); }

    // Takes the line's lock, and itself out of the line. False when it is not in it.
    virtual bool withdraw() = 0;
    // For that, with the lock.
    bool leave_line();

    SubTask *done() override;
    int cut_short(int cut_with) override;
    bool deliver(void *, bool *taken) override {
        *taken = false;
        return false;
    }

private:
    void check() const {
        if (!this->task)
            misuse("a guard, or get() of a pool or queue, without a task");
    }

    Claim *following_ = nullptr;
    bool granted_ = false;
};

} // namespace wf::detail

#endif
