// Weft - what composition costs: series, parallel, graph, go tasks, counters
// SPDX-License-Identifier: Apache-2.0
//
// A Google Benchmark program. Each figure is wall time per task, creation included, so one program
// run gives what a user pays to build and run the shape. Items are tasks.
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFGraphTask.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

namespace {

const std::string QUEUE = "bench";

void nothing() {}

WFGoTask *create_go() { return WFTaskFactory::create_go_task(QUEUE, nothing); }

void count_items(benchmark::State &state, int64_t per_round) {
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * per_round);
}

// Many independent go tasks from one thread, then one wait for them all.
void go_many(benchmark::State &state) {
    const int total = static_cast<int>(state.range(0));

    for (auto _ : state) {
        WFFacilities::WaitGroup all(1);
        std::atomic<int> left(total);
        auto on_done = [&all, &left](WFGoTask *) {
            if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                all.done();
            }
        };

        for (int i = 0; i < total; i++) {
            WFGoTask *task = create_go();

            task->set_callback(on_done);
            task->start();
        }
        all.wait();
    }
    count_items(state, total);
}
BENCHMARK(go_many)->Arg(1000000)->UseRealTime()->Unit(benchmark::kMillisecond);

// One go task in flight: each callback puts the next behind itself.
void go_chain(benchmark::State &state) {
    const int length = static_cast<int>(state.range(0));

    for (auto _ : state) {
        WFFacilities::WaitGroup ended(1);
        int left = length;
        std::function<void(WFGoTask *)> next = [&left, &next](WFGoTask *task) {
            if (--left > 0) {
                WFGoTask *more = create_go();

                more->set_callback(next);
                *series_of(task) << more;
            }
        };
        WFGoTask *first = create_go();

        first->set_callback(next);
        Workflow::start_series_work(first, [&ended](const SeriesWork *) { ended.done(); });
        ended.wait();
    }
    count_items(state, length);
}
BENCHMARK(go_chain)->Arg(100000)->UseRealTime()->Unit(benchmark::kMillisecond);

// A series of counters that are complete as soon as they start.
void series_counters(benchmark::State &state) {
    const int length = static_cast<int>(state.range(0));

    for (auto _ : state) {
        WFFacilities::WaitGroup ended(1);
        SeriesWork *series =
            Workflow::create_series_work(WFTaskFactory::create_counter_task(0, nullptr),
                                         [&ended](const SeriesWork *) { ended.done(); });

        for (int i = 1; i < length; i++) {
            series->push_back(WFTaskFactory::create_counter_task(0, nullptr));
        }
        series->start();
        ended.wait();
    }
    count_items(state, length);
}
BENCHMARK(series_counters)->Arg(10000)->UseRealTime()->Unit(benchmark::kMicrosecond);

// A parallel of one-task series.
template <class CREATE>
void parallel_of(benchmark::State &state, CREATE create) {
    const int width = static_cast<int>(state.range(0));

    for (auto _ : state) {
        WFFacilities::WaitGroup joined(1);
        ParallelWork *parallel =
            Workflow::create_parallel_work([&joined](const ParallelWork *) { joined.done(); });

        for (int i = 0; i < width; i++) {
            parallel->add_series(Workflow::create_series_work(create(), nullptr));
        }
        parallel->start();
        joined.wait();
    }
    count_items(state, width);
}

void parallel_go(benchmark::State &state) { parallel_of(state, create_go); }
BENCHMARK(parallel_go)->Arg(1000)->UseRealTime()->Unit(benchmark::kMicrosecond);

void parallel_empty(benchmark::State &state) {
    parallel_of(state, WFTaskFactory::create_empty_task);
}
BENCHMARK(parallel_empty)->Arg(1000)->UseRealTime()->Unit(benchmark::kMicrosecond);

// A binary tree of go tasks: each node runs after its parent.
void graph_tree(benchmark::State &state) {
    const size_t nodes = static_cast<size_t>(state.range(0));
    std::vector<WFGraphNode *> node(nodes);

    for (auto _ : state) {
        WFFacilities::WaitGroup ended(1);
        WFGraphTask *graph =
            WFTaskFactory::create_graph_task([&ended](WFGraphTask *) { ended.done(); });

        for (size_t i = 0; i < nodes; i++) {
            node[i] = &graph->create_graph_node(create_go());
            if (i > 0) {
                node[(i - 1) / 2]->precede(*node[i]);
            }
        }
        graph->start();
        ended.wait();
    }
    count_items(state, state.range(0));
}
BENCHMARK(graph_tree)->Arg(1023)->UseRealTime()->Unit(benchmark::kMicrosecond);

// A square of go tasks: each node runs after its neighbours above and to the left.
void graph_wavefront(benchmark::State &state) {
    const size_t side = static_cast<size_t>(state.range(0));
    std::vector<WFGraphNode *> node(side * side);

    for (auto _ : state) {
        WFFacilities::WaitGroup ended(1);
        WFGraphTask *graph =
            WFTaskFactory::create_graph_task([&ended](WFGraphTask *) { ended.done(); });

        for (size_t i = 0; i < side * side; i++) {
            node[i] = &graph->create_graph_node(create_go());
            if (i % side > 0) {
                node[i - 1]->precede(*node[i]);
            }
            if (i >= side) {
                node[i - side]->precede(*node[i]);
            }
        }
        graph->start();
        ended.wait();
    }
    count_items(state, state.range(0) * state.range(0));
}
BENCHMARK(graph_wavefront)->Arg(32)->UseRealTime()->Unit(benchmark::kMicrosecond);

// One counter counted down by its owner; items are counts.
void counter_count(benchmark::State &state) {
    const unsigned target = static_cast<unsigned>(state.range(0));

    for (auto _ : state) {
        WFFacilities::WaitGroup ended(1);
        WFCounterTask *counter =
            WFTaskFactory::create_counter_task(target, [&ended](WFCounterTask *) { ended.done(); });

        counter->start();
        for (unsigned i = 0; i < target; i++) {
            counter->count();
        }
        ended.wait();
    }
    count_items(state, state.range(0));
}
BENCHMARK(counter_count)->Arg(1000)->UseRealTime()->Unit(benchmark::kMicrosecond);

// The same through the table of names, one count per call.
void counter_by_name(benchmark::State &state) {
    const std::string name = "bench-counter";
    const unsigned target = static_cast<unsigned>(state.range(0));

    for (auto _ : state) {
        WFFacilities::WaitGroup ended(1);
        WFCounterTask *counter = WFTaskFactory::create_counter_task(
            name, target, [&ended](WFCounterTask *) { ended.done(); });

        counter->start();
        for (unsigned i = 0; i < target; i++) {
            WFTaskFactory::count_by_name(name);
        }
        ended.wait();
    }
    count_items(state, state.range(0));
}
BENCHMARK(counter_by_name)->Arg(1000)->UseRealTime()->Unit(benchmark::kMicrosecond);

} // namespace

BENCHMARK_MAIN();
