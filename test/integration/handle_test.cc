// Weft - integration: handles of tasks, series, parallels, graphs and modules
// SPDX-License-Identifier: Apache-2.0
//
// Each kind of task is cut before it starts, while it waits, and when it is too late; each callback
// comes exactly once. Nothing here waits for time to pass but what is said to be a limit of time.
#include "workflow/wf/handle.h"

#include <atomic>
#include <latch>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "integration/cut_support.h"
#include "workflow/WFFacilities.h"
#include "workflow/WFMessageQueue.h"
#include "workflow/WFResourcePool.h"
#include "workflow/WFTaskFactory.h"

using compat::Event;
using cut::End;
using cut::timer;
using cut::twins;

namespace {

void expect_too_late(const wf::Handle &handle) {
    errno = 0;
    EXPECT_EQ(-1, wf::cancel(handle));
    EXPECT_EQ(ENOENT, errno);
    EXPECT_TRUE(handle.is_over());
}

TEST(Handle, StandsForNothingAtFirst) {
    wf::Handle nothing;
    expect_too_late(nothing);
    EXPECT_EQ(-1, wf::CounterHandle().count());
    EXPECT_EQ(-1, wf::MailboxHandle().send(nullptr));
    EXPECT_EQ(-1, wf::ConditionalHandle().signal(nullptr));
}

TEST(Handle, CutsATimerThatRuns) {
    End end;
    WFTimerTask *task = timer(&end);
    wf::Handle handle = wf::get_handle(task);
    EXPECT_FALSE(handle.is_over());
    task->start();
    EXPECT_EQ(0, wf::cancel(handle));
    end.expect(ECANCELED);
    expect_too_late(handle);
}

TEST(Handle, RemembersACutBeforeTheStart) {
    End end;
    WFTimerTask *task = timer(&end);
    wf::Handle handle = wf::get_handle(task);
    EXPECT_EQ(0, wf::cancel(handle));
    EXPECT_EQ(0, wf::cancel(handle)) << "twice is as once";
    task->start();
    end.expect(ECANCELED);
}

TEST(Handle, OfADismissedTaskFindsNothing) {
    WFTimerTask *task = WFTaskFactory::create_timer_task(cut::FOREVER, 0, nullptr);
    wf::Handle handle = wf::get_handle(task);
    task->dismiss();
    expect_too_late(handle);
    SeriesWork *series = Workflow::create_series_work(
        WFTaskFactory::create_timer_task(cut::FOREVER, 0, nullptr), nullptr);
    wf::Handle of_series = wf::get_handle(series);
    series->dismiss();
    expect_too_late(of_series);
}

TEST(Handle, CutsNamedTimers) {
    End end;
    WFTimerTask *task =
        WFTaskFactory::create_timer_task("handle-test", cut::FOREVER, 0, end.here<WFTimerTask>());
    wf::Handle handle = wf::get_handle(task);
    task->start();
    EXPECT_EQ(0, wf::cancel(handle));
    end.expect(ECANCELED);
    EXPECT_EQ(0, WFTaskFactory::cancel_by_name("handle-test"));
}

TEST(Handle, CutsACounter) {
    End end;
    WFCounterTask *task = WFTaskFactory::create_counter_task(2, end.here<WFCounterTask>());
    wf::CounterHandle handle = wf::get_handle(task);
    EXPECT_EQ(0, handle.count()) << "before the start";
    task->start();
    EXPECT_EQ(0, wf::cancel(handle));
    end.expect(ECANCELED);
    EXPECT_EQ(-1, handle.count());
    expect_too_late(handle);
}

TEST(Handle, CutsANamedCounterWhichLeavesTheTable) {
    End end;
    WFCounterTask *task =
        WFTaskFactory::create_counter_task("handle-count", 2, end.here<WFCounterTask>());
    wf::CounterHandle handle = wf::get_handle(task);
    task->start();
    EXPECT_EQ(0, handle.count());
    EXPECT_EQ(0, wf::cancel(handle));
    end.expect(ECANCELED);
    EXPECT_EQ(0, WFTaskFactory::count_by_name("handle-count", 5));
}

TEST(Handle, CountsToTheEnd) {
    Event event;
    for (const char *name : {"", "handle-whole"}) {
        auto ended = [&](WFCounterTask *task) {
            EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
            event.set();
        };
        WFCounterTask *task = *name ? WFTaskFactory::create_counter_task(name, 2, ended)
                                    : WFTaskFactory::create_counter_task(2, ended);
        wf::CounterHandle handle = wf::get_handle(task);
        EXPECT_EQ(0, handle.count());
        task->start();
        int before = event.count();
        EXPECT_EQ(1, handle.count());
        EXPECT_EQ(before + 1, event.count()) << "on the thread that counts last";
        EXPECT_EQ(-1, handle.count());
    }
}

TEST(Handle, SendsToAMailboxOnce) {
    int mail = 7;
    void *box = nullptr;
    Event event;
    WFMailboxTask *task = WFTaskFactory::create_mailbox_task(&box, [&](WFMailboxTask *ended) {
        EXPECT_EQ(WFT_STATE_SUCCESS, ended->get_state());
        event.set();
    });
    wf::MailboxHandle handle = wf::get_handle(task);
    task->start();
    EXPECT_EQ(0, handle.send(&mail));
    EXPECT_EQ(1, event.count());
    EXPECT_EQ(&mail, box);
    EXPECT_EQ(-1, handle.send(nullptr));
    EXPECT_EQ(&mail, box);
}

TEST(Handle, CutsAMailboxAndASelector) {
    End box, choice;
    WFMailboxTask *mailbox = WFTaskFactory::create_mailbox_task(box.here<WFMailboxTask>());
    wf::MailboxHandle to_box = wf::get_handle(mailbox);
    mailbox->start();
    EXPECT_EQ(0, wf::cancel(to_box));
    box.expect(ECANCELED);
    EXPECT_EQ(-1, to_box.send(nullptr));

    WFSelectorTask *selector =
        WFTaskFactory::create_selector_task(2, choice.here<WFSelectorTask>());
    wf::Handle handle = wf::get_handle(selector);
    selector->start();
    EXPECT_EQ(0, selector->submit(nullptr));
    EXPECT_EQ(0, wf::cancel(handle));
    choice.expect(ECANCELED);
    int late = 0;
    EXPECT_EQ(0, selector->submit(&late)) << "each candidate may submit, whatever has become of it";
}

TEST(Handle, CutsAConditionalWithWhatItHoldsBack) {
    std::atomic<bool> ran{false};
    Event event;
    WFConditional *task = WFTaskFactory::create_conditional(
        WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { ran = true; }));
    wf::ConditionalHandle handle = wf::get_handle(task);
    Workflow::start_series_work(task, [&](const SeriesWork *) { event.set(); });
    EXPECT_EQ(0, wf::cancel(handle));
    ASSERT_TRUE(event.wait());
    EXPECT_FALSE(ran);
    EXPECT_EQ(-1, handle.signal(nullptr));
}

