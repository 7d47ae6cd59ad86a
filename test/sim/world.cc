// Weft - the simulated machine: clock and scheduler
// SPDX-License-Identifier: Apache-2.0
#include "world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace sim {

World *world;

namespace {

constexpr uint64_t MOST_STEPS = 5000000;
constexpr unsigned SLICE = 3000; // points after which another fiber has its turn in any case
constexpr Time MOST_TIME = 3600 * SEC;

} // namespace

const char *plant_name(Plant plant) {
    static const char *const names[PLANT_COUNT] = {
        "none",          "drop-edge",     "skip-wake",  "forget-write",   "short-read",
        "skip-queue",    "lose-input",    "read-ahead", "deaf-handshake", "lose-cancel",
        "lose-deadline", "lose-grant",    "keep-timer", "keep-datagram",  "keep-pause",
        "lose-backlog",  "admit-refused", "lose-place", "eat-peeked",     "keep-sleeping",
        "release-twice", "lose-piece",    "tell-late",  "lose-handover",  "swap-broadcasts",
        "forget-put-off"};
    return names[plant];
}

// Runs start far apart in time: what the log remembers of one run never changes the next.
World::World(uint64_t seed_in, bool trace_in, Plant plant)
    : seed(seed_in), rng(seed_in), tuning(), begin((seed_in % 100000 + 1) * 10000 * SEC),
      now(begin), tracing_(trace_in), plant_(plant) {
    world = this;
    draw_tuning();
}

World::~World() { world = nullptr; }

void World::draw_tuning() {
    static const unsigned turns[] = {0, 300, 3000, 20000, 100000};
    static const unsigned coarse[] = {2000, 20000, 150000, 500000};
    static const unsigned stalls[] = {0, 0, 20, 300, 2000};
    static const unsigned rare[] = {0, 0, 3000, 30000};
    static const unsigned often[] = {0, 20000, 200000};
    Tuning &t = tuning;
    for (int kind = 0; kind < POINT_COUNT; kind++) {
        t.turn[kind] = kind <= AT_CALL ? rng.pick(turns) : rng.pick(coarse);
        t.stall[kind] = rng.pick(stalls) * (kind >= AT_LEASE ? 30 : 1);
    }
    t.stall_most = rng.spread(10 * US, 40 * MS);
    t.point_cost = rng.between(5, 200);
    t.short_write = rng.pick(often);
    t.full_write = rng.pick(often) / 4;
    t.interrupted = rng.pick(rare);
    t.early_wake = rng.pick(rare);
    t.late_look = rng.percent(60) ? 700000 : 0;
    t.alloc_error = rng.pick(rare);
    t.accept_error = rng.pick(rare);
    t.socket_error = rng.pick(rare);
    t.connect_error = rng.pick(rare);
    t.control_error = rng.pick(rare) / 2;
    t.thread_error = rng.percent(20) ? 300000 : 0;
    t.conn_error = rng.pick(rare);
    t.session_error = rng.pick(rare);
    t.lost_link = rng.pick(often);
    t.delay_most = rng.spread(10 * US, 5 * MS);
    t.tact = rng.percent(50) ? 2 * MS : 0;
    t.window_least = rng.spread(256, 4096);
    t.window_most = rng.spread(t.window_least, 65536);
    t.fd_limit = rng.percent(15) ? static_cast<unsigned>(rng.between(14, 30)) : 1000;
    t.membarrier = rng.percent(50);
}

void World::enter() {
    Context::arrived();
    Fiber *self = world->current_;
    self->body();
    self->body = nullptr;
    self->state = Fiber::DONE;
    if (self->locks)
        world->fail("a thread ended with a lock held");
    world->wake(self, 1000);
    world->trace("ends");
    world->leave(true);
    abort();
}

Fiber *World::spawn(const std::string &name, std::function<void()> body) {
    fibers_.push_back(std::make_unique<Fiber>(enter));
    Fiber *fiber = fibers_.back().get();
    fiber->id = ++last_id_;
    fiber->name = name + "-" + std::to_string(fiber->id);
    fiber->body = std::move(body);
    return fiber;
}

Fiber *World::find(unsigned id) {
    for (auto &fiber : fibers_) {
        if (fiber->id == id)
            return fiber.get();
    }
    return nullptr;
}

void World::reap(Fiber *fiber) {
    for (auto i = fibers_.begin(); i != fibers_.end(); ++i) {
        if (i->get() == fiber) {
            fibers_.erase(i);
            return;
        }
    }
}

void World::leave(bool last) {
    Fiber *self = current_;
    self->saved_errno = errno;
    alone_ = 0;
    Context::change(&self->context, &home_, last);
    errno = self->saved_errno;
}

