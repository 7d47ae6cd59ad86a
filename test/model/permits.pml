// Weft - model of permits, the queue and known waits: nobody is stalled while a thread can be made
// SPDX-License-Identifier: Apache-2.0
//
// NJ jobs arrive on NP pollers. Each is short, or blocks in a callback, in a declared wait, or in a parser, until all
// that came later is done. Blocked callbacks are fewer than the permits, so everything ends, whatever the schedule,
// unless a completion is stranded in the queue, a poller has no driver, or the watch is missing: all of these show as
// an invalid end state. That callbacks under permits never outnumber the permits is an assertion.
#define TURN_ODD skip
#define TURN_EVEN skip
#define SLEEP skip
#define AWAKE (len(inbox[mine]) > 0)
#define AFTER_INBOX skip
#define CLOSE skip
#define USER_CODE skip
#define SPAWN skip
byte started;
#define either 2
#ifndef FOREIGN
#define FOREIGN NJ // jobs from this one on come to the queue directly
#endif
#include "pool.pml"

// A run is one choice of kinds (K0, K1, ...) and sites (S0, ...: `either` stands for both).
inline draw(j, k, site) {
    kind[j] = k;
    spawned[j] = NONE; after[j] = NONE;
    if
    :: site != 1 -> long_site[j] = 0
    :: site != 0 -> long_site[j] = 1
    fi;
    if
    :: home[j] = 0
#if NP > 1
    :: home[j] = 1
#endif
    fi
}

init {
    byte j, w;
    bit ok;
    atomic {
        draw(0, K0, S0);
        draw(1, K1, S1);
#if NJ > 2
        draw(2, K2, S2)
#endif
    }
    do
    :: j < FOREIGN -> post(home[j], j); j++
    :: j >= FOREIGN && j < NJ -> pool_queue(j); j++ // mpoller_deliver() on a thread that is no worker
    :: else -> break
    od;
    // Comes only when all is done: else this is where the model stops, and that is an error.
    later_done(-1)
}