TEST(Handle, CutsNamedReceiversWhichLeaveTheTable) {
    End end;
    Event event;
    WFMailboxTask *mailbox =
        WFTaskFactory::create_mailbox_task("handle-mail", end.here<WFMailboxTask>());
    wf::Handle handle = wf::get_handle(mailbox);
    mailbox->start();
    EXPECT_EQ(0, wf::cancel(handle));
    end.expect(ECANCELED);
    EXPECT_EQ(0, WFTaskFactory::send_by_name("handle-mail", nullptr));
    WFConditional *conditional = WFTaskFactory::create_conditional(
        "handle-mail", WFTaskFactory::create_counter_task(0, [](WFCounterTask *) { FAIL(); }));
    handle = wf::get_handle(conditional);
    Workflow::start_series_work(conditional, [&](const SeriesWork *) { event.set(); });
    EXPECT_EQ(0, wf::cancel(handle));
    ASSERT_TRUE(event.wait());
    EXPECT_EQ(0, WFTaskFactory::signal_by_name("handle-mail", nullptr));

    // By handle and by name alike.
    int mail = 0;
    mailbox = WFTaskFactory::create_mailbox_task("handle-mail", [&](WFMailboxTask *task) {
        EXPECT_EQ(&mail, *task->get_mailbox());
        event.set();
    });
    wf::MailboxHandle to_box = wf::get_handle(mailbox);
    mailbox->start();
    EXPECT_EQ(0, to_box.send(&mail));
    ASSERT_TRUE(event.wait(2));
    EXPECT_EQ(0, WFTaskFactory::send_by_name("handle-mail", nullptr));
    EXPECT_EQ(-1, to_box.send(&mail));
}

