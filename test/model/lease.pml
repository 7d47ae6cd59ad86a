// Weft - model of the lease: let-go, take-back, poller_do's retake, relay, and the watch that falls asleep
// SPDX-License-Identifier: Apache-2.0
//
// worker.h: lease_let_out(), lease_take_back(); poller.c: poller_do(); watch.c: look(), take_over(),
// sleep_until_let_go(), mpoller_wake_watch(). Two pollers, one with ITEMS items; of four workers one may
// always watch, as permits.pml shows. A let-go's plain store goes through its worker's store buffer; compare-and-swaps,
// exchanges and futex calls empty it, and so does sys_membarrier() for everybody.
//
// An item is short, calls poller_do(), or is stuck until its poller was taken. With a stuck item and a watch that slept
// through its let-go the model stops in an invalid end state. Never may two hold one poller (assertion), and each item
// and order runs once.
#define NP 2
#ifndef ITEMS
#define ITEMS 2
#endif
#define NW 4
#define NONE 15
#define WORD(epoch, is_out) ((epoch) * 2 + (is_out))
#define IS_OUT(word) ((word) % 2)

byte lease[NP];       // memory
byte buffer[NW];      // worker w's store on its way, of the poller it drives
bit buffered[NW];
byte at[NW] = NONE;   // which poller the buffered word belongs to
bit asleep;           // watch_asleep
bit wake;             // the watch's futex word moved on since `called` was read
byte hand[NP] = NONE; // ghost: who holds it
byte items[NP];       // of the poller: items not yet begun
byte inbox[NP];
byte orders;          // ghost: given and not yet run
byte called;          // duties for standbys: 1 = be the watch
bit watching;

inline flush(w) {
    if
    :: buffered[w] -> lease[at[w]] = buffer[w]; buffered[w] = 0; at[w] = NONE; buffer[w] = 0
    :: else
    fi
}

active proctype StoreBuffers() {
end:
    do
    :: atomic { buffered[0] -> flush(0) }
    :: atomic { buffered[1] -> flush(1) }
    :: atomic { buffered[2] -> flush(2) }
    :: atomic { buffered[3] -> flush(3) }
    od
}

inline let_out(e) {
    atomic {
        hand[mine] = NONE; epoch = e;
        flush(me);
#ifdef EXCHANGE // pool->asymmetric is false
        lease[mine] = WORD(e, 1)
#else
        buffered[me] = 1; buffer[me] = WORD(e, 1); at[me] = mine
#endif
    }
    if
    :: atomic { asleep -> flush(me); asleep = 0 } // mpoller_wake_watch()
        wake = 1
    :: !asleep
    fi
}

// Leaves `mine` NONE when the poller was taken.
inline take_back() {
    atomic {
        flush(me);
        if
        :: lease[mine] == WORD(epoch, 1) ->
            lease[mine] = WORD(epoch, 0);
            assert(hand[mine] == NONE);
            hand[mine] = me
        :: else -> mine = NONE
        fi;
        epoch = 0
    }
}

proctype Worker(byte me; byte mine) {
    byte epoch, p, word, seen[NP];
    bit moved;
    if
    :: mine == NONE -> goto stand_by
    :: else -> assert(hand[mine] == NONE); hand[mine] = me
    fi;
drive:
end_asleep:
    if
    :: atomic { mine != NONE && inbox[mine] > 0 -> orders = orders - inbox[mine]; inbox[mine] = 0 }
    :: atomic { mine != NONE && inbox[mine] == 0 && items[mine] > 0 -> items[mine]-- }
        p = mine;
        let_out(lease[mine] / 2 + 1);
        if
        :: skip // a short item
        :: orders++;
            take_back(); // poller_do()
            if
            :: mine != NONE -> orders--; let_out(lease[mine] / 2) // the same epoch
            :: else -> inbox[p]++ // post()
            fi
        :: true -> !buffered[me] && lease[p] != WORD(epoch, 1) // stuck until it is robbed
        fi;
        p = 0;
        if
        :: mine != NONE -> take_back()
        :: else
        fi
    :: mine == NONE -> goto stand_by
    fi;
    goto drive;

stand_by:
end_stand_by:
    atomic { called > 0 -> called--; assert(!watching); watching = 1; seen[0] = 255; seen[1] = 255 }
watch:
    wake = 0; // `called` is read
    moved = 0;
    p = 0;
look:
    word = lease[p];
    if
    :: word != seen[p] || IS_OUT(word) -> moved = 1
    :: else
    fi;
    if
    :: word == seen[p] && IS_OUT(word) ->
        atomic {
            if
            :: lease[p] == word -> // take_over()
                lease[p] = WORD(word / 2 + 1, 0);
                assert(hand[p] == NONE);
                hand[p] = me; mine = p; watching = 0; called++;
                word = 0; seen[0] = 0; seen[1] = 0; moved = 0; p = 0;
                goto drive
            :: else
            fi
        }
    :: else
    fi;
    seen[p] = word;
    word = 0;
    if
    :: p + 1 < NP -> p++; goto look
    :: else
    fi;
    if
    :: moved -> goto watch
    :: !moved // a second has passed like this: fall asleep; else look again, which changes nothing
    fi;
    atomic { flush(me); asleep = 1 }
#ifndef EXCHANGE
#ifndef BUG_NO_MEMBARRIER
    atomic { flush(0); flush(1); flush(2); flush(3) }
#endif
#endif
#ifndef BUG_NO_LAST_LOOK
    if
    :: IS_OUT(lease[0]) -> goto awake
    :: !IS_OUT(lease[0])
    fi;
    if
    :: IS_OUT(lease[1]) -> goto awake
    :: !IS_OUT(lease[1])
    fi;
#endif
end_futex:
    wake;
awake:
    asleep = 0;
    goto watch
}

init {
    atomic {
        items[0] = ITEMS; items[1] = 1;
        called = 1;
        run Worker(0, 0); run Worker(1, 1);
        run Worker(2, NONE); run Worker(3, NONE)
    }
}
