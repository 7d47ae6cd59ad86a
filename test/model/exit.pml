// Weft - model of the way out: mpoller_stop() joins everybody and loses no work
// SPDX-License-Identifier: Apache-2.0
//
// Nothing is alive any more, but a callback whose connection has gone may still be on its way or running (job 0). Its
// user code defers a job (1), as a chain of synchronous tasks does when it is too deep, and may wait for it. In the end
// every thread was joined, and both jobs ran: else an assertion fails or the model stops in an invalid end state.
//
// A driver that leaves marks its poller unborn, looks once more, and whoever posts later gives birth to it again. The
// watch is the last to leave.
#ifdef BUG_LEAVE_FOR_GOOD
#define DRIVER_LEAVES skip
#else
#define DRIVER_LEAVES born[mine] = 0; \
    if \
    :: atomic { !is_empty(mine) && !born[mine] -> born[mine] = 1; goto drive } \
    :: is_empty(mine) || born[mine] \
    fi
#endif
#ifdef BUG_WATCH_LEAVES_FIRST
#define STOP_LEAVES true
#define WATCH_LEAVES true
#define LEAVE_COUNTS 0
#else
#define STOP_LEAVES (watch != NONE || workers == 1)
#define WATCH_LEAVES (workers == 1)
#define LEAVE_COUNTS 1
#endif
#ifdef BUG_LATE_BIRTH_SLEEPS
#define NO_SLEEP(p) closing[p]
#else
#define NO_SLEEP(p) (closing[p] || stopping)
#endif
// kernel_defer(): mpoller_defer(), poller_do()
#define SPAWN \
    if \
    :: mine != NONE && mine == home[spawned[job]] -> \
        atomic { \
            if \
            :: driver[mine] == me && out[mine] -> ready[mine] ! spawned[job] \
            :: else -> mine = NONE \
            fi \
        } \
        if \
        :: mine == NONE -> post(home[spawned[job]], spawned[job]) \
        :: else \
        fi \
    :: else -> post(home[spawned[job]], spawned[job]) \
    fi

#define NJ 2
byte started;
#include "pool.pml"

init {
    byte w;
    bit ok;
    atomic {
        kind[0] = K0; long_site[0] = S0; spawned[0] = 1;
        kind[1] = APPENDS; spawned[1] = NONE; // a deferred job asks for no permit
        if
        :: home[1] = 0
#if NP > 1
        :: home[1] = 1
#endif
        fi
    }
    post(home[0], 0);
    closing[0] = born[0]; // Communicator::deinit() gives the order to all that are born
#if NP > 1
    closing[1] = born[1];
#endif
    stopping = 1;
    atomic { // mpoller_stop(), wake_everybody(); the stop orders find drivers that do not sleep
        !lock ->
        w = 0;
        do
        :: w < NW ->
            if
            :: idle[w] -> idle[w] = 0; idle_count--; woken[w] = 1
            :: else
            fi;
            w++
        :: else -> break
        od;
        w = 0
    }
    departed == started; // joined
    assert(done[0] && done[1] && queued == 0 && empty(orphans) && is_empty(0) && is_empty(NP - 1))
}
