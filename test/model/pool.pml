// Weft - model of the worker pool: duties, permits, queue, orphans, known waits, relay and the way out
// SPDX-License-Identifier: Apache-2.0
//
// Included by permits.pml and exit.pml, which define NP (pollers), NW (threads that the system would ever make), NJ
// (jobs), H (handler_threads) and add the processes that bring work. What lease.pml and inbox.pml prove is taken for
// granted here: taking and losing a lease is one step, and a driver that sleeps wakes for a message.
//
// Both define TURN_ODD and TURN_EVEN (worker.turn), SLEEP, AWAKE, CLOSE and AFTER_INBOX (the steps of poller_fetch()),
// USER_CODE and SPAWN; in permits.pml, where nobody stops the pool, most of them do nothing.
//
// A section under mpoller.lock is one atomic step that waits for `lock` to be free; pool_queue() holds the lock over two
// steps, since its order of counting and reading matters to those who hold no lock.
#define NONE 255
#ifdef FALSE_RELAYS // the watch may take any poller that is out, else only those in user code that blocks
#define RELAY_IF(x)
#else
#define RELAY_IF(x) && x
#endif
#define FREE(j) (free[j] || kind[j] == APPENDS)
#define LIMIT (H + 2 * NP + 1 + waiting) // worker_limit()

mtype = { SHORT, BLOCKS, WAITS, YIELDS, APPENDS }; // YIELDS: a declared wait for something that is already there

mtype kind[NJ];    // what the job's user code does
bit long_site[NJ]; // its site is queued
byte home[NJ];     // the poller it arrives on
bit done[NJ];
byte spawned[NJ];  // the job that its user code defers at first, NONE for none
byte after[NJ];    // the same, at its end
bit free[NJ];      // was deferred, so asks for no permit

short permits = H;
byte queued;
chan queue = [NJ] of { byte };
bit lock;
chan orphans = [NP] of { byte }; // the code's list is last in, first out: see take_orphan()
byte idle_count;
bit idle[NW]; // the code's list is last in, first out; who is called makes no difference, so the lowest is
bit woken[NW]; // worker.wake moved on since the worker looked
byte called, workers, waiting;
byte watch = NONE;
bit watch_called, stopping;

chan inbox[NP] = [NJ] of { byte }; // what another thread posted
chan ready[NP] = [NJ] of { byte };
bit born[NP];
byte driver[NP] = NONE;
bit out[NP];
bit stuck[NP];
byte running;  // ghost: callbacks that run under a permit and never waited
byte departed; // threads that ended

#define is_empty(p) (len(inbox[p]) == 0 && len(ready[p]) == 0)

// Needs the lock. `ok` is false when nobody can be had.
inline pool_call_worker(ok) {
    ok = true;
    if
    :: idle_count > 0 ->
        do
        :: idle[w] -> break
        :: else -> w++
        od;
        idle[w] = 0; idle_count--; called++; woken[w] = 1
    :: else ->
        if
        :: called > 0
        :: else ->
            if
            :: workers < LIMIT && started < NW -> // start_worker()
                run Worker(started); started++; workers++; called++; TURN_ODD
            :: else ->
                if
                :: watch == NONE -> ok = false
                :: else -> watch_called = 1
                fi
            fi
        fi
    fi;
    w = 0
}

#ifdef BUG_NO_WATCH_FOR_QUEUE
#define NO_WATCH(taken) (watch == NONE && taken == 0)
#else
#define NO_WATCH(taken) (watch == NONE)
#endif
inline call_for_rest(taken) {
    if
    :: len(orphans) > 0 || (queued > taken && permits > 0) || NO_WATCH(taken) -> pool_call_worker(ok); ok = 0
    :: else
    fi
}

inline take_orphan() {
    orphans ? mine;
    if
    :: nempty(orphans) -> orphans ! mine; orphans ? mine // the newer of two
    :: empty(orphans)
    fi
}

inline mpoller_birth(p) {
    if
    :: atomic { born[p] == 0 -> born[p] = 1 };
        atomic { !lock -> orphans ! p; pool_call_worker(ok); ok = 0 }
    :: atomic { else }
    fi
}

// poller_do() by a thread that does not drive the poller.
inline post(p, j) {
    inbox[p] ! j;
    mpoller_birth(p)
}

inline pool_give_away(p) {
    atomic { !lock -> driver[p] = NONE; orphans ! p; pool_call_worker(ok); ok = 0 }
}

