// Weft - integration: what the tests of handles and deadlines share
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_TEST_INTEGRATION_CUT_SUPPORT_H
#define WEFT_TEST_INTEGRATION_CUT_SUPPORT_H

#include <atomic>

#include <gtest/gtest.h>

#include "compat/support.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/handle.h"

namespace cut {

using compat::Event;

constexpr int FOREVER = -1;

// How a task ended.
struct End {
    Event event;
    int state = WFT_STATE_UNDEFINED;
    int error = 0;

    template <class TASK>
    std::function<void(TASK *)> here() {
        return [this](TASK *task) {
            state = task->get_state();
            error = task->get_error();
            event.set();
        };
    }
    void expect(int error_wanted) {
        ASSERT_TRUE(event.wait());
        EXPECT_EQ(WFT_STATE_SYS_ERROR, state);
        EXPECT_EQ(error_wanted, error);
        EXPECT_EQ(1, event.count());
    }
};

inline WFTimerTask *timer(End *end) {
    return WFTaskFactory::create_timer_task(FOREVER, 0, end->here<WFTimerTask>());
}

// Two series, each with a timer and one task behind it.
inline ParallelWork *twins(End *ends, std::atomic<int> *ran, std::atomic<int> *series_ended,
                           parallel_callback_t callback) {
    ParallelWork *parallel = Workflow::create_parallel_work(std::move(callback));
    for (int i = 0; i < 2; i++) {
        SeriesWork *series = Workflow::create_series_work(
            timer(&ends[i]), [series_ended](const SeriesWork *) { (*series_ended)++; });
        series->push_back(
            WFTaskFactory::create_counter_task(0, [ran](WFCounterTask *) { (*ran)++; }));
        parallel->add_series(series);
    }
    return parallel;
}

} // namespace cut

#endif
