// Weft - CommSleep: the machine of one timer
// SPDX-License-Identifier: Apache-2.0
//
// | state        | what is true                                                                     |
// |--------------|----------------------------------------------------------------------------------|
// | IDLE         | not started, or handled                                                          |
// | ARMING       | the order to arm it is on its way                                                |
// | ARM_CANCELED | likewise, but it was canceled meanwhile                                          |
// | ARMED        | it stands in its poller's wheel (or would, had it a time)                        |
// | CANCELING    | it was canceled; the order to take it out is on its way                          |
// | CANCEL_FIRED | likewise, and its time came before the order did                                 |
// | DUE          | its time came; the completion is on its way                                      |
// | DUE_CANCELED | likewise, but it was canceled before the completion began                        |
// | DUE_STOPPED  | the engine ends; the completion is on its way                                    |
//
// The state is one atomic word: whoever moves it on by compare-and-swap has decided. A cancel wins
// until handle() is about to be called.
#ifndef WEFT_SRC_KERNEL_SLEEP_H
#define WEFT_SRC_KERNEL_SLEEP_H

#include "kernel/worker.h"
#include "workflow/Communicator.h"

class CommSleep {
public:
    static int start(struct mpoller *pool, SleepSession *session);
    static int cancel(SleepSession *session);
    // The engine ends: what was not started ends at once, on the caller.
    static void refuse(SleepSession *session);

private:
    enum State : uint32_t {
        IDLE,
        ARMING,
        ARM_CANCELED,
        ARMED,
        CANCELING,
        CANCEL_FIRED,
        DUE,
        DUE_CANCELED,
        DUE_STOPPED
    };
    static SleepSession *of(struct weft_msg *msg);
    static SleepSession *of(struct weft_job *job);
    static void run_order(struct weft_msg *msg, struct weft_poller *poller);
    static void run_due(struct weft_job *job);
    static void run_handle(struct weft_job *job);
    static void make_due(SleepSession *session, struct weft_poller *poller);
};

#endif
