// Weft - tutorial 05: sort on all cores
// SPDX-License-Identifier: Apache-2.0
//
// Slices are sorted side by side, then merged in rounds. Each round is a parallel of thread
// tasks; the rounds follow each other in one series. Page: docs/tutorial-05-sort.md

#include <algorithm>
#include <chrono>
#include <random>
#include <stdio.h>
#include <vector>

#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "args.h"

typedef std::chrono::steady_clock Clock;

// Half-open ranges of the one big array. middle is where the second sorted half begins.
struct Range {
    int *first;
    int *middle;
    int *last;
};

struct Nothing {};

typedef WFThreadTaskFactory<Range, Nothing> RangeFactory;
typedef WFThreadTask<Range, Nothing> RangeTask;

// Static: a task that still runs after Ctrl-C works on it until the engine has ended.
static std::vector<int> numbers;

static void sort_range(Range *range, Nothing *) { std::sort(range->first, range->last); }

static void merge_range(Range *range, Nothing *) {
    std::inplace_merge(range->first, range->middle, range->last);
}

// Boundary i of n equal slices.
static int *cut(size_t i, size_t n) { return numbers.data() + numbers.size() * i / n; }

typedef void (*Routine)(Range *, Nothing *);

static void add_range(ParallelWork *round, Routine routine, const Range &range) {
    RangeTask *task = RangeFactory::create_thread_task("sort", routine, nullptr);
    *task->get_input() = range;
    round->add_series(Workflow::create_series_work(task, nullptr));
}

static ParallelWork *sort_round(size_t slices) {
    ParallelWork *round = Workflow::create_parallel_work(nullptr);
    for (size_t i = 0; i < slices; i++) {
        Range range = {cut(i, slices), NULL, cut(i + 1, slices)};
        add_range(round, sort_range, range);
    }
    return round;
}

// Merges neighbours that are each `width` slices wide. A last one without a neighbour waits
// for a later round.
static ParallelWork *merge_round(size_t width, size_t slices) {
    ParallelWork *round = Workflow::create_parallel_work(nullptr);
    for (size_t i = 0; i + width < slices; i += 2 * width) {
        size_t end = std::min(i + 2 * width, slices);
        Range range = {cut(i, slices), cut(i + width, slices), cut(end, slices)};
        add_range(round, merge_range, range);
    }
    return round;
}

static double ms_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

int main(int argc, char *argv[]) {
    long count = 0;
    long slices = 4;
    if (argc < 2 || argc > 3 || !parse_number(argv[1], 1, 1000 * 1000 * 1000, &count) ||
        (argc == 3 && !parse_number(argv[2], 1, 1024, &slices))) {
        fprintf(stderr,
                "usage: %s COUNT [SLICES]\n"
                "Sorts COUNT random numbers in SLICES slices (default 4, at most 1024).\n",
                argv[0]);
        return 2;
    }

    std::mt19937 random(2024);
    numbers.resize(static_cast<size_t>(count));
    for (int &number : numbers)
        number = static_cast<int>(random() >> 1);
    std::vector<int> expected = numbers;

    watch_ctrl_c();
    size_t n = static_cast<size_t>(slices);
    SeriesWork *series = Workflow::create_series_work(sort_round(n), nullptr);
    for (size_t width = 1; width < n; width *= 2)
        series->push_back(merge_round(width, n));

    static bool finished = false;
    series->set_callback([](const SeriesWork *) {
        finished = true;
        end_wait();
    });

    Clock::time_point begin = Clock::now();
    series->start();
    ctrl_c_group().wait();
    if (!finished)
        return 130;
    double ours = ms_since(begin);

    begin = Clock::now();
    std::sort(expected.begin(), expected.end());
    double single = ms_since(begin);

    bool same = numbers == expected;
    printf("%ld numbers, %ld slices: %.1f ms; std::sort on one thread: %.1f ms; %s\n", count,
           slices, ours, single, same ? "sorted" : "WRONG ORDER");
    return same ? 0 : 1;
}
