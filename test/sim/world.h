// Weft - the simulated machine: clock, scheduler, and the points where a schedule may turn
// SPDX-License-Identifier: Apache-2.0
//
// Time stands still while fibers run, but for a little that each point costs; when no fiber can run
// it jumps to the next thing that will happen. Which fiber runs next, and where the present one is
// interrupted, is drawn. A fiber that is interrupted may also *stall*: lose its processor, or be
// stuck in user code, for a while of simulated time. When nothing can run and nobody is stalled the
// machine is *quiet*: whatever could be done must have been done, and the checks of checks.h say
// whether it was.
#ifndef WEFT_TEST_SIM_WORLD_H
#define WEFT_TEST_SIM_WORLD_H

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fiber.h"
#include "random.h"

namespace sim {

using Time = uint64_t; // ns

constexpr Time NEVER = UINT64_MAX;
constexpr Time US = 1000;
constexpr Time MS = 1000000;
constexpr Time SEC = 1000000000;

enum Point { AT_ATOMIC, AT_CALL, AT_LOCK, AT_UNLOCK, AT_LEASE, AT_USER, POINT_COUNT };

// A fault built into the simulated system or around the kernel on purpose, to see that it is found.
enum Plant {
    NO_PLANT,
    DROP_EDGE,
    SKIP_WAKE,
    FORGET_WRITE,
    SHORT_READ,
    SKIP_QUEUE,
    LOSE_INPUT,
    READ_AHEAD,
    DEAF_HANDSHAKE,
    LOSE_CANCEL,
    LOSE_DEADLINE,
    LOSE_GRANT,
    KEEP_TIMER,
    KEEP_DATAGRAM,
    KEEP_PAUSE,
    LOSE_BACKLOG,
    ADMIT_REFUSED,
    LOSE_PLACE,
    EAT_PEEKED,
    KEEP_SLEEPING,
    RELEASE_TWICE,
    LOSE_PIECE,
    TELL_LATE,
    LOSE_HANDOVER,
    SWAP_BROADCASTS,
    FORGET_PUT_OFF,
    PLANT_COUNT
};
const char *plant_name(Plant plant);

// How hostile this run is; chances in parts of a million per occasion.
struct Tuning {
    unsigned turn[POINT_COUNT];  // another fiber goes on
    unsigned stall[POINT_COUNT]; // this one loses its processor
    Time stall_most;
    Time point_cost;
    unsigned short_write, full_write, interrupted, early_wake;
    unsigned late_look; // whoever waits for events wakes when there are more
    unsigned alloc_error, accept_error, socket_error, connect_error, control_error, thread_error,
        conn_error, session_error;
    unsigned lost_link; // per connection: it breaks at some moment
    Time delay_most;    // of the network
    Time tact;          // arrivals are at its multiples, many at the same time; 0: whenever
    size_t window_least, window_most;
    unsigned fd_limit;
    bool membarrier;
};

class World {
public:
    World(uint64_t seed, bool trace, Plant plant);
    ~World();

    // Runs fibers until `body` has returned and every fiber has ended.
    void run(std::function<void()> body);

    Fiber *spawn(const std::string &name, std::function<void()> body);
    Fiber *current() { return current_; }
    Fiber *find(unsigned id);
    void reap(Fiber *fiber);

    // Here the schedule may turn. Nothing outside of fibers.
    void point(Point kind);
    void yield();
    // Lets time pass: asleep, and so not in the way of being quiet; or stalled.
    void nap(Time time);
    void stall(Time time);
    // Sleeps until woken, at most until `until`; false when that came first.
    bool wait(const void *where, Time until);
    void wake(const void *where, int count);
    // Calls back at that time, from whatever fiber runs then; never switches.
    void at(Time when, std::function<void()> event);

    bool is_busy() const; // a fiber can run, or is stalled
    size_t alive() const;

    [[noreturn]] __attribute__((format(printf, 2, 3))) void fail(const char *format, ...);
    __attribute__((format(printf, 2, 3))) void trace(const char *format, ...);
    bool tracing() const { return tracing_; }
    bool planted(Plant plant) { return plant_ == plant; }

    const uint64_t seed;
    Random rng;
    Tuning tuning;
    Time begin;
    Time now;
    bool ending = false; // the program is done; scripted peers leave
    std::function<void()> when_quiet;
    std::function<void()> when_failed; // tells more

private:
    static void enter();
    void draw_tuning();
    void fire_events();
    void leave(bool last);
    void wake_sleepers();
    void pass_time();
    Fiber *choose();
    void dump();

    Context home_;
    Fiber *current_ = nullptr;
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::multimap<Time, std::function<void()>> events_;
    Time next_event_ = NEVER;
    unsigned last_id_ = 0;
    uint64_t steps_ = 0;
    unsigned alone_ = 0; // points since the last switch
    bool tracing_;
    Plant plant_;
};

extern World *world; // the present run's

} // namespace sim

#endif
