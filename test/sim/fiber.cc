// Weft - fibers: switching stacks
// SPDX-License-Identifier: Apache-2.0
#include "fiber.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(SIM_ASAN)
#define SIM_ASAN 1
#endif

#ifdef SIM_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace sim {

namespace {

constexpr size_t STACK = 4u << 20; // only what is touched costs memory
constexpr size_t GUARD = 4096;
constexpr int POOL = 64;

char *pool[POOL];
int pooled;

char *take_stack() {
    if (pooled > 0)
        return pool[--pooled];
    void *p = mmap(nullptr, STACK, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        perror("sim: no stack");
        exit(3);
    }
    mprotect(p, GUARD, PROT_NONE);
    return static_cast<char *>(p);
}

void give_stack(char *stack) {
#ifdef SIM_ASAN
    // The frames of a fiber that ended were left, not returned from.
    __asan_unpoison_memory_region(stack + GUARD, STACK - GUARD);
#endif
    if (pooled < POOL)
        pool[pooled++] = stack;
    else
        munmap(stack, STACK);
}

Context *leaving; // whose stack the switch under way comes from

} // namespace

#if defined(__x86_64__)

// Saves what a call preserves, exchanges the stacks, and returns on the other one.
extern "C" void sim_switch_stack(void **save, void *load);
asm(".text\n"
    ".globl sim_switch_stack\n"
    ".type sim_switch_stack, @function\n"
    "sim_switch_stack:\n"
    "    pushq %rbp\n"
    "    pushq %rbx\n"
    "    pushq %r12\n"
    "    pushq %r13\n"
    "    pushq %r14\n"
    "    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n"
    "    popq %r14\n"
    "    popq %r13\n"
    "    popq %r12\n"
    "    popq %rbx\n"
    "    popq %rbp\n"
    "    ret\n"
    ".size sim_switch_stack, .-sim_switch_stack\n");

namespace {

void *prepare(char *stack, void (*entry)()) {
    void **sp = reinterpret_cast<void **>(stack + STACK);
    *--sp = nullptr; // where entry() would return to; also aligns as a call does
    *--sp = reinterpret_cast<void *>(entry);
    for (int i = 0; i < 6; i++)
        *--sp = nullptr;
    return sp;
}

void exchange(void **save, void *load) { sim_switch_stack(save, load); }

void forget(void *) {}

} // namespace

#else

namespace {

void *prepare(char *stack, void (*entry)()) {
    ucontext_t *c = static_cast<ucontext_t *>(calloc(1, sizeof *c));
    getcontext(c);
    c->uc_stack.ss_sp = stack + GUARD;
    c->uc_stack.ss_size = STACK - GUARD;
    makecontext(c, entry, 0);
    return c;
}

void exchange(void **save, void *load) {
    if (!*save)
        *save = calloc(1, sizeof(ucontext_t));
    swapcontext(static_cast<ucontext_t *>(*save), static_cast<ucontext_t *>(load));
}

void forget(void *sp) { free(sp); }

} // namespace

#endif

Context::Context()
    : sp_(nullptr), stack_(nullptr), fake_stack_(nullptr), bottom_(nullptr), size_(0) {}

Context::Context(void (*entry)())
    : sp_(nullptr), stack_(take_stack()), fake_stack_(nullptr), bottom_(stack_ + GUARD),
      size_(STACK - GUARD) {
    sp_ = prepare(stack_, entry);
}

Context::~Context() {
    forget(sp_);
    if (stack_)
        give_stack(stack_);
}

void Context::arrived() {
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &leaving->bottom_, &leaving->size_);
#endif
}

void Context::change(Context *from, Context *to, bool last) {
    leaving = from;
#ifdef SIM_ASAN
    __sanitizer_start_switch_fiber(last ? nullptr : &from->fake_stack_, to->bottom_, to->size_);
#else
    (void)last;
#endif
    exchange(&from->sp_, to->sp_);
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack_, &leaving->bottom_, &leaving->size_);
#endif
}

} // namespace sim
