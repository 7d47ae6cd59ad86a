// Weft public header, room: task - composition by operators: a > b is a series, a * b a parallel
// SPDX-License-Identifier: Apache-2.0
//
// Operands are series, parallels and tasks by reference, and tasks by pointer, at most one of the
// two by pointer. What is made has a NULL callback; start it, or go on composing.
#ifndef WEFT_WFOPERATOR_H
#define WEFT_WFOPERATOR_H

#include "Workflow.h"

// Series: a task pair makes one, a series takes the task to its end or its front.

static inline SeriesWork &operator>(SubTask &x, SubTask &y) {
    SeriesWork *series = Workflow::create_series_work(&x, nullptr);
    series->push_back(&y);
    return *series;
}

static inline SeriesWork &operator>(SubTask &x, SubTask *y) { return x > *y; }
static inline SeriesWork &operator>(SubTask *x, SubTask &y) { return *x > y; }

static inline SeriesWork &operator>(SeriesWork &x, SubTask &y) {
    x.push_back(&y);
    return x;
}

static inline SeriesWork &operator>(SeriesWork &x, SubTask *y) { return x > *y; }

static inline SeriesWork &operator>(SubTask &x, SeriesWork &y) {
    wf::detail::series_prepend(&y, &x);
    return y;
}

static inline SeriesWork &operator>(SubTask *x, SeriesWork &y) { return *x > y; }

// Parallels: a pair makes one, a parallel takes the other operand in.

static inline ParallelWork &operator*(SeriesWork &x, SeriesWork &y) {
    SeriesWork *both[2] = {&x, &y};
    return *Workflow::create_parallel_work(both, 2, nullptr);
}

static inline ParallelWork &operator*(SeriesWork &x, SubTask &y) {
    return x * *Workflow::create_series_work(&y, nullptr);
}

static inline ParallelWork &operator*(SubTask &x, SeriesWork &y) {
    return *Workflow::create_series_work(&x, nullptr) * y;
}

static inline ParallelWork &operator*(SubTask &x, SubTask &y) {
    return x * *Workflow::create_series_work(&y, nullptr);
}

static inline ParallelWork &operator*(ParallelWork &x, SeriesWork &y) {
    x.add_series(&y);
    return x;
}

static inline ParallelWork &operator*(SeriesWork &x, ParallelWork &y) {
    y.add_series(&x);
    return y;
}

static inline ParallelWork &operator*(ParallelWork &x, SubTask &y) {
    return x * *Workflow::create_series_work(&y, nullptr);
}

static inline ParallelWork &operator*(SubTask &x, ParallelWork &y) {
    return *Workflow::create_series_work(&x, nullptr) * y;
}

// The right one becomes a branch of the left one.
static inline ParallelWork &operator*(ParallelWork &x, ParallelWork &y) {
    return x * *Workflow::create_series_work(&y, nullptr);
}

static inline ParallelWork &operator*(SubTask &x, SubTask *y) { return x * *y; }
static inline ParallelWork &operator*(SubTask *x, SubTask &y) { return *x * y; }
static inline ParallelWork &operator*(SeriesWork &x, SubTask *y) { return x * *y; }
static inline ParallelWork &operator*(SubTask *x, SeriesWork &y) { return *x * y; }
static inline ParallelWork &operator*(ParallelWork &x, SubTask *y) { return x * *y; }
static inline ParallelWork &operator*(SubTask *x, ParallelWork &y) { return *x * y; }

#endif
