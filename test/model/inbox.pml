// Weft - model of a poller's inbox and its driver's sleep, above store buffers
// SPDX-License-Identifier: Apache-2.0
//
// poller.c: post(), poller_wake(), wait_time(), poller_fetch(), drain_inbox(). One driver, two posters; each message may
// arm a timer when it is drained. A plain store of `asleep` goes through the driver's store buffer, of one entry, since
// all stores between two of its exchanges write the same 0; exchanges and compare-and-swaps empty it.
// The clock moves only when nobody else can, so a message that is drained later than it was posted was slept over.
#define FOREVER 4

byte clock;
byte arms[2];        // the timer of each message; 0 is none
bit pushed[2], drained[2];
byte inbox;          // how many messages stand in it
bit asleep;          // memory
bit buffered;        // the driver's store buffer holds asleep = 0
bit signal;          // the edge of the eventfd
byte timer = FOREVER; // the wheel's next
byte finished;

inline flush() { asleep = (buffered -> 0 : asleep); buffered = 0 }

proctype StoreBuffer() {
end:
    do
    :: atomic { buffered -> flush() }
    od
}

proctype Poster(byte m) {
    atomic {
        pushed[m] = 1; // post(): the compare-and-swap of the list's head
        inbox++
    }
    if // poller_wake()
    :: asleep ->
        atomic {
            if
            :: asleep -> asleep = 0
            :: else -> goto done
            fi
        }
        signal = 1
    :: else
    fi;
done:
    finished++
}

proctype Driver() {
    byte until, i;
wait_time:
    until = timer;
    if
    :: until <= clock -> goto poll
    :: else
    fi;
#ifdef BUG_PLAIN_PUBLISH // a store would need a buffer with two entries; one that is late shows enough
    do
    :: asleep = 1; break
    :: inbox == 0 -> asleep = 1; goto wait
    od;
#else
    atomic { flush(); asleep = 1 }
#endif
#ifndef BUG_NO_SECOND_LOOK
    if
    :: inbox > 0 -> buffered = 1; goto poll
    :: inbox == 0
    fi;
#endif
wait: // sys_epoll_wait()
end_wait:
    if
    :: signal
    :: until != FOREVER && clock >= until
    fi;
poll:
    atomic { signal = 0; until = 0 }
    if // back in poller_fetch()
    :: buffered || !asleep
    :: atomic { !buffered && asleep -> buffered = 1 }
    fi;
    atomic { // fire_timers()
        if
        :: timer <= clock -> timer = FOREVER
        :: else
        fi
    }
    if // drain_inbox()
    :: inbox == 0
    :: inbox > 0 ->
        atomic {
            flush();
            i = 0;
            do
            :: i < 2 ->
                if
                :: pushed[i] && !drained[i] ->
                    assert(clock == 0);
                    drained[i] = 1; inbox--;
                    if
                    :: arms[i] > clock && arms[i] < timer -> timer = arms[i]
                    :: else
                    fi
                :: else
                fi;
                i++
            :: else -> i = 0; break
            od
        }
    fi;
    goto wait_time
}

// Time passes only when nothing else can happen; the driver must then be asleep with nothing overdue.
proctype Clock() {
end:
    do
    :: atomic { timeout && clock < FOREVER - 1 && timer < FOREVER -> clock++ }
    :: atomic { timeout && !(clock < FOREVER - 1 && timer < FOREVER) -> assert(inbox == 0 && finished == 2); break }
    od
}

init {
    atomic {
        if
        :: arms[0] = 0
        :: arms[0] = 1
        :: arms[0] = 3
        fi;
        if
        :: arms[1] = 0
        :: arms[1] = 2
        fi;
        if // one timer may be armed already
        :: timer = FOREVER
        :: timer = 2
        fi;
        run StoreBuffer(); run Driver(); run Clock(); run Poster(0); run Poster(1)
    }
}
