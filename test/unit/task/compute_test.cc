// Weft - unit tests of go and thread tasks as programs derive them; behaviour rows 50 and 1
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "unit/task/task_support.h"

using namespace tasktest;

namespace {

class Go : public WFGoTask {
public:
    Go(Compute &c, std::function<void()> body)
        : WFGoTask(&c.queue, &c.executor), body_(std::move(body)) {}

private:
    void execute() override { body_(); }
    std::function<void()> body_;
};

class Square : public WFThreadTask<int, long> {
public:
    Square(Compute &c, std::function<void(WFThreadTask<int, long> *)> cb)
        : WFThreadTask<int, long>(&c.queue, &c.executor, std::move(cb)) {}

private:
    void execute() override { this->output = static_cast<long>(this->input) * this->input; }
};

// Row 50: body and callback on one thread of the executor.
TEST(Compute, Row50OneThread) {
    Compute compute(2);
    Event ended;
    std::thread::id body, callback;
    Go *go = new Go(compute, [&] { body = std::this_thread::get_id(); });
    EXPECT_EQ(-1, go->get_state());
    go->set_callback([&](WFGoTask *task) {
        EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
        EXPECT_EQ(0, task->get_error());
        callback = std::this_thread::get_id();
        ended.set();
    });
    go->start();
    ASSERT_TRUE(ended.wait());
    EXPECT_EQ(body, callback);
    EXPECT_NE(std::this_thread::get_id(), callback);
}

TEST(Compute, InputAndOutput) {
    Compute compute(1);
    Event ended;
    Square *task = new Square(compute, [&](WFThreadTask<int, long> *t) {
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
        EXPECT_EQ(49, *t->get_output());
        ended.set();
    });
    EXPECT_EQ(0, *task->get_input()); // a value, not whatever was there
    EXPECT_EQ(0, *task->get_output());
    *task->get_input() = 7;
    task->start();
    ASSERT_TRUE(ended.wait());
    (new Square(compute, nullptr))->dismiss();
}

// An executor that ends: what runs finishes, what waits is ABORTED.
TEST(Compute, EndOfTheExecutor) {
    std::atomic<int> succeeded{0}, aborted{0};
    {
        Compute compute(1);
        Event running, release;
        for (int i = 0; i < 3; i++) {
            Go *go = new Go(compute, [&] {
                running.set();
                release.wait();
            });
            go->set_callback([&](WFGoTask *task) {
                if (task->get_state() == WFT_STATE_ABORTED && task->get_error() == 0) {
                    if (++aborted == 2)
                        release.set();
                } else if (task->get_state() == WFT_STATE_SUCCESS) {
                    succeeded++;
                }
            });
            go->start();
        }
        ASSERT_TRUE(running.wait());
        compute.executor.deinit();
    }
    EXPECT_EQ(1, succeeded.load());
    EXPECT_EQ(2, aborted.load());
}

class ComputeDeathTest : public ::testing::Test {
protected:
    void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

// Row 1, for the other kinds.
TEST_F(ComputeDeathTest, Row1StartInASeries) {
    Compute compute(1);
    Go *go = new Go(compute, nullptr);
    SeriesWork *series = Workflow::create_series_work(go, nullptr);
    EXPECT_DEATH(go->start(), "misuse: WFGoTask::start\\(\\)");
    EXPECT_DEATH(go->dismiss(), "misuse: WFGoTask::dismiss\\(\\)");
    series->dismiss();
}

} // namespace