// What waits for a resource and is cut takes none with it.
TEST(Handle, CutsWaitersForResources) {
    Event cut, served;
    int resource = 0;
    void *const resources[] = {&resource};
    WFResourcePool pool(resources, 1);
    WFMessageQueue queue;
    auto never = [] {
        return WFTaskFactory::create_counter_task(0, [](WFCounterTask *) { FAIL(); });
    };
    auto serve = [&] {
        return WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { served.set(); });
    };
    pool.get(serve())->start(); // the only one
    WFTaskFactory::create_guard("handle-guard", serve())->start();
    ASSERT_TRUE(served.wait(2));
    WFConditional *waiters[] = {pool.get(never()), queue.get(never()),
                                WFTaskFactory::create_guard("handle-guard", never())};
    int n = 0;
    for (WFConditional *waiter : waiters) {
        wf::ConditionalHandle handle = wf::get_handle(waiter);
        SeriesWork *series =
            Workflow::create_series_work(waiter, [&](const SeriesWork *) { cut.set(); });
        series->start();
        EXPECT_EQ(-1, handle.signal(nullptr)) << "only what it waits for lets it go";
        EXPECT_EQ(0, wf::cancel(handle));
        ASSERT_TRUE(cut.wait(++n));
    }
    pool.post(&resource);
    queue.post(&resource);
    EXPECT_EQ(0, WFTaskFactory::release_guard("handle-guard", nullptr));
    pool.get(serve())->start();
    queue.get(serve())->start();
    WFTaskFactory::create_guard("handle-guard", serve())->start();
    ASSERT_TRUE(served.wait(5));
    EXPECT_EQ(0, WFTaskFactory::release_guard("handle-guard", nullptr));
}

TEST(Handle, SignalsAConditionalOnce) {
    Event event;
    WFConditional *task = WFTaskFactory::create_conditional(
        WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { event.set(); }));
    wf::ConditionalHandle handle = wf::get_handle(task);
    EXPECT_EQ(0, handle.signal(nullptr)) << "before the start";
    EXPECT_EQ(-1, handle.signal(nullptr));
    task->start();
    EXPECT_TRUE(event.wait());
    expect_too_late(handle);
}

TEST(Handle, TakesAComputationOutOfItsQueue) {
    std::latch go_on(1);
    std::atomic<int> ran{0};
    // As many as there are threads, so that what follows waits.
    int threads = static_cast<int>(std::thread::hardware_concurrency());
    std::latch all(threads);
    WFFacilities::WaitGroup ended(threads);
    for (int i = 0; i < threads; i++) {
        WFGoTask *blocker = WFTaskFactory::create_go_task("handle-busy", [&] {
            all.count_down();
            go_on.wait();
        });
        blocker->set_callback([&](WFGoTask *) { ended.done(); });
        blocker->start();
    }
    all.wait();
    End end;
    WFGoTask *task = WFTaskFactory::create_go_task("handle-busy", [&] { ran++; });
    task->set_callback(end.here<WFGoTask>());
    wf::Handle handle = wf::get_handle(task);
    task->start();
    EXPECT_EQ(0, wf::cancel(handle));
    end.expect(ECANCELED);
    go_on.count_down();
    ended.wait();
    EXPECT_EQ(0, ran);
}

