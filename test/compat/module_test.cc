// Weft - compat: module and repeater tasks
// SPDX-License-Identifier: Apache-2.0
//
// Rows 14 and 15 of the behaviour table. Compiled once WFTaskFactory.h offers them.

#include <gtest/gtest.h>

#include <memory>

#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "support.h"

using compat::Log;
using compat::Obituary;

namespace {

WFCounterTask *say(Log *log, const std::string &text) {
    return WFTaskFactory::create_counter_task(0, [log, text](WFCounterTask *) { log->add(text); });
}

// Row 14: the sub-series runs to its end first, its callback before the module's.
TEST(Module, Row14Order) {
    Log log;
    WFModuleTask *module = WFTaskFactory::create_module_task(
        say(&log, "1"), [&](const WFModuleTask *) { log.add("m"); });
    module->sub_series()->push_back(say(&log, "2"));
    module->sub_series()->set_callback([&](const SeriesWork *) { log.add("s"); });
    Workflow::start_series_work(module, say(&log, "Z"), nullptr);
    EXPECT_EQ("12smZ", log.text());
}

// Row 14: deleting an unstarted module deletes its tasks.
TEST(Module, Row14Dismiss) {
    Log log;
    auto dies = std::make_shared<Obituary>(&log, "x");
    WFCounterTask *first = WFTaskFactory::create_counter_task(0, [dies](WFCounterTask *) {});
    dies.reset();
    WFModuleTask *module =
        WFTaskFactory::create_module_task(first, [&](const WFModuleTask *) { log.add("never"); });
    module->dismiss();
    EXPECT_EQ("x", log.text());
}

// Row 15: create() before each round; NULL ends with SUCCESS.
TEST(Repeater, Row15Rounds) {
    Log log;
    int rounds = 0;
    WFRepeaterTask *repeater = WFTaskFactory::create_repeater_task(
        [&](WFRepeaterTask *) -> SubTask * { return rounds++ < 3 ? say(&log, "r") : NULL; },
        [&](WFRepeaterTask *task) {
            EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
            log.add("|");
        });
    Workflow::start_series_work(repeater, say(&log, "Z"), nullptr);
    EXPECT_EQ("rrr|Z", log.text());
}

} // namespace