void World::point(Point kind) {
    if (!current_)
        return;
    now += tuning.point_cost;
    if (++steps_ > MOST_STEPS || now - begin > MOST_TIME)
        fail("this run does not end: %llu steps", static_cast<unsigned long long>(steps_));
    if (next_event_ <= now)
        fire_events();
    unsigned drawn = static_cast<unsigned>(rng.next() % 1000000u);
    if (drawn < tuning.stall[kind]) {
        stall(rng.spread(1, tuning.stall_most));
        return;
    }
    if (drawn < tuning.stall[kind] + tuning.turn[kind] || ++alone_ > SLICE)
        yield();
}

void World::yield() { leave(false); }

void World::stall(Time time) {
    current_->stalled = true;
    nap(time);
    current_->stalled = false;
}

void World::nap(Time time) { wait(current_, now + time); }

bool World::wait(const void *where, Time until) {
    Fiber *self = current_;
    self->where = where;
    self->until = until;
    self->woken = false;
    self->state = Fiber::BLOCKED;
    leave(false);
    return self->woken;
}

void World::wake(const void *where, int count) {
    // Begins somewhere, so that no sleeper is always the first.
    size_t n = fibers_.size(), first = rng.below(n);
    for (size_t i = 0; i < n && count > 0; i++) {
        Fiber *fiber = fibers_[(first + i) % n].get();
        if (fiber->state != Fiber::BLOCKED || fiber->where != where)
            continue;
        fiber->state = Fiber::RUNNABLE;
        fiber->woken = true;
        fiber->until = NEVER;
        count--;
    }
}

void World::at(Time when, std::function<void()> event) {
    events_.emplace(when, std::move(event));
    next_event_ = events_.begin()->first;
}

void World::fire_events() {
    while (!events_.empty() && events_.begin()->first <= now) {
        std::function<void()> event = std::move(events_.begin()->second);
        events_.erase(events_.begin());
        event();
    }
    next_event_ = events_.empty() ? NEVER : events_.begin()->first;
}

void World::wake_sleepers() {
    for (auto &fiber : fibers_) {
        if (fiber->state == Fiber::BLOCKED && fiber->until <= now)
            fiber->state = Fiber::RUNNABLE;
    }
}

Fiber *World::choose() {
    size_t count = 0;
    for (auto &fiber : fibers_)
        count += fiber->state == Fiber::RUNNABLE ? 1 : 0;
    if (count == 0)
        return nullptr;
    size_t nth = count == 1 ? 0 : rng.below(count);
    for (auto &fiber : fibers_) {
        if (fiber->state == Fiber::RUNNABLE && nth-- == 0)
            return fiber.get();
    }
    return nullptr;
}

bool World::is_busy() const {
    for (auto &fiber : fibers_) {
        if (fiber->state == Fiber::RUNNABLE || (fiber->state == Fiber::BLOCKED && fiber->stalled))
            return true;
    }
    return false;
}

size_t World::alive() const {
    size_t n = 0;
    for (auto &fiber : fibers_)
        n += fiber->state != Fiber::DONE ? 1 : 0;
    return n;
}

void World::pass_time() {
    if (when_quiet && !is_busy())
        when_quiet();
    Time next = next_event_;
    for (auto &fiber : fibers_) {
        if (fiber->state == Fiber::BLOCKED && fiber->until < next)
            next = fiber->until;
    }
    if (next == NEVER)
        fail("stuck: no thread can run, and nothing will happen any more");
    if (next > now)
        now = next;
    if (now - begin > MOST_TIME)
        fail("this run does not end");
}

void World::run(std::function<void()> body) {
    Fiber *main = spawn("main", std::move(body));
    while (main->state != Fiber::DONE || alive() > 0) {
        if (next_event_ <= now)
            fire_events();
        wake_sleepers();
        current_ = choose();
        if (!current_) {
            pass_time();
            continue;
        }
        Context::change(&home_, &current_->context, false);
        current_ = nullptr;
    }
    events_.clear();
    fibers_.clear();
}

void World::trace(const char *format, ...) {
    if (!tracing_)
        return;
    int error = errno; // a traced run must go as an untraced one
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printf("%12.3f %-14s %s\n", static_cast<double>(now - begin) / 1000.0,
           current_ ? current_->name.c_str() : "-", text);
    errno = error;
}

void World::dump() {
    static const char *const states[] = {"runnable", "blocked", "done"};
    for (auto &fiber : fibers_) {
        if (fiber->state == Fiber::DONE)
            continue;
        printf("  %-14s %s%s, locks %u", fiber->name.c_str(), states[fiber->state],
               fiber->stalled ? " (stalled)" : "", fiber->locks);
        if (fiber->state == Fiber::BLOCKED && fiber->until != NEVER)
            printf(", until %.3f us", static_cast<double>(fiber->until - begin) / 1000.0);
        printf("\n");
    }
}

void World::fail(const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printf("sim: seed %llu failed after %.3f us, step %llu, in %s: %s\n",
           static_cast<unsigned long long>(seed), static_cast<double>(now - begin) / 1000.0,
           static_cast<unsigned long long>(steps_),
           current_ ? current_->name.c_str() : "the scheduler", text);
    dump();
    if (when_failed)
        when_failed();
    fflush(stdout);
    _exit(2);
}

} // namespace sim