TEST(Handle, AComputationThatHasBegunGoesOn) {
    std::latch begun(1), go_on(1);
    End end;
    WFGoTask *task = WFTaskFactory::create_go_task("handle-go", [&] {
        begun.count_down();
        go_on.wait();
    });
    task->set_callback(end.here<WFGoTask>());
    wf::Handle handle = wf::get_handle(task);
    task->start();
    begun.wait();
    EXPECT_EQ(-1, wf::cancel(handle));
    EXPECT_EQ(EBUSY, errno);
    go_on.count_down();
    ASSERT_TRUE(end.event.wait());
    EXPECT_EQ(WFT_STATE_SUCCESS, end.state);

    // With a time limit it ends, and the function goes on unseen.
    std::latch begun_too(1), go_on_too(1), over(1);
    End cut;
    WFGoTask *timed = WFTaskFactory::create_timedgo_task(1000, 0, "handle-go", [&] {
        begun_too.count_down();
        go_on_too.wait();
        over.count_down();
    });
    timed->set_callback(cut.here<WFGoTask>());
    handle = wf::get_handle(timed);
    timed->start();
    begun_too.wait();
    EXPECT_EQ(0, wf::cancel(handle));
    cut.expect(ECANCELED);
    go_on_too.count_down();
    over.wait();
}

TEST(Handle, RefusesComputationsThatWereCutBeforeTheStart) {
    std::atomic<int> ran{0};
    End end, timed_end;
    WFGoTask *task = WFTaskFactory::create_go_task("handle-go", [&] { ran++; });
    WFGoTask *timed = WFTaskFactory::create_timedgo_task(1000, 0, "handle-go", [&] { ran++; });
    task->set_callback(end.here<WFGoTask>());
    timed->set_callback(timed_end.here<WFGoTask>());
    EXPECT_EQ(0, wf::cancel(wf::get_handle(task)));
    EXPECT_EQ(0, wf::cancel(wf::get_handle(timed)));
    task->start();
    timed->start();
    end.expect(ECANCELED);
    timed_end.expect(ECANCELED);
    EXPECT_EQ(0, ran);
}

TEST(Handle, CutsARepeaterBetweenItsRounds) {
    End end;
    Event round;
    std::atomic<int> rounds{0};
    WFRepeaterTask *task = WFTaskFactory::create_repeater_task(
        [&](WFRepeaterTask *) -> SubTask * {
            rounds++;
            return WFTaskFactory::create_timer_task(0, 1000000,
                                                    [&](WFTimerTask *) { round.set(); });
        },
        end.here<WFRepeaterTask>());
    wf::Handle handle = wf::get_handle(task);
    task->start();
    ASSERT_TRUE(round.wait(3));
    EXPECT_EQ(0, wf::cancel(handle));
    end.expect(ECANCELED);
    EXPECT_GE(rounds, 3);
    expect_too_late(handle);
}

TEST(Handle, CutsASeries) {
    End end;
    Event event;
    std::atomic<bool> ran{false};
    SeriesWork *series = Workflow::create_series_work(timer(&end), [&](const SeriesWork *ended) {
        EXPECT_TRUE(ended->is_canceled());
        event.set();
    });
    series->push_back(WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { ran = true; }));
    wf::Handle handle = wf::get_handle(series);
    series->start();
    EXPECT_EQ(0, wf::cancel(handle));
    end.expect(ECANCELED);
    ASSERT_TRUE(event.wait());
    EXPECT_FALSE(ran);
    expect_too_late(handle);
}

TEST(Handle, OfASeriesReachesTheTaskThatRunsNow) {
    End end;
    Event first, event;
    SeriesWork *series = Workflow::create_series_work(
        WFTaskFactory::create_timer_task(0, 1000000, [&](WFTimerTask *) { first.set(); }),
        [&](const SeriesWork *) { event.set(); });
    series->push_back(timer(&end));
    wf::Handle handle = wf::get_handle(series);
    series->start();
    ASSERT_TRUE(first.wait());
    EXPECT_EQ(0, wf::cancel(handle));
    ASSERT_TRUE(event.wait());
    EXPECT_TRUE(end.event.count() == 0 || end.error == ECANCELED);
}

TEST(Handle, CutsAParallelWithItsSeries) {
    for (bool before : {false, true}) {
        End ends[2];
        std::atomic<int> ran{0}, series_ended{0};
        Event event;
        ParallelWork *parallel =
            twins(ends, &ran, &series_ended, [&](const ParallelWork *) { event.set(); });
        wf::Handle handle = wf::get_handle(parallel);
        int cut = before ? wf::cancel(handle) : 0;
        parallel->start();
        EXPECT_EQ(0, before ? cut : wf::cancel(handle));
        ASSERT_TRUE(event.wait());
        ends[0].expect(ECANCELED);
        ends[1].expect(ECANCELED);
        EXPECT_EQ(0, ran);
        EXPECT_EQ(2, series_ended);
        expect_too_late(handle);
    }
}

