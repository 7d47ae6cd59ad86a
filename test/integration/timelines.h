// Weft - test support: waiting for what a recorder of timelines sees
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_TEST_INTEGRATION_TIMELINES_H
#define WEFT_TEST_INTEGRATION_TIMELINES_H

#include <thread>

#include "workflow/wf/timeline.h"

// Until each series that has begun has ended: its callback, which a test waits for, comes before
// that.
inline void wait_for_series(const wf::TimelineRecorder &recorder) {
    auto is_over = [&recorder] {
        for (const wf::TimelineSeries &one : recorder.get().series) {
            if (!one.tasks.empty() && one.end < 0)
                return false;
        }
        return true;
    };
    while (!is_over())
        std::this_thread::yield();
}

#endif
