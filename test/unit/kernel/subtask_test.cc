// Weft - tasks that end at once: order, parallel ones, and the depth of the stack
// SPDX-License-Identifier: Apache-2.0
#include "kernel_support.h"

namespace {

using namespace kt;

// Ends at once; then `after` decides what follows.
class Step : public SubTask {
public:
    explicit Step(std::function<SubTask *()> after) : after_(std::move(after)) {}
    void dispatch() override { this->subtask_done(); }

private:
    SubTask *done() override {
        auto after = std::move(after_);
        delete this;
        return after();
    }
    std::function<SubTask *()> after_;
};

class Both : public ParallelTask {
public:
    Both(SubTask **tasks, size_t n, std::function<SubTask *()> after)
        : ParallelTask(tasks, n), after_(std::move(after)) {}

private:
    SubTask *done() override {
        auto after = std::move(after_);
        delete this;
        return after();
    }
    std::function<SubTask *()> after_;
};

TEST(SubTaskTest, ATaskThatEndsAtOnceHasRunItsCallbackBeforeDispatchReturns) {
    bool called = false;
    (new Step([&] {
        called = true;
        return nullptr;
    }))->dispatch();
    EXPECT_TRUE(called);
}

TEST(SubTaskTest, ThePointerIsKept) {
    Step *step = new Step([] { return nullptr; });
    EXPECT_EQ(step->get_pointer(), nullptr);
    step->set_pointer(step);
    EXPECT_EQ(step->get_pointer(), step);
    step->dispatch();
}

TEST(SubTaskTest, AParallelWithoutChildrenEndsAtOnce) {
    bool called = false;
    (new Both(nullptr, 0, [&]() -> SubTask * {
        called = true;
        return nullptr;
    }))->dispatch();
    EXPECT_TRUE(called);
}

TEST(SubTaskTest, AParallelEndsAfterItsChildrenAndWhatFollowsThem) {
    std::string order;
    SubTask *children[3];
    for (SubTask *&child : children)
        child = new Step([&]() -> SubTask * {
            order += 'a';
            return new Step([&]() -> SubTask * {
                order += 'b';
                return nullptr;
            });
        });
    (new Both(children, 3, [&]() -> SubTask * {
        order += 'p';
        return new Step([&]() -> SubTask * {
            order += 'z';
            return nullptr;
        });
    }))->dispatch();
    EXPECT_EQ(order, "abababpz");
}

// A million tasks that end at once, from one callback: the stack does not grow with them.
TEST(SubTaskTest, AChainOfAMillionRunsInConstantStack) {
    CommScheduler sched;
    ASSERT_EQ(sched.init(1, 4), 0);
    Latch done;
    int left = 1000000;
    uintptr_t lowest = UINTPTR_MAX, start = 0;
    std::function<SubTask *()> next = [&]() -> SubTask * {
        // Not the address of a local: a sanitizer may keep locals elsewhere.
        uintptr_t address = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
        lowest = std::min(lowest, address);
        if (--left > 0)
            return new Step(next);
        done.down();
        return nullptr;
    };
    (new Timer(&sched, 0, [&](Timer *) {
        start = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
        (new Step(next))->dispatch();
        // As long as it went on this stack, it took no more than some dozen frames of it.
        EXPECT_LT(start - lowest, 128u * 1024);
    }))->dispatch();
    EXPECT_TRUE(done.wait());
    sched.deinit();
    EXPECT_EQ(left, 0);
}

// Each task's callback starts the next one itself: that goes some way down the stack, and then on
// elsewhere. Each stack has its own depth: what was handed over may run before this one unwinds.
thread_local int depth;

TEST(SubTaskTest, NestedStartsAreHandedOver) {
    CommScheduler sched;
    ASSERT_EQ(sched.init(2, 4), 0);
    Latch done;
    std::atomic<int> left{100000};
    std::atomic<int> deepest{0};
    std::function<SubTask *()> next = [&]() -> SubTask * {
        int now = ++depth;
        for (int seen = deepest; now > seen && !deepest.compare_exchange_weak(seen, now);) {}
        if (--left > 0)
            (new Step(next))->dispatch();
        else
            done.down();
        depth--;
        return nullptr;
    };
    (new Timer(&sched, 0, [&](Timer *) { (new Step(next))->dispatch(); }))->dispatch();
    EXPECT_TRUE(done.wait());
    sched.deinit();
    EXPECT_EQ(left, 0);
    EXPECT_LE(deepest, WORKER_MAX_DEPTH + 1);
}

// Without a worker there is a hook; it is asked only when the stack has become deep.
std::atomic<int> hook_calls;
Communicator *hook_target;

TEST(SubTaskTest, OffTheWorkersTheHookTakesDeepChains) {
    CommScheduler sched;
    ASSERT_EQ(sched.init(1, 4), 0);
    hook_target = sched.get_communicator();
    hook_calls = 0;
    kernel_set_defer([](struct weft_job *job) {
        hook_calls++;
        hook_target->defer(job);
        return true;
    });
    Latch done;
    std::atomic<int> left{10000};
    std::function<SubTask *()> next = [&]() -> SubTask * {
        if (--left > 0)
            (new Step(next))->dispatch();
        else
            done.down();
        return nullptr;
    };
    (new Step(next))->dispatch();
    EXPECT_TRUE(done.wait());
    EXPECT_GE(hook_calls, 1);
    kernel_set_defer(nullptr);
    sched.deinit();
}

} // namespace