#ifdef BUG_READ_PERMITS_FIRST
inline pool_queue(j) {
    atomic { !lock -> lock = 1; ok = permits > 0 };
    atomic {
        queue ! j; queued++;
        if
        :: ok -> pool_call_worker(ok)
        :: else
        fi;
        ok = 0; lock = 0
    }
}
#else
inline pool_queue(j) {
    atomic { !lock -> lock = 1; queue ! j; queued++ };
    atomic {
        if
        :: permits > 0 -> pool_call_worker(ok); ok = 0
        :: else
        fi;
        lock = 0
    }
}
#endif

// Sets `job`, NONE when the queue is empty.
inline pool_take_queued() {
    atomic {
        !lock ->
        if
        :: queue ? job -> queued--
        :: empty(queue) -> job = NONE
        fi
    }
}

inline pool_call_for_queue() {
    if
    :: queued == 0
    :: else ->
        atomic {
            !lock ->
            if
            :: queued > 0 -> pool_call_worker(ok); ok = 0
            :: else
            fi
        }
    fi
}

// The load and the compare-and-swap of take_permit() retry until one step would have done.
inline try_permit() { // take_permit()
    if
    :: !permit && permits > 0 -> permits--; permit = 1
    :: else
    fi
}

inline lay_down_permit() {
    if
    :: atomic { permit -> permit = 0; permits++ }
    :: else
    fi
}

inline try_lease() { // lease_take_back()
    if
    :: driver[mine] == me && out[mine] -> out[mine] = 0; stuck[mine] = 0
    :: else -> mine = NONE
    fi
}

// What a job waits for: all that came after it.
#define later_done(j) (((j) >= 0 || done[0]) && ((j) >= 1 || NJ < 2 || done[1 % NJ]) && \
    ((j) >= 2 || NJ < 3 || done[2 % NJ]) && ((j) >= 3 || NJ < 4 || done[3 % NJ]))

inline take_over() {
    driver[mine] = me; out[mine] = 0; stuck[mine] = 0; watch = NONE;
#ifndef BUG_WATCH_TAKES_AT_REST
    TURN_ODD; // with the lease, under the lock
#endif
    pool_call_worker(ok); ok = 0
}

