// Weft - CommWaiter: a session parked at a full target
// SPDX-License-Identifier: Apache-2.0
//
// Made by request_or_park(); stands in the line of its object, under that one's load lock, and has
// a timer for the time it may wait. Whoever takes it out of the line decides its end. It goes on in
// one place only, the timer's handle(): a release takes it out of the line, gives it a target and
// cancels its timer; if the timer takes it out itself, time is up.
#ifndef WEFT_SRC_KERNEL_COMM_WAITER_H
#define WEFT_SRC_KERNEL_COMM_WAITER_H

#include "kernel/atomics.h"
#include "workflow/CommScheduler.h"

class CommWaiter final : public SleepSession, public wf::detail::SessionWait {
public:
    using Resume = void (*)(CommSession *session, CommTarget *target, int state, int error);

    CommWaiter(Communicator *comm, CommSession *session, CommSchedObject *object, Resume resume);

    // Stands in line. 1: parked; the waiter looks after itself. 0: there was a target after all. -1
    // with errno: there was no room. In the last two cases it is freed.
    int park(CommTarget **target);

    // Under the load lock of the object:
    bool enter(CommWaiterList *list);
    bool is_in_line() const { return list_ != nullptr; }
    void leave();
    // Takes it out of the line and gives it a target with its load counted.
    void grant(CommTarget *target);


private:
    int duration(struct timespec *value) override;
    void handle(int result, int error) override;
    void interrupt() override;
    void unref();
    int withdraw(CommTarget **target, int error);

    CommWaiterList *list_;
    CommWaiter *prev_, *next_;
    Communicator *comm_;
    CommSession *session_;
    CommSchedObject *object_;
    Resume resume_;
    CommTarget *target_;
    uint32_t granted_;  // atomic
    uint32_t canceled_; // atomic
    uint32_t refs_;     // atomic: park() and handle()
};

#endif
