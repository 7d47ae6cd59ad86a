// Weft - model of permits, the queue and known waits: nobody is stalled while a thread can be made
// SPDX-License-Identifier: Apache-2.0
//
// NJ jobs arrive on NP pollers. Each is short, or blocks in a callback, in a declared wait, or in a parser, until all
// that came later is done. Blocked callbacks are fewer than the permits, so everything ends, whatever the schedule,
// unless a completion is stranded in the queue, a poller has no driver, or the watch is missing: all of these show as
// an invalid end state. That callbacks under permits never outnumber the permits is an assertion.
#define STOP_LEAVES true
#define LEAVE_COUNTS 0
#define WATCH_LEAVES true
#define DRIVER_LEAVES skip
#define SPAWN skip
byte started;
#include "pool.pml"

inline draw(j) {
    atomic {
        spawned[j] = NONE;
        if
        :: kind[j] = SHORT
        :: blockers < H - 1 -> kind[j] = BLOCKS; blockers++
        :: kind[j] = WAITS
        :: appends < NP + 1 -> kind[j] = APPENDS; appends++
        fi;
        if
        :: long_site[j] = 0
        :: kind[j] != APPENDS -> long_site[j] = 1
        fi;
        if
        :: home[j] = 0
#if NP > 1
        :: home[j] = 1
#endif
        fi
    }
}

init {
    byte j, w, blockers, appends;
    bit ok;
    atomic {
        do
        :: j < NJ -> draw(j); j++
        :: else -> break
        od;
        j = 0; blockers = 0; appends = 0
    }
    do
    :: j < NJ -> post(home[j], j); j++
    :: else -> break
    od;
    // Comes only when all is done: else this is where the model stops, and that is an error.
    later_done(-1)
}
