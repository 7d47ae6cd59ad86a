// Weft - model of the way out: Communicator::close() and mpoller_stop() join everybody and lose no work
// SPDX-License-Identifier: Apache-2.0
//
// Nothing is alive any more, but a callback whose connection has gone may still be on its way or running (job 0). Its
// user code defers a job (1), as a chain of synchronous tasks does when it is too deep, at its end perhaps another
// (AFTER0), and job 1 defers one at its end (AFTER1). Each may go to any poller, the driven one or another. In the end
// every thread was joined, all jobs ran, and all pollers were closed: else an assertion fails or the model stops in an
// invalid end state. Nor may user code begin once `stopping` is set, unless LOSS_ONLY asks what would be lost by that.
//
// wait_rest() looks until two looks in a row find nobody in user code and the same sum of turns. A look that fails
// leaves no trace, so here a look waits where it would fail, and what counts is that it may begin at any time. The sum
// of turns is the same exactly when nobody's became odd: `busy` counts the odd ones, `turned` is set by becoming odd.
#ifndef INTERRUPTS
#define INTERRUPTS 0
#endif
byte interrupts = INTERRUPTS; // so often epoll_wait() may still return for nothing
byte busy, live, started;
bit looking, turned;
bit asleep[NP], signalled[NP]; // `asleep`; the eventfd
bit order[NP], closing[NP]; // close_order is posted; weft_poller.closing

#define TURN_ODD busy++; turned = looking
#define TURN_EVEN busy--

#define HAS_MAIL(p) (len(inbox[p]) > 0 || order[p])
#ifdef BUG_SLEEP_PAST_STOP
#define LAST_LOOK(p) HAS_MAIL(p)
#else
#define LAST_LOOK(p) (HAS_MAIL(p) || stopping)
#endif
#ifdef BUG_TURN_AFTER_INBOX
#define AWAKE_BEFORE skip
#define AFTER_INBOX atomic { \
        if \
        :: asleep[mine] -> asleep[mine] = 0; TURN_ODD \
        :: else \
        fi \
    }
#else
#define AWAKE_BEFORE \
    if \
    :: asleep[mine] -> asleep[mine] = 0; TURN_ODD \
    :: else \
    fi
#define AFTER_INBOX skip
#endif
#define SLEEP atomic { \
        if \
        :: LAST_LOOK(mine) \
        :: else -> asleep[mine] = 1; TURN_EVEN \
        fi \
    }
#define AWAKE (!asleep[mine] || HAS_MAIL(mine) || signalled[mine] || interrupts > 0)
#define CLOSE \
    if \
    :: asleep[mine] && !HAS_MAIL(mine) && !signalled[mine] -> interrupts-- \
    :: else \
    fi; \
    AWAKE_BEFORE; \
    signalled[mine] = 0; \
    if \
    :: order[mine] -> order[mine] = 0; closing[mine] = 1; live-- \
    :: else \
    fi
#ifdef LOSS_ONLY
#define USER_CODE skip
#else
#define USER_CODE assert(!stopping)
#endif

// kernel_defer(): mpoller_defer(), poller_do()
#define SPAWN \
    if \
    :: mine != NONE && mine == home[next] -> \
        atomic { \
            if \
            :: driver[mine] == me && out[mine] -> ready[mine] ! next \
            :: else -> mine = NONE \
            fi \
        } \
        if \
        :: mine == NONE -> post(home[next], next) \
        :: else \
        fi \
    :: else -> post(home[next], next) \
    fi
#ifndef AFTER0
#define AFTER0 NONE
#endif
#ifndef AFTER1
#define AFTER1 NONE
#endif
#include "pool.pml"

#define draw(j, k) kind[j] = k; spawned[j] = NONE; after[j] = NONE; free[j] = (j > 0)

// A poller that is not yet born is marked, and nobody can give birth to it meanwhile; the others get an order.
inline close() {
    if
    :: atomic { born[p] == 0 -> born[p] = 1 };
        closing[p] = 1;
        born[p] = 0;
#ifndef BUG_CLOSE_WITHOUT_LOOK
        if
        :: nempty(inbox[p]) -> mpoller_birth(p)
        :: empty(inbox[p])
        fi
#endif
    :: atomic { else -> live++; order[p] = 1 }
    fi
}

// Without the last line; `live` is 0 from close() on.
inline all_rest() {
    queued == 0;
    empty(inbox[0]);
    empty(inbox[NP - 1])
}
#ifdef BUG_ORPHANS_UNSEEN
#define AT_REST (!lock && busy == 0)
#else
#define AT_REST (!lock && busy == 0 && empty(orphans))
#endif
#ifdef BUG_TURNS_NOT_COMPARED
#define SAME_TURNS true
#else
#define SAME_TURNS !turned
#endif

init {
    byte w, p;
    bit ok;
    atomic {
        draw(0, K0); long_site[0] = S0; spawned[0] = 1; after[0] = AFTER0;
        draw(1, K1); after[1] = AFTER1;
#if NJ > 2
        draw(2, K2);
#endif
#if NJ > 3
        draw(3, K3);
#endif
#if NP > 1 && defined(FAR) // the deferred at the end go to the other poller
        home[2] = 1;
        home[NJ - 1] = 1;
#elif NP > 1
        do
        :: w < NJ -> home[w] = 1; w++
        :: w < NJ -> w++
        :: else -> break
        od;
        w = 0
#endif
    }
    post(home[0], 0);
    do
    :: p < NP -> close(); p++
    :: else -> break
    od;
    live == 0; // mpoller_wait_empty()
#ifndef BUG_NO_WAIT_REST // wait_rest()
first_look:
    all_rest();
    atomic { AT_REST -> turned = 0; looking = 1 }
#ifndef BUG_ONE_LOOK_FOR_REST
    if
    :: queued == 0
    :: turned -> goto again
    fi;
    if
    :: empty(inbox[0])
    :: turned -> goto again
    fi;
    if
    :: empty(inbox[NP - 1])
    :: turned -> goto again
    fi;
    if
    :: atomic { AT_REST && SAME_TURNS -> looking = 0; turned = 0; goto rested }
    :: turned -> goto again
    fi;
again:
    atomic { looking = 0; turned = 0; goto first_look }
rested:
#else
    looking = 0;
#endif
#endif
    atomic { p = 0; stopping = 1 }
    do // poller_wake()
    :: atomic { p < NP -> signalled[p] = asleep[p]; p++ }
    :: else -> break
    od;
    atomic { // wake_everybody()
        !lock ->
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
    assert(done[0] && done[1] && done[NJ - 1] && done[NJ / 2] && queued == 0 && empty(orphans));
    assert(is_empty(0) && is_empty(NP - 1) && closing[0] && closing[NP - 1])
}
