// Weft - fibers: the threads of the simulator
// SPDX-License-Identifier: Apache-2.0
//
// One system thread runs them all; a fiber gives the processor up only by switching to the
// scheduler's context. Stacks are taken from a pool and are large, since the kernel puts its send
// vectors on the stack.
#ifndef WEFT_TEST_SIM_FIBER_H
#define WEFT_TEST_SIM_FIBER_H

#include <functional>
#include <stddef.h>
#include <stdint.h>
#include <string>

struct SubTaskFrame;
struct worker;

namespace sim {

// A stack and where its execution stands.
class Context {
public:
    // The context of the caller itself: only a place to come back to.
    Context();
    // Will begin in entry(), which must not return.
    explicit Context(void (*entry)());
    ~Context();
    Context(const Context &) = delete;
    Context &operator=(const Context &) = delete;

    // Leaves `from`, which is the present one, for `to`. With `last`, `from` is never entered
    // again.
    static void change(Context *from, Context *to, bool last);
    // The first thing entry() does.
    static void arrived();

private:
    void *sp_;
    char *stack_;
    // What AddressSanitizer wants to know; unused without it.
    [[maybe_unused]] void *fake_stack_;
    [[maybe_unused]] const void *bottom_;
    [[maybe_unused]] size_t size_;
};

struct Fiber {
    enum State { RUNNABLE, BLOCKED, DONE };

    std::string name;
    std::function<void()> body;
    Context context;
    unsigned id = 0;
    State state = RUNNABLE;
    const void *where = nullptr; // what it waits for
    uint64_t until = UINT64_MAX; // and how long
    bool woken = false;
    bool stalled =
        false; // does nothing and tells nobody: a thread without a processor, or stuck in user code
    bool detached = false;
    // What the system keeps for each thread.
    int saved_errno = 0;
    struct worker *self = nullptr;
    uint32_t depth = 0;
    const void *serving = nullptr;
    struct SubTaskFrame *task_frame = nullptr;
    const void *trace_origin = nullptr;
    unsigned locks = 0; // held now
    uint64_t clock = 0; // when it last looked

    explicit Fiber(void (*entry)()) : context(entry) {}
};

} // namespace sim

#endif