proctype Worker(byte me) {
    byte mine = NONE; // worker.poller
    byte job = NONE;
    byte next = NONE; // the job being deferred
    byte w;
    bit permit, owed, greeted, ok, off_lease;
    // off_lease: the job runs in run_queued(), not in drive()

worker_main:
#ifdef BUG_QUEUE_BEFORE_GREETING
    if
    :: queued > 0 -> goto run_queued
    :: else
    fi;
#else
    if
    :: greeted && queued > 0 -> goto run_queued
    :: !greeted || queued == 0
    fi;
#endif
stand_by:
    lay_down_permit();
    if // pool_arrive()
    :: atomic {
            !greeted && !lock -> greeted = 1;
            if
            :: called > 0 -> called--
            :: else
            fi
        }
    :: greeted
    fi;
    atomic { !lock -> goto find_duty }
find_duty: // holds the lock in effect: every way here is within one atomic step
    atomic {
        if
        :: nempty(orphans) -> take_orphan(); driver[mine] = me; out[mine] = 0; call_for_rest(0); goto drive
        :: empty(orphans) && queued > 0 && permits > 0 -> call_for_rest(1); goto worker_main
        :: empty(orphans) && !(queued > 0 && permits > 0) && stopping -> departed++; goto leave
        :: empty(orphans) && !(queued > 0 && permits > 0) && !stopping
        fi;
        TURN_EVEN;
        if
        :: watch == NONE -> watch = me; watch_called = 0; goto watch_run
        :: else -> woken[me] = 0; idle[me] = 1; idle_count++; goto wait_idle
        fi
    }
wait_idle:
end_idle:
    atomic {
        woken[me] && !lock -> woken[me] = 0; TURN_ODD;
        if
        :: called > 0 -> called--
        :: else
        fi;
        goto find_duty
    }
watch_run:
end_watch: // lease.pml shows that it sees whoever is stuck; here it may take any poller that is out
    if
    :: atomic { (stopping || watch_called) && !lock -> TURN_ODD; watch = NONE; goto find_duty }
    :: atomic { !lock && out[0] RELAY_IF(stuck[0]) -> mine = 0; take_over() }
#if NP > 1
    :: atomic { !lock && out[1] RELAY_IF(stuck[1]) -> mine = 1; take_over() }
#endif
    fi;
#ifdef BUG_WATCH_TAKES_AT_REST
    atomic { TURN_ODD }
#endif
    atomic { !lock -> call_for_rest(0) } // pool_stand_by()

drive:
    if
    :: mine == NONE -> goto worker_main
    :: mine != NONE && len(ready[mine]) > 0 ->
        atomic {
            ready[mine] ? job; out[mine] = 1; off_lease = 0;
            if
            :: FREE(job) -> goto user_code // a deferred job, or the program's parser: no permit asked
            :: else -> goto deliver
            fi
        }
    :: mine != NONE && len(ready[mine]) == 0 -> goto before_sleep
    fi;
before_sleep:
    lay_down_permit();
another_look:
    if
    :: queued == 0 -> goto fetch
    :: else
    fi;
    atomic { try_permit() }
    if
    :: !permit -> goto fetch
    :: permit -> pool_take_queued()
    fi;
    if
    :: job != NONE -> atomic { out[mine] = 1; off_lease = 0; goto user_code }
    :: else
    fi;
    lay_down_permit();
#ifndef BUG_ONE_LOOK
    goto another_look;
#endif
fetch: // poller_fetch(); a driver without anything to do sleeps here
    SLEEP;
end_fetch:
    atomic {
        AWAKE ->
        CLOSE;
        do
        :: inbox[mine] ? job -> ready[mine] ! job
        :: empty(inbox[mine]) -> break
        od;
        job = NONE
    }
    AFTER_INBOX;
    atomic {
        if
        :: !(stopping && is_empty(mine)) -> goto drive
        :: else -> mine = NONE; goto worker_main
        fi
    }

deliver: // mpoller_deliver()
    atomic {
        if
        :: !long_site[job] -> try_permit();
            if
            :: permit -> goto user_code
            :: else
            fi
        :: else
        fi
    }
    pool_queue(job);
    atomic { job = NONE; goto item_done }

user_code:
    atomic {
        USER_CODE;
        if
        :: !FREE(job) -> assert(permit); running++; assert(running <= H)
        :: else
        fi;
        if
        :: spawned[job] != NONE -> next = spawned[job]; goto spawn
        :: else
        fi
    }
spawned_it:
    if
    :: kind[job] == SHORT
    :: kind[job] == BLOCKS || kind[job] == APPENDS ->
        atomic {
            if
            :: mine != NONE && driver[mine] == me -> stuck[mine] = 1
            :: else
            fi
        }
        later_done(job)
    :: kind[job] == WAITS || kind[job] == YIELDS -> // worker_wait_begin()
        atomic {
            waiting++;
            if
            :: !FREE(job) -> running--
            :: else
            fi
        }
        if
        :: mine != NONE && out[mine] ->
            atomic { try_lease() }
            if
            :: mine != NONE -> pool_give_away(mine); mine = NONE
            :: else
            fi
        :: else
        fi;
        if
        :: permit -> owed = 1; lay_down_permit(); pool_call_for_queue()
        :: else
        fi;
        atomic { // worker_wait_end()
            kind[job] == YIELDS || later_done(job) -> waiting--;
            if
            :: owed -> owed = 0; permits--; permit = 1
            :: else
            fi
        }
    fi;
    if
    :: after[job] != NONE -> next = after[job]; goto spawn
    :: else
    fi;
user_code_done:
    atomic {
        if
        :: !FREE(job) && kind[job] != WAITS && kind[job] != YIELDS -> running--
        :: else
        fi;
        done[job] = 1; job = NONE
    }
item_done:
    atomic {
        if
        :: off_lease -> off_lease = 0; goto run_queued
        :: !off_lease && mine != NONE -> try_lease()
        :: else
        fi;
        goto drive
    }

run_queued:
    atomic { try_permit() }
    if
    :: !permit -> goto stand_by
    :: permit -> pool_take_queued()
    fi;
    if
    :: job == NONE -> goto stand_by
    :: else -> off_lease = 1; goto user_code
    fi;
spawn:
    SPAWN;
    if
    :: atomic { next == spawned[job] -> next = NONE; goto spawned_it }
    :: atomic { else -> next = NONE; goto user_code_done }
    fi;
leave:
    skip
}
