// Weft - what composition costs: series, parallel, graph, go tasks, counters
// SPDX-License-Identifier: Apache-2.0
//
// A Google Benchmark program. Each figure is wall time per task, creation included, so one program
// run gives what a user pays to build and run the shape. Items are tasks.
#include <arpa/inet.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFGraphTask.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"
#include "workflow/wf/coro_task.h"

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

// A coroutine that is made, awaited, and returns at once.
wf::Task<int> give_back(int value) { co_return value; }

void coroutine_await(benchmark::State &state) {
    const int calls = 1000;

    for (auto _ : state) {
        int sum = wf::run([]() -> wf::Task<int> {
            int all = 0;
            for (int i = 0; i < calls; i++) {
                all += co_await give_back(i);
            }
            co_return all;
        });
        benchmark::DoNotOptimize(sum);
    }
    count_items(state, calls);
}
BENCHMARK(coroutine_await)->UseRealTime()->Unit(benchmark::kMicrosecond);

// An HTTP server in this process, and 64 clients that each make one call after the other. The CPU
// time is the whole process's, so the two forms below differ by that of the form alone.
class Calls {
public:
    Calls() : server_([](WFHttpTask *task) { task->get_resp()->append_output_body("hello"); }) {
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        if (server_.start("127.0.0.1", 0) == 0) {
            server_.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
        }
        url = "http://127.0.0.1:" + std::to_string(ntohs(addr.sin_port)) + "/";
    }
    ~Calls() { server_.stop(); }

    static constexpr int CLIENTS = 64;
    static constexpr int EACH = 200;
    std::string url;

private:
    WFHttpServer server_;
};

void http_callback(benchmark::State &state) {
    Calls calls;

    for (auto _ : state) {
        WFFacilities::WaitGroup ended(Calls::CLIENTS);
        for (int i = 0; i < Calls::CLIENTS; i++) {
            auto left = std::make_shared<int>(Calls::EACH);
            auto next = std::make_shared<http_callback_t>();
            *next = [&calls, left, weak = std::weak_ptr<http_callback_t>(next)](WFHttpTask *task) {
                if (--*left > 0) {
                    *series_of(task)
                        << WFTaskFactory::create_http_task(calls.url, 0, 0, *weak.lock());
                }
            };
            Workflow::start_series_work(WFTaskFactory::create_http_task(calls.url, 0, 0, *next),
                                        [&ended, next](const SeriesWork *) { ended.done(); });
        }
        ended.wait();
    }
    count_items(state, Calls::CLIENTS * Calls::EACH);
}
BENCHMARK(http_callback)->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);

void http_coroutine(benchmark::State &state) {
    Calls calls;

    for (auto _ : state) {
        WFFacilities::WaitGroup ended(Calls::CLIENTS);
        for (int i = 0; i < Calls::CLIENTS; i++) {
            wf::spawn([&calls, &ended]() -> wf::Task<void> {
                for (int k = 0; k < Calls::EACH; k++) {
                    wf::HttpResult result = co_await wf::http_get(calls.url);
                    benchmark::DoNotOptimize(result.ok());
                }
                ended.done();
            });
        }
        ended.wait();
    }
    count_items(state, Calls::CLIENTS * Calls::EACH);
}
BENCHMARK(http_coroutine)->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);

} // namespace

BENCHMARK_MAIN();