TEST(Handle, OfASeriesReachesParallelsInParallels) {
    End ends[4];
    std::atomic<int> ran{0}, series_ended{0};
    Event event;
    ParallelWork *outer = twins(ends, &ran, &series_ended, nullptr);
    outer->add_series(
        Workflow::create_series_work(twins(ends + 2, &ran, &series_ended, nullptr), nullptr));
    SeriesWork *series =
        Workflow::create_series_work(outer, [&](const SeriesWork *) { event.set(); });
    wf::Handle handle = wf::get_handle(series);
    series->start();
    EXPECT_EQ(0, wf::cancel(handle));
    ASSERT_TRUE(event.wait());
    for (End &end : ends)
        end.expect(ECANCELED);
    EXPECT_EQ(0, ran);
    EXPECT_EQ(4, series_ended);
}

TEST(Handle, CutsAModule) {
    End end;
    Event event;
    WFModuleTask *module =
        WFTaskFactory::create_module_task(timer(&end), [&](const WFModuleTask *ended) {
            EXPECT_TRUE(ended->sub_series()->is_canceled());
            event.set();
        });
    wf::Handle handle = wf::get_handle(module);
    module->start();
    EXPECT_EQ(0, wf::cancel(handle));
    end.expect(ECANCELED);
    ASSERT_TRUE(event.wait());
    expect_too_late(handle);
}

TEST(Handle, CutsAGraphWhichEndsInOrder) {
    End first, second;
    std::atomic<int> ran{0};
    Event event;
    WFGraphTask *graph = WFTaskFactory::create_graph_task([&](WFGraphTask *task) {
        EXPECT_EQ(WFT_STATE_SUCCESS, task->get_state());
        event.set();
    });
    WFGraphNode &a = graph->create_graph_node(timer(&first));
    WFGraphNode &b = graph->create_graph_node(timer(&second));
    WFGraphNode &c = graph->create_graph_node(
        WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { ran++; }));
    WFGraphNode &d = graph->create_graph_node(
        WFTaskFactory::create_counter_task(0, [&](WFCounterTask *) { ran++; }));
    a-- > c;
    b-- > c;
    c-- > d;
    wf::Handle handle = wf::get_handle(graph);
    graph->start();
    EXPECT_FALSE(handle.is_over());
    EXPECT_EQ(0, wf::cancel(handle));
    first.expect(ECANCELED);
    second.expect(ECANCELED);
    ASSERT_TRUE(event.wait());
    EXPECT_EQ(0, ran);
    expect_too_late(handle);
}

// Timers that fire, and cuts by their handles and by that of their series, all at once.
TEST(Handle, RacesEndOnce) {
    constexpr int COUNT = 3000;
    std::atomic<int> ended{0}, series_ended{0};
    WFFacilities::WaitGroup all(COUNT);
    std::vector<wf::Handle> handles;
    std::mt19937 draw(5);
    for (int i = 0; i < COUNT; i++) {
        WFTimerTask *task = WFTaskFactory::create_timer_task(0, static_cast<long>(draw() % 3000000),
                                                             [&](WFTimerTask *) { ended++; });
        handles.push_back(wf::get_handle(task));
        SeriesWork *series = Workflow::create_series_work(task, [&](const SeriesWork *) {
            series_ended++;
            all.done();
        });
        handles.push_back(wf::get_handle(series));
        if (i % 3 == 0)
            wf::set_deadline(series, 1);
        series->start();
        if (i % 4 == 0)
            (void)wf::cancel(handles[draw() % handles.size()]);
    }
    std::thread other([&] {
        for (size_t i = 0; i < handles.size(); i += 3)
            (void)wf::cancel(handles[i]);
    });
    for (size_t i = handles.size(); i-- > 0;) {
        if (i % 5 == 0)
            (void)wf::cancel(handles[i]);
    }
    other.join();
    all.wait();
    EXPECT_EQ(COUNT, ended);
    EXPECT_EQ(COUNT, series_ended);
}

} // namespace
